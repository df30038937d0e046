"""Lists of callers that are not wanted: what may be written, and what it becomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sbc.call.blocking import blocked_by
from sbc.policy.snapshot import Block, Patterns
from tests.unit.policy.conftest import MINIMAL, Folder

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "vectors" / "blocking" / "603plus.json").read_text())["generate"]


def block(keys: str, blocks: str = "[b]") -> str:
    return MINIMAL + f"blocks: {{b: {{{keys}}}}}\ntrunks: {{t: {{realm: inside, media: plain, blocks: {blocks}}}}}\n"


def test_REJ_20_lists(folder: Folder) -> None:
    (plain,) = folder.load(block('callers: ["+4990*", 4711], answer: 403')).snapshot.trunks["t"].headers.blocks
    assert plain == Block("b", Patterns(frozenset({"4711"}), ("+4990",)), 403)
    (found,) = (
        folder.load(block('callers: "+4990*", redress: {tel: "+4930123", url: "https://a.example"}')).snapshot.trunks["t"].headers.blocks
    )
    assert (found.status, found.redress) == (603, "v=analytics1;url=https://a.example;tel=+4930123")


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("answer: 603", "blocks.b: blocks nobody: give 'callers', or a 'file' of them"),
        ('callers: "*"', "blocks.b.callers: '*' would refuse every call"),
        ("callers: []", "blocks.b.callers: must not be empty"),
        ('callers: "+49*", answer: 480', "blocks.b.answer: "),
        ('callers: "+49*", answer: 607, redress: {tel: "+4930123"}', "blocks.b: what analytics block is answered 603"),
        ('callers: "+49*", redress: {}', "blocks.b.redress: nobody could complain: give at least one of url, tel and email"),
        ('callers: "+49*", redress: {tel: 0301}', "blocks.b.redress.tel: a telephone number in full"),
        ('callers: "+49*", redress: {email: "a b@c"}', "blocks.b.redress.email: an address such as"),
        ('callers: "+49*", redress: {url: "https://a/;x=1"}', "blocks.b.redress.url: a page for people"),
        ('callers: "+49*", redress: {url: "https://a/\\"x"}', "blocks.b.redress.url: a page for people"),
        (f'callers: "+49*", redress: {{url: "https://a/{"x" * 200}"}}', "blocks.b.redress.url: a page for people"),
    ],
)
def test_REJ_20_what_may_not_be_written(folder: Folder, keys: str, problem: str) -> None:
    assert problem in "\n".join(folder.errors(block(keys)))


def test_REJ_20_a_list_must_exist(folder: Folder) -> None:
    assert "trunks.t.blocks.0: there is no block 'c'" in "\n".join(folder.errors(block('callers: "+49*"', "[c]")))


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["id"])
def test_REJ_20_the_notice(folder: Folder, case: dict[str, Any]) -> None:
    """The id is that of our own call record, and the location is ours: neither can be written wrong."""
    told = case["input"]
    redress = {key: told[key] for key in ("url", "tel", "email") if key in told}
    text = block(f'callers: "+49*", redress: {json.dumps(redress)}')
    if "expect_reason" not in case and case["id"] not in ("gen-id-bad", "gen-loc"):
        assert any("blocks.b.redress" in error for error in folder.errors(text))
        return
    cause = blocked_by(folder.load(text).snapshot.trunks["t"].headers.blocks, ("", "+49301"), "call_0-9")
    assert cause is not None
    assert f"SIP/2.0 {cause.status} {cause.reason}" == "SIP/2.0 603 Network Blocked"
    if "expect_reason" in case:
        assert cause.reasons == (case["expect_reason"],)

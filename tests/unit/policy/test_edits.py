"""Edits of headers: what may be written, what it becomes, and what it does to a message."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.edits import FIXED, STANDARD, TAKEN_AWAY, Edit, Edits, steps
from sbc.policy.expression import Expression
from sbc.policy.model.edits import METHODS
from sbc.sip.message import Headers, Request
from sbc.sip.names import KNOWN, HeaderName
from sbc.sip.parse import parse_datagram
from tests.unit.policy.conftest import MINIMAL, Folder

TRUNK = "trunks: {t: {realm: inside, media: plain, headers_out: [x]}}\n"


def policy(edits: str) -> str:
    return MINIMAL + TRUNK + f"headers:\n  x:\n    {edits}\n"


def out(folder: Folder, *edits: str) -> tuple[Edit, ...]:
    found = folder.load(policy("\n    ".join(f"- {edit}" for edit in edits))).snapshot.trunks["t"].edits
    assert found is not None
    return found.requests_out


def edited(edits: tuple[Edit, ...], *rows: tuple[str, str]) -> list[tuple[str, str]]:
    headers = Headers(rows)
    for edit in edits:
        edit.apply(headers)
    return [(name.spelling, value) for name, value in headers]


def message(*rows: tuple[str, str]) -> Request:
    text = (
        "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n"
        "Call-ID: c\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@h>\r\nContent-Length: 0\r\n"
    )
    found = parse_datagram((text + "".join(f"{name}: {value}\r\n" for name, value in rows) + "\r\n").encode())
    assert isinstance(found, Request)
    return found


@pytest.mark.parametrize(
    ("edit", "before", "after"),
    [
        ("remove: [user-agent, \"x-*\"]", [("User-Agent", "a"), ("X-A", "1"), ("x-b", "2"), ("Xy", "3")], [("Xy", "3")]),
        ("remove: s", [("Subject", "a"), ("Organization", "b")], [("Organization", "b")]),
        ("keep: [X-A]", [("X-A", "1"), ("s", "s"), ("k", "timer"), ("Path", "x")], [("X-A", "1"), ("Supported", "timer"), ("Path", "x")]),
        ("keep: standard", [("X-A", "1"), ("Subject", "s"), ("Remote-Party-ID", "<sip:a@h>")], [("Subject", "s")]),
        ("keep: [standard, \"X-*\"]", [("X-A", "1"), ("Subject", "s"), ("Z", "n")], [("X-A", "1"), ("Subject", "s")]),
        ("set: {Server: us}", [("X-A", "1")], [("X-A", "1"), ("Server", "us")]),
        ("set: {X-A: 2}", [("X-A", "1"), ("X-A", "3"), ("X-B", "4")], [("X-A", "2"), ("X-B", "4")]),
        ("add: {X-A: 2}", [("X-A", "1")], [("X-A", "1"), ("X-A", "2")]),
        ("rename: {X-A: X-B}", [("X-A", "1"), ("X-B", "2"), ("X-A", "3")], [("X-B", "2"), ("X-B", "1"), ("X-B", "3")]),
        ('replace: {header: X-A, match: "^0+([1-9])", by: "+49\\\\1"}', [("X-A", "030"), ("X-A", "3")], [("X-A", "+4930"), ("X-A", "3")]),
        ("replace: {header: X-A, match: a, by: b}", [("X-A", "aaa")], [("X-A", "baa")]),
        ('replace: {header: X-A, match: "^", by: "+"}', [("X-A", "49")], [("X-A", "+49")]),
        ('replace: {header: X-A, match: "^.*$", by: ""}', [("X-A", "49"), ("Subject", "s")], [("Subject", "s")]),
        ('replace: {header: X-A, match: "(?i)ABC|(z)", by: "<\\\\1>"}', [("X-A", "abc")], [("X-A", "<>")]),
    ],
)  # fmt: skip
def test_what_an_edit_does(folder: Folder, edit: str, before: list[tuple[str, str]], after: list[tuple[str, str]]) -> None:
    assert edited(out(folder, edit), *before) == after


def test_edits_are_applied_in_order(folder: Folder) -> None:
    edits = out(folder, "rename: {X-A: X-B}", "set: {X-A: again}", "remove: X-B")
    assert edited(edits, ("X-A", "1")) == [("X-A", "again")]
    assert edited(edits[::-1], ("X-A", "1")) == [("X-B", "again")]


def test_an_edit_knows_where_it_stands_and_how_it_reads(folder: Folder) -> None:
    edits = out(folder, "remove: [user-agent, X-*]", "add: {X-A: 1}", "replace: {header: X-A, match: a, by: b}", "keep: standard")
    assert [(each.source, each.line.rpartition("/")[2]) for each in edits] == [
        ("x: remove User-Agent, x-*", "a.yaml:10"),
        ("x: add X-A: 1", "a.yaml:11"),
        ("x: replace 'a' by 'b' in X-A", "a.yaml:12"),
        ("x: keep standard", "a.yaml:13"),
    ]


def test_of_which_messages(folder: Folder) -> None:
    edits = (
        "- {set: {X-A: 1}, messages: requests}\n    - {set: {X-B: 1}, messages: responses}\n    - {set: {X-C: 1}, methods: [bye, INVITE]}"
    )
    found = folder.load(policy(edits).replace("headers_out", "headers_in")).snapshot.trunks["t"].edits
    assert found is not None
    assert [each.rows[0][0] for each in found.requests_in] == ["X-A", "X-C"]
    assert [each.rows[0][0] for each in found.responses_in] == ["X-B", "X-C"]
    assert found.requests_in[1].methods == {"BYE", "INVITE"}
    assert found.requests_out == found.responses_out == ()


def test_who_names_no_edits_has_none(folder: Folder) -> None:
    snapshot = folder.load(policy("- remove: X").replace(TRUNK, "trunks: {t: {realm: inside, media: plain}}\n")).snapshot
    assert snapshot.trunks["t"].edits is None


def test_user_agent_comes_first(folder: Folder) -> None:
    text = policy("- {set: {Server: other}}").replace("headers_out", "user_agent: Example SBC, headers_out")
    found = folder.load(text).snapshot.trunks["t"].edits
    assert found is not None
    assert edited(found.requests_out) == [("User-Agent", "Example SBC"), ("Server", "other")]
    assert edited(found.responses_out) == [("Server", "other")]
    assert found.requests_in == ()


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        ("[]", "headers.x: must not be empty"),
        ("remove: X", "headers.x: must be a list of edits: '- remove: [User-Agent]'"),
        ("- {}", "headers.x.0: say what is to be done: exactly one of keep, remove, set, add, rename, replace"),
        ("- {remove: X, add: {Y: 1}}", "headers.x.0: say what is to be done: exactly one of"),
        ("- {removed: X}", "headers.x.0: say what is to be done: exactly one of"),
        ("- {remove: X, method: [BYE]}", "headers.x.0.method: unknown key, did you mean 'methods'?"),
        ("- remove: []", "headers.x.0.remove: must not be empty"),
        ("- remove: Via", "headers.x.0.remove: Via holds the dialog or the message together: no edit reaches it"),
        ("- remove: [x, M]", "headers.x.0.remove.1: Contact holds the dialog or the message together: no edit reaches it"),
        ("- set: {t: x}", "headers.x.0.set.t: To holds the dialog or the message together: no edit reaches it"),
        ("- set: {Identity: x}", "headers.x.0.set.Identity: Identity may be removed, but its value is not ours to choose"),
        ("- add: {X-*: x}", "headers.x.0.add.X-*: 'X-*': '*' stands for many names in 'keep' and 'remove' only"),
        ('- add: {"X Y": x}', "headers.x.0.add.X Y: 'X Y' is no header name"),
        ('- add: {X: "a\\r\\nVia: x"}', "headers.x.0.add.X: a header is one line of at most 512 characters"),
        ('- add: {X: ""}', "headers.x.0.add.X: a header is one line of at most 512 characters"),
        ('- add: {X: " a"}', "headers.x.0.add.X: a header is one line"),
        ("- rename: {X: Call-ID}", "headers.x.0.rename.X: Call-ID holds the dialog or the message together: no edit reaches it"),
        ("- rename: {X-A: x-a}", "headers.x.0.rename: X-A would be called x-a, as it is already"),
        ("- replace: {header: X-A, match: '(', by: x}", "headers.x.0.replace: no regular expression of RE2: missing ): ("),
        (
            "- replace: {header: X-A, match: '(?=x)', by: x}",
            "headers.x.0.replace: no regular expression of RE2: invalid perl operator: (?=",
        ),
        ("- replace: {header: X-A, match: x, by: '\\1'}", "headers.x.0.replace: \\1 is no group of the pattern, which has 0"),
        ("- replace: {header: X-A, match: ü, by: x}", "headers.x.0.replace: a pattern has ASCII characters only"),
        (f"- replace: {{header: X-A, match: {'x' * 257}, by: x}}", "headers.x.0.replace: a pattern has at most 256 characters"),
        ('- replace: {header: X-A, match: x, by: "\\n"}', "headers.x.0.replace.by: a header is one line"),
        ("- {remove: X, methods: [INVIT]}", "headers.x.0.methods.0: 'INVIT' is none of INVITE, ACK"),
        ("- {remove: X, methods: [CANCEL]}", "headers.x.0.methods.0: 'CANCEL' is none of INVITE, ACK"),
        ("- {remove: X, messages: both}", "headers.x.0.messages: must be 'requests' or 'responses'"),
    ],
)
def test_what_may_not_be_written(folder: Folder, edits: str, problem: str) -> None:
    errors = folder.errors(policy(edits))
    assert any(problem in error for error in errors), errors


def test_names_that_do_not_fit(folder: Folder) -> None:
    text = policy("- remove: X")
    assert "trunks.t.headers_out.1: there is no list of edits 'y'" in folder.errors(text.replace("[x]", "[x, y]"))[0]
    assert "trunks.t.headers_out.1: 'x' is already in this list" in folder.errors(text.replace("[x]", "[x, x]"))[0]
    (warning,) = folder.warnings(text + "  z:\n    - remove: Y\n")
    assert "headers.z: no trunk or user names it in headers_in or headers_out: it edits nothing" in warning


NAMES = st.sampled_from([*KNOWN, "X-A", "X-B", "P-Early-Media"])


@given(st.lists(st.tuples(NAMES, st.text("ab", min_size=1)), max_size=8), st.lists(NAMES, max_size=4), st.booleans())
def test_no_edit_reaches_what_holds_the_dialog(rows: list[tuple[str, str]], names: list[str], keeps: bool) -> None:
    """Whatever is kept or removed, by name or by its beginning."""
    folded = frozenset(str(HeaderName(name)) for name in names)
    edit = Edit("keep" if keeps else "remove", folded, tuple(name[:3].lower() for name in names))
    before = Headers(rows)
    after = before.copy()
    edit.apply(after)
    assert [row for row in after if row[0] in FIXED] == [row for row in before if row[0] in FIXED]
    if keeps:
        assert [row for row in after if row[0] in TAKEN_AWAY] == [row for row in before if row[0] in TAKEN_AWAY]


def test_the_tables() -> None:
    assert {HeaderName(name) for name in ("v", "f", "t", "i", "CSeq", "m", "Route", "Record-Route", "Max-Forwards", "l")} <= FIXED
    assert not FIXED & TAKEN_AWAY
    assert FIXED | TAKEN_AWAY <= STANDARD
    assert "CANCEL" not in METHODS


def test_what_was_received_stays_as_it_was() -> None:
    request = message(("X-A", "1"))
    edits = Edits(requests_in=(Edit("remove", frozenset({"x-a"})), Edit("set", rows=(("X-B", "2"),), methods=frozenset({"BYE"}))))
    heard = edits.heard_request(request)
    assert ("X-A" in request.headers, "X-A" in heard.headers, "X-B" in heard.headers) == (True, False, False)
    assert (heard.via, heard.from_, heard.to, heard.cseq, heard.uri) == (request.via, request.from_, request.to, request.cseq, request.uri)
    assert Edits().heard_request(request) is request


def test_steps_show_before_and_after() -> None:
    edits = (
        Edit("remove", frozenset({"x-a"}), source="x: remove X-A", line="a.yaml:1"),
        Edit("set", rows=(("Subject", "b"),), source="x: set Subject: b", line="a.yaml:2"),
        Edit("add", rows=(("X-C", "c"),), methods=frozenset({"BYE"})),
        Edit("remove", frozenset({"x-z"})),
    )
    request = message(("X-A", "1"), ("X-A", "2"), ("Subject", "a"))
    found = steps(edits, request)
    assert [(step.source, step.line, step.before, step.after) for step in found] == [
        ("x: remove X-A", "a.yaml:1", ("X-A: 1", "X-A: 2"), ()),
        ("x: set Subject: b", "a.yaml:2", ("Subject: a",), ("Subject: b",)),
        ("", "", (), ()),
    ]
    assert "X-A" in request.headers


@pytest.mark.parametrize("octets", [b"\xff0049", b"caf\xc3\xa9 0049"])
def test_octets_that_are_no_text_are_edited_and_kept(octets: bytes) -> None:
    value = octets.decode(errors="surrogateescape")
    assert Expression("0049", "+49ü").replace(value).encode(errors="surrogateescape") == octets.replace(b"0049", "+49ü".encode())


def test_a_value_does_not_grow_beyond_a_header() -> None:
    value = "x" + "a" * 8000
    assert Expression("^x", "y" * 512).replace(value) == value


@pytest.mark.parametrize("pattern", ["(x+x+)+y", "(.*)*z", "x.*x.*x.*x.*x.*q", "((a|x)+)+$^", "(x{1,100}){1,10}y"])
def test_no_value_makes_a_pattern_slow(pattern: str) -> None:
    """Python's own engine is busy for longer than anybody waits with most of these."""
    found = Expression(pattern, "")
    began = time.process_time()
    found.replace("x" * 8000)
    assert time.process_time() - began < 0.2

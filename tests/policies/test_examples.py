"""The example policies load without a warning, and do what their own tests say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sbc import devcerts
from sbc.explain.testing import examine
from sbc.policy.load import load_policy

POLICIES = Path(__file__).parents[2] / "policies"
EXAMPLES = {
    "enterprise-edge": (2, 10),
    "trunk-provider": (52, 10),
    "transit": (10, 10),
    "teams-and-freepbx": (3, 10),
}


def test_all_of_them_are_here() -> None:
    assert {file.parent.name for file in (POLICIES / "examples").glob("*/sbc.yaml")} == EXAMPLES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example(tmp_path: Path, name: str) -> None:
    shutil.copytree(POLICIES / "examples" / name, tmp_path / "policies")
    devcerts.make(tmp_path / "certs", users=["office", *[f"pbx{number}" for number in range(41, 51)]])
    loaded = load_policy(tmp_path / "policies")
    assert loaded.warnings == ()
    trunks, cases = EXAMPLES[name]
    assert len(loaded.snapshot.trunks) == trunks
    examined = examine(tmp_path / "policies", loaded)
    assert list(map(str, examined.failures)) == []
    assert examined.cases >= cases


@pytest.mark.parametrize("file", sorted((POLICIES / "examples").glob("*/**/*.yaml")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_an_editor_finds_the_schema(file: Path) -> None:
    first = file.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    schema = POLICIES / ("tests.schema.json" if file.parent.name == "tests" else "schema.json")
    assert (file.parent / first.partition("=")[2]).resolve() == schema

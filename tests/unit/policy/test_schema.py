"""The committed schema is the language, and every key explains itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sbc.policy import schema

COMMITTED = Path(__file__).parents[3] / "policies" / "schema.json"


def test_the_committed_schema_is_current() -> None:
    assert COMMITTED.read_text() == schema.text(), "run: python -m sbc.policy.schema > policies/schema.json"


def properties(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if isinstance(found := node.get("properties"), dict):
            yield from found.items()
        for value in node.values():
            yield from properties(value)


def test_every_key_is_described_and_nothing_else_is_allowed() -> None:
    found = list(properties(schema.schema()))
    assert len(found) > 40
    assert [name for name, key in found if not key.get("description")] == []
    assert all(part["additionalProperties"] is False for part in schema.schema()["$defs"].values() if "properties" in part)


def test_the_schema_knows_no_null_and_no_default() -> None:
    assert '"null"' not in schema.text()
    assert '"default"' not in schema.text()

"""JSON Schema of the policy language, for editors and machines: `python -m sbc.policy.schema > policies/schema.json`."""

from __future__ import annotations

import json
import sys
from typing import Any

from sbc.policy.model import PolicyModel


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one policy file. Sections may be spread over files, so none is required here."""
    generated = plainly(PolicyModel.model_json_schema())
    assert isinstance(generated, dict)
    del generated["required"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **generated}


def text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def plainly(node: Any) -> Any:
    """Without what the language does not have: null values, and titles that only repeat the key."""
    if isinstance(node, list):
        return [plainly(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "anyOf" in node:
        choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
        node = {key: value for key, value in node.items() if key != "anyOf"}
        node |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    return {key: plainly(value) for key, value in node.items() if not (key == "title" and isinstance(value, str)) and key != "default"}


if __name__ == "__main__":
    sys.stdout.write(text())

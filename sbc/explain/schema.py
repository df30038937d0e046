"""JSON Schema of policy tests, for editors: `python -m sbc.explain.schema > policies/tests.schema.json`."""

from __future__ import annotations

import json
import sys
from typing import Literal

from pydantic import Field

from sbc.explain.cases import CaseModel
from sbc.policy.schema import plainly
from sbc.policy.words import Model


class CasesModel(Model):
    """One file of policy tests."""

    version: Literal[1] = Field(description="Of the language; always 1.")
    cases: list[CaseModel] = Field(description="Each by itself, in any order.")


def text() -> str:
    generated = plainly(CasesModel.model_json_schema())
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **generated}, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())

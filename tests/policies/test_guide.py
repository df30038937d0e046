"""What the guide shows can be written so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sbc.policy import model
from sbc.policy.document import Document
from sbc.policy.load import _validate
from sbc.policy.profile import inherit
from sbc.policy.text import Text

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "policy.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE + (DOCS / "registration.md").read_text(), re.DOTALL)
UNFINISHED = {"needs 'version: 1'", "needs 'realms'"}  # a block shows one section


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.partition(":")[0])
def test_every_block_is_valid(block: str) -> None:
    document = Document("guide")
    document.read("guide", block.encode())
    inherit(document, Text(DOCS, {}))
    _validate(document)
    assert [str(problem) for problem in document.problems if problem.what not in UNFINISHED] == []


def test_every_section_and_every_key_is_in_the_guide() -> None:
    assert len(BLOCKS) >= 9
    assert [section for section in model.PolicyModel.model_fields if f"{section}:" not in GUIDE] == []
    parties = (model.TrunkModel, model.UserModel, model.RegistrationModel, model.RegisterToModel, model.CredentialsModel)
    kinds = (model.RealmModel, model.TermsModel, *parties, model.WhenModel, model.RouteModel, model.LimitsModel, model.MediaModel)
    assert [key for kind in kinds for key in kind.model_fields if not re.search(rf"\b{key}\b", GUIDE)] == []

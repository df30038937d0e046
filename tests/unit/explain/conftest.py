from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sbc import devcerts
from sbc.explain.account import Account
from sbc.explain.asked import Assumed, Flags, asked
from sbc.explain.story import explain
from sbc.policy.load import Loaded, load_policy
from tests.world import POLICY

Told = Callable[..., Account]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "sbc.yaml").write_text(POLICY)
    devcerts.make(tmp_path / "certs", ["sbc.example.com"], users=())
    devcerts.write_new(policies / "alice.secret", b"wonderland\n", devcerts.PRIVATE_MODE)
    return policies


@pytest.fixture
def loaded(folder: Path) -> Loaded:
    return load_policy(folder)


@pytest.fixture
def told(loaded: Loaded) -> Told:
    """The account of a call: `told("0301", trunk="office")`."""

    def tell(to: str, assumed: Assumed | None = None, **flags: object) -> Account:
        question = asked(loaded.snapshot, Flags(to, **flags), assumed or Assumed())  # type: ignore[arg-type]
        return explain(loaded.snapshot, loaded.places, question)

    return tell

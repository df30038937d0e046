from __future__ import annotations

from pathlib import Path

import pytest

from sbc.policy.problems import PolicyErrors
from tests.unit.identity import pki
from tests.unit.policy.conftest import MINIMAL, Folder
from tests.vectors.test_passport import HERE

PKI = HERE / "pki"
CARRIER = "trunks:\n  carrier: {realm: inside, accept_from: [10.9.0.1], media: plain, verify: tag}\n"


def identity(**keys: object) -> str:
    return "identity: {" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}\n"


def test_whose_signatures_count(folder: Folder) -> None:
    good = identity(
        roots=PKI / "root.cert.pem", revoked=PKI / "sti-pa.crl.der", revoked_by=PKI / "sti-pa-crl-issuer.cert.pem", patience="1s"
    )
    snapshot = folder.load(MINIMAL + CARRIER + good).snapshot
    assert snapshot.identity is not None
    assert snapshot.identity.patience == 1.0
    assert snapshot.trunks["carrier"].verify == "tag"
    assert folder.load(MINIMAL).snapshot.identity is None


def test_nobody_waits_for_long(folder: Folder) -> None:
    snapshot = folder.load(MINIMAL + identity(roots=PKI / "root.cert.pem")).snapshot
    assert snapshot.identity is not None
    assert snapshot.identity.patience == 0.5
    with pytest.raises(PolicyErrors, match="from 100ms to 2s"):
        folder.load(MINIMAL + identity(roots=PKI / "root.cert.pem", patience="30s"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CARRIER, "trunks.carrier.verify: by whose certificates? Say so under 'identity: {roots: FILE}'"),
        (identity(roots="/none"), "identity.roots: /none: No such file or directory"),
        (identity(roots=HERE / "shaken_cases.json"), "holds no readable PEM certificate"),
        (identity(roots=PKI / "root.cert.pem", revoked=PKI / "sti-pa.crl.der"), "not signed by its issuer"),
        (identity(roots=PKI / "root.cert.pem", revoked="/none"), "identity.revoked: /none: No such file"),
        (identity(roots=PKI / "root.cert.pem", root="x"), "unknown key, did you mean 'roots'?"),
        (identity(patience="1s"), "needs 'roots'"),
        (identity(roots=PKI / "root.cert.pem", patience="soon"), "identity.patience"),
    ],
)
def test_what_is_wrong_is_said(folder: Folder, text: str, says: str) -> None:
    with pytest.raises(PolicyErrors) as errors:
        folder.load(MINIMAL + text)
    assert says in str(errors.value)


def test_a_list_that_is_out_of_date_is_a_warning(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(pki.pem((root := pki.Authority()).certificate))
    (tmp_path / "old.crl").write_bytes(root.revoked(ends=-10 * 365 * 86400))
    loaded = folder.load(MINIMAL + identity(roots=tmp_path / "root.pem", revoked=tmp_path / "old.crl"))
    assert any("out of date" in str(warning) for warning in loaded.warnings)

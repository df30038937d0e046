"""What the doctor says of our signatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from sbc import devcerts
from sbc.doctor import signing
from sbc.frozen import replace
from sbc.policy.load import load_policy
from sbc.policy.snapshot import Snapshot
from tests.unit.identity import pki
from tests.unit.net.test_signer import policy

URL = "https://localhost:8443/stir.pem"


def signs(folder: Path, extra: str = "") -> Snapshot:
    return load_policy(policy(folder, f"identity: {{sign: {{certificate: stir, url: '{URL}'}}{extra}}}\n")).snapshot


def found(snapshot: Snapshot) -> list[str]:
    return [str(finding) for finding in signing.found(snapshot, replace(snapshot.trunks["carrier"], sign="A"))]


def test_who_does_not_sign_hears_nothing(tmp_path: Path) -> None:
    snapshot = signs(tmp_path)
    assert not list(signing.found(snapshot, snapshot.trunks["carrier"]))


def test_good_but_not_published(tmp_path: Path) -> None:
    file, believed, published = found(signs(tmp_path, ", roots: ../certs/sti-ca.pem"))
    assert file.startswith(f"good  calls are signed with {tmp_path}/certs/stir.pem, for the numbers of {devcerts.PROVIDER}, until ")
    assert believed == f"good  whoever trusts {tmp_path}/policies/../certs/sti-ca.pem believes it"
    assert published.startswith(f"wrong verifiers do not find it at {URL} (localhost leads inside")
    assert str(signing.published(URL, "")) == f"good  verifiers find it at {URL}"


@pytest.mark.parametrize(("days", "said"), [(5, "note "), (-1, "wrong")])
def test_near_its_end(tmp_path: Path, days: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devcerts, "VALID_DAYS", days if days > 0 else 0)
    assert found(signs(tmp_path))[0].startswith(f"{said} calls are signed with")


def test_an_authority_that_others_trust(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_bytes(pki.pem(pki.Authority().certificate))
    assert found(signs(tmp_path, f", roots: {tmp_path}/roots.pem"))[1].startswith("wrong whoever trusts")

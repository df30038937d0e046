"""Development certificates are usable, private, and never replaced."""

from __future__ import annotations

import ipaddress
import stat
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store

from sbc import devcerts
from sbc.identity.credential import Trust, credential


def certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def test_the_edge_certificate_verifies_by_name_and_address(tmp_path: Path) -> None:
    devcerts.make(tmp_path, ["sbc.example.net", "2001:db8::1"])
    verify = PolicyBuilder().store(Store([certificate(tmp_path / "ca.pem")]))
    edge = certificate(tmp_path / "edge.pem")
    for name in ("localhost", "sbc.example.net"):
        verify.build_server_verifier(x509.DNSName(name)).verify(edge, [])
    for address in ("127.0.0.1", "2001:db8::1"):
        verify.build_server_verifier(x509.IPAddress(ipaddress.ip_address(address))).verify(edge, [])
    with pytest.raises(x509.verification.VerificationError):
        verify.build_server_verifier(x509.DNSName("other.example.net")).verify(edge, [])
    assert isinstance(edge.public_key(), ec.EllipticCurvePublicKey)
    assert (edge.not_valid_after_utc - edge.not_valid_before_utc).days == devcerts.VALID_DAYS


def test_a_development_authority_lets_us_sign(tmp_path: Path) -> None:
    made = devcerts.make_stir(tmp_path)
    assert [file.name for file in made] == ["sti-ca.pem", "sti-ca.key", "stir.pem", "stir.key"]
    found = credential([certificate(tmp_path / "stir.pem")], Trust((certificate(tmp_path / "sti-ca.pem"),)), time.time())
    assert found.authority.codes == (devcerts.PROVIDER,)
    assert devcerts.make_stir(tmp_path) == []
    (tmp_path / "stir.pem").unlink()
    with pytest.raises(FileExistsError):
        devcerts.make_stir(tmp_path)
    assert devcerts.main([str(tmp_path / "other"), "--stir"]) == 0
    assert (tmp_path / "other" / "stir.key").exists()
    assert devcerts.main(["--stir"]) == 2


def test_private_files_are_private(tmp_path: Path) -> None:
    devcerts.make(tmp_path)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == {"ca.pem": 0o644, "ca.key": 0o600, "edge.pem": 0o644, "edge.key": 0o600, "alice.secret": 0o600}


def test_what_exists_stays_and_what_is_missing_is_made(tmp_path: Path) -> None:
    assert len(devcerts.make(tmp_path)) == 5
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert devcerts.make(tmp_path) == []
    assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for half in ("edge.pem", "edge.key"):
        (tmp_path / half).unlink()
    assert devcerts.make(tmp_path) == [tmp_path / "edge.pem", tmp_path / "edge.key"]
    assert (tmp_path / "ca.pem").read_bytes() == before["ca.pem"]


def test_half_a_pair_is_not_completed_with_something_else(tmp_path: Path) -> None:
    devcerts.make(tmp_path)
    (tmp_path / "ca.key").unlink()
    with pytest.raises(FileExistsError, match=r"ca\.pem exists but .*ca\.key does not"):
        devcerts.make(tmp_path)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert devcerts.main([str(tmp_path / "certs"), "sbc.example.net"]) == 0
    assert capsys.readouterr().out.count("created ") == 5
    assert devcerts.main([]) == 2
    (tmp_path / "certs" / "ca.pem").unlink()
    assert devcerts.main([str(tmp_path / "certs")]) == 1

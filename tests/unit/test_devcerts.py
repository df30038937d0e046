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

from sbc import cli, devcerts
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


def test_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def certs(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["sbc", "certs", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(str(ended.value.code or 0))

    folder = tmp_path / "certs"
    assert certs("sbc.example.net", "--folder", str(folder), "--user", "alice", "--user", "bob") == 0
    assert capsys.readouterr().out.count("created ") == 6
    alternatives = certificate(folder / "edge.pem").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "sbc.example.net" in alternatives.get_values_for_type(x509.DNSName)
    assert certs("--folder", str(folder), "--stir") == 0
    assert [line.rpartition("/")[2] for line in capsys.readouterr().out.splitlines()] == [
        "sti-ca.pem",
        "sti-ca.key",
        "stir.pem",
        "stir.key",
    ]
    (folder / "ca.pem").unlink()
    assert certs("--folder", str(folder)) == 1
    assert "ca.pem does not" in capsys.readouterr().err

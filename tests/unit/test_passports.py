from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from sbc import cli
from tests.vectors.test_passport import CASES, HERE

NOW = "1767225600"
ROOTS = str(HERE / "pki" / "root.cert.pem")
CHAIN = str(HERE / "pki" / "leaf-spc1234.chain.pem")
INVITE = """\
INVITE sip:+12155550131@sbc.example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1
Max-Forwards: 70
From: <sip:+12155550121@example.net>;tag=1
To: <sip:+12155550131@sbc.example.com>
Call-ID: 1
CSeq: 1 INVITE
Identity: {identity}
Content-Length: 0

"""


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["sbc", "identity", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def message(tmp_path: Path) -> Path:
    path = tmp_path / "invite"
    path.write_text(INVITE.format(identity=CASES["ok-A"]["identity"][0]))
    return path


def test_a_message_is_verified(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], message: Path) -> None:
    assert run(monkeypatch, "verify", message, "--roots", ROOTS, "--certificate", CHAIN, "--at", NOW) == 0
    said = capsys.readouterr().out
    assert "attestation A" in said
    assert said.endswith("TN-Validation-Passed\n")
    assert run(monkeypatch, "verify", message, "--roots", ROOTS, "--certificate", CHAIN) == 1
    assert "403 Stale Date" in capsys.readouterr().out
    assert run(monkeypatch, "verify", message, "--roots", ROOTS, "--at", NOW) == 1
    assert "give it with --certificate" in capsys.readouterr().out


def test_what_is_signed_is_explained_and_verified(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    key = HERE / "pki" / "leaf-spc1234.key.pem"
    numbers = ("--orig", "+12155550121", "--dest", "+12155550131", "--at", NOW)
    assert run(monkeypatch, "sign", "--key", key, "--x5u", "https://certs.example.org/1.pem", "--attest", "B", *numbers) == 0
    header = capsys.readouterr().out.strip()
    assert run(monkeypatch, "explain", header) == 0
    claims = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("claims "))
    assert json.loads(claims.removeprefix("claims "))["attest"] == "B"
    path = tmp_path / "invite"
    path.write_text(INVITE.format(identity=header.removeprefix("Identity: ")))
    assert run(monkeypatch, "verify", path, "--roots", ROOTS, "--certificate", CHAIN, "--at", NOW) == 0


def test_a_certificate_is_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "certificate", CHAIN, "--roots", ROOTS, "--at", NOW) == 0
    assert "for the numbers of 1234" in capsys.readouterr().out
    untrusted = HERE / "pki" / "leaf-untrusted.chain.pem"
    assert run(monkeypatch, "certificate", untrusted, "--roots", ROOTS, "--at", NOW) == 1
    assert "437 Unsupported Credential" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "nonsense"),
        ("verify", "/none", "--roots", ROOTS),
        ("certificate", "/none"),
        ("certificate", str(HERE / "shaken_cases.json")),
        ("sign", "--key", ROOTS, "--x5u", "https://a/b"),
        ("sign", "--key", str(HERE / "pki" / "leaf-p384.key.pem"), "--x5u", "https://a/b", "--orig", "1", "--dest", "2"),
        ("sign", "--key", str(HERE / "pki" / "leaf-spc1234.key.pem"), "--x5u", "https://a/b"),
        ("sign", "--key", str(HERE / "pki" / "leaf-spc1234.key.pem"), "--x5u", "https://a/b", "--claims", "[]"),
    ],
)
def test_mistakes_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert run(monkeypatch, *arguments) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1

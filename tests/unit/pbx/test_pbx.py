"""What `sbc pbx-config` prints, whole: change it on purpose, with `SBC_GOLDEN=write pytest tests/unit/pbx`, and read the difference."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sbc import devcerts, pbx
from sbc.errors import ConfigError
from sbc.policy.load import Loaded, load_policy

GOLDEN = Path(__file__).parent / "golden"
SECRET = "correct; horse"

POLICY = """\
version: 1
realms:
  outside:
    signalling: [udp://10.0.1.10:5060, tls://10.0.1.10:5061]
    advertise: 203.0.113.10
    relay: {address: 10.0.1.10, ports: 20000-29999}
    certificate: edge
    domains: [sbc.example.net]
  mutual:
    signalling: ["tls://[2001:db8::10]:5071"]
    relay: {address: "2001:db8::10", ports: 20000-29999}
    certificate: edge
    client_certificates: required
    domains: [sbc.example.net]
    digest: [SHA-256]
    registration: {longest: 30m}
  inside:
    signalling: [udp://10.0.0.10:5080]
    relay: {address: 10.0.0.10, ports: 30000-39999}
trunks:
  office:
    realm: outside
    accepts_registration: {user: office, password: {file: ../certs/office.secret}}
    numbers: ["+493012340", "+49301234*"]
    media: encrypted
    limits: office
  browserlike:
    realm: mutual
    accepts_registration: {user: desk, password: {env: SBC_TEST_DESK}}
    media: dtls
  hotel: {realm: inside, accept_from: [10.0.0.99], peer: "sip:10.0.0.99", media: plain}
  through: {realm: outside, accepts_registration: {user: branch, register_at: hotel}, media: perhaps}
  carrier: {realm: inside, peer: "sip:10.0.0.2", media: plain}
media:
  encrypted: {srtp: [sdes, dtls], codecs: [PCMA, PCMU, G729, opus, telephone-event]}
  dtls: {srtp: dtls, codecs: [PCMA]}
  plain: {srtp: off, codecs: [PCMU, telephone-event], fax: pass}
  perhaps: {srtp: optional, codecs: [G722, AMR, telephone-event]}
limits:
  office: {calls: 30}
emergency: {outside: none, inside: none, mutual: none}
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    monkeypatch.setenv("SBC_TEST_DESK", "env-secret")
    monkeypatch.chdir(tmp_path)
    Path("policies").mkdir()
    Path("policies/sbc.yaml").write_text(POLICY)
    devcerts.make(tmp_path / "certs", ["sbc.example.net"], users=())
    devcerts.write_new(tmp_path / "certs" / "office.secret", f"{SECRET}\n".encode(), devcerts.PRIVATE_MODE)
    return load_policy(Path("policies"))


@pytest.fixture
def told(loaded: Loaded, tmp_path: Path) -> Callable[..., str]:
    def text(make: str, trunk: str, *, show_password: bool = False) -> str:
        whole = pbx.text(make, loaded, trunk, show_password=show_password, authority="/etc/asterisk/keys/sbc-ca.pem")
        return whole.replace(f"{tmp_path}/", "")

    return text


@pytest.mark.parametrize("trunk", ["office", "browserlike", "hotel", "through"])
@pytest.mark.parametrize("make", ["asterisk", "freepbx", "3cx"])
def test_golden(told: Callable[..., str], make: str, trunk: str) -> None:
    file = GOLDEN / f"{make}-{trunk}.txt"
    text = told(make, trunk)
    if os.environ.get("SBC_GOLDEN") == "write":
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("make", ["asterisk", "freepbx", "3cx"])
def test_the_password_is_printed_when_asked_for_only(told: Callable[..., str], make: str) -> None:
    assert "horse" not in told(make, "office")
    assert "(password: certs/office.secret)" in told(make, "office")
    assert "(password: environment variable SBC_TEST_DESK)" in told(make, "browserlike")
    assert "correct" in told(make, "office", show_password=True)
    assert "not shown" not in told(make, "office", show_password=True)


def test_a_semicolon_of_a_password_does_not_begin_a_comment(told: Callable[..., str]) -> None:
    assert "password=correct\\; horse\n" in told("asterisk", "office", show_password=True)


def test_an_asterisk_that_was_refused_comes_back(told: Callable[..., str]) -> None:
    for line in ("auth_rejection_permanent=no", "forbidden_retry_interval=60", "fatal_retry_interval=60", "line=yes", "endpoint=office"):
        assert f"\n{line}\n" in told("asterisk", "office")


def test_what_cannot_be_is_said(told: Callable[..., str], loaded: Loaded) -> None:
    with pytest.raises(ConfigError, match="none of the makes known here: asterisk, freepbx, 3cx"):
        told("avaya", "office")
    with pytest.raises(ConfigError, match="no trunk 'offce'; there are: office, browserlike"):
        told("asterisk", "offce")
    with pytest.raises(ConfigError, match="'carrier' is only called"):
        told("asterisk", "carrier")


def test_a_name_that_the_certificate_does_not_have_is_said(loaded: Loaded, tmp_path: Path) -> None:
    Path("policies/sbc.yaml").write_text(POLICY.replace("sbc.example.net", "other.example.net"))
    text = pbx.text("asterisk", load_policy(Path("policies")), "office", show_password=False, authority="ca")
    assert "; The PBX will refuse us: our certificate is for " in text
    assert ", not for other.example.net" in text


def test_a_public_authority_needs_no_copy(loaded: Loaded, tmp_path: Path) -> None:
    (tmp_path / "certs" / "ca.pem").unlink()
    text = pbx.text("asterisk", load_policy(Path("policies")), "office", show_password=False, authority="ca")
    assert "ca_list_file=/etc/ssl/certs/ca-certificates.crt\n" in text
    assert "Copy" not in text

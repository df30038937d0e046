from __future__ import annotations

from pathlib import Path

import pytest

from sbc.shield.scanners import scanner_sign
from sbc.sip.message import Request
from sbc.sip.parse import Malformed, parse_datagram

SCANNERS = ("scanner_friendly.sip", "attack_sqli_user.sip", "attack_header_injection.sip")
SAMPLES = Path(__file__).parents[2] / "vectors"


def request(
    method: str = "OPTIONS", user: str = "100", agent: str = "", caller: str = '"1000" <sip:1000@192.0.2.1>', callee: str = ""
) -> Request:
    rows = [
        f"{method} sip:{user}@192.0.2.1 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1",
        f"From: {caller};tag=1",
        f"To: {callee or f'<sip:{user}@192.0.2.1>'}",
        "Call-ID: 1",
        f"CSeq: 1 {method}",
        *([f"User-Agent: {agent}"] if agent else []),
    ]
    parsed = parse_datagram("\r\n".join([*rows, "", ""]).encode())
    assert isinstance(parsed, Request)
    return parsed


@pytest.mark.parametrize(
    "asked",
    [
        request(agent="friendly-scanner"),
        request(agent="Sipvicious 0.3.4"),
        request(agent="sipcli/v1.8"),
        request(agent="VaxSIPUserAgent/3.1"),
        request(agent="sundayddr"),
        request(user="nm", caller="<sip:nm@nm>"),
        request(caller='"sipvicious" <sip:100@1.1.1.1>'),
        request(callee='"SIPVicious" <sip:100@1.1.1.1>'),
        request("INVITE", user="a%27or%273=3--"),
        request("REGISTER", user="%22%3E%3Cscript%3E"),
        request("INVITE", user="..%2F..%2Fetc"),
    ],
    ids=str,
)
def test_FRD_09_scanners_say_so(asked: Request) -> None:
    assert scanner_sign(asked)


@pytest.mark.parametrize(
    "asked",
    [
        request(),
        request(agent="Asterisk PBX 20.4.0"),
        request(agent="sipsak 0.9.8.1"),
        request("INVITE", user="+4930123456;npdi;rn=+4912"),
        request("INVITE", user="9011972592277524"),
        request("INVITE", user="anne-marie.o%2Bx"),
        request("INVITE", user="*72#"),
    ],
    ids=str,
)
def test_who_is_none(asked: Request) -> None:
    assert scanner_sign(asked) == ""


def test_real_phones_and_carriers_are_none() -> None:
    seen = 0
    for path in SAMPLES.rglob("*.sip"):
        try:
            message = parse_datagram(path.read_bytes())
        except Malformed:
            continue
        if isinstance(message, Request):
            seen += 1
            assert (scanner_sign(message) != "") == (path.name in SCANNERS), path
    assert seen > 20

"""`sbc attack-sim` has targets of our own, and no others."""

from __future__ import annotations

import json
import socket

import pytest

from sbc.errors import ConfigError
from sbc.probe import attack
from sbc.shield.scanners import scanner_sign
from sbc.shield.shield import has_shape
from sbc.sip.message import Request
from sbc.sip.parse import Malformed, parse_datagram

OURS = ("127.0.0.1", 5060)


def refusal(kind: str = "options", target: str = "127.0.0.1:9", rate: int = 10, source: str = "") -> str:
    with pytest.raises(ConfigError) as refused:
        attack.main(kind, target, rate, 0.05, source, True, lambda line: None)
    return str(refused.value)


def test_only_our_own_addresses_are_targets() -> None:
    assert "127.0.0.1" in attack.own_addresses()
    for target in ("192.0.2.1:5060", "[2001:db8::1]:5060", "8.8.8.8", "sip.example.com:5060"):
        assert "is no address of this machine or of its network namespaces" in refusal(target=target)
    assert "there is none of that name; there are invite," in refusal("ddos")
    assert "not an address with a port" in refusal(target="127.0.0.1:x")
    assert "--rate is from 1 to 100000" in refusal(rate=1_000_000)
    assert "--from 192.0.2.9" in refusal(source="192.0.2.9")


def test_what_a_flood_sends_arrives() -> None:
    lines: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target:
        target.bind(("127.0.0.1", 0))
        target.settimeout(2)
        attack.main("options", f"127.0.0.1:{target.getsockname()[1]}", 1000, 0.05, "", True, lines.append)
        assert target.recv(2000).startswith(b"OPTIONS sip:100@127.0.0.1 SIP/2.0\r\n")
    told = json.loads(lines[0])
    assert (told["kind"], told["answered"]) == ("options", 0)
    assert told["sent"] > 5


@pytest.mark.parametrize("make", [attack._invite, attack._register, attack._options, attack._scan])
def test_requests_are_requests(make: attack.Make) -> None:
    parsed = parse_datagram(make(OURS, 7))
    assert isinstance(parsed, Request)
    assert bool(scanner_sign(parsed)) == (make is attack._scan)


def test_and_the_malformed_are_not() -> None:
    bad = 0
    for number in range(30):
        try:
            parse_datagram(attack._malformed(OURS, number))
        except Malformed:
            bad += 1
    assert bad >= 20
    assert not any(has_shape(make(OURS, number)) for make in (attack._garbage, attack._long) for number in range(1, 30))

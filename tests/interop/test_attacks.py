"""Attacks on the SBC while known peers call through it: their calls do not notice, and what strangers may cost stays bounded.

The short form of tests/bench/attack.py: seconds instead of half a minute each, and rates that a busy machine can send.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sbc.shield.shield import MEMORY_BOUND
from tests.bench import siege
from tests.bench.generator import LoadResult
from tests.bench.hostile import datagram
from tests.bench.siege import besieged, forgive, hostile, storm
from tests.interop import namespaces
from tests.interop.namespaces import Lab
from tests.interop.server import ROOT, Server
from tests.interop.wait import until

SECONDS = 0.5  # how long one attack lasts
EACH = 1.0  # seconds of one attack, with the start of its process
ANSWERS = 20 + 5 * 15  # what one source may hear at once, and a second
FLOOD, CONNECTIONS = 5_000, 300  # a second: 20,000 and 1,000 in tests/bench/attack.py
OTHER = "10.99.1.10"  # of the attacker, too
SETUP_MS = 500.0  # p99, before a caller would say it again; the machine does other things meanwhile
LOST = 0.01  # of the media, ten times what the bench allows, for the same reason


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with besieged(tmp_path_factory.mktemp("attacked")) as running:
        running.lab.attacker.run(["ip", "addr", "add", f"{OTHER}/24", "dev", "outside"])
        yield running


@pytest.fixture(autouse=True)
def forgiven(attacked: Server) -> Iterator[None]:
    yield
    forgive(attacked, attacked.lab.attacker.address)


def _sbc(lab: Lab, *arguments: str, within: namespaces.Namespace) -> str:
    return within.run([sys.executable, "-P", "-m", "sbc", *arguments])


def under(attacked: Server, attack: Callable[[], object], seconds: float = 2.0) -> LoadResult:
    """Calls while `attack` runs; they all have to succeed, and memory has to stay where it is."""
    before = attacked.status()["memory_mib"]
    noticed = siege.under(attacked, seconds, attack)
    result = noticed.load
    assert result.failed == {}
    assert result.completed == result.offered
    assert result.setup_p99_ms < SETUP_MS
    assert result.media_lost < LOST
    assert [half.strange for half in result.spoken] == [0, 0]
    assert noticed.peak - before < MEMORY_BOUND / 2**20
    return result


def simulated(attacked: Server, kind: str, rate: int, port: int = 5060, seconds: float = SECONDS, source: str = "") -> dict[str, Any]:
    lab = attacked.lab
    options = ("--rate", str(rate), "--seconds", f"{seconds:g}", "--json", *(("--from", source) if source else ()))
    told: dict[str, Any] = json.loads(_sbc(lab, "attack-sim", kind, f"{lab.outside}:{port}", *options, within=lab.attacker))
    return told


def test_OVL_05_floods_of_datagrams(attacked: Server) -> None:
    kinds = ("invite", "register", "options", "malformed", "garbage", "fragments", "scan")
    told: list[dict[str, Any]] = []
    under(attacked, lambda: told.extend(simulated(attacked, kind, FLOOD) for kind in kinds), seconds=len(kinds) * EACH)
    assert [each["kind"] for each in told if each["sent"] < FLOOD * SECONDS / 4] == []
    assert sum(each["answered"] for each in told) <= ANSWERS, "the one stateless challenge, within its budget, and nothing else"
    assert f"source={attacked.lab.attacker.address}" not in attacked.log, "datagrams prove nothing"


def test_OVL_05_floods_of_connections(attacked: Server) -> None:
    kinds = (("connections", 5060), ("handshakes", 5061), ("slow", 5060), ("slow", 5061), ("slow", 5080))
    told: list[dict[str, Any]] = []
    under(attacked, lambda: told.extend(simulated(attacked, kind, CONNECTIONS, port) for kind, port in kinds), seconds=len(kinds) * EACH)
    assert [each["kind"] for each in told if each["sent"] < CONNECTIONS * SECONDS / 4] == []
    assert attacked.status()["connections"] <= 600, "of one source: StreamLimits.connections_per_source, and those of the calls"


def test_OVL_05_floods_of_packets_that_begin_something_and_spoofed_ones(attacked: Server) -> None:
    """SYNs, first fragments and RTP of all the world, and messages by SIPp that are none."""
    lab = attacked.lab
    told: list[tuple[int, int]] = []
    before = _bans(attacked)

    def attack() -> None:
        told.extend(hostile(lab, kind, FLOOD, port, SECONDS) for kind, port in (("syn", 5060), ("pieces", 5060), ("inject", 20000)))
        told.append(storm(lab, FLOOD, 1.0))

    under(attacked, attack, seconds=3.0)
    assert all(done > FLOOD * SECONDS / 4 for done, _ in told)
    assert _bans(attacked) == before, "none of it proves who sent it"


def test_TLS_01_handshakes_that_go_on(attacked: Server) -> None:
    """Nobody negotiates again; whoever changes keys on and on is banned for it."""
    lab = attacked.lab
    told: list[tuple[int, int]] = []
    kinds = (("renegotiation", CONNECTIONS), ("key-updates", 100_000))  # as many as it gets
    under(attacked, lambda: told.extend(hostile(lab, kind, rate, 5061, SECONDS) for kind, rate in kinds))
    (renegotiated, allowed), (updates, _) = told
    assert renegotiated > 0
    assert allowed == 0
    assert updates > 0
    assert "why=rekeying" in _bans(attacked)[-1]


def test_AUTH_07_whoever_guesses_passwords_is_banned_and_dropped(attacked: Server) -> None:
    """From an address that nothing else came from: one in whose name datagrams came is let through once a second."""
    lab = attacked.lab
    under(attacked, lambda: simulated(attacked, "crack", 200, seconds=1.0, source=OTHER))
    (line,) = [line for line in attacked.log.splitlines() if " banned " in line and f"source={OTHER}" in line]
    assert "unknown_user:" in line
    assert "proof=digest" in line
    until(lambda: OTHER in lab.sbc.run(["nft", "list", "set", "inet", _table(lab), "banned4"]), 3, "not in the kernel")


def test_FRD_09_sipvicious_finds_nothing(attacked: Server) -> None:
    lab = attacked.lab

    def vicious() -> list[str]:
        commands = (
            ["svmap", lab.outside],
            ["svwar", "-e100-400", "-mREGISTER", lab.outside],
            ["svwar", "-e100-400", "-mINVITE", lab.outside],
            ["svcrack", "-ualice", "-r100-400", lab.outside],
        )
        return [_ended(lab, command) for command in commands]

    told: list[str] = []
    under(attacked, lambda: told.extend(vicious()))
    assert not any("alice" in line for line in told[1].splitlines() + told[2].splitlines())
    assert lab.outside not in told[0], "it is not even there"
    assert "Password" not in told[3] or "found" not in told[3]


def _ended(lab: Lab, command: list[str]) -> str:
    """What it said, within a second."""
    try:
        return lab.attacker.run(["timeout", "1", *command], timeout=10)
    except subprocess.CalledProcessError as error:
        return f"{error.stdout}{error.stderr}"


def test_OVL_06_whoever_writes_a_carriers_address_on_its_packets_bans_nobody(attacked: Server) -> None:
    """Scans, garbage and wrong passwords in the name of the PBX that calls meanwhile."""
    lab = attacked.lab
    wrong = (
        f"REGISTER sip:{lab.outside} SIP/2.0\r\nVia: SIP/2.0/UDP 10.99.1.2:5999;branch=z9hG4bKspoof%d\r\nFrom: <sip:alice@x>;tag=1\r\n"
        f"To: <sip:alice@{lab.outside}>\r\nCall-ID: spoof%d\r\nCSeq: 1 REGISTER\r\nUser-Agent: friendly-scanner\r\n"
        f'Authorization: Digest username="alice", realm="{lab.outside}", nonce="1.2", uri="sip:{lab.outside}", qop=auth, nc=00000001, '
        'cnonce="1", response="00000000000000000000000000000000", algorithm=MD5\r\nContent-Length: 0\r\n\r\n'
    )

    def spoof() -> None:
        raw = lab.attacker.within(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
        with raw:
            for number in range(2000):
                data = b"\xff" * 100 if number % 2 else (wrong % (number, number)).encode()
                raw.sendto(datagram(lab.phone.address, lab.outside, 5060, data), (lab.outside, 0))

    under(attacked, spoof)
    assert f"source={lab.phone.address}" not in attacked.log
    assert lab.phone.address not in lab.sbc.run(["nft", "list", "set", "inet", _table(lab), "banned4"])


def _bans(attacked: Server) -> list[str]:
    return [line for line in attacked.log.splitlines() if " banned " in line]


def _table(lab: Lab) -> str:
    listed = json.loads(lab.sbc.run(["nft", "-j", "list", "tables"]))["nftables"]
    return next(str(each["table"]["name"]) for each in listed if "table" in each)


def test_RTP_03_speech_into_other_peoples_calls(attacked: Server) -> None:
    """RTP to all media ports of all calls: dropped, counted for each of them, and nothing comes back."""
    before, told = len(attacked.records()), dict[str, Any]()
    result = under(attacked, lambda: told.update(simulated(attacked, "rtp", FLOOD, 20000, 2.0)), seconds=3.0)
    assert told["answered"] == 0
    sides = [record[side] for record in attacked.records(before + result.completed)[before:] for side in ("a", "b")]
    assert sum(side["media"]["wrong_source"] for side in sides) > 0  # type: ignore[index]


def test_attack_sim_has_no_other_targets(attacked: Server) -> None:
    for target in ("192.0.2.1:5060", "8.8.8.8", "sip.example.com"):
        command = [sys.executable, "-P", "-m", "sbc", "attack-sim", "options", target]
        refused = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert refused.returncode == 1
        assert "attack-sim" in refused.stderr
        assert "no address of this machine" in refused.stderr


def test_after_all_of_it_nothing_is_left(attacked: Server) -> None:
    until(lambda: attacked.status()["connections"] == 0, 20, "connections are left")
    status = attacked.status()
    assert status["calls"] == status["relays"] == 0
    assert Path(attacked.folder / "log").stat().st_size < 5 * 2**20, "an attack is no way to fill a disk"

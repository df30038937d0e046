"""nftables drops proven attackers, in a table of ours, for as long as we live; without the privilege we do it ourselves."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.interop.namespaces import Lab, Namespace
from tests.interop.server import POLICY, ROOT, Server, serve
from tests.interop.wait import until

SCAN = (
    b"OPTIONS sip:100@%(to)s SIP/2.0\r\nVia: SIP/2.0/%(by)s %(by_address)s:5999;branch=z9hG4bK%(n)d\r\nFrom: <sip:a@x>;tag=1\r\n"
    b"To: <sip:100@%(to)s>\r\nCall-ID: %(n)d\r\nCSeq: 1 OPTIONS\r\nUser-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n"
)
KNOWN_PBX = POLICY.replace("{attacker}", "10.99.1.2")  # the PBX is where the phone is: the attacker is a stranger


def scan(by: bytes, host: Namespace, lab: Lab, number: int = 1) -> bytes:
    return SCAN % {b"to": lab.outside.encode(), b"by": by, b"by_address": host.address.encode(), b"n": number}


def scan_over_tcp(lab: Lab, host: Namespace) -> None:
    with host.socket(socket.SOCK_STREAM) as sock:
        sock.settimeout(5)
        sock.connect((lab.outside, 5060))
        sock.sendall(scan(b"TCP", host, lab))
        sock.recv(1000)


def tables(lab: Lab) -> list[str]:
    listed = json.loads(lab.sbc.run(["nft", "-j", "list", "tables"]))["nftables"]
    return [each["table"]["name"] for each in listed if "table" in each]


def asked(running: Server, *question: str) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "sbc", *question, "--socket", str(running.folder / "sbc.sock"), "--json"]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)
    return found


@pytest.fixture
def banned(lab: Lab, tmp_path: Path) -> Any:
    with serve(lab, tmp_path / "sbc", KNOWN_PBX) as running:
        until(lambda: "banned_are_dropped" in running.log, 5, "nothing is said of the kernel")
        yield running


def test_OVL_05_a_proven_attacker_is_dropped_by_the_kernel(lab: Lab, banned: Server) -> None:
    assert "by=nftables" in banned.log
    (table,) = tables(lab)
    assert table.startswith("sbc_")
    scan_over_tcp(lab, lab.attacker)
    until(lambda: " banned " in banned.log, 5, "no ban")
    until(lambda: lab.attacker.address in lab.sbc.run(["nft", "list", "set", "inet", table, "banned4"]), 5, "not in the kernel")
    before = banned.status()
    with lab.attacker.socket(socket.SOCK_DGRAM) as sock:
        for number in range(500):
            sock.sendto(scan(b"UDP", lab.attacker, lab, number), (lab.outside, 5060))
    view = until(lambda: next((each for each in asked(banned, "bans")["bans"] if each["dropped"]), None), 12, "no counter came back")
    assert (view["source"], view["why"], view["proof"]) == (lab.attacker.address, "scanner", "connection")
    assert view["dropped"] >= 500
    assert asked(banned, "why", lab.attacker.address)["standing"]["standing"] == "banned"
    assert banned.status()["memory_mib"] - before["memory_mib"] < 2
    with lab.phone.socket(socket.SOCK_STREAM) as other:
        other.settimeout(5)
        other.connect((lab.outside, 5060))
    assert asked(banned, "unban", lab.attacker.address)["standing"] == "unknown"
    until(lambda: lab.attacker.address not in lab.sbc.run(["nft", "list", "set", "inet", table, "banned4"]), 5, "still in the kernel")
    scan_over_tcp(lab, lab.attacker)
    until(lambda: banned.log.count(" banned ") == 2, 5, "it is let in, and banned again")


def test_the_table_is_ours_alone_comes_back_and_goes(lab: Lab, banned: Server) -> None:
    lab.sbc.run(["nft", "add table inet others; add chain inet others c { type filter hook input priority 0; }"])
    (ours,) = set(tables(lab)) - {"others"}
    scan_over_tcp(lab, lab.attacker)
    until(lambda: (banned.folder / "bans.json").exists(), 5, "the ban is not kept")
    banned.restart(signal.SIGKILL)
    until(lambda: banned.log.count("banned_are_dropped") == 2, 5, "nothing is said of the kernel")
    assert sorted(tables(lab)) == sorted([ours, "others"]), "the table of the one that was killed is the one it has"
    assert "bans_restored count=1" in banned.log
    assert lab.attacker.address in lab.sbc.run(["nft", "list", "set", "inet", ours, "banned4"])
    banned.stop()
    assert tables(lab) == ["others"]


def test_without_the_privilege_the_same_is_done_here(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unprivileged = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    start = Namespace.start

    def less(self: Namespace, command: Any, **others: Any) -> Any:
        return start(self, [*unprivileged, *command], **others)

    monkeypatch.setattr(Namespace, "start", less)
    with serve(lab, tmp_path / "sbc", KNOWN_PBX) as running:
        until(lambda: "banned_are_dropped" in running.log, 5, "nothing is said of the kernel")
        (line,) = [line for line in running.log.splitlines() if "banned_are_dropped" in line]
        assert "by=sbc" in line
        assert "CAP_NET_ADMIN" in line
        assert tables(lab) == []
        scan_over_tcp(lab, lab.attacker)
        until(lambda: " banned " in running.log, 5, "no ban")
        with lab.attacker.socket(socket.SOCK_STREAM) as sock:
            sock.settimeout(5)
            sock.connect((lab.outside, 5060))
            with pytest.raises(ConnectionResetError):
                sock.recv(1000)
        assert asked(running, "bans")["bans"][0]["dropped"] is None
        assert running.log.count("banned_are_dropped") == 1, "said once"

"""A branch office behind a NAT that lets nothing in: one UDP flow to the edge carries its calls.

site 192.168.7.0/24: PBX .3, `sbc link` .2 ── router .1 ── outside 10.99.1.3 ── the edge ── carrier
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sbc.link.proof import fingerprint_of_file
from tests import tones
from tests.bench.uac import Calls, Uac
from tests.bench.uas import Uas
from tests.bench.wire import UdpWire
from tests.interop import baresip, server
from tests.interop.baresip import Phone
from tests.interop.ears import ALICE, CARRIER, hears
from tests.interop.namespaces import Lab, Link, Namespace
from tests.interop.server import ROOT, Server
from tests.interop.sipp import sipp
from tests.interop.test_baresip import connect
from tests.interop.wait import until
from tests.unit.link.certificates import credential, write

SITE, PBX, ROUTER, MOVED = "192.168.7.2", "192.168.7.3", "10.99.1.3", "10.99.1.4"
SITE_NUMBER, CARRIER_NUMBER, OTHER_NUMBER = "+4930777", "+4930123", "+4940123"
PLUGS = """\
link add office type bridge
link set office up
addr add 192.168.7.1/24 dev office
link add site-port type veth peer name office netns {site}
link set site-port master office up
link add pbx-port type veth peer name office netns {pbx}
link set pbx-port master office up
"""
HOST = "link set lo up\nlink set office up\naddr add {address}/24 dev office\nroute add default via 192.168.7.1\n"
NAT = """\
table ip home {
    chain out { type nat hook postrouting priority srcnat; oifname outside masquerade random; }
    chain in { type filter hook forward priority filter; iifname outside ct state != established drop; }
}
"""
CUT = """\
table ip cut {
    chain in { type filter hook prerouting priority -1; iifname outside drop; }
    chain out { type filter hook postrouting priority -1; oifname outside drop; }
}
"""
OUTAGE = 10.0  # seconds
HOLD = 3.0  # of the call that ends meanwhile
POLICY = """\
version: 1
realms:
  sites:
    signalling: ["quic://{{outside}}:5063"]
    relay: {{{{address: 127.0.0.1, ports: 21000-21999}}}}
    certificate: edge
  outside:
    signalling: ["tls://{{outside}}:5061", "udp://{{outside}}:5060"]
    relay: {{{{address: {{outside}}, ports: 20000-20999}}}}
    certificate: edge
  inside:
    signalling: ["udp://{{inside}}:5060"]
    relay: {{{{address: {{inside}}, ports: 30000-30999}}}}
sites:
  berlin: {{{{pin: "{pin}"}}}}
trunks:
  berlin: {{{{realm: sites, link: berlin, media: plain}}}}
  other: {{{{realm: outside, accept_from: ["{{attacker}}"], peer: "sip:{{attacker}}:5060", media: plain}}}}
  carrier: {{{{realm: inside, accept_from: ["{{carrier}}"], peer: "sip:{{carrier}}:5060", media: plain}}}}
routes:
  - {{{{name: other, when: {{{{trunk: berlin, to: "+4940*"}}}}, send_to: [other]}}}}
  - {{{{name: out, when: {{{{trunk: berlin, to: "*"}}}}, send_to: [carrier]}}}}
  - {{{{name: in, when: {{{{trunk: carrier, to: "*"}}}}, send_to: [berlin]}}}}
media:
  plain: {{{{srtp: off, codecs: [PCMA, PCMU, telephone-event]}}}}
emergency: {{{{sites: none, outside: none, inside: none}}}}
"""
SITE_FILE = """\
version: 1
site: berlin
edge: "{edge}:5063"
pin: "{pin}"
certificate: berlin
pbx: {{listen: "udp://{site}:5060", peer: "sip:{pbx}:5060"}}
media: {{address: {site}, ports: 20000-20999}}
"""


@dataclass
class Office:
    router: Namespace
    site: Namespace
    pbx: Namespace
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, lab: Lab, edge: Path) -> None:
        """`sbc link`, by a file of seven lines."""
        text = SITE_FILE.format(edge=lab.outside, pin=fingerprint_of_file(edge / "certs" / "edge.pem"), site=SITE, pbx=PBX)
        (self.folder / "site.yaml").write_text(text)
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "sbc",
            "link",
            self.folder / "site.yaml",
            "--records",
            self.folder / "records.jsonl",
        ]
        self.process = self.site.start(command, log=self.folder / "log", cwd=ROOT)

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def move(self) -> None:
        """The provider gives the router another address, and its NAT forgets who was behind which port of the old one."""
        self.router.run(["ip", "-batch", "-"], text=f"addr del {ROUTER}/24 dev outside\naddr add {MOVED}/24 dev outside\n")

    def cut(self) -> None:
        """Nothing comes through the router any more, and nobody is told."""
        self.router.run(["nft", "-f", "-"], text=CUT)

    def mend(self) -> None:
        self.router.run(["nft", "delete", "table", "ip", "cut"])

    def records(self) -> list[dict[str, object]]:
        path = self.folder / "records.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def office(lab: Lab, tmp_path: Path) -> Iterator[Office]:
    router = Namespace.create("router", (Link("outside", ROUTER, "fd99:1::3"),))
    site = Namespace.create("site", (Link("office", SITE, "fd99:7::2"),))
    pbx = Namespace.create("pbx", (Link("office", PBX, "fd99:7::3"),))
    folder = tmp_path / "site"
    folder.mkdir()
    write(folder / "certs", "berlin", credential("berlin.example"))
    try:
        plug = f"link add router-out type veth peer name outside netns {router.holder.pid}\nlink set router-out master outside up\n"
        lab.switch.run(["ip", "-batch", "-"], text=plug)
        router.run(["ip", "-batch", "-"], text=f"link set lo up\nlink set outside up\naddr add {ROUTER}/24 dev outside\n")
        router.run(["ip", "-batch", "-"], text=PLUGS.format(site=site.holder.pid, pbx=pbx.holder.pid))
        router.run(["tee", "/proc/sys/net/ipv4/ip_forward"], text="1")
        router.run(["nft", "-f", "-"], text=NAT)
        site.run(["ip", "-batch", "-"], text=HOST.format(address=SITE))
        pbx.run(["ip", "-batch", "-"], text=HOST.format(address=PBX))
        yield Office(router, site, pbx, folder)
    finally:
        for each in (pbx, site, router):
            each.close()


@pytest.fixture
def edge(lab: Lab, tmp_path: Path, office: Office) -> Iterator[Server]:
    pin = fingerprint_of_file(office.folder / "certs" / "berlin.pem")
    with server.serve(lab, tmp_path / "sbc", POLICY.format(pin=pin)) as running:
        office.start(lab, tmp_path / "sbc")
        until(lambda: " link_up " in office.log, 15.0, f"no link, see {office.folder}/log and {running.folder}/log")
        yield running


def phone(host: Namespace, folder: Path, number: str, proxy: str, tone: float) -> contextlib.AbstractContextManager[Phone]:
    account = f'<sip:{number}@{host.address};transport=udp>;outbound="sip:{proxy}";regint=0;audio_codecs=PCMA/8000/1;answermode=manual'
    return baresip.phone(host, folder, account, tone=tone)


def many_calls(lab: Lab, edge: Server, office: Office, tmp_path: Path) -> None:
    """Of generators; fifty at a time is what a connection carries."""
    callee = sipp(lab.carrier, tmp_path / "callee", "callee", calls=40)
    keys = {"caller": SITE_NUMBER, "called": CARRIER_NUMBER}
    caller = sipp(office.pbx, tmp_path / "caller", "caller", f"{SITE}:5060", calls=40, rate=20.0, keys=keys)
    assert caller.result().successful == 40
    assert callee.result().successful == 40
    assert {record["sip_status"] for record in edge.records(42)} == {200}
    for message in caller.received() + callee.received():
        assert "127.0.0.1" not in message


def test_calls_with_tones_both_ways_and_the_router_gets_another_address(lab: Lab, edge: Server, office: Office, tmp_path: Path) -> None:
    with (
        phone(office.pbx, tmp_path / "pbx", SITE_NUMBER, f"{SITE}:5060", ALICE) as inside,
        phone(lab.carrier, tmp_path / "carrier", CARRIER_NUMBER, f"{lab.inside}:5060", CARRIER) as far,
    ):
        connect(inside, far, f"sip:{CARRIER_NUMBER}@{SITE}")
        hears(inside, CARRIER)
        hears(far, ALICE)
        office.move()
        hears(inside, CARRIER)
        hears(far, ALICE)
        inside.command("hangup")
        far.expect("CALL_CLOSED")
        connect(far, inside, f"sip:{SITE_NUMBER}@{lab.inside}")
        hears(inside, CARRIER)
        hears(far, ALICE)
        far.command("hangup")
        inside.expect("CALL_CLOSED")
    out, in_ = edge.records(2)
    for record, leg in ((out, out["a"]), (in_, in_["b"])):
        assert record["sip_status"] == 200
        assert isinstance(leg, dict)
        assert (leg["trunk"], leg["transport"]) == ("berlin", "QUIC")
        assert leg["media"]["verdict"] == "ok"
        assert leg["media"]["link"]["remote"].startswith(f"{MOVED}:")
        assert leg["media"]["link"]["rtt_ms"] > 0
    assert out["identified_by"] == "certificate"
    shown = json.loads(lab.sbc.run([sys.executable, "-m", "sbc", "trunks", "--json", "--socket", edge.folder / "sbc.sock"]))
    (trunk,) = [each for each in shown["trunks"] if each["name"] == "berlin"]
    assert trunk["link"]["connections"] == 1
    assert trunk["link"]["remote"].startswith(f"{MOVED}:")
    many_calls(lab, edge, office, tmp_path)


class Scripted:
    """A call of the PBX to another carrier, which hangs up while the way is cut."""

    def __init__(self, lab: Lab, office: Office) -> None:
        callee = lab.attacker.within(lambda: UdpWire((lab.attacker.address, 5060)))
        caller = office.pbx.within(lambda: UdpWire((PBX, 5070), (SITE, 5060)))
        self.called = Uas(callee)
        self.calling = Uac(caller, Calls(rate=1.0, count=1, number=OTHER_NUMBER, server=(SITE, 5060), hold=HOLD), "other")
        self._over = threading.Event()
        self._wires = (callee, caller)
        self._threads = [
            threading.Thread(target=self.called.run, args=(self._over.is_set,)),
            threading.Thread(target=self.calling.run),
        ]
        for each in self._threads:
            each.start()
        until(lambda: self.called.served.acknowledged, 5.0, "the scripted call is not answered")

    def close(self) -> None:
        self._over.set()
        for each in self._threads:
            each.join()
        for wire in self._wires:
            wire.close()


def speaks(phone: Phone, tone: float, seconds: float) -> None:
    """Within so many seconds it hears half a second more of it than before."""
    before = tones.seconds_of(phone.heard(ALICE, CARRIER), tone)
    until(
        lambda: tones.seconds_of(phone.heard(ALICE, CARRIER), tone) >= before + 0.5,
        seconds + 0.5,
        f"{phone.host.name} hears no {tone:g} Hz {seconds:g} s later",
    )


def test_a_call_lives_over_an_outage_and_ends_with_the_edge_it_went_by(lab: Lab, edge: Server, office: Office, tmp_path: Path) -> None:
    """Ten seconds without a way: who talks goes on, who hung up meanwhile is heard afterwards. A call does not outlive its edge."""
    with (
        phone(office.pbx, tmp_path / "pbx", SITE_NUMBER, f"{SITE}:5060", ALICE) as inside,
        phone(lab.carrier, tmp_path / "carrier", CARRIER_NUMBER, f"{lab.inside}:5060", CARRIER) as far,
        contextlib.closing(Scripted(lab, office)) as other,
    ):
        connect(inside, far, f"sip:{CARRIER_NUMBER}@{SITE}")
        hears(inside, CARRIER)
        hears(far, ALICE)
        assert other.calling.tally.completed == 0
        office.cut()
        time.sleep(OUTAGE)
        assert other.calling.tally.completed == 1
        assert other.called.served.ended == 0
        office.mend()
        speaks(inside, CARRIER, 2.0)
        speaks(far, ALICE, 2.0)
        until(lambda: other.called.served.ended == 1, 3.0, "the carrier does not hear that the PBX has hung up")
        assert "resumed=true" in edge.log
        inside.command("hangup")
        far.expect("CALL_CLOSED")
        first, second = edge.records(2)
        assert [first["called"], second["called"]] == [OTHER_NUMBER, CARRIER_NUMBER]
        assert {first["sip_status"], second["sip_status"], second["a"]["media"]["verdict"]} == {200, "ok"}  # type: ignore[index]

        connect(inside, far, f"sip:{CARRIER_NUMBER}@{SITE}")
        speaks(inside, CARRIER, 2.0)
        edge.restart(signal.SIGKILL)
        inside.expect("CALL_CLOSED", 5.0)
        until(lambda: len(office.records()) == 3, 3.0, "no record at the site")
        assert office.records()[-1]["note"] == "the other end of the link does not know this call"
        far.command("hangup")
        far.expect("CALL_CLOSED")
        connect(inside, far, f"sip:{CARRIER_NUMBER}@{SITE}")
        speaks(inside, CARRIER, 2.0)
        speaks(far, ALICE, 2.0)
        inside.command("hangup")
        far.expect("CALL_CLOSED")

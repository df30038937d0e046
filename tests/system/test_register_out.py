"""Two of us in a row: the one at the edge registers at the other, which is its carrier, has the password and asks for it each time."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sbc.sip.message import Request, Response
from tests.system.peers import Phone, Sbc, running

OFFICE_SIDE, CARRIER_SIDE = "127.0.0.91", "127.0.0.92"  # of the edge
CARRIER, WORLD_SIDE = "127.0.0.93", "127.0.0.94"  # of the carrier
OFFICE, WORLD = "127.0.0.95", "127.0.0.96"
ACCOUNT = "4930123"
NUMBER = "+4930123456"
WAIT_S = 30.0
EDGE_POLICY = f"""\
version: 1
realms:
  office: {{signalling: [udp://{OFFICE_SIDE}:5060], relay: {{address: {OFFICE_SIDE}, ports: 20000-20099}}}}
  carrier:
    signalling: [udp://{CARRIER_SIDE}:5060, tcp://{CARRIER_SIDE}:5060]
    relay: {{address: {CARRIER_SIDE}, ports: 20000-20099}}
trunks:
  office: {{realm: office, accept_from: [{OFFICE}], peer: "sip:{OFFICE}", media: plain}}
  tel:
    realm: carrier
    register_to:
      registrar: sip:{CARRIER};transport=TRANSPORT
      user: "{ACCOUNT}"
      password: {{file: alice.secret}}
    media: plain
routes:
  - {{name: out, when: {{trunk: office, to: "*"}}, send_to: [tel]}}
  - {{name: in, when: {{trunk: tel, to: "*"}}, send_to: [office]}}
emergency: {{office: none, carrier: none}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
"""
CARRIER_POLICY = f"""\
version: 1
realms:
  customers:
    signalling: [udp://{CARRIER}:5060, tcp://{CARRIER}:5060]
    relay: {{address: {CARRIER}, ports: 20000-20099}}
    domains: [{CARRIER}]
  world: {{signalling: [udp://{WORLD_SIDE}:5060], relay: {{address: {WORLD_SIDE}, ports: 20000-20099}}}}
trunks:
  customer: {{realm: customers, accepts_registration: {{user: "{ACCOUNT}", password: {{file: alice.secret}}}}, media: plain}}
  world: {{realm: world, accept_from: [{WORLD}], peer: "sip:{WORLD}", media: plain}}
routes:
  - {{name: out, when: {{trunk: customer, to: "*"}}, send_to: [world]}}
  - {{name: in, when: {{trunk: world, to: "*"}}, send_to: [customer]}}
emergency: {{customers: none, world: none}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
"""


@dataclass
class Stage:
    edge: Sbc
    carrier: Sbc
    office: Phone
    world: Phone

    def wait_for(self, line: str, times: int = 1) -> None:
        end = time.monotonic() + WAIT_S
        while self.edge.log.count(line) < times:
            assert time.monotonic() < end, self.edge.log
            time.sleep(0.05)

    def call_in(self) -> None:
        self.world.call(f"sip:{NUMBER}@{WORLD_SIDE}")
        self._refuse(self.office)
        self.world.expect(486)

    def call_out(self) -> None:
        self.office.call(f"sip:{NUMBER}@{OFFICE_SIDE}")
        self._refuse(self.world)
        self.office.expect(486)

    @staticmethod
    def _refuse(phone: Phone) -> None:
        invite = phone.expect("INVITE")
        assert isinstance(invite, Request)
        assert invite.uri.user == NUMBER
        phone.send(Response.answer(invite, 486, to_tag="busy"))


@pytest.fixture(params=["tcp", "udp"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with contextlib.ExitStack() as closing:
        carrier = closing.enter_context(running(tmp_path / "carrier", CARRIER_POLICY))
        edge = closing.enter_context(running(tmp_path / "edge", EDGE_POLICY.replace("TRANSPORT", request.param)))
        office = closing.enter_context(contextlib.closing(Phone.udp("office", OFFICE, OFFICE_SIDE)))
        world = closing.enter_context(contextlib.closing(Phone.udp("world", WORLD, WORLD_SIDE)))
        yield Stage(edge, carrier, office, world)


def test_registered_called_calling_and_gone(stage: Stage) -> None:
    stage.wait_for(" registered ")
    stage.call_in()
    stage.call_out()
    assert stage.edge.process is not None
    begun = time.monotonic()
    stage.edge.process.send_signal(signal.SIGTERM)
    assert stage.edge.process.wait(10) == 0
    assert time.monotonic() - begun < 5
    stage.world.call(f"sip:{NUMBER}@{WORLD_SIDE}")
    stage.world.expect(480)  # it was told that we are gone, and does not try
    assert "wonderland" not in stage.edge.log


@pytest.mark.parametrize("stage", ["tcp"], indirect=True)
def test_a_carrier_that_comes_back_without_its_memory_has_us_again(stage: Stage) -> None:
    stage.wait_for(" registered ")
    stage.carrier.kill()
    stage.wait_for("registration lost")
    for file in stage.carrier.folder.glob("registrations.db*"):
        file.unlink()
    stage.carrier.start()
    assert stage.edge.process is not None
    stage.edge.process.send_signal(signal.SIGHUP)  # or somebody waits for half a minute and more
    stage.wait_for("registration regained")
    stage.call_in()
    stage.call_out()

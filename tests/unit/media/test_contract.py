"""The contract of MediaEngine, held against every engine there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
import uvloop

from tests.unit.media.contract_claim import Claims
from tests.unit.media.contract_digits import Reported, Typed
from tests.unit.media.contract_dtls import Handshakes
from tests.unit.media.contract_dtls_rtcp import ControlHandshakes
from tests.unit.media.contract_fax import Fax
from tests.unit.media.contract_figures import Figures
from tests.unit.media.contract_follow import Following
from tests.unit.media.contract_g711 import Laws
from tests.unit.media.contract_ice import Lite
from tests.unit.media.contract_keys import SeveralKeys
from tests.unit.media.contract_rules import LifeOfARelay
from tests.unit.media.contract_srtp import Encryption
from tests.unit.media.contract_stream import OneStream
from tests.unit.media.contract_traffic import Traffic
from tests.unit.media.worlds import FakeWorld, LoopbackWorld, NativeWorld, World

WORLDS: dict[str, Callable[[], World]] = {
    "fake": FakeWorld,
    "portable-asyncio": lambda: LoopbackWorld(asyncio.new_event_loop),
    "portable-uvloop": lambda: LoopbackWorld(uvloop.new_event_loop),
    "native-sockets": lambda: NativeWorld(uvloop.new_event_loop),
}


@pytest.fixture(params=WORLDS)
def make_world(request: pytest.FixtureRequest) -> Callable[[], World]:
    return WORLDS[request.param]


@pytest.fixture
def world(make_world: Callable[[], World]) -> Iterator[World]:
    world = make_world()
    world.begin()
    yield world
    world.end()


class TestLifeOfARelay(LifeOfARelay):
    pass


class TestTraffic(Traffic):
    pass


class TestEncryption(Encryption):
    pass


class TestSeveralKeys(SeveralKeys):
    pass


class TestFax(Fax):
    pass


class TestFigures(Figures):
    pass


class TestFollowing(Following):
    pass


class TestClaims(Claims):
    pass


class TestLite(Lite):
    pass


class TestHandshakes(Handshakes):
    pass


class TestControlHandshakes(ControlHandshakes):
    pass


class TestLaws(Laws):
    pass


class TestTyped(Typed):
    pass


class TestReported(Reported):
    pass


class TestOneStream(OneStream):
    pass

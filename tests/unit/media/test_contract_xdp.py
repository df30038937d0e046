"""The contract of MediaEngine once more, over XDP: plain RTP forwarded by the kernel, and all of it by AF_XDP."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from media.native.tiers import Express
from tests.unit.media.contract_claim import Claims
from tests.unit.media.contract_digits import Reported, Typed
from tests.unit.media.contract_dtls import Handshakes
from tests.unit.media.contract_dtls_rtcp import BothHandshakes
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
from tests.unit.media.worlds import World
from tests.unit.media.xdp_world import Cable, XdpWorld, cable

pytestmark = pytest.mark.namespaces

WAYS = {"xdp-forward": Express(native_pairs=True), "af_xdp": Express(forwards=False, native_pairs=True)}


@pytest.fixture(scope="module")
def wire() -> Iterator[Cable]:
    with cable() as made:
        yield made


@pytest.fixture(params=WAYS)
def make_world(request: pytest.FixtureRequest, wire: Cable) -> Iterator[Callable[[], World]]:
    made: list[XdpWorld] = []

    def make() -> World:
        made.append(XdpWorld(wire, WAYS[request.param]))
        return made[-1]

    yield make
    for each in made:
        each.leave()


@pytest.fixture
def world(make_world: Callable[[], World]) -> Iterator[World]:
    world = make_world()
    world.begin()
    assert all("native/xdp at wire, native" in tier.name for tier in world.engine.tiers().values()), world.engine.tiers()
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


class TestBothHandshakes(BothHandshakes):
    """RTCP goes by sockets here as well; speech does not."""


class TestLaws(Laws):
    pass


class TestTyped(Typed):
    pass


class TestReported(Reported):
    pass


class TestOneStream(OneStream):
    pass

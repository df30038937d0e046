"""Overload control, RFC 7339: the share that is spared, and how much of what servers say is remembered."""

from __future__ import annotations

from random import Random

import pytest

from sbc.clock import Now
from sbc.flow import Flow
from sbc.sip.fields.via import Via
from sbc.sip.overload import LONGEST_VALIDITY_S, REMEMBERED, Overload


class Lots:
    """Identifiers of which only the random octets matter."""

    def __init__(self) -> None:
        self._random = Random(7339)

    def tag(self) -> str:
        raise NotImplementedError

    branch = call_id = tag

    def random(self, size: int) -> bytes:
        return self._random.randbytes(size)


def server(number: int) -> Flow:
    return Flow("inside", "UDP", ("10.1.0.1", 5060), (f"10.9.{number // 256}.{number % 256}", 5060))


def said(parameters: str) -> Via:
    return Via.parse(f"SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bKx;{parameters}")


@pytest.mark.parametrize("share", [0, 1, 20, 50, 75, 100])
def test_TMD_14_the_share_it_asks_for(share: int) -> None:
    overload = Overload(Lots())
    overload.heed(said(f'oc={share};oc-algo="loss";oc-validity=500;oc-seq=1282321615.782'), server(1), Now(0.0, 0.0))
    spared = sum(overload.spares(server(1), Now(0.499, 0.0)) for _ in range(10_000))
    assert spared == pytest.approx(100 * share, abs=150)
    assert not any(overload.spares(server(2), Now(0.0, 0.0)) for _ in range(100)), "another server has said nothing"
    assert not any(overload.spares(server(1), Now(0.5, 0.0)) for _ in range(100)), "it is over"


@pytest.mark.parametrize(("validity", "seconds"), [("1", 0.001), ("999999999", LONGEST_VALIDITY_S), ("x", 0.5)])
def test_TMD_14_how_long_it_holds(validity: str, seconds: float) -> None:
    overload = Overload(Lots())
    overload.heed(said(f"oc=100;oc-validity={validity}"), server(1), Now(0.0, 0.0))
    assert overload.spares(server(1), Now(seconds - 1e-6, 0.0))
    assert not overload.spares(server(1), Now(seconds, 0.0))


def test_TMD_14_memory_is_bounded() -> None:
    overload = Overload(Lots())
    for number in range(REMEMBERED + 100):
        overload.heed(said("oc=100"), server(number), Now(0.0, 0.0))
    assert len(overload) == REMEMBERED
    assert overload.spares(server(REMEMBERED + 99), Now(0.0, 0.0))
    assert not overload.spares(server(99), Now(0.0, 0.0)), "what was said longest ago is forgotten first"

"""What the record says of the media of each side."""

from __future__ import annotations

from typing import Any

import pytest

from media.api import Side
from tests.unit.media.packets import rtp
from tests.world import Agent, World, connect

OFFICE, CARRIER = ("10.0.0.20", 40000), ("10.1.0.2", 50000)


def media_of_a_call(world: World, office: Agent, carrier: Agent, seconds: float, **speak: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """`speak`: packets of side a and of side b, two in ten of side b's lost."""
    invite, ok, _ = connect(office, carrier, "+4930123456")
    (relay,) = world.open_relays
    for sequence in range(speak.get("a", 0)):
        world.media.receive(relay, Side.A, rtp(sequence), OFFICE)
    for sequence in range(speak.get("b", 0)):
        if sequence % 10 not in (4, 5):
            world.media.receive(relay, Side.B, rtp(sequence), CARRIER)
    world.after(seconds)
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    record: Any = world.records[0]
    return record["a"]["media"], record["b"]["media"]


def test_both_heard(world: World, office: Agent, carrier: Agent) -> None:
    a, b = media_of_a_call(world, office, carrier, 4, a=200, b=200)
    assert (a["verdict"], a["lost"], a["mos_lq"], a["mos_cq"], a["mos_model"]) == ("ok", 0, 4.41, None, "G.107")
    assert (b["verdict"], b["lost"], b["mos_lq"]) == ("ok", 40, 2.2)


@pytest.mark.parametrize(("speak", "verdicts"), [({"a": 100}, ("ok", "one_way")), ({}, ("no_rtp", "no_rtp"))])
def test_one_way_and_silence(world: World, office: Agent, carrier: Agent, speak: dict[str, int], verdicts: tuple[str, str]) -> None:
    a, b = media_of_a_call(world, office, carrier, 4, **speak)
    assert (a["verdict"], b["verdict"]) == verdicts
    assert b["mos_lq"] is None


def test_no_verdict_on_a_call_without_time_for_speech(world: World, office: Agent, carrier: Agent) -> None:
    a, b = media_of_a_call(world, office, carrier, 0.5)
    assert (a["verdict"], b["verdict"]) == (None, None)

"""A peer that sends from another address in the middle of a call: what the core makes of it."""

from __future__ import annotations

import pytest

from media.api import Side
from tests.unit.media.packets import rtp
from tests.world import POLICY, Agent, World, connect

OFFICE, MOVED, CARRIER = ("10.0.0.20", 40000), ("10.0.0.20", 41000), ("10.1.0.2", 50000)
FOLLOWED = POLICY.replace("plain: {srtp: off,", "plain: {srtp: off, follow: same_address,")


def call_that_moves(world: World, office: Agent, carrier: Agent) -> tuple[dict[str, object], int]:
    """The media of the office in the record, and how often it was warned of."""
    invite, ok, _ = connect(office, carrier, "+4930123456")
    (relay,) = world.open_relays
    for sequence in range(1, 50):
        world.media.receive(relay, Side.A, rtp(sequence), OFFICE)
    world.after(2)
    for sequence in range(150, 180):
        world.media.receive(relay, Side.A, rtp(sequence), MOVED)
    world.media.take_sent()
    world.media.receive(relay, Side.B, rtp(1), CARRIER)
    (sent,) = world.media.take_sent()
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    media = world.records[0]["a"]
    assert isinstance(media, dict)
    assert f"{sent.destination[0]}:{sent.destination[1]}" == media["media"]["source"]
    return media["media"], [log.event for log in world.logs].count("media comes from another address now")


def test_RTP_03_nobody_is_followed_in_the_clear(world: World, office: Agent, carrier: Agent) -> None:
    media, warnings = call_that_moves(world, office, carrier)
    assert (media["source"], media["source_changes"], media["wrong_source"], warnings) == ("10.0.0.20:40000", 0, 30, 0)


class TestWherePolicyLetsIt:
    @pytest.fixture
    def policy(self) -> str:
        return FOLLOWED

    def test_RTP_03_a_peer_is_followed_and_that_is_told(self, world: World, office: Agent, carrier: Agent) -> None:
        media, warnings = call_that_moves(world, office, carrier)
        assert (media["source"], media["source_changes"], media["wrong_source"], warnings) == ("10.0.0.20:41000", 1, 0, 1)
        assert media["verdict"] == "ok"

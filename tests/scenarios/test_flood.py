"""A peer that sends more media than a call has: dropped, counted, and said once."""

from __future__ import annotations

from media.api import INTRUSIONS, Side
from media.relay import MOST_PACKETS
from sbc.views import RefusalsAsked
from tests.unit.media.packets import rtp
from tests.world import Agent, World, connect


def test_RTP_09_a_flood_is_cut_and_told_of(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    (relay,) = world.open_relays
    for sequence in range(MOST_PACKETS + 7):
        world.media.receive(relay, Side.A, rtp(sequence), ("10.0.0.20", 40000))
    assert len(world.media.take_sent()) == MOST_PACKETS
    world.after(2)
    told = [log for log in world.logs if log.event == "more media than speech has"]
    assert [log.facts["side"] for log in told] == ["a"]
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    media = world.records[0]["a"]["media"]  # type: ignore[index]
    assert (media["packets_received"], media["over_rate"]) == (MOST_PACKETS, 7)


def test_RTP_03_who_sends_into_a_call_is_told_of(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    (relay,) = world.open_relays
    for sequence in range(INTRUSIONS + 7):
        world.media.receive(relay, Side.A, rtp(sequence), ("192.0.2.66", 40000))
    assert world.media.take_sent() == []
    world.after(2)
    told = [log for log in world.logs if log.event == "media from where its peer is not, dropped"]
    assert [(log.facts["side"], log.facts["from"]) for log in told] == [("a", "192.0.2.66:40000")]
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    media = world.records[0]["a"]["media"]  # type: ignore[index]
    assert (media["wrong_source"], media["stranger"]) == (INTRUSIONS + 7, "192.0.2.66:40000")
    for about, found in (("192.0.2.66", 1), ("office", 1), (invite.call_id, 1), ("192.0.2.67", 0)):
        told_of = world.core.ask(RefusalsAsked(10, about), world.now).intrusions  # type: ignore[union-attr]
        assert [(each.source, each.port, each.party, each.call_id) for each in told_of] == [
            ("192.0.2.66", 40000, "office", invite.call_id)
        ] * found

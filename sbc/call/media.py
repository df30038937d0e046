"""The media side of a leg, before anything is said on it."""

from __future__ import annotations

from sbc.call.context import Context
from sbc.policy.snapshot import Party, Realm
from sbc.sdp.offer import MediaLeg


def media_leg(context: Context, party: Party, realm: Realm) -> MediaLeg:
    """The session identifier has 62 random bits, so that it fits the signed 64 bits some peers read o= with."""
    leg = MediaLeg(party.media, int.from_bytes(context.ids.random(8), "big") >> 2)
    leg.listen((realm.relay_advertise, 0))  # the port comes with the relay; the address tells what offers can be taken
    return leg

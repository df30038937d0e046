"""From what two legs agreed on to what the relay between them does."""

from __future__ import annotations

from collections.abc import Sequence

from media.api import Dtls, Ice, Keys, SideSpec
from sbc.frozen import frozen
from sbc.sdp.codecs import find
from sbc.sdp.describe import Description
from sbc.sdp.fax import KIND as FAX
from sbc.sdp.model import Codec, Direction

DIGITS = frozenset(("telephone-event", "TONE"))  # what RFC 4733 sends keys and tones as
# A party that suppresses silence (RFC 3389) may rightly say nothing for minutes: that many times longer.
_SUPPRESSED_SILENCE = 5


@frozen
class Agreement:
    """What holds on a leg since its last answer.

    pairs       each codec as our description numbers it, and as the peer's does: a party sends with the numbers
                of the description it received (RFC 3264 s5.1)
    direction   what is left of it, seen by the peer
    dtls, ice   how the keys are made, and how the peer's address is found, where that is so
    """

    peer: Description
    pairs: tuple[tuple[Codec, Codec], ...]
    direction: Direction
    protocol: str
    rtcp_mux: bool
    send_keys: Keys | None
    receive_keys: Keys | None
    dtls: Dtls | None = None
    ice: Ice | None = None

    @property
    def encrypted(self) -> bool:
        return self.send_keys is not None or self.dtls is not None

    @property
    def names(self) -> list[str]:
        """What the stream carries: encoding names, or T.38."""
        return ["T38"] if self.peer.kind == FAX else [codec.name for codec, _ in self.pairs]


def relay_side(
    here: Agreement | None, there: Agreement | None, *, latch_from: tuple[str, ...], silence: float | None, digits: bool = True
) -> SideSpec:
    """The relay's side towards the peer of `here`. Without an agreement it neither takes nor sends anything.

    `digits`: the ones that peer types go on. Else they are dropped on the way: were the events not agreed on, they would be tones.
    """
    if here is None:
        return SideSpec(send=False)
    peer = here.peer
    if peer.kind == FAX:
        return _fax_side(here, there, latch_from, silence)
    pairs = here.pairs if digits else tuple([pair for pair in here.pairs if pair[0].name not in DIGITS])
    payload_types, clock_rates = _payload_maps(pairs, there.pairs if there is not None else ())
    if not here.direction.sends:
        silence = None
    elif silence is not None and peer.silence_suppression:
        silence *= _SUPPRESSED_SILENCE
    return SideSpec(
        remote=peer.remote,
        remote_rtcp=peer.remote if here.rtcp_mux else peer.rtcp,
        rtcp_mux=here.rtcp_mux,
        latch_from=latch_from,
        receive_keys=here.receive_keys,
        send_keys=here.send_keys,
        payload_types=payload_types,
        clock_rates=clock_rates,
        send=there is not None and there.peer.kind == peer.kind and here.direction.receives and there.direction.sends,
        silence=silence,
        dtls=here.dtls,
        ice=here.ice,
    )


def _fax_side(here: Agreement, there: Agreement | None, latch_from: tuple[str, ...], silence: float | None) -> SideSpec:
    """While one side speaks of fax already and the other not yet, nothing passes."""
    if there is not None and there.peer.kind != FAX:
        there = None
    return SideSpec(
        remote=here.peer.remote,
        latch_from=latch_from,
        udptl=there is not None,
        send=there is not None and here.direction.receives and there.direction.sends,
        # While one machine sends a page the other is silent
        silence=silence * _SUPPRESSED_SILENCE if silence is not None and here.direction.sends else None,
    )


def _payload_maps(here: Sequence[tuple[Codec, Codec]], there: Sequence[tuple[Codec, Codec]]) -> tuple[dict[int, int], dict[int, int]]:
    """Arriving payload type to the one sent on, and to its RTP clock in Hz."""
    described = [ours for ours, _ in there]
    numbers = {ours.payload: theirs.payload for ours, theirs in there}
    types: dict[int, int] = {}
    clocks: dict[int, int] = {}
    for ours, _ in here:
        match = find(ours, described)
        if match is not None:
            types[ours.payload] = numbers[match.payload]
            clocks[ours.payload] = ours.clock
    # Some peers send with the numbers of their own description; taken where that means one thing only.
    meant = {ours.payload for ours, _ in here}
    for ours, theirs in here:
        if theirs.payload not in meant and ours.payload in types:
            types[theirs.payload] = types[ours.payload]
            clocks[theirs.payload] = ours.clock
    return types, clocks

"""From what two legs agreed on to what the relay between them does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from media.api import Dtls, Ice, Keys, Law, SideSpec
from sbc.frozen import frozen
from sbc.sdp.codecs import find, is_audible
from sbc.sdp.describe import Description
from sbc.sdp.fax import KIND as FAX
from sbc.sdp.model import Codec, Direction
from sbc.sdp.rules import MediaRules
from sbc.sdp.translation import EVENT, law_of, other_law

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
    here: Agreement | None, there: Agreement | None, rules: MediaRules, *, latch_from: tuple[str, ...], digits: bool = True
) -> SideSpec:
    """The relay's side towards the peer of `here`, which `rules` are about. Without an agreement it neither takes nor sends anything.

    `digits`: the ones that peer types go on. Else they are dropped on the way: were the events not agreed on, they would be tones.
    """
    if here is None:
        return SideSpec(send=False, dscp=rules.dscp, link=rules.link)
    peer = here.peer
    if peer.kind == FAX:
        return _fax_side(here, there, rules, latch_from)
    pairs = here.pairs if digits else tuple([pair for pair in here.pairs if pair[0].name not in DIGITS])
    types = _payload_maps(here, there, pairs)
    silence = rules.silence
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
        payload_types=types.payload_types,
        clock_rates=types.clock_rates,
        send=there is not None and there.peer.kind == peer.kind and here.direction.receives and there.direction.sends,
        silence=silence,
        dtls=here.dtls,
        ice=here.ice,
        translate=types.translate,
        reported=tuple(types.reported),
        follow=rules.follow,
        dscp=rules.dscp,
        link=rules.link,
    )


def _fax_side(here: Agreement, there: Agreement | None, rules: MediaRules, latch_from: tuple[str, ...]) -> SideSpec:
    """While one side speaks of fax already and the other not yet, nothing passes."""
    if there is not None and there.peer.kind != FAX:
        there = None
    return SideSpec(
        remote=here.peer.remote,
        latch_from=latch_from,
        udptl=there is not None,
        send=there is not None and here.direction.receives and there.direction.sends,
        # While one machine sends a page the other is silent
        silence=rules.silence * _SUPPRESSED_SILENCE if rules.silence is not None and here.direction.sends else None,
        dscp=rules.dscp,
        link=rules.link,
    )


class _Types(NamedTuple):
    """Of a side's SideSpec."""

    payload_types: dict[int, int]
    clock_rates: dict[int, int]
    translate: dict[int, Law]
    reported: list[int]


def _payload_maps(here: Agreement, there: Agreement | None, pairs: Sequence[tuple[Codec, Codec]]) -> _Types:
    """What becomes of the payload types that arrive with `pairs`."""
    far = there.pairs if there is not None else ()
    described = [ours for ours, _ in far]
    numbers = {ours.payload: theirs.payload for ours, theirs in far}
    any_law = there is not None and (here.peer.any_law or there.peer.any_law)
    by_info = there is not None and there.peer.digits == "info"
    types = _Types({}, {}, {}, [])
    for ours, _ in pairs:
        match = find(ours, described)
        if match is None and any_law and (other := other_law(ours)) is not None:
            match = find(other, described)
            if match is not None:
                types.translate[ours.payload] = law_of(other)
        if match is not None:
            types.payload_types[ours.payload] = numbers[match.payload]
            types.clock_rates[ours.payload] = ours.clock
        elif by_info and ours.name == EVENT:
            types.reported.append(ours.payload)
            types.clock_rates[ours.payload] = ours.clock
    # Some peers send with the numbers of their own description; taken where that means one thing only.
    meant = {ours.payload for ours, _ in pairs}
    for ours, theirs in pairs:
        if theirs.payload in meant or ours.payload not in types.clock_rates:
            continue
        types.clock_rates[theirs.payload] = ours.clock
        if ours.payload in types.reported:
            types.reported.append(theirs.payload)
            continue
        types.payload_types[theirs.payload] = types.payload_types[ours.payload]
        if ours.payload in types.translate:
            types.translate[theirs.payload] = types.translate[ours.payload]
    return types


def events_to(here: Agreement | None, there: Agreement | None) -> tuple[int, int] | None:
    """Payload type and clock in Hz of telephone-events that say to the peer of `here` what the other one says by INFO; None: they do not.

    Their clock is that of the speech if there is a choice: they stand in its stream.
    """
    if here is None or there is None or here.peer.digits == "info":
        return None
    if here.peer.digits != "rfc4733" and there.peer.digits != "info":
        return None
    events = [theirs for _, theirs in here.pairs if theirs.name == EVENT]
    speech = next((theirs.clock for _, theirs in here.pairs if is_audible((theirs,))), 0)
    event = next((theirs for theirs in events if theirs.clock == speech), events[0] if events else None)
    return (event.payload, event.clock) if event is not None else None


def is_translated(a: Agreement | None, b: Agreement | None) -> bool:
    """Whether speech between them is G.711 in two laws."""
    if a is None or b is None or not (a.peer.any_law or b.peer.any_law):
        return False
    return any(_payload_maps(here, there, here.pairs).translate for here, there in ((a, b), (b, a)))

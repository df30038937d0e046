"""Who somebody is: asserted by a side we trust, or proved to us by authentication (RFC 3325 s5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from sbc.call.neutral import is_anonymous, neutral, numbered
from sbc.errors import ParseError, SipError
from sbc.policy.decide import dialled, normalise
from sbc.policy.snapshot import Party, User
from sbc.sip.fields.identity import parse_identities
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.remote_party_id import parse_remote_parties
from sbc.sip.message import Headers, Request
from sbc.sip.names import P_ASSERTED_IDENTITY, P_PREFERRED_IDENTITY, REMOTE_PARTY_ID, HeaderName

FOREIGN = 'Q.850;cause=21;text="Calling number not allowed"'

T = TypeVar("T")
Found = dict[HeaderName, list[str]]  # rows by name


def values(parse: Callable[[list[str]], Sequence[T]], found: Found, name: HeaderName) -> Sequence[T]:
    """The values of a header; what is malformed is as good as absent (RFC 3261 s20)."""
    if name not in found:
        return ()
    try:
        return parse(found[name])
    except ParseError:
        return ()


def asserted(found: Found, party: Party, whose: Literal["calling", "called"]) -> tuple[NameAddr, ...]:
    """What a trusted side asserts; without P-Asserted-Identity, the Remote-Party-ID that it has screened. Without hosts."""
    given = values(parse_identities, found, P_ASSERTED_IDENTITY)
    if not given:
        parties = values(parse_remote_parties, found, REMOTE_PARTY_ID)
        given = [each.address for each in parties if each.screened and each.party in (whose, "")][:1]
    return tuple([address for each in given if (address := neutral(each, party)) is not None])


def proved(found: Found, from_: NameAddr | None, party: Party) -> tuple[NameAddr, ...]:
    """Who somebody outside the trust domain is: what it has authenticated as, which its own words may only choose from.

    `from_`: of its request. None: it answers, and when it says nothing then, whoever has called need not learn another
    of its numbers, or the name of its account.
    """
    own = _preferred(found, party)
    if own is None and from_ is not None:
        own = _own(from_, party) or party.headers.main_number or (party.name if isinstance(party, User) else None)
    return (NameAddr("", numbered(own)),) if own else ()


def caller_number(headers: Headers, from_: NameAddr, user: User) -> str:
    """What a user calls with: the number of its own that it prefers (RFC 3325 s9.2) or shows, its main number, its name."""
    return _preferred(_wishes(headers), user) or _own(from_, user) or user.headers.main_number or user.name


def screened(party: Party, request: Request, caller: str) -> str:
    """What a trunk's call may show: `caller`, its number in From, unless that is not its own and the policy minds.

    Who hides its number shows none, and is answered for by the number that is asserted instead. SipError 403.
    """
    rules = party.headers
    if rules.foreign_numbers == "pass" or rules.own(caller):
        return caller
    instead = _preferred(_wishes(request.headers), party) or rules.main_number
    if instead is not None and is_anonymous(request.from_.uri):
        return caller
    if instead is None or rules.foreign_numbers == "refuse":
        raise SipError(f"{caller or 'nobody'} is no number of {party.name}", status=403, reason="Forbidden", headers=(("Reason", FOREIGN),))
    return instead


def _wishes(headers: Headers) -> Found:
    return {name: headers.all(name) for name in (P_PREFERRED_IDENTITY, P_ASSERTED_IDENTITY)}


def _preferred(found: Found, party: Party) -> str | None:
    """The first of its own numbers it prefers to be known by. What it asserts is no more than a wish either."""
    for name in (P_PREFERRED_IDENTITY, P_ASSERTED_IDENTITY):
        for address in values(parse_identities, found, name):
            own = _own(address, party)
            if own is not None:
                return own
    return None


def _own(address: NameAddr, party: Party) -> str | None:
    try:
        number = normalise(party, dialled(address.uri))
    except SipError:
        return None
    return number if party.headers.own(number) else None

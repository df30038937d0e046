"""How a caller's INVITE becomes the callee's: who, whom, and what goes with it."""

from __future__ import annotations

from collections.abc import Iterator

from sbc.call.bodies import Body, bodies_of
from sbc.call.crossing import Said, for_help, hides_from, read_invite, rows_for
from sbc.call.neutral import ANONYMOUS, USER_PHONE, is_anonymous, numbered, ported_of, shown, user_part
from sbc.errors import SipError
from sbc.frozen import frozen, replace
from sbc.identity.verdict import Claimed
from sbc.policy.snapshot import Party, Trunk
from sbc.sip.fields.max_breadth import DEFAULT, max_breadth
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Headers, Request
from sbc.sip.names import RESOURCE_PRIORITY
from sbc.sip.status import reason_phrase
from sbc.sip.uri import Uri


@frozen
class Invitation:
    """What the callee's leg needs to know of a call: who, whom, how many hops are left, and what else was said."""

    caller: str  # user part of From, escapes kept; "" when there is none
    caller_name: str
    anonymous: bool
    called: str
    service: Uri | None  # an emergency call to a service URN, which stays one (RFC 5031)
    secure: bool  # to a sips URI: "TLS … on each hop" (RFC 5630 s3.1.3); an emergency call takes any way there is
    max_forwards: int
    max_breadth: int | None  # None: nobody has counted, and we call one at a time
    said: Said
    priority: str = ""  # Resource-Priority, as far as the caller is trusted with it
    urgent: bool = False  # somebody calls for help: nothing is ever kept back
    bodies: tuple[Body, ...] = ()  # what else the INVITE carries
    token: str = ""  # of the one binding of the callee that is meant; "": any
    diverted: tuple[str, ...] = ()  # who was called before, and has sent the call on to `called`
    claimed: Claimed | None = None  # what is still to be verified of who calls
    ported: str = ""  # what a trusted caller's side says of the portability of `called`
    masked: bool = False  # the route has somebody else shown, also when the caller says who it is later on
    home: str = ""  # the trunk that the caller is registered at
    home_route: tuple[str, ...] = ()  # and the way to it that its registrar has told (RFC 3608)


def invitation_of(request: Request, party: Party, called: str, caller: str, max_forwards: int, *, emergency: bool) -> Invitation:
    """`party` calls; `called` and `caller` are normalised numbers or user parts."""
    said = read_invite(request, party)
    return Invitation(
        caller=caller,
        caller_name=request.from_.display,
        anonymous=is_anonymous(request.from_.uri),
        called=called,
        service=request.uri if emergency and request.uri.scheme == "urn" else None,
        secure=request.uri.scheme == "sips" and not emergency,
        max_forwards=max_forwards,
        max_breadth=breadth_left(request.headers),
        said=for_help(said) if emergency else said,
        urgent=emergency,
        bodies=bodies_of(request, party, emergency=emergency),
        ported=ported_of(request.uri) if party.headers.trusted else "",
    )


def sent_on(invitation: Invitation, number: str) -> Invitation:
    """The same call, to where the called party has sent it."""
    diverted = (*invitation.diverted, invitation.called)
    return replace(invitation, called=number, ported="", max_forwards=invitation.max_forwards - 1, diverted=diverted)


def asserted_number(said: Said) -> str | None:
    """Who the caller is, without host and verdict, for the record."""
    return (said.identities[0].uri.user or "").partition(";")[0] if said.identities else None


def callers(party: Party, request: Request, shown: str) -> Iterator[str]:
    """The numbers a call comes from: the one that is `shown`, and who the caller is; of an emergency service that calls back, none."""
    if party.numbers.refused_from is None and not party.headers.blocks_from:
        return
    said = read_invite(request, party)
    if not said.calls_back:
        yield shown
        asserted = asserted_number(said)
        if asserted is not None and asserted != shown:
            yield asserted


def breadth_left(headers: Headers) -> int | None:
    """Max-Breadth for the other leg, which is called alone (RFC 5393 s5.3.3.1). SipError 440 when there is none left."""
    breadth = max_breadth(headers)
    if breadth == 0:
        raise SipError("Max-Breadth 0", status=440, reason=reason_phrase(440))
    return None if breadth is None else min(breadth, DEFAULT)


def to_of(uri: Uri) -> NameAddr:
    """To of a request to that URI: without its parameters, but the one that says what its user part is."""
    return NameAddr("", Uri(uri.scheme, uri.user, None, uri.host, uri.port, tuple([item for item in uri.params if item == USER_PHONE])))


def host_told(party: Party, host: str) -> str:
    """What stands behind the @ of callers in requests to `party`: the policy's word, or the domain of our account; else `host`, ours."""
    presents = party.headers.presents
    if presents is not None and presents.domain is not None:
        return presents.domain
    return party.register_to.domain if isinstance(party, Trunk) and party.register_to is not None else host


def rows_of(invitation: Invitation, party: Party, host: str) -> list[tuple[str, str]]:
    """What the callee `party` is told beside the session description, in headers. `host`: ours on that side."""
    rows = rows_for(invitation.said, party, host, invitation.called)
    return [*rows, (RESOURCE_PRIORITY, invitation.priority)] if invitation.priority else rows


def from_of(invitation: Invitation, party: Party, host: str, tag: str) -> NameAddr:
    """From on the leg of the callee `party`: the caller's name and number, our own host; or nobody; or our account there."""
    if hides_from(invitation.said, party):
        return _nobody(party, host).with_tag(tag)
    account = party.register_to if isinstance(party, Trunk) else None
    if account is not None and account.in_from and not invitation.anonymous:
        uri = Uri.sip(account.user, host)
    elif invitation.anonymous:
        uri = Uri.sip(user_part(invitation.caller) or None, _nobody(party, host).uri.host)
    else:
        uri = _caller(invitation, party, host)
    presents = party.headers.presents
    return NameAddr(invitation.caller_name if presents is None or presents.names else "", uri).with_tag(tag)


def _caller(invitation: Invitation, party: Party, host: str) -> Uri:
    caller, verstat = invitation.caller, invitation.said.verstat
    if not caller.startswith("+"):
        return Uri.sip(user_part(caller) or None, host)
    uri = numbered(caller, verstat) if verstat else Uri.sip(user_part(caller), "")
    return shown(NameAddr("", uri), party, host).uri


def _nobody(party: Party, host: str) -> NameAddr:
    presents = party.headers.presents
    if presents is None or presents.anonymous == "nowhere":
        return ANONYMOUS
    return NameAddr(ANONYMOUS.display, Uri.sip("anonymous", host))

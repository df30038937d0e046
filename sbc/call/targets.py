"""From the name in a route to the places an INVITE can be sent to."""

from __future__ import annotations

from collections.abc import Callable

from sbc.call.bridge import Invitation
from sbc.call.callee import Target
from sbc.call.context import Context, Way, flow_to
from sbc.call.health import ask_whether_it_is_back
from sbc.call.homes import Home
from sbc.call.neutral import called_at
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.effects import Resolve
from sbc.flow import Flow
from sbc.frozen import frozen, replace
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Party, Peer, RegisterTo, Snapshot, Trunk
from sbc.sip.grammar import Params
from sbc.sip.locate import Answers, Server, Wanted, next_questions, servers
from sbc.sip.uri import Uri

NOTHING_KNOWN: Answers = {}
BACK_WITHIN_S = 10.0  # a phone notices a broken connection by its next ping; after a restart of ours most are back in a few seconds
NUMBER = frozenset("+0123456789*#")
LOOK_EVERY_S = 0.25  # nobody notices that much longer a silence before the ringing
# No way there that is TLS all along: never by another one instead (RFC 5630 s5.3, RFC 3261 s26.2.1)
NOT_SECURE = Cause(480, headers=(("Warning", '380 sbc "SIPS Not Allowed"'),), by="sbc", note="sips, but no TLS to it")
# Not what it said, but what we make of what it asked for: without Retry-After (RFC 7339 s5.10.2)
OVERLOADED = Cause(503, by="sbc", note="spared, for it is overloaded", out_of_service=True)


@frozen
class Lookup:
    """The peer is a host name: DNS has to say where it is."""

    wanted: Wanted


@frozen
class Awaited:
    """It has lost the connection it registered over, and is expected back on another one."""


Pending = Lookup | Awaited
Found = Callable[[list[Target] | Cause, Now], None]


def locate(
    context: Context, snapshot: Snapshot, party: Party, invitation: Invitation, now: Now, answers: Answers = NOTHING_KNOWN
) -> list[Target] | Pending | Cause:
    """Targets, at least one, in the order they are to be tried. Pending: see `when_found`. Cause: cannot be reached now."""
    if isinstance(party, Trunk) and party.link and party.peer is not None:
        server = Server("QUIC", (party.peer.host, party.peer.port or 0), "")
        return _targets(context, snapshot, party, party.peer, invitation, (server,), now)
    if isinstance(party, Trunk) and party.peer is not None:
        home = context.homes.of(party.name) if party.register_to is not None else None
        if party.register_to is not None:
            if home is None and party.register_to.needed and not invitation.urgent:  # who calls for help tries any way there is
                return Cause(503, by="sbc", note=f"not registered at {party.name}")
            if home is not None and party.register_to.is_way:
                return _at_home(context, party, party.register_to, home, invitation, now)
        wanted = wanted_of(party.peer, snapshot.realms[party.realm])
        if next_questions(wanted, answers):
            return Lookup(wanted)
        if home is not None:  # the way its registrar has told, through the peer
            invitation = replace(invitation, home=party.name, home_route=home[2])
        return _targets(context, snapshot, party, party.peer, invitation, servers(wanted, answers, context.ids.random), now)
    ways = context.registered(party.name, invitation.token, now)
    if ways is None:
        return Cause(480, by="sbc", note=f"{party.name} is not registered")
    return _registered(party, ways, invitation) if ways else Awaited()


def _at_home(context: Context, trunk: Trunk, account: RegisterTo, home: Home, invitation: Invitation, now: Now) -> list[Target] | Cause:
    """Where we are registered, and by the same flow: there is no other server that knows us."""
    flow, name, route = home
    secure = account.registrar.secure or invitation.secure
    if secure and not flow.secure:
        return NOT_SECURE
    user, params = called_at(trunk, invitation.called, invitation.ported)
    uri = invitation.service or Uri("sips" if secure else "sip", user, None, account.domain, account.port, params)
    spared = trunk.overload_control and not (invitation.urgent or invitation.priority) and context.overload.spares(flow, now)
    return OVERLOADED if spared else [Target(trunk, uri, flow, trunk.invite_timers, name, route=route)]


def _registered(party: Party, ways: tuple[Way, ...], invitation: Invitation) -> list[Target] | Cause:
    targets = []
    for contact, flow, route in ways:
        if invitation.secure and not (flow.secure and contact.scheme == "sips"):
            continue
        if contact.scheme == "sips" and not invitation.secure:
            contact = contact.with_(scheme="sip")  # still by TLS, where it registered from (RFC 5630 s5.3)
        # A PBX finds the dialled number in the Request-URI, a phone its own Contact (RFC 3261 s16.5, RFC 6140 s6)
        numbered = isinstance(party, Trunk) and (not invitation.token or NUMBER.issuperset(invitation.called))
        uri = _numbered(contact, party, invitation) if numbered else contact
        targets.append(Target(party, uri, flow, party.timers, route=route))
    return targets or NOT_SECURE


def _numbered(contact: Uri, party: Party, invitation: Invitation) -> Uri:
    """The Contact with the dialled number as its user; `bnc` has said that it stands for all of them (RFC 6140 s7.1.1)."""
    user, params = called_at(party, invitation.called, invitation.ported)
    kept = [item for item in contact.params if item[0] != "bnc" and item not in params]
    return contact.with_(user=user, params=(*kept, *params))


def when_found(
    context: Context, snapshot: Snapshot, party: Party, invitation: Invitation, pending: Pending, found: Found, now: Now
) -> None:
    """`found` is told the targets, or why there are none, once DNS has answered or the party is back."""
    if isinstance(pending, Awaited):
        _wait(context, snapshot, party, invitation, found, now)
        return
    question = context.ids.tag()

    def answered(answers: Answers, now: Now) -> None:
        where = locate(context, snapshot, party, invitation, now, answers)
        found(Cause(503, by="sbc", note="half an answer of DNS") if isinstance(where, (Lookup, Awaited)) else where, now)

    context.questions[question] = answered
    context.emit(Resolve(question, party.realm, pending.wanted))


def _wait(context: Context, snapshot: Snapshot, party: Party, invitation: Invitation, found: Found, now: Now) -> None:
    """Looked after by a timer of the call's own, so that the call alone can be played again from its recording."""
    end = now.monotonic + BACK_WITHIN_S

    def look(now: Now) -> None:
        where = locate(context, snapshot, party, invitation, now)
        if not isinstance(where, (Lookup, Awaited)):
            found(where, now)
        elif now.monotonic < end:
            context.timers.start(now.monotonic + LOOK_EVERY_S, look)
        else:
            found(Cause(480, by="sbc", note=f"{party.name} has lost its connection"), now)

    context.timers.start(now.monotonic + LOOK_EVERY_S, look)


def wanted_of(peer: Peer, realm: Realm) -> Wanted:
    sources = tuple((listener.transport, listener.address) for listener in realm.listeners)
    return Wanted(peer.host, peer.port, peer.transport, peer.secure, sources)


def uri_of(peer: Peer, user: str | None, params: Params = (), *, secure: bool) -> Uri:
    """With the transport the policy fixes; one that DNS chose is between us and that server. `secure`: sips, which is TLS by itself."""
    if secure:
        return Uri("sips", user, None, peer.host, peer.port, params)
    transport = () if peer.transport in (None, "UDP") else (("transport", peer.transport.lower()),)
    return Uri.sip(user, peer.host, peer.port, (*params, *transport))


def _targets(
    context: Context, snapshot: Snapshot, trunk: Trunk, peer: Peer, invitation: Invitation, found: tuple[Server, ...], now: Now
) -> list[Target] | Cause:
    """What failed a short while ago comes last; nothing is left out, for it may be all there is (DNS-08)."""
    realm = snapshot.realms[trunk.realm]
    user, params = called_at(trunk, invitation.called, invitation.ported)
    uri = invitation.service or uri_of(peer, user, params, secure=peer.secure or invitation.secure)
    good: list[Target] = []
    failed: list[Target] = []
    cause = Cause(503, by="sbc", note=f"{peer.host} has no address we can reach from realm {realm.name}")
    for server in found:
        flow = flow_to(realm, server.transport, *server.address)
        if flow is None or any(listener.local == server.address for listener in realm.listeners):
            continue  # the second would be a call to ourselves, whoever wrote that into DNS
        if invitation.secure and not flow.secure:
            cause = NOT_SECURE
            continue
        stream = _stream(context, trunk, peer, realm, server, now) if peer.transport is None else None
        route = invitation.home_route if trunk.name == invitation.home else ()
        target = Target(trunk, uri, flow, trunk.invite_timers, server.name, stream, route)
        shunned = len(found) > 1 and _is_shunned(context, trunk, peer, flow, now)
        (failed if shunned else good).append(target)
    targets = good + failed
    if trunk.overload_control and targets and not (invitation.urgent or invitation.priority):
        spared = context.overload.spares
        return [target for target in targets if not spared(target.flow, now)] or OVERLOADED
    return targets or cause


def _stream(context: Context, trunk: Trunk, peer: Peer, realm: Realm, server: Server, now: Now) -> Flow | None:
    """The way for a request that is too long for UDP, unless it was tried in vain a short while ago."""
    if server.transport != "UDP":
        return None
    flow = flow_to(realm, "TCP", *server.address)
    return None if flow is None or _is_shunned(context, trunk, peer, flow, now) else flow


def _is_shunned(context: Context, trunk: Trunk, peer: Peer, server: Flow, now: Now) -> bool:
    """It failed, and has not said since that it is back: the first call after its penalty has it asked, and goes elsewhere."""
    if context.penalties.is_over(server, now):
        ask_whether_it_is_back(context, uri_of(peer, None, secure=peer.secure), server, trunk, now)
    return context.penalties.holds(server, now)

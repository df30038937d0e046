"""From the name in a route to a place an INVITE can be sent to."""

from __future__ import annotations

from sbc.call.bridge import Invitation
from sbc.call.callee import Target
from sbc.call.context import Context, default_port, flow_to, is_private
from sbc.call.neutral import user_part
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.flow import Address
from sbc.frozen import frozen
from sbc.policy.snapshot import Party, Peer, Snapshot, Trunk
from sbc.sip.uri import Uri


@frozen
class Lookup:
    """The peer is a host name: ask for its addresses first."""

    host: str
    port: int


def locate(context: Context, snapshot: Snapshot, party: Party, invitation: Invitation, now: Now) -> Target | Lookup | Cause:
    """Cause: cannot be reached now, try the next one."""
    if isinstance(party, Trunk) and party.peer is not None:
        if is_private(party.peer.host) is None:
            return Lookup(party.peer.host, port_of(party.peer))
        return target_at(context, snapshot, party, invitation, (party.peer.host, port_of(party.peer)))
    binding = context.registered(party.name, now)
    if binding is None:
        return Cause(480, by="sbc", note=f"{party.name} is not registered")
    contact, flow = binding
    # A PBX finds the dialled number in the Request-URI, a phone its own Contact (RFC 3261 s16.5, RFC 6140 s6)
    return Target(party, contact.with_(user=user_part(invitation.called)) if isinstance(party, Trunk) else contact, flow)


def target_at(context: Context, snapshot: Snapshot, party: Party, invitation: Invitation, address: Address) -> Target | Cause:
    """The peer of a trunk at one of its addresses."""
    assert isinstance(party, Trunk) and party.peer is not None
    peer = party.peer
    flow = flow_to(snapshot.realms[party.realm], peer.transport, *address)
    if flow is None:
        return Cause(503, by="sbc", note=f"realm {party.realm} has no {peer.transport} listener for {address[0]}")
    params = () if peer.transport == "UDP" else (("transport", peer.transport.lower()),)
    if flow.secure:
        context.server_names[flow] = peer.host
    uri = invitation.service or Uri.sip(user_part(invitation.called), peer.host, peer.port, params)
    return Target(party, uri, flow)


def port_of(peer: Peer) -> int:
    return peer.port or default_port(peer.transport)

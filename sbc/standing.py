"""Who goes first when there is more to do than time to do it. Looks, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable

from sbc.call.context import Context, DialogUser
from sbc.call.priority import allowed_priority
from sbc.clock import Now
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.policy.decide import dialled, emergency_at, emergency_called, normalise, trunk_at
from sbc.policy.snapshot import Party, Trunk, stranger_in
from sbc.registrar.bindings import Bindings
from sbc.registrar.carriers import Carriers
from sbc.shield.queue import Rank
from sbc.sip.message import Request, Response
from sbc.sip.uri import Uri


class Standing:
    """`speaks_for`: whether a flow is that of the dialog's own peer."""

    def __init__(self, context: Context, bindings: Bindings, carriers: Carriers, speaks_for: Callable[[DialogUser, Flow], bool]) -> None:
        self._context = context
        self._bindings = bindings
        self._carriers = carriers
        self._speaks_for = speaks_for

    def of_source(self, flow: Flow) -> Rank:
        """What whoever is there has shown so far."""
        if trunk_at(self._context.snapshot, flow) is not None or self._carriers.knows(flow):
            return Rank.TRUNK
        if self._bindings.at(flow) is not None or self._has_proved_itself(flow):
            return Rank.AUTHENTICATED
        return self._context.acquaintances.rank(flow)

    def of_message(self, message: Request | Response, flow: Flow) -> Rank:
        """What was begun comes first; an emergency, or a priority, of somebody we know next."""
        if isinstance(message, Response):
            return Rank.FIRST if self._context.transactions.awaits(message) else self.of_source(flow)
        if self._belongs(message, flow):
            return Rank.FIRST
        if message.method != "INVITE":
            return self.of_source(flow)
        rank = self.of_call(message.uri, flow)
        return Rank.URGENT if rank < Rank.SEEN and self._has_priority(message, flow) else rank

    def of_call(self, uri: Uri, flow: Flow) -> Rank:
        """An INVITE that calls `uri`, as far as that tells."""
        rank = self.of_source(flow)
        if rank < Rank.SEEN:
            return Rank.URGENT if self._is_for_help(uri, flow) else rank
        return Rank.PLEA if self._pleads(uri, flow) else rank

    def _pleads(self, uri: Uri, flow: Flow) -> bool:
        """Whether a stranger who calls that is helped there, while there is room."""
        snapshot = self._context.snapshot
        return stranger_in(flow.realm) in snapshot.trunks and emergency_at(snapshot, flow.realm, uri) is not None

    def tell(self, request: Request, flow: Flow, now: Now) -> None:
        """A trunk whose `overload_control` says so hears in the answer what share of its requests we want to be spared."""
        self._context.relief.tell(trunk_at(self._context.snapshot, flow), request, now)

    def _has_proved_itself(self, flow: Flow) -> bool:
        """On this connection. Whoever was only helped there has not."""
        peers = self._context.peers
        if not flow.connection or peers.vouched(flow.connection) is None:
            return False
        return peers.who(flow.connection) != stranger_in(flow.realm)

    def _belongs(self, request: Request, flow: Flow) -> bool:
        """To a dialog that matches on its flow, not merely by a tag that anybody can write, or to an INVITE that is here; or repeats it."""
        if request.to.tag:
            user = self._context.dialogs.get((request.call_id, request.to.tag))
            if user is not None and self._speaks_for(user, flow):
                return True
        return request.method in ("ACK", "CANCEL", "INVITE") and self._context.transactions.has_invite_of(request, flow)

    def _is_for_help(self, uri: Uri, flow: Flow) -> bool:
        snapshot = self._context.snapshot
        if emergency_at(snapshot, flow.realm, uri) is not None:
            return True
        party = self._party(flow)
        if party is None:
            return False
        try:
            return emergency_called(snapshot, party, normalise(party, dialled(uri))) is not None
        except SipError:  # it will be refused when its turn comes
            return False

    def _has_priority(self, request: Request, flow: Flow) -> bool:
        party = self._party(flow)
        try:
            return party is not None and allowed_priority(request, party) != ""
        except SipError:  # so will this
            return False

    def _party(self, flow: Flow) -> Party | None:
        snapshot = self._context.snapshot
        trunk: Trunk | None = trunk_at(snapshot, flow)
        if trunk is not None:
            return trunk
        account = self._bindings.at(flow)
        return None if account is None else snapshot.users.get(account) or snapshot.trunks.get(account)

"""Our registrations at carriers: those the policy wants, and whose call it is that comes because of one of them."""

from __future__ import annotations

from sbc.call.context import Context
from sbc.clock import Now
from sbc.errors import ParseError
from sbc.flow import Flow
from sbc.policy.decide import dialled
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Party, Trunk
from sbc.registrar.outbound import Outbound
from sbc.registrar.outbound_rules import Outlook
from sbc.registrar.tokens import Tokens
from sbc.sip.fields.nameaddr import parse_list
from sbc.sip.message import Request
from sbc.sip.names import P_CALLED_PARTY_ID


class Carriers:
    """Nothing is sent before `begin`: until then nobody can be reached, and in a recording that is played nobody is to be."""

    def __init__(self, context: Context, tokens: Tokens) -> None:
        self._context = context
        self._tokens = tokens
        self._of: dict[str, Outbound] = {}  # by trunk
        self._leaving: list[Outbound] = []
        self._begun = False
        self.is_at = context.tap.answered(self._is_at)
        context.homes.doubted = self._doubted

    def begin(self, now: Now) -> None:
        self._begun = True
        self.follow_policy(now)

    def follow_policy(self, now: Now) -> None:
        """Register where the policy says so, and no longer where it does not."""
        if not self._begun or self._context.draining:
            return
        snapshot = self._context.snapshot
        wanted = {name: trunk for name, trunk in snapshot.trunks.items() if trunk.register_to is not None}
        for name, outbound in tuple(self._of.items()):
            trunk = wanted.get(name)
            if trunk is not None and _is_same(outbound, trunk, snapshot.realms[trunk.realm]):
                outbound.adapt(trunk, now)
            else:
                self._leave(name, outbound, now)
        for name, trunk in wanted.items():
            if name not in self._of:
                realm = snapshot.realms[trunk.realm]
                self._of[name] = Outbound(self._context, trunk, realm, self._line(trunk), self._gone)
                self._of[name].begin(now)

    def leave(self, now: Now) -> None:
        """No calls from now on: let the carriers know."""
        for name, outbound in tuple(self._of.items()):
            self._leave(name, outbound, now)

    def is_leaving(self) -> bool:
        """Whether a goodbye is under way."""
        return bool(self._leaving)

    def flow_closed(self, flow: Flow, now: Now) -> None:
        for outbound in (*self._of.values(), *self._leaving):
            outbound.flow_closed(flow, now)

    def outlooks(self) -> tuple[Outlook, ...]:
        return tuple([outbound.outlook() for outbound in (*self._of.values(), *self._leaving)])

    # Who is it?

    def caller(self, request: Request, flow: Flow) -> Trunk | None:
        """The trunk whose registration a request came by.

        Over the connection we have registered by it is the carrier: we have opened it. From anywhere else the line of our Contact
        counts, and from the carrier's servers alone: neither an address nor a line is enough, for both may be known to others.
        """
        if not self._of:
            return None
        line = request.uri.param("line")
        here = [each for each in self._of.values() if each.flow is not None and flow.connection and each.flow.connection == flow.connection]
        for outbound in here or self._of.values():
            if line and outbound.line == line and outbound.is_from(flow):
                return outbound.trunk
        return here[0].trunk if len(here) == 1 else None

    def knows(self, flow: Flow) -> bool:
        """Whether a server of some carrier is there: it gets answers, as who is no stranger."""
        return any(outbound.is_from(flow) for outbound in self._of.values())

    def _is_at(self, trunk: str, flow: Flow) -> bool:
        """Whether that trunk is there, as far as dialogs go that are known to be its."""
        outbound = self._of.get(trunk)
        return outbound is not None and outbound.is_from(flow)

    def _doubted(self, trunk: str, now: Now) -> None:
        outbound = self._of.get(trunk)
        if outbound is not None:
            outbound.doubt(now)

    def _line(self, trunk: Trunk) -> str:
        """The same after a restart, so that the carrier does not have two Contacts of ours then."""
        assert trunk.register_to is not None
        return self._tokens.fixed(f"{trunk.realm} {trunk.register_to.user}@{trunk.register_to.domain}")

    def _leave(self, name: str, outbound: Outbound, now: Now) -> None:
        del self._of[name]
        self._leaving.append(outbound)
        outbound.leave(now)

    def _gone(self, outbound: Outbound) -> None:
        self._leaving.remove(outbound)


def _is_same(outbound: Outbound, trunk: Trunk, realm: Realm) -> bool:
    """The same account at the same place, from where it was: whatever else is new, the registration may stay."""
    before, after = outbound.account, trunk.register_to
    if after is None or outbound.realm.name != realm.name or outbound.realm.listeners != realm.listeners:
        return False
    return (before.registrar, before.user, before.domain, before.port) == (after.registrar, after.user, after.domain, after.port)


def number_called(request: Request, party: Party) -> str:
    """The number or name that was called. Where the Request-URI is our Contact itself, it stands elsewhere:

    in P-Called-Party-ID (RFC 7315 s4.2), else in To; or it is the account.
    """
    account = party.register_to if isinstance(party, Trunk) else None
    if account is None or request.uri.decoded_user != account.user:
        return dialled(request.uri)
    try:
        named = [each.uri for each in parse_list(request.headers.all(P_CALLED_PARTY_ID)[:1])]
    except ParseError:
        named = []
    return dialled((named or [request.to.uri])[0]) or account.user

"""Bindings of accounts to Contacts (RFC 3261 s10.3). The flow a REGISTER came by is where the account is reached (RFC 5626)."""

from __future__ import annotations

from collections.abc import Iterable

from sbc.call.context import Way
from sbc.clock import Now
from sbc.flow import Flow
from sbc.frozen import frozen, replace
from sbc.sip.fields.contact import Contact
from sbc.sip.server import DEFAULT_PORT
from sbc.tap import Answered, unrecorded


@frozen
class Binding:
    """One Contact of an account.

    expires_at   monotonic seconds
    path         the Path it registered by, topmost first (RFC 3327 s5.3)
    outbound     it is known by its +sip.instance and reg-id instead of its Contact (RFC 5626 s6)
    lost         the connection it registered over is gone, and there is no other way to it
    """

    contact: Contact
    flow: Flow
    expires_at: float
    call_id: str
    cseq: int
    path: tuple[str, ...] = ()
    outbound: bool = False
    lost: bool = False

    @property
    def way(self) -> Way:
        """The Path it came by is the Route to it (RFC 3327 s5.4)."""
        uri = self.contact.uri
        return (uri.with_(headers="") if uri.headers else uri), self.flow, self.path  # headers in a URI would steer our INVITE


class Bindings:
    """account name -> its bindings, the most recently refreshed last. Expired ones are dropped when looked at."""

    def __init__(self, answered: Answered = unrecorded) -> None:
        self._of: dict[str, list[Binding]] = {}
        self._at: dict[Flow, set[str]] = {}  # the same, looked up by flow
        self._ways_to = answered(self._ways)
        self._accounts = answered(self._accounts_at)

    def __len__(self) -> int:
        return sum(len(bindings) for bindings in self._of.values())

    def current(self, account: str, now: Now) -> list[Binding]:
        """Those that have not expired, lost ones included."""
        bindings = self._of.get(account)
        if bindings is None:
            return []
        live = [binding for binding in bindings if binding.expires_at > now.monotonic]
        if len(live) < len(bindings):
            self._store(account, live)
        return live

    def bind(self, account: str, bindings: Iterable[Binding]) -> None:
        """From now on the account has these."""
        self._store(account, list(bindings))

    def ways(self, account: str, now: Now) -> tuple[Way, ...] | None:
        """How the account is reached: by preference (q), then the binding refreshed last.

        None: not registered. (): it is, but lost its connection, and may come back any moment.
        """
        return self._ways_to(account, now)

    def _ways(self, account: str, now: Now) -> tuple[Way, ...] | None:
        bindings = self.current(account, now)
        if not bindings:
            return None
        reached = [binding for binding in reversed(bindings) if not binding.lost]
        reached.sort(key=lambda binding: -binding.contact.q)
        return tuple([binding.way for binding in reached])

    def holds(self, account: str, flow: Flow) -> bool:
        """Whether that account is registered over this very flow."""
        return account in self._accounts(flow)

    def at(self, flow: Flow) -> str | None:
        """An account registered over this very flow."""
        return next(iter(self._accounts(flow)), None)

    def _accounts_at(self, flow: Flow) -> tuple[str, ...]:
        return tuple(self._at.get(flow, ()))

    def flow_closed(self, flow: Flow) -> None:
        """A connection is gone: nobody can be reached through it."""
        for account in tuple(self._at.get(flow, ())):
            self._store(account, [unconnected(binding) if binding.flow == flow else binding for binding in self._of[account]])

    def _store(self, account: str, bindings: list[Binding]) -> None:
        for old in self._of.pop(account, ()):
            accounts = self._at.get(old.flow, set())
            accounts.discard(account)
            if not accounts:
                self._at.pop(old.flow, None)
        if bindings:
            self._of[account] = bindings
        for binding in bindings:
            if not binding.lost:
                self._at.setdefault(binding.flow, set()).add(account)


def unconnected(binding: Binding) -> Binding:
    """What becomes of a binding without its connection.

    Who came by TCP without a NAT can be connected to, where its Contact says. Nobody else: a phone has no certificate to prove
    by TLS that it is the one, and browsers take no connections.
    """
    flow, uri = binding.flow, binding.contact.uri
    if not flow.reliable:
        return binding
    if flow.transport == "TCP" and uri.host == flow.remote[0] and uri.scheme == "sip" and not binding.path and not binding.outbound:
        return replace(binding, flow=flow._replace(remote=(uri.host, uri.port or DEFAULT_PORT), connection=0))
    return replace(binding, flow=flow._replace(connection=0), lost=True)

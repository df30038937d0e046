"""Bindings of accounts to Contacts (RFC 3261 s10.3). The flow a REGISTER came by is where the account is reached (RFC 5626)."""

from __future__ import annotations

from collections.abc import Callable

from sbc.call.context import Way
from sbc.clock import Now
from sbc.effects import Effect, ForgetBindings, Log, StoreBindings, Vouch
from sbc.flow import Flow
from sbc.frozen import replace
from sbc.registrar.binding import Binding, unconnected
from sbc.registrar.stored import Unreadable, bindings_of, text_of
from sbc.tap import Answered, unrecorded


class Bindings:
    """account name -> its bindings, the most recently refreshed last. Expired ones are dropped when looked at."""

    def __init__(self, emit: Callable[[Effect], None], answered: Answered = unrecorded) -> None:
        self._emit = emit
        self._of: dict[str, list[Binding]] = {}
        self._at: dict[Flow, set[str]] = {}  # the same, looked up by flow
        self._by_token: dict[str, str] = {}  # the same, looked up by what the registrar behind us knows it by
        self._ways_to = answered(self._ways)
        self._home = answered(self._service_route)
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

    def listed(self, account: str, now: Now) -> list[Binding]:
        """The same, for whoever only looks: nothing is dropped."""
        return [binding for binding in self._of.get(account, ()) if binding.expires_at > now.monotonic]

    def accounts(self) -> tuple[str, ...]:
        """Names, in no order; some may have expired meanwhile."""
        return tuple(self._of)

    def bind(self, account: str, bindings: list[Binding], now: Now) -> None:
        """From now on the account has these, after a restart, too. Connections that close and times that run out need not be stored."""
        self._store(account, bindings)
        self._vouch(bindings)
        self._emit(StoreBindings(account, text_of(bindings, now)) if bindings else ForgetBindings(account))

    def restore(self, stored: tuple[tuple[str, str], ...], known: Callable[[str, Flow], bool], now: Now) -> None:
        """What an earlier process knew, as far as it still holds. `known`: whether that account may be registered on that flow."""
        lost = 0
        for account, text in stored:
            if not account:  # the key of the tokens
                continue
            try:
                bindings = [binding for binding in bindings_of(text, now) if known(account, binding.flow)]
            except Unreadable as error:
                self._emit(Log("warning", "registration not read", {"account": account, "problem": str(error)}))
                bindings = []
            self._store(account, bindings)
            self._vouch(bindings)
            lost += sum(binding.lost for binding in bindings)
            if not bindings:
                self._emit(ForgetBindings(account))
        if self._of:
            self._emit(Log("info", "registrations found", {"accounts": len(self._of), "bindings": len(self), "waited_for": lost}))

    def keep(self, known: Callable[[str, Flow], bool], now: Now) -> None:
        """A new policy is there: bindings of accounts that are no more, or that are elsewhere, go."""
        for account, bindings in tuple(self._of.items()):
            kept = [binding for binding in bindings if known(account, binding.flow)]
            if len(kept) < len(bindings):
                self.bind(account, kept, now)

    def ways(self, account: str, token: str, now: Now) -> tuple[Way, ...] | None:
        """How the account is reached: by preference (q), then the binding refreshed last. `token`: by that binding, "": by any.

        None: not registered. (): it is, but lost its connection, and may come back any moment.
        """
        return self._ways_to(account, token, now)

    def _ways(self, account: str, token: str, now: Now) -> tuple[Way, ...] | None:
        bindings = self.current(account, now)
        if token:
            bindings = [binding for binding in bindings if binding.upstream is not None and binding.upstream.token == token]
        if not bindings:
            return None
        reached = [binding for binding in reversed(bindings) if not binding.lost]
        reached.sort(key=lambda binding: -binding.contact.q)
        return tuple([binding.way for binding in reached])

    def found(self, token: str, now: Now) -> tuple[str, Binding] | None:
        """The account and the binding that the registrar behind us knows by that token."""
        account = self._by_token.get(token)
        for binding in self.current(account, now) if account is not None else ():
            if account is not None and binding.upstream is not None and binding.upstream.token == token:
                return account, binding
        return None

    def note_cseq(self, token: str, cseq: int, now: Now) -> None:
        """The registrar behind us has been sent that number for the binding, if there is one, whatever it will answer."""
        found = self.found(token, now)
        if found is not None:
            account, binding = found
            assert binding.upstream is not None
            noted = replace(binding, upstream=replace(binding.upstream, cseq=cseq))
            self._store(account, [noted if each is binding else each for each in self._of[account]])

    def service_route(self, account: str, flow: Flow, now: Now) -> tuple[str, ...]:
        """How calls of that account are to reach the network it is registered in (RFC 3608 s6.2)."""
        return self._home(account, flow, now)

    def _service_route(self, account: str, flow: Flow, now: Now) -> tuple[str, ...]:
        bindings = [binding for binding in self.current(account, now) if binding.upstream is not None and not binding.lost]
        bindings.sort(key=lambda binding: binding.flow != flow)
        return bindings[0].upstream.service_route if bindings and bindings[0].upstream is not None else ()

    def holds(self, account: str, flow: Flow) -> bool:
        """Whether that account is registered over this very flow."""
        return account in self._accounts(flow)

    def at(self, flow: Flow) -> str | None:
        """An account registered over this very flow."""
        return next(iter(self._accounts(flow)), None)

    def all_at(self, flow: Flow, now: Now) -> tuple[str, ...]:
        """All accounts registered over this very flow, whose time is not over: behind a UDP port may be somebody else by then."""
        return tuple([each for each in self._accounts(flow) if any(binding.flow == flow for binding in self.current(each, now))])

    def _accounts_at(self, flow: Flow) -> tuple[str, ...]:
        return tuple(self._at.get(flow, ()))

    def flow_closed(self, flow: Flow) -> None:
        """A connection is gone: nobody can be reached through it."""
        for account in tuple(self._at.get(flow, ())):
            self._store(account, [unconnected(binding) if binding.flow == flow else binding for binding in self._of[account]])

    def _vouch(self, bindings: list[Binding]) -> None:
        for binding in bindings:
            self._emit(Vouch(binding.flow))

    def _store(self, account: str, bindings: list[Binding]) -> None:
        for old in self._of.pop(account, ()):
            accounts = self._at.get(old.flow, set())
            accounts.discard(account)
            if not accounts:
                self._at.pop(old.flow, None)
            if old.upstream is not None:
                self._by_token.pop(old.upstream.token, None)
        if bindings:
            self._of[account] = bindings
        for binding in bindings:
            if binding.upstream is not None:
                self._by_token[binding.upstream.token] = account
            if not binding.lost:
                self._at.setdefault(binding.flow, set()).add(account)

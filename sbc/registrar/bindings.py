"""Bindings of accounts to Contacts (RFC 3261 s10.3). The flow a REGISTER came by is where the account is reached (RFC 5626)."""

from __future__ import annotations

from sbc.clock import Now
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.frozen import frozen
from sbc.sip.fields.contact import Contact, parse_contacts
from sbc.sip.fields.expires import expires
from sbc.sip.message import Request
from sbc.sip.names import CONTACT
from sbc.sip.uri import Uri, same_uri
from sbc.tap import Answered, unrecorded

DEFAULT_EXPIRES_S = 3600  # RFC 3261 s10.2.1.1 suggests one hour
MIN_EXPIRES_S = 60  # "A registrar MAY return 423 … less than one hour" (s10.3); NATs make phones ask for 60
MAX_EXPIRES_S = 7200
MAX_CONTACTS = 10  # of one account; Asterisk's and Kamailio's usual max_contacts


@frozen
class Binding:
    contact: Contact
    flow: Flow
    expires_at: float  # monotonic seconds
    call_id: str
    cseq: int


class Bindings:
    """account name -> its bindings, the most recently refreshed last. Expired ones are dropped when looked at."""

    def __init__(self, answered: Answered = unrecorded) -> None:
        self._of: dict[str, list[Binding]] = {}
        self._at: dict[Flow, set[str]] = {}  # the same, looked up by flow
        self._reached = answered(self._last_binding)
        self._accounts = answered(self._accounts_at)

    def __len__(self) -> int:
        return sum(len(bindings) for bindings in self._of.values())

    def current(self, account: str, now: Now) -> list[Binding]:
        bindings = self._of.get(account)
        if bindings is None:
            return []
        live = [binding for binding in bindings if binding.expires_at > now.monotonic]
        if len(live) < len(bindings):
            self._store(account, live)
        return live

    def register(self, account: str, request: Request, flow: Flow, now: Now) -> list[Binding]:
        """Apply a REGISTER, all or nothing (s10.3 step 7); the bindings that hold then. Raises SipError 400, 423, 403, 500."""
        bindings = self.current(account, now)
        rows = request.headers.all(CONTACT)
        if rows:
            bindings = self._applied(bindings, request, rows, flow, now)
            self._store(account, bindings)
        return bindings

    def _applied(self, bindings: list[Binding], request: Request, rows: list[str], flow: Flow, now: Now) -> list[Binding]:
        asked = expires(request.headers)
        default = DEFAULT_EXPIRES_S if asked is None else asked
        contacts = parse_contacts(rows)
        if contacts is None:  # "*"
            if default != 0:
                raise SipError(status=400, reason="Contact * needs Expires: 0")
            self._check_order(bindings, request)
            return []
        if len(contacts) > MAX_CONTACTS:  # before any work for each of them
            raise SipError(status=403, reason="Too Many Contacts")
        for contact in contacts:
            if contact.uri.scheme not in ("sip", "sips"):
                raise SipError(status=400, reason="Bad Contact")
            seconds = granted(contact, default)
            old = [binding for binding in bindings if same_uri(binding.contact.uri, contact.uri)]
            self._check_order(old, request)
            bindings = [binding for binding in bindings if binding not in old]
            if seconds > 0:
                bindings.append(Binding(contact, flow, now.monotonic + seconds, request.call_id, request.cseq.number))
        if len(bindings) > MAX_CONTACTS:
            raise SipError(status=403, reason="Too Many Contacts")
        return bindings

    @staticmethod
    def _check_order(bindings: list[Binding], request: Request) -> None:
        """ "If the CSeq … is not higher, the update MUST be aborted" for one Call-ID (s10.3 step 7)."""
        if any(binding.call_id == request.call_id and request.cseq.number <= binding.cseq for binding in bindings):
            raise SipError("REGISTER out of order", status=500, reason="Server Internal Error")

    def lookup(self, account: str, now: Now) -> tuple[Uri, Flow] | None:
        """Contact and flow of the binding refreshed last."""
        return self._reached(account, now)

    def _last_binding(self, account: str, now: Now) -> tuple[Uri, Flow] | None:
        bindings = self.current(account, now)
        if not bindings:
            return None
        uri = bindings[-1].contact.uri
        return (uri.with_(headers="") if uri.headers else uri), bindings[-1].flow  # headers in a URI would steer our INVITE

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
            self._store(account, [binding for binding in self._of[account] if binding.flow != flow])

    def _store(self, account: str, bindings: list[Binding]) -> None:
        for old in self._of.pop(account, ()):
            accounts = self._at.get(old.flow, set())
            accounts.discard(account)
            if not accounts:
                self._at.pop(old.flow, None)
        if bindings:
            self._of[account] = bindings
        for binding in bindings:
            self._at.setdefault(binding.flow, set()).add(account)


def granted(contact: Contact, default: int) -> int:
    """Seconds this Contact gets. Raises SipError 423 when it asks for too few."""
    seconds = default if contact.expires is None else contact.expires
    if 0 < seconds < MIN_EXPIRES_S:
        raise SipError(status=423, reason="Interval Too Brief", headers=(("Min-Expires", str(MIN_EXPIRES_S)),))
    return min(seconds, MAX_EXPIRES_S)


def contact_rows(bindings: list[Binding], now: Now) -> tuple[tuple[str, str], ...]:
    """Contact headers of the 200: every binding with the time it has left (s10.3 step 8)."""
    return tuple(
        ("Contact", f"<{binding.contact.uri}>;expires={max(1, round(binding.expires_at - now.monotonic))}") for binding in bindings
    )

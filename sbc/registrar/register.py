"""What a REGISTER does to the bindings of its account (RFC 3261 s10.3, RFC 3327 s5.3, RFC 5626 s6, RFC 6140 s5.2)."""

from __future__ import annotations

from sbc.clock import Now
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.policy.realms import Terms
from sbc.registrar.binding import Binding
from sbc.sip.fields.contact import Contact, parse_contacts
from sbc.sip.fields.expires import expires
from sbc.sip.fields.nameaddr import NameAddr, parse_list
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.grammar import format_params
from sbc.sip.locate import is_address
from sbc.sip.message import Request
from sbc.sip.names import CONTACT, PATH, SUPPORTED, VIA
from sbc.sip.server import DEFAULT_PORT
from sbc.sip.uri import same_uri

DEFAULT_EXPIRES_S = 3600  # RFC 3261 s10.2.1.1 suggests one hour
MIN_EXPIRES_S = 60  # "A registrar MAY return 423 … less than one hour" (s10.3); NATs make phones ask for 60
MAX_CONTACTS = 10  # of one account; Asterisk's and Kamailio's usual max_contacts
MAX_PATH = 10  # proxies between a phone and us; each request to it carries them all
RETRY_S = 60  # for whoever meets a limit, which never is 403: a PBX that hears "forbidden" does not come back

BULK_OPTION = "gin"
BULK = "bnc"  # the parameter of a Contact that stands for all numbers of an account (RFC 6140 s5.1)
OPTIONS = frozenset({"path", "outbound"})  # what may be required of a registrar like ours


class Registration:
    """A REGISTER, read once: `contacts` is None for "*", () for a question. Raises SipError 400, 439, 503."""

    __slots__ = ("_request", "contacts", "default", "flow", "outbound", "path", "terms")

    def __init__(self, request: Request, flow: Flow, terms: Terms) -> None:
        asked = expires(request.headers)
        self._request = request
        self.flow = flow
        self.terms = terms
        self.default = DEFAULT_EXPIRES_S if asked is None else asked
        self.contacts = parse_contacts(request.headers.all(CONTACT))
        self.path = tuple(map(str, parse_list(request.headers.all(PATH))))
        if self.contacts is None and self.default != 0:
            raise SipError(status=400, reason="Contact * needs Expires: 0")
        if len(self.contacts or ()) > MAX_CONTACTS:  # before any work for each of them
            raise too_many()
        if len(self.path) > MAX_PATH:
            raise SipError(status=400, reason="Path Too Long")
        for contact in self.contacts or ():
            check_contact(contact)
        self.outbound = self._is_outbound()

    def _is_outbound(self) -> bool:
        """Whether RFC 5626 holds for it. What is asked for without the option tag is left alone."""
        flows = [contact for contact in self.contacts or () if flow_key(contact) is not None]
        if not flows or "outbound" not in parse_tokens(self._request.headers.all(SUPPORTED)):
            return False
        if sum(self.asked(contact) > 0 for contact in self.contacts or ()) > 1:
            raise SipError("several Contacts beside a reg-id", status=400, reason="One Contact With A reg-id")
        # "If there is a proxy … the first hop … does not have an 'ob' URI parameter": the lowest Path is the first hop's
        if self._request.headers.count(VIA) > 1 and not (self.path and NameAddr.parse(self.path[-1]).uri.param("ob") is not None):
            raise SipError("a proxy without outbound before us", status=439, reason="First Hop Lacks Outbound Support")
        return True

    def asked(self, contact: Contact) -> int:
        """Seconds."""
        return self.default if contact.expires is None else contact.expires

    def granted(self, contact: Contact) -> int:
        """Seconds this Contact gets. Raises SipError 423 when it asks for too few."""
        seconds = self.asked(contact)
        if 0 < seconds < MIN_EXPIRES_S:
            raise SipError(status=423, reason="Interval Too Brief", headers=(("Min-Expires", str(MIN_EXPIRES_S)),))
        return min(seconds, self.terms.behind_nat if self._behind_nat(contact) else self.terms.longest)

    def _behind_nat(self, contact: Contact) -> bool:
        """A UDP phone whose NAT has to be kept open: it says it is elsewhere than it comes from."""
        host, port = self.flow.remote
        via = self._request.via
        if self.flow.reliable or self.path:
            return False
        elsewhere = any(is_address(each) and each != host for each in (contact.uri.host, via.host))
        return elsewhere or (is_address(via.host) and (via.port or DEFAULT_PORT) != port)

    def applied(self, bindings: list[Binding], now: Now) -> list[Binding]:
        """All or nothing (s10.3 step 7): the bindings that hold then. Raises SipError 400, 423, 500, 503."""
        if self.contacts is None:
            self._check_order(bindings)
            return []
        request = self._request
        for contact in self.contacts:
            seconds = self.granted(contact)
            old = self.matching(bindings, contact)
            self._check_order(old)
            bindings = [binding for binding in bindings if binding not in old]
            if seconds > 0:
                # Who is back is not waited for any more. A registrar behind us still knows the others, and may call them
                bindings = [binding for binding in bindings if not binding.lost or binding.upstream is not None]
                until = now.monotonic + seconds
                bindings.append(Binding(contact, self.flow, until, request.call_id, request.cseq.number, self.path, self.outbound))
        for lost in [binding for binding in bindings if binding.lost][: max(0, len(bindings) - MAX_CONTACTS)]:
            bindings.remove(lost)
        if len(bindings) > MAX_CONTACTS:
            raise too_many()
        return bindings

    def matching(self, bindings: list[Binding], contact: Contact) -> list[Binding]:
        """The bindings that this Contact replaces."""
        return [binding for binding in bindings if self._is_of(binding, contact)]

    def _is_of(self, binding: Binding, contact: Contact) -> bool:
        """Instance and reg-id name a binding where both sides speak RFC 5626 (s6), the Contact elsewhere (RFC 3261 s10.3)."""
        if self.outbound and flow_key(contact) is not None:
            return binding.outbound and flow_key(binding.contact) == flow_key(contact)
        if binding.outbound:
            return False
        # "All registrations from a UAC SHOULD use the same Call-ID" (s10.2): it is back, with the port of its new connection
        back = binding.lost and binding.call_id == self._request.call_id
        return back or same_uri(binding.contact.uri, contact.uri)

    def _check_order(self, bindings: list[Binding]) -> None:
        """ "If the CSeq … is not higher, the update MUST be aborted" for one Call-ID (s10.3 step 7)."""
        request = self._request
        if any(binding.call_id == request.call_id and request.cseq.number <= binding.cseq for binding in bindings):
            raise SipError("REGISTER out of order", status=500, reason="Server Internal Error")

    def answer_rows(self, bindings: list[Binding], now: Now) -> tuple[tuple[str, str], ...]:
        """Headers of the 200: every binding with the time it has left (s10.3 step 8), the Path it came by (RFC 3327 s5.3)."""
        rows = [("Contact", contact_row(binding, now)) for binding in bindings if not binding.lost]
        rows += [("Path", value) for value in self.path]
        rows.append(("Supported", ", ".join(sorted(OPTIONS))))
        if self.outbound:  # no Flow-Timer: what RFC 5626 s4.4 says without one is right here, too
            rows.append(("Require", "outbound"))
        return tuple(rows)


def check_contact(contact: Contact) -> None:
    """Raises SipError 400."""
    if contact.uri.scheme not in ("sip", "sips"):
        raise SipError(status=400, reason="Bad Contact")
    if contact.uri.param(BULK) is not None and contact.uri.user is not None:  # RFC 6140 s5.2
        raise SipError("a bulk number Contact with a user", status=400, reason="Bulk Contact With A User")


def flow_key(contact: Contact) -> tuple[str, str] | None:
    """Instance and reg-id, if it has both: the name of one flow of one device (RFC 5626 s4.2)."""
    reg_id = contact.address.param("reg-id")
    return (contact.instance, reg_id) if contact.instance and reg_id else None


def contact_row(binding: Binding, now: Now) -> str:
    """As it was registered, with all its parameters."""
    address = binding.contact.address
    params = tuple([item for item in address.params if item[0] != "expires"])
    return f"<{address.uri}>{format_params(params)};expires={max(1, round(binding.expires_at - now.monotonic))}"


def too_many() -> SipError:
    return SipError("too many Contacts", status=503, reason="Too Many Contacts", headers=(("Retry-After", str(RETRY_S)),))

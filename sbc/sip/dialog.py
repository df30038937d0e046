"""Dialogs (RFC 3261 s12): who we talk to, by which route, and in which order."""

from __future__ import annotations

from collections.abc import Iterable

from sbc.errors import ParseError, SipError
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr, parse_list
from sbc.sip.fields.via import Via
from sbc.sip.message import Request, Response
from sbc.sip.names import CONTACT, RECORD_ROUTE, ROUTE
from sbc.sip.uri import Uri

# Every request of the dialog carries the whole route set. The longest seen in IMS roaming is about 12; 64 is what we allow for Via.
MAX_ROUTES = 64

# They replace the remote target (RFC 3261 s12.2, RFC 3311 s5, RFC 6665 s3.1 and s4.4.1).
TARGET_REFRESH = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})

DialogKey = tuple[str, str, str]
Rows = list[tuple[str, str]]


class Dialog:
    """One dialog. `local` and `remote` carry the tags (`remote_tag` is "" with an RFC 2543 peer).

    remote_target   Request-URI of our requests, unless the next hop is a strict router
    route_set       fixed when the dialog is made; an early one takes it anew from the 2xx (RFC 3261 s13.2.2.4)
    local_cseq      number of our last request; remote_cseq of the peer's, None before the first
    secure          made by a request to a sips URI (s12.1)
    early           made by our INVITE and a 1xx, not confirmed yet
    """

    __slots__ = ("_route_rows", "call_id", "early", "local", "local_cseq", "remote", "remote_cseq", "remote_target", "route_set", "secure")

    def __init__(
        self,
        *,
        call_id: str,
        local: NameAddr,
        remote: NameAddr,
        remote_target: Uri,
        route_set: tuple[NameAddr, ...],
        local_cseq: int = 0,
        remote_cseq: int | None = None,
        secure: bool = False,
        early: bool = False,
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.remote_target = _as_request_uri(remote_target)
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.secure = secure
        self.early = early
        self._set_routes(route_set)

    @classmethod
    def from_request(cls, request: Request, local_tag: str) -> Dialog:
        """The UAS side (s12.1.1). ParseError (400) without exactly one Contact, with a malformed or too long Record-Route."""
        target = _contact(request)
        if target is None:
            raise ParseError(f"{request.method} without a Contact", reason="Missing Contact")
        return cls(
            call_id=request.call_id,
            local=request.to.with_tag(local_tag),
            remote=request.from_,
            remote_target=target,
            route_set=_recorded(request),
            remote_cseq=request.cseq.number,
            secure=request.uri.scheme == "sips",
        )

    @classmethod
    def from_response(cls, request: Request, response: Response) -> Dialog:
        """The UAC side (s12.1.2), from a 2xx or a 101-199 with a To tag. ParseError as above.

        A response without Contact leaves the Request-URI as the target: 1xx often have none, and a 2xx has to be acknowledged.
        """
        return cls(
            call_id=request.call_id,
            local=request.from_,
            remote=response.to,
            remote_target=_contact(response) or request.uri,
            route_set=_recorded(response)[::-1],
            local_cseq=request.cseq.number,
            secure=request.uri.scheme == "sips",
            early=response.status < 200,
        )

    @property
    def local_tag(self) -> str:
        return self.local.tag

    @property
    def remote_tag(self) -> str:
        return self.remote.tag

    @property
    def key(self) -> DialogKey:
        return (self.call_id, self.local.tag, self.remote.tag)

    @property
    def next_hop(self) -> Uri:
        """Where our requests go: a loose and a strict router alike are the first of the route set (s12.2.1.1)."""
        return self.route_set[0].uri if self.route_set else self.remote_target

    # Requests of ours

    def request(
        self,
        method: str,
        *,
        via: Via,
        contact: str | None = None,
        max_forwards: int = 70,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> Request:
        """The next request of the dialog. `contact`: value of Contact, for methods that take one."""
        self.local_cseq += 1
        return self._build(CSeq(self.local_cseq, method), via, contact, max_forwards, headers, body, content_type)

    def ack(
        self,
        invite_cseq: int,
        via: Via,
        *,
        max_forwards: int = 70,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> Request:
        """The ACK of a 2xx (s13.2.2.4). `headers` are to hold the credentials the INVITE had."""
        return self._build(CSeq(invite_cseq, "ACK"), via, None, max_forwards, headers, body, content_type)

    def _build(
        self,
        cseq: CSeq,
        via: Via,
        contact: str | None,
        max_forwards: int,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        content_type: str,
    ) -> Request:
        uri, rows = self._routing()
        if contact is not None:
            rows.append((CONTACT, contact))
        rows.extend(headers)
        return Request.build(
            cseq.method,
            uri,
            via=via,
            from_=self.local,
            to=self.remote,
            call_id=self.call_id,
            cseq=cseq,
            max_forwards=max_forwards,
            headers=rows,
            body=body,
            content_type=content_type,
        )

    def _routing(self) -> tuple[Uri, Rows]:
        """Request-URI and Route rows (s12.2.1.1)."""
        if not self.route_set:
            return self.remote_target, []
        first = self.route_set[0].uri
        if first.param("lr") is not None:
            return self.remote_target, [*self._route_rows]
        # A strict router expects itself in the Request-URI, and the target as the last Route.
        return _as_request_uri(first), [*self._route_rows[1:], (ROUTE, f"<{self.remote_target}>")]

    def _set_routes(self, routes: tuple[NameAddr, ...]) -> None:
        self.route_set = routes
        self._route_rows: Rows = [(ROUTE, str(route)) for route in routes]

    # What the peer sends

    def receive(self, request: Request) -> None:
        """A request of the peer in this dialog: its order and its new target (s12.2.2).

        SipError (500) when it is older than one already seen; a gap is fine. ACK and CANCEL bear the number of their
        INVITE, and nothing answers them. ParseError (400) on a malformed Contact, before anything has changed.
        """
        if request.method in ("ACK", "CANCEL"):
            return
        number = request.cseq.number
        if self.remote_cseq is not None and number < self.remote_cseq:
            raise SipError(f"CSeq {number} after {self.remote_cseq}", status=500)
        if request.method in TARGET_REFRESH:
            self._refresh(request)
        self.remote_cseq = number

    def receive_response(self, response: Response) -> None:
        """A response in this dialog. Only a 2xx to a target refresh changes anything: the target, and what was early.

        ParseError when its Contact or Record-Route is malformed.
        """
        if not 200 <= response.status < 300 or response.cseq.method not in TARGET_REFRESH:
            return
        self._refresh(response)
        if self.early and response.cseq.method == "INVITE":
            self._set_routes(_recorded(response)[::-1])
            self.early = False

    def _refresh(self, message: Request | Response) -> None:
        target = _contact(message)
        if target is not None:
            self.remote_target = _as_request_uri(target)


def record_route_rows(request: Request) -> Rows:
    """What a response that makes a dialog has to repeat (s12.1.1)."""
    return [(RECORD_ROUTE, value) for value in request.headers.all(RECORD_ROUTE)]


def _contact(message: Request | Response) -> Uri | None:
    """The URI of the Contact, None without one. ParseError when it is no SIP URI, or there are more."""
    values = message.headers.values(CONTACT)
    if not values:
        return None
    if len(values) > 1:
        raise ParseError("more than one Contact")
    uri = NameAddr.parse(values[0]).uri
    if uri.scheme not in ("sip", "sips"):
        raise ParseError(f"a Contact of scheme {uri.scheme}")
    return uri


def _recorded(message: Request | Response) -> tuple[NameAddr, ...]:
    """ParseError when it is malformed or too long."""
    routes = tuple(parse_list(message.headers.all(RECORD_ROUTE)))
    if len(routes) > MAX_ROUTES:
        raise ParseError(f"{len(routes)} Record-Routes")
    return routes


def _as_request_uri(uri: Uri) -> Uri:
    """Without what a Request-URI must not have (RFC 3261 s19.1.1, table 1): headers and a method parameter."""
    if uri.headers:
        uri = uri.with_(headers="")
    if uri.param("method") is not None:
        uri = uri.with_(params=tuple([item for item in uri.params if item[0] != "method"]))
    return uri

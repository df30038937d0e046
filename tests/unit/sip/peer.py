"""Messages, a clock and a wire for tests of the transaction layer."""

from __future__ import annotations

from dataclasses import dataclass, field

from sbc.clock import Now
from sbc.flow import Flow
from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram
from sbc.sip.timers import Timers, TimerValues
from sbc.sip.transactions import Cause, ClientTransaction, ServerTransaction, Transactions

UDP = Flow("outside", "UDP", ("10.0.0.1", 5060), ("192.0.2.7", 5060))
TCP = Flow("outside", "TCP", ("10.0.0.1", 5060), ("192.0.2.7", 49152), connection=7)
TLS = TCP._replace(transport="TLS")

FROM = '"Alice" <sip:alice@example.com>;tag=a1'
TO = "<sip:bob@example.com>"


def request(
    method: str = "INVITE",
    branch: str = "z9hG4bK-1",
    *headers: str,
    uri: str = "sip:bob@10.0.0.1",
    via: str = "",
    to: str = TO,
    cseq: int = 1,
    call_id: str = "c1",
) -> Request:
    via = via or f"SIP/2.0/UDP 192.0.2.7:5060;branch={branch}"
    rows = [f"Via: {via}", "Max-Forwards: 70", f"From: {FROM}", f"To: {to}", f"Call-ID: {call_id}", f"CSeq: {cseq} {method}", *headers]
    message = parse_datagram(("\r\n".join([f"{method} {uri} SIP/2.0", *rows]) + "\r\n\r\n").encode())
    assert isinstance(message, Request)
    return message


def response(to: Request, status: int, tag: str = "b1", *headers: tuple[str, str]) -> Response:
    return Response.answer(to, status, to_tag="" if status == 100 else tag, headers=headers)


def received(data: bytes) -> Request | Response:
    """What the other end reads."""
    return parse_datagram(data)


@dataclass
class Owner:
    """A user of transactions that writes down what it is told: `1.5 180`, `32.0 timeout`."""

    heard: list[str] = field(default_factory=list)

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        assert transaction.request.method == response.cseq.method, "the request is there while its user is told"
        self.heard.append(f"{now.monotonic} {response.status}")

    def transaction_failed(self, transaction: ClientTransaction, cause: Cause, now: Now) -> None:
        self.heard.append(f"{now.monotonic} {cause}")

    def ack_missing(self, transaction: ServerTransaction, now: Now) -> None:
        self.heard.append(f"{now.monotonic} no ACK")


class World:
    """A transaction layer with a clock that jumps from timer to timer."""

    def __init__(self, values: TimerValues | None = None) -> None:
        self.instant = 0.0
        self.timers = Timers()
        self.sent: list[tuple[float, bytes, Flow, str]] = []
        self.layer = Transactions(self.timers, self.send, values)
        self.owner = Owner()

    @property
    def now(self) -> Now:
        return Now(self.instant, 1_700_000_000.0 + self.instant)

    def send(self, data: bytes, flow: Flow, key: str) -> None:
        self.sent.append((self.instant, data, flow, key))

    def until(self, instant: float) -> None:
        while (when := self.timers.next()) is not None and when <= instant:
            self.instant = when
            self.timers.fire(self.now)
            assert len(self.timers) <= len(self.layer), "one timer a transaction at most"
        self.instant = instant

    # Client

    def call(self, request: Request, flow: Flow = UDP, values: TimerValues | None = None) -> ClientTransaction:
        return self.layer.client(request, flow, self.now, self.owner, values)

    def hear(self, message: Response, flow: Flow = UDP) -> bool:
        return self.layer.receive_response(message, flow, self.now)

    # Server

    def serve(self, request: Request, flow: Flow = UDP) -> ServerTransaction:
        assert not self.layer.absorb(request, flow, self.now)
        return self.layer.server(request, flow, self.now, self.owner)

    def absorb(self, request: Request, flow: Flow = UDP) -> bool:
        return self.layer.absorb(request, flow, self.now)

    def answer(self, transaction: ServerTransaction, message: Response) -> None:
        self.layer.respond(transaction, message, self.now)

    # What was sent

    def instants(self, method_or_status: str = "") -> list[float]:
        return [when for when, data, _, _ in self.sent if method_or_status in data.split(b"\r\n")[0].decode()]

    def last(self) -> Request | Response:
        return received(self.sent[-1][1])

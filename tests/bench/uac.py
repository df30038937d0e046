"""The calling half of the load generator: INVITE, ACK, BYE at a steady rate, and what became of every call."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle

from tests.bench import messages
from tests.bench.messages import Login
from tests.bench.schedule import Schedule
from tests.bench.speech import Speech
from tests.bench.wire import Address, Peer, Wire

T1, T2 = 0.5, 4.0
PATIENCE = 12.0  # seconds a call may take besides ringing and talking; three retransmissions of anything have long failed by then


@dataclass(frozen=True)
class Calls:
    """What to call. `number` and `hold` (seconds between answer and BYE) are the same for every call.

    `speech`: seconds of media after the answer; shorter than `hold`.
    """

    rate: float
    count: int
    number: str
    server: Address
    hold: float = 0.0
    user: str = ""
    password: str = ""
    crypto: bool = False
    speech: float = 0.0


@dataclass
class Tally:
    """What became of the calls. Setup times in seconds, INVITE to 200, a challenge included."""

    offered: int = 0
    completed: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    retransmissions: int = 0  # sent by us, or received again
    challenges: int = 0
    setup: list[float] = field(default_factory=list)
    seconds: float = 0.0  # between the first and the last INVITE
    late: float = 0.0  # the most seconds by which a call started after its time


class _Call:
    __slots__ = ("branch", "contact", "cseq", "due", "id", "last", "local", "peer", "provisional", "routes", "started", "state", "to")

    def __init__(self, number: int, peer: Peer, local: Address, prefix: str, to: bytes) -> None:
        self.id = f"{prefix}-{number}@{local[0]}".encode()
        self.peer = peer
        self.local = f"{local[0]}:{local[1]}".encode()
        self.to = to
        self.contact = self.routes = self.last = self.branch = b""
        self.cseq = 0
        self.state = "inviting"  # talking, ending, over
        self.started = time.monotonic()
        self.due = 0.0
        self.provisional = False


class Uac:
    def __init__(self, wire: Wire, calls: Calls, prefix: str, speech: Speech | None = None) -> None:
        self._wire, self._calls, self._prefix, self._speech = wire, calls, prefix, speech
        self._schedule = Schedule()
        self._open: dict[bytes, _Call] = {}
        self._peers = cycle(wire.peers)
        self._logins = {id(peer): Login(calls.user, calls.password) for peer in wire.peers if calls.user}
        self._transport = b"TLS" if wire.reliable else b"UDP"
        self._contact = (
            b"Contact: <sip:bench@%b;transport=" + self._transport.lower() + b">\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n"
        )
        host, port = calls.server
        self._target = f"sip:{calls.number}@{host}:{port}".encode()
        self._active = 0
        self.tally = Tally()

    def run(self) -> Tally:
        """Blocks until every call is over or out of patience."""
        begin = time.monotonic()
        tally, calls = self.tally, self._calls
        while tally.offered < calls.count or self._active:
            now = time.monotonic()
            due = min(calls.count, int((now - begin) * calls.rate) + 1)
            for _ in range(min(due - tally.offered, 20)):
                tally.late = max(tally.late, now - begin - tally.offered / calls.rate)
                self._start()
                tally.seconds = now - begin
            self._schedule.run()
            pause = 1.0 if tally.offered == calls.count else max(0.0, begin + tally.offered / calls.rate - time.monotonic())
            for message, peer in self._wire.receive(self._schedule.wait(pause)):
                self._receive(message, peer)
        return tally

    def _start(self) -> None:
        peer = next(self._peers)
        call = _Call(self.tally.offered, peer, self._wire.local(peer), self._prefix, b"<" + self._target + b">")
        self.tally.offered += 1
        self._active += 1
        self._open[call.id] = call
        self._invite(call)
        self._schedule.after(PATIENCE + self._calls.hold, self._end, call, "timeout")

    def _invite(self, call: _Call) -> None:
        login = self._logins.get(id(call.peer))
        extra = login.row("INVITE", self._target) if login else b""
        host = call.local.partition(b":")[0].decode()
        call.cseq += 1
        call.provisional = False
        extra += self._contact % call.local
        self._request(call, b"INVITE", self._target, extra, messages.sdp(host, 40000, crypto=self._calls.crypto))

    def _request(self, call: _Call, method: bytes, uri: bytes, extra: bytes = b"", body: bytes = b"") -> None:
        call.branch = b"z9hG4bK%b.%d" % (call.id.partition(b"@")[0], call.cseq)
        call.last = self._text(call, method, uri, call.branch, extra, body)
        self._wire.send(call.last, call.peer)
        if not self._wire.reliable:
            call.due = T1
            self._schedule.after(T1, self._retransmit, call, call.cseq)

    def _text(self, call: _Call, method: bytes, uri: bytes, branch: bytes, extra: bytes = b"", body: bytes = b"") -> bytes:
        if body:
            extra += b"Content-Type: application/sdp\r\n"
        return (
            b"%b %b SIP/2.0\r\nVia: SIP/2.0/%b %b;rport;branch=%b\r\nMax-Forwards: 70\r\nFrom: <sip:%b@%b>;tag=c%b\r\nTo: %b\r\n"
            b"Call-ID: %b\r\nCSeq: %d %b\r\n%bContent-Length: %d\r\n\r\n%b"
        ) % (
            method,
            uri,
            self._transport,
            call.local,
            branch,
            self._calls.user.encode() or b"+493011",
            self._calls.server[0].encode() if self._calls.user else call.local,
            call.id.partition(b"@")[0],
            call.to,
            call.id,
            call.cseq,
            method,
            extra,
            len(body),
            body,
        )

    def _retransmit(self, call: _Call, cseq: int) -> None:
        waiting = call.state == "ending" or (call.state == "inviting" and not call.provisional)
        if not waiting or call.cseq != cseq:
            return
        self.tally.retransmissions += 1
        self._wire.send(call.last, call.peer)
        call.due = min(2 * call.due, T2)
        self._schedule.after(call.due, self._retransmit, call, cseq)

    def _receive(self, message: bytes, peer: Peer) -> None:
        call = self._open.get(messages.field(message, b"Call-ID"))
        if not message.startswith(b"SIP/2.0 "):
            self._receive_request(message, peer, call)
        elif call is not None:
            status, method = int(message[8:11]), messages.field(message, b"CSeq").rpartition(b" ")[2]
            if method == b"BYE":
                self._end(call, "" if status == 200 else f"BYE {status}")
            elif status < 200:
                call.provisional = True
            elif status < 300:
                self._answered(call, message)
            else:
                self._refused(call, message, status)

    def _receive_request(self, request: bytes, peer: Peer, call: _Call | None) -> None:
        if request.startswith(b"ACK "):
            return
        self._wire.send(messages.answer(request, b"200 OK"), peer)
        if call is not None and request.startswith(b"BYE "):
            self._end(call, "BYE from the other side")

    def _answered(self, call: _Call, response: bytes) -> None:
        if call.contact:
            self.tally.retransmissions += 1
            self._wire.send(self._text(call, b"ACK", call.contact, call.branch + b"a", call.routes), call.peer)
            return
        self.tally.setup.append(time.monotonic() - call.started)
        call.to = messages.field(response, b"To")
        call.contact = messages.uri_of(messages.field(response, b"Contact"))
        if b"\r\nRecord-Route:" in response:
            call.routes = b"".join(b"Route: %b\r\n" % row for row in reversed(messages.rows(response, b"Record-Route")))
        self._wire.send(self._text(call, b"ACK", call.contact, call.branch + b"a", call.routes), call.peer)
        if call.state != "inviting":
            return
        call.state = "talking"
        if self._speech is not None:
            self._speech.speak(response, self._calls.speech)
        if self._calls.hold:
            self._schedule.after(self._calls.hold, self._hang_up, call)
        else:
            self._hang_up(call)

    def _hang_up(self, call: _Call) -> None:
        if call.state == "talking":
            call.state = "ending"
            call.cseq += 1
            self._request(call, b"BYE", call.contact, call.routes)

    def _refused(self, call: _Call, response: bytes, status: int) -> None:
        if call.state != "inviting" or int(messages.field(response, b"CSeq").partition(b" ")[0]) != call.cseq:
            self.tally.retransmissions += 1
            return
        to, call.to = call.to, messages.field(response, b"To")
        self._wire.send(self._text(call, b"ACK", self._target, call.branch), call.peer)
        call.to = to
        login = self._logins.get(id(call.peer))
        if login and status in (401, 407) and call.cseq < 3:
            self.tally.challenges += 1
            login.learn(response)
            self._invite(call)
        else:
            self._end(call, str(status))

    def _end(self, call: _Call, failure: str) -> None:
        """Calls stay known for a while, so that a repeated 200 still gets its ACK."""
        if call.state == "over":
            return
        call.state = "over"
        self._active -= 1
        if failure:
            self.tally.failed[failure] += 1
        else:
            self.tally.completed += 1
        self._schedule.after(5.0, self._forget, call)

    def _forget(self, call: _Call) -> None:
        del self._open[call.id]

"""The called half of the load generator: answers every INVITE with 180 and 200."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench import messages
from tests.bench.schedule import Schedule
from tests.bench.speech import Speech
from tests.bench.wire import Address, Peer, Wire

T1, T2 = 0.5, 4.0


@dataclass
class Served:
    calls: int = 0
    acknowledged: int = 0
    ended: int = 0
    retransmissions: int = 0  # sent by us, or received again
    cancelled: int = 0
    unacknowledged: int = 0  # 200s given up on


class _Leg:
    __slots__ = ("acknowledged", "final", "invite", "peer", "ringing", "wait")

    def __init__(self, peer: Peer, ringing: bytes, invite: bytes) -> None:
        self.peer = peer
        self.invite = invite
        self.ringing = ringing
        self.final = b""
        self.acknowledged = False
        self.wait = T1


class Uas:
    """`ring`: seconds between 180 and 200; `spoken`: of media after the ACK."""

    def __init__(self, wire: Wire, ring: float = 0.0, speech: Speech | None = None, spoken: float = 0.0) -> None:
        self._wire, self._ring, self._speech, self._spoken = wire, ring, speech, spoken
        self._schedule = Schedule()
        self._legs: dict[bytes, _Leg] = {}
        self._bodies: dict[tuple[Address, bool], bytes] = {}
        self._transport = b"tls" if wire.reliable else b"udp"
        self.served = Served()

    def run(self, over: Callable[[], bool]) -> Served:
        """Blocks until `over()`, which is asked ten times a second."""
        done = False

        def look() -> None:
            nonlocal done
            done = over()
            self._schedule.after(0.1, look)

        look()
        while not done:
            self._schedule.run()
            for message, peer in self._wire.receive(self._schedule.wait(0.1)):
                if not message.startswith(b"SIP/2.0 "):
                    self._receive(message, peer)
        return self.served

    def _receive(self, request: bytes, peer: Peer) -> None:
        call = messages.field(request, b"Call-ID")
        leg = self._legs.get(call)
        if request.startswith(b"INVITE "):
            self._invite(call, leg, request, peer)
        elif request.startswith(b"ACK "):
            if leg and not leg.acknowledged:
                leg.acknowledged = True
                self.served.acknowledged += 1
                if self._speech is not None:
                    self._speech.speak(leg.invite, self._spoken)
        elif request.startswith(b"CANCEL ") and leg and not leg.final:
            self.served.cancelled += 1
            self._wire.send(messages.answer(request, b"200 OK", b"u"), peer)
            leg.final = leg.ringing.replace(b"SIP/2.0 180 Ringing", b"SIP/2.0 487 Request Terminated", 1)
            self._repeat(call, leg)
        else:
            self._wire.send(messages.answer(request, b"200 OK", b"u"), peer)
            if request.startswith(b"BYE "):
                ended = self._legs.pop(call, None) is not None
                self.served.ended += ended
                self.served.retransmissions += not ended

    def _invite(self, call: bytes, leg: _Leg | None, request: bytes, peer: Peer) -> None:
        if leg is not None:
            self.served.retransmissions += 1
            self._wire.send(leg.final or leg.ringing, leg.peer)
            return
        self.served.calls += 1
        tag = b"u%d" % self.served.calls
        host, port = self._wire.local(peer)
        contact = b"Contact: <sip:bench@%b:%d;transport=%b>\r\n" % (host.encode(), port, self._transport)
        leg = self._legs[call] = _Leg(peer, messages.answer(request, b"180 Ringing", tag, contact), request)
        self._wire.send(leg.ringing, peer)
        answer = messages.answer(request, b"200 OK", tag, contact, self._body((host, 40000), crypto=b"\r\na=crypto:" in request))
        if self._ring:
            self._schedule.after(self._ring, self._answer, call, leg, answer)
        else:
            self._answer(call, leg, answer)

    def _answer(self, call: bytes, leg: _Leg, answer: bytes) -> None:
        if not leg.final:
            leg.final = answer
            self._repeat(call, leg)

    def _repeat(self, call: bytes, leg: _Leg) -> None:
        """Send the final answer until its ACK comes, whatever the transport (RFC 3261 s13.3.1.4)."""
        if leg.acknowledged or self._legs.get(call) is not leg:
            return
        if leg.wait > T1:
            self.served.retransmissions += 1
        if leg.wait > 64 * T1:
            self.served.unacknowledged += 1
            return
        self._wire.send(leg.final, leg.peer)
        self._schedule.after(min(leg.wait, T2), self._repeat, call, leg)
        leg.wait *= 2

    def _body(self, address: Address, *, crypto: bool) -> bytes:
        key = address, crypto
        if key not in self._bodies:
            self._bodies[key] = messages.sdp(*address, crypto=crypto)
        return self._bodies[key]

"""The life of a packet inside a relay, whatever carries it: source check, SRTP off, validity, latch, payload type, SRTP on.

No sockets and no clock: packets, source addresses and times are arguments; `send_rtp` and `send_rtcp` are given.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeAlias

from media.api import INTRUSIONS, Digit, EventKind, Follow, Interface, Side, SideSpec, SideStats, Suite
from media.counters import Counters
from media.digits import MOST_REPORTED, Reader, Typist
from media.forms import Form
from media.ice import MOST_CHECKS, Checks
from media.keys import AuthenticationFailed, Contexts, Inbound, Refused, Replayed
from media.latch import NOWHERE, Latch, Receive, Route, SocketAddress
from media.quiet import KeepAlive, Silence
from media.reported import Reported
from media.rtp import (
    FIRST_RTCP_TYPE,
    LAST_RTCP_TYPE,
    Reception,
    header_size,
    padding_fits,
    payload_end,
    read_reports,
    starts_like_rtcp,
    well_formed_rtcp,
    well_formed_rtp,
)
from media.stream import Stream, translated
from media.stun import FIRST_DTLS, LAST_DTLS, LAST_STUN, looks_like_stun
from media.udptl import well_formed_udptl

Send: TypeAlias = Callable[[bytes, SocketAddress], object]

Handshake: TypeAlias = "Callable[[Half, bool, bytes, SocketAddress], None]"


class Report(Protocol):
    def __call__(self, half: Half, kind: EventKind, digit: Digit | None = None, /) -> None: ...


# Failures to authenticate before anything succeeded that make a KEY_FAILURE event (media.api): a wrong key, not noise.
KEY_FAILURES = 10

# Packets of one side in a second, about the double of Opus at 2.5 ms; anything else has 100 or fewer. More is a flood, or a circle:
# relays whose peers were said to be each other's ports would hand one packet round for ever.
MOST_PACKETS = 1000
ALLOWANCE_EVERY = 1.0  # seconds

_OCTETS = [bytes((value,)) for value in range(256)]


class Half:
    """One side of a relay: what arrives from its peer, and what the peer is sent.

    `receive` and `receive_rtcp` take the datagrams of its two ports; `far` is the other half. `handshake` is given what belongs to
    DTLS, and whether it came to the RTCP port, from where a peer of ours may send; and no octets when ICE has found another address of it.
    """

    __slots__ = (
        "_allowance",
        "_allowed_at",
        "_checks",
        "_control_keys",
        "_control_latch",
        "_counters",
        "_dtls",
        "_forms",
        "_handshake",
        "_keep_alive",
        "_keys",
        "_latch",
        "_mux",
        "_reader",
        "_reception",
        "_report",
        "_reported",
        "_route",
        "_sending",
        "_shaped",
        "_silence",
        "_spec",
        "_started",
        "_stream",
        "_typist",
        "_udptl",
        "_unproven",
        "far",
        "interface",
        "port",
        "relay",
        "send_rtcp",
        "send_rtp",
        "side",
        "stranger",
    )

    __deletable__ = ["far", "send_rtcp", "send_rtp"]  # noqa: RUF012 - read by the compiler of the core, not at run time

    far: Half
    send_rtp: Send
    send_rtcp: Send

    def __init__(self, relay: str, side: Side, interface: Interface, report: Report, handshake: Handshake) -> None:
        self.relay = relay
        self.side = side
        self.interface = interface
        self.port = 0
        self._report = report
        self._handshake = handshake
        self._spec = SideSpec()
        self._route = NOWHERE
        self._latch = Latch()
        self._control_latch = Latch()
        self._mux = False
        self._sending = False
        self._keys = self._control_keys = Contexts()
        self._forms: dict[int, Form] = {}  # by the second octet
        self._stream = Stream()
        self._shaped = False  # what is sent goes through `_stream`
        self._typist = Typist()
        self._reader = Reader()
        self._reception = Reception()
        self._started = False
        self._udptl = False
        self._dtls = False
        self._checks = Checks(self._latch)
        self._unproven = 0  # failures to authenticate before the first success; KEY_FAILURES: reported or proven
        self._allowance = MOST_PACKETS
        self._allowed_at = 0.0
        self._silence = Silence()
        self._keep_alive = KeepAlive()
        self._reported = Reported()
        self._counters = Counters()
        self.stranger: SocketAddress | None = None  # who last sent from where the peer is not

    @property
    def dscp(self) -> int:
        """Of the packets to its peer."""
        return self._spec.dscp

    def update(self, spec: SideSpec, route: Route, forms: dict[int, Form], now: float) -> None:
        """Take over `spec`; `route` and `forms` come from it. Cannot fail."""
        old, self._spec = self._spec, spec
        if not self._allowed_at:
            self._allowed_at = self._latch.heard_at = now
            self._keep_alive.begin(0, now)
        before, self._route = self._route, route
        self._checks.use(spec.ice, now)
        self._latch.allow(route.hosts)
        self._control_latch.allow(route.rtcp_hosts)
        moved = route.remote != before.remote or (spec.ice is None) is not (old.ice is None)
        if moved:
            self._latch.redirect(route.remote, now)
        if moved or route.remote_rtcp != before.remote_rtcp:
            self._control_latch.redirect(route.remote_rtcp, now)
        if self._keys.use(spec.receive_keys, spec.send_keys):
            self._unproven = 0
        self._control_keys = self._keys.of_control(spec, self._control_keys)
        if moved or spec.silence != old.silence:
            self._silence.begin(now)
        self._forms = forms
        self._mux = spec.rtcp_mux
        self._sending = spec.send
        self._udptl = spec.udptl
        self._dtls = spec.dtls is not None
        self._stream.use(spec.ssrc, single=spec.one_stream)
        self._shaped = self._shaped or spec.one_stream or spec.events is not None  # numbers that were given stay given
        self._typist.use(spec.events)
        self.far._shaped = self.far._shaped or bool(spec.reported)

    def add_digit(self, digit: Digit) -> None:
        """For `type`."""
        self._typist.add(digit)

    def type(self, now: float) -> float | None:
        """Send what is due of the digits. When the next is; None: no more."""
        packet = self._typist.packet(self._stream, now)
        if packet and self._takes():
            with suppress(Refused):
                self._send(packet)
        return self._typist.due if self._typist.busy else None

    def receive(self, packet: bytes, source: SocketAddress, now: float) -> None:
        """One datagram on the RTP port, at monotonic time `now`."""
        latch = self._latch
        if self._checks.ice is not None:
            if packet and packet[0] <= LAST_STUN:
                self._receive_check(packet, source, now)
                return
            if source not in self._checks.sources:
                self._count_elsewhere(source)
                return
        elif source != latch.locked and not latch.admits(source):
            if not self._receive_claim(latch, self.receive, packet, source, now):
                self._receive_from_elsewhere(packet, source, now)
            return
        latch.heard_at = now
        if self._dtls:
            if packet and FIRST_DTLS <= packet[0] <= LAST_DTLS:
                self._handshake(self, False, packet, source)
                return
            if self._keys.inbound is None:
                return  # media that overtakes the handshake
        if self._udptl:
            self._receive_udptl(packet, source, now)
            return
        size = len(packet)
        if self._mux and size > 1 and FIRST_RTCP_TYPE <= packet[1] <= LAST_RTCP_TYPE:
            self._receive_control(packet, source, now, latch)
            return
        if not well_formed_rtp(packet):
            self._drop(packet)
            return
        if self._keys.inbound is not None:
            try:
                packet = self._opened(packet, self._keys.inbound)
            except Refused as refusal:
                self._refuse(refusal)
                return
        self._receive_speech(packet, size, source, now)

    def _receive_claim(self, latch: Latch, receive: Receive, packet: bytes, source: SocketAddress, now: float) -> bool:
        """Whether it is from exactly where the peer was said to be, and somebody else taken for it: its first valid packet has the place.
        What came in its place takes nothing from its allowance.
        """
        if not latch.is_claimed(source):
            return False
        locked, allowance = latch.locked, self._allowance
        self._allowance = MOST_PACKETS
        latch.vacate()
        receive(packet, source, now)
        if latch.locked is None:
            latch.locked, self._allowance = locked, allowance
        return True

    def _receive_from_elsewhere(self, packet: bytes, source: SocketAddress, now: float) -> None:
        """What comes from elsewhere than the peer should send from: it is followed where it proves to be the peer, behind a NAT that gave
        it another address; all else is wrong. Only speech moves a source: while that is heard nobody else's can take its place.
        """
        latch, follow, size = self._latch, self._spec.follow, len(packet)
        is_speech = well_formed_rtp(packet) and not self._udptl and packet[1] in self._forms
        if self._mux and is_speech and FIRST_RTCP_TYPE <= packet[1] <= LAST_RTCP_TYPE:
            is_speech = False
        proven = False
        if follow != Follow.NEVER and is_speech and latch.may_move(now):
            if self._keys.inbound is not None:
                with suppress(Refused):
                    if not self._reception.is_past(packet):
                        packet, proven = self._opened(packet, self._keys.inbound), True
            elif follow == Follow.SAME_ADDRESS and not self._dtls:
                proven = latch.is_neighbour(source) and self._reception.continues(packet)
        if not proven:
            self._refuse_source(source)
            return
        latch.move(source, now)
        self._control_latch.reopen(source)
        if not self._counters.source_changes:
            self._report(self, EventKind.SOURCE_CHANGED)
        self._counters.source_changes += 1
        self._receive_speech(packet, size, source, now)

    def _opened(self, packet: bytes, inbound: Inbound) -> bytes:
        """A packet of the peer's with its protection off. Raises Refused."""
        packet = inbound.rtp(packet)
        self._unproven, self._counters.auth_failing = KEY_FAILURES, 0
        if inbound.worn:
            self._report(self, EventKind.KEY_WORN)
        return packet

    def _receive_speech(self, packet: bytes, size: int, source: SocketAddress, now: float) -> None:
        """A packet whose protection is off; `size` octets of it came."""
        latch = self._latch
        if packet[0] & 0x20 and not padding_fits(packet):
            self._counters.malformed += 1
            return
        if not self._is_allowed():
            return
        second = packet[1]
        form = self._forms.get(second)
        self._reception.count(packet, form.clock if form else 0, now)
        self._counters.packets_received += 1
        self._counters.octets_received += size
        if form is None:
            self._counters.payload_type_mismatch += 1
            return
        if source != latch.locked or not self._started:
            self._accept_source(source, now)
        if form.digits:
            self._read_event(packet, form.clock, now)
            return
        if form.second != second:
            packet = packet[:1] + _OCTETS[form.second] + packet[2:]
        if form.table:
            start, end = header_size(packet), payload_end(packet)
            packet = packet[:start] + packet[start:end].translate(form.table) + packet[end:]
        self._forward(packet, now)

    def _read_event(self, packet: bytes, clock: int, now: float) -> None:
        header = int.from_bytes(packet[4:8], "big"), int.from_bytes(packet[8:12], "big"), packet[1] >= 0x80
        for digit in self._reader.read(header, packet[header_size(packet) : payload_end(packet)], clock, now):
            self._report(self, EventKind.DIGIT, digit)
        self.far._stream.swallow(packet)

    def receive_rtcp(self, packet: bytes, source: SocketAddress, now: float) -> None:
        """One datagram on the RTCP port. It stays open with `rtcp_mux` too: RTCP sent before the answer is on the way."""
        if self._dtls and self._mux:
            return  # the keys belong to the RTP port (RFC 5764 s4.1)
        latch = self._control_latch
        if source != latch.locked and not latch.admits(source):
            if not self._receive_claim(latch, self.receive_rtcp, packet, source, now):
                self._refuse_source(source)
        elif self._dtls and packet and FIRST_DTLS <= packet[0] <= LAST_DTLS:
            self._handshake(self, True, packet, source)
        elif not self._dtls or self._control_keys.inbound is not None:
            self._receive_control(packet, source, now, latch)

    def _receive_udptl(self, packet: bytes, source: SocketAddress, now: float) -> None:
        if not well_formed_udptl(packet):  # speech that is still on the way, mostly
            self._counters.malformed += 1
            return
        if not self._is_allowed():
            return
        self._counters.packets_received += 1
        self._counters.datagrams_received += 1
        self._counters.octets_received += len(packet)
        self._accept_source(source, now)
        self._forward(packet, now)

    def _receive_check(self, packet: bytes, source: SocketAddress, now: float) -> None:
        """A STUN datagram with ICE: answered, and its source taken for the peer's, if it has our credentials; else dropped in silence,
        so that nobody is sent anything because somebody pretended to be there.
        """
        before = self._latch.destination
        reply = self._checks.reply(packet, source, now)
        if reply is None:
            self._counters.stun_refused += 1
        elif reply:
            with suppress(OSError):
                self.send_rtp(reply, source)
            if self._dtls and self._latch.destination != before:
                self._handshake(self, False, b"", source)

    def _accept_source(self, source: SocketAddress, now: float) -> None:
        """A valid packet came to the RTP port."""
        if self._checks.ice is None and source != self._latch.locked:
            self._latch.lock(source, now, proven=self._keys.inbound is not None)
        if not self._started:
            self._started = True
            self._report(self, EventKind.FIRST_PACKET)

    def _refuse_source(self, source: SocketAddress) -> None:
        """Before anybody has said where the peer is, media that overtakes its answer is early, not wrong."""
        if self._route.hosts:
            self._count_elsewhere(source)

    def _count_elsewhere(self, source: SocketAddress) -> None:
        self.stranger = source
        self._counters.wrong_source += 1
        if self._counters.wrong_source == INTRUSIONS:
            self._report(self, EventKind.INTRUSION)

    def _is_allowed(self) -> bool:
        """Asked of what is known to be the peer's: what only claims to come from there shall not use the allowance up."""
        self._allowance -= 1
        if self._allowance >= 0:
            return True
        if not self._counters.over_rate:
            self._report(self, EventKind.FLOOD)
        self._counters.over_rate += 1
        return False

    def stats(self, suite: Suite | None) -> SideStats:
        """`suite`: of the keys a handshake made."""
        rate = self.far._reception.rate
        return self._counters.stats(self._reception, self._reported, rate, self._latch.locked, self.stranger, suite)

    def watch(self, now: float) -> None:
        """Allow the packets of another second. Report a peer that fell silent, once until it is heard again: never early,
        late by two sweeps at most.
        """
        if now - self._allowed_at >= ALLOWANCE_EVERY:
            self._allowance, self._allowed_at = MOST_PACKETS, now
            self._checks.allowance, self._reader.allowance = MOST_CHECKS, MOST_REPORTED
        for digit in self._reader.overdue(now):
            self._report(self, EventKind.DIGIT, digit)
        if self._checks.ran_out(now):
            self._report(self, EventKind.SILENCE)
        self._keep_open(now)
        heard = self._counters.packets_received + self._counters.rtcp_received
        if self._spec.silence is not None and self._silence.is_new(heard, self._spec.silence, now):
            self._report(self, EventKind.SILENCE)

    def _keep_open(self, now: float) -> None:
        """Only where the peer was heard from, and checks of ICE do not serve already; fax has no empty datagrams."""
        sent = self._counters.packets_sent + (self._counters.rtcp_sent if self._mux else 0)
        if self._latch.locked is None or self._checks.ice is not None or self._udptl:
            self._keep_alive.begin(sent, now)
        elif self._keep_alive.is_due(sent, now):
            with suppress(OSError):
                self.send_rtp(b"", self._latch.locked)

    def _forward(self, packet: bytes, now: float) -> None:
        far = self.far
        if not far._takes():
            return
        if far._shaped and not self._udptl:
            packet = far._stream.passed(packet, self._reception.rate, now)
            if not packet:
                return
        try:
            far._send(packet)
        except Refused as refusal:
            self._refuse(refusal)

    def _takes(self) -> bool:
        return self._latch.destination is not None and self._sending and not (self._dtls and self._keys.outbound is None)

    def _send(self, packet: bytes) -> None:
        """RTP or UDPTL to the peer, which takes it. Raises Refused."""
        destination = self._latch.destination
        assert destination is not None
        if self._keys.outbound is not None:
            packet = self._keys.outbound.rtp(packet)
        try:
            self.send_rtp(packet, destination)
        except OSError:  # buffer full or no route: as good as lost on the wire
            return
        self._counters.packets_sent += 1
        self._counters.octets_sent += len(packet)

    def _receive_control(self, packet: bytes, source: SocketAddress, now: float, latch: Latch) -> None:
        if not starts_like_rtcp(packet):
            self._drop(packet)
            return
        if self._control_keys.inbound is not None:
            try:
                packet = self._control_keys.inbound.rtcp(packet)
            except Refused as refusal:
                self._refuse(refusal)
                return
            self._unproven, self._counters.auth_failing = KEY_FAILURES, 0
        if not well_formed_rtcp(packet):
            self._counters.malformed += 1
            return
        if not self._is_allowed():
            return
        if source != latch.locked and (self._checks.ice is None or latch is self._control_latch):
            latch.lock(source, now, proven=self._control_keys.inbound is not None)
        self._counters.rtcp_received += 1
        reports = read_reports(packet)
        self._reported.note(reports, now)
        if self._forward_control(packet) and reports.sender_time:
            self.far._reported.sent(reports.sender_time, now)

    def _forward_control(self, packet: bytes) -> bool:
        """Whether it was sent."""
        # Hold does not stop RTCP: a direction "applies to the media only" (RFC 8866 s6.7).
        far = self.far
        destination = (far._latch if far._mux else far._control_latch).destination
        outbound = far._control_keys.outbound
        if destination is None or (far._dtls and outbound is None):
            return False
        if self._shaped or far._shaped:
            packet = translated(packet, far._stream, self._stream)
        if outbound is not None:
            try:
                packet = outbound.rtcp(packet)
            except Refused as refusal:
                self._refuse(refusal)
                return False
        try:
            (far.send_rtp if far._mux else far.send_rtcp)(packet, destination)
        except OSError:
            return False
        far._counters.rtcp_sent += 1
        return True

    def _drop(self, packet: bytes) -> None:
        """Neither RTP nor RTCP. STUN of who has no ICE with us is no fault; an empty one keeps the way open (RFC 6263 s4.1)."""
        self._counters.stun_refused += (strange := looks_like_stun(packet))
        self._counters.malformed += not strange and packet != b""

    def _refuse(self, refusal: Refused) -> None:
        match refusal:
            case AuthenticationFailed():
                self._counters.auth_failed += 1
                self._counters.auth_failing += 1
                if self._unproven < KEY_FAILURES:
                    self._unproven += 1
                    if self._unproven == KEY_FAILURES:
                        self._report(self, EventKind.KEY_FAILURE)
            case Replayed():
                self._counters.replayed += 1
            case _:
                self._counters.malformed += 1

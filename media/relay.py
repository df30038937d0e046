"""The life of a packet inside a relay, whatever carries it: source check, SRTP off, validity, latch, payload type, SRTP on.

No sockets and no clock: packets, source addresses and times are arguments; `send_rtp` and `send_rtcp` are given.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from media.api import Address, EventKind, Interface, MediaError, Side, SideSpec, SideStats
from media.keys import AuthenticationFailed, Inbound, Outbound, Refused, Replayed
from media.rtp import FIRST_RTCP_TYPE, LAST_RTCP_TYPE, Reception, padding_fits, starts_like_rtcp, well_formed_rtcp, well_formed_rtp
from media.udptl import well_formed_udptl

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""As the socket module has it: host, port, and for IPv6 flow label and scope."""

Send: TypeAlias = Callable[[bytes, SocketAddress], object]

# Failures to authenticate before anything succeeded that make a KEY_FAILURE event (media.api): a wrong key, not noise.
KEY_FAILURES = 10

# Hosts a peer may send from besides its own (SideSpec.latch_from): signalling adds one as a rule.
MOST_FROM = 6

# Packets of one side in a second, about the double of Opus at 2.5 ms; anything else has 100 or fewer. More is a flood, or a circle:
# relays whose peers were said to be each other's ports would hand one packet round for ever.
MOST_PACKETS = 1000
ALLOWANCE_EVERY = 1.0  # seconds

# After a new `remote`, packets from the source locked before may still be on the way: they pass, but cannot take the lock.
IN_FLIGHT = 0.5

_OCTETS = [bytes((value,)) for value in range(256)]


@dataclass(frozen=True, slots=True)
class Route:
    """The addresses of a SideSpec, checked and in canonical form."""

    remote: Address | None
    remote_rtcp: Address | None
    hosts: frozenset[str]
    rtcp_hosts: frozenset[str]

    @classmethod
    def of(cls, spec: SideSpec, family: int) -> Route:
        """Raises MediaError for an address that is not numeric or, as a destination, of another family."""
        if len(spec.latch_from) > MOST_FROM:
            raise MediaError(f"more than {MOST_FROM} hosts to latch from")
        remote = _destination(spec.remote, family)
        remote_rtcp = _destination(spec.remote_rtcp, family)
        hosts = frozenset(_host(host, _family(host)) for host in spec.latch_from)
        hosts = frozenset(host for host in hosts if _family(host) is family)  # others can never be a source
        if remote is not None:
            hosts |= {remote[0]}
        return cls(remote, remote_rtcp, hosts, hosts | {remote_rtcp[0]} if remote_rtcp else hosts)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


NOWHERE = Route(None, None, frozenset(), frozenset())


def _destination(address: Address | None, family: int) -> Address | None:
    if address is None:
        return None
    host, port = address
    if not 0 < port < 65536:
        raise MediaError(f"port {port} is not a destination")
    return _host(host, family), port


def _host(host: str, family: int) -> str:
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, host))
    except (OSError, ValueError):
        raise MediaError(f"{host!r} is not a numeric address of this relay's family") from None


class Latch:
    """Where one port's peer is: as signalled until its first valid packet, then where that came from."""

    __slots__ = ("_former", "_former_until", "_hosts", "_remote", "destination", "locked")

    def __init__(self) -> None:
        self._remote: Address | None = None
        self._hosts: frozenset[str] = frozenset()
        self._former: SocketAddress | None = None
        self._former_until = 0.0
        self.destination: SocketAddress | None = None
        self.locked: SocketAddress | None = None

    def allow(self, hosts: frozenset[str]) -> None:
        self._hosts = hosts

    def redirect(self, remote: Address | None, now: float) -> None:
        """The peer said it is at `remote` from now on."""
        if self.locked is not None:
            self._former, self._former_until = self.locked, now + IN_FLIGHT
        self._remote = self.destination = remote
        self.locked = None

    def admits(self, source: SocketAddress) -> bool:
        """May the peer send from `source`? Asked while `source` is not the locked one."""
        return self.locked is None and source[0].partition("%")[0] in self._hosts

    def lock(self, source: SocketAddress, now: float) -> None:
        """A valid packet came from an admitted source."""
        if source == self._former and now < self._former_until and source[:2] != self._remote:
            return
        self._former = None
        self.locked = self.destination = source


class Half:
    """One side of a relay: what arrives from its peer, and what the peer is sent.

    `receive` and `receive_rtcp` take the datagrams of its two ports; `far` is the other half.
    """

    __slots__ = (
        "_allowance",
        "_allowed_at",
        "_control_latch",
        "_forms",
        "_heard",
        "_heard_at",
        "_inbound",
        "_latch",
        "_mux",
        "_outbound",
        "_reception",
        "_report",
        "_route",
        "_sending",
        "_silent",
        "_spec",
        "_started",
        "_udptl",
        "_unproven",
        "auth_failed",
        "datagrams_received",
        "far",
        "interface",
        "malformed",
        "octets_received",
        "octets_sent",
        "over_rate",
        "packets_received",
        "packets_sent",
        "payload_type_mismatch",
        "port",
        "relay",
        "replayed",
        "rtcp_received",
        "rtcp_sent",
        "send_rtcp",
        "send_rtp",
        "side",
        "wrong_source",
    )

    __deletable__ = ["far", "send_rtcp", "send_rtp"]  # noqa: RUF012 - read by the compiler of the core, not at run time

    far: Half
    send_rtp: Send
    send_rtcp: Send

    def __init__(self, relay: str, side: Side, interface: Interface, report: Callable[[Half, EventKind], None]) -> None:
        self.relay = relay
        self.side = side
        self.interface = interface
        self.port = 0
        self._report = report
        self._spec = SideSpec()
        self._route = NOWHERE
        self._latch = Latch()
        self._control_latch = Latch()
        self._mux = False
        self._sending = False
        self._inbound: Inbound | None = None
        self._outbound: Outbound | None = None
        self._forms: dict[int, tuple[int, int]] = {}  # second octet in -> second octet out, clock rate
        self._reception = Reception()
        self._started = False
        self._udptl = False
        self._unproven = 0  # failures to authenticate before the first success; KEY_FAILURES: reported or proven
        self._allowance = MOST_PACKETS
        self._allowed_at = 0.0
        self._heard = 0
        self._heard_at = 0.0
        self._silent = False
        self.packets_received = self.octets_received = self.packets_sent = self.octets_sent = 0
        self.rtcp_received = self.rtcp_sent = self.datagrams_received = 0
        self.over_rate = self.wrong_source = self.auth_failed = self.replayed = self.malformed = self.payload_type_mismatch = 0

    def update(self, spec: SideSpec, route: Route, forms: dict[int, tuple[int, int]], now: float) -> None:
        """Take over `spec`; `route` and `forms` come from it. Cannot fail."""
        old, self._spec = self._spec, spec
        self._allowed_at = self._allowed_at or now
        before, self._route = self._route, route
        self._latch.allow(route.hosts)
        self._control_latch.allow(route.rtcp_hosts)
        moved = route.remote != before.remote
        if moved:
            self._latch.redirect(route.remote, now)
        if moved or route.remote_rtcp != before.remote_rtcp:
            self._control_latch.redirect(route.remote_rtcp, now)
        if spec.receive_keys != old.receive_keys:
            self._inbound = Inbound(spec.receive_keys, self._inbound) if spec.receive_keys else None
            self._unproven = 0
        if spec.send_keys != old.send_keys:
            self._outbound = Outbound(spec.send_keys) if spec.send_keys else None
        if moved or spec.silence != old.silence:
            self._heard_at, self._silent = now, False
        self._forms = forms
        self._mux = spec.rtcp_mux
        self._sending = spec.send
        self._udptl = spec.udptl

    def receive(self, packet: bytes, source: SocketAddress, now: float) -> None:
        """One datagram on the RTP port, at monotonic time `now`."""
        latch = self._latch
        if source != latch.locked and not latch.admits(source):
            self._refuse_source()
            return
        if self._udptl:
            self._receive_udptl(packet, source, now)
            return
        size = len(packet)
        if self._mux and size > 1 and FIRST_RTCP_TYPE <= packet[1] <= LAST_RTCP_TYPE:
            self._receive_control(packet, source, now, latch)
            return
        if not well_formed_rtp(packet):
            self.malformed += 1
            return
        if self._inbound is not None:
            try:
                packet = self._inbound.rtp(packet)
            except Refused as refusal:
                self._refuse(refusal)
                return
            self._unproven = KEY_FAILURES
        if packet[0] & 0x20 and not padding_fits(packet):
            self.malformed += 1
            return
        self._allowance -= 1  # not before: what only claims to come from the peer shall not use it up
        if self._allowance < 0:
            self._refuse_rate()
            return
        second = packet[1]
        form = self._forms.get(second)
        self._reception.count(packet, form[1] if form else 0, now)
        self.packets_received += 1
        self.octets_received += size
        if form is None:
            self.payload_type_mismatch += 1
            return
        if source != latch.locked or not self._started:
            self._accept_source(source, now)
        if form[0] != second:
            packet = packet[:1] + _OCTETS[form[0]] + packet[2:]
        self._forward(packet)

    def receive_rtcp(self, packet: bytes, source: SocketAddress, now: float) -> None:
        """One datagram on the RTCP port. It stays open with `rtcp_mux` too: RTCP sent before the answer is on the way."""
        latch = self._control_latch
        if source != latch.locked and not latch.admits(source):
            self._refuse_source()
            return
        self._receive_control(packet, source, now, latch)

    def _receive_udptl(self, packet: bytes, source: SocketAddress, now: float) -> None:
        if not well_formed_udptl(packet):  # speech that is still on the way, mostly
            self.malformed += 1
            return
        self._allowance -= 1
        if self._allowance < 0:
            self._refuse_rate()
            return
        self.packets_received += 1
        self.datagrams_received += 1
        self.octets_received += len(packet)
        self._accept_source(source, now)
        self._forward(packet)

    def _accept_source(self, source: SocketAddress, now: float) -> None:
        """A valid packet came to the RTP port."""
        if source != self._latch.locked:
            self._latch.lock(source, now)
        if not self._started:
            self._started = True
            self._report(self, EventKind.FIRST_PACKET)

    def _refuse_source(self) -> None:
        """Before anybody has said where the peer is, media that overtakes its answer is early, not wrong."""
        if self._route.hosts:
            self.wrong_source += 1

    def _refuse_rate(self) -> None:
        if not self.over_rate:
            self._report(self, EventKind.FLOOD)
        self.over_rate += 1

    def stats(self) -> SideStats:
        locked = self._latch.locked
        return SideStats(
            packets_received=self.packets_received,
            octets_received=self.octets_received,
            packets_sent=self.packets_sent,
            octets_sent=self.octets_sent,
            rtcp_received=self.rtcp_received,
            rtcp_sent=self.rtcp_sent,
            lost=max(0, self._reception.expected - (self.packets_received - self.datagrams_received)),
            jitter_ms=self._reception.jitter_ms,
            wrong_source=self.wrong_source,
            srtp_auth_failed=self.auth_failed,
            replayed=self.replayed,
            malformed=self.malformed,
            payload_type_mismatch=self.payload_type_mismatch,
            over_rate=self.over_rate,
            latched=(locked[0], locked[1]) if locked else None,
        )

    def watch(self, now: float) -> None:
        """Allow the packets of another second. Report a peer that fell silent, once until it is heard again: never early,
        late by two sweeps at most.
        """
        if now - self._allowed_at >= ALLOWANCE_EVERY:
            self._allowance, self._allowed_at = MOST_PACKETS, now
        silence = self._spec.silence
        if silence is None:
            return
        heard = self.packets_received + self.rtcp_received
        if heard != self._heard:
            self._heard, self._heard_at, self._silent = heard, now, False
        elif not self._silent and now - self._heard_at >= silence:
            self._silent = True
            self._report(self, EventKind.SILENCE)

    def _forward(self, packet: bytes) -> None:
        far = self.far
        destination = far._latch.destination
        if destination is None or not far._sending:
            return
        if far._outbound is not None:
            try:
                packet = far._outbound.rtp(packet)
            except Refused as refusal:
                self._refuse(refusal)
                return
        try:
            far.send_rtp(packet, destination)
        except OSError:  # buffer full or no route: as good as lost on the wire
            return
        far.packets_sent += 1
        far.octets_sent += len(packet)

    def _receive_control(self, packet: bytes, source: SocketAddress, now: float, latch: Latch) -> None:
        if not starts_like_rtcp(packet):
            self.malformed += 1
            return
        if self._inbound is not None:
            try:
                packet = self._inbound.rtcp(packet)
            except Refused as refusal:
                self._refuse(refusal)
                return
            self._unproven = KEY_FAILURES
        if not well_formed_rtcp(packet):
            self.malformed += 1
            return
        self._allowance -= 1
        if self._allowance < 0:
            self._refuse_rate()
            return
        if source != latch.locked:
            latch.lock(source, now)
        self.rtcp_received += 1
        self._forward_control(packet)

    def _forward_control(self, packet: bytes) -> None:
        # Hold does not stop RTCP: a direction "applies to the media only" (RFC 8866 s6.7).
        far = self.far
        destination = (far._latch if far._mux else far._control_latch).destination
        if destination is None:
            return
        if far._outbound is not None:
            try:
                packet = far._outbound.rtcp(packet)
            except Refused as refusal:
                self._refuse(refusal)
                return
        try:
            (far.send_rtp if far._mux else far.send_rtcp)(packet, destination)
        except OSError:
            return
        far.rtcp_sent += 1

    def _refuse(self, refusal: Refused) -> None:
        match refusal:
            case AuthenticationFailed():
                self.auth_failed += 1
                if self._unproven < KEY_FAILURES:
                    self._unproven += 1
                    if self._unproven == KEY_FAILURES:
                        self._report(self, EventKind.KEY_FAILURE)
            case Replayed():
                self.replayed += 1
            case _:
                self.malformed += 1


def forms(spec: SideSpec) -> dict[int, tuple[int, int]]:
    """Second octet arriving -> second octet leaving (the marker bit kept) and clock rate. Raises MediaError."""
    table = {}
    for arriving, leaving in spec.payload_types.items():
        if not (0 <= arriving < 128 and 0 <= leaving < 128):
            raise MediaError(f"payload type {arriving} -> {leaving} does not exist")
        rate = spec.clock_rates.get(arriving, 0)
        if not 0 <= rate < 1 << 32:
            raise MediaError(f"clock rate {rate} does not exist")
        table[arriving] = leaving, rate
        table[arriving | 0x80] = leaving | 0x80, rate
    return table

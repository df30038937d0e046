"""DTLS for the relays of an engine: whose handshakes are under way, and the keys that came of them (RFC 5763, 5764, 8842).

All of it runs in the thread that owns the engine, but for the steps of the handshakes themselves, which the workshop does elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from media.api import Address, Dtls, EventKind, Keys, MediaError, Role, Side, SideSpec, Suite
from media.handshake import PROFILES, Handshake, Identity, Step
from media.latch import SocketAddress

# A handshake takes some round trips, and may wait for ICE: about as long as a caller listens to nothing. Seconds.
PATIENCE = 20.0

# A peer that did not hear our last flight repeats its own for so long (RFC 6347 s4.2.4); then the connection is let go. Seconds.
LINGER = 30.0

# How often it is looked for flights to repeat: OpenSSL's first wait is a second. Seconds.
TICK = 0.25

# Handshakes at a time with what may be one peer: without ICE anybody can claim to send from its host.
MAX_ATTEMPTS = 4

# Handshakes begun in the life of an association. A peer that starts again, over and over, does not get us to sign for ever.
MAX_BEGUN = 32

# Datagrams that wait for a step: a flight with a long chain of certificates has about ten.
MAX_WAITING = 16

# Threads for all handshakes: each step is a few milliseconds of elliptic curves, and there is other work to do.
THREADS = 2

_SIDES = (Side.A, Side.B)
_PORTS = tuple((side, rtcp) for side in _SIDES for rtcp in (False, True))
_HANDSHAKE, _CLIENT_HELLO = 22, 1


class Workshop(Protocol):
    """Where steps are done: `then` is called with the result in the engine's thread."""

    def run(self, step: Callable[[], Step], then: Callable[[Step], None]) -> None: ...

    def later(self, seconds: float, call: Callable[[], None]) -> None: ...

    def close(self) -> None: ...


class LoopWorkshop:
    """Threads beside an asyncio loop. They are started by the first handshake."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._threads: ThreadPoolExecutor | None = None

    def run(self, step: Callable[[], Step], then: Callable[[Step], None]) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "dtls")
        self._threads.submit(step).add_done_callback(partial(self._hand_over, then))

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self._loop.call_later(seconds, call)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._threads = None

    def _hand_over(self, then: Callable[[Step], None], done: Future[Step]) -> None:
        if not done.cancelled():
            self._loop.call_soon_threadsafe(then, done.result())


class Immediate:
    """No threads and no time, for engines in memory: who has one calls `Associations.tick`."""

    def run(self, step: Callable[[], Step], then: Callable[[Step], None]) -> None:
        then(step())

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        pass

    def close(self) -> None:
        pass


class Carrier(Protocol):
    """What an engine does for its associations."""

    def send_handshake(self, relay: str, side: Side, rtcp: bool, octets: bytes, destination: SocketAddress) -> None:
        """Send from the RTP or the RTCP port of that side."""
        ...

    def apply(self, relay: str, a: SideSpec, b: SideSpec) -> None:
        """Have the relay do that. Raises MediaError."""
        ...

    def report(self, relay: str, side: Side, kind: EventKind) -> None: ...


@dataclass(slots=True, eq=False)
class Attempt:
    """A connection with what may be the peer, at `source`. `hello` is the random number its client began with."""

    handshake: Handshake
    source: SocketAddress
    hello: bytes
    waiting: list[bytes] = field(default_factory=list)
    busy: bool = False
    repeat_at: float | None = None  # by the machine's clock, for OpenSSL goes by that


@dataclass(slots=True, eq=False)
class Association:
    """Of the peer of a side with its RTP port, or with its RTCP port, where that is not used for both (RFC 5764 s4.1).

    `keys` are those in use: until a handshake is done, those of the association before, if there was one.
    """

    relay: str
    side: Side
    rtcp: bool
    dtls: Dtls
    began: float
    remote: Address | None = None
    checked: bool = False  # ICE vouches for every source
    attempts: list[Attempt] = field(default_factory=list)
    begun: int = 0
    keys: tuple[Keys, Keys] | None = field(default=None, repr=False)
    source: SocketAddress | None = None  # of the handshake they come from
    done_at: float | None = None
    trouble: EventKind = EventKind.HANDSHAKE_TIMEOUT

    @property
    def port(self) -> tuple[str, Side, bool]:
        return self.relay, self.side, self.rtcp

    def place(self, dtls: Dtls, remote: Address | None) -> Address | None:
        """Where the handshake came from, as long as nothing else was said since."""
        if self.source is None or remote != self.remote or dtls != self.dtls:
            return None
        return self.source[0], self.source[1]


class Associations:
    """Of one engine. `clock` is the engine's."""

    def __init__(self, identity: Identity, workshop: Workshop, clock: Callable[[], float], carrier: Carrier) -> None:
        self.identity = identity
        self._workshop = workshop
        self._clock = clock
        self._carrier = carrier
        self._specs: dict[str, tuple[SideSpec, SideSpec]] = {}  # of the relays that have one
        self._all: dict[tuple[str, Side, bool], Association] = {}
        self._unsettled: dict[tuple[str, Side, bool], Association] = {}
        self._ticking = False

    def update(self, relay: str, a: SideSpec, b: SideSpec) -> None:
        """See MediaEngine, which does this with what was checked already. Raises MediaError, and then nothing has changed."""
        specs = a, b
        for spec in specs:
            if spec.rtcp_keys is not None:
                raise MediaError("only a DTLS handshake makes keys for RTCP alone")
            if spec.dtls is not None:
                _check(spec)
        if a.dtls is None and b.dtls is None and relay not in self._specs:
            self._carrier.apply(relay, a, b)  # nearly always
            return
        self._apply(relay, specs)
        if a.dtls is None and b.dtls is None:
            self.close(relay)
            return
        self._specs[relay] = specs
        for side, rtcp in _PORTS:
            self._follow(relay, side, rtcp, a if side is Side.A else b)

    def receive(self, relay: str, side: Side, rtcp: bool, octets: bytes, source: SocketAddress) -> None:
        """A datagram of DTLS from where the peer may send; or no octets: ICE has found that the peer is at `source`."""
        association = self._all.get((relay, side, rtcp))
        if association is None:
            return
        active = association.dtls.role is Role.ACTIVE
        if not octets:
            if active and association.attempts:
                association.attempts[-1].source = source
            elif active and association.done_at is None:
                self._submit(association, self._begin(association, source, b""))
            return
        attempt = self._attempt(association, octets, source)
        if attempt is None or len(attempt.waiting) >= MAX_WAITING:
            return
        attempt.waiting.append(octets)
        self._submit(association, attempt)

    def suite(self, relay: str, side: Side) -> Suite | None:
        association = self._all.get((relay, side, False)) if self._all else None
        return association.keys[0].suite if association is not None and association.keys is not None else None

    def close(self, relay: str) -> None:
        if self._specs.pop(relay, None) is not None:
            for side, rtcp in _PORTS:
                self._forget(relay, side, rtcp)

    def shutdown(self) -> None:
        self._specs.clear()
        self._all.clear()
        self._unsettled.clear()
        self._workshop.close()

    def tick(self) -> None:
        """Repeat what is due, tell of handshakes that do not come to an end, and let go of what is long done."""
        self._ticking = False
        now, machine = self._clock(), time.monotonic()
        for port, association in list(self._unsettled.items()):
            late = association.done_at is None and now - association.began >= PATIENCE
            if late:
                association.began = now
                self._report(association)
            if (late and association.rtcp) or (association.done_at is not None and now - association.done_at >= LINGER):
                del self._unsettled[port]
                association.attempts.clear()
                continue
            for attempt in association.attempts:
                if not attempt.busy and attempt.repeat_at is not None and attempt.repeat_at <= machine:
                    self._submit(association, attempt)
        self._keep_ticking()

    def _follow(self, relay: str, side: Side, rtcp: bool, spec: SideSpec) -> None:
        """Begin, keep or end the association of a port."""
        if spec.dtls is None or (rtcp and spec.rtcp_mux):
            self._forget(relay, side, rtcp)
            return
        before = self._all.get((relay, side, rtcp))
        association = before
        if association is None or association.dtls != spec.dtls:
            association = Association(relay, side, rtcp, spec.dtls, self._clock(), keys=before.keys if before is not None else None)
            self._all[association.port] = self._unsettled[association.port] = association
            self._keep_ticking()
        remote = spec.remote_rtcp if rtcp else spec.remote
        moved = remote != association.remote
        association.remote, association.checked = remote, spec.ice is not None and not rtcp
        if moved and not association.checked and remote is not None and spec.dtls.role is Role.ACTIVE:
            if association.attempts:
                association.attempts[-1].source = remote
            elif association.done_at is None:
                self._submit(association, self._begin(association, remote, b""))
        if moved:
            association.source = None  # where it sends from now is to be seen

    def _forget(self, relay: str, side: Side, rtcp: bool) -> None:
        self._all.pop((relay, side, rtcp), None)
        self._unsettled.pop((relay, side, rtcp), None)

    def _attempt(self, association: Association, octets: bytes, source: SocketAddress) -> Attempt | None:
        """The connection a datagram belongs to; a new one for a new hello."""
        if association.dtls.role is Role.PASSIVE:
            hello = _hello(octets)
            if hello and all(each.hello != hello for each in association.attempts):
                return self._begin(association, source, hello) if association.begun < MAX_BEGUN else None
        for attempt in reversed(association.attempts):
            if attempt.source == source:
                return attempt
            if association.checked or association.dtls.role is Role.ACTIVE:
                attempt.source = source
                return attempt
        return None

    def _begin(self, association: Association, source: SocketAddress, hello: bytes) -> Attempt:
        dtls = association.dtls
        passive_unproven = dtls.role is Role.PASSIVE and not association.checked
        context = self.identity.context(_profiled(dtls.suites), passive_unproven)
        attempt = Attempt(Handshake(context, dtls.role, dtls.fingerprints), source, hello)
        association.begun += 1
        association.attempts.append(attempt)
        if len(association.attempts) > MAX_ATTEMPTS:
            del association.attempts[0]
        if association.port not in self._unsettled:
            association.began = self._clock()
            self._unsettled[association.port] = association
        self._keep_ticking()
        return attempt

    def _submit(self, association: Association, attempt: Attempt) -> None:
        if not attempt.busy:
            attempt.busy = True
            datagrams, attempt.waiting = attempt.waiting, []
            self._workshop.run(partial(attempt.handshake.advance, datagrams), partial(self._advanced, association, attempt))

    def _advanced(self, association: Association, attempt: Attempt, step: Step) -> None:
        attempt.busy = False
        if self._all.get(association.port) is not association or attempt not in association.attempts:
            return
        if step.keys is not None:  # before the peer hears that we have them
            self._settle(association, attempt, step.keys)
        for datagram in step.out:
            self._carrier.send_handshake(*association.port, datagram, attempt.source)
        attempt.repeat_at = time.monotonic() + step.wait if step.wait is not None else None
        if step.verdict is not None:
            self._fail(association, attempt, step.verdict)
        elif attempt.waiting:
            self._submit(association, attempt)

    def _settle(self, association: Association, attempt: Attempt, keys: tuple[Keys, Keys]) -> None:
        association.keys, association.source, association.done_at = keys, attempt.source, self._clock()
        association.attempts = [attempt]
        self._apply(association.relay, self._specs[association.relay])
        if not association.rtcp:
            self._carrier.report(association.relay, association.side, EventKind.SECURED)

    def _fail(self, association: Association, attempt: Attempt, verdict: EventKind) -> None:
        association.attempts.remove(attempt)
        if verdict is EventKind.FINGERPRINT_MISMATCH and association.done_at is None:
            association.trouble, association.keys = verdict, None
            self._apply(association.relay, self._specs[association.relay])
            self._report(association)

    def _report(self, association: Association) -> None:
        """Its trouble. Many peers have no RTCP, and nobody misses it."""
        kind = association.trouble
        if association.rtcp:
            if kind is EventKind.HANDSHAKE_TIMEOUT:
                return
            kind = EventKind.RTCP_MISMATCH
        self._carrier.report(association.relay, association.side, kind)

    def _apply(self, relay: str, specs: tuple[SideSpec, SideSpec]) -> None:
        a, b = [
            _keyed(spec, self._all.get((relay, side, False)), self._all.get((relay, side, True)))
            for side, spec in zip(_SIDES, specs, strict=True)
        ]
        self._carrier.apply(relay, a, b)

    def _keep_ticking(self) -> None:
        if self._unsettled and not self._ticking:
            self._ticking = True
            self._workshop.later(TICK, self.tick)


def _check(spec: SideSpec) -> None:
    assert spec.dtls is not None
    if spec.udptl or spec.receive_keys or spec.send_keys:
        raise MediaError("DTLS makes the keys of a stream, and is not for UDPTL")
    if not spec.dtls.fingerprints:
        raise MediaError("DTLS without a fingerprint of the peer")
    if not _profiled(spec.dtls.suites):
        raise MediaError("DTLS with none of the suites it has a profile for")


def _profiled(suites: tuple[Suite, ...]) -> tuple[Suite, ...]:
    return tuple([suite for suite in suites if suite in PROFILES])


def _keyed(spec: SideSpec, speech: Association | None, control: Association | None) -> SideSpec:
    """The side with the keys of its associations. Without ICE, media goes where the handshake came from: the peer may be behind a NAT."""
    if spec.dtls is None:
        return spec
    changed: dict[str, object] = {}
    if speech is not None and speech.keys is not None:
        place = speech.place(spec.dtls, spec.remote) if spec.ice is None else None
        changed |= dict(zip(("receive_keys", "send_keys"), speech.keys, strict=True))
        if place is not None:
            changed |= {"remote": place, "remote_rtcp": place} if spec.rtcp_mux else {"remote": place}
    if control is not None and control.keys is not None and not spec.rtcp_mux:
        changed |= {"rtcp_keys": control.keys, "remote_rtcp": control.place(spec.dtls, spec.remote_rtcp) or spec.remote_rtcp}
    names: tuple[str, ...] = spec.__match_args__  # of a value of the compiled core, too, which is no dataclass
    kept = {name: getattr(spec, name) for name in names}
    return SideSpec(**(kept | changed)) if changed else spec


def _hello(octets: bytes) -> bytes:
    """The random number of a ClientHello that begins in this datagram (RFC 6347 s4.2.2); b"": it is something else."""
    if len(octets) < 59 or octets[0] != _HANDSHAKE or octets[13] != _CLIENT_HELLO or octets[19:22] != b"\0\0\0":
        return b""
    return octets[27:59]

"""What the rest of the product knows of media: open a relay, update its two sides, close it, read its figures.

Synchronous on purpose, without asyncio and without per-packet Python: a compiled engine, an asyncio one,
an in-memory fake and a remote fleet all fit behind it. One contract test suite holds them to the same behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

Address = tuple[str, int]


class MediaError(Exception):
    """The engine cannot do what was asked; the text says why."""


class PortsExhausted(MediaError):
    """No free port on that interface. A temporary limit: answer 503."""


class Suite(StrEnum):
    """SRTP crypto suites by their RFC 4568 / RFC 6188 / RFC 7714 names."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"
    AES_192_CM_HMAC_SHA1_80 = "AES_192_CM_HMAC_SHA1_80"
    AES_192_CM_HMAC_SHA1_32 = "AES_192_CM_HMAC_SHA1_32"
    AES_256_CM_HMAC_SHA1_80 = "AES_256_CM_HMAC_SHA1_80"
    AES_256_CM_HMAC_SHA1_32 = "AES_256_CM_HMAC_SHA1_32"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"

    @property
    def key_length(self) -> int:
        """Octets of master key followed by master salt, as in an SDES inline parameter."""
        return KEY_LENGTHS[self]


KEY_LENGTHS: Mapping[Suite, int] = {
    Suite.AES_CM_128_HMAC_SHA1_80: 30,
    Suite.AES_CM_128_HMAC_SHA1_32: 30,
    Suite.AES_192_CM_HMAC_SHA1_80: 38,
    Suite.AES_192_CM_HMAC_SHA1_32: 38,
    Suite.AES_256_CM_HMAC_SHA1_80: 46,
    Suite.AES_256_CM_HMAC_SHA1_32: 46,
    Suite.AEAD_AES_128_GCM: 28,
    Suite.AEAD_AES_256_GCM: 44,
}


class Side(StrEnum):
    """The two sides of a relay: `A` faces the caller, `B` the callee."""

    A = "a"
    B = "b"

    @property
    def other(self) -> Side:
        return Side.B if self is Side.A else Side.A


@dataclass(frozen=True, slots=True)
class Keys:
    """Master key and salt of one direction. Never printed."""

    suite: Suite
    master: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.master) != self.suite.key_length:
            raise MediaError(f"{self.suite} needs {self.suite.key_length} octets of key and salt")


@dataclass(frozen=True, slots=True)
class SideSpec:
    """How the relay talks to the peer of one side.

    remote, remote_rtcp   where to send; None: nowhere yet (still listen). With `rtcp_mux` both go to `remote`.
    latch_from            up to six further source hosts (numeric) the peer may send from, besides remote's own: its signalling
                          address behind NAT. The first valid (with SRTP: authenticated) packet from an allowed host
                          locks the source and becomes the destination; later packets from elsewhere are counted and
                          dropped. A new `remote` in an update unlocks.
    receive_keys          what the peer protects with; None: plain RTP
    send_keys             what we protect with towards the peer; None: plain RTP.
                          Equal keys in an update keep the SRTP context (roll-over counter), new ones make a new context.
    payload_types         payload type arriving from this peer -> payload type sent to the other side; others are dropped
    clock_rates           payload type arriving from this peer -> RTP clock in Hz (for jitter)
    send                  False: the far side's packets are not sent to this peer (hold)
    silence               report `Silence` after that many seconds without a packet from this peer; None: never
    udptl                 fax (ITU-T T.38): what arrives are UDPTL datagrams, sent on as they are, under the same source check and
                          counters; no payload types, keys or RTCP. Both sides of a relay alike
    """

    remote: Address | None = None
    remote_rtcp: Address | None = None
    rtcp_mux: bool = False
    latch_from: tuple[str, ...] = ()
    receive_keys: Keys | None = None
    send_keys: Keys | None = None
    payload_types: Mapping[int, int] = field(default_factory=dict)
    clock_rates: Mapping[int, int] = field(default_factory=dict)
    send: bool = True
    silence: float | None = None
    udptl: bool = False


@dataclass(frozen=True, slots=True)
class SideStats:
    """What arrived from one side's peer and what was sent to it. Jitter in milliseconds (RFC 3550 s6.4.1).

    `wrong_source` counts from the moment the relay was first told where the peer is: media that overtakes its answer
    is early, not wrong. `over_rate` are authentic packets beyond what a side may send in a second.
    """

    packets_received: int = 0
    octets_received: int = 0
    packets_sent: int = 0
    octets_sent: int = 0
    rtcp_received: int = 0
    rtcp_sent: int = 0
    lost: int = 0
    jitter_ms: float = 0.0
    wrong_source: int = 0
    srtp_auth_failed: int = 0
    replayed: int = 0
    malformed: int = 0
    payload_type_mismatch: int = 0
    over_rate: int = 0
    latched: Address | None = None


@dataclass(frozen=True, slots=True)
class RelayStats:
    a: SideStats = SideStats()
    b: SideStats = SideStats()


@dataclass(frozen=True, slots=True)
class RelayPorts:
    """Where the peers of each side shall send: our RTP address; RTCP is the next port."""

    a: Address
    b: Address


class EventKind(StrEnum):
    FIRST_PACKET = "first_packet"
    SILENCE = "silence"
    KEY_FAILURE = "key_failure"  # the first 10 packets of a side failed to authenticate
    FLOOD = "flood"  # the first packet dropped because one side sends more of them than speech has; once a side


@dataclass(frozen=True, slots=True)
class MediaEvent:
    relay: str
    side: Side
    kind: EventKind


@dataclass(frozen=True, slots=True)
class Interface:
    """A local address with its port range (both ends included; RTP takes the even ports)."""

    address: str
    first_port: int
    last_port: int


@dataclass(frozen=True, slots=True)
class EngineCapabilities:
    """What an engine can do: the suites it has ciphers for, and how it gets at packets, best first."""

    suites: frozenset[Suite]
    tiers: tuple[str, ...]


class MediaEngine(Protocol):
    """`relay` is the caller's own identifier; opening one twice or naming an unknown one is a MediaError, and so are keys of a suite
    that is not among `capabilities.suites`.
    """

    @property
    def capabilities(self) -> EngineCapabilities: ...

    def provide(self, interfaces: Mapping[str, Interface]) -> None:
        """Set the interfaces by name (a realm). Relays already open keep their ports."""
        ...

    def on_event(self, listener: Callable[[MediaEvent], None]) -> None:
        """Called in the thread that owns the engine, never from inside another method of it."""
        ...

    def open(self, relay: str, interface_a: str, interface_b: str) -> RelayPorts:
        """Bind the ports of a relay (RTP and RTCP on both sides). Raises PortsExhausted, MediaError."""
        ...

    def update(self, relay: str, a: SideSpec, b: SideSpec) -> None:
        """Replace both sides at once, without losing a packet in flight."""
        ...

    def stats(self, relay: str) -> RelayStats: ...

    def close(self, relay: str) -> RelayStats:
        """Release the ports; the final figures."""
        ...

    def shutdown(self) -> None:
        """Close what is open and release everything."""
        ...

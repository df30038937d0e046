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


LARGEST_MKI = 128  # octets (RFC 4568 s6.1)

# Keys of one direction at a time, told apart by their MKIs. Two are what changing from one to the next takes.
MOST_KEYS = 4

# Those that a DTLS handshake can agree on (RFC 5764 s4.1.2, RFC 7714 s14.2).
DTLS_SUITES = frozenset({
    Suite.AES_CM_128_HMAC_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_32,
    Suite.AEAD_AES_128_GCM,
    Suite.AEAD_AES_256_GCM,
})  # fmt: skip


class Side(StrEnum):
    """The two sides of a relay: `A` faces the caller, `B` the callee."""

    A = "a"
    B = "b"

    @property
    def other(self) -> Side:
        return Side.B if self is Side.A else Side.A


@dataclass(frozen=True, slots=True)
class Keys:
    """Master key and salt of one direction. Never printed.

    mki        octets that every packet carries to name the key (RFC 3711 s3.1); none: packets have no such field
    lifetime   packets its owner says it is good for; None: as many as SRTP allows
    more       further keys to receive under, three at most (MOST_KEYS): each of the same suite, with another MKI of the same length
    """

    suite: Suite
    master: bytes = field(repr=False)
    mki: bytes = b""
    lifetime: int | None = field(default=None, compare=False)
    more: tuple[Keys, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if len(self.mki) > LARGEST_MKI:
            raise MediaError(f"an MKI has {LARGEST_MKI} octets at most")
        if len(self.master) != self.suite.key_length:
            raise MediaError(f"{self.suite} needs {self.suite.key_length} octets of key and salt")
        if self.more:
            self._check_more()

    def _check_more(self) -> None:
        every = (self, *self.more)
        if len(every) > MOST_KEYS or any(each.more for each in self.more):
            raise MediaError(f"more than {MOST_KEYS} keys")
        if len({each.suite for each in every}) > 1:
            raise MediaError("keys of one direction have one suite")
        if not self.mki or len({len(each.mki) for each in every}) > 1 or len({each.mki for each in every}) < len(every):
            raise MediaError("several keys are told apart by MKIs of one length")


class Role(StrEnum):
    """Who begins the DTLS handshake, seen by us (RFC 4145 s4): active is the client."""

    ACTIVE = "active"
    PASSIVE = "passive"


@dataclass(frozen=True, slots=True)
class Dtls:
    """SRTP keys by DTLS with the peer of one side (RFC 5763, RFC 5764).

    fingerprints   of the peer's certificate, `sha-256 12:AB:…` in upper case; of the strongest hash among them one must match
    association    what tells this association from the one before: a peer that keeps it keeps its keys (RFC 8842 s4, tls-id)
    suites         what the SRTP keys may be for, best first; those DTLS has no profile for are left out
    """

    role: Role
    fingerprints: tuple[str, ...]
    association: str = ""
    suites: tuple[Suite, ...] = tuple(Suite)


@dataclass(frozen=True, slots=True)
class Ice:
    """ICE with us as the lite agent (RFC 8445 s2.5): the user name and the password of the peer's checks.

    username   `ours:theirs`, 512 octets at most (RFC 8489 s14.3)
    password   ours, 256 octets at most (RFC 8839 s5.4)
    """

    username: str
    password: str = field(repr=False)


class Law(StrEnum):
    """The two of ITU-T G.711, by their encoding names (RFC 3551 s4.5.14)."""

    A = "PCMA"
    MU = "PCMU"

    @property
    def other(self) -> Law:
        return Law.MU if self is Law.A else Law.A


KEYPAD = tuple("0123456789*#ABCD")
"""By the numbers of their events (RFC 4733 s3.2)."""


@dataclass(frozen=True, slots=True)
class Digit:
    """A key that somebody pressed, one of `0`-`9`, `*`, `#`, `A`-`D`: perhaps of the number of a card, so never printed.

    duration   milliseconds; an engine makes of it what its peer can tell from noise
    """

    key: str = field(repr=False)
    duration: int

    def __post_init__(self) -> None:
        if self.key not in KEYPAD or self.duration < 0:
            raise MediaError("not a key of a telephone")


# Expedited forwarding (RFC 3246): what networks take speech for (RFC 4594 s4.1).
EXPEDITED = 46


class Follow(StrEnum):
    """Whether a peer is followed that sends from elsewhere in the middle of a call: a NAT on the way has given it another address."""

    NEVER = "never"
    AUTHENTICATED = "authenticated"  # with SRTP, where its packets authenticate
    SAME_ADDRESS = "same_address"  # the same; and plain RTP to another port of the same address, where its packets go on as before


@dataclass(frozen=True, slots=True)
class SideSpec:
    """How the relay talks to the peer of one side.

    remote, remote_rtcp   where to send; None: nowhere yet (still listen). With `rtcp_mux` both go to `remote`.
    latch_from            up to six further source hosts (numeric) the peer may send from, besides remote's own: its signalling
                          address behind NAT. The first valid (with SRTP: authenticated) packet from an allowed host
                          locks the source and becomes the destination; later packets from elsewhere are counted and
                          dropped. A new `remote` in an update unlocks. What locked in the clear from another address than `remote` gives
                          way to the first valid packet from `remote`, unless that is a private address and another host is locked: a NAT
    receive_keys          what the peer protects with; None: plain RTP
    send_keys             what we protect with towards the peer; None: plain RTP.
                          Equal keys in an update keep the SRTP context (roll-over counter), new ones make a new context.
    payload_types         payload type arriving from this peer -> payload type sent to the other side; others are dropped
    clock_rates           payload type arriving from this peer -> RTP clock in Hz (for jitter)
    send                  False: the far side's packets are not sent to this peer (hold)
    silence               report `Silence` after that many seconds without a packet from this peer; None: never
    dscp                  of the packets sent to this peer (RFC 2474), 0 to 63; ECN is clear
    udptl                 fax (ITU-T T.38): what arrives are UDPTL datagrams, sent on as they are, under the same source check and
                          counters; no payload types, keys or RTCP. Both sides of a relay alike
    dtls                  the keys come from a handshake on the RTP port, and not from `receive_keys` and `send_keys`. Until it is
                          done nothing passes. Without `rtcp_mux` RTCP has a handshake and keys of its own, on its own port, for which
                          nothing else waits (RFC 5764 s4.1). While it stays the same, so do the keys
    rtcp_keys             the keys of that handshake, received and sent under: an engine's own matter, nobody else's to give
    follow                where packets of the peer's may come from besides: once nothing came for a second from where it was, and not
                          for five seconds after it was followed last. Then that becomes the source, and RTCP may come from there too
    ice                   packets are taken from, and sent to, where valid checks came from on the RTP port, the nominated address
                          first; `remote` and `latch_from` do not count. None: as said above
    translate             payload types arriving from this peer that are G.711 -> the law in which they are sent on
    reported              payload types arriving from this peer that are telephone-events (RFC 4733): each digit is reported (`DIGIT`),
                          and nothing of it is sent on
    events                payload type and clock in Hz of the telephone-events that `send_digit` sends to this peer; None: none
    ssrc                  ours towards this peer: of digits while nothing else is sent, and of everything with `one_stream`
    one_stream            whoever is heard, this peer is sent one stream under `ssrc`, whose sequence numbers and timestamps go on
    link                  the linked site that the peer is at: `remote` is not an address there but names the flow. For whoever carries
                          packets between the engine and the site, and gives the engine an address instead; "": none
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
    dtls: Dtls | None = None
    rtcp_keys: tuple[Keys, Keys] | None = None
    ice: Ice | None = None
    translate: Mapping[int, Law] = field(default_factory=dict)
    reported: tuple[int, ...] = ()
    events: tuple[int, int] | None = None
    ssrc: int = 0
    one_stream: bool = False
    follow: Follow = Follow.NEVER
    dscp: int = EXPEDITED
    link: str = ""

    @property
    def needs_user_space(self) -> bool:
        """More is done to plain packets than to give them another payload type and address: nothing for a kernel that only forwards."""
        return bool(self.translate or self.reported or self.events or self.one_stream)


@dataclass(frozen=True, slots=True)
class LinkStats:
    """How the link that a side's packets went over was when the figures were taken.

    remote    the site's address, which may change; "" while it is not connected
    rtt_ms    smoothed, the worst of its connections
    window    octets that may be under way (congestion window), of all connections
    lost      packets of the link lost on the way there, since it was first up
    late      media datagrams dropped before they were sent, for they had waited for too long
    queue_ms  how long media waits for the window, smoothed
    """

    connections: int = 0
    remote: str = ""
    rtt_ms: float = 0.0
    window: int = 0
    lost: int = 0
    late: int = 0
    queue_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class SideStats:
    """What arrived from one side's peer and what was sent to it. Jitter in milliseconds (RFC 3550 s6.4.1).

    `wrong_source` counts from the moment the relay was first told where the peer is: media that overtakes its answer
    is early, not wrong. `over_rate` are authentic packets beyond what a side may send in a second. `stun_refused` are STUN
    requests that are malformed, unauthentic or too many, and all of a side without ICE. `suite` is what DTLS agreed on.

    lost               expected by sequence numbers and never seen; what came twice (`duplicates`) or late (`reordered`) is not lost
    loss_runs          gaps in the sequence, each of one packet or more: lost / loss_runs is how long a gap is on average
    auth_failing       packets that failed to authenticate since the last one that did not
    rtt_ms             to this peer and back, by its last RTCP report on a sender report that went through us (RFC 3550 s6.4.1)
    source_changes     how often the peer was followed to another address
    stranger           where what counts as `wrong_source` came from last; where the kernel drops it, as of a second ago
    reported_lost      what the peer says is missing of what we sent it, and how much that jittered; None: it never said
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
    stun_refused: int = 0
    latched: Address | None = None
    reordered: int = 0
    duplicates: int = 0
    loss_runs: int = 0
    auth_failing: int = 0
    rtt_ms: float | None = None
    reported_lost: int | None = None
    reported_jitter_ms: float | None = None
    source_changes: int = 0
    stranger: Address | None = None
    suite: Suite | None = None
    link: LinkStats | None = None


@dataclass(frozen=True, slots=True)
class RelayStats:
    a: SideStats = SideStats()
    b: SideStats = SideStats()


@dataclass(frozen=True, slots=True)
class RelayPorts:
    """Where the peers of each side shall send: our RTP address; RTCP is the next port.

    fingerprint   of the certificate we show in DTLS handshakes, `sha-256 12:AB:…`; "": there are none here
    """

    a: Address
    b: Address
    fingerprint: str = ""


INTRUSIONS = 100  # what is in flight when a peer moves is less


class EventKind(StrEnum):
    FIRST_PACKET = "first_packet"
    SILENCE = "silence"  # no packet for as long as SideSpec says; with ICE also: no valid check for 30 s (RFC 7675), sending has stopped
    KEY_FAILURE = "key_failure"  # the first 10 packets of a side failed to authenticate
    FLOOD = "flood"  # the first packet dropped because one side sends more of them than speech has; once a side
    INTRUSION = "intrusion"  # INTRUSIONS packets of a side came from where its peer is not, and were dropped; once a side
    SOURCE_CHANGED = "source_changed"  # a peer was followed to another address for the first time; once a side
    KEY_WORN = "key_worn"  # as many packets came under a key as its owner said it is good for; they go on passing
    SECURED = "secured"  # a DTLS handshake is done, and its keys are in use
    FINGERPRINT_MISMATCH = "fingerprint_mismatch"  # the certificate of the handshake is not the one that was signalled
    RTCP_MISMATCH = "rtcp_mismatch"  # the same of RTCP's own handshake: RTCP of this side is not relayed, speech is
    HANDSHAKE_TIMEOUT = "handshake_timeout"  # no handshake came to an end for 20 s; again every 20 s until one does
    DIGIT = "digit"  # a telephone-event that SideSpec wants reported has ended: once, however often its end was sent


@dataclass(frozen=True, slots=True)
class MediaEvent:
    """`digit`: of DIGIT. `source`: of INTRUSION, where the last packet came from."""

    relay: str
    side: Side
    kind: EventKind
    digit: Digit | None = None
    source: Address | None = None


class Packets(StrEnum):
    """How packets come and go at an interface."""

    SOCKETS = "sockets"
    XDP = "xdp"  # past the kernel's stack where that can be, else by sockets


@dataclass(frozen=True, slots=True)
class Interface:
    """A local address with its port range (both ends included; RTP takes the even ports), and how its packets are wanted."""

    address: str
    first_port: int
    last_port: int
    packets: Packets = field(default=Packets.SOCKETS, compare=False)


@dataclass(frozen=True, slots=True)
class Tier:
    """How packets come and go at an interface: for people. `problem` says why not as was wanted, "" when it is."""

    name: str
    problem: str = ""


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

    @property
    def fingerprint(self) -> str:
        """Of the certificate this engine shows in DTLS handshakes: `sha-256 12:AB:…` (RFC 8122 s5)."""
        ...

    def provide(self, interfaces: Mapping[str, Interface]) -> None:
        """Set the interfaces by name (a realm). Relays already open keep their ports."""
        ...

    def tiers(self) -> Mapping[str, Tier]:
        """Of the interfaces provided, by their names."""
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

    def send_digit(self, relay: str, side: Side, digit: Digit) -> None:
        """A telephone-event to the peer of `side`, after those that are still being sent; beyond 32, or without `events`, it is lost."""
        ...

    def stats(self, relay: str) -> RelayStats: ...

    def close(self, relay: str) -> RelayStats:
        """Release the ports; the final figures."""
        ...

    def shutdown(self) -> None:
        """Close what is open and release everything."""
        ...

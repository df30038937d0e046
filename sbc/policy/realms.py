"""The networks we stand in, as the snapshot has them, and the sites that are linked to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from media.api import Interface
from sbc.flow import Address, Transport
from sbc.policy.counters import LimitRules


@dataclass(frozen=True, slots=True)
class Listener:
    """One signalling socket. `advertise` is the host peers are told: the realm's, or our own address if that is of another family."""

    transport: Transport
    address: str
    port: int
    advertise: str

    @property
    def local(self) -> Address:
        return self.address, self.port


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The paths of certs/NAME.pem (certificate, then its chain) and certs/NAME.key."""

    certificate: str
    key: str


Presented = Literal["never", "optional", "required"]


@dataclass(frozen=True, slots=True)
class Terms:
    """For how many seconds a registration is granted at most; behind_nat: to a phone that NAT and UDP are between us and."""

    longest: int = 7200
    behind_nat: int = 90


@dataclass(frozen=True, slots=True)
class Realm:
    """A network we stand in.

    relay               where media of this network is received and sent from
    relay_advertise     the host written into session descriptions
    certificates        ours, the first is for those who ask for no name that another one carries
    client_ca           PEM file with the authorities that may sign peers' certificates; None: the system's
    client_certificates whether a TLS client has to present one
    domains             host names and addresses that mean "us" in a Request-URI of this network, besides the listeners' own
    digest_realm        what our challenges carry
    digest_algorithms   offered and accepted, in that order
    has_digest_users    somebody may authenticate with a password here: an unknown source is worth a challenge
    name_servers        numeric addresses, asked about the hosts of this network in that order; none: the system's
    origins             of the web pages that may open a WebSocket here
    terms               of who registers here
    dscp                of our signalling (RFC 2474)
    uplink              instead of listening for linked sites we are one
    limits              of all calls and requests from this network and to it
    """

    name: str
    listeners: tuple[Listener, ...]
    advertise: str | None
    relay: Interface
    relay_advertise: str
    certificates: tuple[KeyPair, ...]
    client_ca: str | None
    client_certificates: Presented
    domains: tuple[str, ...]
    digest_realm: str
    digest_algorithms: tuple[str, ...]
    has_digest_users: bool
    name_servers: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    terms: Terms = Terms()
    dscp: int = 24
    uplink: Uplink | None = None
    limits: tuple[LimitRules, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """A remote site that is linked to us. One of `pins` is the SHA-256 of its certificate, or that is for `certificate`.

    calls   that fit into its `connections`
    """

    name: str
    pins: frozenset[str]
    certificate: str
    connections: int
    calls: int


@dataclass(frozen=True, slots=True)
class Uplink:
    """We are the remote site, by this name, of an edge that is at `host` and `port`; it shows what `pins` or `authorities` (PEM) say."""

    site: str
    host: str
    port: int
    pins: frozenset[str]
    authorities: str | None
    connections: int

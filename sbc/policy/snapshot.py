"""The compiled policy: frozen, complete and valid. Everything the rest of the product knows of the YAML files.

Names refer to objects of the same snapshot and always resolve; secrets are already read and never printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sbc.flow import Transport
from sbc.policy.counters import LimitRules
from sbc.policy.edits import Edits
from sbc.policy.inventory import NO_NUMBERS, NOTHING_OURS, Inventory, Numbers
from sbc.policy.plans import Kinds
from sbc.policy.realms import KeyPair, Realm, Site
from sbc.sdp.rules import MediaRules
from sbc.shield.rules import USUAL_SHIELD, ShieldRules
from sbc.sip.locate import is_address
from sbc.sip.timers import TimerValues


@dataclass(frozen=True, slots=True)
class Credentials:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a trunk is reached.

    host        a name or a numeric address without brackets
    port        None: the default or what DNS says
    transport   None: what DNS says, else UDP, or TCP for a request that is too long for it (RFC 3261 s18.1.1)
    secure      sips: nothing but TLS
    """

    uri: str
    host: str
    port: int | None
    transport: Transport | None
    secure: bool = False

    @property
    def may_be_tls(self) -> bool:
        """By what the policy says, or because DNS may say so (RFC 3263 s4.1)."""
        by_dns = self.transport is None and self.port is None and not is_address(self.host)
        return self.secure or self.transport == "TLS" or by_dns


@dataclass(frozen=True, slots=True)
class RegisterTo:
    """Our account at a carrier.

    user, domain  our address of record is user@domain
    port          of the domain in URIs; None: it has none
    expires       seconds we ask for
    needed        calls to the trunk are only made while we are registered
    in_from       our address there is the From of calls to it, whoever calls
    is_way        calls go to the server we are registered at, over the same flow: the trunk has no `peer` of its own
    """

    registrar: Peer
    user: str
    domain: str
    port: int | None
    credentials: Credentials
    expires: int
    needed: bool = True
    in_from: bool = False
    is_way: bool = True


@dataclass(frozen=True, slots=True)
class Patterns:
    """Numbers or names: exact ones, and the prefixes of those that ended in `*`. Empty: matches nothing."""

    exact: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()

    def match(self, text: str) -> bool:
        return text in self.exact or text.startswith(self.prefixes)


DialPlan = tuple[tuple[str, str], ...]
"""(prefix, replacement), longest prefix first."""

Attest = Literal["A", "B", "C"]
"""What is said for a caller (RFC 8588 s4): the number is its own; we know whose call it is; it came in here."""

Cli = Literal["shown", "hidden", "call-center"]

Record = Literal["never", "failed", "always"]
"""Which calls from and to a party are kept as recordings; failed: those that were not answered, or that we ended."""


RFC_TIMERS = TimerValues()


NumberTable = tuple[tuple[str, str], ...]
"""What becomes of a number in E.164 on the wire: (prefix, replacement), longest prefix first; empty: nothing."""

IdentityHeader = Literal["p-asserted-identity", "p-preferred-identity", "remote-party-id", "none"]


@dataclass(frozen=True, slots=True)
class Presentation:
    """How numbers and people look to a party.

    called      numbers in Request-URI and To
    callers     numbers that say who somebody is, in all other headers
    user_phone  whether URIs with a number say user=phone; None: those that assert somebody do
    identity    the header that says who somebody is
    domain      behind the @ of callers; None: ours
    names       what stands beside numbers for people is passed
    anonymous   behind the @ of anonymous callers: nowhere (RFC 3323 s4.1.1.3), or where callers are
    """

    called: NumberTable = ()
    callers: NumberTable = ()
    user_phone: bool | None = None
    identity: IdentityHeader = "p-asserted-identity"
    domain: str | None = None
    names: bool = True
    anonymous: Literal["nowhere", "domain"] = "nowhere"


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """What a party's headers are worth, and which of them cross.

    trusted           within our trust domain (RFC 3325 s2.3): what it asserts is believed, and it is told what is hidden from others
    numbers           its own: what it says of itself counts when it is among these
    main_number       the first of them that is written in full: who it is when it says nothing that counts
    pass_headers      names, lower case, that cross when both sides of a call list them
    pass_bodies       media types, lower case, that cross beside the session description of an INVITE when both sides list them
    diversions_as     the header that tells it who sent a call on; none: neither; None: whichever came
    refuse_anonymous  callers who hide who they are are answered 433 (RFC 5079)
    blocks            callers it does not get, the first that matches counts
    blocks_from       numbers that its calls may not come from
    assigned          numbers that the inventory gives it: its own, too
    foreign_numbers   what becomes of its calls that show another's number
    presents          how numbers and people look to it; None: as `Presentation` has it
    attest            the most that is said for its callers where calls are signed; no: nothing
    """

    trusted: bool = False
    numbers: Patterns = Patterns()
    main_number: str | None = None
    pass_headers: frozenset[str] = frozenset()
    pass_bodies: frozenset[str] = frozenset()
    diversions_as: Literal["diversion", "history-info", "none"] | None = None
    refuse_anonymous: bool = False
    blocks: tuple[Block, ...] = ()
    blocks_from: tuple[Block, ...] = ()
    assigned: Numbers = NO_NUMBERS
    foreign_numbers: Literal["pass", "replace", "refuse"] = "pass"
    presents: Presentation | None = None
    attest: Attest | Literal["no"] = "A"

    def own(self, number: str) -> bool:
        """Whether a normalised number is one of its own."""
        return self.numbers.match(number) or self.assigned.owner_of(number) is not None


@dataclass(frozen=True, slots=True)
class Block:
    """Whose calls somebody does not get, or may not make.

    listed   more of `callers`, out of a file
    status   403, 603 or 607
    redress  of what analytics found: where to complain, as ATIS-1000099 writes it, without the id of the call; "": no analytics
    """

    name: str
    callers: Patterns
    status: int = 603
    redress: str = ""
    listed: Numbers = NO_NUMBERS

    def has(self, number: str) -> bool:
        return self.callers.match(number) or self.listed.owner_of(number) is not None


@dataclass(frozen=True, slots=True)
class NumberRules:
    """Kinds of numbers that a party may not call, and that its calls may not come from."""

    refused_to: Kinds | None = None
    refused_from: Kinds | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """What a party may do besides calling. The defaults are those of a trunk: nothing that was not asked for.

    redirects       what becomes of its 3xx answers: the caller hears a plain refusal, or gets its numbers, or we call them for it
    transfers       its REFERs, and INVITEs that replace a leg: refused, passed to the other party, or performed by us
    messages        MESSAGE requests, within calls and outside of them, are taken from it and passed to it
    events          event packages whose SUBSCRIBE, NOTIFY and PUBLISH are, lower case
    priorities      namespaces of Resource-Priority it is trusted with
    info            INFO requests cross to the other leg and are taken from it
    info_packages   those of RFC 6086 that may, lower case; other INFOs are the legacy kinds
    """

    redirects: Literal["refuse", "pass", "follow"] = "refuse"
    transfers: Literal["refuse", "pass", "perform"] = "refuse"
    messages: bool = False
    events: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    info: bool = False
    info_packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trunk:
    """A peer known by its address (`accept_from`), by the names its certificate proves (`accept_certificate`), by a password it
    registers with (`registers`), by our registration there (`register_to`), or only called (`peer`).

    peer                  with `register_to` alone: the registrar
    credentials           what its challenges to our requests are answered with
    timers                of all transactions with it
    invite_timers         of the INVITE that begins a call: Timer B may be shorter, because there may be another server to try
    certificate           ours, for TLS connections to it; None: the realm's first
    wildcard_certificates a `*.` in its certificate counts, against RFC 5922 s7.2
    responses_from        final statuses it answers with, and what each is taken for
    responses_to          final statuses it would be answered with, and what is sent instead
    overload_control      it may say what share of our requests it is to be spared (RFC 7339)
    early_offer           INVITEs to it always have an offer (RFC 3264), whether the caller made one or not
    register_at           the trunk whose registrar knows its password; None: we do
    verify                proofs of who calls (RFC 8224) are left alone, looked at, or demanded
    verify_reasons        our answers say what was wrong with proofs (RFC 9410)
    sign                  calls to it are signed, with no more than that attestation
    authenticates         its address alone does not count: it proves with this account who it is
    link                  the linked site that it is at; "": none
    edits                 of the headers of what it says and is told; None: nobody touches them
    numbers               which it may call, and call from
    """

    name: str
    realm: str
    accept_from: tuple[str, ...]
    peer: Peer | None
    registers: Credentials | None
    media: MediaRules
    limits: tuple[LimitRules, ...] = ()
    dial_plan: DialPlan = ()
    timers: TimerValues = RFC_TIMERS
    invite_timers: TimerValues = RFC_TIMERS
    accept_certificate: tuple[str, ...] = ()
    certificate: KeyPair | None = None
    wildcard_certificates: bool = False
    headers: HeaderRules = HeaderRules()
    responses_from: Mapping[int, int] = field(default_factory=dict)
    responses_to: Mapping[int, int] = field(default_factory=dict)
    overload_control: bool = False
    early_offer: bool = False
    record: Record = "never"
    services: Services = Services()
    register_at: str | None = None
    authenticates: Credentials | None = None
    link: str = ""
    register_to: RegisterTo | None = None
    credentials: Credentials | None = None
    verify: Literal["no", "tag", "require"] = "no"
    verify_reasons: bool = False
    edits: Edits | None = None
    numbers: NumberRules = NumberRules()
    sign: Attest | Literal["no"] = "no"

    @property
    def servers(self) -> tuple[Peer, ...]:
        """What we connect to of it."""
        registrar = (self.register_to.registrar,) if self.register_to is not None and not self.register_to.is_way else ()
        return (*((self.peer,) if self.peer is not None else ()), *registrar)


@dataclass(frozen=True, slots=True)
class User:
    """One account that registers with digest credentials; its user name is `name`.

    register_at   the trunk whose registrar knows its password; None: we do
    edits         of the headers of what it says and is told; None: nobody touches them
    numbers       which it may call
    """

    name: str
    realm: str
    password: str = field(repr=False)
    media: MediaRules
    limits: tuple[LimitRules, ...] = ()
    dial_plan: DialPlan = ()
    timers: TimerValues = RFC_TIMERS
    headers: HeaderRules = HeaderRules()
    early_offer: bool = False
    record: Record = "never"
    services: Services = Services()
    register_at: str | None = None
    edits: Edits | None = None
    numbers: NumberRules = NumberRules()


Party = Trunk | User


def stranger_in(realm: str) -> str:
    """The name of the trunk that stands for strangers of that realm who call for help."""
    return f"{STRANGER}.{realm}"


STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes.

    when_realm/when_trunk/when_user   exactly one is set, except in emergency routes (realm)
    send_to     names of trunks or users, tried in order
    next_on     final statuses that make us try the next one (a timeout counts as 408, a transport failure as 503)
    ring_for    seconds until an unanswered attempt is given up
    line        "file:line" of the rule, for records and logs
    emergency   exempt from every limit
    to_owner    OWNER is among `send_to`: it fits the numbers of the inventory only
    to_kinds, not_to_kinds   of the called number; None: whatever it is
    shows       whom the called side sees: "nobody", a number, or the caller (None)
    needs_caller   only calls that show it a number that may exist
    limits      of the calls that it sends somewhere
    cli         what it is sold as, which `needs_caller` and `shows` follow; call-center: the caller shows a number of its own
    """

    name: str
    to: Patterns
    not_to: Patterns
    send_to: tuple[str, ...]
    next_on: frozenset[int]
    ring_for: float
    line: str
    when_realm: str | None = None
    when_trunk: str | None = None
    when_user: str | None = None
    emergency: bool = False
    to_owner: bool = False
    to_kinds: Kinds | None = None
    not_to_kinds: Kinds | None = None
    shows: str | None = None
    needs_caller: bool = False
    limits: tuple[LimitRules, ...] = ()
    cli: Cli | None = None


@dataclass(frozen=True, slots=True)
class Strangers:
    """`answer`: status for a request from a source that is no trunk and has no account; None: silence.

    helped   by realm: how many emergency calls are taken of them
    """

    answer: int | None = None
    limits: LimitRules | None = None
    helped: Mapping[str, Helped] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Helped:
    """Emergency calls of strangers: at a time, and per second."""

    calls: int
    new_calls: float


@dataclass(frozen=True, slots=True)
class PrefixTable:
    """Longest-prefix table of one realm: per address family (bits to shift away, network bits -> names of trunks), longest prefix first.

    Trunks that share a network all prove by other means who they are.
    """

    v4: tuple[tuple[int, Mapping[int, tuple[str, ...]]], ...] = ()
    v6: tuple[tuple[int, Mapping[int, tuple[str, ...]]], ...] = ()


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The routes one party may use, by exact number and by prefix; the values are positions in `Snapshot.routes`, ascending."""

    exact: Mapping[str, tuple[int, ...]]
    prefixes: Mapping[str, tuple[int, ...]]
    lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SigningRules:
    """Our key and its certificate, and where that is published. `secret`: what `origid` is worked out from; "": the key."""

    certificate: KeyPair
    url: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ServiceRules:
    """Who signs for us (ATIS-1000082).

    secret   what `origid` is worked out from
    timeout  seconds, after which a call goes unsigned
    token    that we show it; "": none
    ca       PEM file of the authorities that may sign its certificate; None: the system's
    """

    url: str
    secret: str = field(repr=False)
    timeout: float = 0.5
    token: str = field(default="", repr=False)
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """Files: authorities whose certificates count, what was revoked, who signs that. `patience`: how long a call waits, seconds.

    roots    None: nobody's, we only sign
    sign     with a key of ours; None: we do not
    service  who signs instead
    local_authority    certificates come from this machine, too, whose web server it stands for; None: never
    local_certificate  we are that server, of our own certificate
    """

    roots: str | None
    revoked: str | None = None
    revoked_by: str | None = None
    patience: float = 0.5
    sign: SigningRules | None = None
    service: ServiceRules | None = None
    local_authority: str | None = None
    local_certificate: KeyPair | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`digest` names the text it came from (12 hexadecimal digits of SHA-256). The last six fields are indexes for `decide`."""

    version: int
    digest: str
    realms: Mapping[str, Realm]
    trunks: Mapping[str, Trunk]
    users: Mapping[str, User]
    routes: tuple[Route, ...]
    emergency: Mapping[str, Route]
    strangers: Strangers
    limits: Mapping[str, LimitRules]
    sources: Mapping[str, PrefixTable] = field(repr=False)
    accounts: Mapping[tuple[str, str], Party] = field(repr=False)
    route_tables: Mapping[str, RouteTable] = field(repr=False)
    certified: Mapping[tuple[str, str], Trunk] = field(default_factory=dict, repr=False)  # by realm and name in the certificate
    inventory: Inventory = field(default=NOTHING_OURS, repr=False)
    identity: IdentityRules | None = None
    sites: Mapping[str, Site] = field(default_factory=dict)
    everybody: tuple[LimitRules, ...] = ()  # of all calls and requests together
    shield: ShieldRules = USUAL_SHIELD
    limited: Numbers = field(default=NO_NUMBERS, repr=False)  # numbers that have limits, and by which line of the inventory
    limits_of: Mapping[str, tuple[str, tuple[LimitRules, ...]]] = field(default_factory=dict, repr=False)  # by line: whose, and which

    def party(self, name: str) -> Party:
        """The trunk or user of that name; they share one name space. KeyError when there is none."""
        return self.trunks[name] if name in self.trunks else self.users[name]

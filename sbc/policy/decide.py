"""The questions the core asks the policy, in this order: who is it, is it an emergency, which number, where to. Pure.

The order is fixed: a number that is normalised after routing is how `00449…` slips past a block on `+449`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Literal

from sbc.errors import SipError
from sbc.flow import Flow
from sbc.frozen import frozen, replace
from sbc.policy.inventory import OWNER, UNASSIGNED
from sbc.policy.plans import INVALID, Kind, kind_of
from sbc.policy.snapshot import Party, PrefixTable, Route, Snapshot, Trunk, User
from sbc.sip.uri import Uri

MAX_NAME = 64  # the longest pattern the language can write; a longer name can only match `*`, and nobody has one
_CACHED_ADDRESSES = 4096  # IPv6 text is slow to read; about 1 MB when full

# ASCII only, on purpose: `str.isdigit()` and `\d` accept the digits of thirty scripts.
_DIALLED = re.compile(r"[+0-9*#()\-. ]+")  # RFC 3966 s5.1.1: visual separators; people and PBXs add spaces
_SEPARATORS = str.maketrans("", "", "()-. ")
_E164 = re.compile(r"\+[1-9][0-9]{0,14}")  # ITU-T E.164 s6.2.1: at most 15 digits; no country code begins with 0
_SHORT = re.compile(r"[0-9*#]{1,32}")  # extensions, service codes, national numbers without a dial plan
_NAME = re.compile(r"[!-~]+")
_MAX_DIALLED = 256  # before any other work; RFC 4475's longest user part is longer than any number


BARRED = 'Q.850;cause=21;text="Called number not allowed"'
BARRED_CALLER = 'Q.850;cause=21;text="Calling number not allowed"'


class NumberRefused(SipError):
    """Neither a number nor a name (RFC 3261 s21.4.22)."""

    def __init__(self, detail: str) -> None:
        headers = (("Reason", 'Q.850;cause=28;text="Invalid number format"'),)
        super().__init__(detail, status=484, reason="Address Incomplete", headers=headers)


Proof = Literal["certificate", "digest", "registration", "address", "emergency"]  # the last: nothing, but it calls for help


@frozen
class Admitted:
    """Who sent a request, and what proves it."""

    party: Party
    by: Proof

    @property
    def name(self) -> str:
        return self.party.name


NOBODY = PrefixTable()  # a realm that a newer policy has dropped, or one without trunks


def identify(snapshot: Snapshot, realm: str, source: str) -> Trunk | None:
    """The trunk at that address, or the first of several that share it: see `trunks_from`."""
    names = trunks_from(snapshot, realm, source)
    return snapshot.trunks[names[0]] if names else None


def trunks_from(snapshot: Snapshot, realm: str, source: str) -> tuple[str, ...]:
    """The trunk whose `accept_from` has the longest prefix of `source`, a numeric address of that realm.

    Several only when each of them `authenticates`. IPv4-mapped IPv6 counts as IPv4. What a message says of itself (From,
    P-Asserted-Identity) never identifies a trunk.
    """
    table = snapshot.sources.get(realm, NOBODY)
    if ":" in source:
        number = _ipv6(source)
        prefixes = table.v6
        if number >> 32 == 0xFFFF:
            number, prefixes = number & 0xFFFFFFFF, table.v4
    else:
        a, b, c, d = source.split(".")
        number = int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d)
        prefixes = table.v4
    for shift, networks in prefixes:
        names = networks.get(number >> shift)
        if names is not None:
            return names
    return ()


def trunk_at(snapshot: Snapshot, flow: Flow) -> Trunk | None:
    """The trunk that is at the other end: by what its certificate proves, else by its address."""
    return certified(snapshot, flow) or identify(snapshot, flow.realm, flow.remote[0])


def is_at(snapshot: Snapshot, trunk: str, flow: Flow) -> bool:
    """Whether the trunk of that name is, or may be, at the other end."""
    found = certified(snapshot, flow)
    return found.name == trunk if found is not None else trunk in trunks_from(snapshot, flow.realm, flow.remote[0])


def certified(snapshot: Snapshot, flow: Flow) -> Trunk | None:
    """The trunk that the peer's certificate proves it is (RFC 5922 s7.4)."""
    for name in flow.names:
        trunk = snapshot.certified.get((flow.realm, name))
        if trunk is not None:
            return trunk
    return None


def account(snapshot: Snapshot, realm: str, username: str) -> Party | None:
    """The user, or the trunk that registers or authenticates, with this digest user name."""
    return snapshot.accounts.get((realm, username))


def password(snapshot: Snapshot, realm: str, username: str) -> str | None:
    match snapshot.accounts.get((realm, username)):
        case User(password=secret, register_at=None):
            return secret
        case Trunk(registers=credentials, register_at=None) if credentials is not None:
            return credentials.password
        case Trunk(authenticates=credentials) if credentials is not None:
            return credentials.password
    return None


def account_name(party: Party) -> str:
    """The user name that it registers with."""
    return party.registers.user if isinstance(party, Trunk) and party.registers is not None else party.name


def registers_through(snapshot: Snapshot, realm: str, username: str) -> Party | None:
    """The user or trunk of that user name, if a registrar behind us knows its password."""
    party = snapshot.accounts.get((realm, username))
    return party if party is not None and party.register_at is not None else None


def may_register(snapshot: Snapshot, name: str, flow: Flow) -> bool:
    """Whether the trunk or user of that name may be registered from the realm of that flow."""
    trunk = snapshot.trunks.get(name)
    party = trunk if trunk is not None and trunk.registers is not None else snapshot.users.get(name)
    return party is not None and party.realm == flow.realm


def emergency_route(snapshot: Snapshot, party: Party, uri: Uri) -> Route | None:
    """The emergency route of the party's realm, if `uri` is urn:service:sos (RFC 5031) or one of its numbers exactly as dialled."""
    return emergency_at(snapshot, party.realm, uri)


def emergency_at(snapshot: Snapshot, realm: str, uri: Uri) -> Route | None:
    """The same of a realm, whoever calls."""
    route = snapshot.emergency.get(realm)
    if route is None:
        return None
    if uri.scheme == "urn":
        service = (uri.user or "").lower()  # RFC 5031 s4.2: compared case-insensitively
        return route if service == "service:sos" or service.startswith("service:sos.") else None
    return route if without_separators(_subscriber(uri)) in route.to.exact else None


def help_called(uri: Uri) -> str:
    """What is called where `uri` is an emergency route's: no context makes it another number. urn:service:sos stays what it is."""
    return str(uri) if uri.scheme == "urn" else without_separators(_subscriber(uri))


def emergency_called(snapshot: Snapshot, party: Party, called: str) -> Route | None:
    """The same, if the dial plan has made one of its numbers of what was dialled: `9112` behind a PBX that dials 9 to get out."""
    route = snapshot.emergency.get(party.realm)
    return route if route is not None and called in route.to.exact else None


def is_number(number: str) -> bool:
    """As it was dialled, and no name."""
    return _DIALLED.fullmatch(number) is not None


def without_separators(number: str) -> str:
    """`1-1-2` is 112 (RFC 3966 s5.1.1)."""
    return number.translate(_SEPARATORS)


def dialled(uri: Uri) -> str:
    """The called number or name, without parameters, ready for `normalise`."""
    number = _subscriber(uri)
    if uri.scheme == "tel" and not number.startswith("+"):
        context = uri.param("phone-context") or ""
        if context.startswith("+"):
            return context + number  # RFC 3966 s5.1.5: a local number within a global prefix
    return number


def normalise(party: Party, number: str) -> str:
    """`number` as routes and records know it: +E.164, or unchanged if it is a short number or a name. NumberRefused otherwise.

    Separators go, the party's dial plan is applied once, by its longest prefix.
    """
    if len(number) > _MAX_DIALLED:
        raise NumberRefused("longer than any number or name")
    if not _DIALLED.fullmatch(number):
        if number.startswith("+") or not _NAME.fullmatch(number) or len(number) > MAX_NAME:
            raise NumberRefused("neither a number nor a name")
        return number
    number = number.translate(_SEPARATORS)
    rule = dial_rule(party, number)
    if rule is not None:
        number = rule[1] + number[len(rule[0]) :]
    if not (_E164 if number.startswith("+") else _SHORT).fullmatch(number):
        raise NumberRefused("not a telephone number")
    return number


def check_called(party: Party, number: str) -> None:
    """Whether the party may call a normalised number of that kind. SipError 403, 484 where no numbering plan has it."""
    refused = party.numbers.refused_to
    if refused is None or not refused.has(number):
        return
    kind = kind_of(number)
    if kind is not None and kind.type == INVALID:
        raise NumberRefused("no numbering plan has that number")
    raise SipError(f"{party.name} may not call {_told(kind)}", status=403, reason="Forbidden", headers=(("Reason", BARRED),))


def check_caller(snapshot: Snapshot, party: Party, numbers: Iterable[str]) -> None:
    """Whether a call of `party` may come from these numbers: the one it shows, and who it is asserted to be. SipError 403."""
    refused = party.numbers.refused_from
    if refused is None:
        return
    emergency = snapshot.emergency.get(party.realm)
    for number in numbers:
        if refused.has(number):
            raise SipError(f"a call from {_told(kind_of(number))}", status=403, reason="Forbidden", headers=(("Reason", BARRED_CALLER),))
        if INVALID in refused.types and emergency is not None and number in emergency.to.exact:
            raise SipError("a call from an emergency number", status=403, reason="Forbidden", headers=(("Reason", BARRED_CALLER),))


def _told(kind: Kind | None) -> str:
    return f"numbers of kind {kind.country} {kind.type}" if kind is not None else "such numbers"


def dial_rule(party: Party, number: str) -> tuple[str, str] | None:
    """The prefix of its dial plan that a number without separators begins with, the longest, and what comes in its place."""
    for prefix, replacement in party.dial_plan:
        if number.startswith(prefix) and (prefix or not number.startswith("+")):
            return prefix, replacement
    return None


def candidates(snapshot: Snapshot, party: Party, called: str) -> list[int]:
    """Positions of the routes that are for calls of `party` and whose `to` has that number, ascending."""
    table = snapshot.route_tables[party.name]
    found = list(table.exact.get(called, ()))
    for length in table.lengths:
        if length > len(called):
            break
        found += table.prefixes.get(called[:length], ())
    found.sort()
    return found


def route(snapshot: Snapshot, party: Party, called: str) -> Route | None:
    """The first route for calls of `party` to the normalised number or name `called`; None: answer 404.

    What is ours and has nobody goes nowhere at all: a carrier would send it back. A route to the owner fits owned numbers only.
    """
    owner = snapshot.inventory.owner_of(called)
    if owner == UNASSIGNED:
        return None
    for index in candidates(snapshot, party, called):
        candidate = snapshot.routes[index]
        if candidate.not_to.match(called) or not is_of_kind(candidate, called):
            continue
        if not candidate.to_owner:
            return candidate
        if owner is not None:
            targets = [owner if name == OWNER else name for name in candidate.send_to]
            return replace(candidate, send_to=tuple(dict.fromkeys(targets)))
    return None


def is_of_kind(candidate: Route, called: str) -> bool:
    """Whether the route is for numbers of that country and type."""
    wanted, unwanted = candidate.to_kinds, candidate.not_to_kinds
    return (wanted is None or wanted.has(called)) and not (unwanted is not None and unwanted.has(called))


def _subscriber(uri: Uri) -> str:
    """`;npdi;rn=…` and the like (RFC 4694) may ride in the user part; they are not part of the number."""
    return uri.decoded_user.partition(";")[0]


@lru_cache(maxsize=_CACHED_ADDRESSES)
def _ipv6(text: str) -> int:
    return int(IPv6Address(text))

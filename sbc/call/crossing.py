"""What a message says beside its session description, and how much of that the other side is told.

It is read under the trust of who sent it and written under the trust of who gets it (RFC 3325 s5): nothing from outside the
trust domain counts as asserted, nothing that is to be hidden leaves it, and no host of one side shows on the other. A header
that is mentioned nowhere here stays behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from sbc.call.context import is_private
from sbc.call.diverted import continued, diversions_of, history_of, neutral_diversions, neutral_history
from sbc.call.identities import Found, asserted, proved, values
from sbc.call.neutral import is_anonymous, neutral, placed, shown, verstat_of
from sbc.errors import ParseError, SipError
from sbc.frozen import frozen, replace
from sbc.policy.snapshot import HeaderRules, Party, Trunk
from sbc.sip.fields.call_info import CallInfo
from sbc.sip.fields.charging_vector import ChargingVector
from sbc.sip.fields.diversion import Diversion, parse_diversions
from sbc.sip.fields.history_info import HistoryEntry, parse_history
from sbc.sip.fields.nameaddr import NameAddr, parse_list
from sbc.sip.fields.privacy import CRITICAL, HEADER, HISTORY, ID, NONE, SESSION, USER, Privacy
from sbc.sip.fields.reason import reasons_told
from sbc.sip.fields.remote_party_id import RemotePartyId, parse_remote_parties
from sbc.sip.grammar import split_rows
from sbc.sip.message import Headers, Request, Response
from sbc.sip.names import (
    ACCEPT_CONTACT,
    ALERT_INFO,
    CALL_INFO,
    DATE,
    DIVERSION,
    ERROR_INFO,
    GEOLOCATION,
    GEOLOCATION_ROUTING,
    HISTORY_INFO,
    IDENTITY,
    ORGANIZATION,
    P_ACCESS_NETWORK_INFO,
    P_ASSERTED_IDENTITY,
    P_CALLED_PARTY_ID,
    P_CHARGING_VECTOR,
    P_PREFERRED_IDENTITY,
    P_VISITED_NETWORK_ID,
    PRIORITY,
    PRIVACY,
    REASON,
    REFERRED_BY,
    REJECT_CONTACT,
    REMOTE_PARTY_ID,
    RESOURCE_PRIORITY,
    SUBJECT,
    USER_AGENT,
    HeaderName,
)

HeaderRows = tuple[tuple[HeaderName, str], ...]

# Crosses as it came from one trusted trunk to another: who may go first, where the caller is, which network it is in.
WITHIN_TRUST = (
    *(PRIORITY, GEOLOCATION, GEOLOCATION_ROUTING, ACCEPT_CONTACT, REJECT_CONTACT),
    *(P_ACCESS_NETWORK_INFO, P_VISITED_NETWORK_ID),
)
IN_EMERGENCIES = (PRIORITY, RESOURCE_PRIORITY, GEOLOCATION, GEOLOCATION_ROUTING)  # from whoever calls for help, to whoever helps
INFO = frozenset({ALERT_INFO, CALL_INFO, ERROR_INFO})
# "user-level privacy": what a caller says of itself (RFC 3323 s5.3)
OF_THE_USER = frozenset({SUBJECT, CALL_INFO, ORGANIZATION, USER_AGENT, HeaderName("Reply-To"), HeaderName("In-Reply-To")})
READ = frozenset(
    {
        *(*WITHIN_TRUST, RESOURCE_PRIORITY, IDENTITY, DATE, REASON, PRIVACY, DIVERSION, HISTORY_INFO, REMOTE_PARTY_ID),
        *(P_ASSERTED_IDENTITY, P_PREFERRED_IDENTITY, P_CALLED_PARTY_ID, P_CHARGING_VECTOR, REFERRED_BY),
    }
)


IDENTITY_HEADERS = {"p-asserted-identity": P_ASSERTED_IDENTITY, "p-preferred-identity": P_PREFERRED_IDENTITY}
CONNECTED = frozenset({P_ASSERTED_IDENTITY, P_PREFERRED_IDENTITY, REMOTE_PARTY_ID, PRIVACY})  # what tells who somebody is


@frozen
class Said:
    """One side's words, hosts and distrusted claims already gone.

    identities  who it is, as far as that is known: asserted within the trust domain, or proved to us
    hidden      that is not to be shown outside the trust domain
    anonymous   not even the name and number in From (RFC 3323 "user")
    privacy     what is asked of those who come after us
    verstat     the verdict on the number in From, of a verification service we trust
    listed      headers the side's `pass_headers` names
    referred_by who had the caller call (RFC 3892), as a side we trust says
    """

    identities: tuple[NameAddr, ...] = ()
    hidden: bool = False
    anonymous: bool = False
    privacy: Privacy = Privacy()
    verstat: str = ""
    parties: tuple[RemotePartyId, ...] = ()
    diversions: tuple[Diversion, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    called_party: NameAddr | None = None
    charging: ChargingVector | None = None
    always: HeaderRows = ()
    within_trust: HeaderRows = ()
    in_emergencies: HeaderRows = ()
    listed: HeaderRows = ()
    referred_by: NameAddr | None = None

    @property
    def calls_back(self) -> bool:
        """An emergency service returns a call (RFC 7090); only a trusted side may say so."""
        return any(name == PRIORITY and value.strip().lower() == "psap-callback" for name, value in self.within_trust)


NOTHING = Said()


def read_invite(request: Request, party: Party) -> Said:
    """What the INVITE of `party` says. A malformed header is as good as none (RFC 3261 s20)."""
    found = _found(request.headers, party)
    identities = asserted(found, party, "calling") if party.headers.trusted else proved(found, request.from_, party)
    verstat = verstat_of(request.from_.uri) if party.headers.trusted else ""
    anonymous = is_anonymous(request.from_.uri)
    if not (found or identities or verstat or anonymous):  # mostly
        return NOTHING
    return _said(found, party, identities, anonymous, verstat)


def read_answer(response: Response, party: Party) -> Said:
    """What a provisional or final answer of `party` says. Its Reason counts only where the answer is no refusal: `Cause` has those."""
    found = _found(response.headers, party)
    if response.status >= 300:
        found.pop(REASON, None)
    found.pop(REFERRED_BY, None)
    identities = asserted(found, party, "called") if party.headers.trusted else proved(found, None, party)
    if not found and not identities:
        return NOTHING
    return _said(found, party, identities, anonymous=False, verstat="")


def read_connected(headers: Headers, party: Party, whose: Literal["calling", "called"]) -> Said:
    """Who `party` says it is within a call, and whether that may be shown; NOTHING when it says nothing."""
    if not headers.has_any(CONNECTED):  # mostly
        return NOTHING
    found = {name: rows for name in CONNECTED if (rows := headers.all(name))}
    identities = asserted(found, party, whose) if party.headers.trusted else proved(found, None, party)
    return who(_said(found, party, identities, anonymous=False, verstat="")) if identities else NOTHING


def who(said: Said) -> Said:
    """Of all that was said, who somebody is."""
    return Said(said.identities, said.hidden, said.anonymous, said.privacy) if said.identities else NOTHING


def rows_for(said: Said, party: Party, host: str, called: str = "") -> list[tuple[str, str]]:
    """What `party` is told of it, in headers. `host` is ours on that side, `called` the number an INVITE goes to."""
    if said is NOTHING:
        return []
    rules = party.headers
    rows: list[tuple[str, str]] = list(said.always)
    if rules.trusted or not said.hidden:
        rows += _identity_rows(said, party, host, called)
    privacy = said.privacy if rules.trusted else said.privacy.without(HISTORY)
    if privacy.values:
        rows.append((PRIVACY, str(privacy)))
    if rules.trusted:
        rows += _rows_within_trust(said, party, host, called)
    rows += [row for row in said.listed if row[0] in rules.pass_headers and not (said.anonymous and row[0] in OF_THE_USER)]
    return rows


def for_help(said: Said) -> Said:
    """Of an emergency call: whoever helps is told who calls and from where, whatever is hidden from others."""
    within_trust = tuple([row for row in said.within_trust if row[0] not in IN_EMERGENCIES])
    return replace(said, hidden=False, anonymous=False, always=(*said.always, *said.in_emergencies), within_trust=within_trust)


def hides_from(said: Said, party: Party) -> bool:
    """From must not show the caller to `party`: it asked for that, or only the trust domain may know."""
    return said.anonymous or (said.hidden and not party.headers.trusted)


def read_referred_by(headers: Headers, party: Party) -> NameAddr | None:
    """Who a REFER of `party` says it is from. Unsigned, so that only a trusted side is believed (RFC 3892 s6)."""
    return _referred_by({REFERRED_BY: headers.all(REFERRED_BY)}, party) if party.headers.trusted else None


def referred_by_rows(referred_by: NameAddr | None, party: Party, host: str) -> list[tuple[str, str]]:
    """The same as `party` is told, if it is trusted with that. `host` is ours on that side."""
    return [(REFERRED_BY, str(shown(referred_by, party, host)))] if referred_by is not None and party.headers.trusted else []


def check_privacy(headers: Headers) -> None:
    """SipError 500 for privacy we know nothing of when the caller had rather no call without it (RFC 3323 s5)."""
    privacy = Privacy.parse(headers.all(PRIVACY))
    if CRITICAL in privacy and privacy.unknown:
        raise SipError("privacy asked for that we cannot give", status=500, reason="Privacy Failure")


# Reading


def _found(headers: Headers, party: Party) -> Found:
    listed = party.headers.pass_headers
    found: Found = {}
    for name, value in headers.pairs():
        if name in READ or name in listed:
            found.setdefault(name, []).append(value)
    return found


def _said(found: Found, party: Party, identities: tuple[NameAddr, ...], anonymous: bool, verstat: str) -> Said:
    trusted = party.headers.trusted
    privacy = Privacy.parse(found.get(PRIVACY, ()))
    parties = _neutral_parties(values(parse_remote_parties, found, REMOTE_PARTY_ID), party) if trusted else ()
    if any(each.private for each in parties) and NONE not in privacy:
        privacy = privacy.with_(ID)
    hidden = NONE not in privacy and (anonymous or ID in privacy or USER in privacy)
    called = values(parse_list, found, P_CALLED_PARTY_ID) if trusted else []
    vectors = values(_parse_vectors, found, P_CHARGING_VECTOR) if trusted else ()
    return Said(
        identities=identities,
        hidden=hidden,
        anonymous=USER in privacy and NONE not in privacy,
        privacy=_left_to_ask(privacy, hidden and bool(identities)),
        verstat=verstat,
        parties=parties,
        diversions=neutral_diversions(values(parse_diversions, found, DIVERSION), party) if trusted else (),
        history=neutral_history(values(parse_history, found, HISTORY_INFO), party) if trusted else (),
        called_party=neutral(called[0], party) if called else None,
        charging=vectors[0] if vectors else None,
        always=_always(found),
        within_trust=_as_they_came(found, WITHIN_TRUST) if trusted else (),
        in_emergencies=_as_they_came(found, IN_EMERGENCIES),
        listed=_listed(found, party),
        referred_by=_referred_by(found, party) if trusted else None,
    )


def _referred_by(found: Found, party: Party) -> NameAddr | None:
    """Its parameters name a signed copy in the body, which tells of the referrer's own dialog and stays behind."""
    named = values(parse_list, found, REFERRED_BY)
    return neutral(named[0], party) if len(named) == 1 else None


def _as_they_came(found: Found, names: tuple[HeaderName, ...]) -> HeaderRows:
    return tuple([(name, value) for name in names for value in found.get(name, ())])


def _parse_vectors(rows: Iterable[str]) -> list[ChargingVector]:
    return [ChargingVector.parse(row) for row in rows]


def _left_to_ask(privacy: Privacy, id_too: bool) -> Privacy:
    """We hide Via, Contact, Record-Route and the session's addresses in every call, and From where it is asked for."""
    left = privacy.without(HEADER, SESSION, USER)
    return left.with_(ID) if id_too else left


def _neutral_parties(parties: Iterable[RemotePartyId], party: Party) -> tuple[RemotePartyId, ...]:
    found = []
    for each in parties:
        address = neutral(each.address, party)
        if address is not None:
            found.append(RemotePartyId(address, each.party, each.screened, each.privacy, each.id_type))
    return tuple(found)


def _always(found: Found) -> HeaderRows:
    """Identity is signed by its originator: "never alter or remove" (RFC 8224 s4.1), and the signature covers its Date."""
    rows = [(IDENTITY, value) for value in found.get(IDENTITY, ())]
    if rows and DATE in found:
        rows.append((DATE, found[DATE][0]))
    return (*rows, *[(REASON, value) for value in reasons_told(found.get(REASON, ()))])


def _listed(found: Found, party: Party) -> HeaderRows:
    rows: list[tuple[HeaderName, str]] = []
    for name in map(HeaderName, sorted(party.headers.pass_headers)):
        for value in found.get(name, ()):
            items = _infos(value, party) if name in INFO else [value]
            rows += [(name, item) for item in items]
    return tuple(rows)


def _infos(row: str, party: Party) -> list[str]:
    """The URIs that mean something on the other side; one that cannot be read could name anything."""
    shown = []
    for item in values(split_rows, {CALL_INFO: [row]}, CALL_INFO):
        try:
            info = CallInfo.parse(item)
        except ParseError:
            continue
        if not _is_inside(info.host, party):
            shown.append(str(info))
    return shown


def _is_inside(host: str, party: Party) -> bool:
    """A host that only the side it came from can reach, or that is not to be known elsewhere."""
    return is_private(host) is True or (isinstance(party, Trunk) and party.peer is not None and party.peer.host == host)


# Writing


def _rows_within_trust(said: Said, party: Party, host: str, called: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if party.headers.presents is None or party.headers.presents.identity == "p-asserted-identity":
        rows += [
            (REMOTE_PARTY_ID, str(RemotePartyId(shown(each.address, party, host), each.party, each.screened, each.privacy, each.id_type)))
            for each in said.parties
        ]
    diversions, history = _diversions_told(said, party.headers, called)
    rows += [
        (DIVERSION, str(Diversion(shown(each.address, party, host), each.reason, each.counter, each.privacy, each.params)))
        for each in diversions
    ]
    rows += [(HISTORY_INFO, str(HistoryEntry(shown(entry.address, party, host), entry.index, entry.how, entry.from_))) for entry in history]
    if said.called_party is not None:
        rows.append((P_CALLED_PARTY_ID, str(shown(said.called_party, party, host))))
    if said.charging is not None:
        vector = said.charging
        rows.append((P_CHARGING_VECTOR, str(ChargingVector(vector.icid, host, vector.orig_ioi, vector.term_ioi))))
    return [*rows, *referred_by_rows(said.referred_by, party, host), *said.within_trust]


def _identity_rows(said: Said, party: Party, host: str, called: str) -> list[tuple[str, str]]:
    """Who somebody is, in the header in which `party` wants to read it. `called`: as for `rows_for`."""
    presents = party.headers.presents
    if presents is None:
        return [(P_ASSERTED_IDENTITY, str(placed(identity, host))) for identity in said.identities]
    people = [shown(identity, party, host) for identity in said.identities]
    if presents.identity == "remote-party-id":
        whose: Literal["calling", "called"] = "calling" if called else "called"
        privacy = ("full",) if said.hidden else ("off",)
        return [(REMOTE_PARTY_ID, str(RemotePartyId(each, whose, True, privacy))) for each in people[:1]]
    header = IDENTITY_HEADERS.get(presents.identity)
    return [(header, str(each)) for each in people] if header is not None else []


def _diversions_told(said: Said, rules: HeaderRules, called: str) -> tuple[tuple[Diversion, ...], tuple[HistoryEntry, ...]]:
    history = continued(said.history, called) if called else said.history
    if rules.diversions_as == "none":
        return (), ()
    if rules.diversions_as == "diversion":
        return said.diversions or diversions_of(history), ()
    if rules.diversions_as == "history-info":
        return (), history if history or not called else history_of(said.diversions, called)
    return said.diversions, history

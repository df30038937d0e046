"""Who calls, who diverted, what is to be hidden: the headers as values."""

from __future__ import annotations

import json

import pytest

from sbc.errors import ParseError
from sbc.sip.fields.call_info import CallInfo
from sbc.sip.fields.charging_vector import ChargingVector
from sbc.sip.fields.diversion import Diversion, parse_diversions, times_diverted
from sbc.sip.fields.history_info import HistoryEntry, parse_history
from sbc.sip.fields.identity import parse_identities
from sbc.sip.fields.max_breadth import max_breadth
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.privacy import Privacy
from sbc.sip.fields.reason import Reason
from sbc.sip.fields.remote_party_id import RemotePartyId, parse_remote_parties
from sbc.sip.fields.session_id import NIL, SessionId
from sbc.sip.message import Headers
from sbc.sip.names import (
    DIVERSION,
    HISTORY_INFO,
    P_ASSERTED_IDENTITY,
    P_CHARGING_VECTOR,
    P_PREFERRED_IDENTITY,
    PRIVACY,
    REMOTE_PARTY_ID,
    SESSION_ID,
)
from tests.vectors.messages import VECTORS, index, request

UUID = "ab30317f1a784dc48ff824d0d3715d86"
OTHER = "47755a9de7794ba387653f2099600ef2"


# P-Asserted-Identity


def test_ID_01_the_example_of_rfc_3325() -> None:
    """s10.1: one SIP URI with a name and one tel URI, in two rows or in one."""
    rows = ['"Cullen Jennings" <sip:fluffy@cisco.com>', "tel:+14085264000"]
    for given in (rows, [", ".join(rows)]):
        sip, tel = parse_identities(given)
        assert (sip.display, sip.uri.user, tel.uri.scheme, tel.uri.user) == ("Cullen Jennings", "fluffy", "tel", "+14085264000")


@pytest.mark.parametrize(
    ("row", "users"),
    [
        ("<sip:a@h>, <sip:b@h>, <sips:c@h>, tel:+1, tel:+2", ["a", "+1"]),
        ("<mailto:x@h>, tel:+1", ["+1"]),
        ("<sips:a@h>", ["a"]),
        ("", []),
    ],
)
def test_ID_01_one_of_each_kind(row: str, users: list[str]) -> None:
    assert [address.uri.user for address in parse_identities([row])] == users


@pytest.mark.parametrize("row", ["<sip:a@h>, <", '"a <sip:a@h>', "bob", ", ".join(["tel:+1"] * 9)])
def test_identities_refused(row: str) -> None:
    with pytest.raises(ParseError):
        parse_identities([row])


def test_identities_of_the_samples() -> None:
    found = 0
    for file in index("samples", "samples"):
        if file == "attack_many_vias.sip":
            continue
        data = (VECTORS / "samples" / file).read_bytes()
        if data.startswith(b"SIP/"):
            continue
        headers = request("samples", file).headers
        for name in (P_ASSERTED_IDENTITY, P_PREFERRED_IDENTITY):
            found += len(parse_identities(headers.all(name)))
        for party in parse_remote_parties(headers.all(REMOTE_PARTY_ID)):
            assert (party.party, party.screened, party.private) == ("calling", True, False)
            assert RemotePartyId.parse(str(party)) == party
        for row in headers.all(SESSION_ID):
            assert str(SessionId.parse(row)) == row
        for row in headers.all(P_CHARGING_VECTOR):
            assert str(ChargingVector.parse(row)) == row
    assert found == 12


# Privacy


def test_ID_03_privacy() -> None:
    privacy = Privacy.parse(["ID ; user;critical", "user, x y"])
    assert privacy == Privacy(("id", "user", "critical"))
    assert "user" in privacy
    assert not privacy.unknown
    assert str(privacy.without("user")) == "id;critical"
    assert privacy.without("user", "id") == Privacy()
    assert str(Privacy(("critical",)).with_("id")) == "id;critical"
    assert Privacy(("id",)).with_("id") == Privacy(("id",))
    assert Privacy.parse([]) == Privacy()
    assert Privacy.parse(["id;location"]).unknown


def test_privacy_of_the_samples() -> None:
    assert Privacy.parse(request("samples", "teams_invite_outbound.sip").headers.all(PRIVACY)) == Privacy(("id",))
    assert Privacy.parse(request("samples", "nortel_cs1000_multipart.sip").headers.all(PRIVACY)) == Privacy(("none",))


# Remote-Party-ID


def test_ID_05_remote_party_id() -> None:
    (party,) = parse_remote_parties(['"R Example" <sip:4570@192.168.4.169>;party=calling;id-type=subscriber;privacy=full;screen=yes;x=y'])
    assert (party.address.display, party.party, party.id_type, party.screened, party.private) == (
        *("R Example", "calling", "subscriber"),
        *(True, True),
    )
    assert str(party) == '"R Example" <sip:4570@192.168.4.169>;party=calling;id-type=subscriber;privacy=full;screen=yes;x=y'
    both = RemotePartyId.parse('<sip:1@h>;privacy="name,network-name";screen=no')
    assert (both.privacy, both.screened) == (("name", "network-name"), False)
    assert RemotePartyId.parse(str(both)) == both
    assert not RemotePartyId.parse("<sip:1@h>;privacy=off").private
    odd = RemotePartyId.parse('<sip:1@h>;party="a;b";privacy="x y;FULL,\\"";id-type="q\\"r"')
    assert (odd.party, odd.privacy, odd.id_type) == ("", ("full",), "")
    assert RemotePartyId.parse(str(odd)) == odd
    for row in ("<sip:1@h", ", ".join(["<sip:1@h>"] * 9)):
        with pytest.raises(ParseError):
            parse_remote_parties([row])


# Diversion and History-Info


def test_ID_07_diversion() -> None:
    """The latest is on top, and the counters are summed."""
    rows = request("samples", "diversion_history_privacy.sip").headers.all(DIVERSION)
    latest, first = diversions = parse_diversions(rows)
    assert (latest.address.uri.user, latest.reason, latest.counter, latest.private) == ("+12025550144", "no-answer", 1, False)
    assert (first.address.uri.user, first.reason, first.private) == ("+12025550133", "user-busy", True)
    assert times_diverted(diversions) == 2
    assert ", ".join(map(str, diversions)) == rows[0]
    bare = Diversion.parse('<sip:1@h>;reason="do not disturb";counter=0;limit=5')
    assert (bare.reason, bare.counter, bare.privacy, bare.params) == ("do not disturb", 1, "off", (("limit", "5"),))
    assert Diversion.parse(str(bare)) == bare
    for row in ("<sip:1@h>;counter=100", "<sip:1@h>;counter=x", ", ".join(["<sip:1@h>"] * 21)):
        with pytest.raises(ParseError):
            parse_diversions([row])


def test_ID_08_history_info() -> None:
    rows = request("samples", "diversion_history_privacy.sip").headers.all(HISTORY_INFO)
    first, second, third = entries = parse_history(rows)
    assert [entry.index for entry in entries] == [(1,), (1, 1), (1, 1, 1)]
    assert [(entry.how, entry.from_) for entry in entries] == [(None, ()), ("rc", (1,)), ("mp", (1, 1))]
    assert [entry.private for entry in entries] == [True, False, False]
    assert (first.reasons, second.reasons, third.reasons) == ((Reason("SIP", 486),), (Reason("SIP", 408),), ())
    assert [HistoryEntry.parse(str(entry)) for entry in entries] == list(entries)


@pytest.mark.parametrize(
    "row", ["<sip:a@h>", "<sip:a@h>;index=", "<sip:a@h>;index=1..1", "<sip:a@h>;index=1;rc=x", "<sip:a@h>;index=" + ".".join("1" * 65)]
)
def test_ID_08_history_refused(row: str) -> None:
    with pytest.raises(ParseError):
        parse_history([row])


def test_ID_08_a_history_has_an_end() -> None:
    with pytest.raises(ParseError):
        parse_history(["<sip:a@h>;index=1"] * 65)


def test_ID_08_what_is_malformed_in_the_uri_is_not_there() -> None:
    entry = HistoryEntry.parse("<sip:a@h?Reason=%3B%3B&Privacy=none>;index=1")
    assert (entry.reasons, entry.private) == ((), False)


# Session-ID


def test_ID_09_session_id() -> None:
    assert str(SessionId(UUID)) == f"{UUID};remote={NIL}"
    assert SessionId.parse(f"{UUID} ; remote={OTHER};x=y") == SessionId(UUID, OTHER)
    assert SessionId.parse(UUID) == SessionId(UUID, "")  # RFC 7329, and how RFC 7989 s10 is printed without its second line
    assert str(SessionId(UUID, "")) == UUID
    for text in (UUID.upper(), UUID[:-1], "", f"{UUID};remote=1", f"{UUID};remote", "ab30317f-1a78-4dc4-8ff8-24d0d3715d86"):
        with pytest.raises(ParseError):
            SessionId.parse(text)


def test_ID_09_the_messages_of_rfc_7989() -> None:
    rows = [
        line.partition(": ")[2]
        for record in json.loads((VECTORS / "callflows" / "rfc7989.json").read_text())["messages"]
        for line in record["message"].replace("\r\n ", " ").split("\r\n")
        if line.startswith("Session-ID")
    ]
    found = [SessionId.parse(" ".join(row.split())) for row in rows]
    assert {each.local for each in found} == {UUID, OTHER}


# The others


def test_ID_11_charging_vector() -> None:
    text = 'icid-value=1234bc9876e;icid-generated-at=192.0.6.8;orig-ioi=home1.net;x="a;b"'
    vector = ChargingVector.parse(text)
    assert vector == ChargingVector("1234bc9876e", "192.0.6.8", "home1.net", "", (("x", '"a;b"'),))
    assert str(vector) == text
    assert str(ChargingVector.parse('icid-value="a b";term-ioi=h')) == 'icid-value="a b";term-ioi=h'
    for bad in ("", "orig-ioi=h", "icid-value", "icid-value=a;;"):
        with pytest.raises(ParseError):
            ChargingVector.parse(bad)


def test_call_info() -> None:
    info = CallInfo.parse('<https://Example.com:8443/c.jwt?x=y>;purpose="JWSCard" ; x')
    assert (info.host, info.purpose, info.params) == ("example.com", "jwscard", (("purpose", '"JWSCard"'), ("x", None)))
    assert CallInfo.parse(str(info)) == info
    hosts = ["http://10.0.0.20/x", "http://[2001:DB8::1]:80/x", "sip:a@pbx.local;x", "http://u:p@h/", "urn:alert:service:normal", "cid:1@h"]
    assert [CallInfo(uri).host for uri in hosts] == ["10.0.0.20", "2001:db8::1", "pbx.local", "h", "", ""]
    for bad in ("", "http://h/", ";method=x", "<http://h/", "<a b>", "<http://h/>;;"):
        with pytest.raises(ParseError):
            CallInfo.parse(bad)


def test_UAS_12_max_breadth() -> None:
    assert max_breadth(Headers()) is None
    assert max_breadth(Headers([("Max-Breadth", "60")])) == 60
    with pytest.raises(ParseError):
        max_breadth(Headers([("Max-Breadth", "wide")]))


def test_an_address_in_a_history_keeps_its_text() -> None:
    text = '"A" <sip:+1@h;user=phone?Reason=SIP%3Bcause%3D486>;index=1;np=1'
    assert str(HistoryEntry.parse(text)) == text
    assert HistoryEntry.parse(text).address == NameAddr.parse(text.partition(";index")[0])

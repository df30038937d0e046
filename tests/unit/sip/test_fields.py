from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.errors import ParseError
from sbc.sip.fields.auth import Challenge, Credentials
from sbc.sip.fields.contact import Contact, parse_contacts
from sbc.sip.fields.content import Disposition, MediaType
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.expires import expires, parse_expires
from sbc.sip.fields.max_forwards import max_forwards
from sbc.sip.fields.nameaddr import NameAddr, parse_list
from sbc.sip.fields.rack import RAck, parse_rseq
from sbc.sip.fields.reason import Reason, parse_reasons
from sbc.sip.fields.retry_after import parse_retry_after
from sbc.sip.fields.session_expires import SessionExpires, parse_min_se
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.fields.via import Via
from sbc.sip.fields.warning import Warning
from sbc.sip.message import Headers
from sbc.sip.uri import Uri

BOB = Uri.sip("bob", "example.com")


# Via


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SIP/2.0/UDP h", Via("UDP", "h")),
        ("sip/2.0/tcp H:5060;BRANCH=z9hG4bKx", Via("TCP", "h", 5060, "z9hG4bKx")),
        ("SIP / 2.0 / TLS  h : 5061 ; branch = b ;rport", Via("TLS", "h", 5061, "b", wants_rport=True)),
        ("SIP/2.0/UDP [2001:DB8::1]:5060;received=[::1];rport=9", Via("UDP", "2001:db8::1", 5060, "", "::1", 9, True)),
        ("SIP/2.0/UDP h;maddr=1.2.3.4;ttl=1;x", Via("UDP", "h", params=(("maddr", "1.2.3.4"), ("ttl", "1"), ("x", None)))),
    ],
)
def test_via(text: str, expected: Via) -> None:
    assert Via.parse(text) == expected
    assert Via.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0 h", "SIP/3.0/UDP h", "UDP h", "SIP/2.0/UDP h;", "SIP/2.0/UDP h;;a"),
        *("SIP/2.0/UDP h:99999", "SIP/2.0/UDP h i", "SIP/2.0/UDPh"),
        *("SIP/2.0/UDP h, SIP/2.0/UDP i", "SIP/2.0/UDP h;branch=a;branch=b", "SIP/2.0/UDP h;rport=x", "SIP/2.0/UDP h;rport=70000"),
        *("SIP/2.0/UDP [::x]", "SIP/2.0/UDP h;a=\"b"),
    ],
)  # fmt: skip
def test_via_refused(text: str) -> None:
    with pytest.raises(ParseError):
        Via.parse(text)


def test_TRN_01_received_when_sent_by_is_not_the_source() -> None:
    source = ("192.0.2.1", 5060)
    assert str(Via.parse("SIP/2.0/UDP h;branch=b").stamped(source)) == "SIP/2.0/UDP h;branch=b;received=192.0.2.1"
    assert str(Via.parse("SIP/2.0/UDP 192.0.2.1;branch=b").stamped(source)) == "SIP/2.0/UDP 192.0.2.1;branch=b"
    ipv6 = Via.parse("SIP/2.0/UDP [2001:db8:0::1];branch=b")
    assert ipv6.stamped(("2001:db8::1", 5060)) is ipv6


def test_TRN_02_rport_is_filled_and_received_always_added() -> None:
    via = Via.parse("SIP/2.0/UDP 192.0.2.1;rport;branch=b").stamped(("192.0.2.1", 6000))
    assert (via.received, via.rport) == ("192.0.2.1", 6000)
    assert str(via) == "SIP/2.0/UDP 192.0.2.1;branch=b;received=192.0.2.1;rport=6000"


def test_TRN_02_what_the_sender_claims_is_overwritten() -> None:
    claimed = Via.parse("SIP/2.0/UDP 192.0.2.1;branch=b;received=203.0.113.9;rport=1")
    via = claimed.stamped(("192.0.2.1", 6000))
    assert (via.received, via.rport) == ("192.0.2.1", 6000)
    without_rport = Via.parse("SIP/2.0/UDP 192.0.2.1;branch=b;received=203.0.113.9")
    assert without_rport.stamped(("192.0.2.1", 6000)).received is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SIP/2.0/UDP 192.0.2.15;;,;,,", Via("UDP", "192.0.2.15")),
        ("SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw", Via("UDP", "c.example.com", branch="z9hG4bKkdjuw")),
        ('SIP/2.0/UDP h:5061;;rport;branch=b;"', Via("UDP", "h", 5061, "b", wants_rport=True)),
    ],
)
def test_via_salvaged(text: str, expected: Via) -> None:
    assert Via.salvage(text) == expected


def test_via_beyond_salvage() -> None:
    with pytest.raises(ParseError):
        Via.salvage("nonsense")


# From, To, Contact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<sip:bob@example.com>", NameAddr("", BOB)),
        ("sip:bob@example.com;tag=1", NameAddr("", BOB, (("tag", "1"),))),
        ("sip:bob@example.com ; tag = 1", NameAddr("", BOB, (("tag", "1"),))),
        ('"B \\"o\\" b" <sip:bob@example.com>;x', NameAddr('B "o" b', BOB, (("x", None),))),
        ("Bob the B. <sip:bob@example.com>", NameAddr("Bob the B.", BOB)),
        ('"Bob"<sip:bob@example.com>', NameAddr("Bob", BOB)),
        ('"" <sip:bob@example.com>', NameAddr("", BOB)),
        ("Jörg (mobil) <sip:bob@example.com>", NameAddr("Jörg (mobil)", BOB)),
        ('"a, b; <c>" <sip:bob@example.com>', NameAddr("a, b; <c>", BOB)),
        (
            '<sip:bob@example.com;lr?a=b>;+sip.instance="<urn:uuid:1>"',
            NameAddr("", BOB.with_(params=(("lr", None),), headers="a=b"), (("+sip.instance", '"<urn:uuid:1>"'),)),
        ),
    ],
)
def test_name_addr(text: str, expected: NameAddr) -> None:
    assert NameAddr.parse(text) == expected
    assert NameAddr.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "<>", "bob", "<sip:bob@h", "sip:bob@h>", '"Bob <sip:bob@h>', "Bell, A <sip:a@h>", "< sip:a@h >", "sip:a@h?x=y"),
        *("<sip:a@h>;", "<sip:a@h>;;tag=1", "<sip:a@h>;tag=1;tag=2", "<sip:a@h>, <sip:b@h>", "sip:a@h, sip:b@h", "<sip:a@h> x"),
        *("sip:u;par=x@h", "<sip:a@h>;tag=<x>", 'a"b" <sip:a@h>', "a:b <sip:a@h>", "<<sip:a@h>>"),
    ],
)
def test_name_addr_refused(text: str) -> None:
    with pytest.raises(ParseError):
        NameAddr.parse(text)


def test_tag_of_an_address() -> None:
    address = NameAddr.parse("Bob <sip:bob@example.com>;x=y;TAG=1")
    assert address.tag == "1"
    assert str(address.with_tag("2")) == '"Bob" <sip:bob@example.com>;x=y;tag=2'
    assert address.with_tag("").tag == ""


@given(st.text(max_size=30))
def test_SYN_12_no_display_name_breaks_a_line(display: str) -> None:
    text = str(NameAddr(display, BOB))
    assert not set(text) & set("\r\n\0")
    assert NameAddr.parse(text).uri == BOB
    assert NameAddr.parse(text).display == "".join(c for c in display if c >= " " and c != "\x7f")


def test_SYN_02_lists_of_addresses() -> None:
    rows = ['"a, b" <sip:a@h>;x="1,2", <sip:b,c@h>', "sip:d@h"]
    assert [address.uri.user for address in parse_list(rows)] == ["a", "b,c", "d"]
    with pytest.raises(ParseError):
        parse_list(['"open <sip:a@h>, <sip:b@h>'])


def test_contacts() -> None:
    first, second = parse_contacts(["<sip:a@h>;expires=60;q=0.5, sip:b@h;expires=x"]) or ()
    assert (first.uri.user, first.expires, first.q) == ("a", 60, 0.5)
    assert (second.uri.user, second.expires, second.q) == ("b", 3600, 1.0)
    assert parse_contacts([]) == ()
    assert parse_contacts(["*"]) is None
    assert Contact.parse('<sip:a@h>;+sip.instance="<urn:uuid:1>"').instance == "<urn:uuid:1>"


@pytest.mark.parametrize("row", ["*, <sip:a@h>", "<sip:a@h>;q=2", "<sip:a@h>;q=-1", "<sip:a@h>;q=1.5", "sip:a@h?Route=x"])
def test_contacts_refused(row: str) -> None:
    with pytest.raises(ParseError):
        parse_contacts([row])


# CSeq and the small ones


@pytest.mark.parametrize("text", ["1 INVITE", "0009  INVITE", "2147483647 BYE", "1\tACK", "0" * 300 + "1 INVITE"])
def test_SYN_05_cseq(text: str) -> None:
    assert CSeq.parse(text).number in (1, 9, 2**31 - 1)


@pytest.mark.parametrize("text", ["", "1", "INVITE", "1INVITE", "-1 INVITE", "2147483648 INVITE", "1 IN VITE", "1 <x>", "\u0661 INVITE"])
def test_SYN_05_cseq_refused(text: str) -> None:
    with pytest.raises(ParseError):
        CSeq.parse(text)


def test_max_forwards() -> None:
    assert max_forwards(Headers()) is None
    assert max_forwards(Headers([("Max-Forwards", "0068")])) == 68
    for text in ("256", "-1", "", "7 0"):
        with pytest.raises(ParseError):
            max_forwards(Headers([("Max-Forwards", text)]))


def test_SYN_09_malformed_expiry_is_an_hour() -> None:
    assert [parse_expires(text) for text in ("0", "4294967295", "4294967296", "9" * 5000, "soon", "")] == [
        0,
        2**32 - 1,
        3600,
        3600,
        3600,
        3600,
    ]
    assert expires(Headers([("Expires", "7")])) == 7
    assert expires(Headers()) is None


def test_session_expires() -> None:
    assert SessionExpires.parse("1800 ; refresher=UAS;x") == SessionExpires(1800, "uas")
    assert SessionExpires.parse("90;refresher=both") == SessionExpires(90)
    assert (str(SessionExpires(90, "uac")), str(SessionExpires(90))) == ("90;refresher=uac", "90")
    assert parse_min_se("90;x=y") == 90
    with pytest.raises(ParseError):
        SessionExpires.parse("soon")


def test_reason() -> None:
    rows = ['Q.850;cause=16;text="Terminated, \\"normally\\"", SIP ;cause=200', 'STIR;cause=436;x="y"']
    q850, sip, stir = parse_reasons(rows)
    assert q850 == Reason("Q.850", 16, 'Terminated, "normally"')
    assert (sip, stir) == (Reason("SIP", 200), Reason("STIR", 436, "", (("x", '"y"'),)))
    assert [Reason.parse(str(reason)) for reason in (q850, sip, stir)] == [q850, sip, stir]
    for text in ("", ";cause=1", "Q.850;cause=x", "a b"):
        with pytest.raises(ParseError):
            Reason.parse(text)


def test_tokens() -> None:
    assert parse_tokens(["timer, 100rel", "", ",,timer , Path"]) == ("timer", "100rel", "Path")


def test_REL_02_rack() -> None:
    assert RAck.parse("776656 1 INVITE") == RAck(776656, CSeq(1, "INVITE"))
    assert RAck.parse("1\t  1 INVITE") == RAck(1, CSeq(1, "INVITE"))
    assert str(RAck.parse("4294967295 2 INVITE")) == "4294967295 2 INVITE"
    for text in ("", "1", "1 INVITE", "x 1 INVITE", "0 1 INVITE", "4294967296 1 INVITE", "1 1", "1 1 INVITE x", "-1 1 INVITE"):
        with pytest.raises(ParseError):
            RAck.parse(text)


def test_REL_01_rseq() -> None:
    assert parse_rseq("988789") == 988789
    for text in ("", "0", "4294967296", "1 2", "+1"):
        with pytest.raises(ParseError):
            parse_rseq(text)


def test_retry_after() -> None:
    assert [parse_retry_after(text) for text in ("1", "18000;duration=3600", "120 (in a meeting)")] == [1, 18000, 120]
    for text in ("", "soon", "949302838503028349304023988", "1x"):
        with pytest.raises(ParseError):
            parse_retry_after(text)


def test_warning() -> None:
    warning = Warning.parse('304 sbc.example.com "Media type \\"x\\" not available"')
    assert warning == Warning(304, "sbc.example.com", 'Media type "x" not available')
    assert Warning.parse(str(warning)) == warning
    for text in ('1812 overture "In Progress"', "304 a b", '304 "x"'):
        with pytest.raises(ParseError):
            Warning.parse(text)


def test_media_type_and_disposition() -> None:
    kind = MediaType.parse('Multipart/Mixed ; boundary="a b" ; x=y')
    assert (kind.name, kind.param("boundary"), kind.param("x"), kind.param("z")) == ("multipart/mixed", "a b", "y", "")
    assert Disposition.parse("Session; handling=Optional") == Disposition("session", "optional")
    assert Disposition.parse("signal") == Disposition("signal")
    for text in ("application", "a/b/c", "/b", "a/"):
        with pytest.raises(ParseError):
            MediaType.parse(text)


# Authentication


def test_SYN_02_challenge_with_commas() -> None:
    challenge = Challenge.parse('Digest realm="a, b", nonce="n\\"q", qop="auth,auth-int",stale=FALSE , algorithm=SHA-256')
    assert challenge.params == {"realm": "a, b", "nonce": 'n"q', "qop": "auth,auth-int", "stale": "FALSE", "algorithm": "SHA-256"}
    assert str(challenge) == 'Digest realm="a, b", nonce="n\\"q", qop="auth,auth-int", stale=FALSE, algorithm=SHA-256'
    assert Challenge.parse(str(challenge)) == challenge


def test_credentials() -> None:
    credentials = Credentials.parse('digest username="b",realm="r",nonce="n",uri="sip:h",response="00",qop=auth,nc=0000001f,cnonce="c+/="')
    assert credentials.digest
    assert (credentials.params["nc"], credentials.params["uri"]) == ("0000001f", "sip:h")
    assert ", qop=auth, nc=0000001f, " in str(credentials)


def test_other_schemes_are_named_and_no_more() -> None:
    assert Credentials.parse("Bearer eyJ.a-b_c==") == Credentials("Bearer")


@pytest.mark.parametrize(
    "text", ["", "Digest", 'Digest realm="a', 'Digest realm="a", realm="b"', "Digest realm", 'Digest a="b" c="d"', "Digest ="]
)
def test_auth_refused(text: str) -> None:
    with pytest.raises(ParseError):
        Challenge.parse(text)

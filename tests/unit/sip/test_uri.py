from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.errors import ParseError
from sbc.sip.uri import Uri, same_uri, unescape


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:example.com", Uri("sip", host="example.com")),
        ("SIP:Example.COM", Uri("sip", host="example.com")),
        ("sips:Alice@example.com:5061", Uri("sips", "Alice", host="example.com", port=5061)),
        ("sip:a:b:c@h", Uri("sip", "a", "b:c", "h")),
        ("sip:a:@h", Uri("sip", "a", "", "h")),
        ("sip:+49(30)1-2;isub=1@h;user=phone", Uri("sip", "+49(30)1-2;isub=1", host="h", params=(("user", "phone"),))),
        ("sip:*67#123@h", Uri("sip", "*67#123", host="h")),
        ("sip:[2001:DB8::1]:5060", Uri("sip", host="2001:db8::1", port=5060)),
        ("sip:u@[::ffff:192.0.2.1];lr", Uri("sip", "u", host="::ffff:192.0.2.1", params=(("lr", None),))),
        ("sip:h;Transport=TCP;x=", Uri("sip", host="h", params=(("transport", "TCP"), ("x", "")))),
        ("sip:h;gr=urn:uuid:f81d;lr=on==", Uri("sip", host="h", params=(("gr", "urn:uuid:f81d"), ("lr", "on==")))),
        ("sip:u@h?Subject=x&a=b", Uri("sip", "u", host="h", headers="Subject=x&a=b")),
        ("sip:u@h;lr?A=b%20c", Uri("sip", "u", host="h", params=(("lr", None),), headers="A=b%20c")),
        ("sip:my_host.example.com", Uri("sip", host="my_host.example.com")),
        ("tel:+1-201-555-0123", Uri("tel", "+1-201-555-0123")),
        ("tel:7042;phone-context=example.com", Uri("tel", "7042", params=(("phone-context", "example.com"),))),
        ("urn:service:sos", Uri("urn", "service:sos")),
        ("http://www.example.com/?a=b;c", Uri("http", "//www.example.com/?a=b;c")),
    ],
)
def test_SYN_07_parse(text: str, expected: Uri) -> None:
    assert Uri.parse(text) == expected
    assert Uri.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "sip:", "sip:@h", "sip", "example.com", "alice@example.com", ":h", "1a:b", "sip://h", "sip:u@", "sip:u@h@h"),
        *("sip:h:", "sip:h:65536", "sip:h:999999", "sip:h:5060:1", "sip:h:-1", "sip:h:0x1", "sip:h ", " sip:h", "sip:h;", "sip:h;;lr"),
        *("sip:h;=x", "sip:u@h;a=<b>", "sip:u@h\r\n", "sip:u@h\0", "sip:u\x7f@h", "sip:ü@h", "sip:u@hü", "<sip:h>", 'sip:"u"@h'),
        *("sip:2001:db8::10", "sip:[2001:db8::g]", "sip:[::1", "sip:[1.2.3.4]", "sip:[]", "sip:[:::1:::]", "sip:u%4@h", "sip:u%zz@h"),
        *("sip:h;lr%", "tel:", "tel:abcxyz", "tel:1;", "\u017fip:h", "sip:-h", "sip:.h", "sip:" + "h" * 256),
    ],
)
def test_SYN_07_refused(text: str) -> None:
    with pytest.raises(ParseError):
        Uri.parse(text)


def test_SYN_07_escapes_stay_where_they_are() -> None:
    uri = Uri.parse("sip:%61%00%0d%0a@h;a%3Bb=%41;%6C%72?h=%0d%0a")
    assert str(uri) == "sip:%61%00%0d%0a@h;a%3bb=%41;lr?h=%0d%0a"
    assert uri.decoded_user == "a\0\r\n"
    assert (uri.param("lr"), uri.param("none"), uri.param("a%3bb")) == ("", None, "%41")


def test_escaped_octets_that_are_no_utf8() -> None:
    assert unescape("%ff%41").encode("utf-8", "surrogateescape") == b"\xffA"


SAME = [
    # RFC 3261 s19.1.4
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    ("sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40h", "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40h"),
    ("sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x"),
    ("sip:u@[2001:db8::1]", "sip:u@[2001:db8:0::1]"),
    ("tel:+1-201-555-0123", "tel:+12015550123"),
    ("urn:service:sos", "urn:service:sos"),
]  # fmt: skip
DIFFERENT = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:u@h", "sips:u@h"),
    ("sip:u@h", "sip:h"),
    ("sip:u:p@h", "sip:u:q@h"),
    ("sip:%00@h", "sip:%00%00@h"),
    ("tel:+1", "tel:1"),
    ("urn:service:sos", "urn:service:sos.fire"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_same(a: str, b: str) -> None:
    assert same_uri(Uri.parse(a), Uri.parse(b))
    assert same_uri(Uri.parse(b), Uri.parse(a))


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different(a: str, b: str) -> None:
    assert not same_uri(Uri.parse(a), Uri.parse(b))
    assert not same_uri(Uri.parse(b), Uri.parse(a))


def test_with_changes_a_copy() -> None:
    uri = Uri.sip("bob", "h", 5060, (("lr", None),))
    assert str(uri.with_(host="::1", port=None)) == "sip:bob@[::1];lr"
    assert str(uri) == "sip:bob@h:5060;lr"


word = st.text(string.ascii_letters + string.digits + "-_.!~*'()&+$%,", min_size=1, max_size=12).map(lambda text: text.replace("%", "%41"))


@given(
    user=st.none() | word,
    password=st.none() | word,
    host=st.sampled_from(["h", "a.example.com", "192.0.2.1", "2001:db8::1"]),
    port=st.none() | st.integers(0, 65535),
    params=st.lists(
        st.tuples(st.text(string.ascii_lowercase + string.digits + "-+", min_size=1, max_size=8), st.none() | word), max_size=4
    ),
    headers=st.just("") | word,
)
def test_what_is_written_reads_the_same(
    user: str | None, password: str | None, host: str, port: int | None, params: list[tuple[str, str | None]], headers: str
) -> None:
    uri = Uri("sip", user, password if user is not None else None, host, port, tuple(params), headers)
    assert Uri.parse(str(uri)) == uri


@given(st.text(max_size=60))
def test_any_text_is_a_uri_or_refused(text: str) -> None:
    for candidate in (text, "sip:" + text, "tel:" + text):
        try:
            uri = Uri.parse(candidate)
        except ParseError:
            continue
        assert Uri.parse(str(uri)) == uri
        assert not set(str(uri)) & set('\r\n\0 <>"')

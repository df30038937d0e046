"""Reading and writing descriptions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.errors import SipError
from sbc.sdp.model import Connection, Direction
from sbc.sdp.offer import MediaLeg
from sbc.sdp.parse import MAX_ATTRIBUTES, MAX_FORMATS, MAX_MEDIA, SdpError, parse_session
from tests.cost import least_cpu
from tests.unit.sdp.bodies import KEY_A, OFFER, PLAIN, audio, body, crypto_line, vectors


def test_a_description_is_read_into_its_parts() -> None:
    session = parse_session(body(*audio("0 101", "a=fmtp:101 0-15", "a=sendonly", port=40000)))
    (media,) = session.media
    assert session.origin == "- 3890000000 1 IN IP4 192.0.2.10"
    assert session.connection == Connection("IP4", "192.0.2.10")
    assert session.lines == (("t", "0 0"),)
    assert (media.kind, media.port, media.protocol, media.formats) == ("audio", 40000, "RTP/AVP", ("0", "101"))
    assert media.attributes == (("rtpmap", "101 telephone-event/8000"), ("fmtp", "101 0-15"), ("sendonly", None))
    assert session.direction(media) is Direction.SENDONLY


def test_every_line_survives_a_round_trip() -> None:
    text = (
        b"v=0\r\no=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\ns=Call to John Smith\r\n"
        b"i=SDP Offer #1\r\nu=http://www.example.com/home\r\ne=Jane <jane@example.com>\r\np=+1 617 555-6011\r\n"
        b"c=IN IP6 2001:db8::1\r\nb=AS:128\r\nt=0 0\r\nr=7d 1h 0 25h\r\nz=2882844526 -1h\r\nk=prompt\r\na=group:BUNDLE 0\r\na=ice-lite\r\n"
        b"m=audio 49170/2 RTP/AVP 0\r\ni=first\r\nc=IN IP4 192.0.2.1\r\nb=TIAS:64000\r\nk=clear:x\r\na=empty:\r\n"
        b"m=video 0 RTP/AVP 99\r\n"
    )
    assert parse_session(text).encode() == text


def test_SDP_11_tolerances() -> None:
    lf_only = b"v=0\no=- 1 1 IN IP4 192.0.2.10\ns=-\nc=IN IP4 192.0.2.10\nt=0 0\nm=audio 40000 RTP/AVP 0\n"
    assert parse_session(lf_only).encode() == lf_only.replace(b"\n", b"\r\n")
    assert parse_session(OFFER + b"\r\n\r\n") == parse_session(OFFER)
    t_before_c = b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\nc=IN IP4 192.0.2.1\r\nm=audio 40000 RTP/AVP 0\r\n"
    assert parse_session(t_before_c).encode().index(b"c=") < parse_session(t_before_c).encode().index(b"t=")
    assert parse_session(b"v=0\r\no=- 1 1 IN IP4 h\r\n").name == "-"
    latin_1 = b"v=0\r\no=- 1 1 IN IP4 h\r\ns=Andr\xe9\r\nt=0 0\r\n"
    assert parse_session(latin_1).encode() == latin_1


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n",
        b"v=1\r\no=- 1 1 IN IP4 h\r\n",
        b"o=- 1 1 IN IP4 h\r\nv=0\r\n",
        b"v=0\r\ns=-\r\n",
        b"v=0\r\no=- 1 1 IN IP4\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\n\r\nt=0 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nX=unknown\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\no=- 1 1 IN IP4 h\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nno equals sign\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.2\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN ATM 192.0.2.1\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nm=audio 40000 RTP/AVP\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nm=audio 65536 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nm=audio -1 RTP/AVP 0\r\n",
        "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nm=audio \uff14\uff10 RTP/AVP 0\r\n".encode(),
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nm=audio 40000 RTP/AVP 0\r\nt=0 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=a\rm=audio 1 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=a\0b\r\n",
        b"\x80\x13" * 700,
    ],
)
def test_SDP_11_what_is_no_description_is_a_400(octets: bytes) -> None:
    with pytest.raises(SdpError) as caught:
        parse_session(octets)
    assert caught.value.status == 400


def _with(count: int, line: str) -> bytes:
    return body("m=audio 40000 RTP/AVP 0", *[line] * count)


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        (_with(MAX_MEDIA - 1, "m=video 0 RTP/AVP 31"), _with(MAX_MEDIA, "m=video 0 RTP/AVP 31")),
        (_with(MAX_ATTRIBUTES, "a=x:y"), _with(MAX_ATTRIBUTES + 1, "a=x:y")),
        (_with(20, "a=candidate:1 1 udp 1 192.0.2.1 9 typ host"), _with(21, "a=candidate:1 1 udp 1 192.0.2.1 9 typ host")),
        (body("m=audio 4000 RTP/AVP" + " 0" * MAX_FORMATS), body("m=audio 4000 RTP/AVP" + " 0" * (MAX_FORMATS + 1))),
        (_with(1, "a=" + "x" * 4000), _with(1, "a=" + "x" * 5000)),
    ],
    ids=["media", "attributes", "candidates", "formats", "line"],
)
def test_SDP_15_limits(within: bytes, beyond: bytes) -> None:
    parse_session(within)
    with pytest.raises(SdpError):
        parse_session(beyond)


@pytest.mark.parametrize(
    "octets",
    [
        _with(10_000, "a=x"),
        _with(16_000, "a="),
        body("m=audio 40000 RTP/AVP" + " 0" * 32_700),
        _with(60, "a=" + "x" * 1_100),
        OFFER + b"a=" + b"x" * 65_536,
        b"a=x\r\n" * 13_000,
        b"v=0\r\n" * 13_000,
        b"\r" * 65_000,
        b"\n" * 65_000,
        bytes(range(256)) * 255,
        b"v=0\r\no=" + b" " * 65_000,
    ],
    ids=["lines", "tiny lines", "formats", "64 KiB", "one long line", "no head", "v=0", "CR", "LF", "binary", "blanks"],
)
def test_SDP_15_what_is_too_much_is_refused_at_once(octets: bytes) -> None:
    def refused() -> None:
        with pytest.raises(SipError):
            MediaLeg(PLAIN, 1).receive_offer(octets, True)

    assert least_cpu(refused, tries=10, enough=0.005) < 0.005


def test_SDP_15_the_worst_allowed_description_stays_cheap() -> None:
    formats = " ".join(str(number) for number in range(64, 128))
    mapping = [f"a=rtpmap:{number} PCMA/8000" for number in range(64, 128)]
    worst = body(*[line for _ in range(15) for line in (f"m=audio 40000 RTP/AVP {formats}", *mapping)])
    assert least_cpu(lambda: MediaLeg(PLAIN, 1).receive_offer(worst, True), enough=0.05) < 0.05


@given(st.binary(max_size=400))
def test_any_octets_give_a_session_or_a_400(octets: bytes) -> None:
    try:
        session = parse_session(octets)
    except SdpError:
        return
    assert parse_session(session.encode()) == session


@given(st.integers(0, len(OFFER)), st.integers(0, len(OFFER)), st.binary(max_size=12))
def test_a_damaged_offer_raises_nothing_but_sip_errors(start: int, end: int, junk: bytes) -> None:
    octets = OFFER[:start] + junk + OFFER[end:]
    status = 200
    try:
        session = parse_session(octets)
        assert parse_session(session.encode()) == session
        MediaLeg(PLAIN, 1).receive_offer(octets, True)
    except SipError as error:
        status = error.status
    assert status in (200, 400, 488)


def test_keys_show_in_no_repr() -> None:
    session = parse_session(body(*audio("8", crypto_line(), protocol="RTP/SAVP")))
    for text in (repr(session), str(session), repr(session.media), f"{session.media[0]}"):
        assert KEY_A not in text
    broken = body(*audio("8", crypto_line(), "q=" + KEY_A, protocol="RTP/SAVP"))
    with pytest.raises(SdpError) as caught:
        parse_session(broken)
    assert KEY_A not in repr(caught.value) + str(caught.value)


def test_SDP_11_rfc4317_every_description_parses_and_encodes_to_itself() -> None:
    empty = 0
    for pair in vectors("rfc4317_offer_answer.json")["pairs"]:
        for exchange in pair["exchanges"]:
            for octets in (exchange["offer"].encode(), exchange["answer"].encode()):
                if octets.strip():
                    assert parse_session(octets).encode() == octets
                else:  # section 5 prints no m= lines; its descriptions are empty in the collection
                    empty += 1
                    with pytest.raises(SdpError):
                        parse_session(octets)
    assert empty == 12

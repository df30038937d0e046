"""The torture messages of RFC 4475: every one, with the outcome and the checks of the index."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from sbc.errors import ParseError
from sbc.sip.fields.auth import Credentials
from sbc.sip.fields.contact import parse_contacts
from sbc.sip.fields.expires import expires
from sbc.sip.fields.nameaddr import NameAddr, parse_list
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.fields.via import Via
from sbc.sip.framing import FramingLost, Message, StreamFramer
from sbc.sip.message import Request
from sbc.sip.multipart import parts, sdp_of
from sbc.sip.names import ACCEPT, AUTHORIZATION, CALL_ID, CONTACT, CONTENT_TYPE, CSEQ, DATE, IDENTITY, ROUTE, SUBJECT, TO, VIA
from sbc.sip.parse import Malformed, parse_datagram, parse_message
from sbc.sip.uri import same_uri, unescape
from sbc.sip.validate import check_request
from tests.vectors.messages import VECTORS, answer_to, index, octets, outcome
from tests.vectors.messages import request as _request
from tests.vectors.messages import response as _response

FOLDER = "rfc4475"
INDEX = index(FOLDER)

# Where the index leaves a choice, this is ours.
CHOSEN = {
    "lwsstart.dat": "reject",
    "trws.dat": "reject",
    "badaspec.dat": "reject",
    "baddn.dat": "reject",
    "badbranch.dat": "reject",
    "inv2543.dat": "accept",
    "test.dat": "discard",
    "regaut01.dat": "accept",  # here; the registrar challenges it
}


def request(name: str) -> Request:
    return _request(FOLDER, f"{name}.dat")


def refusal(name: str) -> Malformed:
    with pytest.raises(Malformed) as caught:
        parse_datagram(octets(FOLDER, f"{name}.dat"))
    return caught.value


def test_every_file_is_used() -> None:
    assert {path.name for path in (VECTORS / FOLDER).glob("*.dat")} == INDEX.keys()
    assert len(INDEX) == 50
    assert {name for name, entry in INDEX.items() if entry.get("checks")} <= {f"{name}.dat" for name in CHECKS}


@pytest.mark.parametrize("file", INDEX)
def test_octets_are_those_of_the_archive(file: str) -> None:
    assert hashlib.sha256(octets(FOLDER, file)).hexdigest() == INDEX[file]["sha256"]


@pytest.mark.parametrize("file", INDEX)
def test_SYN_outcome(file: str) -> None:
    expected = INDEX[file]["sbc"]
    found, error = outcome(octets(FOLDER, file))
    assert found == CHOSEN.get(file, expected["outcome"])
    if found == "reject":
        assert error is not None
        assert error.status in expected["status"]
    if found == "discard" and INDEX[file]["kind"] == "response":
        assert getattr(error, "request", None) is None


@pytest.mark.parametrize("file", [file for file in INDEX if outcome(octets(FOLDER, file))[0] == "reject"])
def test_a_refusal_can_be_answered(file: str) -> None:
    data = octets(FOLDER, file)
    _, error = outcome(data)
    assert error is not None
    answer = answer_to(error, data)
    encoded = answer.encode()
    assert encoded.startswith(f"SIP/2.0 {error.status} ".encode())
    assert encoded.endswith(b"Content-Length: 0\r\n\r\n")
    assert answer.headers.first(VIA) == str(answer.via)
    assert answer.via.host


@pytest.mark.parametrize("file", [file for file in INDEX if INDEX[file]["well_formed"] and file != "badbranch.dat"])
def test_well_formed_messages_survive_a_round_trip(file: str) -> None:
    message = parse_datagram(octets(FOLDER, file))
    again = parse_datagram(message.encode())
    assert again == message
    assert (again.via, again.from_, again.to, again.call_id, again.cseq) == (
        message.via,
        message.from_,
        message.to,
        message.call_id,
        message.cseq,
    )


# The checks of the index, message by message


def wsinv() -> None:
    message = request("wsinv")
    vias = [Via.parse(item) for item in message.headers.values(VIA)]
    assert [(via.transport, via.host) for via in vias] == [
        ("UDP", "192.0.2.2"),
        ("TCP", "spindle.example.com"),
        ("UDP", "192.168.255.111"),
    ]
    assert (message.via, message.via.branch) == (vias[0], "390skdjuw")
    assert (message.cseq.number, message.cseq.method) == (9, "INVITE")
    assert message.headers.first("Max-Forwards") == "0068"
    assert message.headers.first(SUBJECT) == ""
    assert message.from_.display == 'J Rosenberg \\"'
    assert (message.from_.tag, message.to.tag) == ("98asjd8", "1918181833n")
    assert message.uri.param("unknownparam") == ""
    assert message.headers.first("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert message.headers.first("NewFangledHeader") == "newfangled value continued newfangled value"
    (contact,) = parse_contacts(message.headers.all("m")) or ()
    assert (contact.address.display, contact.q) == ('Quoted string ""', 0.33)
    assert contact.address.params == (("newparam", "newvalue"), ("secondparam", None), ("q", "0.33"))
    (route,) = parse_list(message.headers.all(ROUTE))
    assert route.uri.param("unknownwith") == "value"
    assert len(message.body) == 150


def intmeth() -> None:
    message = request("intmeth")
    method = "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.method == message.cseq.method == method
    assert message.to.display == "BEL:\a NUL:\0 DEL:\x7f"
    assert "\0" not in str(message.to)
    assert message.from_.param("fromparam''~+*_!.-%") == '"работающий"'
    assert message.from_.tag == "_token~1'+`*%!-."
    assert message.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.headers.first("extensionHeader-!.%*+_`'~") == "\ufeff大停電"
    _, error = outcome(octets(FOLDER, "intmeth.dat"))
    assert error is not None
    answer = answer_to(error, octets(FOLDER, "intmeth.dat"))
    assert answer.status == 501
    assert "INVITE" in parse_tokens(answer.headers.all("Allow"))
    assert answer.headers.first(CSEQ) == f"139122385 {method}"


def esc01() -> None:
    message = request("esc01")
    assert (message.uri.scheme, message.uri.decoded_user, message.uri.host) == ("sip", "sips:user@example.com", "example.net")
    assert str(message.uri) == "sip:sips%3Auser%40example.com@example.net"
    assert message.to.uri.decoded_user == "user"
    assert message.from_.uri.decoded_user == "I have spaces"
    (contact,) = parse_contacts(message.headers.all(CONTACT)) or ()
    assert contact.uri.decoded_user == "caller"
    assert contact.uri.param("lr") == ""
    assert unescape(contact.uri.param("name") or "") == "value%41"


def escnull() -> None:
    message = request("escnull")
    assert message.to.uri.decoded_user == "null-\x00-null"
    assert len(message.to.uri.decoded_user) == 11
    first, second = parse_contacts(message.headers.all(CONTACT)) or ()
    assert not same_uri(first.uri, second.uri)
    assert "\0" not in str(message.to)


def esc02() -> None:
    message = request("esc02")
    assert message.method == "RE%47IST%45R"
    assert message.to.display == message.from_.display == "%Z%45"
    assert [str(contact.uri) for contact in parse_contacts(message.headers.all(CONTACT)) or ()] == [
        "sip:alias1@host1.example.com",
        "sip:alias3@host3.example.com",
    ]
    assert message.headers.first("C%6Fntact") == "<sip:alias2@host2.example.com>"


def lwsdisp() -> None:
    message = request("lwsdisp")
    assert (message.from_.display, str(message.from_.uri)) == ("caller", "sip:caller@example.com")


def longreq() -> None:
    message = request("longreq")
    assert message.headers.count(VIA) == len(message.headers.values(VIA)) == 34
    assert len(message.call_id) > 100
    assert (message.via.host, message.via.branch) == ("sip33.example.com", "")
    assert message.to.uri.port == 6000


def dblreq() -> None:
    message = request("dblreq")
    assert message.method == "REGISTER"
    assert message.body == b""
    assert b"INVITE" not in message.encode()


def semiuri() -> None:
    message = request("semiuri")
    assert message.uri.decoded_user == "user;par=u@example.net"
    assert message.uri.params == ()
    assert len(message.headers.values(ACCEPT)) == 6


def transports() -> None:
    vias = [Via.parse(item) for item in request("transports").headers.values(VIA)]
    assert [via.transport for via in vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def mpart01() -> None:
    message = request("mpart01")
    text, binary = parts(message.headers.first(CONTENT_TYPE) or "", message.body)
    assert (text.type, text.body) == ("text/plain", b"Hello")
    assert binary.type == "application/octet-stream"
    assert binary.body.startswith(b"0\x82\x01R\x06\x09*\x86H\x86\xf7")
    assert b"\0" in binary.body
    assert len(binary.body) == 342  # what its own DER header says: 4 + 0x0152
    assert sdp_of(message) is None
    assert (message.headers.first(IDENTITY) or "").endswith("hkMWYUA=")


def unreason() -> None:
    message = _response(FOLDER, "unreason.dat")
    assert (message.status, message.reason) == (200, "= 2**3 * 5**2 но сто девяносто девять - простое")
    assert message.encode().startswith("SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое\r\n".encode())


def noreason() -> None:
    assert (_response(FOLDER, "noreason.dat").status, _response(FOLDER, "noreason.dat").reason) == (100, "")
    without_space = octets(FOLDER, "noreason.dat").replace(b"SIP/2.0 100 \r\n", b"SIP/2.0 100\r\n")
    assert parse_datagram(without_space) == _response(FOLDER, "noreason.dat")


def badinv01() -> None:
    error = refusal("badinv01")
    assert error.request is not None
    assert str(error.request.via) == "SIP/2.0/UDP 192.0.2.15"
    assert error.request.headers.all(VIA) == ["SIP/2.0/UDP 192.0.2.15"]


def clerr() -> None:
    framer = StreamFramer()
    data = octets(FOLDER, "clerr.dat")
    assert framer.feed(data) == []
    assert framer.buffered == len(data)


def lwsruri() -> None:
    error = refusal("lwsruri")
    assert error.request is not None
    assert error.request.to.tag == "3xfe-9921883-z9f"
    assert error.request.cseq.number == 2130706432


def escruri() -> None:
    error = refusal("escruri")
    assert error.request is not None
    assert ROUTE not in error.request.headers
    assert b"Route" not in answer_to(error, b"").encode()


def bigcode() -> None:
    assert refusal("bigcode").request is None


def insuf() -> None:
    error = refusal("insuf")
    answer = answer_to(error, b"")
    assert [str(name) for name, _ in answer.headers] == ["via", "cseq"]
    assert error.request is not None
    assert TO not in error.request.headers
    assert CALL_ID not in error.request.headers


def baddate() -> None:
    assert request("baddate").headers.first(DATE) == "Fri, 01 Jan 2010 16:00:00 EST"


def bext01() -> None:
    _, error = outcome(octets(FOLDER, "bext01.dat"))
    assert error is not None
    ((name, value),) = error.headers
    assert name == "unsupported"
    assert parse_tokens([value]) == (
        "nothingSupportsThis",
        "nothingSupportsThisEither",
        "noProxiesSupportThis",
        "norDoAnyProxiesSupportThis",
    )


def invut() -> None:
    _, error = outcome(octets(FOLDER, "invut.dat"))
    assert error is not None
    assert error.headers == (("accept", "application/sdp"),)


def regaut01() -> None:
    (row,) = request("regaut01").headers.all(AUTHORIZATION)
    credentials = Credentials.parse(row)
    assert (credentials.scheme, credentials.digest) == ("NoOneKnowsThisScheme", False)
    assert credentials.params == {"opaque-data": "here"}


def scalar02() -> None:
    data = octets(FOLDER, "scalar02.dat").replace(b"36893488147419103232", b"1").replace(b": 300", b": 70")
    message = parse_datagram(data)
    assert expires(message.headers) == 3600
    (contact,) = parse_contacts(message.headers.all(CONTACT)) or ()
    assert contact.expires == 3600


def zeromf() -> None:
    check_request(request("zeromf"), methods={"OPTIONS"}, supported=(), for_us=True)


def cparam01() -> None:
    (contact,) = parse_contacts(request("cparam01").headers.all(CONTACT)) or ()
    assert contact.address.param("unknownparam") == ""
    assert contact.uri.params == ()


def cparam02() -> None:
    (contact,) = parse_contacts(request("cparam02").headers.all(CONTACT)) or ()
    assert contact.address.params == ()
    assert contact.uri.param("unknownparam") == ""


def regescrt() -> None:
    message = request("regescrt")
    (contact,) = parse_contacts(message.headers.all(CONTACT)) or ()
    assert contact.uri.headers == "Route=%3Csip:sip.example.com%3E"
    assert ROUTE not in message.headers


def inv2543() -> None:
    message = request("inv2543")
    assert (message.from_.tag, message.via.branch) == ("", "")
    assert message.to.params == (("user", "phone"),)
    assert len(message.body) == 105


def unksm2() -> None:
    message = request("unksm2")
    assert (str(message.to.uri), str(message.from_.uri)) == ("isbn:2983792873", "http://www.example.com")


def multi01() -> None:
    error = refusal("multi01")
    assert error.request is not None
    assert len(error.request.headers) == 5


def quotbal() -> None:
    with pytest.raises(ParseError):
        NameAddr.parse('"Mr. J. User <sip:j.user@example.com>')


CHECKS: dict[str, Callable[[], None]] = {
    check.__name__: check
    for check in (
        *(wsinv, intmeth, esc01, escnull, esc02, lwsdisp, longreq, dblreq, semiuri, transports, mpart01, unreason, noreason),
        *(badinv01, clerr, lwsruri, escruri, bigcode, insuf, baddate, bext01, invut, regaut01, scalar02, zeromf),
        *(cparam01, cparam02, regescrt, inv2543, unksm2, multi01, quotbal),
    )
}


@pytest.mark.parametrize("name", CHECKS)
def test_checks(name: str) -> None:
    CHECKS[name]()


# On a stream


def test_SYN_03_two_requests_in_one_segment() -> None:
    """The second says 150 octets and has 155: two messages, then the end of the connection."""
    with pytest.raises(FramingLost) as caught:
        StreamFramer().feed(octets(FOLDER, "dblreq.dat"))
    first, second = caught.value.frames
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    register, invite = parse_message(*first), parse_message(*second)
    assert isinstance(register, Request)
    assert isinstance(invite, Request)
    assert (register.method, invite.method) == ("REGISTER", "INVITE")
    assert len(invite.body) == 150


@pytest.mark.parametrize("name", ["ncl", "mcl01", "inv2543"])
def test_SYN_03_stream_closes_when_framing_is_lost(name: str) -> None:
    with pytest.raises(FramingLost) as caught:
        StreamFramer().feed(octets(FOLDER, f"{name}.dat"))
    assert caught.value.status == 400
    assert caught.value.request is not None
    assert caught.value.frames == []


@pytest.mark.parametrize("file", INDEX)
def test_stream_and_datagram_agree(file: str) -> None:
    """Whatever the framer lets through, the parser reads the same from either; octet by octet makes no difference."""
    data = octets(FOLDER, file)
    whole = _fed(data, len(data))
    assert _fed(data, 1) == whole
    if isinstance(whole, str) or file == "dblreq.dat":
        return
    (frame,) = whole or [None]
    if isinstance(frame, Message) and outcome(data)[0] == "accept":
        assert parse_message(*frame) == parse_datagram(data)


def _fed(data: bytes, size: int) -> list[object] | str:
    framer = StreamFramer()
    frames: list[object] = []
    try:
        for start in range(0, len(data), size):
            frames += framer.feed(data[start : start + size])
    except FramingLost as error:
        return str(error)
    return frames

from __future__ import annotations

import pytest

from sbc.errors import ParseError, SipError
from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram
from sbc.sip.validate import check_request, check_response, hops_left

METHODS = frozenset({"ACK", "BYE", "CANCEL", "INVITE", "OPTIONS", "REGISTER"})


def request(method: str = "INVITE", *rows: str, uri: str = "sip:b@h", to: str = "<sip:b@h>", body: str = "") -> Request:
    mandatory = ["Via: SIP/2.0/UDP h;branch=z9hG4bK1", "From: <sip:a@a>;tag=1", f"To: {to}", "Call-ID: c", f"CSeq: 1 {method}"]
    message = parse_datagram("\r\n".join([f"{method} {uri} SIP/2.0", *mandatory, *rows, "", body]).encode())
    assert isinstance(message, Request)
    return message


def refusal(message: Request, for_us: bool = False) -> SipError:
    with pytest.raises(SipError) as caught:
        check_request(message, methods=METHODS, supported={"timer"}, for_us=for_us)
    return caught.value


def passes(message: Request, for_us: bool = False) -> None:
    check_request(message, methods=METHODS, supported={"timer"}, for_us=for_us)


def test_SYN_08_methods() -> None:
    known, unknown = refusal(request("MESSAGE")), refusal(request("invite"))
    assert (known.status, unknown.status) == (405, 501)
    assert known.headers == unknown.headers == (("allow", "ACK, BYE, CANCEL, INVITE, OPTIONS, REGISTER"),)
    passes(request())


def test_SYN_08_schemes() -> None:
    for uri in ("sip:b@h", "sips:b@h", "tel:+1"):
        passes(request(uri=uri))
    assert refusal(request(uri="mailto:b@h")).status == 416


def test_address_of_record_of_another_scheme() -> None:
    assert refusal(request("REGISTER", to="<tel:+1>")).status == 400
    passes(request("REGISTER"))


def test_hops() -> None:
    assert refusal(request("INVITE", "Max-Forwards: 0")).status == 483
    passes(request("OPTIONS", "Max-Forwards: 0"), for_us=True)
    passes(request("CANCEL", "Max-Forwards: 0"))
    assert (hops_left(request()), hops_left(request("INVITE", "Max-Forwards: 7"))) == (70, 6)
    with pytest.raises(SipError) as caught:
        hops_left(request("INVITE", "Max-Forwards: 0"))
    assert (caught.value.status, caught.value.reason) == (483, "Too Many Hops")


def test_extensions() -> None:
    passes(request("INVITE", "Require: timer", "Proxy-Require:timer"))
    error = refusal(request("INVITE", "Require: timer, 100rel", "Proxy-Require: privacy"))
    assert (error.status, error.headers) == (420, (("unsupported", "100rel, privacy"),))
    for method in ("ACK", "CANCEL"):
        passes(request(method, "Require: 100rel"))


SDP = ("Content-Type: application/sdp", "v=0\r\n")


@pytest.mark.parametrize(
    "rows",
    [
        ["Content-Type: application/sdp"],
        ["c: Application/SDP ; x=y", "Content-Encoding: identity", "Content-Language: tlh"],
        ["Content-Type: application/other", "Content-Disposition: render;handling=optional"],
    ],
)
def test_bodies_accepted(rows: list[str]) -> None:
    passes(request("INVITE", *rows, body="v=0\r\n"))


@pytest.mark.parametrize(
    ("rows", "headers"),
    [
        (["Content-Type: application/other"], (("accept", "application/sdp"),)),
        (["Content-Type: nonsense"], (("accept", "application/sdp"),)),
        ([], (("accept", "application/sdp"),)),
        (["Content-Type: application/sdp", "e: gzip"], (("accept-encoding", "identity"),)),
        (["Content-Type: multipart/alternative;boundary=b"], (("accept", "application/sdp"),)),
    ],
)
def test_bodies_refused(rows: list[str], headers: tuple[tuple[str, str], ...]) -> None:
    error = refusal(request("INVITE", *rows, body="v=0\r\n"))
    assert (error.status, error.headers) == (415, headers)


def test_bodies_nobody_needs() -> None:
    passes(request("INVITE", "Content-Type: application/other"))
    passes(request("BYE", "Content-Type: application/other", body="x"))


@pytest.mark.parametrize(
    ("part", "alone", "beside_sdp"),
    [
        ("Content-Type: application/isup\r\nContent-Disposition: signal;handling=optional", True, True),
        ("Content-Type: application/isup\r\nContent-Disposition: signal;handling=required", False, False),
        ("Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session", False, True),
    ],
)
def test_SYN_13_parts(part: str, alone: bool, beside_sdp: bool) -> None:
    sdp = "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n"
    for prefix, accepted in (("", alone), (sdp, beside_sdp)):
        message = request("INVITE", "Content-Type: multipart/mixed;boundary=b", body=f"{prefix}--b\r\n{part}\r\n\r\nx\r\n--b--\r\n")
        if accepted:
            passes(message)
        else:
            assert refusal(message).status == 415


@pytest.mark.parametrize("accept", ["application/sdp", "text/plain, application/*;q=0.1", "*/*", "x, application/sdp;level=1"])
def test_accept(accept: str) -> None:
    passes(request("INVITE", f"Accept: {accept}"))


@pytest.mark.parametrize("accept", ["text/plain", "", "nonsense"])
def test_accept_without_sdp(accept: str) -> None:
    assert refusal(request("INVITE", f"Accept: {accept}")).status == 406
    passes(request("OPTIONS", f"Accept: {accept}"))


def test_responses_have_one_via() -> None:
    answer = Response.answer(request(), 200)
    check_response(answer)
    answer.headers.add("Via", "SIP/2.0/UDP i")
    with pytest.raises(ParseError):
        check_response(answer)

from __future__ import annotations

import pytest

from sbc.sip.message import Request, Response
from sbc.sip.names import FROM, MAX_FORWARDS, VIA
from sbc.sip.parse import MAX_HEAD, MAX_VIAS, Malformed, is_keepalive, parse_datagram, parse_message
from sbc.sip.rows import MAX_HEADERS, MAX_LINE

START = "OPTIONS sip:bob@b.example SIP/2.0"
ROWS = [
    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
    "Max-Forwards: 70",
    "From: <sip:alice@a.example>;tag=1",
    "To: <sip:bob@b.example>",
    "Call-ID: c@a",
    "CSeq: 1 OPTIONS",
]


def octets(*more: str, start: str = START, rows: list[str] = ROWS, body: bytes = b"") -> bytes:
    return "\r\n".join([start, *rows, *more, "", ""]).encode("utf-8", "surrogateescape") + body


def without(name: str) -> list[str]:
    return [row for row in ROWS if not row.startswith(name)]


def instead(name: str, row: str) -> list[str]:
    return [row if old.startswith(name) else old for old in ROWS]


def parsed(*more: str, start: str = START, rows: list[str] = ROWS, body: bytes = b"") -> Request:
    message = parse_datagram(octets(*more, start=start, rows=rows, body=body))
    assert isinstance(message, Request)
    return message


def refused(data: bytes) -> Malformed:
    with pytest.raises(Malformed) as caught:
        parse_datagram(data)
    return caught.value


def test_SYN_01_case_compact_forms_folding_and_space_before_the_colon() -> None:
    rows = [
        "v :SIP/2.0/UDP h;branch=z9hG4bK1",
        "MAX-FORWARDS\t: 7",
        "f:sip:a@a;tag=1",
        "T\r\n : sip:b@b",
        "i:c",
        "cseq:\r\n\t1\r\n OPTIONS",
        "S:",
    ]
    message = parsed("X: a  \r\n   b\r\n\tc", rows=rows)
    assert (message.via.host, message.call_id, str(message.cseq), message.from_.tag) == ("h", "c", "1 OPTIONS", "1")
    assert message.headers.first("x") == "a b c"
    assert message.headers.first("Subject") == ""


def test_SYN_02_vias_in_one_row_become_rows() -> None:
    one = parsed(rows=instead("Via", 'Via: SIP/2.0/UDP a;branch=z9hG4bK1;x="1,2" , SIP/2.0/TCP b;branch=z9hG4bK2'))
    two = parsed(rows=[*without("Via"), 'v: SIP/2.0/UDP a;branch=z9hG4bK1;x="1,2"', "Via: SIP/2.0/TCP b;branch=z9hG4bK2"])
    assert one.headers.all(VIA) == two.headers.all(VIA)
    assert one.via == two.via
    assert one.via.host == "a"


def test_SYN_03_datagram_without_content_length() -> None:
    assert parsed(body=b"anything").body == b"anything"


def test_SYN_03_datagram_longer_and_shorter_than_content_length() -> None:
    assert parsed("Content-Length: 3", body=b"abcdef").body == b"abc"
    assert refused(octets("Content-Length: 7", body=b"abcdef")).status == 400
    assert parsed("l: 0").body == b""


@pytest.mark.parametrize("length", ["", "-1", "five", "1 0", "99999999999", "+1", "\u0663", "0x1"])
def test_SYN_03_bad_content_length(length: str) -> None:
    assert refused(octets(f"Content-Length: {length}", body=b"abc")).request is not None


def test_SYN_03_stream_needs_the_right_content_length() -> None:
    head = octets("Content-Length: 3").removesuffix(b"\r\n\r\n")
    assert parse_message(head, b"abc").body == b"abc"
    for wrong_head, body in ((head, b"ab"), (head, b"abcd"), (octets().removesuffix(b"\r\n\r\n"), b"")):
        with pytest.raises(Malformed):
            parse_message(wrong_head, body)


def test_SYN_03_datagram_without_empty_line() -> None:
    assert isinstance(parse_datagram(octets().removesuffix(b"\r\n")), Request)


@pytest.mark.parametrize("row", ["Content-Length: 0", "Call-ID: c@a", "CSeq: 1 OPTIONS", "To: <sip:bob@b.example>", "Max-Forwards: 70"])
def test_SYN_04_repeated_and_equal(row: str) -> None:
    message = parsed("Content-Length: 0", row)
    assert message.headers.count(row.partition(":")[0]) <= 1


@pytest.mark.parametrize(
    "row", ["l: 1", "i: d@a", "CSeq: 2 OPTIONS", "t: <sip:eve@b.example>", "f: <sip:alice@a.example>;tag=2", "Max-Forwards: 71"]
)
def test_SYN_04_repeated_and_different(row: str) -> None:
    error = refused(octets("Content-Length: 0", row, body=b"x"))
    assert error.status == 400
    assert error.request is not None


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("OPTIONS sip:b SIP/7.0", 505),
        ("OPTIONS sip:b SIP/2.1", 505),
        ("OPTIONS sip:b SIP/", 400),
        ("OPTIONS sip:b HTTP/1.1", 400),
        ("OPTIONS sip:b", 400),
        ("OPTIONS", 400),
        ("OPTIONS  sip:b SIP/2.0", 400),
        ("OPTIONS sip:b SIP/2.0 ", 400),
        (" OPTIONS sip:b SIP/2.0", 400),
        ("OPT(IONS sip:b SIP/2.0", 400),
        ("options sip:b SIP/2.0", 400),
        ("OPTIONS <sip:b> SIP/2.0", 400),
        ("OPTIONS sip:b?a=b SIP/2.0", 400),
        ("OPTIONS sip:b\tSIP/2.0", 400),
        ("", 400),
    ],
)
def test_SYN_05_request_line(start: str, status: int) -> None:
    assert refused(octets(start=start)).status == status


def test_SYN_05_version_in_any_case() -> None:
    assert parsed(start="OPTIONS sip:b sip/2.0").method == "OPTIONS"
    assert isinstance(parse_datagram(octets(start="sip/2.0 200 OK")), Response)


@pytest.mark.parametrize(
    "start",
    ["SIP/2.0 99 x", "SIP/2.0 700 x", "SIP/2.0 2000 x", "SIP/2.0 20 x", "SIP/2.0", "SIP/2.0 abc", "SIP/3.0 200 OK", "SIP/2.0  200 OK"],
)
def test_SYN_05_bad_responses_are_nobodys(start: str) -> None:
    assert refused(octets(start=start)).request is None


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_SYN_06_missing(name: str) -> None:
    error = refused(octets(rows=without(name)))
    assert error.status == 400
    assert (error.request is None) == (name == "Via")
    assert refused(octets(start="SIP/2.0 200 OK", rows=without(name))).request is None


def test_SYN_06_max_forwards_may_be_missing() -> None:
    assert MAX_FORWARDS not in parsed(rows=without("Max-Forwards")).headers


@pytest.mark.parametrize(
    "row",
    [
        *("Via: SIP/2.0/UDP", "Via: SIP/2.0/UDP h;;x", "Via: ", "Via: SIP/2.0/UDP h;branch=z9hG4bK"),
        *('Via: SIP/2.0/UDP h;a="b, SIP/2.0/UDP i', "Call-ID: ", "Call-ID: a b"),
        *("From: alice@a.example", 'From: "Alice <sip:a@a>', "From: ", "To: Bell, A <sip:b@b>", "To: <sip:b@b>;tag=1;tag=2"),
        *("CSeq: 1", "CSeq: 1 INVITE", "CSeq: 1 options", "CSeq: 2147483648 OPTIONS", "Max-Forwards: 256"),
        *("Max-Forwards: -1", "Max-Forwards: "),
    ],
)  # fmt: skip
def test_malformed_mandatory_headers(row: str) -> None:
    assert refused(octets(rows=instead(row.partition(":")[0], row))).status == 400


@pytest.mark.parametrize(
    "row",
    [
        "Date: yesterday",
        "Warning: ?",
        "Expires: soon",
        "Contact: ;;;",
        "Accept: ,,",
        "X: \u2603",
    ],
)
def test_SYN_09_optional_headers_are_not_looked_at(row: str) -> None:
    assert parsed(row).method == "OPTIONS"


@pytest.mark.parametrize("row", ["no colon", ": no name", "na me: x", "n\u00e4me: x", "a\x01: x"])
def test_rows_that_are_none(row: str) -> None:
    assert refused(octets(row)).request is not None


def test_a_contact_of_a_registration_is_looked_at() -> None:
    rows = [row.replace("OPTIONS", "REGISTER") for row in ROWS]
    start = "REGISTER sip:b.example SIP/2.0"
    assert parsed("Contact: *", start=start, rows=rows).method == "REGISTER"
    assert refused(octets("Contact: <sip:a@a", start=start, rows=rows)).status == 400


# Line ends, NUL, folding


@pytest.mark.parametrize("damage", [b"\r", b"\n", b"\0", b"\n\n", b"\r\r\n", b"\nX: y", b"\n Content-Length: 5"])
def test_SYN_12_stray_line_ends_and_nul(damage: bytes) -> None:
    data = octets("X-Other: here", "Content-Length: 0")
    assert refused(data.replace(b"here", b"he" + damage + b"re")).status == 400
    assert refused(damage.join(data.split(b" ", 1))).status == 400


def test_SYN_12_nul_in_a_quoted_pair_only_where_it_is_echoed() -> None:
    quoted = octets(rows=instead("To", 'To: "a\\\0b" <sip:bob@b.example>'))
    message = parse_datagram(quoted)
    assert message.to.display == "a\0b"
    assert isinstance(message, Request)
    assert b'"a\\\0b"' in Response.answer(message, 200, to_tag="t").encode()
    assert refused(octets("Priority: \\\0")).status == 400
    assert refused(octets(start="SIP/2.0 200 \\\0")).request is None


def test_fold_after_the_start_line() -> None:
    assert refused(octets(rows=[" folded", *ROWS])).status == 400


@pytest.mark.parametrize("prefix", [b"\r\n", b"\r\n\r\n\r\n", b"\n"])
def test_TRN_09_line_ends_before_the_start_line(prefix: bytes) -> None:
    assert parse_datagram(prefix + octets()) == parse_datagram(octets())


def test_keepalives() -> None:
    assert all(is_keepalive(data) for data in (b"", b"\r\n\r\n", b"\0\0\0\0", b"\r\n"))
    assert not is_keepalive(octets())
    assert refused(b"\r\n\r\n").request is None


# What is left of a broken request


def test_salvaged_request_can_be_answered() -> None:
    vias = "Via: SIP/2.0/UDP a;branch=z9hG4bK1;;,;,SIP/2.0/TCP b;branch=z9hG4bK2"
    error = refused(octets(rows=[*without("Via"), vias, "Via: SIP/2.0/TLS c:5061"]))
    assert error.request is not None
    answer = Response.answer(error.request, error.status, error.reason, to_tag="t")
    assert answer.headers.all(VIA) == ["SIP/2.0/UDP a;branch=z9hG4bK1", "SIP/2.0/TCP b;branch=z9hG4bK2", "SIP/2.0/TLS c:5061"]
    assert answer.headers.first("To") == "<sip:bob@b.example>;tag=t"
    assert answer.encode().startswith(b"SIP/2.0 400 Bad Request\r\n")


def test_salvage_takes_the_first_of_each_and_no_other_header() -> None:
    error = refused(octets("From: <sip:eve@e.example>", "Contact: <sip:x@y>", "X: y"))
    assert error.request is not None
    assert error.request.headers.all(FROM) == ["<sip:alice@a.example>;tag=1"]
    assert len(error.request.headers) == 5


def test_an_ack_is_still_known_as_one() -> None:
    """So that nobody answers it."""
    error = refused(octets(start="ACK sip:b SIP/2.0"))
    assert error.request is not None
    assert error.request.method == "ACK"


# Limits


def test_SYN_11_start_line() -> None:
    longest = "sip:" + "u" * (MAX_LINE - len("OPTIONS sip:@h SIP/2.0")) + "@h"
    assert parsed(start=f"OPTIONS {longest} SIP/2.0").uri.host == "h"
    assert refused(octets(start=f"OPTIONS {longest.replace('@', 'u@')} SIP/2.0")).status == 414


def test_SYN_11_header_line() -> None:
    value = "x" * (MAX_LINE - len("X: "))
    assert parsed(f"X: {value}").headers.first("X") == value
    assert refused(octets(f"X: {value}x")).status == 513
    folded = "\r\n ".join(["y" * 1000] * 9)
    assert refused(octets(f"X: {folded}")).status == 513


def test_SYN_11_number_of_headers() -> None:
    rows = ["X: y"] * (MAX_HEADERS - 1 - len(ROWS))
    assert len(parsed(*rows).headers) == MAX_HEADERS - 1
    assert refused(octets(*rows, "X: y")).status == 513
    assert refused(octets("\r\n ".join(["X: y"] * 5 * MAX_HEADERS))).status == 513


def test_SYN_11_number_of_vias() -> None:
    more = ["Via: SIP/2.0/UDP h;branch=z9hG4bK2"] * (MAX_VIAS - 1)
    assert parsed(*more).headers.count(VIA) == MAX_VIAS
    assert refused(octets(*more, more[0])).request is None
    one_row = "Via: " + ", ".join(["SIP/2.0/UDP h"] * (MAX_VIAS + 1))
    assert refused(octets(rows=instead("Via", one_row))).status == 400


def test_SYN_11_head() -> None:
    assert refused(octets(*[f"X: {'y' * 8000}"] * (MAX_HEAD // 8000 + 1))).status == 513
    big = parsed(body=b"x" * 60000)
    assert len(big.body) == 60000

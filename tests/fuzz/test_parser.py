"""Whatever octets come, the parser says Malformed or gives a message that means the same when it is written and read again."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from sbc.errors import ParseError, SipError
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.via import Via
from sbc.sip.message import Request, Response
from sbc.sip.multipart import parts, sdp_of
from sbc.sip.parse import Malformed, parse_datagram
from sbc.sip.validate import KNOWN_METHODS, check_request, check_response
from tests.fuzz.mutate import CHEAP, messages, mutated
from tests.vectors.messages import SUPPORTED, answer_to


@CHEAP
@given(mutated(messages()))
def test_a_datagram(data: bytes) -> None:
    try:
        message = parse_datagram(data)
    except Malformed as error:
        if error.request is not None:
            head = answer_to(error, data).encode().partition(b"\r\n\r\n")[0]  # echoes what the sender wrote, line by line
            assert head.startswith(b"SIP/2.0 ")
            assert head.count(b"\r") == head.count(b"\n") == head.count(b"\r\n")
        return
    written = message.encode()
    again = parse_datagram(written)
    assert type(again) is type(message)
    assert list(again.headers) == [row for row in message.headers if row[0] != "content-length"] or list(again.headers) == list(
        message.headers
    )
    assert again.body == message.body
    assert (again.call_id, again.cseq, again.via, again.from_, again.to) == (
        message.call_id,
        message.cseq,
        message.via,
        message.from_,
        message.to,
    )
    assert again.encode() == written
    judge(message)


def judge(message: Request | Response) -> None:
    """What a user agent does next raises nothing but what can be answered."""
    status = 400
    try:
        if isinstance(message, Response):
            check_response(message)
        else:
            check_request(message, methods=KNOWN_METHODS, supported=SUPPORTED)
            assert isinstance(parse_datagram(Response.answer(message, 486, to_tag="ours").encode()), Response)
        sdp_of(message)
    except SipError as refused:
        status = refused.status
    assert 400 <= status < 700


MULTIPART = tuple(
    message.partition(b"\r\n\r\n")[2] for message in messages() if b"multipart/" in message.lower() and b"boundary" in message.lower()
)


@CHEAP
@given(mutated(MULTIPART))
def test_a_body_of_several_parts(body: bytes) -> None:
    boundary = body.partition(b"--")[2].partition(b"\r\n")[0].decode("latin-1")
    for text in (f"multipart/mixed;boundary={boundary}", f'multipart/mixed; boundary="{boundary}"'):
        try:
            found = parts(text, body)
        except ParseError:
            continue
        assert sum(len(part.body) for part in found) < len(body)
        for part in found:
            try:
                assert part.type
                assert part.handling in ("", "optional", "required") or part.handling
            except ParseError:
                continue


PIECES = st.lists(
    st.sampled_from([
        *'";<>=@:, \\', "sip:", "a", "b@c", ";tag=", ";tag=1", ">;tag=", ";branch=z9hG4bK1", ";rport", "SIP/2.0/UDP ", "h:5060",
        "<sip:a@h>", '"q"', "%41", ";x",
    ]),
    max_size=12,
)  # fmt: skip


@given(PIECES, st.sampled_from(["", "<sip:a@h>;tag=", "SIP/2.0/UDP h;branch="]))
def test_the_short_ways_read_what_the_long_ones_read(pieces: list[str], start: str) -> None:
    """A blank at the end means nothing in these fields, and is what the short ways do not take."""
    text = (start + "".join(pieces)).rstrip(" ")
    for parse in (NameAddr.parse, Via.parse):
        assert outcome_of(parse, text) == outcome_of(parse, text + " ")


def outcome_of(parse: Callable[[str], object], text: str) -> object:
    try:
        return parse(text)
    except ParseError:
        return None

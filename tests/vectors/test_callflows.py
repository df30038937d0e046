"""740 messages printed in 25 RFCs: parsed, written, parsed again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial

import pytest

from sbc.sip.framing import Message, StreamFramer
from sbc.sip.message import Request, Response
from sbc.sip.parse import Malformed, parse_datagram, parse_message
from tests.vectors.messages import VECTORS

FILES = sorted(path.name for path in (VECTORS / "callflows").glob("*.json"))

# What the RFCs misprint, by file and position: refused, and why.
MISPRINTS = {
    ("rfc3261.json", 8): "malformed URI",  # To: Bob <bob@biloxi.com>
    ("rfc3327.json", 8): "malformed URI",  # INVITE UA1@EXAMPLEHOME.COM SIP/2.0
    ("rfc3327.json", 9): "malformed URI",
    ("rfc3327.json", 10): "malformed URI",
    ("rfc3327.json", 11): "malformed URI",
    ("rfc3428.json", 3): "malformed parameters",  # From: sip:user1@domain.com;;tag=49394
    ("rfc3608.json", 0): "malformed URI",  # Contact with an ellipsis
    ("rfc3608.json", 1): "malformed URI",
    ("rfc3608.json", 2): "malformed URI",
    ("rfc4916.json", 5): "not a number",  # a sentence of the text folded onto Content-Length
    ("rfc5589.json", 4): "CSeq of another method",
    ("rfc5589.json", 9): "CSeq of another method",
    ("rfc5589.json", 10): "CSeq of another method",
    ("rfc5589.json", 11): "CSeq of another method",
    ("rfc5626.json", 0): "malformed parameters",  # Contact: <…>; reg-id=1; ;+sip.instance=…
    ("rfc5626.json", 1): "malformed URI",  # To: <anonymous@example.com>
    ("rfc6314.json", 0): "malformed URI",  # Contact: <sip:bob@192.168.1.2 >
    ("rfc8599.json", 0): "malformed URI",  # a Contact URI folded within its brackets
    ("rfc8599.json", 1): "malformed URI",
}


def messages(file: str) -> list[bytes]:
    """The messages of a file, Content-Length as the body that was printed with it, and there is one in each."""
    found = []
    for record in json.loads((VECTORS / "callflows" / file).read_text())["messages"]:
        head, _, body = record["message"].partition("\r\n\r\n")
        length = len(body.encode())
        if not record["content_length_ok"]:
            head, count = re.subn(r"(?mi)^(content-length|l)[ \t]*:[^\r\n]*", f"Content-Length: {length}", head)
            if not count:
                head += f"\r\nContent-Length: {length}"
        found.append(f"{head}\r\n\r\n{body}".encode())
    return found


def test_every_message_is_used() -> None:
    assert len(FILES) == 25
    assert sum(len(messages(file)) for file in FILES) == 740
    assert all(position < len(messages(file)) for file, position in MISPRINTS)


@pytest.mark.parametrize("file", FILES)
def test_round_trip(file: str) -> None:
    for position, data in enumerate(messages(file)):
        if (file, position) in MISPRINTS:
            with pytest.raises(Malformed, match=MISPRINTS[file, position]) as caught:
                parse_datagram(data)
            assert (caught.value.request is None) == data.startswith(b"SIP/")
            continue
        message = parse_datagram(data)
        again = parse_datagram(message.encode())
        assert list(again.headers) == list(message.headers)
        assert again.body == message.body == data.partition(b"\r\n\r\n")[2]
        assert (again.via, again.from_, again.to, again.cseq) == (message.via, message.from_, message.to, message.cseq)
        if isinstance(message, Request):
            assert isinstance(again, Request)
            assert (again.method, again.uri) == (message.method, message.uri)
        assert again.encode() == message.encode()


@pytest.mark.parametrize("file", FILES)
def test_a_whole_file_as_one_stream(file: str) -> None:
    unframed = ("rfc4916.json", 5)  # its Content-Length is the misprint
    all_messages = [message for position, message in enumerate(messages(file)) if (file, position) != unframed]
    data = b"".join(all_messages)
    framer = StreamFramer()
    frames = [frame for start in range(0, len(data), 777) for frame in framer.feed(data[start : start + 777])]
    assert framer.buffered == 0
    assert len(frames) == len(all_messages)
    for frame, message in zip(frames, all_messages, strict=True):
        assert isinstance(frame, Message)
        assert _read(partial(parse_message, *frame)) == _read(partial(parse_datagram, message))


def _read(parse: Callable[[], Request | Response]) -> bytes | str:
    try:
        return parse().encode()
    except Malformed as error:
        return str(error)

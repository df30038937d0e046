"""Messages made wrong in the ways that break parsers: what all fuzz targets feed on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random

from hypothesis import settings
from hypothesis import strategies as st

from tests.vectors import test_callflows
from tests.vectors.messages import VECTORS

CHEAP = settings(max_examples=max(1000, settings().max_examples))  # for targets of less than a millisecond

# What grammars hang on, and what they forget.
TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\r\n ", b"\r\n\t", b"\r\n\r\n", b"\0", b"\\\0", b"\\", b'"', b"'", b"<", b">", b";", b",", b":", b"="),
    *(b"@", b"%", b"%00", b"%0d%0a", b"%zz", b"?", b"&", b"*", b"+", b"[", b"]", b"[::1]", b"[::", b"(", b")", b"/", b"//", b" ", b"\t"),
    *(b"  ", b"\xff", b"\x80", b"\xc3\xa9", b"\xed\xb2\x80", b"\xd9\xa1", b"\xe2\x80\xa8", b"\x7f", b"\x0b", b"\x0c", b"\x1c", b"\x85"),
    *(b"-1", b"0", b"00", b"1e9", b"0x10", b"1_0", b"4294967296", b"99999999999999999999", b"SIP/2.0", b"sip:", b"sips:", b"tel:", b"urn:"),
    *(b";tag=", b";lr", b";received=", b";rport", b";branch=z9hG4bK", b"z9hG4bK", b";transport=", b"--", b"x" * 300, b"a" * 9000),
    *(b"multipart/mixed;boundary=", b"Content-Length: 5\r\n", b"l: 0\r\n", b"Via: SIP/2.0/UDP x\r\n", b"Require: x\r\n", b"Contact: *\r\n"),
    *(b"a=crypto:1 ", b"inline:", b"m=audio 9 RTP/AVP 0\r\n", b"c=IN IP4 0.0.0.0\r\n", b"IP6", b"a=rtpmap:8 ", b"/127", b"|2^20|1:4"),
)  # fmt: skip
NUMBERS = (b"0", b"1", b"-1", b"00", b"255", b"256", b"65535", b"65536", b"2147483648", b"4294967296", b"18446744073709551616", b"9" * 400)
_find_numbers = re.compile(rb"[0-9]+").finditer

Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]


def mutate(data: bytes, random: Random, corpus: Sequence[bytes]) -> bytes:
    """`data` after one to five mutations; `corpus` lends lines of other messages."""
    for _ in range(random.randint(1, 5)):
        data = random.choice(MUTATIONS)(data, random, corpus)
    return data


def mutated(corpus: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Something of the corpus, as it is or mutated."""

    def make(position: int, seed: int) -> bytes:
        return mutate(corpus[position], Random(seed), corpus) if seed else corpus[position]

    return st.builds(make, st.integers(0, len(corpus) - 1), st.integers(0, 2**32))


@lru_cache
def messages() -> tuple[bytes, ...]:
    """Every message there is among the vectors: torture tests, call flows of RFCs, samples of products and attacks."""
    files = [
        path
        for folder, kind in (("rfc4475", "dat"), ("rfc5118", "dat"), ("samples", "sip"))
        for path in (VECTORS / folder).glob(f"*.{kind}")
    ]
    found = [path.read_bytes() for path in sorted(files)]
    found += [message for file in test_callflows.FILES for message in test_callflows.messages(file)]
    assert len(found) > 800
    return tuple(found)


@lru_cache
def descriptions() -> tuple[bytes, ...]:
    """Every session description in them."""
    bodies = {message.partition(b"\r\n\r\n")[2] for message in messages()}
    found = sorted(body for body in bodies if body.startswith(b"v=0\r\n"))
    assert len(found) > 80
    return tuple(found)


def _place(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, start + random.choice((1, 2, 3, 8, 40, 400))


def _put(data: bytes, random: Random, corpus: Sequence[bytes]) -> bytes:
    start, _ = _place(data, random)
    return data[:start] + random.choice(TOKENS) + data[start:]


def _replace(data: bytes, random: Random, corpus: Sequence[bytes]) -> bytes:
    start, end = _place(data, random)
    return data[:start] + random.choice(TOKENS) + data[end:]


def _flip(data: bytes, random: Random, corpus: Sequence[bytes]) -> bytes:
    start, _ = _place(data, random)
    return data[:start] + bytes([random.randrange(256)]) + data[start + 1 :]


def _cut(data: bytes, random: Random, corpus: Sequence[bytes]) -> bytes:
    start, end = _place(data, random)
    return data[:start] + data[end:]


def _repeat(data: bytes, random: Random, corpus: Sequence[bytes]) -> bytes:
    start, end = _place(data, random)
    return data[:start] + data[start:end] * random.choice((2, 3, 50)) + data[end:]


def _truncate(data: bytes, random: Random, corpus: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _number(data: bytes, random: Random, corpus: Sequence[bytes]) -> bytes:
    found = list(_find_numbers(data))
    if not found:
        return data
    start, end = random.choice(found).span()
    return data[:start] + random.choice(NUMBERS) + data[end:]


def _line(data: bytes, random: Random, corpus: Sequence[bytes]) -> bytes:
    """A line is dropped, doubled, moved, emptied behind its colon, or taken from elsewhere."""
    lines = data.split(b"\r\n")
    here = random.randrange(len(lines))
    match random.randrange(5):
        case 0:
            del lines[here]
        case 1:
            lines.insert(here, lines[here])
        case 2:
            lines.insert(random.randrange(len(lines)), lines.pop(here))
        case 3:
            lines[here] = lines[here][: lines[here].find(b":") + 1]
        case _:
            lines.insert(here, random.choice(random.choice(corpus).split(b"\r\n")))
    return b"\r\n".join(lines)


MUTATIONS: tuple[Mutation, ...] = (_put, _put, _replace, _flip, _cut, _repeat, _truncate, _number, _number, _line, _line)

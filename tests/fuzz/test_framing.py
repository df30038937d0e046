"""However a stream is cut into pieces, the same messages come out of it, and no more than one waits in memory."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from sbc.sip.framing import Frame, FramingLost, Ping, StreamFramer
from sbc.sip.parse import MAX_MESSAGE, Malformed, parse_datagram
from tests.fuzz.mutate import CHEAP, messages, mutate

FILLERS = (b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n", b"", b"", b"", b"\r", b"\n", b"\0\0", b"x" * 70_000, b"X: " + b"\r\n " * 30_000)
SIZES = (1, 2, 3, 7, 100, 1000, 65_536)


def stream(random: Random) -> bytes:
    """Messages as they are written to a connection, with what may come between and what may not; the last ones perhaps spoilt."""
    octets = b""
    for _ in range(random.randint(1, 5)):
        data = random.choice(messages())
        with contextlib.suppress(Malformed):
            data = parse_datagram(data).encode()
        if random.random() < 0.2:
            data = mutate(data, random, messages())
        octets += (random.choice(FILLERS) if random.random() < 0.3 else b"") + data
    return octets


def frames(octets: bytes, cuts: list[int]) -> tuple[list[Frame], str]:
    """What comes out of the pieces, pings in a row as one, and what is said when the stream is lost."""
    framer = StreamFramer()
    found: list[Frame] = []
    lost = ""
    for start, end in pairwise([0, *cuts, len(octets)]):
        try:
            found += framer.feed(octets[start:end])
        except FramingLost as error:
            found += error.frames
            lost = lost or f"{error.status} {error} {error.request!r}"
        assert framer.buffered <= (0 if lost else MAX_MESSAGE)
    again = [isinstance(frame, Ping) and isinstance(before, Ping) for before, frame in pairwise(found)]
    return [frame for frame, more in zip(found, [False, *again], strict=False) if not more], lost


@CHEAP
@given(st.integers(0, 2**32))
def test_any_split_gives_the_same_frames(seed: int) -> None:
    random = Random(seed)
    octets = stream(random)
    whole = frames(octets, [])
    size = random.choice([size for size in SIZES if size * 5000 > len(octets)])
    assert frames(octets, list(range(size, len(octets), size))) == whole
    assert frames(octets, sorted(random.randrange(len(octets) + 1) for _ in range(random.randint(1, 20)))) == whole

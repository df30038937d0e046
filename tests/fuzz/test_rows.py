"""The same octets to the rows in Python and to those in C: what C takes means the same, and what it leaves alone is unusual."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sbc.errors import ParseError
from sbc.native.octets import Rows, read_params
from sbc.sip.grammar import Params, parse_unusual_params
from sbc.sip.names import CONTENT_LENGTH, KNOWN, HeaderName
from sbc.sip.rows import MAX_HEADERS, MAX_LINE, read_unusual_rows, write_unusual_rows
from tests.fuzz.mutate import CHEAP, messages, mutated

ROWS = Rows(KNOWN, HeaderName, CONTENT_LENGTH)


def head_of(data: bytes) -> bytes:
    return data.partition(b"\r\n\r\n")[0]


@CHEAP
@given(mutated(messages()))
def test_rows(data: bytes) -> None:
    head, _, body = data.partition(b"\r\n\r\n")
    found = ROWS.read(head)
    if found is None:
        return
    assert found == read_unusual_rows(head)
    start, names, values, first = found
    assert [name.spelling for name in names] == [name.spelling for name in read_unusual_rows(head)[1]]
    assert list(first) == list(dict.fromkeys(names))
    assert ROWS.write(start, names, values, body) in (None, write_unusual_rows(start, names, values, body))


def test_only_what_is_folded_or_wrong_is_unusual() -> None:
    """Or the above would prove nothing."""
    heads = [head_of(message) for message in messages() if b"\r\n " not in message and b"\r\n\t" not in message]
    taken = [found for head in heads if (found := ROWS.read(head))]
    assert len(taken) > 250
    assert len(taken) > 0.95 * len(heads)
    assert all(ROWS.write(start, names, values, b"") for start, names, values, _ in taken)


def test_what_is_too_much_is_left_to_python() -> None:
    row = b"\r\nX: y"
    assert ROWS.read(b"a" + row * (MAX_HEADERS - 1)) is not None
    assert ROWS.read(b"a" + row * MAX_HEADERS) is None
    assert ROWS.read(b"a\r\nX: ".ljust(MAX_LINE, b"y")) is not None
    assert ROWS.read(b"a\r\nX: ".ljust(MAX_LINE + 1, b"y")) is None
    assert ROWS.write("a", [], [], b"b" * (MAX_LINE - len("a\r\nContent-Length: 8192\r\n\r\n"))) is not None
    assert ROWS.write("a", [], [], b"b" * MAX_LINE) is None
    assert ROWS.write("\udcff", [], [], b"") is None


def params(text: str) -> Params | None:
    try:
        return parse_unusual_params(text)
    except ParseError:
        return None


PIECES = (
    *(";", "=", "a", "Tag", "-.!%*_+`'~", "z9hG4bK", '"', "<", ">", ",", " ", "\t", "\\", ":/?@[]", "\0", "\x7f", "ä", "\udcff"),
    "x" * 70,
)


@CHEAP
@given(st.lists(st.sampled_from(PIECES)).map("".join) | st.lists(st.sampled_from((";a", ";lr", "=b", ";Tag=x", ";rport"))).map("".join))
def test_params(text: str) -> None:
    found = read_params(text)
    assert found is None or found == params(text)


def test_usual_params_are_taken() -> None:
    assert read_params(";branch=z9hG4bK-1;rport;Received=10.0.0.1") == (("branch", "z9hG4bK-1"), ("rport", None), ("received", "10.0.0.1"))
    assert read_params(";a" * 32) is not None
    assert read_params(";a" * 33) is None
    assert read_params(f";{'a' * 64}=b") is not None
    assert read_params(f";{'a' * 65}=b") is None
    assert [read_params(text) for text in ("", "a", ";", ";=b", ";a=", ";a;", ';a="b"', ";a =b")] == [(), *[None] * 7]

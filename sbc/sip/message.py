"""Requests and responses: typed where every element looks, raw text everywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sbc.flow import Address
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.via import Via
from sbc.sip.grammar import split_rows
from sbc.sip.names import (
    CALL_ID,
    CONTENT_TYPE,
    CSEQ,
    FROM,
    MAX_FORWARDS,
    NEVER_LISTS,
    TIMESTAMP,
    TO,
    VIA,
    HeaderName,
)
from sbc.sip.rows import write_rows
from sbc.sip.status import reason_phrase
from sbc.sip.uri import Uri

Rows = Iterable[tuple[str, str]]


class Headers:
    """The header rows of a message, in order; a name may be there many times.

    Names are HeaderName, or any text that can become one. Values are text without CR, LF and NUL; octets that are not UTF-8
    are surrogates, and leave as they came.
    """

    __slots__ = ("_names", "_values")

    def __init__(self, rows: Rows = ()) -> None:
        self._names: list[HeaderName] = []
        self._values: list[str] = []
        for name, value in rows:
            self.add(name, value)

    @classmethod
    def adopt(cls, names: list[HeaderName], values: list[str]) -> Headers:
        """Takes over two lists of the same length without a look at them: for the parser."""
        headers = Headers()
        headers._names = names
        headers._values = values
        return headers

    def add(self, name: str, value: str) -> None:
        """A row at the end. ValueError when the value would break the message (as in every method that takes one)."""
        self._values.append(_checked(value))
        self._names.append(_named(name))

    def prepend(self, name: str, value: str) -> None:
        self._values.insert(0, _checked(value))
        self._names.insert(0, _named(name))

    def set(self, name: str, value: str) -> None:
        """One row of that name instead of all there are, where the first of them stood."""
        name = _named(name)
        value = _checked(value)
        count = self._names.count(name)
        if count > 1:
            position = self._names.index(name)
            self.remove(name)
            self._names.insert(position, name)
            self._values.insert(position, value)
        elif count:
            self._values[self._names.index(name)] = value
        else:
            self._names.append(name)
            self._values.append(value)

    def replace_first(self, name: str, value: str) -> None:
        """The first row of that name gets another value, the others stay. KeyError when there is none."""
        name = _named(name)
        if name not in self._names:
            raise KeyError(name)
        self._values[self._names.index(name)] = _checked(value)

    def remove(self, name: str) -> None:
        name = _named(name)
        if name in self._names:
            kept = [(n, v) for n, v in zip(self._names, self._values, strict=True) if n != name]
            self._names = [n for n, _ in kept]
            self._values = [v for _, v in kept]

    def first(self, name: str) -> str | None:
        name = _named(name)
        return self._values[self._names.index(name)] if name in self._names else None

    def all(self, name: str) -> list[str]:
        """The rows of that name, in order."""
        name = _named(name)
        if name not in self._names:  # mostly
            return []
        return [v for n, v in zip(self._names, self._values, strict=True) if n == name]

    def values(self, name: str) -> list[str]:
        """The items of a list header, whichever way they share rows (RFC 3261 s7.3.1). ParseError on an open quote.

        The authentication headers are no lists: their rows come whole.
        """
        name = _named(name)
        rows = self.all(name)
        return rows if name in NEVER_LISTS else split_rows(rows)

    def count(self, name: str) -> int:
        return self._names.count(_named(name))

    def copy(self) -> Headers:
        return Headers.adopt(self._names.copy(), self._values.copy())

    def pairs(self) -> Iterator[tuple[HeaderName, str]]:
        """Name and value of each row, in order; not to be changed meanwhile (iterate over the object itself for that)."""
        return zip(self._names, self._values, strict=True)

    def encode(self, start: str, body: bytes) -> bytes:
        """The message of that start line and body: each row as it is, but Content-Length, which is that of the body."""
        return write_rows(start, self._names, self._values, body)

    def has_any(self, names: frozenset[HeaderName]) -> bool:
        """Whether there is a row of one of these names."""
        return not names.isdisjoint(self._names)

    def __contains__(self, name: str) -> bool:
        return _named(name) in self._names

    def __iter__(self) -> Iterator[tuple[HeaderName, str]]:
        return iter(list(zip(self._names, self._values, strict=True)))

    def __len__(self) -> int:
        return len(self._names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._names == other._names and self._values == other._values

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"


class _Message:
    """What requests and responses share. The typed values always say the same as their header rows."""

    __slots__ = ("body", "call_id", "cseq", "from_", "headers", "to", "via")

    def __init__(self, headers: Headers, body: bytes, via: Via, from_: NameAddr, to: NameAddr, call_id: str, cseq: CSeq) -> None:
        self.headers = headers
        self.body = body
        self.via = via
        self.from_ = from_
        self.to = to
        self.call_id = call_id
        self.cseq = cseq

    def _encode(self, start: str) -> bytes:
        return self.headers.encode(start, self.body)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Message) and self.encode() == other.encode()

    __hash__ = None  # type: ignore[assignment]  # mutable

    def encode(self) -> bytes:
        raise NotImplementedError

    def __repr__(self) -> str:
        start = self.encode().partition(b"\r\n")[0]
        return f"<{start!r} {self.call_id}>"


class Request(_Message):
    __slots__ = ("method", "uri")

    def __init__(
        self,
        method: str,
        uri: Uri,
        headers: Headers,
        body: bytes,
        via: Via,
        from_: NameAddr,
        to: NameAddr,
        call_id: str,
        cseq: CSeq,
    ) -> None:
        super().__init__(headers, body, via, from_, to, call_id, cseq)
        self.method = method
        self.uri = uri

    @classmethod
    def build(
        cls,
        method: str,
        uri: Uri,
        *,
        via: Via,
        from_: NameAddr,
        to: NameAddr,
        call_id: str,
        cseq: CSeq,
        max_forwards: int = 70,
        headers: Rows = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> Request:
        """A request of our own. ValueError when a value would break the message."""
        rows = Headers.adopt(
            [VIA, MAX_FORWARDS, FROM, TO, CALL_ID, CSEQ],
            [_checked(v) for v in (str(via), str(max_forwards), str(from_), str(to), call_id, str(cseq))],
        )
        for name, value in headers:
            rows.add(name, value)
        if content_type:
            rows.add(CONTENT_TYPE, content_type)
        _checked(str(uri))
        return cls(method, uri, rows, body, via, from_, to, call_id, cseq)

    def with_headers(self, headers: Headers) -> Request:
        """The same with other rows; those of the typed values are as they were."""
        return Request(self.method, self.uri, headers, self.body, self.via, self.from_, self.to, self.call_id, self.cseq)

    def stamp(self, source: Address) -> None:
        """Note in the top Via where the request came from (RFC 3261 s18.2.1, RFC 3581 s4)."""
        via = self.via.stamped(source)
        if via is not self.via:
            self.put_via(via)

    def put_via(self, via: Via) -> None:
        """Another top Via: it goes by another way."""
        self.via = via
        self.headers.replace_first(VIA, str(via))

    @property
    def length(self) -> int:
        """Octets on the wire."""
        return len(self.encode())

    def encode(self) -> bytes:
        """The octets for the wire, Content-Length as the body is."""
        return self._encode(f"{self.method} {self.uri} SIP/2.0")


class Response(_Message):
    __slots__ = ("reason", "status")

    def __init__(
        self,
        status: int,
        reason: str,
        headers: Headers,
        body: bytes,
        via: Via,
        from_: NameAddr,
        to: NameAddr,
        call_id: str,
        cseq: CSeq,
    ) -> None:
        super().__init__(headers, body, via, from_, to, call_id, cseq)
        self.status = status
        self.reason = reason

    @classmethod
    def answer(
        cls,
        request: Request,
        status: int,
        reason: str = "",
        *,
        to_tag: str = "",
        headers: Rows = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> Response:
        """The answer to `request` (RFC 3261 s8.2.6): Via, From, To, Call-ID and CSeq as they came, To with `to_tag` if it had none.

        Record-Route and Contact of an answer that makes a dialog are the caller's. ValueError when a value would break the message.
        """
        to = request.to
        add_tag = to_tag and not to.tag
        if add_tag:
            to = to.with_tag(to_tag)
        names, values = [], []
        echoed = _ECHOED_IN_100 if status == 100 else ECHOED
        for name, value in request.headers.pairs():
            if name in echoed:
                names.append(name)
                values.append(f"{value};tag={_checked(to_tag)}" if add_tag and name is TO else value)
        rows = Headers.adopt(names, values)
        for header, value in headers:
            rows.add(header, value)
        if content_type:
            rows.add(CONTENT_TYPE, content_type)
        reason = _checked(reason) if reason else reason_phrase(status)
        return cls(status, reason, rows, body, request.via, request.from_, to, request.call_id, request.cseq)

    def with_headers(self, headers: Headers) -> Response:
        """The same with other rows; those of the typed values are as they were."""
        return Response(self.status, self.reason, headers, self.body, self.via, self.from_, self.to, self.call_id, self.cseq)

    def encode(self) -> bytes:
        """The octets for the wire, Content-Length as the body is."""
        return self._encode(f"SIP/2.0 {self.status} {self.reason}")


ECHOED = frozenset({VIA, FROM, TO, CALL_ID, CSEQ})
_ECHOED_IN_100 = ECHOED | {TIMESTAMP}  # RFC 3261 s8.2.6.1


def _named(name: str) -> HeaderName:
    return name if type(name) is HeaderName else HeaderName(name)


def _checked(value: str) -> str:
    """What ends a line never gets into one, whatever it was decoded from."""
    if "\r" in value or "\n" in value or "\0" in value:
        raise ValueError("CR, LF or NUL in a header value")
    return value

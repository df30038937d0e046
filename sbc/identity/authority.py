"""What a certificate may vouch for: numbers (TNAuthList, RFC 8226 s9) and claims (JWTClaimConstraints, RFC 8226 s8, 9118)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from sbc.identity.faults import InvalidPassport, UnsupportedCredential
from sbc.identity.passport import Claims

TN_AUTH_LIST = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.26")
CLAIM_CONSTRAINTS = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.27")
ENHANCED_CONSTRAINTS = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.33")
KNOWN = frozenset((TN_AUTH_LIST, CLAIM_CONSTRAINTS, ENHANCED_CONSTRAINTS))

MAX_ENTRIES = 10_000  # of one certificate; whoever has more numbers has a provider's code
_SEQUENCE, _INTEGER = 0x30, 0x02
_TEXTS = frozenset((0x0C, 0x16))  # UTF8String, IA5String
_TAG0, _TAG1, _TAG2 = 0xA0, 0xA1, 0xA2


@dataclass(frozen=True, slots=True)
class Numbers:
    """So many numbers from the first on, all of its length."""

    first: str
    count: int = 1

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, str) or len(number) != len(self.first) or not (number.isascii() and number.isdigit()):
            return number == self.first
        return self.first.isdigit() and 0 <= int(number) - int(self.first) < self.count

    def covers(self, other: Numbers) -> bool:
        last = str(int(other.first) + other.count - 1).zfill(len(other.first)) if other.first.isdigit() else other.first
        return other.first in self and last in self


@dataclass(frozen=True, slots=True)
class Authority:
    """`codes` of service providers stand for all the numbers of those: which these are is the business of who issues certificates."""

    codes: tuple[str, ...] = ()
    numbers: tuple[Numbers, ...] = ()

    def covers(self, number: str) -> bool:
        return bool(self.codes) or any(number in some for some in self.numbers)

    def encompasses(self, other: Authority) -> bool:
        """Whether whoever has this may give the other away (RFC 9060 s4.1)."""
        if self.codes:
            return not other.codes or set(other.codes) <= set(self.codes)
        return not other.codes and all(any(some.covers(each) for some in self.numbers) for each in other.numbers)


@dataclass(frozen=True, slots=True)
class Constraints:
    """What tokens under a certificate must say, may say and must not say, whatever its kind adds by itself."""

    include: tuple[str, ...] = ()
    permitted: tuple[tuple[str, tuple[str, ...]], ...] = ()
    exclude: tuple[str, ...] = ()

    def check(self, claims: Claims) -> None:
        """InvalidPassport."""
        for name in self.include:
            if name not in claims:
                raise InvalidPassport(f"its certificate asks for {name}")
        for name, values in self.permitted:
            if name in claims and not _permitted(claims[name], values):
                raise InvalidPassport(f"its certificate does not allow this {name}")
        for name in self.exclude:
            if name in claims:
                raise InvalidPassport(f"its certificate forbids {name}")


def _permitted(value: object, values: tuple[str, ...]) -> bool:
    return str(value) in values if isinstance(value, str | int) and not isinstance(value, bool) else False


def authority(certificate: x509.Certificate) -> Authority | None:
    """None: it says nothing of numbers. UnsupportedCredential."""
    octets = _extension(certificate, TN_AUTH_LIST)
    if octets is None:
        return None
    codes: list[str] = []
    numbers: list[Numbers] = []
    for tag, entry in _items(_content(octets, _SEQUENCE)):
        if tag == _TAG0:
            codes.append(_text(entry))
        elif tag == _TAG1:
            numbers.append(_range(entry))
        elif tag == _TAG2:
            numbers.append(Numbers(_text(entry)))
        else:
            raise UnsupportedCredential("a TNAuthList with something unknown in it")
        if len(codes) + len(numbers) > MAX_ENTRIES:
            raise UnsupportedCredential("a TNAuthList too long")
    if not codes and not numbers:
        raise UnsupportedCredential("an empty TNAuthList")
    return Authority(tuple(codes), tuple(numbers))


def constraints(certificate: x509.Certificate) -> Constraints:
    """The enhanced ones where both are there (RFC 9118 s4). UnsupportedCredential."""
    octets = _extension(certificate, ENHANCED_CONSTRAINTS)
    if octets is None:
        octets = _extension(certificate, CLAIM_CONSTRAINTS)
    if octets is None:
        return Constraints()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    permitted: list[tuple[str, tuple[str, ...]]] = []
    for tag, content in _items(_content(octets, _SEQUENCE)):
        if tag == _TAG0:
            include = _names(_content(content, _SEQUENCE))
        elif tag == _TAG1:
            for _, pair in _items(_content(content, _SEQUENCE)):
                (_, name), (_, values) = _two(pair)
                permitted.append((_decoded(name), _names(values)))
        elif tag == _TAG2:
            exclude = _names(_content(content, _SEQUENCE))
    return Constraints(include, tuple(permitted), exclude)


def _extension(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> bytes | None:
    try:
        value = certificate.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return None
    assert isinstance(value, x509.UnrecognizedExtension)
    return value.value


# As much of DER (X.690) as these two extensions need.


def _items(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of what follows one another. UnsupportedCredential."""
    at = 0
    while at < len(octets):
        if len(octets) < at + 2:
            raise UnsupportedCredential("broken DER")
        tag, length = octets[at], octets[at + 1]
        at += 2
        if length >= 0x80:
            size = length - 0x80
            if not 1 <= size <= 3 or len(octets) < at + size:
                raise UnsupportedCredential("broken DER")
            length = int.from_bytes(octets[at : at + size], "big")
            at += size
        if len(octets) < at + length:
            raise UnsupportedCredential("broken DER")
        yield tag, octets[at : at + length]
        at += length


def _content(octets: bytes, tag: int) -> bytes:
    """Of the one item these are."""
    items = list(_items(octets))
    if len(items) != 1 or items[0][0] != tag:
        raise UnsupportedCredential("unexpected DER")
    return items[0][1]


def _two(octets: bytes) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    items = list(_items(octets))
    if len(items) != 2:
        raise UnsupportedCredential("unexpected DER")
    return items[0], items[1]


def _range(octets: bytes) -> Numbers:
    (tag, first), (kind, count) = _two(_content(octets, _SEQUENCE))
    if tag not in _TEXTS or kind != _INTEGER or not 1 <= len(count) <= 8:
        raise UnsupportedCredential("not a range of numbers")
    return Numbers(_decoded(first), int.from_bytes(count, "big", signed=True))


def _text(octets: bytes) -> str:
    items = list(_items(octets))
    if len(items) != 1 or items[0][0] not in _TEXTS:
        raise UnsupportedCredential("unexpected DER")
    return _decoded(items[0][1])


def _names(octets: bytes) -> tuple[str, ...]:
    return tuple(_decoded(content) for _, content in _items(octets))


def _decoded(octets: bytes) -> str:
    try:
        return octets.decode()
    except ValueError as error:
        raise UnsupportedCredential("text that is none") from error

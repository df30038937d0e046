"""The session description as values (RFC 8866): what a body says, line by line, nothing decided yet.

Attribute lines may carry SRTP keys (RFC 4568), so no `repr` in this module shows them.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import NamedTuple

from sbc.frozen import frozen

Attribute = tuple[str, str | None]  # name, value; None: a flag without a colon
Line = tuple[str, str]  # type letter, value


class Direction(StrEnum):
    """Who sends, seen by the party that wrote it (RFC 8866 s6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @classmethod
    def of(cls, sends: bool, receives: bool) -> Direction:
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def sends(self) -> bool:
        return self is Direction.SENDRECV or self is Direction.SENDONLY

    @property
    def receives(self) -> bool:
        return self is Direction.SENDRECV or self is Direction.RECVONLY

    def answering(self, offer: Direction) -> Direction:
        """This answer, cut down to what that offer allows (RFC 3264 s6.1).

        Both parties pressing hold (`sendonly` answered by `sendonly`) comes out as inactive.
        """
        return Direction.of(self.sends and offer.receives, self.receives and offer.sends)


_DIRECTIONS = {direction.value: direction for direction in Direction}


@frozen
class Codec:
    """One payload type: encoding name in its registered spelling, RTP clock in Hz, format parameters verbatim ("" for none)."""

    name: str
    clock: int
    channels: int
    payload: int
    fmtp: str = ""

    @property
    def key(self) -> tuple[str, int, int]:
        """What makes two payload types the same encoding, whatever their numbers."""
        return self.name, self.clock, self.channels


class Connection(NamedTuple):
    """A c= line: "IP4" or "IP6", and the address as written (a name, or with a multicast suffix, too)."""

    family: str
    address: str

    @classmethod
    def to(cls, host: str) -> Connection:
        return cls("IP6" if ":" in host else "IP4", host)

    def __str__(self) -> str:
        return f"IN {self.family} {self.address}"


@frozen
class Media:
    """One m= section. `lines`: its i=, b= and k= lines."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    connection: Connection | None = None
    attributes: tuple[Attribute, ...] = field(default=(), repr=False)
    lines: tuple[Line, ...] = field(default=(), repr=False)
    port_count: int = 1

    def first(self, name: str) -> str | None:
        """Value of the first attribute of that name; "" for a flag, None when absent."""
        return _first(self.attributes, name)

    def all(self, name: str) -> list[str]:
        return [value or "" for key, value in self.attributes if key == name]


@frozen
class Session:
    """A whole description. `origin` is the o= value; `lines` the i=, u=, e=, p=, b=, t=, r=, z= and k= lines."""

    origin: str = field(repr=False)
    name: str = field(default="-", repr=False)
    connection: Connection | None = None
    attributes: tuple[Attribute, ...] = field(default=(), repr=False)
    lines: tuple[Line, ...] = field(default=(("t", "0 0"),), repr=False)
    media: tuple[Media, ...] = ()

    def first(self, name: str) -> str | None:
        """Value of the first session-level attribute of that name; "" for a flag, None when absent."""
        return _first(self.attributes, name)

    def direction(self, media: Media) -> Direction:
        """The direction of one of our m= sections: its own, else the session's, else sendrecv (RFC 8866 s6.7)."""
        for attributes in (media.attributes, self.attributes):
            for name, _ in attributes:
                if name in _DIRECTIONS:
                    return _DIRECTIONS[name]
        return Direction.SENDRECV

    def encode(self) -> bytes:
        """The octets, in the order of RFC 8866 s5, CRLF line ends."""
        out = ["v=0", f"o={self.origin}", f"s={self.name}"]
        _write_section(out, self.lines, "iuep", self.connection, "btrzk", self.attributes)
        for media in self.media:
            port = media.port if media.port_count == 1 else f"{media.port}/{media.port_count}"
            out.append(f"m={media.kind} {port} {media.protocol} {' '.join(media.formats)}")
            _write_section(out, media.lines, "i", media.connection, "bk", media.attributes)
        out.append("")
        return "\r\n".join(out).encode("utf-8", "surrogateescape")


def _first(attributes: tuple[Attribute, ...], name: str) -> str | None:
    for key, value in attributes:
        if key == name:
            return value or ""
    return None


def _write_section(
    out: list[str],
    lines: tuple[Line, ...],
    before: str,
    connection: Connection | None,
    after: str,
    attributes: tuple[Attribute, ...],
) -> None:
    if lines:
        out.extend(f"{letter}={value}" for letter, value in lines if letter in before)
    if connection is not None:
        out.append(f"c={connection}")
    if lines:
        out.extend(f"{letter}={value}" for letter, value in lines if letter in after)
    out.extend([f"a={name}" if value is None else f"a={name}:{value}" for name, value in attributes])

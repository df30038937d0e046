"""Regular expressions of the policy, matched in time linear in the text, whoever wrote it (docs/decisions: RE2)."""

from __future__ import annotations

import re
from functools import lru_cache

import re2

MAX_PATTERN = 256  # characters; the longest in operators' rules that we have seen have 80
MAX_MEMORY = 1 << 20  # octets that one may take, compiled; RE2's own bound is 8 MiB
MAX_RESULT = 8192  # octets of a header row that we would take ourselves

_GROUP = re.compile(r"\\([0-9])")


class Expression:
    """A pattern and what stands in the place of its first match; `\\1` to `\\9` there are its groups, `\\0` all of the match.

    ValueError, with a text for people, when it is no regular expression of RE2 or names a group that it does not have.
    """

    __slots__ = ("_pieces", "_regexp")

    def __init__(self, pattern: str, instead: str) -> None:
        if not pattern.isascii():
            raise ValueError("a pattern has ASCII characters only")
        if len(pattern) > MAX_PATTERN:
            raise ValueError(f"a pattern has at most {MAX_PATTERN} characters")
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1  # a header is octets, some of them no UTF-8
        options.max_mem = MAX_MEMORY
        options.log_errors = False
        try:
            self._regexp = re2.compile(pattern.encode("ascii"), options)
        except re2.error as error:
            raise ValueError(f"no regular expression of RE2: {_text(error)}") from None
        found = _GROUP.split(instead)
        self._pieces = [int(piece) if number % 2 else piece.encode() for number, piece in enumerate(found)]
        for piece in self._pieces:
            if isinstance(piece, int) and piece > self._regexp.groups:
                raise ValueError(f"\\{piece} is no group of the pattern, which has {self._regexp.groups}")

    def replace(self, text: str) -> str:
        """`text` with its first match replaced; as it was when there is none, or when it would become too long for a header."""
        octets = text.encode(errors="surrogateescape")
        match = self._regexp.search(octets)
        if match is None:
            return text
        instead = b"".join([match[piece] or b"" if isinstance(piece, int) else piece for piece in self._pieces])
        result = octets[: match.start()] + instead + octets[match.end() :]
        return result.decode(errors="surrogateescape") if len(result) <= MAX_RESULT else text


@lru_cache(maxsize=1024)
def expression(pattern: str, instead: str) -> Expression:
    """Compiled once; the policy's check has them all compiled before a call needs one."""
    return Expression(pattern, instead)


def _text(error: Exception) -> str:
    """RE2 speaks in octets."""
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)

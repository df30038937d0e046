"""RSeq and RAck: which provisional response is meant, and that it has arrived (RFC 3262 s7.1, s7.2)."""

from __future__ import annotations

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.fields.cseq import CSeq
from sbc.sip.grammar import parse_number

HIGHEST = 2**32 - 1  # "Each provisional response is given a sequence number … between 1 and 2**32 - 1"
HIGHEST_FIRST = 2**31 - 1  # the first one is chosen below that (s3), so that counting up never wraps


@frozen
class RAck:
    """`rseq` of the response, and the CSeq it had."""

    rseq: int
    cseq: CSeq

    @classmethod
    def parse(cls, text: str) -> RAck:
        """ParseError."""
        number, _, rest = text.replace("\t", " ").partition(" ")
        return cls(parse_rseq(number), CSeq.parse(rest.lstrip(" ")))

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq}"


def parse_rseq(text: str) -> int:
    """ParseError, also for 0."""
    number = parse_number(text, HIGHEST)
    if number == 0:
        raise ParseError("RSeq 0")
    return number

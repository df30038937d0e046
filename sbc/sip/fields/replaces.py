"""Replaces (RFC 3891 s6.1): names a dialog, its tags as its receiver sees them."""

from __future__ import annotations

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import find_param, is_token, parse_params


@frozen
class Replaces:
    """`to_tag` is the receiver's own tag in that dialog, `from_tag` the other party's; `early_only`: not if it is answered."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Replaces:
        """ParseError without exactly one tag of each kind."""
        call_id, semicolon, rest = text.partition(";")
        call_id = call_id.strip(" \t")
        params = parse_params(semicolon + rest)
        to_tag, from_tag = find_param(params, "to-tag"), find_param(params, "from-tag")
        names = [name for name, _ in params]
        if not call_id or " " in call_id or not to_tag or not from_tag or names.count("to-tag") + names.count("from-tag") > 2:
            raise ParseError("malformed Replaces")
        if not is_token(to_tag) or not is_token(from_tag):
            raise ParseError("malformed tag in Replaces")
        return cls(call_id, to_tag, from_tag, "early-only" in names)

    def __str__(self) -> str:
        early_only = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early_only}"

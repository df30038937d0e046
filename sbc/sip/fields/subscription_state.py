"""Subscription-State (RFC 6665 s8.2.3)."""

from __future__ import annotations

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import Params, format_params, is_token, parse_params

_DEFINED = ("expires", "reason", "retry-after")


@frozen
class SubscriptionState:
    """`state` is "active", "pending", "terminated" or, from an extension, anything else: then it counts as active."""

    state: str
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> SubscriptionState:
        """ParseError."""
        state, semicolon, rest = text.partition(";")
        state = state.strip(" \t")
        if not is_token(state):
            raise ParseError("malformed Subscription-State")
        return cls(state.lower(), parse_params(semicolon + rest))

    @property
    def told(self) -> SubscriptionState:
        """With what RFC 6665 defines, and nothing else: extensions of one side mean nothing to the other."""
        return SubscriptionState(self.state, tuple([param for param in self.params if param[0] in _DEFINED]))

    @property
    def terminated(self) -> bool:
        return self.state == "terminated"

    def __str__(self) -> str:
        return self.state + format_params(self.params)

"""P-Charging-Vector (RFC 7315 s4.6)."""

from __future__ import annotations

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import Params, find_param, format_params, is_token, parse_params, quote, unquote

_TYPED = ("icid-value", "icid-generated-at", "orig-ioi", "term-ioi")


@frozen
class ChargingVector:
    """`icid` correlates the charging records of a session; `generated_at` is the host that made it, `orig_ioi` and `term_ioi`
    name the networks at both ends. Decoded, "" if absent; `params` are all others, raw.
    """

    icid: str
    generated_at: str = ""
    orig_ioi: str = ""
    term_ioi: str = ""
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> ChargingVector:
        """ParseError, also without icid-value."""
        params = parse_params(";" + text)
        icid, generated_at, orig_ioi, term_ioi = [unquote(find_param(params, name) or "") for name in _TYPED]
        if not icid:
            raise ParseError("P-Charging-Vector without icid-value")
        return cls(
            icid,
            generated_at,
            orig_ioi,
            term_ioi,
            tuple([item for item in params if item[0] not in _TYPED]),
        )

    def __str__(self) -> str:
        named = (("icid-generated-at", self.generated_at), ("orig-ioi", self.orig_ioi), ("term-ioi", self.term_ioi))
        written = "".join([f";{name}={_written(value)}" for name, value in named if value])
        return f"icid-value={_written(self.icid)}{written}{format_params(self.params)}"


def _written(value: str) -> str:
    return value if is_token(value) else quote(value)

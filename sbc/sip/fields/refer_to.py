"""Refer-To (RFC 3515 s2.1), with the one header in its URI that we act on."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.replaces import Replaces
from sbc.sip.uri import Uri, unescape

_KEPT_FROM_US = frozenset({"transport", "maddr", "ttl", "lr", "method"})  # how to get there is ours to say


@frozen
class ReferTo:
    """`uri` is without headers and method; any other header in it than Replaces would steer our INVITE, and is left out."""

    uri: Uri
    replaces: Replaces | None = None

    @classmethod
    def parse_rows(cls, rows: Sequence[str]) -> ReferTo:
        """From the rows of a REFER. ParseError unless there is exactly one (RFC 3515 s2.4.2), and it means an INVITE."""
        if len(rows) != 1:
            raise ParseError("not exactly one Refer-To")
        uri = NameAddr.parse(rows[0]).uri
        if (uri.param("method") or "INVITE").upper() != "INVITE":
            raise ParseError("a Refer-To for another method than INVITE")
        replaces = None
        for item in uri.headers.split("&"):
            name, _, value = item.partition("=")
            if unescape(name).lower() == "replaces":
                if replaces is not None:
                    raise ParseError("more than one Replaces in a Refer-To")
                replaces = Replaces.parse(unescape(value))
        params = tuple([param for param in uri.params if param[0] not in _KEPT_FROM_US])
        return cls(uri.with_(headers="", params=params), replaces)

    def __str__(self) -> str:
        if self.replaces is None:
            return f"<{self.uri}>"
        return f"<{self.uri}?Replaces={quote(str(self.replaces), safe='-_.!~*()')}>"

"""An INVITE by a glance: in an overload there is no time to read all of one that will be turned away, nor to make its answer of values.

Whatever is not quite usual is left to who reads all of it.
"""

from __future__ import annotations

import re

from sbc.errors import ParseError
from sbc.flow import Flow
from sbc.sip.fields.via import Via
from sbc.sip.message import ECHOED
from sbc.sip.names import CALL_ID, CSEQ, FROM, TO, VIA
from sbc.sip.rows import read_rows, write_rows
from sbc.sip.server import is_unique
from sbc.sip.status import reason_phrase
from sbc.sip.uri import Uri

_INVITE = b"INVITE "

# Folded lines; what may give the call another rank (RFC 4412), or is to be heard of our overload (RFC 7339); a dialog there is.
_UNUSUAL = re.compile(
    rb"\r\n(?:[ \t]|resource-priority|require|(?:to|t)[ \t]*:[^\r\n]*tag[ \t]*=|(?:via|v)[ \t]*:[^\r\n]*;[ \t]*oc)", re.IGNORECASE
)


def call_to(data: bytes) -> Uri | None:
    """The Request-URI of an INVITE that begins a call, if nothing else in it tells how urgent it is. None: anything else."""
    if not data.startswith(_INVITE) or _UNUSUAL.search(data):
        return None
    try:
        return Uri.parse(data[len(_INVITE) : data.find(b" ", len(_INVITE))].decode("ascii"))
    except (ParseError, UnicodeDecodeError):
        return None


def refusal(data: bytes, flow: Flow, status: int, to_tag: str) -> tuple[Via, bytes] | None:
    """The answer of that status to an INVITE that `call_to` knows, as `Response.answer` would have made it, and the Via it came with."""
    head = data[: max(0, data.find(b"\r\n\r\n"))]
    try:
        _, names, values, first = read_rows(head)
        via = Via.parse(first.get(VIA, ""))
    except ParseError:
        return None
    if not is_unique(via.branch) or b"\0" in head:
        return None
    if any(names.count(name) != 1 for name in _SINGLE) or not first[CSEQ].endswith("INVITE"):
        return None
    echoed, texts = [], []
    for name, value in zip(names, values, strict=True):
        if name in ECHOED:
            if name is VIA and "," in value:  # several in one row
                return None
            echoed.append(name)
            texts.append(f"{value};tag={to_tag}" if name is TO else value)
    stamped = via.stamped(flow.remote)
    if stamped is not via:
        texts[echoed.index(VIA)] = str(stamped)
    return via, write_rows(f"SIP/2.0 {status} {reason_phrase(status)}", echoed, texts, b"")


_SINGLE = (FROM, TO, CALL_ID, CSEQ)

"""Requests that say of themselves that nobody means them: what scanners write when they are run as they come."""

from __future__ import annotations

import re

from sbc.sip.message import Request
from sbc.sip.names import USER_AGENT

# Programs whose only use is to find other people's accounts. sipsak and SIPp are not among them: administrators use those.
USER_AGENTS = (
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sundayddr",
    "vaxsipuseragent",
    "vaxasip",
    "sivus",
    "siparmyknife",
    "iwar",
    "pplsip",
    "smap ",
    "nm@nm",
)
_NAMES = frozenset({"nm", "nm2", "sipvicious", "sipsscuser"})  # nmap, svmap
_CODE = re.compile(r"['`\"\\<>\x00-\x1f]|--|\$\(|\.\./")  # of a database or a shell, where an account or a number belongs
LOOKED_AT = 200  # characters of a header: names of programs are shorter


def scanner_sign(request: Request) -> str:
    """What gives it away, for people; "": nothing. Only to be asked about strangers."""
    agent = (request.headers.first(USER_AGENT) or "")[:LOOKED_AT].lower()
    for name in USER_AGENTS:
        if name in agent:
            return f"User-Agent {name.strip()}"
    for party in (request.from_, request.to):
        if party.display[:LOOKED_AT].lower().strip('" ') in _NAMES:
            return "its name"
    for uri in (request.uri, request.from_.uri, request.to.uri):
        user = uri.decoded_user[:LOOKED_AT].lower()
        if user in _NAMES:
            return f"address {user}"
        if _CODE.search(user):
            return "address with code in it"
    return ""

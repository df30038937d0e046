"""Where a certificate may be fetched from. Whoever calls us chooses the URL: it must never lead into our own networks."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from sbc.identity.faults import BadIdentityInfo

PORTS = (None, 443, 8443)  # ATIS-1000074 and what carriers use
MAX_URL = 1024


def check_url(url: str) -> tuple[str, int]:
    """Host and port of an x5u we may ask. BadIdentityInfo."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadIdentityInfo("a certificate URL that is none") from error
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_URL
    if not plain or parts.scheme != "https" or not host or port not in PORTS:
        raise BadIdentityInfo("a certificate URL that is not https on port 443 or 8443")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise BadIdentityInfo("a certificate URL with credentials or a query")
    if _leads_inside(host):
        raise BadIdentityInfo("a certificate URL that leads inside")
    return host, port or 443


def public(address: str) -> bool:
    """Whether an address that a name led to is on the Internet: to be asked after every look-up, of the address that is then used."""
    found = ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    return (mapped or found).is_global and not found.is_multicast


def _leads_inside(host: str) -> bool:
    try:
        return not public(host)
    except ValueError:
        # a name; "127.1", "0x7f.1" and "2130706433" are addresses to some resolvers
        return host.rpartition(".")[2].isdigit() or host.rpartition(".")[2].startswith("0x")

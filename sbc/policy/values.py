"""The words of the policy language: text to value, or a ValueError whose text tells the operator what to write."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import netaddr

from media.api import Suite
from sbc.errors import ParseError
from sbc.flow import Transport
from sbc.identity.faults import BadIdentityInfo
from sbc.identity.location import check_url
from sbc.policy.problems import did_you_mean
from sbc.policy.snapshot import Peer
from sbc.sip.digest import HASHES
from sbc.sip.fields.resource_priority import NAMESPACES
from sbc.sip.grammar import is_token
from sbc.sip.names import HeaderName
from sbc.sip.uri import Uri

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DEFAULT_PORTS: dict[Transport, int] = {"UDP": 5060, "TCP": 5060, "TLS": 5061, "WS": 80, "WSS": 443, "QUIC": 5063}
FIRST_FREE_PORT = 1024  # media on privileged ports is refused by peers, and by us (RFC 6335 s6)

# Per-hop behaviours by name: RFC 2474, 2597, 3246, 5865, 8622.
DSCP = {
    "ef": 46,
    "va": 44,
    "le": 1,
    "df": 0,
    **{f"cs{number}": 8 * number for number in range(8)},
    **{f"af{number}{drop}": 8 * number + 2 * drop for number in range(1, 5) for drop in range(1, 4)},
}

_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_.+-]{0,63}")
_DURATION = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_FRACTION = re.compile(r"([0-9]{1,5})(ms|s)")
_BANDWIDTH = re.compile(r"([0-9]{1,6})(k|M|G)")
_RATE = re.compile(r"([0-9]{1,6})/(s|m|h|d)")
_PORTS = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
_LISTENER = re.compile(r"([a-z]+)://(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/?#@]+))(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_PATTERN = re.compile(r"[A-Za-z0-9_.+#-]{0,64}\*?")
_ACCOUNT = re.compile(r"[A-Za-z0-9_.+*~!-]{1,64}")
_DIGEST_USER = re.compile(r"[!-~]{1,128}")
_PREFIX = re.compile(r"\+?[0-9*#]{0,20}")
_REPLACEMENT = re.compile(r"\+?[0-9]{0,20}")
_SHORT_NUMBER = re.compile(r"[0-9*#]{2,15}")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_REDRESS_URL = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/?&=%+-]*)?")
_E164 = re.compile(r"\+[1-9][0-9]{4,14}")
_EMAIL = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,128}")
MAX_HEADER_TEXT = 512  # what would be longer is no header but a document
_HEADER_TEXT = re.compile(rf"(?! )[^\x00-\x1f\x7f-\x9f]{{1,{MAX_HEADER_TEXT}}}(?<! )")
_CODEC = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")

# Decided by the protocol, or by the trust between two parties: a list cannot let them through.
RULED = frozenset(
    map(
        HeaderName,
        (
            *("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Route", "Record-Route", "Max-Forwards", "Max-Breadth", "Path"),
            *("Require", "Proxy-Require", "Supported", "Unsupported", "Allow", "Allow-Events", "Timestamp", "Service-Route"),
            *("Accept", "Accept-Encoding", "Accept-Language", "MIME-Version", "Authorization", "Proxy-Authorization"),
            *("WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Session-Expires", "Min-SE", "Expires", "Min-Expires"),
            *("RAck", "RSeq", "Event", "Subscription-State", "Refer-To", "Referred-By", "Replaces", "Join", "Target-Dialog"),
            *("Identity", "Date", "Privacy", "Remote-Party-ID", "Diversion", "History-Info", "Session-ID", "Reason", "Warning"),
            *("Retry-After", "Priority", "Resource-Priority", "Geolocation", "Geolocation-Routing", "Accept-Contact", "Reject-Contact"),
            *("P-Asserted-Identity", "P-Preferred-Identity", "P-Called-Party-ID", "P-Visited-Network-ID", "P-Access-Network-Info"),
        ),
    )
)
RULED_PREFIXES = ("content-", "p-charging-")
# Part of one transaction or dialog, not an answer to the call: a challenge that became a 480 could never be met.
PROTOCOL_STATUSES = frozenset({401, 407, 420, 421, 422, 423, 481, 482, 487, 491, 494})


class ListenerUrl(NamedTuple):
    transport: Transport
    address: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.transport.lower()}://{host}:{self.port}"


class PortRange(NamedTuple):
    first: int
    last: int


def name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a name has at most 64 letters, digits and '_', '.', '+', '-', and starts with neither '.' nor '-'")
    return text


def account(text: str) -> str:
    """The user part of an address of record of ours."""
    if not _ACCOUNT.fullmatch(text):
        raise ValueError("an account has at most 64 letters, digits and '_', '.', '+', '*', '~', '!', '-'; the domain goes into 'domain'")
    return text


def digest_user(text: str) -> str:
    if not _DIGEST_USER.fullmatch(text):
        raise ValueError("a user name has at most 128 printable ASCII characters and no space")
    return text


def duration(text: str) -> float:
    """`60s`, `2m`, `4h`, `1d` in seconds."""
    found = _DURATION.fullmatch(text)
    if not found or not int(found[1]):
        raise ValueError("a duration is a number with its unit: 60s, 2m, 4h or 1d")
    return float(int(found[1]) * SECONDS[found[2]])


def round_trip(text: str) -> float:
    """T1 (RFC 3261 s17.1.1.1): `200ms`, `1s` in seconds, 0.1 to 2."""
    found = _FRACTION.fullmatch(text)
    seconds = int(found[1]) / (1000 if found[2] == "ms" else 1) if found else 0.0
    if not 0.1 <= seconds <= 2.0:
        raise ValueError("a time from 100ms to 2s")
    return seconds


def packet_time(text: str) -> int:
    """`20ms`: 5 to 200 milliseconds."""
    found = _FRACTION.fullmatch(text)
    if not found or found[2] != "ms" or not 5 <= int(found[1]) <= 200:
        raise ValueError("a packet has 5ms to 200ms of speech: 20ms")
    return int(found[1])


def rate(text: str) -> float:
    """`20/s`, `100/m`, `500/h`, `50/d` as a number per second."""
    found = _RATE.fullmatch(text)
    if not found or not int(found[1]):
        raise ValueError("a rate is a number per second, minute, hour or day: 20/s, 100/m, 500/h or 50/d")
    return int(found[1]) / SECONDS[found[2]]


def bandwidth(text: str) -> int:
    """`512k`, `10M`, `1G` in bits per second."""
    found = _BANDWIDTH.fullmatch(text)
    if not found or not int(found[1]):
        raise ValueError("a bandwidth is a number of bits per second with its unit: 512k, 10M or 1G")
    return int(found[1]) * {"k": 1000, "M": 1000_000, "G": 1000_000_000}[found[2]]


def address(text: str) -> str:
    """A numeric host address, in its usual spelling."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None
    if parsed.is_unspecified or parsed.is_multicast:
        raise ValueError(f"{text!r} is not the address of one interface: a realm is one network, name its address")
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.scope_id:
        raise ValueError("link-local addresses with a zone cannot be advertised to peers: use another address")
    return str(parsed)


def host(text: str) -> str:
    """A host name or a numeric address (IPv6 without brackets), lower case."""
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        if not text.isascii():
            raise ValueError(f"{text!r}: write an international name in its ASCII form, xn--…") from None  # RFC 5922 s7.2
        labels = text.removesuffix(".").split(".")
        if len(text) > 253 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
            raise ValueError(f"{text!r} is neither a host name nor an IP address") from None
        return text.removesuffix(".").lower()


def listener(text: str) -> ListenerUrl:
    """`tls://10.0.1.10:5061`, `udp://[::1]:5060`, `tcp://10.0.1.10`, `wss://10.0.1.10:443`."""
    found = _LISTENER.fullmatch(text)
    if not found:
        raise ValueError("write it as udp://ADDRESS:PORT, tcp://…, tls://…, ws://…, wss://… or quic://…, an IPv6 address in brackets")
    transports: dict[str, Transport] = {"udp": "UDP", "tcp": "TCP", "tls": "TLS", "ws": "WS", "wss": "WSS", "quic": "QUIC"}
    if found[1] not in transports:
        raise ValueError(f"{found[1]!r} is none of udp, tcp, tls, ws, wss and quic{did_you_mean(found[1], transports)}")
    transport = transports[found[1]]
    port_number = port(found[4]) if found[4] else DEFAULT_PORTS[transport]
    return ListenerUrl(transport, address(found[2] or found[3]), port_number)


def host_port(text: str) -> tuple[str, int]:
    """`sbc.example.com:5063`, `[2001:db8::1]:5063`."""
    name, colon, number = text.rpartition(":")
    if not colon or not number.isascii() or not number.isdigit():
        raise ValueError("write it as HOST:PORT, an IPv6 address in brackets")
    return host(name), port(number)


def pin(text: str) -> str:
    """The SHA-256 of a certificate, as `sbc fingerprint` and `openssl x509 -fingerprint -sha256` print it: `3A:07:…`, in any case."""
    digits = text.removeprefix("sha256:").replace(":", "").upper()
    if not re.fullmatch(r"[0-9A-F]{64}", digits):
        raise ValueError(
            "a pin is the SHA-256 of a certificate, 64 hexadecimal digits: `openssl x509 -noout -fingerprint -sha256` prints it"
        )
    return ":".join(digits[at : at + 2] for at in range(0, 64, 2))


def origin(text: str) -> str:
    """`https://phone.example.com`, `http://localhost:8080`: as browsers write the origin of a page (RFC 6454 s6.2)."""
    if not _ORIGIN.fullmatch(text.lower()):
        raise ValueError("write where the page comes from as https://HOST or https://HOST:PORT, without a path")
    return text.lower()


def port(text: str) -> int:
    number = int(text)
    if not 0 < number < 65536:
        raise ValueError("a port is a number from 1 to 65535")
    return number


def port_range(text: str) -> PortRange:
    """`20000-29999`, both ends included. One call takes two ports of each of its two realms: RTP on the even, RTCP on the odd one."""
    found = _PORTS.fullmatch(text)
    if not found:
        raise ValueError("write it as FIRST-LAST: 20000-29999")
    first, last = port(found[1]), port(found[2])
    if first < FIRST_FREE_PORT:
        raise ValueError(f"ports below {FIRST_FREE_PORT} are not for media")
    if last < first + first % 2 + 1:
        raise ValueError("not even one call fits: it takes an even port and the next one")
    return PortRange(first, last)


def certificate_url(text: str) -> str:
    """Where a verifier may fetch a certificate from."""
    try:
        check_url(text)
    except BadIdentityInfo as error:
        raise ValueError(f"{error}: verifiers fetch from https://HOST/… only, on port 443 or 8443, without a query") from None
    return text


def service_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isascii() or not text.isprintable() or " " in text or "@" in parts.netloc or parts.fragment:
        raise ValueError("write it as https://HOST/PATH; what we prove ourselves with stands in 'token'")
    return text


def network(text: str) -> netaddr.IPNetwork:
    """`10.20.0.0/24`, `2001:db8::/32` or one address. IPv4-mapped IPv6 is folded to IPv4."""
    try:
        parsed = netaddr.IPNetwork(text)
    except (netaddr.AddrFormatError, ValueError):
        raise ValueError(f"{text!r} is neither an address nor a network like 10.20.0.0/24") from None
    if parsed.ip != parsed.network:
        raise ValueError(f"{text!r} has bits set behind its prefix, did you mean '{parsed.cidr}' or '{parsed.ip}'?")
    if parsed.is_ipv4_mapped() and parsed.prefixlen >= 96:
        parsed = parsed.ipv4()
    if parsed.prefixlen == 0:
        raise ValueError("would accept calls from everyone: name the networks of this peer")
    return parsed


def dscp(text: str) -> int:
    """`ef`, `cs3`, `af31`, or the number."""
    if text.lower() in DSCP:
        return DSCP[text.lower()]
    if not re.fullmatch(r"[0-9]{1,2}", text) or int(text) > 63:
        raise ValueError(
            f"{text!r} is no DSCP{did_you_mean(text.lower(), DSCP)}: write ef, cs0 to cs7, af11 to af43, or a number from 0 to 63"
        )
    return int(text)


def peer(text: str) -> Peer:
    """`sip:gw.example.com`, `sip:10.0.0.1:5080;transport=tcp`, `sips:…`. Only the parameter `transport` means anything here."""
    try:
        uri = Uri.parse(text)
    except ParseError as error:
        raise ValueError(f"not a SIP URI ({error}): write sip:HOST or sip:HOST:PORT;transport=tcp") from None
    if uri.scheme not in ("sip", "sips"):
        raise ValueError("write it as sip:HOST or sip:HOST:PORT;transport=tcp")
    if uri.user is not None or uri.password is not None or uri.headers:
        raise ValueError("a peer is a host without user and headers: sip:HOST:PORT;transport=tcp")
    if unknown := [key for key, _ in uri.params if key != "transport"]:
        raise ValueError(f"unknown parameter {unknown[0]!r}{did_you_mean(unknown[0], ['transport'])}")
    transports: dict[str, Transport] = {"udp": "UDP", "tcp": "TCP", "tls": "TLS"}
    secure = uri.scheme == "sips"
    word = uri.param("transport")
    if word is None:
        return Peer(text, host(uri.host), uri.port, None, secure)
    if word.lower() not in transports or (secure and word.lower() == "udp"):
        raise ValueError("transport is udp, tcp or tls; sips is always tls")
    return Peer(text, host(uri.host), uri.port, "TLS" if secure else transports[word.lower()], secure)


def statuses(text: str) -> frozenset[int]:
    """`408` or a whole class: `5xx`."""
    if re.fullmatch(r"[3-6][0-9][0-9]", text):
        return frozenset((int(text),))
    if re.fullmatch(r"[3-6]xx", text):
        return frozenset(range(int(text[0]) * 100, int(text[0]) * 100 + 100))
    raise ValueError("write a final status from 300 to 699, or a class of them: 4xx, 5xx")


def pattern(text: str) -> str:
    """A number or name, or the beginning of one followed by `*`. `*` alone matches everything."""
    if not text or not _PATTERN.fullmatch(text):
        raise ValueError("write a number or name; one '*' at the end stands for any continuation: \"+49*\"")
    return text


def dial_prefix(text: str) -> str:
    """What a dialled number begins with; empty: everything else that has no `+`."""
    if not _PREFIX.fullmatch(text):
        raise ValueError("the beginning of a dialled number: digits, '*' and '#', perhaps after '+'")
    return text


def dial_replacement(text: str) -> str:
    if not _REPLACEMENT.fullmatch(text):
        raise ValueError("what stands in its place: digits, perhaps after '+', or \"\"")
    return text


def wire_prefix(text: str) -> str:
    """What a number in E.164 begins with."""
    if not re.fullmatch(r"\+[0-9]{0,15}", text):
        raise ValueError('the beginning of a number in full: "+" or "+49"')
    return text


def number_format(value: object) -> dict[str, str]:
    """`e164`, `digits`, or a table: what a number in full begins with, and what stands there instead."""
    if value == "e164":
        return {}
    if value == "digits":
        return {"+": ""}
    if not isinstance(value, dict) or not value:
        raise ValueError('must be e164 (+4930123), digits (4930123), or a table such as {"+49": "0", "+": "00"}')
    return {wire_prefix(str(prefix)): dial_replacement(str(instead)) for prefix, instead in value.items()}


def shown_number(text: str) -> str:
    if text not in ("caller", "nobody") and not _E164.fullmatch(text):
        raise ValueError("must be caller, nobody, or a telephone number in full: +4930123456")
    return text


def short_number(text: str) -> str:
    if not _SHORT_NUMBER.fullmatch(text):
        raise ValueError("an emergency number has 2 to 15 digits, as people dial it")
    return text


def suite(text: str) -> Suite:
    try:
        return Suite(text)
    except ValueError:
        raise ValueError(f"{text!r} is none of {', '.join(Suite)}{did_you_mean(text, map(str, Suite))}") from None


def digest(text: str) -> str:
    """A digest algorithm by its name in the challenge, in any case."""
    if text.upper() not in HASHES:
        raise ValueError(f"{text!r} is none of {', '.join(HASHES)}{did_you_mean(text.upper(), HASHES)}")
    return text.upper()


def codec(text: str) -> str:
    if not _CODEC.fullmatch(text):
        raise ValueError("a codec is named as in SDP: PCMA, G729, telephone-event")
    return text


def own_number(text: str) -> str:
    """A pattern of numbers or names somebody may call with."""
    if pattern(text) == "*":
        raise ValueError("'*' would let it call with anybody's number: name its own, or say 'trusted: true'")
    return text


def unwanted_number(text: str) -> str:
    """A pattern of numbers or names that are not to call."""
    if pattern(text) == "*":
        raise ValueError("'*' would refuse every call: take the routes to it away instead")
    return text


def redress_url(text: str) -> str:
    """Where whoever was blocked finds somebody to complain to; it stands in a quoted string among values that end in `;`."""
    if not _REDRESS_URL.fullmatch(text) or len(text) > 200:
        raise ValueError("a page for people whose calls were blocked: https://…, 200 characters at most")
    return text


def redress_tel(text: str) -> str:
    if not _E164.fullmatch(text):
        raise ValueError("a telephone number in full: +4930123456")
    return text


def redress_email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError("an address such as blocked@example.com")
    return text


def header_name(text: str) -> str:
    """The folded name of a header that nothing else decides on."""
    try:
        folded = HeaderName(text)
    except ParseError:
        raise ValueError(f"{text!r} is no header name") from None
    if folded in RULED or folded.startswith(RULED_PREFIXES):
        raise ValueError(f"whether {folded.spelling} crosses is not decided here: it has rules of its own")
    return str(folded)


def header_text(text: str) -> str:
    """The value of a header: whatever would end its line would begin another one."""
    if not _HEADER_TEXT.fullmatch(text):
        raise ValueError(f"a header is one line of at most {MAX_HEADER_TEXT} characters, without control characters and spaces around it")
    return text


def body_type(text: str) -> str:
    """The folded media type of a body that is no session description and no envelope."""
    folded = text.lower()
    kind, slash, subtype = folded.partition("/")
    if not (slash and is_token(kind) and is_token(subtype)):
        raise ValueError(f"{text!r} is no media type: write it as application/isup")
    if folded == "application/sdp" or kind in ("multipart", "message"):
        raise ValueError(f"{text} is not passed on: session descriptions are ours on each side, and of several parts each counts by itself")
    return folded


def translated_statuses(text: str) -> frozenset[int]:
    """`486` or `5xx`, without the statuses that are part of the protocol between us and one peer."""
    found = statuses(text) - PROTOCOL_STATUSES
    if not found:
        raise ValueError(f"{text} is said between us and one peer and has its own meaning there: it cannot be translated")
    return found


def failure(text: str) -> int:
    """A final status that ends an attempt."""
    if not re.fullmatch(r"[4-6][0-9][0-9]", text) or int(text) in PROTOCOL_STATUSES:
        raise ValueError("write a final status from 400 to 699 that says why a call failed: 480, 486, 503")
    return int(text)


def priority_namespace(text: str) -> str:
    if text.lower() not in NAMESPACES:
        raise ValueError(f"{text!r} is none of {', '.join(NAMESPACES)}{did_you_mean(text.lower(), NAMESPACES)}")
    return text.lower()


def token(text: str) -> str:
    """A name as SIP writes it, folded to lower case: an Info Package, an event package."""
    if not is_token(text):
        raise ValueError("a name of letters, digits, '.' and '-'")
    return text.lower()


def stranger_answer(text: str) -> int | None:
    if text == "nothing":
        return None
    if not re.fullmatch(r"[4-6][0-9][0-9]", text):
        raise ValueError("write nothing, or a final status from 400 to 699 such as 403")
    return int(text)


def media_or_profile(schema: dict[str, Any]) -> None:
    """A trunk needs `media`, or a profile that has one."""
    schema["required"].remove("media")
    schema["anyOf"] = [{"required": ["media"]}, {"required": ["profile"]}]

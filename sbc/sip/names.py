"""Header field names: a type that folds case and compact form (RFC 3261 s7.3.1, s7.3.3)."""

from __future__ import annotations

from functools import lru_cache

from sbc.errors import ParseError
from sbc.sip.grammar import is_token

_CACHED_NAMES = 1024  # spellings seen lately beyond the known ones; a stranger can flush them, not grow them
_CACHED_LENGTH = 128  # longer names are legal (RFC 4475 s3.1.1.7) but not worth keeping


class HeaderName(str):
    """`HeaderName("v") == HeaderName("VIA") == "via"`. The text is the folded full name.

    `spelling` is the usual one for known headers and the first one seen for others; `prefix` is what starts the row.
    ParseError when the text is not a token. Known names are the same object always, so `is` may compare them.
    """

    __slots__ = ("prefix", "spelling")

    prefix: str
    spelling: str

    def __new__(cls, text: str) -> HeaderName:
        return KNOWN.get(text) or (_fold_cached(text) if len(text) <= _CACHED_LENGTH else _fold(text))

    def __repr__(self) -> str:
        return f"HeaderName({self.spelling!r})"


def _make(spelling: str) -> HeaderName:
    name = str.__new__(HeaderName, spelling.lower())
    name.spelling = spelling
    name.prefix = spelling + ": "
    return name


def _fold(text: str) -> HeaderName:
    if not is_token(text):  # first: folding knows letters beyond ASCII that become ASCII, the Kelvin sign for one
        raise ParseError("malformed header name")
    return KNOWN.get(text.lower()) or _make(text)


_fold_cached = lru_cache(maxsize=_CACHED_NAMES)(_fold)

KNOWN: dict[str, HeaderName] = {}  # every usual way to write a known name: as registered, lower, upper, compact


def _known(spelling: str, compact: str = "") -> HeaderName:
    name = _make(spelling)
    for text in filter(None, (spelling, compact)):
        KNOWN[text] = KNOWN[text.lower()] = KNOWN[text.upper()] = name
    return name


ACCEPT = _known("Accept")
ACCEPT_CONTACT = _known("Accept-Contact", "a")
ACCEPT_ENCODING = _known("Accept-Encoding")
ACCEPT_LANGUAGE = _known("Accept-Language")
ALERT_INFO = _known("Alert-Info")
ALLOW = _known("Allow")
ALLOW_EVENTS = _known("Allow-Events", "u")
AUTHENTICATION_INFO = _known("Authentication-Info")
AUTHORIZATION = _known("Authorization")
CALL_ID = _known("Call-ID", "i")
CALL_INFO = _known("Call-Info")
CONTACT = _known("Contact", "m")
CONTENT_DISPOSITION = _known("Content-Disposition")
CONTENT_ENCODING = _known("Content-Encoding", "e")
CONTENT_ID = _known("Content-ID")
CONTENT_LANGUAGE = _known("Content-Language")
CONTENT_LENGTH = _known("Content-Length", "l")
CONTENT_TRANSFER_ENCODING = _known("Content-Transfer-Encoding")
CONTENT_TYPE = _known("Content-Type", "c")
CSEQ = _known("CSeq")
DATE = _known("Date")
DIVERSION = _known("Diversion")
ERROR_INFO = _known("Error-Info")
EVENT = _known("Event", "o")
EXPIRES = _known("Expires")
FROM = _known("From", "f")
GEOLOCATION = _known("Geolocation")
GEOLOCATION_ROUTING = _known("Geolocation-Routing")
HISTORY_INFO = _known("History-Info")
IDENTITY = _known("Identity", "y")
IDENTITY_INFO = _known("Identity-Info", "n")
INFO_PACKAGE = _known("Info-Package")
IN_REPLY_TO = _known("In-Reply-To")
JOIN = _known("Join")
MAX_BREADTH = _known("Max-Breadth")
MAX_FORWARDS = _known("Max-Forwards")
MIME_VERSION = _known("MIME-Version")
MIN_EXPIRES = _known("Min-Expires")
MIN_SE = _known("Min-SE")
ORGANIZATION = _known("Organization")
P_ACCESS_NETWORK_INFO = _known("P-Access-Network-Info")
P_ASSERTED_IDENTITY = _known("P-Asserted-Identity")
P_CALLED_PARTY_ID = _known("P-Called-Party-ID")
P_CHARGING_VECTOR = _known("P-Charging-Vector")
P_PREFERRED_IDENTITY = _known("P-Preferred-Identity")
P_VISITED_NETWORK_ID = _known("P-Visited-Network-ID")
PATH = _known("Path")
PRIORITY = _known("Priority")
PRIVACY = _known("Privacy")
PROXY_AUTHENTICATE = _known("Proxy-Authenticate")
PROXY_AUTHORIZATION = _known("Proxy-Authorization")
PROXY_REQUIRE = _known("Proxy-Require")
RACK = _known("RAck")
REASON = _known("Reason")
RECV_INFO = _known("Recv-Info")
RECORD_ROUTE = _known("Record-Route")
REFER_SUB = _known("Refer-Sub")
REFER_TO = _known("Refer-To", "r")
REFERRED_BY = _known("Referred-By", "b")
REJECT_CONTACT = _known("Reject-Contact", "j")
REMOTE_PARTY_ID = _known("Remote-Party-ID")
REPLACES = _known("Replaces")
REQUEST_DISPOSITION = _known("Request-Disposition", "d")
REQUIRE = _known("Require")
RESOURCE_PRIORITY = _known("Resource-Priority")
RETRY_AFTER = _known("Retry-After")
ROUTE = _known("Route")
RSEQ = _known("RSeq")
SERVER = _known("Server")
SERVICE_ROUTE = _known("Service-Route")
SESSION_EXPIRES = _known("Session-Expires", "x")
SESSION_ID = _known("Session-ID")
SIP_ETAG = _known("SIP-ETag")
SIP_IF_MATCH = _known("SIP-If-Match")
SUBJECT = _known("Subject", "s")
SUBSCRIPTION_STATE = _known("Subscription-State")
SUPPORTED = _known("Supported", "k")
TIMESTAMP = _known("Timestamp")
TO = _known("To", "t")
UNSUPPORTED = _known("Unsupported")
USER_AGENT = _known("User-Agent")
USER_TO_USER = _known("User-to-User")
VIA = _known("Via", "v")
WARNING = _known("Warning")
WWW_AUTHENTICATE = _known("WWW-Authenticate")

# Their values contain commas that separate nothing: never joined, never split (RFC 3261 s7.3.1).
NEVER_LISTS = frozenset({WWW_AUTHENTICATE, PROXY_AUTHENTICATE, AUTHORIZATION, PROXY_AUTHORIZATION})

from __future__ import annotations

import pytest

from sbc.errors import ParseError
from sbc.sip import header_name
from sbc.sip.names import KNOWN, HeaderName

COMPACT = {
    "v": "Via",
    "f": "From",
    "t": "To",
    "m": "Contact",
    "i": "Call-ID",
    "c": "Content-Type",
    "l": "Content-Length",
    "s": "Subject",
    "k": "Supported",
    "e": "Content-Encoding",
    "o": "Event",
    "r": "Refer-To",
    "b": "Referred-By",
    "d": "Request-Disposition",
    "x": "Session-Expires",
    "y": "Identity",
    "j": "Reject-Contact",
    "u": "Allow-Events",
    "a": "Accept-Contact",
    "n": "Identity-Info",
}


@pytest.mark.parametrize(("compact", "full"), COMPACT.items())
def test_SYN_01_every_compact_form(compact: str, full: str) -> None:
    assert HeaderName(compact) is HeaderName(compact.upper()) is HeaderName(full) is HeaderName(full.swapcase())
    assert HeaderName(compact) == full.lower()
    assert HeaderName(compact).spelling == full


@pytest.mark.parametrize("spelling", ["Via", "Call-ID", "CSeq", "WWW-Authenticate", "MIME-Version", "P-Asserted-Identity", "RAck"])
def test_canonical_spelling(spelling: str) -> None:
    assert HeaderName(spelling.lower()).spelling == HeaderName(spelling.upper()).spelling == spelling


def test_unknown_names_fold_too_and_keep_their_spelling() -> None:
    name = HeaderName("X-Some-Thing")
    assert name.spelling == "X-Some-Thing"
    assert name == HeaderName("x-some-thing") == HeaderName("X-SOME-THING")
    assert hash(name) == hash(HeaderName("x-some-THING"))


@pytest.mark.parametrize("text", ["", "a b", "Via ", "a:b", "a\r\nb", "é", "a\0", "\u212a", "\u017fubject"])
def test_what_is_no_token_is_no_name(text: str) -> None:
    """Among them the Kelvin sign, whose lower case is the `k` of Supported, and the long s."""
    with pytest.raises(ParseError):
        HeaderName(text)


def test_names_of_strangers_do_not_pile_up() -> None:
    for number in range(5000):
        HeaderName(f"X-{number}")
    HeaderName("X-" + "y" * 5000)
    info = header_name._fold_cached.cache_info()
    assert info.currsize <= 1024
    assert "x-0" not in KNOWN

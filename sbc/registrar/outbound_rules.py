"""How long to wait, what an answer to our REGISTER means, and what of all that people are shown. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sbc.call.causes import seconds_of
from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.registrar.outbound_table import Event
from sbc.sip.fields.contact import Contact, parse_contacts
from sbc.sip.fields.expires import expires, parse_expires
from sbc.sip.message import Response
from sbc.sip.names import CONTACT, MIN_EXPIRES, HeaderName

BACK_OFF_S = 30.0  # RFC 5626 s4.5: base-time when all flows have failed
LONGEST_BACK_OFF_S = 1800.0  # max-time
STOOD_S = 120.0  # "the flow … has been registered for a configurable amount of time": then failures before it count no more
REFUSED_AFTER = 2  # denials in a row: one may be a registrar that is just being restarted with half of its accounts
REFUSED_RETRY_S = 600.0  # an account that was put right is found within ten minutes, and no ban of the usual kind is earned
LONGEST_RETRY_AFTER_S = 3600.0  # whoever asks for more has made a mistake, or may ask again
LONGEST_EXPIRES_S = 86400  # 423 may ask for a day at most; a registration nobody hears of for longer is none
SHORTEST_REFRESH_S = 5.0  # however little is granted
REFRESH = (0.5, 0.7)  # of what was granted: two servers may be silent for 32 s each before it is over
DOUBTED_S = 30.0  # since the last answer: a call that is not answered makes us refresh, a hundred of them do no more than one
PING_S = (95.0, 120.0)  # RFC 5626 s4.4.1, when nobody has said otherwise
LONGEST_PING_S = 840.0  # our own connections end after 900 s of silence
PONG_S = 10.0  # "If … the client does not receive a pong within 10 seconds …, it MUST … consider the flow failed" (s4.4.1)
FLOW_TIMER = HeaderName("Flow-Timer")

# Said by somebody who cannot now, or who is not the one to ask: another server may, or the same one later. 5xx are, too
TEMPORARY = frozenset({408, 413, 429, 430, 480, 482, 483, 486, 491})

Standing = Literal["registering", "registered", "waiting", "refused", "leaving"]
Random = Callable[[int], bytes]


@frozen
class Outlook:
    """One registration of ours, for people. Instants are seconds since the epoch.

    server       where it is, or was tried last: "TLS 192.0.2.1:5061"; "": nowhere yet
    state        registered: calls come, whether a refresh is under way or not; refused: the account is not accepted
    since        when it came to that state
    expires_at   when what was granted is over; None: nothing is
    last         the last answer: "200", "503", "timeout", "transport", "no server"; "": none yet
    next_at      when the next REGISTER is sent; None: one is under way
    """

    trunk: str
    server: str
    state: Standing
    since: float
    expires_at: float | None
    last: str
    next_at: float | None


def between(low: float, high: float, random: Random) -> float:
    """By chance, so that not all who lost the same server come back at once."""
    return low + (high - low) * (int.from_bytes(random(8), "big") % 2**32) / 2**32


def back_off(failures: int, random: Random) -> float:
    """Seconds after so many failures in a row: 50 to 100 % of min(max-time, base-time * 2^failures) (RFC 5626 s4.5)."""
    upper = min(LONGEST_BACK_OFF_S, BACK_OFF_S * 2.0 ** min(failures, 16))
    return between(upper / 2, upper, random)


def refresh_after(granted: int, random: Random) -> float:
    return max(SHORTEST_REFRESH_S, between(granted * REFRESH[0], granted * REFRESH[1], random))


def meaning(response: Response) -> Event:
    """Of a final answer; whether a challenge can be answered and an expiry be met is for others to say."""
    status = response.status
    if status < 300:
        return Event.ACCEPTED
    if status < 400:
        return Event.REDIRECTED
    if status in (401, 407):
        return Event.CHALLENGED
    if status == 423:
        return Event.TOO_BRIEF
    return Event.FAILED if status in TEMPORARY or 500 <= status < 600 else Event.DENIED


def granted(response: Response, line: str, asked: int) -> int:
    """Seconds that a 2xx gives the Contact of that line; 0: none.

    Registrars correct the host of a Contact, and some leave its parameters out: what is not to be found counts as what the
    message says for all, or as what was asked for.
    """
    default = expires(response.headers)
    try:
        contacts = parse_contacts(response.headers.all(CONTACT)) or ()
    except ParseError:
        contacts = ()
    ours = [contact for contact in contacts if contact.uri.param("line") == line] or (list(contacts) if len(contacts) == 1 else [])
    seconds = [contact.expires for contact in ours if contact.expires is not None]
    return min(max(seconds) if seconds else asked if default is None else default, LONGEST_EXPIRES_S)


def shortest(response: Response) -> int:
    """Seconds that a 423 wants to be asked for; 0: it does not say."""
    value = response.headers.first(MIN_EXPIRES)
    return 0 if value is None else parse_expires(value)


def not_before(response: Response) -> float:
    """Seconds this server wants to be left alone (RFC 3261 s20.33)."""
    return min(float(seconds_of(response) or 0), LONGEST_RETRY_AFTER_S)


def sent_to(response: Response) -> Contact | None:
    """Where a 3xx points to: the one it prefers."""
    try:
        contacts = parse_contacts(response.headers.all(CONTACT)) or ()
    except ParseError:
        return None
    usable = [contact for contact in contacts if contact.uri.scheme in ("sip", "sips")]
    return max(usable, key=lambda contact: contact.q) if usable else None


def keep_alive(response: Response, random: Random) -> tuple[float, float]:
    """Seconds between pings, and how long a pong may take; 0: nobody has promised one.

    A server that answers pings says so in Via (RFC 6223 s4.3) or with Flow-Timer (RFC 5626 s5.4); then 80 to 100 % of it is right.
    """
    for value in (response.via.param("keep"), response.headers.first(FLOW_TIMER)):
        if value and value.isascii() and value.isdigit() and int(value[:6]) > 0:
            seconds = min(float(value[:6]), LONGEST_PING_S)
            return between(seconds * 0.8, seconds, random), PONG_S
    return between(*PING_S, random), 0.0

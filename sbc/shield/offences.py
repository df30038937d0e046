"""What peers do not do and strangers do: how many of each within a minute are too many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Offence = Literal[
    "scanner",
    "malformed",
    "wrong_password",
    "unknown_user",
    "unroutable",
    "stranger",
    "unanswered",
    "handshake",
    "slow",
    "rekeying",
    "flood",
]

# As many within a minute make a ban, of several kinds in parts; None: not counted. Precedents: fail2ban's filter for Asterisk (5
# failures in 10 minutes) locks out whole offices, so that guesses are counted by the burst and not by the day.
USUAL: Mapping[Offence, int | None] = {
    "scanner": 1,  # says itself that it is one
    "malformed": 10,
    "wrong_password": 20,  # a PBX with a password of last year tries once in five seconds at most; banned here alone, never in the kernel
    "unknown_user": 10,  # digests for accounts that are not there
    "unroutable": 20,  # numbers that lead nowhere, of one user
    "stranger": 30,  # requests of whom we do not know, where nobody could answer a challenge
    "unanswered": 1000,  # challenges: an office of 500 phones that comes back from a power cut has two each
    "handshake": 100,  # TLS begun and not finished; a phone that does not trust our certificate tries each few seconds
    "slow": 30,  # connections that said nothing, or did not finish what they began
    "rekeying": 1,  # TLS that goes on with its keys and says nothing; no client does
    "flood": 500,  # connections refused for their number
}


def usual() -> Mapping[Offence, int | None]:
    return USUAL


MEANING: Mapping[Offence, str] = {
    "scanner": "says in User-Agent or address that it is a scanner",
    "malformed": "messages that are no SIP",
    "wrong_password": "wrong passwords",
    "unknown_user": "passwords for accounts that do not exist",
    "unroutable": "calls to numbers that lead nowhere",
    "stranger": "requests of nobody we know",
    "unanswered": "challenges that were not answered",
    "handshake": "TLS handshakes that were not finished",
    "slow": "connections that said nothing in time",
    "rekeying": "new keys on and on, with nothing said under them",
    "flood": "connections beyond what one source may have",
}

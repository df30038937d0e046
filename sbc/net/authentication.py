"""Somebody else's signatures: an authentication service asked over HTTPS, as ATIS-1000082 has it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from itertools import count
from typing import Any

import httpx

from sbc.errors import SipError
from sbc.identity.faults import InvalidIdentity
from sbc.identity.location import check_url
from sbc.identity.passport import read
from sbc.identity.sign import claims_of
from sbc.identity.signature import Signature, ToSign
from sbc.net.breaker import Breaker
from sbc.net.fetch import body_of
from sbc.policy.snapshot import ServiceRules
from sbc.sip.fields.signed_identity import SignedIdentity

LARGEST = 32 * 1024  # octets of an answer: a token is 16 KiB at most
AT_ONCE = 50  # requests; at 500 ms that is 100 calls a second of a service at the end of its patience
WAITING = 500  # calls; beyond, they go unsigned

RESTING = "the authentication service does not answer, and is left alone for a while"
BUSY = "too many calls wait for the authentication service"


class Failed(Exception):
    """The service itself is out of order."""


class AuthenticationService:
    """`say` hears when it stops answering, why, and "" when it answers again: not of every call."""

    def __init__(self, rules: ServiceRules, clock: Callable[[], float], say: Callable[[str, str], None]) -> None:
        """OSError, ValueError: its authority cannot be read."""
        self._rules = rules
        self._clock = clock
        self._say = say
        self._breaker = Breaker()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._numbers = count(1)
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {rules.token}"} if rules.token else {})
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=rules.ca),
            headers=headers,
            follow_redirects=False,
            timeout=rules.timeout,
            trust_env=False,
            limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE, keepalive_expiry=60.0),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def sign(self, asked: ToSign, origid: str) -> Signature:
        """Always an answer, not much later than the time-out."""
        if self._waiting >= WAITING:
            return Signature(problem=BUSY)
        if not self._breaker.allows(self._clock()):
            return Signature(problem=RESTING)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._rules.timeout), self._turn:
                answer = await self._ask(asked, origid)
        except TimeoutError:
            return self._out_of_order(f"no answer in {self._rules.timeout * 1000:.0f} ms")
        except (Failed, OSError, httpx.HTTPError) as error:
            return self._out_of_order(str(error) or type(error).__name__)
        finally:
            self._waiting -= 1
        if self._breaker.is_open:
            self._say(self._rules.url, "")
        self._breaker.succeeded()
        try:
            return signature_in(answer, asked, origid)
        except SipError as error:
            return Signature(problem=f"the authentication service: {error}")

    def _out_of_order(self, why: str) -> Signature:
        was_open = self._breaker.is_open
        self._breaker.failed(self._clock())
        if self._breaker.is_open and not was_open:
            self._say(self._rules.url, why)
        return Signature(problem=f"the authentication service: {why}")

    async def _ask(self, asked: ToSign, origid: str) -> bytes:
        body = json.dumps({"signingRequest": claims_of(asked, origid)})
        headers = {"Content-Type": "application/json", "X-RequestID": str(next(self._numbers))}
        async with self._client.stream("POST", self._rules.url, content=body, headers=headers) as answer:
            if answer.status_code >= 500 or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                raise Failed(f"it answered {answer.status_code}")
            octets = await body_of(answer, LARGEST)
            if octets is None:
                raise Failed(f"it answered more than {LARGEST} octets")
            return octets if answer.status_code == httpx.codes.OK else b'{"status": %d}' % answer.status_code


def signature_in(answer: bytes, asked: ToSign, origid: str) -> Signature:
    """What a service has signed, if it is what was asked for: it is our call, and our word that stands in it. SipError."""
    try:
        found: Any = json.loads(answer)
        identity = found["signingResponse"]["identity"] if isinstance(found, dict) else None
    except (ValueError, LookupError, TypeError, RecursionError):
        raise InvalidIdentity(f"no signature in its answer {answer[:80].decode(errors='replace')!r}") from None
    if not isinstance(identity, str):
        raise InvalidIdentity("no signature in its answer")
    header = SignedIdentity.parse(identity)
    passport = read(header.token)
    claims = passport.claims
    if (header.ppt, passport.ppt, passport.orig, passport.dest) != (asked.ppt, asked.ppt, asked.caller, (asked.called,)):
        raise InvalidIdentity("what it signed is another call")
    if passport.iat != asked.iat:  # Date of the INVITE says that time
        raise InvalidIdentity(f"what it signed is of another time, {passport.iat - asked.iat:+d} s")
    check_url(header.info)
    if passport.x5u != header.info:
        raise InvalidIdentity("what it signed names two places of its certificate")
    if passport.ppt == "div":
        if passport.diverted != asked.diverted:
            raise InvalidIdentity("what it signed is another diversion")
        return Signature(identity)
    if claims["attest"] < asked.attest:
        raise InvalidIdentity(f"it signed {claims['attest']} where {asked.attest} was asked for")
    if claims["origid"] != origid:
        raise InvalidIdentity("what it signed has another origid")
    return Signature(identity, claims["attest"], origid)

"""What a client answers to digest challenges, over several requests (RFC 3261 s22.2 and s22.3, RFC 7616 s3.4, RFC 8760 s2.4)."""

from __future__ import annotations

from collections.abc import Callable

from sbc.errors import ParseError
from sbc.frozen import replace
from sbc.sip.digest import answer, choose
from sbc.sip.fields.auth import Challenge
from sbc.sip.fields.cseq import CSeq
from sbc.sip.message import Request, Response
from sbc.sip.names import AUTHORIZATION, CSEQ, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, VIA, WWW_AUTHENTICATE, HeaderName

MAX_ROUNDS = 4  # of one request: a proxy and a server, each of which finds a nonce too old once
MAX_REALMS = 4  # that one message may ask for, and twice as many are remembered: more are not on any way
_CNONCE = 8  # octets
ANSWERED_BY = {WWW_AUTHENTICATE: AUTHORIZATION, PROXY_AUTHENTICATE: PROXY_AUTHORIZATION}

HeaderRows = tuple[tuple[str, str], ...]
_Key = tuple[HeaderName, str]  # the header of the answer, and the realm


class Prover:
    """One user and its password. Challenges are kept, so that the next request need not be challenged."""

    def __init__(self, user: str, password: str, random: Callable[[int], bytes]) -> None:
        self._user = user
        self._password = password
        self._random = random
        self._known: dict[_Key, Challenge] = {}
        self._used: dict[_Key, int] = {}  # how many requests had that nonce
        self._answered: set[_Key] = set()  # since `begin`, with a nonce that was new
        self._rounds = 0

    def begin(self) -> None:
        """Another request: nothing of it has been refused yet, and a nonce of an earlier one may be too old."""
        self._answered.clear()
        self._rounds = 0
        if len(self._known) > 2 * MAX_REALMS:
            self.forget()

    def forget(self) -> None:
        """Another server: its nonces are others."""
        self._known.clear()
        self._used.clear()

    def learn(self, response: Response) -> bool:
        """Whether the request may be sent again. False: there is nothing to answer, or what was answered was not believed.

        A nonce is answered once: another challenge without `stale` says that the password is wrong (RFC 7616 s3.3).
        """
        self._rounds += 1
        challenges = {
            (proof, each.params["realm"]): each for header, proof in ANSWERED_BY.items() for each in _challenges(response, header)
        }
        if not challenges or self._rounds > MAX_ROUNDS:
            return False
        for key, challenge in challenges.items():
            if key in self._answered and challenge.params.get("stale", "").lower() != "true":
                return False
        for key, challenge in challenges.items():
            self._known[key] = challenge
            self._used[key] = 0
            self._answered.add(key)
        return True

    def rows(self, method: str, uri: str, body: bytes = b"") -> HeaderRows:
        """The credentials for a request, as far as anybody has asked for some."""
        rows = []
        for key, challenge in self._known.items():
            self._used[key] += 1
            cnonce = self._random(_CNONCE).hex()
            rows.append((key[0], answer([challenge], self._user, self._password, method, uri, self._used[key], cnonce, body)))
        return tuple(rows)

    def again(self, request: Request, number: int, branch: str) -> Request:
        """`request` once more, with that CSeq number and branch, and with credentials (RFC 3261 s22.2)."""
        headers = request.headers.copy()
        for name in ANSWERED_BY.values():
            headers.remove(name)
        via, cseq = replace(request.via, branch=branch), CSeq(number, request.method)
        headers.replace_first(VIA, str(via))
        headers.set(CSEQ, str(cseq))
        for proof, value in self.rows(request.method, str(request.uri), request.body):
            headers.add(proof, value)
        return Request(request.method, request.uri, headers, request.body, via, request.from_, request.to, request.call_id, cseq)


def _challenges(response: Response, header: HeaderName) -> list[Challenge]:
    """Of each realm the topmost that we can answer; what cannot be read is none."""
    found = []
    for value in response.headers.all(header):
        try:
            found.append(Challenge.parse(value))
        except ParseError:
            continue
    return choose(found)[:MAX_REALMS]

"""Digest authentication, both ends (RFC 3261 s22, RFC 7616, RFC 8760)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Literal

from sbc.clock import Now
from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.fields.auth import Challenge, Credentials
from sbc.sip.grammar import quote
from sbc.sip.uri import Uri

# RFC 8760 s2.2 by their name in the header, folded; the hash behind each.
HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
KNOWN_ALGORITHMS = frozenset(HASHES) | {name + "-SESS" for name in HASHES}

# RFC 3261 s22.1: nobody could answer a challenge to these: an ACK has no response, a CANCEL cannot be sent again.
NEVER_CHALLENGED = frozenset({"ACK", "CANCEL"})

NONCE_LIFE = 300.0  # seconds; longer than a retry over any network, shorter than it takes to use a stolen digest well
NONCE_CLOCK_SKEW = 5.0  # seconds a nonce of another worker or node may be ahead of our clock
NONCE_TAG = 32  # hexadecimal digits of the HMAC: 128 bits
REPLAY_WINDOW = 32  # counts that may overtake each other (UDP); precedent: the smallest replay window of IPsec, RFC 4303 s3.4.3
NONCES_KEPT = 65_536  # nonces in use at a time, about 35 MB; who would exceed it is challenged again, never let through
CNONCE_LENGTH = 128  # longest seen in the field: 88

Reason = Literal["stale", "unknown_user", "wrong", "replay", "malformed"]


@frozen
class Verified:
    user: str


@frozen
class Failed:
    """`stale`: the password was right, only the nonce was not (any more): challenge again with `stale=True`."""

    reason: Reason


class DigestRealm:
    """The server side of one realm. Nonces are a time and an HMAC: nothing is kept of a challenge.

    realm         the protection space, as the peer's user knows it
    secret        key of the nonces, 16 octets at least, the same in every worker (ValueError)
    algorithms    offered and accepted, strongest first: some phones fail on a first one they do not know (AUTH-01)
    insecure_without_qop    accept MD5 as of RFC 2617 without qop: such a digest can be replayed while its nonce lives
    """

    def __init__(
        self, realm: str, secret: bytes, algorithms: Sequence[str] = ("SHA-256", "MD5"), *, insecure_without_qop: bool = False
    ) -> None:
        if len(secret) < 16:
            raise ValueError("a nonce secret of less than 16 octets")
        if unknown := [name for name in algorithms if name not in HASHES]:
            raise ValueError(f"unknown digest algorithm {unknown[0]}")
        self.realm = realm
        self._nonce_key = hmac.new(secret, realm.encode(), "sha256").digest()
        self._algorithms = tuple(algorithms)
        self._insecure_without_qop = insecure_without_qop
        self._counts = NonceCounts()

    def challenge(self, source: str, now: Now, stale: bool = False) -> list[str]:
        """Values for WWW-Authenticate or Proxy-Authenticate, one row per algorithm; `source` is who may use the nonce."""
        nonce = self._nonce(f"{int(now.wall * 1e6):x}", source)
        common = f'Digest realm={quote(self.realm)}, nonce="{nonce}", qop="auth"' + (", stale=true" if stale else "")
        return [f"{common}, algorithm={name}" for name in self._algorithms]

    def verify(
        self,
        credentials: Credentials,
        method: str,
        body: bytes,
        secret_for: Callable[[str], str | None],
        source: str,
        now: Now,
        uri: Uri | None = None,
    ) -> Verified | Failed:
        """Is this the user it says? `secret_for` has the password of a user or None; both cost the same here.

        `uri`: the Request-URI; the one in the credentials must then be of the same user and host, since proxies on the
        way may have rewritten the rest (RFC 8760 s2.6).
        """
        given = self._well_formed(credentials)
        if given is None or (uri is not None and not _same_resource(given.uri, uri)):
            return Failed("malformed")
        password = secret_for(given.user)
        expected = response_digest(
            given.algorithm,
            user=given.user,
            realm=self.realm,
            password=password or "",
            method=method,
            uri=given.uri,
            nonce=given.nonce,
            qop=given.qop,
            nc=given.nc,
            cnonce=given.cnonce,
            body=body,
        )
        right = _same(given.response, expected)
        if password is None:
            return Failed("unknown_user")
        if not right:
            return Failed("wrong")
        return self._judge_nonce(given, source, now) or Verified(given.user)

    def has_issued(self, nonce: str, source: str) -> bool:
        """Whether it is of a challenge to that source, however old: who has it was heard there, and hears what is sent there."""
        return _same(nonce, self._nonce(nonce.partition(".")[0], source))

    def _judge_nonce(self, given: _Given, source: str, now: Now) -> Failed | None:
        """Only for right digests: what is written down here was earned by knowing a password."""
        if not self.has_issued(given.nonce, source):
            return Failed("stale")  # of an earlier secret, or of an address the phone had before
        issued = int(given.nonce.partition(".")[0], 16) / 1e6
        if not -NONCE_CLOCK_SKEW <= now.wall - issued <= NONCE_LIFE or issued <= self._counts.forgotten:
            return Failed("stale")
        if given.qop and not self._counts.use((given.nonce, given.cnonce), int(given.nc, 16), issued, now.wall):
            return Failed("replay")
        return None

    def _nonce(self, stamp: str, source: str) -> str:
        tag = hmac.new(self._nonce_key, f"{stamp} {source}".encode("utf-8", "surrogateescape"), "sha256").hexdigest()
        return f"{stamp}.{tag[:NONCE_TAG]}"

    def _well_formed(self, credentials: Credentials) -> _Given | None:
        """None: nothing we asked for; the realm, the algorithm or the qop is another, or something is missing."""
        params = credentials.params
        algorithm = params.get("algorithm", "MD5").upper()
        try:
            given = _Given(
                algorithm=algorithm,
                user=params["username"],
                nonce=params["nonce"],
                uri=params["uri"],
                response=params["response"].lower(),
                qop=params.get("qop", "").lower(),
                nc=params.get("nc", ""),
                cnonce=params.get("cnonce", ""),
            )
        except KeyError:
            return None
        if not credentials.digest or params.get("realm") != self.realm:
            return None
        if algorithm not in self._algorithms or params.get("userhash", "").lower() == "true":
            return None
        if given.qop == "":
            return given if self._insecure_without_qop and algorithm == "MD5" else None
        if given.qop not in ("auth", "auth-int") or not _is_count(given.nc) or not 0 < len(given.cnonce) <= CNONCE_LENGTH:
            return None
        return given


@frozen
class _Given:
    """What matters of credentials, `algorithm` in upper case."""

    algorithm: str
    user: str
    nonce: str
    uri: str
    response: str
    qop: str
    nc: str
    cnonce: str


class NonceCounts:
    """Which counts of which nonce were used: each one once (RFC 7616 s3.4, nc), up to `REPLAY_WINDOW` late.

    When full, the entry first made goes, and with it every nonce not issued later than its own: forgetting never lets
    a replay through.
    """

    __slots__ = ("_used", "forgotten")

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], tuple[float, int, int]] = {}  # issued, highest count, bits of those below it
        self.forgotten = float("-inf")  # nonces issued until then (wall clock) are not good any more

    def use(self, nonce: tuple[str, str], count: int, issued: float, wall: float) -> bool:
        """False: it was used before, or is too far behind the highest one."""
        known = self._used.get(nonce)
        if known is None:
            self._make_room(wall)
            self._used[nonce] = (issued, count, 0)
            return True
        _, highest, below = known
        ahead = count - highest
        if ahead > 0:
            below = ((below << 1 | 1) << (ahead - 1)) & (2**REPLAY_WINDOW - 1) if ahead <= REPLAY_WINDOW else 0
            self._used[nonce] = (issued, count, below)
            return True
        bit = 1 << (-ahead - 1) if -REPLAY_WINDOW <= ahead < 0 else 0
        if not bit or below & bit:
            return False
        self._used[nonce] = (issued, highest, below | bit)
        return True

    def _make_room(self, wall: float) -> None:
        for nonce in self._oldest(2):
            issued = self._used[nonce][0]
            if wall - issued > NONCE_LIFE or len(self._used) >= NONCES_KEPT:
                del self._used[nonce]
                self.forgotten = max(self.forgotten, issued)

    def _oldest(self, number: int) -> list[tuple[str, str]]:
        return [nonce for nonce, _ in zip(self._used, range(number), strict=False)]

    def __len__(self) -> int:
        return len(self._used)


def choose(challenges: Sequence[Challenge]) -> list[Challenge]:
    """Of each realm the topmost challenge that `answer` can answer (RFC 8760 s2.4); never Basic."""
    chosen: dict[str, Challenge] = {}
    for challenge in challenges:
        if _answerable(challenge):
            chosen.setdefault(challenge.params["realm"], challenge)
    return list(chosen.values())


def answer(
    challenges: Sequence[Challenge], user: str, password: str, method: str, uri: str, nc: int, cnonce: str, body: bytes = b""
) -> str:
    """The value for Authorization or Proxy-Authorization, to the first of `choose(challenges)`.

    `nc`: how many requests this nonce was used for, this one included. `cnonce`: unguessable.
    Raises ParseError when there is no challenge we can answer.
    """
    chosen = choose(challenges)
    if not chosen:
        raise ParseError("no digest challenge with a known algorithm")
    challenge = chosen[0].params
    algorithm = challenge.get("algorithm", "MD5")
    offered = [item.strip().lower() for item in challenge.get("qop", "").split(",")]
    qop = "auth" if "auth" in offered else "auth-int" if "auth-int" in offered else ""
    count = f"{nc:08x}" if qop else ""
    response = response_digest(
        algorithm.upper(), user=user, realm=challenge["realm"], password=password, method=method, uri=uri,
        nonce=challenge["nonce"], qop=qop, nc=count, cnonce=cnonce, body=body,
    )  # fmt: skip
    hashed = challenge.get("userhash", "").lower() == "true"
    params = {
        "username": user_hash(algorithm.upper(), user, challenge["realm"]) if hashed else user,
        "realm": challenge["realm"],
        "nonce": challenge["nonce"],
        "uri": uri,
        "response": response,
    }
    if "algorithm" in challenge:
        params["algorithm"] = algorithm
    if "opaque" in challenge:
        params["opaque"] = challenge["opaque"]
    if qop:
        params |= {"qop": qop, "nc": count}
    if qop or algorithm.upper().endswith("-SESS"):
        params["cnonce"] = cnonce
    if hashed:
        params["userhash"] = "true"
    return str(Credentials("Digest", params))


def response_digest(
    algorithm: str,
    *,
    user: str,
    realm: str,
    password: str,
    method: str,
    uri: str,
    nonce: str,
    qop: str = "",
    nc: str = "",
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """The `response` of RFC 7616 s3.4.1; `algorithm` in upper case, one of KNOWN_ALGORITHMS; no `qop`: as RFC 2069."""
    name = algorithm.removesuffix("-SESS")
    a1 = _hash(name, f"{user}:{realm}:{password}")
    if name != algorithm:
        a1 = _hash(name, f"{a1}:{nonce}:{cnonce}")
    a2 = f"{method}:{uri}"
    if qop == "auth-int":
        a2 += ":" + hashlib.new(HASHES[name], body, usedforsecurity=False).hexdigest()
    middle = f"{nonce}:{nc}:{cnonce}:{qop}" if qop else nonce
    return _hash(name, f"{a1}:{middle}:{_hash(name, a2)}")


def user_hash(algorithm: str, user: str, realm: str) -> str:
    """What is sent for the user name where the server wants it hidden (RFC 7616 s3.4.4)."""
    return _hash(algorithm.removesuffix("-SESS"), f"{user}:{realm}")


def _hash(name: str, text: str) -> str:
    # MD5 is what the field speaks; its weakness is the operator's choice, not ours to hide behind a FIPS failure.
    return hashlib.new(HASHES[name], text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _same(given: str, expected: str) -> bool:
    """In a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode("utf-8", "surrogateescape"))


def _answerable(challenge: Challenge) -> bool:
    params = challenge.params
    if not challenge.digest or "realm" not in params or "nonce" not in params:
        return False
    if params.get("algorithm", "MD5").upper() not in KNOWN_ALGORITHMS:
        return False
    offered = {item.strip().lower() for item in params.get("qop", "").split(",")}
    return not offered.isdisjoint({"", "auth", "auth-int"})


def _is_count(text: str) -> bool:
    """Eight hexadecimal digits (RFC 7616 s3.4), not zero; `int` alone would take signs, underscores and other scripts' digits."""
    return len(text) == 8 and all(c in "0123456789abcdefABCDEF" for c in text) and text != "00000000"


def _same_resource(text: str, request_uri: Uri) -> bool:
    if text == str(request_uri):
        return True
    try:
        uri = Uri.parse(text)
    except ParseError:
        return False
    return uri.decoded_user == request_uri.decoded_user and uri.host == request_uri.host

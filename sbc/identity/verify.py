"""Whether somebody trustworthy stands for the caller of a request (RFC 8224 s6.2, ATIS-1000074)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sbc.errors import ParseError, SipError
from sbc.identity.credential import Credential, Trust, credential, read_chain
from sbc.identity.faults import (
    BadIdentityInfo,
    IdentityFault,
    InvalidIdentity,
    NoSupportedFormat,
    StaleDate,
    UnsupportedCredential,
)
from sbc.identity.location import check_url
from sbc.identity.passport import Passport, compact, extension, read, rebuilt
from sbc.identity.verdict import FRESH_S, MAX_HEADERS, Claimed, Failure, Verdict, Verstat
from sbc.sip.fields.signed_identity import SignedIdentity

SUPPORTED = frozenset((None, "shaken", "div", "rcd", "rph"))
KEPT = 1000  # chains; a few carriers sign nearly everything
_COMPACT = ".."


def locations(question: Claimed) -> tuple[str, ...]:
    """URLs of the certificates it takes, each once. Those that must not be fetched are not among them."""
    found: dict[str, None] = {}
    for text in question.identities[:MAX_HEADERS]:
        try:
            header = SignedIdentity.parse(text)
            check_url(header.info)
        except SipError:
            continue
        if header.ppt in SUPPORTED:
            found[header.info] = None
    return tuple(found)


class Credentials:
    """What chains are worth, worked out once for each: three signatures are dearer than the one of a call."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._known: OrderedDict[bytes, Credential] = OrderedDict()

    def of(self, chain: bytes, now: float) -> Credential:
        """BadIdentityInfo, UnsupportedCredential."""
        known = self._known.get(chain)
        if known is None or now > known.until:
            known = self._known[chain] = credential(read_chain(chain), self._trust, now)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(chain)
        return known


def verify(question: Claimed, chains: Mapping[str, bytes], credentials: Credentials, now: float) -> Verdict:
    """`chains`: PEM by URL, as far as it could be had. `now`: seconds since 1970. One valid header is enough (s6.2.1)."""
    valid: list[_Proof] = []
    failures: list[Failure] = []
    diverts = False
    for text in question.identities[:MAX_HEADERS]:
        try:
            header = _header(text)
            diverts |= header.ppt == "div"
            valid.append(_verified(header, question, chains, credentials, now))
        except IdentityFault as fault:
            ppi = compact(text) if len(question.identities) > 1 else ""
            failures.append(Failure(fault.status, fault.reason, str(fault), ppi))
    supported = [each for each in failures if each.status != NoSupportedFormat.status]
    proofs = [proof for proof in valid if proof.passport.ppt != "div"]
    diverted: tuple[str, ...] = ()
    if diverts or (proofs and not _called(proofs, question)):
        diverted = _diversions(proofs, valid, question)
        if not diverted:
            supported.append(
                Failure(InvalidIdentity.status, InvalidIdentity.reason, "not for whom is called, and no diversion leads there")
            )
            proofs = []
    if proofs:
        return _passed(proofs, tuple(supported), diverted)
    return Verdict(Verstat.FAILED if supported else Verstat.NONE, tuple(supported or failures))


@dataclass(frozen=True, slots=True)
class _Proof:
    passport: Passport
    credential: Credential


def _header(text: str) -> SignedIdentity:
    try:
        return SignedIdentity.parse(text)
    except ParseError as error:
        raise InvalidIdentity(str(error)) from error


def _verified(header: SignedIdentity, question: Claimed, chains: Mapping[str, bytes], credentials: Credentials, now: float) -> _Proof:
    """The steps of s6.2 in their order. IdentityFault."""
    passport = _passport(header, question)
    _check_parties(passport, question)
    check_url(header.info)
    octets = chains.get(header.info)
    if octets is None:
        raise BadIdentityInfo("its certificate cannot be had")
    found = credentials.of(octets, now)
    if abs(now - passport.iat) > FRESH_S:
        raise StaleDate(f"signed {now - passport.iat:.0f} s ago")
    if not passport.verified(found.key):
        raise InvalidIdentity("the signature is of something else")
    vouched = passport.diverted if passport.ppt == "div" else passport.orig
    if not found.authority.covers(vouched):
        raise InvalidIdentity("its certificate is for other numbers")
    found.constraints.check(passport.claims)
    return _Proof(passport, found)


def _passport(header: SignedIdentity, question: Claimed) -> Passport:
    if header.alg != "ES256" and header.alg != "none":  # of "none" the token says the same
        raise UnsupportedCredential("only ES256")
    token = header.token
    if token.startswith(_COMPACT):
        if header.ppt is not None:
            raise InvalidIdentity("a compact form of an extension")
        token = rebuilt(token, _claims(question), header.info)
    elif header.ppt not in SUPPORTED:
        raise NoSupportedFormat(f"ppt {header.ppt}")
    elif (said := extension(token)) != header.ppt:
        if said not in SUPPORTED:
            raise NoSupportedFormat(f"ppt {said}")
        raise InvalidIdentity("ppt says one thing in the header, another in the token")
    passport = read(token)
    if passport.x5u != header.info:
        raise BadIdentityInfo("info and x5u are two places")
    return passport


def _claims(question: Claimed) -> dict[str, Any]:
    """What a compact form leaves out (RFC 8224 s4.1.1)."""
    if question.date is None:
        raise InvalidIdentity("a compact form without Date")
    return {"dest": _as_claim(question.called, several=True), "iat": question.date, "orig": _as_claim(question.callers[0], several=False)}


def _as_claim(party: str, *, several: bool) -> dict[str, Any]:
    kind = "uri" if ":" in party else "tn"
    return {kind: [party] if several else party}


def _check_parties(passport: Passport, question: Claimed) -> None:
    """Step 2, the caller; who is called is looked at when all diversions are known."""
    if passport.orig not in question.callers:
        raise InvalidIdentity("signed for another caller")


def _called(proofs: Sequence[_Proof], question: Claimed) -> bool:
    return any({question.called, question.request} & set(proof.passport.dest) for proof in proofs)


def _diversions(proofs: Sequence[_Proof], valid: Iterable[_Proof], question: Claimed) -> tuple[str, ...]:
    """From whom a proof says was called to the Request-URI, by one valid div after another; () when they do not lead there."""
    steps = {proof.passport.diverted: proof.passport.dest for proof in valid if proof.passport.ppt == "div"}
    for proof in proofs:
        for start in proof.passport.dest:
            path = [start]
            while path[-1] != question.request and path[-1] in steps and len(path) <= len(steps):
                targets = steps[path[-1]]
                path.append(question.request if question.request in targets else targets[0])
            if path[-1] == question.request:
                return tuple(path)
    return ()


def _passed(proofs: Sequence[_Proof], failures: tuple[Failure, ...], diverted: tuple[str, ...]) -> Verdict:
    shaken = next((proof for proof in proofs if proof.passport.ppt == "shaken"), None)
    rich = next((proof for proof in proofs if "rcd" in proof.passport.claims), None)
    best = shaken or proofs[0]
    claims = best.passport.claims
    name = rich.passport.claims["rcd"].get("nam") if rich and isinstance(rich.passport.claims["rcd"], dict) else None
    return Verdict(
        Verstat.PASSED,
        failures,
        claims["attest"] if shaken else None,
        claims["origid"] if shaken else None,
        best.credential.subject,
        diverted,
        name if isinstance(name, str) else None,
    )

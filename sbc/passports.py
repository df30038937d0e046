"""`sbc identity`: what a verifier makes of a message, a certificate or a token, and tokens of our own; nothing is fetched."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sbc.errors import ConfigError, SipError
from sbc.identity.credential import Trust, credential, read_chain
from sbc.identity.parties import party
from sbc.identity.passport import canonical, read, signed
from sbc.identity.verdict import Claimed, Verstat
from sbc.identity.verify import Credentials, locations, verify
from sbc.sip.fields.date import seconds_of
from sbc.sip.fields.identity import parse_identities
from sbc.sip.fields.signed_identity import SignedIdentity
from sbc.sip.message import Request
from sbc.sip.names import DATE, IDENTITY, P_ASSERTED_IDENTITY
from sbc.sip.parse import parse_datagram


def verified(message: Path, roots: Path, chain: Path | None, at: float | None) -> Iterator[tuple[str, bool]]:
    """Lines for a person, and whether each is good news. ConfigError."""
    asked = question(_request(message))
    trust = Trust(tuple(certificates(roots)))
    now = time.time() if at is None else at
    octets = _read(chain) if chain else b""
    urls = locations(asked)
    verdict = verify(asked, dict.fromkeys(urls, octets) if chain else {}, Credentials(trust), now)
    yield f"caller {' or '.join(asked.callers)}, called {asked.called}, at {_moment(now)}", True
    for url in urls:
        yield f"certificate of {url}: {f'taken from {chain}' if chain else 'not there; give it with --certificate'}", chain is not None
    for failure in verdict.failures:
        yield f"{failure.status} {failure.reason}: {failure.detail}", False
    facts = {
        "attestation": verdict.attest,
        "origid": verdict.origid,
        "signed by": verdict.signer,
        "diverted": " → ".join(verdict.diverted),
        "name": verdict.name,
    }
    for name, fact in facts.items():
        if fact:
            yield f"{name} {fact}", True
    yield str(verdict.verstat), verdict.verstat == Verstat.PASSED


def explained(text: str) -> Iterator[str]:
    """Of an Identity header or a token: what it says, without asking whether it is true. ConfigError."""
    value = text.strip().removeprefix("Identity:").strip()
    try:
        token = SignedIdentity.parse(value).token if ";" in value else value
        passport = read(token)
    except SipError as error:
        raise ConfigError(f"{error.status} {error.reason}: {error}") from error
    yield f"header {canonical(passport.header)}"
    yield f"claims {canonical(passport.claims)}"
    yield f"signed at {_moment(passport.iat)}"


def certificate(path: Path, roots: Path | None, at: float | None) -> Iterator[tuple[str, bool]]:
    """What a file of certificates may vouch for. ConfigError."""
    chain = certificates(path)
    for each in chain:
        yield f"{each.subject.rfc4514_string()}, until {_moment(each.not_valid_after_utc.timestamp())}", True
    if roots is None:
        yield "not checked against anybody: give --roots", True
        return
    try:
        found = credential(chain, Trust(tuple(certificates(roots))), time.time() if at is None else at)
    except SipError as error:
        yield f"{error.status} {error.reason}: {error}", False
        return
    for code in found.authority.codes:
        yield f"for the numbers of {code}", True
    for numbers in found.authority.numbers:
        yield f"for {numbers.first}" + (f" and the {numbers.count - 1} after it" if numbers.count > 1 else ""), True
    yield f"trusted until {_moment(found.until)}", True


def header(claims: Mapping[str, object], key: Path, x5u: str, ppt: str | None) -> str:
    """An Identity header. ConfigError."""
    try:
        private = load_pem_private_key(_read(key), None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{key}: not a PEM private key without a password") from error
    if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
        raise ConfigError(f"{key}: not a key of P-256, which is what ES256 needs")
    try:
        return f"Identity: {SignedIdentity(signed(claims, private, x5u, ppt), x5u, ppt=ppt)}"
    except SipError as error:
        raise ConfigError(str(error)) from error


def claims_of(attest: str, orig: str, dest: str, origid: str, at: float | None) -> dict[str, object]:
    """Of a shaken."""
    iat = round(time.time() if at is None else at)
    return {"attest": attest, "dest": {"tn": [dest.lstrip("+")]}, "iat": iat, "orig": {"tn": orig.lstrip("+")}, "origid": origid}


def read_claims(text: str) -> Mapping[str, object]:
    """ConfigError."""
    try:
        claims = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"claims that are not JSON: {error}") from error
    if not isinstance(claims, dict):
        raise ConfigError("claims are an object, in braces")
    return claims


def _request(path: Path) -> Request:
    try:
        found = parse_datagram(_read(path).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    except SipError as error:
        raise ConfigError(f"{path}: not a SIP message: {error}") from error
    if not isinstance(found, Request):
        raise ConfigError(f"{path}: an answer; identities are those of requests")
    return found


def question(request: Request) -> Claimed:
    """What it says of caller and called. ConfigError."""
    try:
        asserted = parse_identities(request.headers.all(P_ASSERTED_IDENTITY))
    except SipError as error:
        raise ConfigError(f"P-Asserted-Identity: {error}") from error
    callers = tuple(party(each.uri) for each in asserted) or (party(request.from_.uri),)
    said = request.headers.first(DATE)
    date = seconds_of(said) if said is not None else None
    return Claimed(tuple(request.headers.all(IDENTITY)), callers, party(request.to.uri), party(request.uri), date)


def certificates(path: Path) -> list[x509.Certificate]:
    """Of a PEM file. ConfigError."""
    try:
        return read_chain(_read(path))
    except SipError as error:
        raise ConfigError(f"{path}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

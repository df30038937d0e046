"""PASSporT: what is said of a call, signed (RFC 8225), with the extensions shaken, div, rcd and rph (RFC 8588, 8946, 9795, 8443)."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from sbc.identity.faults import InvalidIdentity, InvalidPassport, UnsupportedCredential

Claims = Mapping[str, Any]

MAX_TOKEN = 16 * 1024
MAX_NUMBERS = 64  # in dest; conferences are called one by one
ATTESTATIONS = ("A", "B", "C")
_NUMBER_OCTETS = 32  # R and S of P-256, both of that length in a signature (RFC 7518 s3.4)
_base64url = re.compile(r"[A-Za-z0-9_-]++").fullmatch
_signature = re.compile(r"[A-Za-z0-9_-]{86}").fullmatch  # two numbers of 32 octets
_number = re.compile(r"[0-9*#]{1,32}").fullmatch  # canonical: neither plus nor separators (RFC 8224 s8.3)
_ECDSA = ECDSA(SHA256())


@dataclass(frozen=True, slots=True)
class Passport:
    """Read, but not verified. `signed` are the octets as they were sent: another order or spelling of the same JSON is as good."""

    header: Claims
    claims: Claims
    signed: bytes
    signature: bytes

    @property
    def ppt(self) -> str | None:
        return cast("str | None", self.header.get("ppt"))

    @property
    def x5u(self) -> str:
        return cast(str, self.header["x5u"])

    @property
    def orig(self) -> str:
        """The caller: a number, or a URI."""
        return _party(self.claims["orig"])

    @property
    def dest(self) -> tuple[str, ...]:
        """Who was called: numbers, then URIs."""
        dest = self.claims["dest"]
        return (*dest.get("tn", ()), *dest.get("uri", ()))

    @property
    def diverted(self) -> str:
        """Who was called before this diversion; of a div only."""
        return _party(self.claims["div"])

    @property
    def iat(self) -> int:
        """When it was signed, seconds since 1970."""
        return int(self.claims["iat"])

    def verified(self, key: EllipticCurvePublicKey) -> bool:
        if len(self.signature) != 2 * _NUMBER_OCTETS:
            return False
        r, s = self.signature[:_NUMBER_OCTETS], self.signature[_NUMBER_OCTETS:]
        try:
            key.verify(encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big")), self.signed, _ECDSA)
        except InvalidSignature:
            return False
        return True


def read(token: str) -> Passport:
    """The token in its full form. InvalidIdentity: not one; UnsupportedCredential: signed otherwise; InvalidPassport: bad claims."""
    parts = token.split(".")
    if len(token) > MAX_TOKEN or len(parts) != 3 or not all(parts[:2]):
        raise InvalidIdentity("not three parts")
    header = _json(parts[0])
    alg = header.get("alg")
    if alg != "ES256":  # "none", and keyed hashes with a public certificate as the key, are how such tokens are forged
        raise InvalidIdentity("not signed") if alg in (None, "none") else UnsupportedCredential("only ES256")
    _check_header(header)
    passport = Passport(header, _json(parts[1]), f"{parts[0]}.{parts[1]}".encode(), _octets(parts[2]))
    _check_claims(passport.ppt, passport.claims)
    return passport


def extension(token: str) -> str | None:
    """What kind of PASSporT it says it is, whatever else it says. InvalidIdentity, InvalidPassport."""
    ppt = _json(token.partition(".")[0]).get("ppt") if len(token) <= MAX_TOKEN else None
    return ppt if isinstance(ppt, str) else None


def rebuilt(token: str, claims: Claims, x5u: str) -> str:
    """The full form of one in compact form ("..signature"), from what the request says (RFC 8224 s4.1.1). It never has an extension."""
    return f"{_encoded({'alg': 'ES256', 'typ': 'passport', 'x5u': x5u})}.{_encoded(claims)}.{token[2:]}"


def compact(text: str) -> str:
    """Of a token, or of an Identity header: its signature alone says which it is (RFC 8225 s7). "": that is none of ES256."""
    signature = text.partition(";")[0].strip().rpartition(".")[2]
    return f"..{signature}" if _signature(signature) else ""


def signed(claims: Claims, key: EllipticCurvePrivateKey, x5u: str, ppt: str | None) -> str:
    """The token in its full form. InvalidPassport: not such claims."""
    header = {"alg": "ES256", "typ": "passport", "x5u": x5u} | ({"ppt": ppt} if ppt else {})
    _check_claims(ppt, claims)
    octets = f"{_encoded(header)}.{_encoded(claims)}"
    r, s = decode_dss_signature(key.sign(octets.encode(), _ECDSA))
    return f"{octets}.{_text(r.to_bytes(_NUMBER_OCTETS, 'big') + s.to_bytes(_NUMBER_OCTETS, 'big'))}"


def canonical(claims: Claims) -> str:
    """Lexicographic order, no white space (RFC 8225 s9)."""
    return json.dumps(claims, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _encoded(claims: Claims) -> str:
    return _text(canonical(claims).encode())


def _text(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def _octets(text: str) -> bytes:
    """Strict: no padding, no bits that mean nothing."""
    if not _base64url(text):
        raise InvalidIdentity("not base64url")
    try:
        octets = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise InvalidIdentity("not base64url") from error
    if _text(octets) != text:
        raise InvalidIdentity("base64url with loose bits")
    return octets


def _json(part: str) -> dict[str, Any]:
    octets = _octets(part)
    try:
        value = json.loads(octets.decode(), object_pairs_hook=_object, parse_constant=_refuse, parse_float=_refuse, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise InvalidPassport("not JSON") from error
    if not isinstance(value, dict):
        raise InvalidPassport("not a JSON object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """ValueError for a name that is there twice: one reader would take the first, another the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _refuse(text: str) -> None:
    raise ValueError(f"{text[:20]} in a PASSporT")


def _integer(text: str) -> int:
    if len(text) > 18:  # int() of long text is not linear
        raise ValueError("a number too large")
    return int(text)


def _check_header(header: Claims) -> None:
    if header.get("typ") != "passport":
        raise InvalidPassport("typ is not passport")
    if not isinstance(header.get("x5u"), str):
        raise InvalidPassport("no x5u")
    if "ppt" in header and not isinstance(header["ppt"], str):
        raise InvalidPassport("ppt is not text")
    if "crit" in header:  # "If any of the listed extension … are not understood … the JWS is invalid" (RFC 7515 s4.1.11)
        raise InvalidPassport("crit names extensions we do not know")


def _check_claims(ppt: str | None, claims: Claims) -> None:
    """InvalidPassport."""
    _check_time(claims.get("iat"))
    _check_party(claims.get("orig"), "orig")
    _check_dest(claims.get("dest"))
    match ppt:
        case "shaken":
            if claims.get("attest") not in ATTESTATIONS:
                raise InvalidPassport("attest is not A, B or C")
            if not isinstance(claims.get("origid"), str) or not claims["origid"]:
                raise InvalidPassport("no origid")
        case "div":
            _check_party(claims.get("div"), "div")
        case "rcd":
            rcd = claims.get("rcd")
            if not isinstance(rcd, dict) or not isinstance(rcd.get("nam"), str):
                raise InvalidPassport("rcd without nam")
        case "rph":
            rph = claims.get("rph")
            if not isinstance(rph, dict) or not _texts(rph.get("auth")):
                raise InvalidPassport("rph without auth")


def _check_time(iat: object) -> None:
    """An integer, or the same in quotes: RFC 8224 itself has one."""
    quoted = isinstance(iat, str) and len(iat) <= 12 and iat.isascii() and iat.isdigit()
    if not quoted and (not isinstance(iat, int) or isinstance(iat, bool) or iat < 0):
        raise InvalidPassport("iat is not a time")


def _check_party(party: object, name: str) -> None:
    """An object of one number or one URI; div may have the way it was diverted beside them (RFC 8946 s4.1: hi)."""
    if not isinstance(party, dict) or len(party.keys() & {"tn", "uri"}) != 1:
        raise InvalidPassport(f"{name} is not one number or URI")
    _check_one(party.get("tn", party.get("uri")), "tn" in party, name)


def _check_dest(dest: object) -> None:
    if not isinstance(dest, dict) or not dest or dest.keys() - {"tn", "uri"}:
        raise InvalidPassport("dest is not numbers and URIs")
    for kind, several in dest.items():
        if not _texts(several) or len(several) > MAX_NUMBERS:
            raise InvalidPassport("dest is not lists of numbers and URIs")
        for each in several:
            _check_one(each, kind == "tn", "dest")


def _check_one(value: object, as_number: bool, name: str) -> None:
    if not isinstance(value, str) or not value or (as_number and not _number(value)):
        raise InvalidPassport(f"{name} is not canonical")


def _texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def _party(party: Claims) -> str:
    return cast(str, party["tn"] if "tn" in party else party["uri"])

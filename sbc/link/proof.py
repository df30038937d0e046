"""Who is at the other end: certificates that are pinned or chained to an authority, and signatures that only their keys can make.

A QUIC server does not verify its clients here, so that both ends prove themselves within the connection: each signs what only this
connection has, its first connection id, a nonce of either end and both certificates. What was signed for one connection is of no
use on another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import verification

from sbc.errors import ConfigError
from sbc.link.frames import LinkError

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
End = Literal["site", "edge"]

_LABEL = b"sbc-link/1 "
_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)


@dataclass(frozen=True, slots=True)
class Credential:
    """Ours. `chain` in DER, our own certificate first."""

    chain: tuple[bytes, ...]
    key: PrivateKey = field(repr=False)

    @classmethod
    def read(cls, certificate: str, key: str) -> Credential:
        """Raises ConfigError."""
        try:
            chain = x509.load_pem_x509_certificates(Path(certificate).read_bytes())
            private = load_pem_private_key(Path(key).read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"{certificate} with {key} is not usable ({error}); both must be PEM, the key without password") from None
        if not isinstance(private, PrivateKey):
            raise ConfigError(f"{key}: a key of an elliptic curve, RSA or Ed25519 is needed for a link")
        return cls(tuple(each.public_bytes(Encoding.DER) for each in chain), private)

    def sign(self, text: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(text, ec.ECDSA(hashes.SHA256()))
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(text, _PSS, hashes.SHA256())
        return self.key.sign(text)


@dataclass(frozen=True, slots=True)
class Trust:
    """Who the other end must be: one of `pins` (SHA-256 of the certificate, as `fingerprint` writes it), or `name` in a certificate
    that one of `authorities` stands behind.
    """

    pins: frozenset[str] = frozenset()
    name: str = ""
    authorities: tuple[x509.Certificate, ...] = ()

    def refusal(self, chain: Sequence[bytes], end: End, now: float) -> str:
        """Why the owner of that chain is not the one; "": it is. A wrong pin is refused before the certificate is read."""
        if self.pins and fingerprint(chain[0]) not in self.pins:
            return f"its certificate is not the pinned one: {fingerprint(chain[0])}"
        try:
            own, *between = [x509.load_der_x509_certificate(each) for each in chain]
        except ValueError:
            return "its certificate cannot be read"
        moment = datetime.fromtimestamp(now, UTC)
        if moment > own.not_valid_after_utc:
            return f"its certificate expired on {own.not_valid_after_utc:%Y-%m-%d}"
        if moment < own.not_valid_before_utc:
            return f"its certificate is not valid before {own.not_valid_before_utc:%Y-%m-%d}"
        return "" if self.pins else self._chained(own, between, end, moment)

    def _chained(self, own: x509.Certificate, between: list[x509.Certificate], end: End, moment: datetime) -> str:
        if not self.authorities:
            return "nobody is configured who could stand behind its certificate"
        builder = verification.PolicyBuilder().store(verification.Store(list(self.authorities))).time(moment)
        try:
            if end == "edge":
                builder.build_server_verifier(x509.DNSName(self.name)).verify(own, between)
                return ""
            proven = builder.build_client_verifier().verify(own, between)
        except (verification.VerificationError, ValueError) as error:
            return f"its certificate is not good: {error}"
        names = [each.value.lower() for each in proven.subjects or () if isinstance(each, x509.DNSName)]
        return "" if self.name in names else f"its certificate is for {', '.join(names[:5]) or 'nobody'}, not for {self.name}"


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate in DER: `12:AB:…`, as in session descriptions and as `openssl x509 -fingerprint -sha256` prints it."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def fingerprint_of_file(path: Path) -> str:
    """Of the first certificate there. Raises ConfigError."""
    try:
        return fingerprint(x509.load_pem_x509_certificates(path.read_bytes())[0].public_bytes(Encoding.DER))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: no certificate that could be read ({error})") from None


def bound_text(end: End, connection: bytes, site_nonce: bytes, edge_nonce: bytes, site: bytes, edge: bytes) -> bytes:
    """What the `end` signs. `connection`: the connection id that the first packet was for; `site`, `edge`: their certificates."""
    parts = (connection, site_nonce, edge_nonce, hashlib.sha256(site).digest(), hashlib.sha256(edge).digest())
    return _LABEL + end.encode() + b"".join([bytes((len(part),)) + part for part in parts])


def check_signature(certificate: bytes, text: bytes, signature: bytes) -> None:
    """Raises LinkError."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, text, _PSS, hashes.SHA256())
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, text)
        else:
            raise LinkError("its certificate has a kind of key that is not known here")
    except InvalidSignature:
        raise LinkError("it does not have the key of its certificate") from None

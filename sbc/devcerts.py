"""Certificates and secrets for development: `python -m sbc.devcerts DIR [NAME…]`. What is already there stays.

A small certificate authority of one's own (ca.pem, ca.key) signs edge.pem; phones that trust ca.pem can then verify us.
Production wants certificates from an authority the peers already trust.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 825  # the longest life Apple's clients accept for a server certificate of a private authority
ALWAYS_NAMES = ("localhost", "127.0.0.1", "::1")
PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644


def make(directory: Path, names: Sequence[str] = (), users: Sequence[str] = ("alice",)) -> list[Path]:
    """Create what is missing of ca.pem/.key, edge.pem/.key and USER.secret in `directory`; the files created.

    `names` are further host names and addresses for the edge certificate. A pair of which one half exists is a
    FileExistsError: neither half is replaced.
    """
    directory.mkdir(parents=True, exist_ok=True)
    created: list[Path] = []
    ca_pem, ca_key = directory / "ca.pem", directory / "ca.key"
    if _missing(ca_pem, ca_key):
        _write_pair(ca_pem, ca_key, *_authority())
        created += [ca_pem, ca_key]
    edge_pem, edge_key = directory / "edge.pem", directory / "edge.key"
    if _missing(edge_pem, edge_key):
        issuer = x509.load_pem_x509_certificate(ca_pem.read_bytes())
        issuer_key = serialization.load_pem_private_key(ca_key.read_bytes(), None)
        if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{ca_key}: not an elliptic curve key")
        _write_pair(edge_pem, edge_key, *_edge(issuer, issuer_key, names))
        created += [edge_pem, edge_key]
    for user in users:
        secret = directory / f"{user}.secret"
        if not secret.exists():
            write_new(secret, new_secret(), PRIVATE_MODE)
            created.append(secret)
    return created


def new_secret() -> bytes:
    """A password worth 144 bits, one line of URL-safe text."""
    return secrets.token_urlsafe(18).encode() + b"\n"


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Create `path`, never readable by more than `mode` at any moment. FileExistsError when it exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _missing(pem: Path, key: Path) -> bool:
    if pem.exists() != key.exists():
        there, gone = (pem, key) if pem.exists() else (key, pem)
        raise FileExistsError(f"{there} exists but {gone} does not: remove it or restore the other half")
    return not pem.exists()


def _write_pair(pem: Path, key: Path, certificate: x509.Certificate, private: ec.EllipticCurvePrivateKey) -> None:
    private_bytes = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_new(key, private_bytes, PRIVATE_MODE)
    write_new(pem, certificate.public_bytes(serialization.Encoding.PEM), PUBLIC_MODE)


def _authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    # The random part keeps two development authorities apart in a trust store.
    name = _name(f"SBC development CA {secrets.token_hex(4)}")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    builder = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return builder.sign(key, hashes.SHA256()), key


def _edge(
    issuer: x509.Certificate, issuer_key: ec.EllipticCurvePrivateKey, names: Sequence[str]
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    all_names = list(dict.fromkeys((*ALWAYS_NAMES, *names)))
    subject = _name(names[0][:64] if names else "localhost")  # X.520 upper bound of a common name: 64
    # Both usages: we are the client on connections we open ourselves, and mutual TLS wants a certificate there too.
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = (
        _builder(subject, issuer.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in all_names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256()), key


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - timedelta(hours=1)  # clocks of phones run late
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write("usage: python -m sbc.devcerts DIR [NAME…]\n")
        return 2
    directory, *names = arguments
    try:
        created = make(Path(directory), names)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for path in created:
        sys.stdout.write(f"created {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

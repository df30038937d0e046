"""Certificates and secrets for development: what `sbc certs` makes. What is already there stays.

A small certificate authority of one's own (ca.pem, ca.key) signs edge.pem; phones that trust ca.pem can then verify us.
Production wants certificates from an authority the peers already trust.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sbc.identity.authority import TN_AUTH_LIST

VALID_DAYS = 825  # the longest life Apple's clients accept for a server certificate of a private authority
ALWAYS_NAMES = ("localhost", "127.0.0.1", "::1")
PROVIDER = "DEV0"  # the code of a provider that no policy administrator would give out
_PROVIDERS = b"\x30\x08\xa0\x06\x16\x04" + PROVIDER.encode()  # a TNAuthList of that code alone (RFC 8226 s9)
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
        _write_pair(edge_pem, edge_key, *_edge(*_issuer(ca_pem, ca_key), names))
        created += [edge_pem, edge_key]
    for user in users:
        secret = directory / f"{user}.secret"
        if not secret.exists():
            write_new(secret, new_secret(), PRIVATE_MODE)
            created.append(secret)
    return created


def make_stir(directory: Path) -> list[Path]:
    """What is missing of a development STI authority in `directory`, and of a certificate to sign calls with; the files created.

    sti-ca.pem is for `identity: {roots: …}`, stir.pem and stir.key for `identity: {sign: …}`. FileExistsError as `make` has it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    created: list[Path] = []
    ca_pem, ca_key = directory / "sti-ca.pem", directory / "sti-ca.key"
    if _missing(ca_pem, ca_key):
        _write_pair(ca_pem, ca_key, *_authority("SBC development STI authority"))
        created += [ca_pem, ca_key]
    pem, key = directory / "stir.pem", directory / "stir.key"
    if _missing(pem, key):
        _write_pair(pem, key, *_signer(*_issuer(ca_pem, ca_key)))
        created += [pem, key]
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


def _issuer(pem: Path, key: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{key}: not an elliptic curve key")
    return x509.load_pem_x509_certificate(pem.read_bytes()), private


def _authority(called: str = "SBC development CA") -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    # The random part keeps two development authorities apart in a trust store.
    name = _name(f"{called} {secrets.token_hex(4)}")
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


def _signer(issuer: x509.Certificate, issuer_key: ec.EllipticCurvePrivateKey) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(f"SHAKEN {PROVIDER}"), issuer.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.UnrecognizedExtension(TN_AUTH_LIST, _PROVIDERS), critical=False)
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

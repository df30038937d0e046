"""Certificates for links: of whom, until when, signed by whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sbc.link.proof import Credential

NOW = datetime.now(UTC)


class Authority:
    def __init__(self, name: str = "authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = _builder(self.name, self.name, self.key.public_key(), NOW + timedelta(days=30))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).add_extension(usage, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        self.certificate = builder.sign(self.key, hashes.SHA256())


def credential(name: str, issuer: Authority | None = None, *, days: float = 45) -> Credential:
    """Of `name`, good for so many days from now; signed by itself when there is no issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_name = issuer.name if issuer is not None else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), issuer_name, key.public_key(), NOW + timedelta(days=days)
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = builder.add_extension(purposes, critical=False)
    if issuer is not None:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    certificate = builder.sign(issuer.key if issuer is not None else key, hashes.SHA256())
    return Credential((certificate.public_bytes(serialization.Encoding.DER),), key)


def write(folder: Path, name: str, of: Credential) -> None:
    """NAME.pem and NAME.key."""
    folder.mkdir(parents=True, exist_ok=True)
    pem = [x509.load_der_x509_certificate(each).public_bytes(serialization.Encoding.PEM) for each in of.chain]
    (folder / f"{name}.pem").write_bytes(b"".join(pem))
    key = of.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(key)
    (folder / f"{name}.key").chmod(0o600)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, end: datetime) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(end - timedelta(days=60)).not_valid_after(end)

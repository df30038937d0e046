"""A small authority of our own for tests: what it issues is valid around a fixed moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sbc.identity.authority import TN_AUTH_LIST
from sbc.identity.credential import Trust

NOW = 1_800_000_000
SPC = bytes.fromhex("3008a006160431323334")  # code 1234
URL = "https://certs.example.org/1234.pem"


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    def __init__(
        self, called: str = "root", above: Authority | None = None, *, path_length: int | None = None, begins: int = -3600, ends: int = 3600
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name(called)
        self.above = above
        self.certificate = (above or self).issue(self.key, called, ca=True, path_length=path_length, begins=-max(ends, 3600), ends=ends)

    def issue(
        self,
        key: ec.EllipticCurvePrivateKey,
        subject: str,
        *,
        ca: bool = False,
        path_length: int | None = None,
        extensions: tuple[tuple[x509.ObjectIdentifier, bytes, bool], ...] = (),
        begins: int = -3600,
        ends: int = 3600,
        signs: bool = True,
    ) -> x509.Certificate:
        def moment(offset: int) -> datetime:
            return datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=offset)

        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment(begins))
            .not_valid_after(moment(ends))
            .add_extension(x509.BasicConstraints(ca, path_length), critical=True)
            .add_extension(x509.KeyUsage(digital_signature=signs, key_cert_sign=ca, crl_sign=ca, **usage), critical=True)
        )
        for oid, octets, critical in extensions:
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, octets), critical=critical)
        return builder.sign(self.key, SHA256())

    def leaf(self, numbers: bytes = SPC) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        return key, self.issue(key, "SHAKEN 1234", extensions=((TN_AUTH_LIST, numbers, False),))

    def revoked(self, *certificates: x509.Certificate, ends: int = 3600) -> bytes:
        """A list of them, DER. `ends`: when the next one is due, seconds from NOW."""
        begins = datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=min(ends, 0) - 3600)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(begins)
        builder = builder.next_update(datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=ends))
        for each in certificates:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(begins).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.DER)

    @property
    def trust(self) -> Trust:
        return Trust((self.certificate,))


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)

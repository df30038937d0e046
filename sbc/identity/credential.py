"""From a file of certificates to a key that may be trusted (RFC 8226, ATIS-1000080): chain, time, revocation, authority."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.x509.oid import ExtensionOID

from sbc.identity.authority import KNOWN, Authority, Constraints, authority, constraints
from sbc.identity.faults import BadIdentityInfo, UnsupportedCredential

MAX_OCTETS = 64 * 1024
MAX_CHAIN = 6  # certificates from the signer's to the root's: SHAKEN has three, a delegate one or two more
_UNDERSTOOD = KNOWN | {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
}


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose certificates count. `revoked`: issuer (DER of its name) and serial number."""

    roots: tuple[x509.Certificate, ...]
    revoked: frozenset[tuple[bytes, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Credential:
    key: EllipticCurvePublicKey
    subject: str
    authority: Authority
    constraints: Constraints
    until: float
    """Seconds since 1970: the first certificate of the chain that ends."""


def read_chain(octets: bytes) -> list[x509.Certificate]:
    """PEM, the signer's first. BadIdentityInfo."""
    if len(octets) > MAX_OCTETS:
        raise BadIdentityInfo("a certificate of that size")
    try:
        return x509.load_pem_x509_certificates(octets)
    except ValueError as error:
        raise BadIdentityInfo("no certificate where one should be") from error


def credential(chain: Sequence[x509.Certificate], trust: Trust, now: float) -> Credential:
    """What the first of the chain may vouch for at `now` (seconds since 1970). UnsupportedCredential."""
    try:
        path = _path(chain, trust, now)
        return _credential(path)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:  # cryptography reads extensions only when asked for them
        raise UnsupportedCredential(f"a certificate that cannot be read: {error}") from error


def _credential(path: Sequence[x509.Certificate]) -> Credential:
    leaf = path[0]
    key = leaf.public_key()
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise UnsupportedCredential("a key that is not of P-256")
    if not _may(leaf, "digital_signature"):
        raise UnsupportedCredential("a certificate that is not for signatures")
    said = authority(leaf)
    if said is None:
        raise UnsupportedCredential("a certificate without TNAuthList")
    for issuer in path[1:]:
        above = authority(issuer)
        if above is not None and not above.encompasses(said):
            raise UnsupportedCredential("a certificate for numbers its issuer does not have")
    until = min(each.not_valid_after_utc for each in path)
    return Credential(key, leaf.subject.rfc4514_string(), said, constraints(leaf), until.timestamp())


def _path(chain: Sequence[x509.Certificate], trust: Trust, now: float) -> list[x509.Certificate]:
    """From the leaf to a root."""
    if not chain:
        raise UnsupportedCredential("no certificate")
    moment = datetime.fromtimestamp(now, UTC)
    path = [chain[0]]
    _check(chain[0], trust, moment)
    while path[-1] not in trust.roots:
        if len(path) == MAX_CHAIN:
            raise UnsupportedCredential("a chain too long")
        issuer = _issuer(path[-1], (*trust.roots, *chain[1:MAX_CHAIN]), len(path) - 1)
        if issuer is None or issuer in path:
            raise UnsupportedCredential("not issued by anybody we trust")
        _check(issuer, trust, moment)
        path.append(issuer)
    return path


def _issuer(certificate: x509.Certificate, candidates: Iterable[x509.Certificate], below: int) -> x509.Certificate | None:
    """`below`: certificates between the issuer and the leaf."""
    for each in candidates:
        if each.subject == certificate.issuer and _may_issue(each, below):
            try:
                certificate.verify_directly_issued_by(each)
            except (ValueError, TypeError, InvalidSignature):
                continue
            return each
    return None


def _may_issue(certificate: x509.Certificate, below: int) -> bool:
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    return basic.ca and (basic.path_length is None or basic.path_length >= below) and _may(certificate, "key_cert_sign")


def _may(certificate: x509.Certificate, use: str) -> bool:
    """ "If present": RFC 5280 s4.2.1.3."""
    try:
        return bool(getattr(certificate.extensions.get_extension_for_class(x509.KeyUsage).value, use))
    except x509.ExtensionNotFound:
        return True


def _check(certificate: x509.Certificate, trust: Trust, moment: datetime) -> None:
    if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
        raise UnsupportedCredential("a certificate whose time has not come or is over")
    if (certificate.issuer.public_bytes(), certificate.serial_number) in trust.revoked:
        raise UnsupportedCredential("a certificate that was revoked")
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise UnsupportedCredential("a certificate with a critical extension we do not know")


def read_revoked(octets: bytes, issuers: Sequence[x509.Certificate], now: float) -> tuple[frozenset[tuple[bytes, int]], bool]:
    """Of a revocation list (DER or PEM) signed by one of the `issuers`: who is on it, and whether it is out of date.

    In the list of a policy administrator each entry names its issuer (RFC 5280 s5.3.3); one that does not has that of the entry before.
    ValueError.
    """
    parse = x509.load_pem_x509_crl if octets.lstrip().startswith(b"-----BEGIN") else x509.load_der_x509_crl
    found = parse(octets)
    if not any(_signed_by(found, each) for each in issuers):
        raise ValueError("not signed by its issuer")
    issuer = found.issuer
    revoked: set[tuple[bytes, int]] = set()
    for entry in found:
        try:
            named = entry.extensions.get_extension_for_class(x509.CertificateIssuer).value.get_values_for_type(x509.DirectoryName)
            issuer = named[0] if named else issuer
        except x509.ExtensionNotFound:
            pass
        revoked.add((issuer.public_bytes(), entry.serial_number))
    late = found.next_update_utc is not None and found.next_update_utc.timestamp() < now
    return frozenset(revoked), late


def _signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    if issuer.subject != crl.issuer or not _may(issuer, "crl_sign") or not isinstance(key, EllipticCurvePublicKey):
        return False
    return crl.is_signature_valid(key)

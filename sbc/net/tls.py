"""TLS as RFC 9325 wants it, and who a peer's certificate says it is (RFC 5922)."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509

from sbc.errors import ConfigError
from sbc.policy.snapshot import Realm

# TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has nothing else.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
EXPIRY_WARNING = timedelta(days=30)


def server_context(realm: Realm) -> ssl.SSLContext:
    """For connections peers open. With `client_ca` they must present a certificate. Raises ConfigError."""
    if not realm.certificate_file or not realm.key_file:
        raise ConfigError(f"realm {realm.name}: a tls:// address needs a certificate; add `certificate: NAME` to the realm")
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    _load_certificate(context, realm.name, Path(realm.certificate_file), Path(realm.key_file))
    if realm.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_authorities(context, realm)
    return context


def client_context(realm: Realm) -> ssl.SSLContext:
    """For connections we open: peers are verified against `client_ca`, or else the system's authorities. Raises ConfigError.

    Whom the certificate names is `refusal`'s business: OpenSSL would accept wildcards and knows no SIP identities.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if realm.client_ca is not None:
        _load_authorities(context, realm)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if realm.certificate_file and realm.key_file:
        _load_certificate(context, realm.name, Path(realm.certificate_file), Path(realm.key_file))
    return context


def refusal(certificate: Mapping[str, object] | None, domain: str) -> str:
    """Why a peer with this certificate (as ssl's getpeercert gives it) is not `domain`, or "" if it is (RFC 5922 s7)."""
    if not certificate:
        return "the peer has no certificate"
    names = identities(certificate)
    wanted = domain.lower().rstrip(".")
    if wanted in names:
        return ""
    return f"the certificate is for {', '.join(names[:5]) or 'nobody'}, not for {wanted}"


def identities(certificate: Mapping[str, object]) -> list[str]:
    """The domains a certificate names: SIP URIs first and alone if there are any, then DNS names and addresses, then the CN.

    RFC 5922 s7.1; whole names only, so that a wildcard is just a name nobody asks for (s7.2).
    """
    alternatives = _pairs(certificate.get("subjectAltName", ()))
    uris = [value[4:].lower() for kind, value in alternatives if kind == "URI" and value.lower().startswith("sip:") and "@" not in value]
    if uris:
        return uris
    names = [value.lower().rstrip(".") for kind, value in alternatives if kind == "DNS"]
    names += [str(ip_address(value.strip())) for kind, value in alternatives if kind == "IP Address"]
    if names or alternatives:
        return names
    subject = certificate.get("subject", ())
    assert isinstance(subject, tuple)
    return [value.lower() for part in subject for kind, value in _pairs(part) if kind == "commonName"]


def expiry_warning(realm: Realm, now: datetime | None = None) -> str:
    """One line when the certificate of the realm has expired or soon will, else ""."""
    if not realm.certificate_file:
        return ""
    ends = x509.load_pem_x509_certificate(Path(realm.certificate_file).read_bytes()).not_valid_after_utc
    left = ends - (now or datetime.now(UTC))
    if left > EXPIRY_WARNING:
        return ""
    when = "has expired" if left < timedelta(0) else f"expires in {left.days} days"
    return f"realm {realm.name}: certificate {realm.certificate_file} {when} ({ends:%Y-%m-%d %H:%M} UTC)"


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _load_certificate(context: ssl.SSLContext, realm: str, certificate: Path, key: Path) -> None:
    for path, what in ((certificate, "certificate"), (key, "private key")):
        _read(path, f"realm {realm}: {what}")
    try:
        # A password callback that gives none: without it OpenSSL would ask on the terminal and wait.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"realm {realm}: {key} is not the key of {certificate}; put the two that belong together there") from error
        raise ConfigError(
            f"realm {realm}: {certificate} with {key} is not usable ({_why(error)}); both must be PEM, the key without password"
        ) from error


def _load_authorities(context: ssl.SSLContext, realm: Realm) -> None:
    path = Path(realm.client_ca or "")
    _read(path, f"realm {realm.name}: client_ca")
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise ConfigError(f"realm {realm.name}: client_ca {path} is not usable ({_why(error)}); it must be PEM certificates") from error


def _read(path: Path, what: str) -> None:
    try:
        path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(f"{what} {path} does not exist; put it there (certs/README says how to make one)") from error
    except OSError as error:
        raise ConfigError(f"{what} {path} cannot be read: {error.strerror}; the user we run as must be able to") from error


def _why(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()


def _pairs(value: object) -> list[tuple[str, str]]:
    assert isinstance(value, tuple)
    return [(str(pair[0]), str(pair[1])) for pair in value if isinstance(pair, tuple)]

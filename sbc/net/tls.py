"""TLS as RFC 9325 wants it: what we show, and whom we believe. Who a peer is then is `sbc.net.identity`'s business."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from sbc.errors import ConfigError
from sbc.flow import Transport
from sbc.net.identity import Expected, names
from sbc.policy.realms import KeyPair, Presented, Realm
from sbc.policy.snapshot import Snapshot, Trunk

# TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has nothing else.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(realm: Realm, presented: Presented) -> ssl.SSLContext:
    """For connections peers open: each gets the certificate of the name it asks for. Raises ConfigError."""
    if not realm.certificates:
        raise ConfigError(f"realm {realm.name}: a tls:// address needs a certificate; add `certificate: NAME` to the realm")
    contexts = [_server_context(realm, pair, presented) for pair in realm.certificates]
    if len(contexts) > 1:
        by_name: dict[str, ssl.SSLContext] = {}
        for context, pair in zip(contexts, realm.certificates, strict=True):
            for name in alternative_names(pair):
                by_name.setdefault(name, context)
        contexts[0].sni_callback = _Chooser(by_name)
    return contexts[0]


@dataclass(frozen=True, slots=True)
class Outward:
    """Of one realm, for connections we open. `of_peers`: those for peers with a certificate of their own for us, by their name."""

    context: ssl.SSLContext
    of_peers: Mapping[str, ssl.SSLContext] = field(default_factory=dict)
    wildcards: frozenset[str] = frozenset()

    def context_for(self, name: str) -> ssl.SSLContext:
        return self.of_peers.get(name, self.context)

    def expected(self, name: str) -> Expected:
        return Expected(name, name in self.wildcards)


def outward(realm: Realm, snapshot: Snapshot) -> Outward:
    """Peers are verified against `client_ca`, or else the system's authorities. Raises ConfigError."""
    called = {
        server.host: trunk
        for trunk in snapshot.trunks.values()
        for server in trunk.servers
        if trunk.realm == realm.name and server.may_be_tls
    }
    return Outward(
        _client_context(realm, realm.certificates[0] if realm.certificates else None),
        {name: _client_context(realm, trunk.certificate) for name, trunk in called.items() if trunk.certificate is not None},
        frozenset(name for name, trunk in called.items() if trunk.wildcard_certificates),
    )


@dataclass(frozen=True, slots=True)
class Contexts:
    """Of all realms that have TLS: by realm and transport for connections peers open, by realm for those we open."""

    servers: Mapping[tuple[str, Transport], ssl.SSLContext]
    clients: Mapping[str, Outward]


def read(snapshot: Snapshot) -> Contexts:
    """Reads the files, and takes some ms a realm: the system has a hundred authorities. Raises ConfigError."""
    secure: dict[tuple[str, Transport], Realm] = {
        (realm.name, listener.transport): realm
        for realm in snapshot.realms.values()
        for listener in realm.listeners
        if listener.transport in ("TLS", "WSS")
    }
    return Contexts(
        {key: server_context(realm, _presented(realm, key[1])) for key, realm in secure.items()},
        {name: outward(realm, snapshot) for (name, transport), realm in secure.items() if transport == "TLS"},
    )


def _presented(realm: Realm, transport: Transport) -> Presented:
    """A browser that is asked for a certificate asks its user: on WebSockets only where there is no way without."""
    return "never" if transport == "WSS" and realm.client_certificates == "optional" else realm.client_certificates


def certificates(snapshot: Snapshot) -> dict[str, str]:
    """The path of each certificate of ours, with whose it is, for people."""
    owners: list[Realm | Trunk] = [*snapshot.realms.values(), *snapshot.trunks.values()]
    found: dict[str, str] = {}
    for owner in owners:
        kind, pairs = ("realm", owner.certificates) if isinstance(owner, Realm) else ("trunk", (owner.certificate,))
        for pair in pairs:
            if pair is not None:
                found.setdefault(pair.certificate, f"{kind} {owner.name}")
    if snapshot.identity is not None and snapshot.identity.sign is not None:
        found.setdefault(snapshot.identity.sign.certificate.certificate, "signing of calls")
    return found


class _Chooser:
    """OpenSSL's question which certificate to show (SNI, RFC 6066 s3). A name we do not have gets the first: phones send all sorts."""

    def __init__(self, by_name: Mapping[str, ssl.SSLContext]) -> None:
        self._by_name = by_name

    def __call__(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, first: ssl.SSLContext) -> None:
        asked = (name or "").lower().rstrip(".")
        chosen = self._by_name.get(asked) or self._by_name.get(f"*.{asked.partition('.')[2]}")
        if chosen is not None:
            connection.context = chosen


def alternative_names(pair: KeyPair) -> tuple[str, ...]:
    """What our certificate is for, SIP URIs first; and so what a client may ask for to be shown it."""
    ours = x509.load_pem_x509_certificate(Path(pair.certificate).read_bytes())
    try:
        alternatives = ours.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    uris = [("URI", uri) for uri in alternatives.get_values_for_type(x509.UniformResourceIdentifier)]
    hosts = [("DNS", name) for name in alternatives.get_values_for_type(x509.DNSName)]
    hosts += [("IP Address", str(address)) for address in alternatives.get_values_for_type(x509.IPAddress)]
    return names({"subjectAltName": tuple(uris)}) + names({"subjectAltName": tuple(hosts)})


def _server_context(realm: Realm, pair: KeyPair, presented: Presented) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    _load_certificate(context, realm.name, pair)
    # Keys of tickets would live as long as the process, and whoever has one reads what was recorded (RFC 9325 s3.4). SIP
    # connections last for hours: a whole handshake each, of 1 ms, is no loss.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    if presented != "never":
        context.verify_mode = ssl.CERT_REQUIRED if presented == "required" else ssl.CERT_OPTIONAL
        _load_authorities(context, realm, ssl.Purpose.CLIENT_AUTH)
    return context


def _client_context(realm: Realm, pair: KeyPair | None) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # OpenSSL would accept wildcards and knows no SIP identities
    _load_authorities(context, realm, ssl.Purpose.SERVER_AUTH)
    if pair is not None:
        _load_certificate(context, realm.name, pair)
    return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _load_certificate(context: ssl.SSLContext, realm: str, pair: KeyPair) -> None:
    certificate, key = Path(pair.certificate), Path(pair.key)
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


def _load_authorities(context: ssl.SSLContext, realm: Realm, purpose: ssl.Purpose) -> None:
    """`client_ca`, and what it has revoked when the file says so; else the system's."""
    if realm.client_ca is None:
        context.load_default_certs(purpose)
        return
    path = Path(realm.client_ca)
    content = _read(path, f"realm {realm.name}: client_ca")
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise ConfigError(f"realm {realm.name}: client_ca {path} is not usable ({_why(error)}); it must be PEM certificates") from error
    if b"-----BEGIN X509 CRL-----" in content:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(f"{what} {path} does not exist; put it there (certs/README says how to make one)") from error
    except OSError as error:
        raise ConfigError(f"{what} {path} cannot be read: {error.strerror}; the user we run as must be able to") from error


def _why(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()

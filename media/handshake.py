"""One DTLS handshake for the keys of SRTP (RFC 5764), by OpenSSL over memory: datagrams in, datagrams out; no clock but OpenSSL's own."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from media.api import EventKind, Keys, Role, Suite

# What fits everywhere, with room for tunnels (RFC 8261 s5 has the same).
MTU = 1200

# The protection profiles of DTLS_SUITES, by OpenSSL's names.
PROFILES = {
    Suite.AEAD_AES_256_GCM: "SRTP_AEAD_AES_256_GCM",
    Suite.AEAD_AES_128_GCM: "SRTP_AEAD_AES_128_GCM",
    Suite.AES_CM_128_HMAC_SHA1_80: "SRTP_AES128_CM_SHA1_80",
    Suite.AES_CM_128_HMAC_SHA1_32: "SRTP_AES128_CM_SHA1_32",
}
SALT_OCTETS = {Suite.AEAD_AES_256_GCM: 12, Suite.AEAD_AES_128_GCM: 12}
_OTHER_SALT = 14
_SUITES = {name.encode(): suite for suite, name in PROFILES.items()}

# Hashes of fingerprints, the strongest first (RFC 8122 s5), by OpenSSL's names. md5 and md2 are none (s5: MUST NOT).
HASHES = {"sha-512": "sha512", "sha-384": "sha384", "sha-256": "sha256", "sha-224": "sha224", "sha-1": "sha1"}

_DTLS_1_2 = 0xFEFD
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL"
_EXPORTER = b"EXTRACTOR-dtls_srtp"
_RECORD = 13  # octets of its header
_READ = 65536
_LIFETIME = timedelta(days=365)  # nobody looks: the fingerprint is what counts
_BACKDATED = timedelta(days=1)  # for peers with a clock that is late


class Step(NamedTuple):
    """What came of some datagrams.

    out        to be sent to the peer, in order
    keys       received under, sent under: the handshake is done with this step
    verdict    None, or how it failed; nothing more will come of it
    wait       seconds until the last flight has to be sent again, None: not at all
    """

    out: list[bytes]
    keys: tuple[Keys, Keys] | None = None
    verdict: EventKind | None = None
    wait: float | None = None


class Identity:
    """The certificate of this process: self-signed, ECDSA on P-256 as every WebRTC peer can verify (RFC 8827 s6.5)."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "media")])
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + _LIFETIME)
            .sign(self._key, hashes.SHA256())
        )
        self.fingerprint = f"sha-256 {self._certificate.fingerprint(hashes.SHA256()).hex(':').upper()}"
        self._contexts: dict[tuple[tuple[Suite, ...], bool], SSL.Context] = {}

    def context(self, suites: tuple[Suite, ...], cookies: bool) -> SSL.Context:
        """For connections that agree on one of these suites. `cookies`: who says hello has to show that it hears us (RFC 6347 s4.2.1)."""
        made = self._contexts.get((suites, cookies))
        if made is None:
            made = self._contexts[suites, cookies] = self._made(suites, cookies)
        return made

    def _made(self, suites: tuple[Suite, ...], cookies: bool) -> SSL.Context:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        for option in (SSL.OP_NO_QUERY_MTU, SSL.OP_NO_RENEGOTIATION, SSL.OP_NO_TICKET, SSL.OP_CIPHER_SERVER_PREFERENCE):
            context.set_options(option or 0)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_cipher_list(_CIPHERS)
        context.use_certificate(self._certificate)
        context.use_privatekey(self._key)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verified)
        context.set_tlsext_use_srtp(":".join(PROFILES[suite] for suite in suites).encode())
        if cookies:
            context.set_options(SSL.OP_COOKIE_EXCHANGE or 0)
            context.set_cookie_generate_callback(_cookie)
            context.set_cookie_verify_callback(_cookie_is_ours)
        return context


class Handshake:
    """`fingerprints`: of the peer, see media.api.Dtls. To be used by one thread at a time."""

    def __init__(self, context: SSL.Context, role: Role, fingerprints: Sequence[str]) -> None:
        self._connection = SSL.Connection(context, None)
        self._connection.set_app_data(self)
        self._connection.set_ciphertext_mtu(MTU)
        if role is Role.ACTIVE:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()
        self._role = role
        self._fingerprints = fingerprints
        self._done = False
        self.cookie = secrets.token_bytes(32)
        self.presented = False  # a certificate was shown
        self.matched = False  # and is the one that was signalled

    def is_signalled(self, certificate: crypto.X509) -> bool:
        """Whether a certificate has one of the fingerprints of the strongest hash among those signalled (RFC 8122 s5)."""
        signalled: dict[str, list[str]] = {}
        for fingerprint in self._fingerprints:
            name, _, digits = fingerprint.partition(" ")
            signalled.setdefault(name.lower(), []).append(digits.strip().upper())
        for name, algorithm in HASHES.items():
            if name in signalled:
                actual = certificate.digest(algorithm)
                matches = [hmac.compare_digest(actual, digits.encode()) for digits in signalled[name]]
                return any(matches)
        return False

    def advance(self, datagrams: Sequence[bytes]) -> Step:
        """Take what arrived; nothing: begin, or send again what is due."""
        keys: tuple[Keys, Keys] | None = None
        verdict: EventKind | None = None
        try:
            if not datagrams and not self._done:
                self._connection.DTLSv1_handle_timeout()
                keys = self._shake()
            for datagram in datagrams:
                self._connection.bio_write(datagram)
                if self._done:
                    self._listen()
                else:
                    keys = self._shake()
        except SSL.Error:
            verdict = EventKind.FINGERPRINT_MISMATCH if self.presented and not self.matched else EventKind.HANDSHAKE_TIMEOUT
        wait = None if self._done or verdict is not None else self._connection.DTLSv1_get_timeout()
        return Step(self._outgoing(), keys, verdict, wait)

    def _shake(self) -> tuple[Keys, Keys] | None:
        """The keys once both have finished. Raises SSL.Error."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return None
        if not self.matched:
            raise SSL.Error
        self._done = True
        return self._keys()

    def _listen(self) -> None:
        """A peer that did not hear our last flight says its own again, and OpenSSL repeats ours. What else it says is nothing to us."""
        with suppress(SSL.WantReadError, SSL.ZeroReturnError):
            self._connection.recv(_READ)

    def _keys(self) -> tuple[Keys, Keys]:
        """RFC 5764 s4.2: keys of client and server, then their salts. Raises SSL.Error when no profile was agreed on."""
        suite = _SUITES.get(self._connection.get_selected_srtp_profile())
        if suite is None:
            raise SSL.Error
        salt = SALT_OCTETS.get(suite, _OTHER_SALT)
        key = suite.key_length - salt
        material = self._connection.export_keying_material(_EXPORTER, 2 * suite.key_length, None)
        salts = material[2 * key :]
        client = Keys(suite, material[:key] + salts[:salt])
        server = Keys(suite, material[key : 2 * key] + salts[salt:])
        return (server, client) if self._role is Role.ACTIVE else (client, server)

    def _outgoing(self) -> list[bytes]:
        """What OpenSSL has to say. A memory forgets where datagrams end; records do not, and each stands for itself (RFC 6347 s4.1.1)."""
        said = b""
        while True:
            try:
                said += self._connection.bio_read(_READ)
            except SSL.Error:
                break
        datagrams: list[bytes] = []
        at = 0
        while at < len(said):
            end = at + _RECORD + int.from_bytes(said[at + 11 : at + _RECORD], "big")
            record = said[at:end]
            if datagrams and len(datagrams[-1]) + len(record) <= MTU:
                datagrams[-1] += record
            else:
                datagrams.append(record)
            at = end
        return datagrams


def _verified(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
    """Trust comes from the fingerprint alone; what else is in a chain has none."""
    if depth:
        return True
    handshake = connection.get_app_data()
    handshake.presented = True
    handshake.matched = handshake.is_signalled(certificate)
    return bool(handshake.matched)


def _cookie(connection: SSL.Connection) -> bytes:
    cookie: bytes = connection.get_app_data().cookie
    return cookie


def _cookie_is_ours(connection: SSL.Connection, cookie: bytes) -> bool:
    return hmac.compare_digest(connection.get_app_data().cookie, cookie)

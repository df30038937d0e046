"""A peer that speaks DTLS-SRTP, by OpenSSL and the letter of RFC 5764, without the engine's own code."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from media.api import Address, Keys, Role, Suite
from tests.unit.media.worlds import Arrival, Peer

ALL = "SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32"
SUITES = {
    b"SRTP_AEAD_AES_256_GCM": Suite.AEAD_AES_256_GCM,
    b"SRTP_AEAD_AES_128_GCM": Suite.AEAD_AES_128_GCM,
    b"SRTP_AES128_CM_SHA1_80": Suite.AES_CM_128_HMAC_SHA1_80,
    b"SRTP_AES128_CM_SHA1_32": Suite.AES_CM_128_HMAC_SHA1_32,
}

DTLS_1_0, DTLS_1_2 = 0xFEFF, 0xFEFD

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Certificate:
    def __init__(self, key: Key) -> None:
        self.key = key
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        self.x509 = builder.sign(key, hashes.SHA256())

    def fingerprint(self, name: str = "sha-256") -> str:
        algorithm = {
            "sha-1": hashes.SHA1(),
            "sha-224": hashes.SHA224(),
            "sha-256": hashes.SHA256(),
            "sha-384": hashes.SHA384(),
            "sha-512": hashes.SHA512(),
        }[name]
        return f"{name} {self.x509.fingerprint(algorithm).hex(':').upper()}"


def certificate(name: str = "peer") -> Certificate:
    """The same for the same name; "rsa" has such a key."""
    return _certificate(name)


@lru_cache
def _certificate(name: str) -> Certificate:
    return Certificate(rsa.generate_private_key(65537, 2048) if name == "rsa" else ec.generate_private_key(ec.SECP256R1()))


class DtlsPeer:
    """`role` is its own. `receive` handles what arrives at `peer` and gives back what is no DTLS."""

    def __init__(self, peer: Peer, role: Role, *, profiles: str = ALL, identity: str = "peer", version: int = DTLS_1_2) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        if version == DTLS_1_0:
            context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.use_certificate(certificate(identity).x509)
        context.use_privatekey(certificate(identity).key)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        if profiles:
            context.set_tlsext_use_srtp(profiles.encode())
        self.connection = SSL.Connection(context, None)
        self.connection.set_ciphertext_mtu(1200)
        (self.connection.set_connect_state if role is Role.ACTIVE else self.connection.set_accept_state)()
        self.peer = peer
        self.role = role
        self.done = False
        self.impatient = False
        self.alert = ""
        self.lose: Callable[[bytes], bool] = lambda datagram: False  # what does not arrive

    def step(self, to: Address) -> None:
        """Take what arrived, and say what there is to say."""
        for arrival in self.peer.pending():
            if 20 <= arrival.packet[0] <= 63 and not self.lose(arrival.packet):
                assert len(arrival.packet) <= 1200
                self.connection.bio_write(arrival.packet)
                self._shake()
        if not self.done:
            self._shake()
        if self.impatient:  # the last flight again, if OpenSSL thinks that it is time
            self.connection.DTLSv1_handle_timeout()
        self._say(to)

    def keys(self) -> tuple[Keys, Keys]:
        """What it sends with, what it receives with."""
        suite = SUITES[self.connection.get_selected_srtp_profile()]
        salt = 12 if suite.startswith("AEAD") else 14
        key = suite.key_length - salt
        octets = self.connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt), None)
        client, server = octets[:key], octets[key : 2 * key]
        client_salt, server_salt = octets[2 * key : 2 * key + salt], octets[2 * key + salt :]
        ours, theirs = Keys(suite, client + client_salt), Keys(suite, server + server_salt)
        return (ours, theirs) if self.role is Role.ACTIVE else (theirs, ours)

    def fingerprint(self) -> str:
        """Of the certificate it was shown."""
        shown = self.connection.get_peer_certificate()
        assert shown is not None
        return f"sha-256 {shown.digest('sha256').decode()}"

    def _shake(self) -> None:
        try:
            if self.done:
                self.connection.recv(2000)
            self.connection.do_handshake()
            self.done = True
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.alert = str(error) or type(error).__name__

    def _say(self, to: Address) -> None:
        try:
            while True:
                self._send(self.connection.bio_read(65536), to)
        except SSL.Error:
            pass

    def _send(self, octets: bytes, to: Address) -> None:
        while octets:
            size = 13 + int.from_bytes(octets[11:13], "big")
            self.peer.send(octets[:size], to)
            octets = octets[size:]


def media(arrivals: list[Arrival]) -> list[bytes]:
    """The packets among them that are no DTLS."""
    return [arrival.packet for arrival in arrivals if arrival.packet[0] >= 128]

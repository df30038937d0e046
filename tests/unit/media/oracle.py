"""SRTP a second time, straight from the RFCs and without libsrtp: what the engine's contexts are checked against."""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from media.api import Keys, Suite

SALT = {Suite.AEAD_AES_128_GCM: 12, Suite.AEAD_AES_256_GCM: 12}


def counter_mode(key: bytes, block: int, data: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(block.to_bytes(16, "big"))).encryptor().update(data)


def derive(key: bytes, salt: bytes, label: int, length: int) -> bytes:
    """RFC 3711 s4.3.1 with key derivation rate 0; a 96-bit salt is padded on the right (RFC 7714 s11)."""
    x = int.from_bytes(salt.ljust(14, b"\0"), "big") ^ label << 48
    return counter_mode(key, x << 16, bytes(length))


def gcm_rtp(key: bytes, salt: bytes, roc: int, packet: bytes, header: int) -> bytes:
    """RFC 7714 s8.1, s9.1."""
    iv = int.from_bytes(salt, "big") ^ int.from_bytes(b"\0\0" + packet[8:12] + struct.pack("!I", roc) + packet[2:4], "big")
    return packet[:header] + AESGCM(key).encrypt(iv.to_bytes(12, "big"), packet[header:], packet[:header])


def gcm_rtcp(key: bytes, salt: bytes, index: int, packet: bytes) -> bytes:
    """RFC 7714 s9.1, s9.2: the ESRTCP word is authenticated and stands behind the tag."""
    iv = int.from_bytes(salt, "big") ^ int.from_bytes(b"\0\0" + packet[4:8] + b"\0\0" + struct.pack("!I", index), "big")
    word = struct.pack("!I", index | 1 << 31)
    return packet[:8] + AESGCM(key).encrypt(iv.to_bytes(12, "big"), packet[8:], packet[:8] + word) + word


def gcm_rtcp_in_the_clear(key: bytes, salt: bytes, index: int, packet: bytes) -> bytes:
    """RFC 7714 s9.3: authenticated, not encrypted, the E bit clear."""
    iv = int.from_bytes(salt, "big") ^ int.from_bytes(b"\0\0" + packet[4:8] + b"\0\0" + struct.pack("!I", index), "big")
    word = struct.pack("!I", index)
    return packet + AESGCM(key).encrypt(iv.to_bytes(12, "big"), b"", packet + word) + word


def protect_rtp(keys: Keys, roc: int, packet: bytes, header: int = 12) -> bytes:
    key, salt = split(keys)
    cipher_key, cipher_salt = derive(key, salt, 0, len(key)), derive(key, salt, 2, len(salt))
    if keys.suite in SALT:
        return gcm_rtp(cipher_key, cipher_salt, roc, packet, header)
    index = roc << 16 | int.from_bytes(packet[2:4], "big")
    block = int.from_bytes(cipher_salt, "big") << 16 ^ int.from_bytes(packet[8:12], "big") << 64 ^ index << 16
    sealed = packet[:header] + counter_mode(cipher_key, block, packet[header:])
    return (
        sealed
        + hmac.digest(derive(key, salt, 1, 20), sealed + struct.pack("!I", roc), hashlib.sha1)[: 10 if keys.suite.endswith("_80") else 4]
    )


def protect_rtcp(keys: Keys, index: int, packet: bytes) -> bytes:
    key, salt = split(keys)
    cipher_key, cipher_salt = derive(key, salt, 3, len(key)), derive(key, salt, 5, len(salt))
    if keys.suite in SALT:
        return gcm_rtcp(cipher_key, cipher_salt, index, packet)
    block = int.from_bytes(cipher_salt, "big") << 16 ^ int.from_bytes(packet[4:8], "big") << 64 ^ index << 16
    sealed = packet[:8] + counter_mode(cipher_key, block, packet[8:]) + struct.pack("!I", index | 1 << 31)
    return sealed + hmac.digest(derive(key, salt, 4, 20), sealed, hashlib.sha1)[:10]


def named(keys: Keys, packet: bytes, *, is_rtcp: bool = False) -> bytes:
    """With the MKI: before the tag (RFC 3711 s3.1, s3.4), or at the end where that is part of the cipher text (RFC 7714 s8.2, s9.2)."""
    tail = 0 if keys.suite in SALT else 4 if keys.suite.endswith("_32") and not is_rtcp else 10
    end = len(packet) - tail
    return packet[:end] + keys.mki + packet[end:]


def split(keys: Keys) -> tuple[bytes, bytes]:
    salt = SALT.get(keys.suite, 14)
    return keys.master[:-salt], keys.master[-salt:]

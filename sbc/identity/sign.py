"""Claims and tokens of our own (RFC 8224 s6.1, 8588, 8946), by a key of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from hmac import digest
from math import inf
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sbc.identity.faults import UnsupportedCredential
from sbc.identity.passport import signed
from sbc.identity.signature import ToSign
from sbc.sip.fields.signed_identity import SignedIdentity


@dataclass(frozen=True, slots=True)
class Key:
    """`url`: where its certificate is published. `until`: seconds since 1970, after which nobody believes that any more."""

    private: EllipticCurvePrivateKey = field(repr=False)
    url: str
    until: float = inf

    def sign(self, asked: ToSign, origid: str) -> str:
        """An Identity header. SipError: these are no claims a verifier would take, or its certificate has ended."""
        if asked.iat > self.until:  # "Bad" is worse for the caller than nothing: whoever insists answers 437
            raise UnsupportedCredential("our certificate has expired")
        token = signed(claims_of(asked, origid), self.private, self.url, asked.ppt)
        return str(SignedIdentity(token, self.url, ppt=asked.ppt))

    @property
    def secret(self) -> bytes:
        """What only the owner of the key could work out, and nobody could work the key out from."""
        return sha256(b"origid" + self.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).digest()


def claims_of(asked: ToSign, origid: str) -> Mapping[str, object]:
    claims: dict[str, object] = {"dest": {"tn": [asked.called]}, "iat": asked.iat, "orig": {"tn": asked.caller}}
    return claims | ({"attest": asked.attest, "origid": origid} if asked.attest else {"div": {"tn": asked.diverted}})


@lru_cache(maxsize=4096)
def origid_of(secret: bytes, customer: str) -> str:
    """Always the same for a customer, and nobody else can tell whose it is: a UUID (RFC 9562 s5.8) of a keyed hash of its name."""
    octets = bytearray(digest(secret, customer.encode(), "sha256")[:16])
    octets[6] = octets[6] & 0x0F | 0x80
    octets[8] = octets[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(octets)))

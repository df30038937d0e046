"""Tokens of Retry packets (RFC 9000 s8.1): whoever brings one back receives at the address it sends from. Nothing is kept. Pure.

aioquic's own are encrypted with RSA, which costs whoever has to read forged ones a thousand times what it costs to make them.
"""

from __future__ import annotations

import hashlib
import hmac

from sbc.flow import Address

LIFETIME = 10.0  # seconds from the token to the Initial that brings it back
_TAG = 16
_TIME = 8


class Tokens:
    """`secret`: known to nobody else, and to this process only."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, address: Address, original: bytes, retry: bytes, now: float) -> bytes:
        """`original`: the connection id the client asked for; `retry`: the one it shall use instead."""
        body = int(now * 1000).to_bytes(_TIME, "big") + bytes((len(original),)) + original
        return self._tag(address, retry, body) + body

    def original(self, token: bytes, address: Address, retry: bytes, now: float) -> bytes | None:
        """The connection id it was first asked for; None: the token is none of ours for that address and that id, or too old."""
        tag, body = token[:_TAG], token[_TAG:]
        if len(body) <= _TIME or not hmac.compare_digest(tag, self._tag(address, retry, body)):
            return None
        age = now - int.from_bytes(body[:_TIME], "big") / 1000
        return body[_TIME + 1 :] if -1.0 <= age <= LIFETIME else None

    def _tag(self, address: Address, retry: bytes, body: bytes) -> bytes:
        text = f"{address[0]} {address[1]} ".encode() + bytes((len(retry),)) + retry + body
        return hmac.digest(self._secret, text, hashlib.sha256)[:_TAG]

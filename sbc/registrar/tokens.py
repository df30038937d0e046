"""The names that bindings have at the registrar behind us: they tell nothing, and nobody but us can make one (RFC 5626 s5.2)."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

from sbc.clock import Ids

_SECRET = 32  # octets
_MAC = 32  # hexadecimal digits: 128 bits
is_like_one = re.compile(rf"[0-9a-zA-Z]{{4,64}}\.[0-9a-f]{{{_MAC}}}").fullmatch


is_key = re.compile(rf"[0-9a-f]{{{2 * _SECRET}}}").fullmatch


class Tokens:
    """A token is an identifier and its HMAC. The key is made with the first token; `keep` is told it, for the next process."""

    def __init__(self, ids: Ids, keep: Callable[[str], None]) -> None:
        self._ids = ids
        self._keep = keep
        self._key = b""

    def restore(self, key: str) -> None:
        """What `keep` was told once; anything else is as good as nothing."""
        if is_key(key):
            self._key = bytes.fromhex(key)

    def mint(self) -> str:
        self._have_key()
        identifier = self._ids.tag()
        return f"{identifier}.{self._mac(identifier)}"

    def fixed(self, name: str) -> str:
        """The token of that name, the same whenever it is asked for with the same key."""
        self._have_key()
        return self._mac(f"fixed {name}")

    def is_ours(self, token: str) -> bool:
        """Whether it was made with our key."""
        identifier, dot, mac = token.partition(".")
        return bool(self._key and dot) and hmac.compare_digest(mac.encode("utf-8", "replace"), self._mac(identifier).encode())

    def _have_key(self) -> None:
        if not self._key:
            self._key = self._ids.random(_SECRET)
            self._keep(self._key.hex())

    def _mac(self, identifier: str) -> str:
        return hmac.new(self._key, identifier.encode("utf-8", "replace"), "sha256").hexdigest()[:_MAC]

"""The order of words until both ends know each other: Hello, Challenge, Proof, Welcome. Pure; each end is told the time.

The site speaks first, and only to an edge whose TLS certificate is the right one. The edge knows who that may be by the name in Hello
and looks at the certificate before anything else of it. Until it has verified the proof, it keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sbc.link.frames import Challenge, Frame, Hello, LinkError, Proof, Welcome
from sbc.link.proof import Credential, Trust, bound_text, check_signature


class SiteHandshake:
    """`connection`: the id that the first packet of this connection was for. `edge`: the certificate that TLS has proved, DER."""

    def __init__(self, credential: Credential, trust: Trust, hello: Hello, connection: bytes) -> None:
        self._credential = credential
        self._trust = trust
        self._hello = hello
        self._connection = connection
        self._edge = b""
        self._proved = False

    def begin(self, edge: bytes, now: float) -> Hello:
        """Raises LinkError: it is not the edge."""
        if refusal := self._trust.refusal((edge,), "edge", now):
            raise LinkError(f"this is not the edge: {refusal}")
        self._edge = edge
        return self._hello

    def receive(self, frame: Frame) -> Proof | Welcome:
        """The answer, or the welcome itself: then it is done. Raises LinkError."""
        match frame:
            case Challenge(nonce, signature) if self._edge and not self._proved:
                parts = (self._connection, self._hello.nonce, nonce, self._hello.chain[0], self._edge)
                check_signature(self._edge, bound_text("edge", *parts), signature)
                self._proved = True
                return Proof(self._credential.sign(bound_text("site", *parts)))
            case Welcome() if self._proved:
                return frame
        raise LinkError(f"{type(frame).__name__} at the wrong time")


class EdgeHandshake:
    """`trusted` gives who the site of that name must be; None: there is no such site."""

    def __init__(self, credential: Credential, trusted: Callable[[str], Trust | None], connection: bytes, nonce: bytes) -> None:
        self._credential = credential
        self._trusted = trusted
        self._connection = connection
        self._nonce = nonce
        self._hello: Hello | None = None

    def receive(self, frame: Frame, now: float) -> Challenge | Hello:
        """The answer, or the Hello of a site that has proved who it is: then it is done. Raises LinkError."""
        if isinstance(frame, Hello) and self._hello is None:
            trust = self._trusted(frame.site)
            refusal = "there is no such site" if trust is None else trust.refusal(frame.chain, "site", now)
            if refusal:
                raise LinkError(f"site {frame.site!r} is refused: {refusal}")
            self._hello = frame
            return Challenge(self._nonce, self._credential.sign(self._text("edge", frame)))
        if isinstance(frame, Proof) and self._hello is not None:
            check_signature(self._hello.chain[0], self._text("site", self._hello), frame.signature)
            return self._hello
        raise LinkError(f"{type(frame).__name__} at the wrong time")

    def _text(self, end: Literal["site", "edge"], hello: Hello) -> bytes:
        return bound_text(end, self._connection, hello.nonce, self._nonce, hello.chain[0], self._credential.chain[0])

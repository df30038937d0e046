"""SIP by template: just enough reading and writing for a load generator, at a few microseconds a message."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_CHALLENGE = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_KEY = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"  # SDES key and salt (RFC 4568 s9.2 writes its own alike); no media flows under it


def field(message: bytes, name: bytes) -> bytes:
    """The first value of a header, in its usual spelling; empty when absent."""
    start = message.find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    return message[start : message.index(b"\r\n", start)].strip()


def rows(message: bytes, name: bytes) -> list[bytes]:
    """All values of a header in order."""
    head = message[: message.index(b"\r\n\r\n")]
    return [row[len(name) + 1 :].strip() for row in head.split(b"\r\n") if row.startswith(name + b":")]


def uri_of(value: bytes) -> bytes:
    """The URI in a Contact or Route value."""
    start = value.find(b"<")
    return value[start + 1 : value.index(b">", start)] if start >= 0 else value.partition(b";")[0]


def sdp(host: str, port: int, *, crypto: bool) -> bytes:
    secure = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{_KEY}\r\n" if crypto else ""
    return (
        f"v=0\r\no=bench 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/{'S' if crypto else ''}AVP 8 0 101\r\n"
        "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
        f"a=ptime:20\r\na=sendrecv\r\n{secure}"
    ).encode()


def answer(request: bytes, status: bytes, tag: bytes = b"", extra: bytes = b"", body: bytes = b"") -> bytes:
    """A response to `request`: its Via and Record-Route rows, From, To (with `tag` if it had none), Call-ID, CSeq (RFC 3261 s8.2.6)."""
    kept = [b"SIP/2.0 " + status]
    for row in request[: request.index(b"\r\n\r\n")].split(b"\r\n"):
        if row.startswith((b"Via:", b"From:", b"Call-ID:", b"CSeq:", b"Record-Route:")):
            kept.append(row)
        elif row.startswith(b"To:"):
            kept.append(row if not tag or b";tag=" in row else row + b";tag=" + tag)
    if body:
        extra += b"Content-Type: application/sdp\r\n"
    return b"%b\r\n%bContent-Length: %d\r\n\r\n%b" % (b"\r\n".join(kept), extra, len(body), body)


@dataclass
class Login:
    """Digest credentials that reuse a nonce with a rising count, so that only the first call is challenged (RFC 7616 s3.4.5)."""

    user: str
    password: str
    _proxy: bool = False
    _challenge: dict[str, str] | None = None
    _count: int = 0

    def learn(self, response: bytes) -> None:
        """Take the topmost challenge whose algorithm we know out of a 401 or 407."""
        self._proxy = response.startswith(b"SIP/2.0 407")
        for row in rows(response, b"Proxy-Authenticate" if self._proxy else b"WWW-Authenticate"):
            challenge = {name.lower(): quoted or bare for name, quoted, bare in _CHALLENGE.findall(row.decode())}
            if challenge.get("algorithm", "MD5").upper() in _HASHES:
                self._challenge, self._count = challenge, 0
                return

    def row(self, method: str, uri: bytes) -> bytes:
        """The header row to put into a request; empty before the first challenge."""
        if self._challenge is None:
            return b""
        self._count += 1
        realm, nonce = self._challenge["realm"], self._challenge["nonce"]
        algorithm = self._challenge.get("algorithm", "MD5").upper()
        target, count = uri.decode(), f"{self._count:08x}"

        def digest(*parts: str) -> str:
            return _HASHES[algorithm](":".join(parts).encode()).hexdigest()

        proof = digest(digest(self.user, realm, self.password), nonce, count, "bench", "auth", digest(method, target))
        opaque = f', opaque="{self._challenge["opaque"]}"' if "opaque" in self._challenge else ""
        return (
            f'{"Proxy-" if self._proxy else ""}Authorization: Digest username="{self.user}", realm="{realm}", nonce="{nonce}", '
            f'uri="{target}", response="{proof}", algorithm={algorithm}, qop=auth, nc={count}, cnonce="bench"{opaque}\r\n'
        ).encode()

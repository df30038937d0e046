"""Descriptions and legs for the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from media.api import Address, Suite
from sbc.sdp.model import Media, Session
from sbc.sdp.offer import MediaLeg, MediaRules
from sbc.sdp.parse import parse_session

VECTORS = Path(__file__).parents[2] / "vectors" / "sdp"
KEY_A = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
KEY_B = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
PLAIN = MediaRules(("PCMA", "PCMU", "G729", "telephone-event"))
SRTP = MediaRules(
    ("PCMA", "PCMU", "G729", "telephone-event"),
    "required",
    (Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32, Suite.AEAD_AES_128_GCM, Suite.AEAD_AES_256_GCM),
)
OUR_A: Address = ("203.0.113.5", 20000)
OUR_B: Address = ("203.0.113.6", 30000)


def vectors(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


class CountingIds:
    """Ids whose every answer is different and can be told again."""

    def __init__(self) -> None:
        self.count = 0

    def random(self, size: int) -> bytes:
        self.count += 1
        return bytes([self.count]) * size

    def tag(self) -> str:
        raise AssertionError("no tag needed here")

    branch = call_id = tag


def body(*lines: str, host: str = "192.0.2.10", version: int = 1) -> bytes:
    """A description with the usual head; `lines` begin with the m= line."""
    head = ("v=0", f"o=- 3890000000 {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0")
    return "".join(f"{line}\r\n" for line in (*head, *lines)).encode()


def audio(payloads: str = "8 0 101", *lines: str, port: int = 40000, protocol: str = "RTP/AVP", event: int = 101) -> tuple[str, ...]:
    event_line = (f"a=rtpmap:{event} telephone-event/8000",) if str(event) in payloads.split() else ()
    return (f"m=audio {port} {protocol} {payloads}", *event_line, *lines)


OFFER = body(*audio())
ANSWER = body(*audio("8 101", port=50000), host="198.51.100.20")


def leg(rules: MediaRules = PLAIN, ours: Address = OUR_A, session_id: int = 1001) -> MediaLeg:
    made = MediaLeg(rules, session_id)
    made.listen(ours)
    return made


class Call:
    """Two legs and the steps between them: `invite` from A, `reinvite` from either side."""

    def __init__(self, rules_a: MediaRules = PLAIN, rules_b: MediaRules = PLAIN) -> None:
        self.ids = CountingIds()
        self.a = leg(rules_a, OUR_A, 1001)
        self.b = leg(rules_b, OUR_B, 2002)

    def exchange(self, offer: bytes, answer: bytes, *, caller: str = "a", secure: bool = True) -> tuple[bytes, bytes]:
        """The offer as it reaches the other side, the answer as it comes back."""
        near, far = (self.a, self.b) if caller == "a" else (self.b, self.a)
        sent = far.make_offer(near.receive_offer(offer, secure), self.ids)
        return sent, near.make_answer(far.receive_answer(answer), self.ids)


def sdp(octets: bytes) -> Session:
    return parse_session(octets)


def stream(octets: bytes, index: int = 0) -> Media:
    return parse_session(octets).media[index]


def version(octets: bytes) -> int:
    return int(parse_session(octets).origin.split()[2])


def crypto_line(tag: int = 1, suite: str = "AES_CM_128_HMAC_SHA1_80", key: str = KEY_A) -> str:
    return f"a=crypto:{tag} {suite} inline:{key}"


def answer_to(offer: bytes, suite: str, key: str, payloads: str = "8 101") -> bytes:
    """An RTP/SAVP answer that takes up the line of that suite."""
    tags = {line.split()[1]: line.split()[0] for line in stream(offer).all("crypto")}
    return body(*audio(payloads, crypto_line(int(tags[suite]), suite, key), port=50000, protocol="RTP/SAVP"), host="198.51.100.20")

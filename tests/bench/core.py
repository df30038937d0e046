"""What the core alone costs: prepared messages in, effects out, in one process, without sockets.

    python -m tests.bench.core --calls 2000

The figure to compare before and after a change: it has no system call in it and hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory

from media.fake import FakeEngine
from sbc import devcerts
from sbc.clock import Now
from sbc.core import Core
from sbc.effects import CloseRelay, OpenRelay, Send, UpdateRelay
from sbc.flow import Flow
from sbc.inputs import Input, RelayClosed, RelayOpened, RequestIn, ResponseIn
from sbc.policy.load import load_policy
from sbc.sip.message import Request
from sbc.sip.parse import parse_datagram
from sbc.system import SystemIds
from tests.bench.subject import CALLEE, CALLER, OUTSIDE, POLICY, UDP_PORT, USER

_CALLER = Flow("outside", "UDP", (OUTSIDE, UDP_PORT), (CALLER, UDP_PORT))
_SDP = (
    "v=0\r\no=user1 53655765 2353687637 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio 6000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-11,16\r\n"
)


class Bench:
    """One core, and just enough of a caller and a callee to keep it talking. `seconds` counts what the core used."""

    def __init__(self, folder: Path) -> None:
        (folder / "policies").mkdir(parents=True)
        (folder / "policies" / "sbc.yaml").write_text(POLICY)
        devcerts.make(folder / "certs", [OUTSIDE], users=(USER,))
        snapshot = load_policy(folder / "policies").snapshot
        self._core = Core(snapshot, SystemIds())
        self._media = FakeEngine()
        self._media.provide({name: realm.relay for name, realm in snapshot.realms.items()})
        self._now = 1000.0
        self.seconds = 0.0

    def call(self, number: int) -> None:
        """INVITE, 180, 200, ACK, BYE, 200, as SIPp's built-in scenarios have them."""
        self._now += 0.01
        call_id = f"{number}-4711@{CALLER}"
        offer = _SDP.format(host=CALLER).encode()
        sent = self._say(self._request("INVITE", call_id, 1, "", offer), _CALLER)
        invite, inside = sent[-1]
        to = f"{_row(invite, 'To')};tag=callee{number}"
        contact = f"Contact: <sip:{CALLEE}:{UDP_PORT};transport=UDP>\r\n"
        self._say(_response(invite, "180 Ringing", to, contact, b""), inside)
        answer = _SDP.format(host=CALLEE).encode()
        sent = self._say(_response(invite, "200 OK", to, contact, answer), inside)
        tag = _row(sent[-1][0], "To").rpartition(";tag=")[2]
        self._say(self._request("ACK", call_id, 1, tag, b""), _CALLER)
        sent = self._say(self._request("BYE", call_id, 2, tag, b""), _CALLER)
        bye = next(data for data, _ in sent if data.startswith(b"BYE"))
        self._say(_response(bye, "200 OK", _row(bye, "To"), contact, b""), inside)

    def rest(self) -> None:
        """Let all timers run out."""
        self._now += 100.0
        self._core.handle_timeout(Now(self._now, self._now))
        assert not self._core.leftovers(), self._core.leftovers()

    def _request(self, method: str, call_id: str, cseq: int, tag: str, body: bytes) -> bytes:
        to_tag = f";tag={tag}" if tag else ""
        kind = "Content-Type: application/sdp\r\n" if body else ""
        return (
            f"{method} sip:+4930123456@{OUTSIDE}:{UDP_PORT} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {CALLER}:{UDP_PORT};branch=z9hG4bK-{call_id}-{method}\r\n"
            f"From: sipp <sip:sipp@{CALLER}:{UDP_PORT}>;tag=from{call_id}\r\n"
            f"To: sut <sip:+4930123456@{OUTSIDE}:{UDP_PORT}>{to_tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
            f"Contact: sip:sipp@{CALLER}:{UDP_PORT}\r\nMax-Forwards: 70\r\nSubject: Performance Test\r\n"
            f"{kind}Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def _say(self, data: bytes, flow: Flow) -> list[tuple[bytes, Flow]]:
        """One message to the core; what it sends for it."""
        begin = time.perf_counter()
        message = parse_datagram(data)
        inputs: deque[Input] = deque((RequestIn(message, flow) if isinstance(message, Request) else ResponseIn(message, flow),))
        sent = []
        while inputs:
            self._core.receive(inputs.popleft(), Now(self._now, self._now))
            for effect in self._core.take_effects():
                match effect:
                    case Send():
                        sent.append((effect.data, effect.flow))
                    case OpenRelay(relay, realm_a, realm_b):
                        inputs.append(RelayOpened(relay, self._media.open(relay, realm_a, realm_b)))
                    case UpdateRelay(relay, a, b):
                        self._media.update(relay, a, b)
                    case CloseRelay(relay):
                        inputs.append(RelayClosed(relay, self._media.close(relay)))
        self.seconds += time.perf_counter() - begin
        return sent


def _response(request: bytes, status: str, to: str, contact: str, body: bytes) -> bytes:
    kind = "Content-Type: application/sdp\r\n" if body else ""
    echoed = "".join(f"{name}: {_row(request, name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq"))
    return f"SIP/2.0 {status}\r\n{echoed}To: {to}\r\n{contact}{kind}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _row(message: bytes, name: str) -> str:
    start = message.index(f"\r\n{name}: ".encode()) + len(name) + 4
    return message[start : message.index(b"\r\n", start)].decode()


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU of the core alone")
    parser.add_argument("--calls", type=int, default=500, help="of each round")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "core")
    gc.freeze()
    gc.set_threshold(10_000, 10, 1_000)
    number = 0
    rounds = []
    for _ in range(options.rounds):
        bench.seconds = 0.0
        for _ in range(options.calls):
            number += 1
            bench.call(number)
        rounds.append(1000 * bench.seconds / options.calls)
        bench.rest()
    print(f"core: {min(rounds):.3f} ms per call at best, {sorted(rounds)[len(rounds) // 2]:.3f} in the middle of {options.rounds} rounds")


if __name__ == "__main__":
    main()

"""Calls with their media through a whole SBC: how many at a time before packets are lost, SRTP on one side and RTP on the other.

    python -m tests.bench.calls --calls 400,800,1000 --seconds 60

Each call is set up by SIP over TLS, leaves by UDP, then has 50 packets a second each way: a thousand calls are 100,000.
The generator of the packets and both ends of the signalling share the machine with the SBC. Every 64th packet that arrives is decrypted and
compared; afterwards the calls are ended, and what the SBC itself wrote of them is counted.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import ssl
import tempfile
import time
from base64 import b64decode, b64encode
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from media.api import Keys, Suite
from tests.bench import messages
from tests.bench.messages import Login
from tests.bench.packets import LOOPBACK, Phase, Relay, Seen, Traffic, built, run
from tests.bench.relays import peer_keys
from tests.bench.subject import CALLEE, INSIDE, OUTSIDE, PHONE, TLS_PORT, UDP_PORT, USER, Subject, subject
from tests.bench.wire import TlsWire, UdpWire

SUITE = Suite.AES_CM_128_HMAC_SHA1_80
PACKETS_PER_S = 100  # of a call, both ways
WARM_UP_S = 2.0
MOST_LOST = 0.001
PATIENCE_S = 2.0
"""What a message may take; nothing is repeated, for nothing is lost on the way."""
RECORD_S = 2.0
"""After the last BYE until the last record is written."""


@dataclass(frozen=True)
class Call:
    """An answered call, as its caller knows it. `remote` is where requests within it go."""

    id: bytes
    number: str
    to: bytes
    remote: bytes
    cseq: int
    relay: Relay


class Ends:
    """Both ends of the signalling, one call after the other."""

    def __init__(self, under_test: Subject) -> None:
        context = ssl.create_default_context(cafile=under_test.ca)
        self._caller = TlsWire.connect(context, PHONE, (OUTSIDE, TLS_PORT), 1, OUTSIDE)
        (self._line,) = self._caller.peers
        self._callee = UdpWire((CALLEE, UDP_PORT))
        self._login = Login(USER, under_test.password)
        self._count = 0
        key = peer_keys(SUITE)
        assert key is not None
        self._key = key

    def call(self) -> Call:
        """RuntimeError when it is not answered."""
        self._count += 1
        number, id_ = f"+4930{self._count:06}", b"calls-%d" % self._count
        cseq = self._invite(id_, number, 1)
        invite = self._heard(self._callee, b"INVITE ", number)
        contact = b"Contact: <sip:bench@%b>\r\n" % CALLEE.encode()
        ok = messages.answer(invite, b"200 OK", b"u%d" % self._count, contact, _sdp(LOOPBACK.peers[1], None))
        self._callee.send(ok, (INSIDE, UDP_PORT))
        answer = self._heard(self._caller, b"SIP/2.0 200", id_.decode())
        self._heard(self._callee, b"ACK ", messages.field(invite, b"Call-ID").decode())
        to, remote = messages.field(answer, b"To"), messages.uri_of(messages.field(answer, b"Contact"))
        self._send(b"ACK", remote, id_, cseq, to)
        relay = Relay(((OUTSIDE, _port(answer)), (INSIDE, _port(invite))), (_key(answer), None))
        return Call(id_, number, to, remote, cseq, relay)

    def end(self, call: Call) -> None:
        self._send(b"BYE", call.remote, call.id, call.cseq + 1, call.to)
        bye = self._heard(self._callee, b"BYE ", "")
        self._callee.send(messages.answer(bye, b"200 OK"), (INSIDE, UDP_PORT))
        self._heard(self._caller, b"SIP/2.0 200", call.id.decode())

    def close(self) -> None:
        self._caller.close()
        self._callee.close()

    def _invite(self, id_: bytes, number: str, cseq: int) -> int:
        """The CSeq under which it was taken."""
        target = f"sip:{number}@{OUTSIDE}".encode()
        to, local = b"<%b>" % target, self._caller.local(self._line)
        extra = b"Contact: <sip:bench@%b:%d;transport=tls>\r\n" % (local[0].encode(), local[1]) + self._login.row("INVITE", target)
        self._send(b"INVITE", target, id_, cseq, to, extra, _sdp(LOOPBACK.peers[0], self._key))
        answer = self._heard(self._caller, b"SIP/2.0 ", id_.decode())
        if not answer.startswith((b"SIP/2.0 401", b"SIP/2.0 407")):
            return cseq
        self._send(b"ACK", target, id_, cseq, messages.field(answer, b"To"))
        self._login.learn(answer)
        return self._invite(id_, number, cseq + 1)

    def _send(self, method: bytes, uri: bytes, id_: bytes, cseq: int, to: bytes, extra: bytes = b"", body: bytes = b"") -> None:
        if body:
            extra += b"Content-Type: application/sdp\r\n"
        host, port = self._caller.local(self._line)
        branch = b"%d.%d" % (cseq, b"+4930" in uri)  # the ACK of a 200 has one of its own
        self._caller.send(
            b"%b %b SIP/2.0\r\nVia: SIP/2.0/TLS %b:%d;rport;branch=z9hG4bK%b.%b\r\nMax-Forwards: 70\r\n"
            b"From: <sip:%b@%b>;tag=c%b\r\nTo: %b\r\nCall-ID: %b\r\nCSeq: %d %b\r\n%bContent-Length: %d\r\n\r\n%b"
            % (
                *(method, uri, host.encode(), port, id_, branch, USER.encode(), OUTSIDE.encode()),
                *(id_, to, id_, cseq, method, extra, len(body), body),
            ),
            self._line,
        )

    def _heard(self, wire: UdpWire | TlsWire, begins: bytes, has: str) -> bytes:
        end = time.monotonic() + PATIENCE_S
        while (left := end - time.monotonic()) > 0:
            for message, _ in list(wire.receive(left)):
                if message.startswith(begins) and has.encode() in message:
                    return message
                if message.startswith(b"SIP/2.0 ") and message[8:9] > b"2":
                    raise RuntimeError(message.split(b"\r\n")[0].decode())
        raise RuntimeError(f"no {begins.decode()}for {has or 'a call'}")


def _sdp(address: tuple[str, int], key: Keys | None) -> bytes:
    host, port = address
    secure = f"a=crypto:1 {SUITE.value} inline:{b64encode(key.master).decode()}\r\n" if key else ""
    return (
        f"v=0\r\no=bench 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/{'S' if key else ''}AVP 8\r\n{secure}"
    ).encode()


def _port(message: bytes) -> int:
    found = re.search(rb"\r\nm=audio (\d+) ", message)
    assert found
    return int(found[1])


def _key(message: bytes) -> Keys:
    found = re.search(rb"\r\na=crypto:\d+ \S+ inline:([^|\s]+)", message)
    assert found
    return Keys(SUITE, b64decode(found[1]))


@dataclass(frozen=True)
class Result:
    calls: int
    seen: Seen
    cpu: float
    """Cores the SBC took."""
    verdicts: Counter[str]
    """Of the directions of all calls, by what the SBC wrote."""


def carried(under_test: Subject, ends: Ends, count: int, seconds: float) -> Result:
    calls = [ends.call() for _ in range(count)]
    relays = [call.relay for call in calls]
    traffic = Traffic((peer_keys(SUITE), None))
    rate = count * PACKETS_PER_S
    run(relays, traffic, [Phase(rate / 4, WARM_UP_S)])
    before = under_test.usage().cpu
    (seen,) = run(relays, traffic, [Phase(rate, seconds)])
    cpu = (under_test.usage().cpu - before) / seconds
    for call in calls:
        ends.end(call)
    time.sleep(RECORD_S)
    return Result(count, seen, cpu, _verdicts(under_test, {call.number for call in calls}))


def _verdicts(under_test: Subject, numbers: set[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in (under_test.folder / "var" / "records.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["called"] in numbers:
            found.update(str(record[leg]["media"]["verdict"]) for leg in ("a", "b"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="calls at a time, with media")
    parser.add_argument("--calls", type=lambda text: [int(count) for count in text.split(",")], default=[400, 800, 1000])
    parser.add_argument("--seconds", type=float, default=30.0, help="of media")
    options = parser.parse_args()
    built()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = 0
    print(
        f"{'calls':>6} {'packets/s':>9} {'lost':>8} {'p50 ms':>7} {'p99 ms':>7} {'SBC, cores':>10} {'verified':>9} {'broken':>6}  verdicts"
    )
    with tempfile.TemporaryDirectory() as folder, subject(Path(folder) / "sbc") as under_test:
        ends = Ends(under_test)
        for count in options.calls:
            result = carried(under_test, ends, count, options.seconds)
            seen = result.seen
            print(
                f"{count:6} {seen.sent / options.seconds:9.0f} {seen.lost:8.3%} {seen.p50_ms:7.1f} {seen.p99_ms:7.1f} {result.cpu:10.2f} "
                f"{seen.verified:9} {seen.broken:6}  {dict(result.verdicts)}",
                flush=True,
            )
            if seen.lost < MOST_LOST and not seen.broken:
                most = max(most, count)
        ends.close()
    print(f"most calls with less than {MOST_LOST:.1%} lost: {most}")
    return 0 if most else 1


if __name__ == "__main__":
    raise SystemExit(main())

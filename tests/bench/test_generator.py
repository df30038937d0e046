"""The generator itself: what it reports must be what happened, or every figure taken with it is worth nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sbc import devcerts
from sbc.clock import Now
from sbc.sip.digest import DigestRealm, Verified
from sbc.sip.fields.auth import Credentials
from sbc.sip.parse import parse_datagram
from tests.bench import messages
from tests.bench.generator import LoadSpec, Transport, run_load
from tests.bench.process import family, usage
from tests.bench.uac import Calls, Tally, Uac
from tests.bench.wire import Address, Peer

SERVER = ("127.0.0.1", 5060)
NOW = Now(0.0, 1e9)


class _Wire:
    """Answers each request at once with what `react` makes of it."""

    reliable = True

    def __init__(self, react: Callable[[bytes], list[bytes]]) -> None:
        self.peers: list[Peer] = [SERVER]
        self.sent: list[bytes] = []
        self._react = react
        self._waiting: deque[bytes] = deque()

    def send(self, data: bytes, peer: Peer) -> None:
        parse_datagram(data)
        self.sent.append(data)
        self._waiting += self._react(data)

    def receive(self, timeout: float) -> Iterator[tuple[bytes, Peer]]:
        while self._waiting:
            yield self._waiting.popleft(), SERVER

    def local(self, peer: Peer) -> Address:
        return "127.0.0.9", 5060

    def close(self) -> None: ...


def _run(react: Callable[[bytes], list[bytes]], count: int = 3, user: str = "") -> tuple[Tally, _Wire]:
    wire = _Wire(react)
    calls = Calls(1000.0, count, "+4930", SERVER, user=user, password="secret")
    return Uac(wire, calls, "test").run(), wire


def _answer(request: bytes) -> list[bytes]:
    if request.startswith(b"INVITE"):
        return [messages.answer(request, b"200 OK", b"u", b"Contact: <sip:there@127.0.0.1>\r\n", b"v=0\r\n")]
    return [messages.answer(request, b"200 OK")] if request.startswith(b"BYE") else []


def test_answered_calls_are_completed_and_well_formed() -> None:
    tally, wire = _run(_answer)
    assert (tally.offered, tally.completed, tally.failed, len(tally.setup)) == (3, 3, {}, 3)
    methods = [parse_datagram(data).cseq.method for data in wire.sent if b"test-0@" in data]
    assert methods == ["INVITE", "ACK", "BYE"]
    assert all(b";tag=u\r\n" in data for data in wire.sent if data.startswith((b"ACK", b"BYE")))


def test_refused_calls_are_failures_by_status_and_acknowledged() -> None:
    tally, wire = _run(
        lambda request: [messages.answer(request, b"503 Service Unavailable", b"u")] if request.startswith(b"INVITE") else []
    )
    assert (tally.completed, tally.failed) == (0, {"503": 3})
    assert sum(data.startswith(b"ACK") for data in wire.sent) == 3


def test_a_call_whose_end_is_refused_or_that_the_other_side_ends_is_a_failure() -> None:
    def refuse_bye(request: bytes) -> list[bytes]:
        return [messages.answer(request, b"481 Gone")] if request.startswith(b"BYE") else _answer(request)

    assert _run(refuse_bye)[0].failed == {"BYE 481": 3}

    def end(request: bytes) -> list[bytes]:
        if request.startswith(b"ACK"):
            return [request.replace(b"ACK ", b"BYE ", 1).replace(b" ACK\r\n", b" BYE\r\n", 1)]
        return [] if request.startswith(b"BYE") else _answer(request)

    assert _run(end)[0].failed == {"BYE from the other side": 3}


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_challenge_is_answered_once_and_its_nonce_used_again(algorithm: str) -> None:
    realm = DigestRealm("bench", b"0123456789abcdef", (algorithm,))

    def react(request: bytes) -> list[bytes]:
        row = messages.field(request, b"Proxy-Authorization").decode()
        if not request.startswith(b"INVITE"):
            return _answer(request)
        if row and realm.verify(Credentials.parse(row), "INVITE", b"", {"alice": "secret"}.get, "x", NOW) == Verified("alice"):
            return _answer(request)
        rows = "".join(f"Proxy-Authenticate: {value}\r\n" for value in realm.challenge("x", NOW))
        return [messages.answer(request, b"407 Proxy Authentication Required", b"u", rows.encode())]

    tally, _ = _run(react, count=5, user="alice")
    assert (tally.completed, tally.failed) == (5, {})
    assert tally.challenges == 1


@pytest.mark.parametrize("transport", ["UDP", "TLS"])
def test_calls_between_the_two_halves_all_complete(transport: Transport, tmp_path: Path) -> None:
    devcerts.make(tmp_path, users=())
    address = ("127.0.0.1", 18060)
    result = run_load(
        LoadSpec(
            rate=50,
            seconds=1,
            server=address,
            caller=("127.0.0.1", 18062),
            callee=address,
            transport=transport,
            callee_transport=transport,
            connections=3,
            hold=0.05,
            ring=0.05,
            crypto=transport == "TLS",
            ca=str(tmp_path / "ca.pem"),
            certificate=(str(tmp_path / "edge.pem"), str(tmp_path / "edge.key")),
        )
    )
    assert (result.offered, result.completed, result.failed) == (50, 50, {})
    assert (result.served.calls, result.served.acknowledged, result.served.ended) == (50, 50, 50)
    assert result.setup_p50_ms > 50


def test_speech_of_calls_arrives_at_the_other_half() -> None:
    spec = LoadSpec(
        *(20, 0.5, ("127.0.0.3", 15061), ("127.0.0.2", 15061), ("127.0.0.3", 15061)),
        hold=0.6,
        speech=0.3,
    )
    result = run_load(spec)
    assert result.completed == 10
    assert [half.sent for half in result.spoken] == [half.arrived for half in reversed(result.spoken)]
    assert 60 < result.spoken[0].sent <= 10 * 15
    assert result.media_lost == 0.0


def test_usage_counts_a_process_and_its_children() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert set(family(os.getpid())) >= {os.getpid(), child.pid}
        ours, alone = usage(os.getpid()), usage(child.pid)
        assert ours.cpu > alone.cpu
        assert ours.memory > alone.memory > 0
        child.communicate(b"\n")

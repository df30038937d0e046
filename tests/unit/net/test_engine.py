from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from media.api import (
    Digit,
    EngineCapabilities,
    EventKind,
    MediaError,
    MediaEvent,
    PortsExhausted,
    RelayPorts,
    RelayStats,
    Side,
    SideSpec,
    Suite,
    Tier,
)
from sbc.effects import (
    CloseFlow,
    CloseRelay,
    Effect,
    ForgetBindings,
    KeepAlive,
    KeepRecording,
    Log,
    OpenRelay,
    Resolve,
    Send,
    SendDigit,
    StoreBindings,
    TrustFlow,
    UpdateRelay,
    WriteRecord,
)
from sbc.flow import Flow
from sbc.identity.signature import ToSign
from sbc.identity.verdict import Claimed
from sbc.inputs import (
    DrainBegun,
    Input,
    MalformedIn,
    MediaHappened,
    RelayClosed,
    RelayFailed,
    RelayOpened,
    RequestIn,
    ResponseIn,
    SendFailed,
)
from sbc.log import EventLog
from sbc.net.engine import Engine
from sbc.net.stats import Stats
from sbc.sip.locate import Wanted
from sbc.system import SystemClock
from tests.unit.net.bench import RESPONSE, OpenDoor, ScriptedCore, message, run, until
from tests.unit.test_recordings import Call

WANTED = Wanted("host", 5060, "UDP", False, (("UDP", "127.0.0.1"),))
FLOW = Flow("outside", "UDP", ("127.0.0.1", 5060), ("127.0.0.1", 5999))


class Media:
    """A MediaEngine that does as told."""

    def __init__(self) -> None:
        self.error: MediaError | None = None
        self.done: list[str] = []
        self.listener: Callable[[MediaEvent], None] = lambda event: None
        self.capabilities = EngineCapabilities(frozenset(Suite), ("as told",))

    fingerprint = "sha-256 00"

    def provide(self, interfaces: object) -> None: ...

    def tiers(self) -> dict[str, Tier]:
        return {}

    def on_event(self, listener: Callable[[MediaEvent], None]) -> None:
        self.listener = listener

    def open(self, relay: str, interface_a: str, interface_b: str) -> RelayPorts:
        self._do(f"open {relay} {interface_a} {interface_b}")
        return RelayPorts(("127.0.0.1", 2), ("127.0.0.1", 4))

    def update(self, relay: str, a: SideSpec, b: SideSpec) -> None:
        self._do(f"update {relay}")

    def send_digit(self, relay: str, side: Side, digit: Digit) -> None:
        self._do(f"digit {relay} {side}")

    def stats(self, relay: str) -> RelayStats:
        return RelayStats()

    def close(self, relay: str) -> RelayStats:
        self._do(f"close {relay}")
        return RelayStats()

    def shutdown(self) -> None: ...

    def _do(self, what: str) -> None:
        if self.error is not None:
            raise self.error
        self.done.append(what)


@dataclass
class Stage:
    core: ScriptedCore
    media: Media = field(default_factory=Media)
    stats: Stats = field(default_factory=Stats)
    lines: list[str] = field(default_factory=list)
    sent: list[Effect | Flow | str] = field(default_factory=list)
    records: list[object] = field(default_factory=list)
    recordings: list[object] = field(default_factory=list)
    registrations: dict[str, str] = field(default_factory=dict)
    on_send: Callable[[Send], None] = lambda effect: None

    def engine(self) -> Engine:
        stage = self

        class Network:
            def send(self, effect: Send) -> None:
                stage.sent.append(effect)
                stage.on_send(effect)

            def close_flow(self, flow: Flow) -> None:
                stage.sent.append(flow)

            def trust_flow(self, flow: Flow, alias: int) -> None:
                stage.sent.append(TrustFlow(flow, alias))

            def keep_alive(self, flow: Flow, within: float) -> None:
                stage.sent.append(KeepAlive(flow, within))

        class Questions:
            def ask(self, question: str, realm: str, wanted: Wanted) -> None:
                stage.sent.append(f"{question} {realm} {wanted.host}")

        class Proofs:
            def ask(self, question: str, asked: Claimed, patience: float) -> None:
                stage.sent.append(f"{question} {asked.callers} {patience}")

        class Signatures:
            def ask(self, question: str, asked: ToSign) -> None:
                stage.sent.append(f"{question} {asked.caller}")

        class Records:
            def write(self, record: WriteRecord) -> None:
                stage.records.append(record.record)

        class Recordings:
            def write(self, recording: object) -> None:
                stage.recordings.append(recording)

        class Registrations:
            def store(self, account: str, bindings: str) -> None:
                stage.registrations[account] = bindings

            def forget(self, account: str) -> None:
                del stage.registrations[account]

        loop = asyncio.get_running_loop()
        log = EventLog(self.lines.append)
        engine = Engine(loop, self.core, SystemClock(), self.media, Records(), log, self.stats, Recordings(), Registrations(), OpenDoor())
        engine.connect(Network(), Questions(), Proofs(), Signatures())
        return engine


def test_octets_become_inputs() -> None:
    async def scene() -> None:
        stage = Stage(ScriptedCore())
        engine = stage.engine()
        engine.receive_datagram(message(), FLOW)
        engine.receive_datagram(RESPONSE, FLOW)
        engine.receive_datagram(message().replace(b"CSeq: 1", b"CSeq: x"), FLOW)
        head, body = message("INVITE").split(b"\r\n\r\n")
        assert engine.receive_message(head, body, FLOW)
        assert not engine.receive_message(b"what?", b"", FLOW)
        one, two, three, four, five = stage.core.inputs
        assert isinstance(one, RequestIn)
        assert (one.request.method, one.flow) == ("OPTIONS", FLOW)
        assert isinstance(two, ResponseIn)
        assert isinstance(three, MalformedIn)
        assert (three.error.status, three.flow) == (400, FLOW)
        assert isinstance(four, RequestIn)
        assert isinstance(five, MalformedIn)
        assert (stage.stats.requests_in, stage.stats.responses_in, stage.stats.malformed_in) == (2, 1, 2)

    run(scene())


def test_every_effect_is_carried_out_in_order() -> None:
    kept = Call(1)
    effects: list[Effect] = [
        Send(b"1", FLOW),
        CloseFlow(FLOW),
        TrustFlow(FLOW, 5061),
        KeepAlive(FLOW, 10.0),
        Resolve("q", "outside", WANTED),
        WriteRecord({"a": 1}),
        StoreBindings("alice", "[]"),
        StoreBindings("bob", "[]"),
        ForgetBindings("alice"),
        KeepRecording(kept),
        Log("info", "hello", {"n": 1}),
        Send(b"2", FLOW),
    ]

    async def scene() -> None:
        stage = Stage(ScriptedCore(lambda event: effects))
        stage.engine().receive(DrainBegun())
        assert stage.sent == [effects[0], FLOW, effects[2], effects[3], "q outside host", effects[-1]]
        assert stage.records == [{"a": 1}]
        assert stage.recordings == [kept]
        assert stage.registrations == {"bob": "[]"}
        assert stage.lines[0].endswith("info hello n=1\n")

    run(scene())


def test_inputs_that_arise_meanwhile_wait_their_turn() -> None:
    def script(event: Input) -> list[Effect]:
        if isinstance(event, DrainBegun):
            return [Send(b"fails", FLOW, "k1"), OpenRelay("r", "a", "b"), Send(b"fails too", FLOW, "k2")]
        return [Send(b"next", FLOW)] if isinstance(event, SendFailed) else []

    async def scene() -> None:
        stage = Stage(ScriptedCore(script))
        engine = stage.engine()
        stage.on_send = lambda effect: engine.receive_failure(effect.key, "no") if effect.key else None
        engine.receive(DrainBegun())
        assert [effect.data for effect in stage.sent if isinstance(effect, Send)] == [b"fails", b"fails too", b"next", b"next"]
        opened = RelayOpened("r", RelayPorts(("127.0.0.1", 2), ("127.0.0.1", 4)))
        assert stage.core.inputs == [DrainBegun(), SendFailed("k1", "no"), opened, SendFailed("k2", "no")]
        engine.receive_failure("", "nobody waits")
        assert len(stage.core.inputs) == 4
        assert stage.stats.sends_failed == 3

    run(scene())


def test_DTMF_03_digits_for_a_relay_that_is_there_or_not() -> None:
    steps: list[Effect] = [SendDigit("r", Side.B, Digit("7", 100))]

    async def scene() -> None:
        stage = Stage(ScriptedCore(lambda event: steps))
        engine = stage.engine()
        engine.receive(DrainBegun())
        stage.media.error = MediaError("no relay 'r'")
        engine.receive(DrainBegun())
        assert stage.media.done == ["digit r b"]
        assert len(stage.core.inputs) == 2
        assert stage.lines == []

    run(scene())


def test_relays() -> None:
    steps: list[Effect] = [OpenRelay("r", "a", "b"), UpdateRelay("r", SideSpec(), SideSpec()), CloseRelay("r")]

    async def scene() -> None:
        stage = Stage(ScriptedCore(lambda event: steps if isinstance(event, DrainBegun) else []))
        engine = stage.engine()
        engine.receive(DrainBegun())
        assert stage.media.done == ["open r a b", "update r", "close r"]
        assert isinstance(stage.core.inputs[1], RelayOpened)
        assert stage.core.inputs[2] == RelayClosed("r", RelayStats())
        stage.media.error = PortsExhausted("full")
        engine.receive(DrainBegun())
        assert stage.core.inputs[4:] == [RelayFailed("r", "full", True), RelayFailed("r", "full", False)]
        stage.media.error = MediaError("unknown")
        engine.receive(DrainBegun())
        assert stage.core.inputs[7] == RelayFailed("r", "unknown", False)
        event = MediaEvent("r", Side.A, EventKind.SILENCE)
        stage.media.listener(event)
        assert stage.core.inputs[-1] == MediaHappened(event)

    run(scene())


def test_an_error_in_the_core_costs_one_message() -> None:
    def script(event: Input) -> list[Effect]:
        if isinstance(event, RequestIn) and event.request.method == "INVITE":
            stage.core.effects.append(Send(b"100", FLOW))
            raise KeyError("password=hunter2 a=crypto:1 AES inline:SECRETKEY")
        return [Send(b"200", FLOW)]

    stage = Stage(ScriptedCore())
    stage.core.script = script

    async def scene() -> None:
        engine = stage.engine()
        engine.receive_datagram(message("INVITE"), FLOW)
        engine.receive_datagram(message(), FLOW)
        assert [effect.data for effect in stage.sent if isinstance(effect, Send)] == [b"100", b"200"]
        assert stage.stats.core_errors == 1
        (line,) = stage.lines
        assert "core_error" in line
        assert "error=KeyError" in line
        assert "remote=127.0.0.1:5999" in line
        assert "test_engine.py" in line
        assert "SECRET" not in line

    run(scene())


def test_an_error_in_one_effect_leaves_the_others() -> None:
    async def scene() -> None:
        stage = Stage(ScriptedCore(lambda event: [Send(b"1", FLOW), Send(b"2", FLOW)]))
        engine = stage.engine()

        def fail(effect: Send) -> None:
            if effect.data == b"1":
                raise RuntimeError("socket says no")

        stage.on_send = fail
        engine.receive(DrainBegun())
        assert len(stage.sent) == 2
        assert stage.stats.effect_errors == 1

    run(scene())


@pytest.mark.interpreted
def test_an_error_in_the_parser_costs_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*octets: bytes) -> None:
        raise RecursionError

    monkeypatch.setattr("sbc.net.engine.parse_datagram", broken)
    monkeypatch.setattr("sbc.net.engine.parse_message", broken)

    async def scene() -> None:
        stage = Stage(ScriptedCore())
        engine = stage.engine()
        engine.receive_datagram(b"x", FLOW)
        assert not engine.receive_message(b"x", b"", FLOW)
        assert stage.core.inputs == []
        assert stage.stats.core_errors == 2

    run(scene())


def test_timeouts_come_when_they_are_due_and_not_before() -> None:
    async def scene() -> None:
        stage = Stage(ScriptedCore())
        engine = stage.engine()
        now = SystemClock().now().monotonic
        stage.core.due = [now + 0.05, now + 0.02, now + 0.021]
        stage.core.on_timeout = lambda: stage.core.effects.append(Send(b"again", FLOW))
        engine.receive(DrainBegun())
        await until(lambda: not stage.core.due)
        assert all(at >= now + 0.02 for at in stage.core.timeouts)
        assert stage.core.timeouts[-1] >= now + 0.05
        assert len(stage.sent) == len(stage.core.timeouts) <= 3

    run(scene())


def test_a_nearer_timeout_replaces_the_timer_and_one_further_away_does_not() -> None:
    async def scene() -> None:
        stage = Stage(ScriptedCore())
        engine = stage.engine()
        now = SystemClock().now().monotonic
        stage.core.due = [now + 30]
        engine.receive(DrainBegun())
        stage.core.due = [now + 0.02]
        engine.receive(DrainBegun())
        stage.core.due = [now + 0.04]  # the first one was cancelled meanwhile
        engine.receive(DrainBegun())
        await until(lambda: stage.core.timeouts)
        assert len(stage.core.timeouts) == 1
        assert stage.core.timeouts[0] >= now + 0.04

    run(scene())


def test_an_error_at_a_timeout_does_not_stop_the_clock() -> None:
    async def scene() -> None:
        stage = Stage(ScriptedCore())
        engine = stage.engine()

        def fail() -> None:
            raise ValueError("timer")

        stage.core.on_timeout = fail
        now = SystemClock().now().monotonic
        stage.core.due = [now + 0.01, now + 0.02]
        engine.receive(DrainBegun())
        await until(lambda: len(stage.core.timeouts) == 2)
        assert stage.stats.core_errors == 2

    run(scene())


def test_closed_engines_have_no_timer() -> None:
    async def scene() -> None:
        stage = Stage(ScriptedCore())
        engine = stage.engine()
        stage.core.due = [SystemClock().now().monotonic + 0.01]
        engine.receive(DrainBegun())
        engine.close()
        await asyncio.sleep(0.03)
        assert stage.core.timeouts == []

    run(scene())


def test_messages_come_with_the_octets_they_were_read_from() -> None:
    async def scene() -> None:
        stage = Stage(ScriptedCore())
        engine = stage.engine()
        datagram = b"\r\n" + message(body=b"abc")
        head, _, body = message(body=b"abc").partition(b"\r\n\r\n")
        engine.receive_datagram(datagram, FLOW)
        engine.receive_message(head, body, FLOW)
        first, second = stage.core.inputs
        assert isinstance(first, RequestIn)
        assert isinstance(second, RequestIn)
        assert first.octets == datagram
        assert second.octets == message(body=b"abc")

    run(scene())


def test_a_handshake_that_fails_is_logged() -> None:
    async def scene() -> None:
        stage = Stage(ScriptedCore())
        stage.engine().handshake_failed(FLOW, "NO_SHARED_CIPHER")
        (line,) = stage.lines
        assert "info tls_handshake_failed" in line
        assert "problem=NO_SHARED_CIPHER" in line

    asyncio.run(scene())

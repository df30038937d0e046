"""The only executor of effects, and the only place that catches what goes wrong with one input.

Inputs go in one at a time; what happens while effects are carried out waits its turn. One loop timer stands for all of the core's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import assert_never

from media.api import MediaEngine, MediaError, PortsExhausted
from sbc.effects import (
    CloseFlow,
    CloseRelay,
    Effect,
    ForgetBindings,
    KeepAlive,
    KeepRecording,
    Log,
    Offended,
    OpenRelay,
    Resolve,
    Send,
    SendDigit,
    Sign,
    StoreBindings,
    TrustFlow,
    UpdateRelay,
    Verify,
    Vouch,
    WriteRecord,
)
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.inputs import (
    FlowClosed,
    Input,
    LoadChanged,
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
from sbc.net.inbox import Inbox
from sbc.net.load import LoadWatch
from sbc.net.ports import Carrier, Clock, CoreLike, Proofs, Questions, Recordings, Records, Registrations, Signatures, Watch
from sbc.net.stats import Stats
from sbc.shield.offences import Offence
from sbc.sip.message import Request, Response
from sbc.sip.parse import Malformed, parse_datagram, parse_message
from sbc.sip.uri import format_host
from sbc.system import SystemIds, ThreadTime

# Seconds; the resolution of libuv's timers: without it they would mostly fire before their time, and one that is always due would spin.
_TICK = 0.001


class Engine:
    """Drives one core. What carries effects out is given by `connect`, because it in turn needs the engine to report to;
    `watch` is told what strangers do.
    """

    _network: Carrier
    _resolver: Questions
    _verifier: Proofs
    _signer: Signatures

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        core: CoreLike,
        clock: Clock,
        media: MediaEngine,
        records: Records,
        log: EventLog,
        stats: Stats,
        recordings: Recordings,
        registrations: Registrations,
        watch: Watch,
    ) -> None:
        self._loop = loop
        self._core = core
        self._clock = clock
        self._media = media
        self._records = records
        self._recordings = recordings
        self._registrations = registrations
        self._watch = watch
        self._log = log
        self._stats = stats
        self._inbox = Inbox(loop, self._monotonic, core, self._tell, self, self._send, stats, SystemIds().tag())
        self._load = LoadWatch(loop, self._monotonic, ThreadTime().seconds, self._inbox, self._report_load, log)
        self._inputs: deque[Input] = deque()
        self._running = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        media.on_event(lambda event: self.receive(MediaHappened(event)))

    def connect(self, network: Carrier, resolver: Questions, verifier: Proofs, signer: Signatures) -> None:
        self._network = network
        self._resolver = resolver
        self._verifier = verifier
        self._signer = signer
        self._load.start()

    def receive(self, event: Input) -> None:
        """Hand one input to the core and carry out what it asks for. Called during that: the input waits until it is done."""
        if isinstance(event, FlowClosed) and not self._inbox.quiet:
            self._inbox.forget(event.flow.connection)
        self._inputs.append(event)
        if not self._running:
            self._run()

    def receive_datagrams(self, batch: list[tuple[bytes, Flow]]) -> None:
        """All that a socket had."""
        self._inbox.receive_datagrams(batch)

    def receive_datagram(self, data: bytes, flow: Flow) -> None:
        try:
            message = parse_datagram(data)
        except Malformed as error:
            self.receive_malformed(error, error.request, flow)
        except Exception as error:  # a fault of the parser costs one message, not the service
            self._fault("parser_error", error, flow)
        else:
            self.receive_parsed(message, flow, data)

    def receive_message(self, head: bytes, body: bytes, flow: Flow) -> bool:
        """One framed message of a stream. False: it was malformed."""
        try:
            message = parse_message(head, body)
        except Malformed as error:
            self.receive_malformed(error, error.request, flow)
            return False
        except Exception as error:
            self._fault("parser_error", error, flow)
            return False
        octets = b"\r\n\r\n".join((head, body))
        if self._inbox.quiet:
            self.receive_parsed(message, flow, octets)
        else:
            self._inbox.receive_message(message, flow, octets)
        return True

    def receive_malformed(self, error: SipError, request: Request | None, flow: Flow) -> None:
        self._stats.malformed_in += 1
        self._offended(flow, "malformed", str(error))
        self.receive(MalformedIn(error, request, flow))

    def receive_failure(self, key: str, reason: str) -> None:
        """A `Send` with that key did not get out, or not through; with an empty key it is only counted."""
        self._stats.sends_failed += 1
        if key:
            self.receive(SendFailed(key, reason))

    def handshake_failed(self, flow: Flow, reason: str) -> None:
        """Somebody wanted to connect and could not, which nobody would know of otherwise: a wrong authority, an old version of TLS."""
        facts: dict[str, object] = {"realm": flow.realm, "remote": format_host(*flow.remote), "problem": reason}
        self._log.event("info", "tls_handshake_failed", facts)
        self._offended(flow, "handshake", reason)

    def offended(self, flow: Flow, offence: Offence) -> None:
        """Whoever has this connection did what the shield counts."""
        self._offended(flow, offence)

    def vouched(self, flow: Flow) -> None:
        """Whoever has this connection has proved who it is."""
        self._watch.vouched(flow)

    def _offended(self, flow: Flow, offence: Offence, note: str = "") -> None:
        self._watch.offended(flow, offence, "connection" if flow.reliable else None, note)

    def close(self) -> None:
        """No more timers. What still arrives is handed to the core, but nothing wakes it up any more."""
        self._load.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def receive_parsed(self, message: Request | Response, flow: Flow, octets: bytes) -> None:
        if isinstance(message, Request):
            self._stats.requests_in += 1
            self.receive(RequestIn(message, flow, octets))
        else:
            self._stats.responses_in += 1
            self.receive(ResponseIn(message, flow, octets))

    def _send(self, effect: Send) -> None:
        self._network.send(effect)

    def _tell(self, request: Request, flow: Flow) -> None:
        self._core.tell(request, flow, self._clock.now())

    def _report_load(self, share: int) -> None:
        self.receive(LoadChanged(share))

    def _monotonic(self) -> float:
        return self._clock.now().monotonic

    def _run(self) -> None:
        self._running = True
        try:
            while self._inputs:
                event = self._inputs.popleft()
                try:
                    self._core.receive(event, self._clock.now())
                except Exception as error:
                    self._fault("core_error", error, event)
                self._carry_out()
        finally:
            self._running = False
        self._arm()

    def _wake(self) -> None:
        self._timer = None
        now = self._clock.now()
        due = self._core.next_timeout()
        if due is not None and due <= now.monotonic:
            self._running = True
            try:
                self._core.handle_timeout(now)
            except Exception as error:
                self._fault("core_error", error, "timeout")
            self._carry_out()
        self._run()

    def _arm(self) -> None:
        """Most inputs move the next timeout further away: the timer is then left to fire early and look again."""
        due = self._core.next_timeout()
        if due is None or (self._timer is not None and self._timer_at <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_later(max(0.0, due - self._clock.now().monotonic) + _TICK, self._wake)

    def _carry_out(self) -> None:
        """What the core asked for before it failed is carried out as well: its own state already counts on it."""
        for effect in self._core.take_effects():
            try:
                self._execute(effect)
            except Exception as error:
                self._stats.effect_errors += 1
                self._log.exception("effect_error", error, effect=type(effect).__name__)

    def _execute(self, effect: Effect) -> None:
        match effect:
            case Send():
                self._network.send(effect)
            case OpenRelay(relay, realm_a, realm_b):
                self._open_relay(relay, realm_a, realm_b)
            case UpdateRelay(relay, a, b):
                try:
                    self._media.update(relay, a, b)
                except MediaError as error:
                    self._inputs.append(RelayFailed(relay, str(error), temporary=False))
            case SendDigit(relay, side, digit):
                with suppress(MediaError):  # a relay that did not open has nobody to type to
                    self._media.send_digit(relay, side, digit)
            case CloseRelay(relay):
                self._close_relay(relay)
            case WriteRecord():
                self._records.write(effect)
            case StoreBindings(account, bindings):
                self._registrations.store(account, bindings)
            case ForgetBindings(account):
                self._registrations.forget(account)
            case KeepRecording(recording):
                self._recordings.write(recording)
            case Log(level, event, facts):
                self._log.event(level, event, facts)
            case CloseFlow(flow):
                self._network.close_flow(flow)
            case Offended(flow, offence, proof, note):
                self._watch.offended(flow, offence, proof, note)
            case Vouch(flow):
                self._watch.vouched(flow)
            case TrustFlow(flow, alias):
                self._network.trust_flow(flow, alias)
            case KeepAlive(flow, within):
                self._network.keep_alive(flow, within)
            case Resolve(question, realm, wanted):
                self._resolver.ask(question, realm, wanted)
            case Verify(question, asked, patience):
                self._verifier.ask(question, asked, patience)
            case Sign(question, to_sign):
                self._signer.ask(question, to_sign)
            case _:
                assert_never(effect)

    def _open_relay(self, relay: str, realm_a: str, realm_b: str) -> None:
        try:
            ports = self._media.open(relay, realm_a, realm_b)
        except MediaError as error:
            self._inputs.append(RelayFailed(relay, str(error), temporary=isinstance(error, PortsExhausted)))
        else:
            self._inputs.append(RelayOpened(relay, ports))

    def _close_relay(self, relay: str) -> None:
        try:
            stats = self._media.close(relay)
        except MediaError as error:  # the record is then written without figures, after the core's own second of patience
            self._log.event("warning", "relay_not_closed", {"relay": relay, "reason": str(error)})
        else:
            self._inputs.append(RelayClosed(relay, stats))

    def _fault(self, event: str, error: Exception, about: object) -> None:
        self._stats.core_errors += 1
        flow = about if isinstance(about, Flow) else getattr(about, "flow", None)
        remote = f"{flow.remote[0]}:{flow.remote[1]}" if isinstance(flow, Flow) else ""
        self._log.exception(event, error, input=about if isinstance(about, str) else type(about).__name__, remote=remote)

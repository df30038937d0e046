"""Somebody to call: answers, plays a tone for a second and then sends back what it hears."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import ssl
from array import array
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path

from media.api import Keys
from sbc.errors import ConfigError, SipError
from sbc.flow import Address
from sbc.probe.agent import Agent, IncomingCall
from sbc.probe.console import Say, parse_address, say
from sbc.probe.description import Audio, write
from sbc.probe.stream import Stream, new_keys
from sbc.probe.tones import FRAME, RATE, silence, tone
from sbc.sdp.crypto import Crypto
from sbc.sdp.model import Direction
from sbc.sip.message import Request

TONE = 600.0  # Hz
TONE_SECONDS = 1.0
RING_SECONDS = 0.5
_ECHO_KEPT = 5 * FRAME  # samples that may wait to be sent back: a tenth of a second, so that the echo stays a prompt one


Judge = Callable[[Request], Awaitable[str]]


class Mode(StrEnum):
    """What to do with a call. Whatever the mode, a number ending in 486 is busy and one ending in 480 rings for ever."""

    ECHO = "echo"
    TONE = "tone"
    RING = "ring"
    BUSY = "busy"


def main(
    address: str = "127.0.0.3:5060",
    mode: str = Mode.ECHO,
    certificate: Path | None = None,
    key: Path | None = None,
    ready: int | None = None,
    judge: Judge | None = None,
) -> int:
    """Answer calls over UDP, or over TLS with a PEM `certificate` and its `key`, until SIGINT or SIGTERM. Returns the exit status.

    ready: a descriptor that is closed once we listen
    judge: says what is to be thought of the proof of who calls; the caller is told

    Raises ConfigError for arguments that cannot be used, an address in use among them.
    """
    if mode not in list(Mode):
        raise ConfigError(f"{mode}: not a mode; there are {', '.join(Mode)}")
    context = _server_context(certificate, key) if certificate is not None else None

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await answer_calls(parse_address(address, 5060), Mode(mode), context, ready=ready, judge=judge)

    try:
        asyncio.run(run())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
    except OSError as error:
        raise ConfigError(f"cannot listen on {address}: {error.strerror}") from None
    return 1


def _server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        files = f"{certificate}, {key}" if key is not None else f"{certificate} (it has to hold its key, too, without --key)"
        raise ConfigError(f"{files}: {error.strerror or error}") from None
    return context


async def answer_calls(
    address: Address,
    mode: Mode,
    context: ssl.SSLContext | None = None,
    tell: Say = say,
    ready: int | None = None,
    judge: Judge | None = None,
) -> None:
    """Runs until cancelled; calls in progress are hung up then. Raises OSError when `address` cannot be had."""
    running: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()

    def take(call: IncomingCall) -> None:
        task = loop.create_task(_serve(call, address[0], mode, tell, judge))
        running.add(task)
        task.add_done_callback(running.discard)

    agent = Agent(take)
    try:
        bound = await (agent.wire.listen_tls(address, context) if context else agent.wire.bind_udp(address))
        tell(f"answering calls on {'tls' if context else 'udp'}://{bound[0]}:{bound[1]}, mode {mode}; Ctrl-C ends")
        if ready is not None:
            os.close(ready)
        await asyncio.Event().wait()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        agent.close()


async def _serve(call: IncomingCall, host: str, mode: Mode, tell: Say, judge: Judge | None) -> None:
    mode = {"486": Mode.BUSY, "480": Mode.RING}.get(call.called[-3:], mode)
    name = f"call from {call.caller} to {call.called}"
    if mode is Mode.BUSY:
        call.refuse(486)
        tell(f"{name}: busy")
        return
    call.ring()
    tell(f"{name}: ringing")
    if mode is Mode.RING:
        tell(f"{name}: given up, {await call.ended}")
        return
    verdict = ""
    if judge is not None:
        verdict = await judge(call.invite)
        tell(f"{name}: {verdict}")
    await asyncio.wait((call.ended,), timeout=RING_SECONDS)
    if call.ended.done():
        tell(f"{name}: given up, {call.ended.result()}")
        return
    player = _Player(math.inf if mode is Mode.TONE else TONE_SECONDS)
    side = _Side(await Stream.open(host, player.play, player.hear))
    try:
        call.on_offer = side.answer
        call.answer(side.answer(call.body), verdict)
        tell(f"{name}: answered, {side}")
        tell(f"{name}: {await call.ended}, {side.figures()}")
    except SipError as error:
        call.refuse(error.status, error.reason)
        tell(f"{name}: refused with {error.status}, {error}")
    finally:
        call.drop()
        side.stream.close()


class _Player:
    """A tone for `seconds`, then the echo."""

    def __init__(self, seconds: float) -> None:
        self._until = seconds * RATE
        self._position = 0
        self._heard: array[int] = array("h")

    def play(self) -> array[int]:
        if self._position < self._until:
            self._position += FRAME
            return tone(TONE, self._position - FRAME)
        frame = self._heard[:FRAME]
        del self._heard[:FRAME]
        return frame + silence(FRAME - len(frame))

    def hear(self, samples: array[int], now: float) -> None:
        if self._position >= self._until:
            self._heard += samples
            del self._heard[:-_ECHO_KEPT]


class _Side:
    """Our answers to the offers of one call, and the stream they are about."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._keys: Keys | None = None
        self._version = 0
        self._agreed = ""

    def answer(self, offer: bytes) -> bytes:
        """Raises SipError: 400 or 488."""
        audio = Audio.parse(offer)
        theirs = audio.cryptos[0] if audio.secure else None
        ours = self._crypto(theirs)
        law = audio.laws[0]
        direction = Direction.SENDRECV.answering(audio.direction)
        if direction.sends:
            self.stream.start(audio.remote, law, ours.keys if ours else None, theirs.keys if theirs else None)
        else:
            self.stream.pause()
        self._version += 1
        self._agreed = f"{law}, {ours.suite if ours else 'plain RTP'}, {audio.remote[0]}:{audio.remote[1]}"
        return write(self.stream.local, (law,), (ours,) if ours else (), self._version, direction)

    def __str__(self) -> str:
        return self._agreed

    def figures(self) -> str:
        stream, reception = self.stream, self.stream.reception
        return f"{stream.sent} packets sent, {reception.received} received, {reception.lost} lost, {stream.rejected} rejected"

    def _crypto(self, theirs: Crypto | None) -> Crypto | None:
        """Our line for theirs: the same tag and suite, and the key we have if it fits."""
        if theirs is None or theirs.keys is None:
            return None
        if self._keys is None or self._keys.suite is not theirs.keys.suite:
            self._keys = new_keys(theirs.keys.suite)
        return Crypto(theirs.tag, self._keys.suite, self._keys)

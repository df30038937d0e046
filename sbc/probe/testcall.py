"""A call through the whole of it: TLS, digest, SRTP and sound both ways, with a verdict in plain lines."""

from __future__ import annotations

import asyncio
import ssl
from array import array
from collections import Counter
from pathlib import Path

from media.api import Suite
from sbc.errors import ConfigError, SipError
from sbc.flow import Address, Flow
from sbc.probe.agent import Agent, Call, Login
from sbc.probe.console import Say, parse_address, say
from sbc.probe.description import Audio, write
from sbc.probe.stream import Stream, new_keys
from sbc.probe.testpeer import TONE as PEER_TONE
from sbc.probe.testpeer import TONE_SECONDS as PEER_TONE_SECONDS
from sbc.probe.tones import FRAME, RATE, Law, loudest, silence, tone
from sbc.sdp.crypto import Crypto
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Response
from sbc.sip.uri import Uri

TONE = 1000.0  # Hz
SUITES = (Suite.AEAD_AES_256_GCM, Suite.AES_CM_128_HMAC_SHA1_80)
# Ours begins when the peer's is over, so that its echo has a beginning to take the time of.
_QUIET_SECONDS = PEER_TONE_SECONDS + 0.2
_ENOUGH = 10  # packets with a tone in them before it counts as heard: 0.2 s
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 40.0
_LONGEST = 300  # characters of what somebody else has us print

_HINTS = {
    401: "is the password file the one the policy names for this user?",
    403: "the policy refuses this user or number; see the log of the SBC",
    404: "no route matches this user and number",
    407: "is the password file the one the policy names for this user?",
    408: "nobody answered; is `sbc testpeer` running where the route leads?",
    480: "the called side is not there, or a limit is met; `sbc why` asks the SBC",
    486: "numbers ending in 486 are busy on purpose",
    488: "no codec or no encryption in common; see `media` in the policy",
    500: "the called side cannot be reached; is `sbc testpeer` running where the route leads? `sbc why` asks the SBC",
    503: "the SBC cannot take calls now; see its log",
}


class Failure(Exception):
    """Why there is no call; one line with a hint."""


def main(
    server: str = "127.0.0.1:5061",
    user: str = "alice",
    password_file: Path = Path("certs/alice.secret"),
    ca: Path = Path("certs/ca.pem"),
    number: str = "+12155550131",
    seconds: float = 4.0,
) -> int:
    """Make one call. Returns the exit status: 0 when both tones were heard. Raises ConfigError for arguments that cannot be used."""
    if not number:
        raise ConfigError("--number: it is empty")
    try:
        login = Login(user, password_file.read_text().strip())
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ConfigError(f"{error.filename or ca}: {error.strerror or error}") from None
    try:
        return asyncio.run(call(parse_address(server, 5061), context, login, number, max(seconds, _QUIET_SECONDS + 1.0)))
    except KeyboardInterrupt:
        return 1


async def call(server: Address, context: ssl.SSLContext, login: Login, number: str, seconds: float, tell: Say = say) -> int:
    """The call itself, at least as long as it takes to hear both tones; see `main`."""
    agent = Agent()
    try:
        flow = await _connect(agent, server, context, tell)
        listener = _Listener()
        stream = await Stream.open(flow.local[0], listener.play, listener.hear)
        try:
            established = await _dial(agent, flow, stream, login, number, tell)
            await _talk(established, stream, seconds, tell)
            return _judge(stream, listener, tell)
        finally:
            stream.close()
    except Failure as failure:
        tell(f"FAILED    {failure}")
        return 1
    finally:
        agent.close()


async def _connect(agent: Agent, server: Address, context: ssl.SSLContext, tell: Say) -> Flow:
    host, port = server
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            flow, tls = await agent.wire.connect_tls(server, context, host)
    except ssl.SSLCertVerificationError as error:
        raise Failure(f"the certificate of {host}:{port} does not hold: {error.verify_message}; is --ca the one that signed it?") from None
    except TimeoutError:
        raise Failure(f"no TLS connection to {host}:{port} within {_CONNECT_SECONDS:.0f} s; is a firewall in between?") from None
    except OSError as error:
        raise Failure(f"no TLS connection to {host}:{port}: {error.strerror or error}; does `sbc run` listen there?") from None
    cipher = tls.cipher()
    tell(f"tls       {tls.version()} {cipher[0] if cipher else ''} with {host}:{port}")
    return flow


async def _dial(agent: Agent, flow: Flow, stream: Stream, login: Login, number: str, tell: Say) -> Call:
    """Until the answer: its media is then agreed and flows."""
    cryptos = [Crypto(tag, suite, new_keys(suite)) for tag, suite in enumerate(SUITES, 1)]
    offer = write(stream.local, (Law.PCMA, Law.PCMU), cryptos, 1)
    loop = asyncio.get_running_loop()
    begun, rang = loop.time(), False

    def progress(response: Response) -> None:
        nonlocal rang
        if response.status == 180 and not rang:
            rang = True
            tell(f"ringing   after {1000 * (loop.time() - begun):.0f} ms")

    target = Uri.sip(number, *flow.remote)
    caller = NameAddr("", Uri.sip(login.user, flow.remote[0]))
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            established = await agent.dial(target, caller, flow, offer, login, progress)
    except TimeoutError:
        raise Failure(f"not answered within {_ANSWER_SECONDS:.0f} s; numbers ending in 480 ring for ever on purpose") from None
    except SipError as error:
        raise Failure(f"{error.status} {error.reason}; {_HINTS.get(error.status, 'see the log of the SBC')}") from None
    tell(f"digest    {login.user} authenticated with {login.used}" if login.used else "digest    nobody asked for a password")
    tell(f"answered  after {1000 * (loop.time() - begun):.0f} ms")
    if established.verdict.isprintable() and established.verdict:
        tell(f"identity  {established.verdict[:_LONGEST]}")
    try:
        _agree(established, stream, cryptos, tell)
    except (Failure, SipError) as error:
        established.drop()
        raise Failure(str(error)) from None
    return established


def _agree(established: Call, stream: Stream, cryptos: list[Crypto], tell: Say) -> None:
    """Check the answer against our offer and start to send. Raises Failure, SipError."""
    audio = Audio.parse(established.body)
    chosen = {crypto.tag: crypto for crypto in cryptos}
    if not audio.secure:
        raise Failure("the answer to an SRTP offer is plain RTP; see `media` of the user in the policy")
    ours, theirs = chosen.get(audio.cryptos[0].tag), audio.cryptos[0]
    if len(audio.cryptos) != 1 or ours is None or ours.suite != theirs.suite:
        raise Failure("the a=crypto line of the answer is none of those offered")
    stream.start(audio.remote, audio.laws[0], ours.keys, theirs.keys)
    tell(f"media     {audio.laws[0]}, SRTP {theirs.suite}, to {audio.remote[0]}:{audio.remote[1]}")


async def _talk(established: Call, stream: Stream, seconds: float, tell: Say) -> None:
    """Until our time is up or they hang up, and the end of the call."""
    try:
        await asyncio.wait((established.ended,), timeout=seconds)
        stream.pause()
        if established.ended.done():
            raise Failure("they hung up before we did; see the log of the SBC")
        await established.hang_up()
        tell("ended     BYE answered")
    except SipError as error:
        raise Failure(f"BYE: {error.status} {error.reason}") from None
    finally:
        established.drop()


def _judge(stream: Stream, listener: _Listener, tell: Say) -> int:
    reception = stream.reception
    tell(
        f"packets   {stream.sent} sent, {reception.received} received, {reception.lost} lost, "
        f"{stream.rejected} rejected, jitter {reception.jitter_ms:.1f} ms"
    )
    delay = f", back after {1000 * listener.round_trip:.0f} ms" if listener.round_trip is not None else ""
    heard_peer, heard_echo = listener.heard[PEER_TONE], listener.heard[TONE]
    tell(f"{PEER_TONE:.0f} Hz    {_seconds(heard_peer)} of the peer's tone")
    tell(f"{TONE:.0f} Hz   {_seconds(heard_echo)} of our own tone{delay}")
    missing = [hint for heard, hint in ((heard_peer, _NO_PEER), (heard_echo, _NO_ECHO)) if heard < _ENOUGH]
    if not reception.received:
        missing = [_BAD_KEYS if stream.rejected else _NO_MEDIA]
    for hint in missing:
        tell(f"FAILED    {hint}")
    if not missing:
        tell("OK        sound both ways, encrypted on our side")
    return 1 if missing else 0


_NO_MEDIA = "not one packet came: is the relay's port range open in the firewall, and does the called side send?"
_BAD_KEYS = "packets came, but none could be decrypted: they were sent with another key than the answer named"
_NO_PEER = f"no {PEER_TONE:.0f} Hz: the called side plays it in its first second (`sbc testpeer`), and it did not get here"
_NO_ECHO = f"no {TONE:.0f} Hz came back: what we send does not reach the called side, or that does not echo (`sbc testpeer` does)"


def _seconds(packets: int) -> str:
    return f"heard {packets * FRAME / RATE:.1f} s" if packets >= _ENOUGH else "not heard: nothing"


class _Listener:
    """Plays our tone and listens for both. `round_trip`: seconds from the first packet of our tone to its first echo."""

    def __init__(self) -> None:
        self.heard: Counter[float] = Counter()
        self.round_trip: float | None = None
        self._loop = asyncio.get_running_loop()
        self._position = 0
        self._begun: float | None = None

    def play(self) -> array[int]:
        self._position += FRAME
        if self._position <= _QUIET_SECONDS * RATE:
            return silence(FRAME)
        if self._begun is None:
            self._begun = self._loop.time()
        return tone(TONE, self._position)

    def hear(self, samples: array[int], now: float) -> None:
        frequency = loudest(samples, (PEER_TONE, TONE))
        if frequency is None:
            return
        self.heard[frequency] += 1
        if frequency == TONE and self.round_trip is None and self._begun is not None:
            self.round_trip = now - self._begun

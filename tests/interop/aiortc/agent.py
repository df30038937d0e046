"""A phone made of aiortc, in a Python of its own: `python -m tests.interop.aiortc.agent JSON`.

It registers over WSS, takes commands on its standard input (call NUMBER, answer, hangup), says a word for each thing that
happens, and keeps what it hears in a file.
"""

from __future__ import annotations

import array
import asyncio
import json
import math
import ssl
import sys
from pathlib import Path
from typing import Any

from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av.audio.resampler import AudioResampler
from websockets.asyncio.client import ClientConnection, connect

from sbc.errors import SipError
from sbc.flow import Flow
from sbc.probe.agent import Agent, Call, IncomingCall, Login
from sbc.probe.wire import Wire
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Request
from sbc.sip.parse import parse_datagram
from sbc.sip.uri import Uri
from tests.tones import AMPLITUDE, RATE


class WebWire(Wire):
    """SIP over a WebSocket: one message, one frame (RFC 7118 s5)."""

    outbox: asyncio.Queue[bytes]

    def send(self, data: bytes, flow: Flow, key: str = "") -> None:
        self.outbox.put_nowait(data)


class WebAgent(Agent):
    def contact(self, flow: Flow, user: str) -> str:
        return f"<sip:{user}@aiortc.invalid;transport=ws>"


class Tone(AudioStreamTrack):  # type: ignore[misc]
    def __init__(self, frequency: float) -> None:
        super().__init__()
        self._step = 2 * math.pi * frequency / RATE

    async def recv(self) -> Any:
        frame = await super().recv()
        wave = (round(AMPLITUDE * math.sin(self._step * (frame.pts + i))) for i in range(frame.samples))
        frame.planes[0].update(array.array("h", wave).tobytes())
        return frame


class Phone:
    def __init__(self, settings: dict[str, Any], agent: Agent, flow: Flow, tasks: asyncio.TaskGroup) -> None:
        self._settings, self._agent, self._flow, self._tasks = settings, agent, flow, tasks
        self._login = Login(settings["user"], settings["password"])
        self._me = NameAddr.parse(f"<sip:{settings['user']}@{settings['domain']}>")
        self._heard = Path(settings["heard"]).open("ab", buffering=0)  # noqa: SIM115  as long as the process
        self._incoming: IncomingCall | None = None
        self._call: Call | None = None
        self._peer: RTCPeerConnection | None = None

    async def register(self) -> None:
        request = Request.build(
            "REGISTER",
            Uri.parse(f"sip:{self._settings['domain']}"),
            via=self._agent.via(self._flow),
            from_=self._me.with_tag(self._agent.ids.tag()),
            to=self._me,
            call_id=self._agent.ids.call_id(),
            cseq=CSeq(1, "REGISTER"),
            headers=(("Contact", self._agent.contact(self._flow, self._login.user)), ("Expires", "600")),
        )
        _, response = await self._agent.request(request, self._flow, self._login)
        say("registered" if response.status == 200 else f"refused {response.status}")

    async def obey(self, command: str, argument: str) -> None:
        if command == "call":
            await self._dial(argument)
        elif command == "answer" and self._incoming is not None:
            peer = self._connection()
            await peer.setRemoteDescription(RTCSessionDescription(self._incoming.body.decode(), "offer"))
            await peer.setLocalDescription(await peer.createAnswer())
            self._established(self._incoming)
            self._incoming.answer(peer.localDescription.sdp.encode())
        elif command == "hangup" and self._call is not None:
            await self._call.hang_up()

    def ring(self, call: IncomingCall) -> None:
        self._incoming = call
        call.ring()
        say("incoming")

    async def close(self) -> None:
        if self._peer is not None:
            await self._peer.close()

    async def _dial(self, number: str) -> None:
        peer = self._connection()
        await peer.setLocalDescription(await peer.createOffer())
        target = Uri.parse(f"sip:{number}@{self._settings['domain']}")
        offer = peer.localDescription.sdp.encode()
        try:
            call = await self._agent.dial(target, self._me, self._flow, offer, self._login, lambda r: say(f"answer {r.status}"))
        except SipError as error:
            say(f"refused {error.status}")
            return
        await peer.setRemoteDescription(RTCSessionDescription(call.body.decode(), "answer"))
        self._established(call)

    def _established(self, call: Call) -> None:
        self._call = call
        call.ended.add_done_callback(lambda ended: say("ended"))
        say("established")

    def _connection(self) -> RTCPeerConnection:
        """With a microphone that plays the tone, for codecs of the wanted kind alone."""
        self._peer = peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transceiver = peer.addTransceiver(Tone(self._settings["tone"]), "sendrecv")
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == f"audio/{self._settings['codec']}"])
        peer.on("track", lambda track: self._tasks.create_task(self._listen(track)))
        peer.on("connectionstatechange", lambda: say(f"media {peer.connectionState}"))
        return peer

    async def _listen(self, track: Any) -> None:
        resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            for each in resampler.resample(frame):
                self._heard.write(bytes(each.planes[0])[: 2 * each.samples])


def say(word: str) -> None:
    print(word, flush=True)


async def main(settings: dict[str, Any]) -> None:
    context = ssl.create_default_context(cafile=settings["ca"])
    phones: list[Phone] = []
    agent = WebAgent(lambda call: phones[0].ring(call), WebWire)
    wire = agent.wire
    assert isinstance(wire, WebWire)
    wire.outbox = asyncio.Queue()
    async with connect(settings["server"], ssl=context, subprotocols=["sip"], proxy=None) as web, asyncio.TaskGroup() as tasks:  # type: ignore[list-item]
        flow = Flow("", "WSS", web.local_address[:2], web.remote_address[:2], 1)
        reading = tasks.create_task(_read(web, agent, flow))
        writing = tasks.create_task(_write(web, wire))
        phone = Phone(settings, agent, flow, tasks)
        phones.append(phone)
        await phone.register()
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            command, _, argument = line.strip().partition(" ")
            tasks.create_task(phone.obey(command, argument))
        await phone.close()
        reading.cancel()
        writing.cancel()


async def _read(web: ClientConnection, agent: WebAgent, flow: Flow) -> None:
    async for frame in web:
        agent.receive(parse_datagram(frame.encode() if isinstance(frame, str) else frame), flow)


async def _write(web: ClientConnection, wire: WebWire) -> None:
    while True:
        await web.send((await wire.outbox.get()).decode())


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))

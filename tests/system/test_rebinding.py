"""A NAT that gives a phone another address in the middle of a call: real processes, both media engines, real packets.

And somebody who only pretends to be the phone, all the while.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from media.api import Address, Keys
from media.keys import Inbound, Outbound, Refused
from sbc import devcerts
from sbc.frozen import replace
from sbc.sdp.crypto import Crypto
from sbc.sdp.parse import parse_session
from sbc.sip.message import Request, Response
from tests.system.peers import Phone, Sbc, description, running
from tests.unit.media.packets import keys, rtp

OUTSIDE, INSIDE, CARRIER = "127.0.0.81", "127.0.0.82", "127.0.0.83"
ELSEWHERE, STRANGER = "127.0.0.88", "127.0.0.89"
PHONES = {"followed": "127.0.0.84", "kept": "127.0.0.85", "near": "127.0.0.86", "still": "127.0.0.87"}
POLICY = f"""\
version: 1
realms:
  outside:
    signalling: [tls://{OUTSIDE}:5061, udp://{OUTSIDE}:5060]
    relay: {{address: {OUTSIDE}, ports: 20000-20099}}
    certificate: edge
  inside:
    signalling: [udp://{INSIDE}:5060]
    relay: {{address: {INSIDE}, ports: 20000-20099}}
trunks:
  carrier: {{realm: inside, accept_from: [{CARRIER}], peer: "sip:{CARRIER}", media: plain}}
  followed: {{realm: outside, accept_from: [{PHONES["followed"]}], media: followed}}
  kept: {{realm: outside, accept_from: [{PHONES["kept"]}], media: kept}}
  near: {{realm: outside, accept_from: [{PHONES["near"]}], media: near}}
  still: {{realm: outside, accept_from: [{PHONES["still"]}], media: plain}}
routes:
  - {{name: out, when: {{realm: outside, to: "*"}}, send_to: [carrier]}}
emergency: {{outside: none, inside: none}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
  followed: {{srtp: sdes, codecs: [PCMA]}}
  kept: {{srtp: sdes, codecs: [PCMA], follow: never}}
  near: {{srtp: off, codecs: [PCMA], follow: same_address}}
"""
OURS = replace(keys(1), mki=b"\1")
FRAME = 0.02


@dataclass
class Media:
    """A phone's socket for RTP, its keys where it has some, and where its packets shall go."""

    sock: socket.socket
    remote: Address = ("", 0)
    outbound: Outbound | None = None
    inbound: Inbound | None = None
    sequence: int = 0
    sent: list[bytes] = field(default_factory=list)

    @classmethod
    def at(cls, host: str) -> Media:
        return cls(socket_at(host))

    def rebind(self, host: str) -> None:
        """What a NAT does that has forgotten a mapping: the same packets from another address or port."""
        self.sock.close()
        self.sock = socket_at(host)

    def close(self) -> None:
        self.sock.close()

    def speak(self) -> None:
        self.sequence += 1
        plain = rtp(self.sequence)
        self.sent.append(self.outbound.rtp(plain) if self.outbound else plain)
        self.sock.sendto(self.sent[-1], self.remote)

    def heard(self) -> int:
        """How many packets of speech came since the last time."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while packet := self.sock.recv(2048):
                with contextlib.suppress(Refused):
                    count += len(self.inbound.rtp(packet) if self.inbound else packet) == len(rtp(1))
        return count


def socket_at(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind((host, 0))
    return sock


@pytest.fixture(scope="module", params=["native", "portable"])
def sbc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sbc]:
    folder = tmp_path_factory.mktemp("rebinding")
    devcerts.make(folder / "certs", [OUTSIDE], users=())
    with running(folder, POLICY, "--media", request.param) as sbc:
        yield sbc


@dataclass
class Call:
    phone: Phone
    carrier: Phone
    ok: Response
    here: Media
    there: Media
    mallory: socket.socket
    records: int  # there were before

    def talk(self, seconds: float) -> tuple[int, int]:
        """Both speak for that long, and somebody repeats a third of what the phone says: what the carrier and the phone heard."""
        end = time.monotonic() + seconds
        heard, answered = 0, 0
        while time.monotonic() < end:
            self.here.speak()
            self.there.speak()
            if self.here.sequence % 3 == 0:
                self.mallory.sendto(self.here.sent[-1], self.here.remote)
            time.sleep(FRAME)
            heard += self.there.heard()
            answered += self.here.heard()
        return heard, answered

    def hang_up(self, sbc: Sbc) -> dict[str, Any]:
        """The record of the phone's leg."""
        to = self.ok.headers.first("To") or ""
        self.phone.send(self.phone.request("BYE", "sip:100@" + OUTSIDE, to))
        self.phone.expect(200)
        self.carrier.send(Response.answer(request_of(self.carrier.expect("BYE")), 200))
        end = time.monotonic() + 5
        while True:
            for line in records(sbc)[self.records :]:
                return dict(json.loads(line)["a"]["media"])
            assert time.monotonic() < end, "no record"
            time.sleep(0.05)


def records(sbc: Sbc) -> list[str]:
    return (sbc.folder / "records.jsonl").read_text().splitlines()


def request_of(message: Request | Response) -> Request:
    assert isinstance(message, Request)
    return message


@contextlib.contextmanager
def connected(sbc: Sbc, who: str) -> Iterator[Call]:
    encrypted = who in ("followed", "kept")
    with contextlib.ExitStack() as closing:
        authority = sbc.folder / "certs" / "ca.pem"
        phone = Phone.tls(who, PHONES[who], OUTSIDE, authority) if encrypted else Phone.udp(who, PHONES[who], OUTSIDE)
        carrier = Phone.udp("carrier", CARRIER, INSIDE)
        here, there = Media.at(PHONES[who]), Media.at(CARRIER)
        mallory = socket_at(STRANGER)
        for each in (phone, carrier, mallory):
            closing.enter_context(contextlib.closing(each))
        for media in (here, there):
            closing.callback(media.close)
        crypto = f"a=crypto:{Crypto(1, OURS.suite, OURS).encode()}"
        port = here.sock.getsockname()[1]
        lines = (f"m=audio {port} RTP/SAVP 8", crypto) if encrypted else (f"m=audio {port} RTP/AVP 8",)
        uri = f"sip:100@{OUTSIDE}"
        phone.send(phone.request("INVITE", uri, f"<{uri}>", body=description(PHONES[who], *lines)))
        invite = request_of(carrier.expect("INVITE"))
        there.remote = media_of(invite)[0]
        answer = description(CARRIER, f"m=audio {there.sock.getsockname()[1]} RTP/AVP 8")
        contact = (("Contact", carrier.contact),)
        carrier.send(Response.answer(invite, 200, to_tag="c", headers=contact, body=answer, content_type="application/sdp"))
        ok = phone.expect(200)
        assert isinstance(ok, Response)
        here.remote, theirs = media_of(ok)
        if theirs is not None:
            here.outbound, here.inbound = Outbound(OURS), Inbound(theirs)
        phone.send(phone.request("ACK", uri, ok.headers.first("To") or ""))
        carrier.expect("ACK")
        yield Call(phone, carrier, ok, here, there, mallory, len(records(sbc)))


def media_of(message: Request | Response) -> tuple[Address, Keys | None]:
    """Where the packets shall go, and the key they will come with."""
    session = parse_session(message.body)
    (stream,) = session.media
    connection = stream.connection or session.connection
    assert connection is not None
    crypto = stream.first("crypto")
    return (connection.address, stream.port), Crypto.parse(crypto).keys if crypto else None


def test_RTP_03_a_call_outlives_a_new_address_where_policy_lets_it(sbc: Sbc) -> None:
    with connected(sbc, "followed") as call:
        assert min(call.talk(1)) > 25
        call.here.rebind(ELSEWHERE)
        call.talk(2)
        assert min(call.talk(1)) > 25
        media = call.hang_up(sbc)
    assert (media["source"].split(":")[0], media["source_changes"], media["verdict"]) == (ELSEWHERE, 1, "ok")
    assert sbc.log.count("media comes from another address now") == 1


def test_RTP_03_a_call_does_not_outlive_it_where_policy_says_never(sbc: Sbc) -> None:
    with connected(sbc, "kept") as call:
        assert min(call.talk(1)) > 25
        call.here.rebind(ELSEWHERE)
        call.talk(1)
        assert call.talk(2) == (0, 0)
        media = call.hang_up(sbc)
    assert (media["source"].split(":")[0], media["source_changes"]) == (PHONES["kept"], 0)


def test_RTP_03_a_plain_call_outlives_a_new_port_where_policy_lets_it(sbc: Sbc) -> None:
    with connected(sbc, "near") as call:
        assert min(call.talk(1)) > 25
        call.here.rebind(PHONES["near"])
        call.talk(2)
        assert min(call.talk(1)) > 25
        call.here.rebind(ELSEWHERE)
        call.talk(1)
        assert call.talk(5) == (0, 0), "another host"
        media = call.hang_up(sbc)
    assert (media["source"].split(":")[0], media["source_changes"]) == (PHONES["near"], 1)


def test_RTP_03_a_plain_call_does_not_outlive_it_by_default(sbc: Sbc) -> None:
    with connected(sbc, "still") as call:
        assert min(call.talk(1)) > 25
        call.here.rebind(PHONES["still"])
        call.talk(1)
        assert call.talk(2) == (0, 0)
        call.hang_up(sbc)


@pytest.mark.parametrize("who", ["followed", "near"])
def test_RTP_03_nothing_of_a_third_address_is_relayed_nor_anything_sent_there(sbc: Sbc, who: str) -> None:
    """It repeats all the phone says, while the phone is heard and when it is silent."""
    with connected(sbc, who) as call:
        call.talk(0.5)
        time.sleep(0.2)  # what is on the way
        call.there.heard()
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            call.there.speak()
            for packet in (call.here.sent[-1], call.here.sent[0], rtp(call.here.sequence + 1)):
                call.mallory.sendto(packet, call.here.remote)
            time.sleep(FRAME)
        assert call.there.heard() == 0
        assert call.here.heard() > 50
        assert min(call.talk(0.5)) > 12
        with pytest.raises(BlockingIOError):
            call.mallory.recv(2048)
        media = call.hang_up(sbc)
    assert (media["source"].split(":")[0], media["source_changes"]) == (PHONES[who], 0)
    assert media["wrong_source"] > 300
    assert (media["replayed"], media["srtp_auth_failed"]) == (0, 0)

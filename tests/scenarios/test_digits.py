"""Digits that somebody is not to know, as where the number of a card is typed: neither the far leg nor a file gets them."""

from __future__ import annotations

import pytest

from media.api import Side
from sbc.sip.message import Request
from tests.scenarios.test_info import info
from tests.unit.media.packets import rtp
from tests.world import POLICY, Agent, World, connect

SPEECH, EVENT = 8, 101
DIGIT = b"Signal=7\r\nDuration=160\r\n"
RELAY = "application/dtmf-relay"
INFO = "    info: pass\n    info_packages: [keys]\n"
OFFICE, CARRIER = "    peer: sip:10.0.0.20:5060\n", "    peer: sip:10.1.0.2:5060\n"
AGENTS = "  agents: {srtp: off, codecs: [PCMA, PCMU, telephone-event], digits_to: withhold}\n"
OF_AGENTS = (
    POLICY.replace(OFFICE + "    media: plain\n", OFFICE + INFO + "    media: agents\n")
    .replace(CARRIER, CARRIER + INFO)
    .replace("limits:\n  person", AGENTS + "limits:\n  person")
)
OF_CALLERS = OF_AGENTS.replace("digits_to", "digits_from")


def heard(world: World, side: Side, kind: int) -> list[int]:
    """The payload types that leave towards the other side for a packet of that kind from this one."""
    (relay,) = world.open_relays
    source = ("10.0.0.20", 40000) if side is Side.A else ("10.1.0.2", 50000)
    world.media.receive(relay, side, rtp(1, payload_type=kind), source)
    return [sent.packet[1] & 0x7F for sent in world.media.take_sent()]


def ask(agent: Agent, far: Agent, request: Request) -> bool:
    """Whether the far side hears of it. Whoever asks gets its 200 in either case."""
    agent.send(request)
    crossed = bool(far.inbox)
    if crossed:
        far.answer(far.expect_request("INFO"), 200)
    agent.expect_response(200)
    return crossed


class TestWithheldFromWhoHears:
    """Agents talk to customers who type the numbers of their cards."""

    @pytest.fixture
    def policy(self) -> str:
        return OF_AGENTS

    def test_DTMF_04_events_are_agreed_on_and_go_no_further(self, world: World, office: Agent, carrier: Agent) -> None:
        _, ok, received = connect(office, carrier, "+4930123456")
        for message in (ok, received):
            assert b"telephone-event" in message.body, "or the customer's phone would send tones, as speech"
        assert heard(world, Side.B, SPEECH) == [SPEECH]
        assert heard(world, Side.B, EVENT) == []
        assert heard(world, Side.A, EVENT) == [EVENT], "the agent may type"

    def test_DTMF_04_info_is_answered_and_goes_no_further(self, world: World, office: Agent, carrier: Agent) -> None:
        invite, ok, received = connect(office, carrier, "+4930123456")
        assert not ask(carrier, office, info(carrier.within_received(received, "INFO", cseq=2), DIGIT, RELAY))
        assert not ask(carrier, office, info(carrier.within_received(received, "INFO", cseq=3), b"7", "application/dtmf"))
        key_frame = info(carrier.within_received(received, "INFO", cseq=4), b"<media_control/>", "application/media_control+xml")
        assert ask(carrier, office, key_frame)
        assert ask(office, carrier, info(office.within(invite, ok, "INFO", cseq=2), DIGIT, RELAY)), "the agent may type"

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            (RELAY.upper(), DIGIT),
            ("multipart/mixed;boundary=x", b"--x\r\nContent-Type: application/DTMF-relay\r\n\r\nSignal=7\r\n--x--\r\n"),
        ],
    )
    def test_DTMF_04_digits_in_a_package_are_digits(
        self, world: World, office: Agent, carrier: Agent, content_type: str, body: bytes
    ) -> None:
        _, _, received = connect(office, carrier, "+4930123456")
        packed = info(carrier.within_received(received, "INFO", cseq=2), body, content_type, ("Info-Package", "keys"))
        assert not ask(carrier, office, packed)

    def test_DTMF_04_no_digit_is_in_a_log_a_record_or_a_recording(self, world: World, office: Agent, carrier: Agent) -> None:
        invite, ok, received = connect(office, carrier, "+4930123456")
        heard(world, Side.B, EVENT)
        ask(carrier, office, info(carrier.within_received(received, "INFO", cseq=2), DIGIT, RELAY))
        office.send(office.within(invite, ok, "BYE"))
        office.expect_response(200)
        carrier.answer(carrier.expect_request("BYE"), 200)
        world.after(40)
        (recording,) = world.recordings
        written = recording.encode()
        assert b"Signal=0" in written, "it came"
        assert b"Signal=7" not in written + repr((world.records, world.logs)).encode()

    def test_DTMF_04_who_calls_for_help_is_heard_in_full(self, world: World, office: Agent, carrier: Agent) -> None:
        """Also by somebody who is told no digits else: it may be all that the caller can do."""
        _, _, received = connect(office, carrier, "112")
        assert heard(world, Side.B, EVENT) == [EVENT]
        assert ask(carrier, office, info(carrier.within_received(received, "INFO", cseq=2), DIGIT, RELAY))


class TestWithheldFromEverybody:
    @pytest.fixture
    def policy(self) -> str:
        return OF_CALLERS

    def test_DTMF_04_what_such_a_party_types_stays_here(self, world: World, office: Agent, carrier: Agent) -> None:
        invite, ok, received = connect(office, carrier, "+4930123456")
        assert (heard(world, Side.A, EVENT), heard(world, Side.B, EVENT)) == ([], [EVENT])
        assert not ask(office, carrier, info(office.within(invite, ok, "INFO", cseq=2), DIGIT, RELAY))
        assert ask(carrier, office, info(carrier.within_received(received, "INFO", cseq=2), DIGIT, RELAY))

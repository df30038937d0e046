"""Digits between a PBX that says them by INFO and a carrier that says them as telephone-events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from media.api import Side
from media.digits import MOST_WAITING
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.message import Request, Response
from tests.scenarios.test_info import DIGIT, info
from tests.unit.media.packets import event, rtp
from tests.world import POLICY, Agent, World, connect, sdp

Dialogs = tuple[Request, Response, Request]  # the INVITE of the office, its 200, the INVITE the carrier got

RELAY = "application/dtmf-relay"
OFFICE, CARRIER = "    peer: sip:10.0.0.20:5060\n", "    peer: sip:10.1.0.2:5060\n"
OLD = "  old: {srtp: off, codecs: [PCMA, telephone-event], digits: info}\n"
SPEECH_ONLY = sdp("10.0.0.20", 40000, "8")
TRAIN = json.loads((Path(__file__).parents[1] / "vectors/media/rtp_rtcp.json").read_text())["rfc4733_digit5"]["packets"]


def policy_of(office: str, media: str, *, carrier: str = "", more: str = "") -> str:
    return (
        POLICY.replace(OFFICE + "    media: plain\n", OFFICE + office)
        .replace(CARRIER, CARRIER + carrier)
        .replace("limits:\n  person", media + more + "limits:\n  person")
    )


BY_INFO = policy_of("    info: pass\n    media: old\n", OLD)


def formats(body: bytes) -> str:
    (line,) = (line for line in body.decode().split("\r\n") if line.startswith("m=audio"))
    return line.partition("AVP ")[2]


def receive(world: World, side: Side, *packets: bytes) -> list[bytes]:
    """What leaves towards the other side for these."""
    (relay,) = world.open_relays
    for packet in packets:
        world.media.receive(relay, side, packet, ("10.0.0.20", 40000) if side is Side.A else ("10.1.0.2", 50000))
    left = [sent.packet for sent in world.media.take_sent()]
    world.after(0)
    return left


def typed(world: World) -> list[int]:
    """The events that leave within two seconds, in order."""
    events: dict[int, int] = {}
    for _ in range(100):
        world.after(0.02)
        for sent in world.media.take_sent():
            assert sent.side is Side.B
            events[int.from_bytes(sent.packet[4:8], "big")] = sent.packet[12]
    return list(events.values())


class TestByInfo:
    """The office says digits by INFO and has no telephone-events."""

    @pytest.fixture
    def policy(self) -> str:
        return BY_INFO

    @pytest.fixture
    def dialogs(self, world: World, office: Agent, carrier: Agent) -> Dialogs:
        invite, ok, received = connect(office, carrier, "+4930123456", SPEECH_ONLY, sdp("10.1.0.2", 50000, "8 101"))
        assert formats(received.body) == "8 101", "which the office never spoke of"
        assert formats(ok.body) == "8"
        for message in (ok, received):
            assert ("INFO" in parse_tokens(message.headers.all("Allow"))) is (message is ok)
        assert [side.reported for side in world.updates[-1]] == [(), (101,)]
        return invite, ok, received

    def press(self, office: Agent, dialogs: Dialogs, number: int, body: bytes, kind: str = RELAY, status: int = 200) -> None:
        invite, ok, _ = dialogs
        office.send(info(office.within(invite, ok, "INFO", cseq=1 + number), body, kind))
        office.expect_response(status)

    def test_DTMF_03_info_becomes_events(self, world: World, office: Agent, carrier: Agent, dialogs: Dialogs) -> None:
        bodies = [
            (b"Signal=5\r\nDuration=160\r\n", RELAY),
            (b"Signal= *\r\n", RELAY.upper()),
            (b"#", "application/dtmf"),
            (b"duration=100\nsignal=d", RELAY),
            (b"Signal=11", RELAY),
        ]
        for number, (body, content_type) in enumerate(bodies, 1):
            self.press(office, dialogs, number, body, content_type)
        carrier.expect_nothing()
        assert typed(world) == [5, 10, 11, 15, 11]

    def test_DTMF_03_the_duration_is_the_one_that_was_said(self, world: World, office: Agent, dialogs: Dialogs) -> None:
        self.press(office, dialogs, 1, b"Signal=5\r\nDuration=240\r\n")
        (first,) = world.media.take_sent()
        ends = []
        for _ in range(40):
            world.after(0.02)
            ends += [sent.packet for sent in world.media.take_sent() if sent.packet[13] & 0x80]
        assert first.packet[1] == 0xE5
        assert [int.from_bytes(packet[14:16], "big") for packet in ends] == [240 * 8] * 3

    def test_DTMF_03_in_the_stream_the_carrier_hears(self, world: World, office: Agent, dialogs: Dialogs) -> None:
        assert receive(world, Side.A, rtp(7)) == [rtp(7)]
        self.press(office, dialogs, 1, DIGIT)
        (sent,) = world.media.take_sent()
        assert sent.packet[2:4] + sent.packet[8:12] == b"\0\x08" + rtp(7)[8:12]
        assert receive(world, Side.A, rtp(8))[0][2:4] == b"\0\x09"

    @pytest.mark.parametrize(
        ("body", "content_type"), [(b"Signal=16", RELAY), (b"Signal=hf", RELAY), (b"", RELAY), (b"45", "application/dtmf")]
    )
    def test_DTMF_03_what_is_no_digit_is_not_translated(
        self, world: World, office: Agent, carrier: Agent, dialogs: Dialogs, body: bytes, content_type: str
    ) -> None:
        """And the carrier wants no INFO."""
        self.press(office, dialogs, 1, body, content_type, 403 if body else 200)
        carrier.expect_nothing()
        assert typed(world) == []

    def test_DTMF_03_events_become_info(self, world: World, office: Agent, carrier: Agent, dialogs: Dialogs) -> None:
        """One for each, in order, and the next when the one before is answered."""
        assert receive(world, Side.B, *(bytes.fromhex(each["hex"]) for each in TRAIN)) == []
        more = [event(9 + number, 32000 + 1600 * number, number, 800, end=True, ssrc=0x5BC00001) for number in (1, 2)]
        assert receive(world, Side.B, *more) == []
        for key, duration in (("5", 120), ("1", 100), ("2", 100)):
            request = office.expect_request("INFO")
            assert request.headers.first("Content-Type") == RELAY
            assert request.body == f"Signal={key}\r\nDuration={duration}\r\n".encode()
            office.expect_nothing()
            office.answer(request, 200)
        office.expect_nothing()
        carrier.expect_nothing()

    def test_DTMF_03_a_digit_that_is_refused_is_lost_and_the_next_one_tried(self, world: World, office: Agent, dialogs: Dialogs) -> None:
        receive(world, Side.B, *(event(number, 1600 * number, 1 + number, 800, end=True) for number in range(3)))
        for status in (415, 480, 200):
            office.answer(office.expect_request("INFO"), status)
        office.expect_nothing()
        warnings = [log for log in world.logs if log.event.startswith("digits by INFO")]
        assert [log.event for log in warnings] == ["digits by INFO are answered 415"]
        assert world.core.busy() == 1

    def test_DTMF_03_digits_wait_for_an_answer_and_not_for_ever(self, world: World, office: Agent, dialogs: Dialogs) -> None:
        for second in range(2):
            receive(world, Side.B, *(event(number, 1600 * number + second, 1, 800, end=True, ssrc=second) for number in range(30)))
            world.after(1.1)
        told = set()
        while office.inbox:
            request = office.expect_request("INFO")  # the first one several times
            office.answer(request, 200)
            told.add(request.cseq.number)
        assert len(told) == MOST_WAITING + 1
        assert "too many digits" in [log.event for log in world.logs]

    def test_DTMF_04_no_digit_is_in_a_log_a_record_or_a_recording(
        self, world: World, office: Agent, carrier: Agent, dialogs: Dialogs
    ) -> None:
        invite, ok, _ = dialogs
        self.press(office, dialogs, 1, b"Signal=7\r\nDuration=160\r\n")
        receive(world, Side.B, event(1, 1600, 9, 800, end=True))
        office.answer(office.expect_request("INFO"), 415)
        office.send(office.within(invite, ok, "BYE", cseq=9))
        office.expect_response(200)
        carrier.answer(carrier.expect_request("BYE"), 200)
        world.after(40)
        (recording,) = world.recordings
        written = recording.encode()
        assert b"Signal=0" in written, "it came"
        assert b'"0"' in written, "and was told"
        for sign in (b"Signal=7", b"Signal=9", b'"7"', b'"9"', b"'7'", b"'9'"):
            assert sign not in written + repr((world.records, world.logs, world.sent[-1:])).encode()
        assert world.records[0]["translated"] == ["digits"]


class TestInfoOnBothSides:
    @pytest.fixture
    def policy(self) -> str:
        both = policy_of("    info: pass\n    media: old\n", OLD, carrier="    info: pass\n")
        return both.replace(CARRIER + "    info: pass\n    media: plain", CARRIER + "    info: pass\n    media: old")

    def test_DTMF_03_between_two_that_say_info_it_crosses(self, office: Agent, carrier: Agent) -> None:
        invite, ok, received = connect(office, carrier, "+4930123456", SPEECH_ONLY, sdp("10.1.0.2", 50000, "8"))
        assert formats(received.body) == "8"
        office.send(info(office.within(invite, ok, "INFO"), DIGIT, RELAY))
        crossed = carrier.expect_request("INFO")
        assert crossed.body == DIGIT
        carrier.answer(crossed, 200)
        office.expect_response(200)


class TestOnlyTheCarrierIsParticular:
    """The office passes whatever it has, the carrier takes telephone-events only."""

    @pytest.fixture
    def policy(self) -> str:
        strict = "  strict: {srtp: off, codecs: [PCMA, telephone-event], digits: rfc4733}\n"
        return policy_of("    info: pass\n    media: plain\n", strict).replace(CARRIER + "    media: plain", CARRIER + "    media: strict")

    def test_DTMF_03_info_becomes_events_and_events_pass(self, world: World, office: Agent, carrier: Agent) -> None:
        invite, ok, _ = connect(office, carrier, "+4930123456", sdp("10.0.0.20", 40000, "8 101"), sdp("10.1.0.2", 50000, "8 101"))
        assert "INFO" in parse_tokens(ok.headers.all("Allow"))
        office.send(info(office.within(invite, ok, "INFO"), DIGIT, RELAY))
        office.expect_response(200)
        carrier.expect_nothing()
        assert typed(world) == [5]
        events = [event(number, 160, 5, 160 * number) for number in (1, 2)]
        assert len(receive(world, Side.A, *events)) == 2
        assert receive(world, Side.B, *events) == events
        office.expect_nothing()

    def test_DTMF_03_without_events_there_is_nothing_to_translate_to(self, world: World, office: Agent, carrier: Agent) -> None:
        invite, ok, _ = connect(office, carrier, "+4930123456", sdp("10.0.0.20", 40000, "8"), sdp("10.1.0.2", 50000, "8"))
        office.send(info(office.within(invite, ok, "INFO"), DIGIT, RELAY))
        office.expect_response(403)
        carrier.expect_nothing()


class TestWithheld:
    """Who says digits by INFO may be one who is told none."""

    @pytest.fixture(params=["digits_to", "digits_from"])
    def key(self, request: pytest.FixtureRequest) -> str:
        key: str = request.param
        return key

    @pytest.fixture
    def policy(self, key: str) -> str:
        return policy_of("    info: pass\n    media: old\n", OLD.replace("info}", f"info, {key}: withhold}}"))

    def test_DTMF_04_neither_way_says_what_is_withheld(self, world: World, office: Agent, carrier: Agent, key: str) -> None:
        invite, ok, received = connect(office, carrier, "+4930123456", SPEECH_ONLY, sdp("10.1.0.2", 50000, "8 101"))
        assert formats(received.body) == "8 101", "or the carrier's customer would send tones"
        office.send(info(office.within(invite, ok, "INFO"), DIGIT, RELAY))
        office.expect_response(200)
        assert typed(world) == ([] if key == "digits_from" else [5])
        assert receive(world, Side.B, event(1, 1600, 9, 800, end=True)) == []
        if key == "digits_from":
            office.answer(office.expect_request("INFO"), 200)
        office.expect_nothing()
        carrier.expect_nothing()

    def test_DTMF_04_who_calls_for_help_is_heard_in_full(self, world: World, office: Agent, carrier: Agent) -> None:
        invite, ok, _ = connect(office, carrier, "112", SPEECH_ONLY, sdp("10.1.0.2", 50000, "8 101"))
        office.send(info(office.within(invite, ok, "INFO"), DIGIT, RELAY))
        office.expect_response(200)
        assert typed(world) == [5]
        receive(world, Side.B, event(1, 1600, 9, 800, end=True))
        assert office.expect_request("INFO").body.startswith(b"Signal=9")

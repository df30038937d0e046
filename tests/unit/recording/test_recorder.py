"""One call is picked out of many, whole, and in an empty core it comes to the same."""

from __future__ import annotations

import pytest

from media.api import EventKind, MediaEvent, Side
from sbc.clock import Now
from sbc.effects import Log, Recorded
from sbc.explain.ids import CountingIds
from sbc.frozen import replace
from sbc.inputs import DrainBegun, FlowClosed, MediaHappened, PolicyChanged, ResponseIn
from sbc.policy.snapshot import Record
from sbc.recording.core import RecordingCore
from sbc.recording.recording import Recording, decode
from sbc.recording.replay import first_difference, play
from sbc.sip.message import Request, Response
from tests.scenarios.test_registration import call_as_alice, registered
from tests.scenarios.test_transfer import PERFORMED, accept_blind
from tests.world import POLICY, START, Agent, World, connect, sdp, secure_answer, snapshot_of
from tests.zones import zone


def decoded(recording: Recorded) -> Recording:
    return decode(recording.encode(), recording.policy)


def cast_of(world: World) -> tuple[Agent, Agent]:
    return world.agent("office", ("10.0.0.20", 5060), "outside"), world.agent("carrier", ("10.1.0.2", 5060), "inside")


def world_with(**modes: Record) -> World:
    """Only those parties want recordings."""
    world = World()
    snapshot = snapshot_of()
    trunks = {name: replace(trunk, record=modes.get(name, "never")) for name, trunk in snapshot.trunks.items()}
    world.core.receive(PolicyChanged(replace(snapshot, trunks=trunks)), world.now)
    return world


def test_interleaved_calls_are_told_apart() -> None:
    world = World()
    office, carrier = cast_of(world)
    calls = [(office.invite(f"+49301234{number}"), carrier.expect_request("INVITE")) for number in (1, 2)]
    office.inbox.clear()
    for _, received in reversed(calls):
        carrier.answer(received, 180)
    world.after(0.7)
    for _, received in calls:
        carrier.answer(received, 200, body=sdp(carrier.host, 50000))
    world.after(2.0)  # nobody acknowledges: both 200 are repeated, by timers due at the same instants
    world.shut_down()
    world.after(60)
    first, second = (decoded(recording) for recording in world.recordings)
    for recording, (invite, received) in ((first, calls[0]), (second, calls[1])):
        call_ids = {event.happened.response.call_id for event in recording.events if isinstance(event.happened, ResponseIn)}
        assert call_ids == {received.call_id}
        sent = [effect["data"] for event in recording.events for effect in event.expected if effect["~"] == "Send"]
        assert len(sent) > 6
        assert all(f"Call-ID: {invite.call_id}\r\n" in data or f"Call-ID: {received.call_id}\r\n" in data for data in sent)
    world.expect_replayable()


def test_what_is_asked_of_the_rest_of_the_process_is_answered_as_it_was() -> None:
    """The second call meets the first one's limit; alone it would not."""
    world = World()
    office, carrier = cast_of(world)
    for number in (1, 2, 3):
        connect(office, carrier, f"+4930{number}") if number < 3 else office.invite("+49303")
    world.shut_down()
    world.after(120)
    refused = next(recording for recording, record in zip(world.recordings, world.records, strict=True) if record["sip_status"] != 200)
    assert ("judge", "Refused") in [(kind, type(value).__name__) for event in decoded(refused).events for kind, value in event.given]
    world.expect_replayable()


def test_a_call_of_a_phone_needs_neither_its_password_nor_its_registration() -> None:
    world = World()
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    alice = world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)
    registered(alice)
    carrier.invite("alice")
    received = alice.expect_request("INVITE")
    alice.answer(received, 200, body=secure_answer(received.body, "203.0.113.7", 40000))
    world.receive(FlowClosed(alice.flow))
    world.after(33)
    alice.inbox.clear()
    call_as_alice(alice)
    world.shut_down()
    world.after(120)
    assert len(world.recordings) == 2
    assert all(user.password == "removed" for user in decoded(world.recordings[0]).snapshot.users.values())
    world.expect_replayable()


def test_a_stranger_who_used_up_its_answers_elsewhere_gets_none_here_either() -> None:
    world = World(POLICY.replace("answer: nothing", "answer: 403"))
    office, carrier = cast_of(world)
    _, ok, _ = connect(office, carrier, "+4930123456")
    stranger = world.agent("stranger", ("10.0.0.99", 5060), "outside")
    for _ in range(30):
        stranger.send(stranger.request("BYE", "sip:10.0.0.1", to_tag="guess"))
    stranger.send(stranger.request("BYE", "sip:10.0.0.1", to_tag=ok.to.tag))
    assert len(stranger.inbox) == 20
    world.shut_down()
    world.after(60)
    assert ("may_answer", False) in [given for event in decoded(world.recordings[0]).events for given in event.given]
    world.expect_replayable()


def test_the_name_a_peer_must_prove_may_have_come_from_another_call() -> None:
    policy = POLICY.replace("[udp://10.1.0.1:5060]", "[udp://10.1.0.1:5060, tls://10.1.0.1:5061]\n    certificate: edge")
    world = World(policy.replace("peer: sip:10.1.0.2:5060", "peer: sips:gw.example.com"))
    world.zone = zone("gw.example.com A 10.1.0.2")
    office, _ = cast_of(world)
    world.agent("gateway", ("10.1.0.2", 5061), "inside", "TLS")
    office.cancel(office.invite("+4930123456"))
    caller = world.agent("gateway", ("10.1.0.2", 40001), "inside", "TLS", connection=9)
    caller.invite("+49301", headers=(("Record-Route", "<sip:10.1.0.2:5061;transport=tls;lr>"),))
    received = next(message for message in office.inbox if isinstance(message, Request))
    office.answer(received, 200, body=sdp(office.host, 40000))
    world.receive(FlowClosed(caller.flow))
    office.send(office.within_received(received, "BYE"))
    world.shut_down()
    world.after(60)
    assert ("name_to_verify", "gw.example.com") in [
        given for recording in world.recordings for event in decoded(recording).events for given in event.given
    ]
    world.expect_replayable()


def test_what_lingers_of_other_calls_is_not_on_the_tape() -> None:
    world = World()
    office, carrier = cast_of(world)
    connect(office, carrier, "+4930123456")
    for number in range(20):
        office.cancel(office.invite(f"+49301{number}"))
        world.after(5)
    world.shut_down()
    world.after(60)
    lengths = [len(decoded(recording).events) for recording in world.recordings]
    assert max(lengths) < 12, "20 calls that came and went"
    world.expect_replayable()


def test_an_invite_repeated_long_after_its_call_was_answered_is_a_call_of_its_own() -> None:
    world = World()
    office, carrier = cast_of(world)
    invite, _, _ = connect(office, carrier, "+4930123456")
    world.after(40)
    office.send(invite)
    world.shut_down()
    world.after(120)
    world.expect_replayable()


def test_an_ack_with_the_tag_of_another_call_is_of_the_call_whose_transaction_it_ends() -> None:
    world = World()
    office, carrier = cast_of(world)
    _, other, _ = connect(office, carrier, "+4930123456")
    invite = office.invite("+4930123457")
    carrier.answer(carrier.expect_request("INVITE"), 404)
    office.expect_response(100)
    failed = office.expect_response(404)
    failed.to = other.to
    office.ack(failed)
    office.cancel(invite)
    world.shut_down()
    world.after(120)
    assert len(world.recordings) == 2
    world.expect_replayable()


def test_a_cancel_answered_for_an_earlier_call_is_not_of_the_one_with_the_same_branch() -> None:
    world = World()
    office, carrier = cast_of(world)
    invite = office.invite("+4930123456")
    carrier.answer(carrier.expect_request("INVITE"), 404)
    office.cancel(invite)
    office.expect_response(100)
    office.ack(office.expect_response(404))
    world.after(10)
    office.send(invite)
    office.cancel(invite)
    world.shut_down()
    world.after(120)
    assert len(world.recordings) == 2
    world.expect_replayable()


def test_a_cancel_of_an_invite_that_was_refused_is_not_of_the_call_before() -> None:
    world = World()
    office, carrier = cast_of(world)
    invite, _, _ = connect(office, carrier, "+4930123456")
    office.cancel(invite)
    world.after(40)
    office.send(invite)  # merged, for its call is still there
    office.cancel(invite)
    office.cancel(invite)
    world.shut_down()
    world.after(120)
    assert len(world.recordings) == len(world.records)
    world.expect_replayable()


def test_everything_that_happens_to_all_calls_is_on_every_tape() -> None:
    world = World()
    office, carrier = cast_of(world)
    connect(office, carrier, "+4930123456")
    world.receive(PolicyChanged(replace(world.snapshot, digest="feedfeedfeed")))
    world.receive(DrainBegun())
    relay = next(iter(world.open_relays))
    for side in Side:
        world.receive(MediaHappened(MediaEvent(relay, side, EventKind.SILENCE)))
    world.after(60)
    (recording,) = world.recordings
    assert recording.digests() == (world.snapshot.digest, "feedfeedfeed")
    assert [type(event.happened).__name__ for event in decoded(recording).events[-6:]].count("DrainBegun") == 1
    world.expect_replayable()


@pytest.mark.parametrize(
    ("modes", "answer", "kept"),
    [
        ({}, 200, 0),
        ({"office": "always"}, 200, 1),
        ({"carrier": "always"}, 200, 1),
        ({"backup": "always"}, 200, 0),
        ({"office": "failed"}, 200, 0),
        ({"carrier": "failed"}, 486, 1),
        ({"backup": "failed"}, 503, 1),
    ],
)
def test_kept_is_what_a_party_of_the_call_wants_kept(modes: dict[str, Record], answer: int, kept: int) -> None:
    world = world_with(**modes)
    office, carrier = cast_of(world)
    if answer == 200:
        invite, ok, _ = connect(office, carrier, "+4930123456")
        office.send(office.within(invite, ok, "BYE"))
    else:
        office.invite("+4930123456")
        carrier.answer(carrier.expect_request("INVITE"), answer)
    world.after(300)
    assert len(world.records) == 1
    assert len(world.recordings) == kept


def test_a_caller_who_gives_up_has_not_failed_and_what_we_end_has() -> None:
    world = world_with(office="failed")
    office, carrier = cast_of(world)
    office.cancel(office.invite("+4930123456"))
    world.after(60)
    assert len(world.records) == 1
    assert world.recordings == []
    office.inbox.clear()
    carrier.inbox.clear()
    connect(office, carrier, "+4930123456")
    world.shut_down()
    assert len(world.recordings) == 1


@pytest.mark.interpreted
def test_a_tape_that_grows_too_long_keeps_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sbc.recording.recorder.LARGEST_TAPE", 7_000)
    world = World()
    office, carrier = cast_of(world)
    connect(office, carrier, "+4930123456")
    world.after(1)
    (recording,) = world.recordings
    assert decoded(recording).cut
    assert first_difference(play(decoded(recording))) is None
    world.shut_down()
    world.after(60)
    assert len(world.recordings) == 1


@pytest.mark.interpreted
def test_memory_for_tapes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sbc.recording.recorder.ALL_TAPES", 1_000)
    world = World()
    office, _ = cast_of(world)
    for number in range(3):
        office.invite(f"+4930{number}")
    world.shut_down()
    world.after(60)
    assert len(world.records) == 3
    assert len(world.recordings) == 1
    (log,) = (log for log in world.logs if log.event == "calls not recorded")
    assert log == Log("warning", "calls not recorded", {"calls": 2, "why": "memory"})
    recorder = world.core._recorder
    assert (recorder._size, recorder._tapes, recorder.living) == (0, {}, {})


@pytest.mark.interpreted
def test_a_fault_of_ours_is_recorded_and_happens_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Exception): ...

    def broken(*_: object) -> None:
        raise Broken

    world = World()
    office, carrier = cast_of(world)
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    with monkeypatch.context() as patch:
        patch.setattr("sbc.call.callee.CalleeLeg._receive_progress", broken)
        with pytest.raises(Broken):
            carrier.answer(received, 180)
    world.shut_down()
    world.after(60)
    recording = decoded(world.recordings[0])
    difference = first_difference(play(recording))
    assert difference is not None, "it is mended by now"
    monkeypatch.setattr("sbc.call.callee.CalleeLeg._receive_progress", broken)
    assert first_difference(play(recording)) is None


def test_a_core_that_records_nothing_costs_no_tape() -> None:
    core = RecordingCore(snapshot_of(), CountingIds())
    world = World()
    world.core = core
    office, carrier = cast_of(world)
    connect(office, carrier, "+4930123456")
    assert core._recorder.living == {}
    world.recordings.clear()


@pytest.mark.interpreted
def test_another_core_differs_at_the_first_octet_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    office, carrier = cast_of(world)
    connect(office, carrier, "+4930123456")
    world.shut_down()
    world.after(60)
    recording = decoded(world.recordings[0])
    answer = Response.answer.__func__  # type: ignore[attr-defined]

    def polite(cls: type[Response], /, request: object, status: int, *rest: object, **options: object) -> object:
        return answer(cls, request, status, *rest, **options) if status != 180 else answer(cls, request, 183, *rest, **options)

    monkeypatch.setattr(Response, "answer", classmethod(polite))
    difference = first_difference(play(recording))
    assert difference is not None
    assert difference.recorded["data"].startswith("SIP/2.0 180 ")
    assert difference.replayed["data"].startswith("SIP/2.0 183 ")
    assert difference.number == 4


def test_shutting_down_waits_for_no_tail() -> None:
    world = World()
    office, carrier = cast_of(world)
    connect(office, carrier, "+4930123456")
    world.shut_down()
    assert len(world.recordings) == len(world.records) == 1


def test_an_input_of_no_call_is_nobodys() -> None:
    recorder = RecordingCore(snapshot_of(), CountingIds())._recorder
    recorder.on = True
    recorder.expect(MediaHappened(MediaEvent("gone-1", Side.A, EventKind.SILENCE)), START)
    recorder.close()
    recorder.note(DrainBegun(), Now(1.0, 1.0))
    assert recorder.living == {}


def test_what_is_moved_into_another_call_is_recorded_up_to_then() -> None:
    """From there on it is told of two calls at once, and neither can be played alone."""
    world = World(PERFORMED)
    office, carrier = cast_of(world)
    backup = world.agent("backup", ("10.1.0.3", 5060), "inside")
    accept_blind(world, office, carrier, backup)
    world.shut_down()
    world.after(120)
    assert len(world.records) > 1
    (recording,) = map(decoded, world.recordings)
    assert recording.cut
    assert not any(b"REFER" in event.octets for event in recording.events)
    world.expect_replayable()


def hung_up(world: World) -> tuple[Agent, Request]:
    """After a call the caller has hung up: who was called, and the BYE that is to be answered."""
    office, carrier = cast_of(world)
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "BYE"))
    return carrier, carrier.expect_request("BYE")


def test_a_call_is_complete_when_each_bye_is_answered() -> None:
    world = World()
    carrier, bye = hung_up(world)
    world.after(0.4)
    assert not world.recordings, "its record is written, but the answer may still come"
    carrier.answer(bye, 200)
    world.after(0.2)
    (recording,) = world.recordings
    assert [event.happened.response.status for event in decoded(recording).events if isinstance(event.happened, ResponseIn)][-1] == 200
    world.expect_replayable()


def test_a_bye_that_nobody_answers_is_not_waited_for() -> None:
    world = World()
    hung_up(world)
    world.after(1.2)
    assert len(world.recordings) == 1
    world.after(40)
    assert len(world.recordings) == 1

"""What waits, in what order it is served, and what is turned away: with a clock and a loop that do as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from sbc.effects import Send
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.net.inbox import PLEAS, QUIET, REFUSED_ROOM, REFUSED_S, SLICE_S, Inbox
from sbc.net.stats import Stats
from sbc.shield.queue import INTERVAL_S, TARGET_S, Rank
from sbc.sip.fields.via import Via
from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram
from sbc.sip.uri import Uri
from tests.unit.net.bench import message

TAG = "0000feed"
TRUNK = Flow("inside", "UDP", ("10.0.0.1", 5060), ("10.0.0.2", 5060))
STRANGER = TRUNK._replace(remote=("192.0.2.66", 5060))
PHONE = Flow("outside", "TLS", ("10.0.0.1", 5061), ("10.0.0.3", 40000), 7)
COST = 0.001  # seconds, of serving one
LONG_ENOUGH = TARGET_S + 1.2 * INTERVAL_S  # for an overload to be one


class Stage:
    """Serving one takes a while; `rank` says what the core would."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ready: list[Callable[[], None]] = []
        self.served: list[str] = []
        self.sent: list[Response] = []
        self.told: list[Request] = []
        self.parsed = 0
        self.stats = Stats()
        self.first: set[str] = set()  # branches of what was begun
        self.begun: set[str] = set()  # of INVITEs that are here
        loop = cast("asyncio.AbstractEventLoop", self)
        self.inbox = Inbox(loop, lambda: self.now, self, self.tell, self, self.send, self.stats, TAG)

    def call_soon(self, action: Callable[[], None], *_: Any) -> None:
        self.ready.append(action)

    def rank(self, message: Request | Response | Uri | None, flow: Flow) -> Rank:
        if isinstance(message, Uri):
            return Rank.URGENT if message.user == "112" else Rank.TRUNK
        if message is not None:
            self.parsed += 1
            if message.via.branch in self.first:
                return Rank.FIRST
            if isinstance(message, Request) and message.uri.user == "112" and flow.remote == STRANGER.remote:
                return Rank.PLEA
        return Rank.UNKNOWN if flow.remote == STRANGER.remote else Rank.TRUNK

    def has_invite(self, via: Via, flow: Flow) -> bool:
        return via.branch in self.begun

    def tell(self, request: Request, flow: Flow) -> None:
        self.told.append(request)

    def send(self, effect: Send) -> None:
        response = parse_datagram(effect.data)
        assert isinstance(response, Response)
        self.sent.append(response)

    def receive_datagram(self, data: bytes, flow: Flow) -> None:
        parsed = parse_datagram(data)
        self.receive_parsed(parsed, flow, data)

    def receive_parsed(self, message: Request | Response, flow: Flow, octets: bytes) -> None:
        assert octets
        self.now += COST
        method = message.method if isinstance(message, Request) else str(message.status)
        self.served.append(f"{method} {message.via.branch}")

    def receive_malformed(self, error: SipError, request: Request | None, flow: Flow) -> None:
        self.served.append("malformed")

    def arrive(self, *datagrams: bytes, flow: Flow = TRUNK) -> None:
        self.inbox.receive_datagrams([(data, flow) for data in datagrams])

    def turn(self) -> None:
        """One turn of the loop."""
        ready, self.ready = self.ready, []
        for action in ready:
            action()

    def finish(self) -> None:
        while self.ready:
            self.turn()

    def overload(self) -> None:
        """More than can be served, for longer than a burst may last. All of them are INVITEs."""
        until, number = self.now + LONG_ENOUGH, 0
        while self.now < until:
            self.arrive(*(message("INVITE", f"z9hG4bKo{number + each}") for each in range(QUIET + 1)))
            number += QUIET + 1
            self.turn()


@pytest.fixture
def stage() -> Stage:
    return Stage()


def flood(count: int = QUIET + 1, method: str = "INVITE", name: str = "s") -> list[bytes]:
    return [message(method, f"z9hG4bK{name}{number}") for number in range(count)]


def test_few_are_served_as_they_come(stage: Stage) -> None:
    stage.arrive(*flood(QUIET))
    assert len(stage.served) == QUIET
    assert not stage.ready
    assert stage.inbox.quiet


def test_OVL_03_what_was_begun_does_not_wait_for_a_flood(stage: Stage) -> None:
    stage.first = {"z9hG4bKbye", "z9hG4bKok"}
    stage.arrive(*flood(60), flow=STRANGER)
    stage.arrive(message("BYE", "z9hG4bKbye"))
    stage.arrive(message(branch="z9hG4bKok").replace(b"OPTIONS sip:someone@127.0.0.1 SIP/2.0", b"SIP/2.0 200 OK"))
    stage.turn()
    assert stage.served[:2] == ["BYE z9hG4bKbye", "200 z9hG4bKok"]
    assert len(stage.served) == SLICE_S / COST, "then sockets and timers have their turn"
    stage.finish()
    assert len(stage.served) == 62
    assert stage.inbox.quiet


def test_strangers_are_not_even_parsed_before_their_turn(stage: Stage) -> None:
    stage.arrive(*flood(200), flow=STRANGER)
    assert stage.parsed == 0


def plea(number: int) -> bytes:
    return message("INVITE", f"z9hG4bKhelp{number}").replace(b"sip:someone@", b"sip:112@")


def test_OVL_02_a_stranger_who_calls_for_help_does_not_wait_behind_other_strangers(stage: Stage) -> None:
    stage.arrive(*flood(200), flow=STRANGER)
    stage.arrive(plea(1), flow=STRANGER)
    stage.turn()
    assert "INVITE z9hG4bKhelp1" in stage.served[:2]
    assert stage.parsed == 1


def test_OVL_02_nor_is_it_late(stage: Stage) -> None:
    stage.overload()
    stage.arrive(plea(1), flow=STRANGER)
    stage.arrive(*flood(2, name="late"), flow=STRANGER)
    stage.now += LONG_ENOUGH
    stage.finish()
    assert "INVITE z9hG4bKhelp1" in stage.served
    assert "INVITE z9hG4bKlate1" not in stage.served


def test_OVL_02_a_flood_of_them_is_a_flood(stage: Stage) -> None:
    """What is beyond the budget has a stranger's share, so that trunks have theirs."""
    at_once = int(PLEAS[1])
    stage.arrive(*[plea(number) for number in range(200)], flow=STRANGER)
    stage.arrive(*flood(200, "OPTIONS", "trunk"))
    for _ in range(35):
        stage.turn()
    helped = sum("help" in one for one in stage.served)
    assert at_once <= helped < at_once + len(stage.served) / 8
    assert stage.sent == []


def test_known_ones_are_served_first_but_not_alone(stage: Stage) -> None:
    stage.arrive(*flood(200, "OPTIONS", "stranger"), flow=STRANGER)
    stage.arrive(*flood(200, "OPTIONS", "trunk"))
    for _ in range(10):
        stage.turn()
    strange = sum("stranger" in one for one in stage.served)
    assert len(stage.served) / 10 < strange <= len(stage.served) / 8, "eight to one"


def test_REJ_18_OVL_02_503_without_retry_after_to_whom_we_know(stage: Stage) -> None:
    stage.overload()
    assert stage.sent
    assert stage.stats.requests_refused == len(stage.sent) == len(stage.told)
    for response in stage.sent:
        assert (response.status, response.to.tag) == (503, TAG)
        assert "Retry-After" not in response.headers
    assert len(stage.served) >= 0.9 * LONG_ENOUGH / COST, "and the time goes to those that are served"


def test_no_delay_grows_while_it_lasts(stage: Stage) -> None:
    stage.overload()
    began = stage.now
    stage.arrive(message("INVITE", "z9hG4bKlast"))
    while not any("last" in one for one in stage.served) and not any("last" in one.via.branch for one in stage.sent):
        stage.turn()
    assert stage.now - began < 1.5 * TARGET_S


def test_TRN_08_strangers_hear_nothing(stage: Stage) -> None:
    for _ in range(400):
        stage.arrive(*flood(20), flow=STRANGER)
        stage.turn()
    assert stage.stats.requests_refused > 500
    assert stage.sent == []


def test_repetitions_of_what_waits_are_dropped(stage: Stage) -> None:
    stage.arrive(*flood(100))
    stage.arrive(*flood(100))
    assert stage.stats.repetitions_dropped == 100
    stage.finish()
    assert len(stage.served) == 100


def test_repetitions_of_what_was_refused_are_refused_until_there_are_none(stage: Stage) -> None:
    stage.overload()
    stage.finish()
    branch = stage.sent[-1].via.branch
    sent, served = len(stage.sent), len(stage.served)
    assert not stage.inbox.quiet
    stage.arrive(message("INVITE", branch))
    stage.finish()
    assert (len(stage.sent), len(stage.served)) == (sent + 1, served), "a call nobody waits for, or it would have begun"
    for _ in range(3):
        stage.now += REFUSED_S
        stage.arrive(message("OPTIONS", "z9hG4bKlater"))
        stage.finish()
    assert stage.inbox.quiet
    stage.arrive(message("INVITE", branch))
    assert len(stage.served) == served + 4


def test_calls_are_not_even_parsed_where_some_are_turned_away(stage: Stage) -> None:
    stage.overload()
    parsed = stage.parsed
    stage.arrive(*flood(300, name="u"))
    stage.now += TARGET_S
    stage.finish()
    assert stage.parsed == parsed
    assert len([answer for answer in stage.sent if answer.via.branch.startswith("z9hG4bKu")]) == 299  # nothing waits behind the last one
    assert stage.inbox.refused == stage.stats.requests_refused == len(stage.sent)


def test_OVL_02_a_call_for_help_of_one_we_know_is_not_among_them(stage: Stage) -> None:
    stage.overload()
    help_wanted = message("INVITE", "z9hG4bKhelp").replace(b"INVITE sip:someone@", b"INVITE sip:112@")
    stage.first = {"z9hG4bKhelp"}
    stage.arrive(*flood(300, name="u"), help_wanted)
    before = len(stage.served)
    stage.turn()
    assert stage.served[before] == "INVITE z9hG4bKhelp"


def test_a_repetition_of_a_call_that_is_here_is_not_turned_away(stage: Stage) -> None:
    stage.overload()
    stage.begun = {"z9hG4bKu3"}
    stage.arrive(*flood(6, name="u"))  # nothing waits behind the last one, which has it served
    stage.now += TARGET_S
    stage.finish()
    assert "INVITE z9hG4bKu3" in stage.served
    assert {f"z9hG4bKu{number}" for number in (0, 1, 2, 4)} < {answer.via.branch for answer in stage.sent}
    assert "z9hG4bKu3" not in {answer.via.branch for answer in stage.sent}


def test_nor_does_one_that_waited_unread_become_a_call_after_its_refusal(stage: Stage) -> None:
    stage.overload()
    stage.arrive(*flood(5, name="u"))
    stage.now += TARGET_S
    stage.arrive(*flood(5, name="u"), *flood(50, name="v"))
    stage.finish()
    assert not [one for one in stage.served if one.startswith("INVITE z9hG4bKu")]


@pytest.mark.parametrize("unusual", [b"Call-ID: other\r\nMax-Forwards", b"Max-Forwards\0"])
def test_what_a_glance_cannot_answer_is_read_then(stage: Stage, unusual: bytes) -> None:
    stage.overload()
    stage.arrive(*[one.replace(b"Max-Forwards", unusual) for one in flood(5, name="u")])
    stage.now += TARGET_S
    stage.finish()
    assert stage.served.count("malformed") == 5
    assert stage.stats.requests_refused == len(stage.sent), "who sends that is told something else"


def test_nor_is_a_repetition_whose_branch_is_of_the_old_kind(stage: Stage) -> None:
    stage.overload()
    stage.arrive(*flood(6, name="u"), message("INVITE", "old1"), message("INVITE", "old2"), *flood(6, name="v"))
    stage.first = {"old1"}
    stage.now += TARGET_S
    stage.finish()
    assert "INVITE old1" in stage.served
    assert "old2" in {answer.via.branch for answer in stage.sent}


def test_memory_of_what_was_refused_is_bounded(stage: Stage) -> None:
    for number in range(3 * REFUSED_ROOM):
        stage.inbox._remember((("10.0.0.2", 5060), f"z9hG4bK{number}", "INVITE"), stage.now)
    assert len(stage.inbox._refused) + len(stage.inbox._refused_before) <= 2 * REFUSED_ROOM


def test_the_ack_of_a_refusal_goes_no_further(stage: Stage) -> None:
    stage.overload()
    before = len(stage.served)
    ack = message("ACK", stage.sent[-1].via.branch).replace(b"To: <sip:b@127.0.0.1>", f"To: <sip:b@127.0.0.1>;tag={TAG}".encode())
    stage.arrive(ack)
    assert stage.stats.acks_of_refused == 1
    stage.finish()
    assert not [one for one in stage.served[before:] if one.startswith("ACK")]


def test_a_cancel_never_overtakes_its_invite(stage: Stage) -> None:
    stage.first = {"z9hG4bKs3"}
    invite = message("INVITE", "z9hG4bKs3")
    stage.first = set()
    stage.arrive(*flood(50), invite)
    stage.first = {"z9hG4bKs3"}
    stage.arrive(message("CANCEL", "z9hG4bKs3"))
    stage.finish()
    assert stage.served.index("CANCEL z9hG4bKs3") > stage.served.index("INVITE z9hG4bKs3")


def test_health_checks_and_registrations_of_known_ones_are_served_late_rather_than_not(stage: Stage) -> None:
    for number in range(60):
        stage.arrive(*flood(20, "OPTIONS", f"o{number}-"), *flood(20, "REGISTER", f"r{number}-"))
        stage.turn()
    stage.finish()
    assert len(stage.served) == 60 * 40
    assert stage.sent == []


def test_streams_wait_with_the_others_and_hear_503_whoever_they_are(stage: Stage) -> None:
    stage.overload()
    stage.served.clear()
    request = parse_datagram(message("INVITE", "z9hG4bKphone"))
    stage.inbox.receive_message(request, PHONE, b"INVITE")
    assert stage.served == []
    stage.now += 1
    stage.turn()
    assert "z9hG4bKphone" in [response.via.branch for response in stage.sent]


def test_what_a_connection_had_waiting_goes_with_it(stage: Stage) -> None:
    stage.arrive(*flood(50))
    stage.inbox.receive_message(parse_datagram(message("INVITE", "z9hG4bKphone")), PHONE, b"INVITE")
    stage.inbox.forget(PHONE.connection)
    stage.finish()
    assert len(stage.served) == 50


def test_what_is_malformed_is_told_of_and_stops_nobody(stage: Stage) -> None:
    stage.arrive(*flood(20), b"INVITE nonsense", *flood(20, name="t"))
    stage.finish()
    assert stage.served[0] == "malformed"
    assert len(stage.served) == 41


def test_a_bye_before_the_end_of_its_connection_ends_its_call(stage: Stage) -> None:
    """An application that is closed says BYE and goes: who is called would be paid for until somebody notices."""
    stage.arrive(*flood())
    stage.first.add("z9hG4bKbye")
    stage.inbox.receive_message(parse_datagram(message("BYE", "z9hG4bKbye")), PHONE, b"BYE")
    stage.inbox.receive_message(parse_datagram(message("INVITE", "z9hG4bKnew")), PHONE, b"INVITE")
    stage.inbox.forget(PHONE.connection)
    assert stage.served == ["BYE z9hG4bKbye"], "before anybody hears that the connection is gone"
    stage.finish()
    assert stage.served.count("BYE z9hG4bKbye") == 1
    assert "INVITE z9hG4bKnew" not in stage.served

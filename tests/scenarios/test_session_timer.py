"""Session timers (RFC 4028) of each leg by itself: with UPDATE, with re-INVITE, with peers that know nothing of them."""

from __future__ import annotations

from random import Random

import pytest

from sbc.explain.ids import CountingIds
from sbc.sip.message import Request, Response
from tests.scenarios.test_reliable import statuses
from tests.scenarios.test_update import ALLOWS
from tests.world import Agent, World, sdp

TIMER = (("Supported", "timer"),)
Rows = tuple[tuple[str, str], ...]


def call(office: Agent, carrier: Agent, *, caller: Rows = (), callee: Rows = ()) -> tuple[Request, Response]:
    office.invite("+4930123456", headers=caller)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), headers=callee)
    carrier.expect_request("ACK")
    office.expect_response(100)
    ok = office.expect_response(200)
    office.ack(ok)
    assert office.last_invite is not None
    return office.last_invite, ok


def refreshes(seconds: int, refresher: str) -> Rows:
    return (("Session-Expires", f"{seconds};refresher={refresher}"), ("Require", "timer"))


def test_TMR_03_update_refreshes_where_allowed_and_touches_no_media(world: World, office: Agent, carrier: Agent) -> None:
    call(office, carrier, callee=(*ALLOWS, *refreshes(400, "uac")))
    updates = len(world.updates)
    for _ in range(3):
        world.after(200)
        refresh = carrier.expect_request("UPDATE")
        assert refresh.body == b""
        assert refresh.headers.first("Session-Expires") == "400;refresher=uac"
        carrier.answer(refresh, 200, headers=refreshes(400, "uac"))
    office.expect_nothing()
    assert len(world.updates) == updates
    assert world.core.busy() == 1


def test_TMR_03_a_peer_that_takes_no_update_after_all(world: World, office: Agent, carrier: Agent) -> None:
    call(office, carrier, callee=(*ALLOWS, *refreshes(400, "uac")))
    world.after(200)
    carrier.answer(carrier.expect_request("UPDATE"), 405)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000), headers=refreshes(400, "uac"))
    carrier.expect_request("ACK")
    world.after(200)
    assert statuses(carrier) == ["INVITE"]


@pytest.mark.parametrize("status", [408, 481])
def test_TMR_02_a_refresh_that_finds_no_dialog_ends_the_call(world: World, office: Agent, carrier: Agent, status: int) -> None:
    call(office, carrier, callee=(*ALLOWS, *refreshes(400, "uac")))
    world.after(200)
    carrier.answer(carrier.expect_request("UPDATE"), status)
    office.answer(office.expect_request("BYE"), 200)
    assert world.core.busy() == 0


def test_TMR_02_an_update_nobody_answers_ends_the_call(world: World, office: Agent, carrier: Agent) -> None:
    call(office, carrier, callee=(*ALLOWS, *refreshes(400, "uac")))
    world.after(233)
    assert world.core.busy() == 0
    assert world.records[0]["note"] == "UPDATE: timeout"


def test_TMR_03_a_peer_without_timer_but_with_update_is_asked_whether_it_is_there(world: World, office: Agent, carrier: Agent) -> None:
    call(office, carrier, caller=ALLOWS, callee=ALLOWS)
    world.after(900)
    office.answer(office.expect_request("UPDATE"), 200)
    carrier.answer(carrier.expect_request("UPDATE"), 200)
    world.after(900.1)
    office.answer(office.expect_request("UPDATE"), 200)
    carrier.answer(carrier.expect_request("UPDATE"), 481)
    office.answer(office.expect_request("BYE"), 200)
    assert world.core.busy() == 0


def test_TMR_03_a_peer_with_neither_is_left_to_the_watchdog(world: World, office: Agent, carrier: Agent) -> None:
    call(office, carrier)
    world.after(4000)
    office.expect_nothing()
    carrier.expect_nothing()
    assert world.core.busy() == 1


def test_TMR_03_each_leg_has_its_own(world: World, office: Agent, carrier: Agent) -> None:
    """We refresh towards the callee; the caller refreshes towards us, and does not."""
    call(office, carrier, caller=(*TIMER, ("Session-Expires", "300;refresher=uac")), callee=(*ALLOWS, *refreshes(200, "uac")))
    world.after(100)
    carrier.answer(carrier.expect_request("UPDATE"), 200, headers=refreshes(200, "uac"))
    world.after(100)
    carrier.answer(carrier.expect_request("UPDATE"), 200, headers=refreshes(200, "uac"))
    world.after(69)
    assert world.records[0]["note"] == "session timer expired"
    assert world.core.busy() == 0


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_TMR_02_the_peers_refresh_keeps_the_call(world: World, office: Agent, carrier: Agent, method: str) -> None:
    headers = (*TIMER, *ALLOWS, ("Session-Expires", "300;refresher=uac"))
    office.invite("+4930123456", headers=headers)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000))
    office.expect_response(100)
    ok = office.expect_response(200)
    office.ack(ok)
    invite = office.last_invite
    assert invite is not None
    for cseq in (2, 3, 4):
        world.after(200)
        body = sdp("10.0.0.20", 40000) if method == "INVITE" else b""
        office.send(office.within(invite, ok, method, cseq=cseq, body=body, headers=headers))
        assert office.expect_response(200).headers.first("Session-Expires") == "300;refresher=uac"
        if method == "INVITE":
            office.send(office.within(invite, ok, "ACK", cseq=cseq))
    assert world.core.busy() == 1
    world.after(269)
    assert world.core.busy() == 0


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_TMR_01_too_short_an_interval_in_the_call(office: Agent, carrier: Agent, method: str) -> None:
    invite, ok = call(office, carrier)
    headers = (*TIMER, ("Session-Expires", "89"))
    body = sdp("10.0.0.20", 40000) if method == "INVITE" else b""
    request = office.within(invite, ok, method, body=body, headers=headers)
    office.send(request)
    assert office.expect_response(422).headers.first("Min-SE") == "90"


@pytest.mark.parametrize("allows", [ALLOWS, ()], ids=["UPDATE", "INVITE"])
def test_TMR_01_a_422_to_our_refresh_is_obeyed(world: World, office: Agent, carrier: Agent, allows: Rows) -> None:
    call(office, carrier, callee=(*allows, *refreshes(400, "uac")))
    world.after(200)
    method = "UPDATE" if allows else "INVITE"
    carrier.answer(carrier.expect_request(method), 422, headers=(("Min-SE", "900"),))
    if method == "INVITE":
        carrier.expect_request("ACK")
    again = carrier.expect_request(method)
    assert again.headers.first("Session-Expires") == "900;refresher=uac"
    assert again.headers.first("Min-SE") == "900"
    carrier.answer(again, 200, body=sdp("10.1.0.2", 50000) if again.body else b"", headers=refreshes(900, "uac"))
    carrier.inbox.clear()
    world.after(449)
    carrier.expect_nothing()
    world.after(1.2)
    assert statuses(carrier) == [method]


def test_TMR_01_a_422_to_a_change_is_obeyed_and_not_passed_on(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok = call(office, carrier)
    office.send(office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 40000, version=2, direction="sendonly")))
    carrier.answer(carrier.expect_request("INVITE"), 422, headers=(("Min-SE", "2400"),))
    carrier.expect_request("ACK")
    again = carrier.expect_request("INVITE")
    assert b"a=sendonly" in again.body
    assert again.headers.first("Session-Expires") == "2400"
    carrier.answer(again, 422, headers=(("Min-SE", "4800"),))
    assert statuses(office) == [100, 500], "once; the caller never asked for any interval"


@pytest.mark.parametrize("least", ["0", "30", "90", "garbage"])
def test_TMR_01_a_min_se_below_90_is_read_as_90(office: Agent, carrier: Agent, least: str) -> None:
    """Grandstream and Nortel send 0."""
    call(office, carrier, caller=(*TIMER, ("Session-Expires", "90"), ("Min-SE", least)))


class SeededIds(CountingIds):
    def __init__(self) -> None:
        super().__init__()
        self._random = Random(3261)

    def random(self, size: int) -> bytes:
        return self._random.randbytes(size)


def test_UAS_07_back_off_is_spread_over_its_interval() -> None:
    """Owner of the Call-ID: 2.1 to 4 s; the other: up to 2 s; in steps of 10 ms (RFC 3261 s14.1)."""
    world = World(ids=SeededIds())
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    call(office, carrier, caller=(*TIMER, *ALLOWS, ("Session-Expires", "400;refresher=uas")), callee=(*ALLOWS, *refreshes(400, "uac")))
    waits: dict[str, set[float]] = {"office": set(), "carrier": set()}
    world.after(199.9)
    for _ in range(40):
        for agent in (office, carrier):
            while not agent.inbox:
                world.after(0.01)
            agent.answer(agent.expect_request("UPDATE"), 491)
            asked = world.now.monotonic
            while not agent.inbox:
                world.after(0.01)
            waits[agent.name].add(round(world.now.monotonic - asked, 2))
            agent.answer(agent.expect_request("UPDATE"), 200, headers=refreshes(90, "uac"))
            office.inbox.clear()
            carrier.inbox.clear()
    assert all(2.09 <= wait <= 4.02 for wait in waits["carrier"])
    assert all(0 <= wait <= 2.02 for wait in waits["office"])
    assert len(waits["carrier"]) > 10
    assert len(waits["office"]) > 10

"""SUBSCRIBE, NOTIFY and PUBLISH pass, in dialogs of our own on both sides."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sbc.effects import Effect, Resolve
from sbc.inputs import PolicyChanged, Resolved
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.locate import Answers
from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram
from tests.scenarios.test_registration import DOMAIN, credentials, registered
from tests.world import POLICY, Agent, World, snapshot_of
from tests.zones import ask, zone

WITH_EVENTS = POLICY
for _peer in ("10.0.0.20:5060", "10.1.0.2:5060"):
    _events = "events: [dialog, presence, Message-Summary, vq-rtcpxr]"
    WITH_EVENTS = WITH_EVENTS.replace(f"    peer: sip:{_peer}\n", f"    peer: sip:{_peer}\n    {_events}\n")
WITH_EVENTS = WITH_EVENTS.replace("    limits: person\n", "    limits: person\n    events: [dialog, message-summary]\n")
VECTORS = Path(__file__).parents[1] / "vectors"
STATE = b'<?xml version="1.0"?><presence entity="pres:someone@example.com"/>'


@pytest.fixture
def policy() -> str:
    return WITH_EVENTS


def subscribe(
    agent: Agent, uri: str = "sip:+4940555@10.0.0.1", event: str = "presence", expires: int | None = 600, **options: object
) -> Request:
    rows = (("Event", event), ("Accept", "application/pidf+xml"), *(() if expires is None else (("Expires", str(expires)),)))
    request = agent.request("SUBSCRIBE", uri, headers=rows, **options)  # type: ignore[arg-type]
    agent.send(request)
    return request


def notify(
    agent: Agent, received: Request, state: str = "active;expires=599", cseq: int = 1, body: bytes = STATE, event: str = "presence"
) -> None:
    request = agent.within_received(received, "NOTIFY", cseq=cseq, headers=(("Event", event), ("Subscription-State", state)))
    if body:
        request.headers.add("Content-Type", "application/pidf+xml")
        request.body = body
    agent.send(request)


def subscribed(office: Agent, carrier: Agent) -> tuple[Request, Response, Request]:
    request = subscribe(office)
    received = carrier.expect_request("SUBSCRIBE")
    carrier.answer(received, 200, headers=(("Expires", "600"), ("Contact", carrier.contact)))
    return request, office.expect_response(200), received


def again(office: Agent, request: Request, ok: Response, expires: int, cseq: int = 2) -> None:
    rows = (("Event", "presence"), ("Expires", str(expires)))
    office.send(office.within(request, ok, "SUBSCRIBE", cseq=cseq, headers=rows))


def test_EVT_01_a_subscription_and_its_notifies(world: World, office: Agent, carrier: Agent) -> None:
    request, ok, received = subscribed(office, carrier)
    assert (ok.headers.first("Expires"), ok.headers.count("Contact")) == ("600", 1)
    assert (received.call_id, received.from_.tag) != (request.call_id, request.from_.tag)
    assert received.headers.first("Accept") == "application/pidf+xml"
    assert str(received.uri) == "sip:+4940555@10.1.0.2:5060"
    assert b"10.0.0" not in received.encode()
    notify(carrier, received)
    told = office.expect_request("NOTIFY")
    assert (told.call_id, told.to.tag, told.from_.tag) == (request.call_id, request.from_.tag, ok.to.tag)
    assert (told.body, told.headers.first("Content-Type")) == (STATE, "application/pidf+xml")
    assert told.headers.first("Subscription-State") == "active;expires=599"
    assert told.headers.first("Event") == "presence"
    assert b"10.1.0.2" not in told.encode()
    office.answer(told, 200)
    carrier.expect_response(200)


def test_EVT_01_renewed_and_ended(world: World, office: Agent, carrier: Agent) -> None:
    request, ok, received = subscribed(office, carrier)
    again(office, request, ok, 900)
    renewed = carrier.expect_request("SUBSCRIBE")
    assert (renewed.call_id, renewed.to.tag, renewed.cseq.number) == (received.call_id, "to-carrier", 2)
    assert renewed.headers.first("Expires") == "900"
    carrier.answer(renewed, 200, headers=(("Expires", "700"),))
    assert office.expect_response(200).headers.first("Expires") == "700"
    world.after(700)
    assert world.core.leftovers()
    again(office, request, ok, 0, cseq=3)
    carrier.answer(carrier.expect_request("SUBSCRIBE"), 200, headers=(("Expires", "0"),))
    assert office.expect_response(200).headers.first("Expires") == "0"
    notify(carrier, received, "terminated;reason=timeout", 1)
    told = office.expect_request("NOTIFY")
    assert told.headers.first("Subscription-State") == "terminated;reason=timeout"
    office.answer(told, 200)
    carrier.expect_response(200)
    notify(carrier, received, "active", 2)
    carrier.expect_response(481)
    world.after(40)
    assert world.core.leftovers() == {}


def test_EVT_01_a_notify_before_the_answer(world: World, office: Agent, carrier: Agent) -> None:
    request = subscribe(office)
    received = carrier.expect_request("SUBSCRIBE")
    notify(carrier, received)
    told = office.expect_request("NOTIFY")
    office.answer(told, 200)
    carrier.expect_response(200)
    carrier.answer(received, 202, headers=(("Expires", "600"), ("Contact", carrier.contact)))
    ok = office.expect_response(200)
    assert (ok.to.tag, ok.call_id) == (told.from_.tag, request.call_id)
    again(office, request, ok, 600)
    assert carrier.expect_request("SUBSCRIBE").to.tag == "to-carrier"


def test_EVT_01_a_notify_of_another_fork(world: World, office: Agent, carrier: Agent) -> None:
    _, _, received = subscribed(office, carrier)
    rows = (("Event", "presence"), ("Subscription-State", "active"))
    carrier.send(carrier.within_received(received, "NOTIFY", tag="another", headers=rows))
    carrier.expect_response(481)
    office.expect_nothing()


def test_EVT_01_it_ends_by_itself(world: World, office: Agent, carrier: Agent) -> None:
    subscribed(office, carrier)
    world.after(631)
    assert world.core.leftovers()
    world.after(2)
    assert world.core.leftovers() == {}


def test_EVT_01_asked_once(world: World, office: Agent, carrier: Agent) -> None:
    """Expires 0 at once: one NOTIFY and no more."""
    subscribe(office, expires=0)
    received = carrier.expect_request("SUBSCRIBE")
    carrier.answer(received, 200, headers=(("Expires", "0"), ("Contact", carrier.contact)))
    office.expect_response(200)
    notify(carrier, received, "terminated;reason=timeout")
    office.answer(office.expect_request("NOTIFY"), 200)
    carrier.expect_response(200)
    world.after(33)
    assert world.core.leftovers() == {}


@pytest.mark.parametrize(("status", "kept"), [(200, True), (481, False), (500, True), (489, False)])
def test_EVT_01_what_the_subscriber_says_to_a_notify(world: World, office: Agent, carrier: Agent, status: int, kept: bool) -> None:
    _, _, received = subscribed(office, carrier)
    notify(carrier, received)
    office.answer(office.expect_request("NOTIFY"), status)
    carrier.expect_response(status)
    notify(carrier, received, cseq=2)
    if kept:
        office.expect_request("NOTIFY")
    else:
        carrier.expect_response(481)


@pytest.mark.parametrize(
    ("status", "headers", "told", "kept"),
    [
        (404, (), 404, None),
        (423, (("Min-Expires", "3600"),), 423, ("Min-Expires", "3600")),
        (489, (("Allow-Events", "reg, dialog"),), 489, ("Allow-Events", "reg, dialog")),
        (401, (), 500, None),
    ],
)
def test_EVT_01_refused(
    world: World,
    office: Agent,
    carrier: Agent,
    status: int,
    headers: tuple[tuple[str, str], ...],
    told: int,
    kept: tuple[str, str] | None,
) -> None:
    subscribe(office)
    carrier.answer(carrier.expect_request("SUBSCRIBE"), status, headers=headers)
    refused = office.expect_response(told)
    if kept is not None:
        assert refused.headers.first(kept[0]) == kept[1]
    world.after(40)
    assert world.core.leftovers() == {}


def test_EVT_01_nobody_answers(world: World, office: Agent, carrier: Agent) -> None:
    subscribe(office)
    world.after(40)
    carrier.inbox.clear()
    office.inbox.clear()
    world.after(40)
    assert world.core.leftovers() == {}


@pytest.mark.parametrize(("event", "status"), [("reg", 489), ("", 400), ("presence;;", 400), ("presence.winfo", 489)])
def test_EVT_01_unknown_events(world: World, office: Agent, carrier: Agent, event: str, status: int) -> None:
    subscribe(office, event=event)
    refused = office.expect_response(status)
    if status == 489:
        assert refused.headers.first("Allow-Events") == "dialog, presence, message-summary, vq-rtcpxr"
    carrier.expect_nothing()


def test_EVT_01_another_event_in_the_dialog(world: World, office: Agent, carrier: Agent) -> None:
    request, ok, received = subscribed(office, carrier)
    office.send(office.within(request, ok, "SUBSCRIBE", headers=(("Event", "dialog"),)))
    office.expect_response(489)
    notify(carrier, received, event="dialog")
    carrier.expect_response(489)
    office.send(office.within(request, ok, "PUBLISH", cseq=3, headers=(("Event", "presence"),)))
    office.expect_response(405)
    office.expect_nothing()


def test_EVT_01_a_notify_nobody_asked_for(world: World, office: Agent, carrier: Agent) -> None:
    office.send(office.request("NOTIFY", "sip:+4940555@10.0.0.1", headers=(("Event", "message-summary"), ("Subscription-State", "active"))))
    office.expect_response(481)


def test_EVT_01_to_and_from_a_phone(world: World, alice: Agent, carrier: Agent) -> None:
    registered(alice)
    first = subscribe(alice, f"sip:+4940555@{DOMAIN}", "dialog;call-id=secret@203.0.113.7;id=4")
    proof = credentials(alice.expect_response(401), first)
    request = alice.request("SUBSCRIBE", f"sip:+4940555@{DOMAIN}", headers=(("Event", "dialog;id=4"), proof), call_id="s", cseq=2)
    alice.send(request)
    received = carrier.expect_request("SUBSCRIBE")
    assert received.headers.first("Event") == "dialog;id=4"
    assert "Expires" not in received.headers
    carrier.answer(received, 200, headers=(("Contact", carrier.contact),))
    assert alice.expect_response(200).headers.first("Expires") == "3600"
    notify(carrier, received, event="dialog;id=4")
    told = alice.expect_request("NOTIFY")
    assert told.headers.first("Event") == "dialog;id=4"
    alice.answer(told, 200)
    carrier.expect_response(200)
    subscribe(carrier, "sip:alice@10.1.0.1", "message-summary")
    asked = alice.expect_request("SUBSCRIBE")
    assert str(asked.uri) == str(NameAddr.parse(alice.contact).uri)
    alice.answer(asked, 603)
    carrier.expect_response(603)
    subscribe(carrier, "sip:alice@10.1.0.1", "presence")  # she has none
    carrier.expect_response(403)


@pytest.mark.interpreted
def test_EVT_01_as_many_as_a_party_may_have(world: World, office: Agent, carrier: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sbc.call.subscriptions.MAX_SUBSCRIPTIONS", 1)
    subscribed(office, carrier)
    subscribe(office)
    office.expect_response(503)
    world.after(640)
    subscribed(office, carrier)


def test_EVT_01_when_the_process_stops(world: World, office: Agent, carrier: Agent) -> None:
    subscribed(office, carrier)
    world.shut_down()
    told = office.expect_request("NOTIFY")
    assert told.headers.first("Subscription-State") == "terminated;reason=deactivated"
    assert carrier.expect_request("SUBSCRIBE").headers.first("Expires") == "0"
    office.answer(told, 200)
    carrier.inbox.clear()


def test_EVT_01_the_flow_of_rfc_3903(world: World, office: Agent, carrier: Agent) -> None:
    """PUBLISH, and the entity tag that names what was published."""
    shown = [one["message"] for one in json.loads((VECTORS / "callflows" / "rfc3903.json").read_text())["messages"]]
    tags = iter(re.findall(r"SIP-ETag: *(\S+)", "\n".join(shown)))
    count = 0
    for message in shown:
        if not message.startswith("PUBLISH"):
            continue
        sample = parse_datagram(re.sub(r"\r\nContent-Length:[^\r]*", "", message).encode())
        rows = tuple((name, value) for name in ("Event", "Expires", "SIP-If-Match") if (value := sample.headers.first(name)))
        office.send(office.request("PUBLISH", "sip:+4940555@10.0.0.1", headers=rows))
        passed = carrier.expect_request("PUBLISH")
        assert passed.headers.first("SIP-If-Match") == sample.headers.first("SIP-If-Match")
        assert "Contact" not in passed.headers
        tag = next(tags)
        carrier.answer(passed, 200, headers=(("SIP-ETag", tag), ("Expires", "1800"), ("X-Secret", "1")))
        ok = office.expect_response(200)
        assert (ok.headers.first("SIP-ETag"), ok.headers.first("Expires")) == (tag, "1800")
        assert "X-Secret" not in ok.headers
        count += 1
    assert count == 3
    office.send(office.request("PUBLISH", "sip:+4940555@10.0.0.1", headers=(("Event", "presence"), ("SIP-If-Match", "old"))))
    carrier.answer(carrier.expect_request("PUBLISH"), 412)
    office.expect_response(412)


def test_EVT_01_a_quality_report_of_a_phone(world: World, office: Agent, carrier: Agent) -> None:
    sample = parse_datagram((VECTORS / "samples" / "snom_publish_vqrtcpxr.sip").read_bytes())
    request = office.request(
        "PUBLISH", "sip:+4940555@10.0.0.1", headers=(("Event", "vq-rtcpxr"), ("Content-Type", "application/vq-rtcpxr"))
    )
    request.body = sample.body
    office.send(request)
    passed = carrier.expect_request("PUBLISH")
    assert passed.body == sample.body
    carrier.answer(passed, 200)
    office.expect_response(200)


class TestRefused:
    @pytest.fixture
    def policy(self) -> str:
        return POLICY

    @pytest.mark.parametrize("method", ["SUBSCRIBE", "NOTIFY"])
    def test_EVT_01_nothing_passes_that_is_not_named(self, world: World, office: Agent, carrier: Agent, method: str) -> None:
        office.send(office.request(method, "sip:+4940555@10.0.0.1", headers=(("Event", "presence"),)))
        assert method not in (office.expect_response(405).headers.first("Allow") or "")
        carrier.expect_nothing()

    def test_EVT_01_of_what_may_be_published_only_what_is_for_us_is_taken(self, world: World, office: Agent, carrier: Agent) -> None:
        office.send(office.request("PUBLISH", "sip:+4940555@10.0.0.1", headers=(("Event", "presence"),)))
        assert office.expect_response(489).headers.all("Allow-Events") == ["vq-rtcpxr"]
        carrier.expect_nothing()


def test_EVT_01_the_notifier_cannot_be_reached(world: World, office: Agent, carrier: Agent) -> None:
    world.unreachable.add(carrier.flow.remote)
    subscribe(office)
    office.expect_response(403)  # the next target has no events
    world.unreachable.clear()
    subscribed(office, carrier)


class Unresolved(World):
    """A world whose name server is slow."""

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Resolve):
            self.question = effect
        else:
            super()._carry_out(effect)


@pytest.mark.parametrize("found", [{}, zone("gw.example.com A 10.1.0.2")])
def test_EVT_01_the_process_stops_while_an_address_is_looked_up(found: Answers) -> None:
    world = Unresolved(WITH_EVENTS.replace("peer: sip:10.1.0.2:5060", "peer: sip:gw.example.com"))
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    subscribe(office)
    world.shut_down()
    office.expect_response(503)
    world.receive(Resolved(world.question.question, ask(world.question.wanted, found)[0]))
    carrier.expect_nothing()
    world.expect_nothing_left()


def test_EVT_01_the_notifier_has_a_name(world: World, office: Agent, carrier: Agent) -> None:
    world.zone = zone("gw.example.com A 10.1.0.2")
    policy = WITH_EVENTS.replace("peer: sip:10.1.0.2:5060", "peer: sip:gw.example.com")
    world.receive(PolicyChanged(snapshot_of(policy)))
    subscribed(office, carrier)
    world.zone = {}
    subscribe(office)
    office.expect_response(403)

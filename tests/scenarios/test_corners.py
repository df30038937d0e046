"""Corners where a call can go wrong: changes that fail, late answers, broken peers, strangers who know too much."""

from __future__ import annotations

import pytest

from sbc.effects import CloseRelay, Effect
from sbc.flow import Flow
from sbc.frozen import replace
from sbc.inputs import FlowClosed, PolicyChanged, RelayFailed
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Request, Response
from tests.cost import cpu
from tests.scenarios.test_registration import call_as_alice, credentials, registered
from tests.world import POLICY, Agent, World, connect, sdp


def ring(office: Agent, carrier: Agent, body: bytes = b"") -> tuple[Request, Response, Request]:
    invite = office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183 if body else 180, body=body)
    return invite, office.expect_response(183 if body else 180), received


def statuses(agent: Agent) -> list[int | str]:
    return [message.method if isinstance(message, Request) else message.status for message in agent.inbox]


# The caller hangs up, or changes its mind, before the answer


def test_INV_07_bye_of_the_caller_in_an_early_dialog_answers_the_invite_too(world: World, office: Agent, carrier: Agent) -> None:
    """RFC 3261 s15.1.2: pending requests of the dialog get 487. Else 180 is repeated every minute for ever."""
    invite, ringing, received = ring(office, carrier)
    office.send(office.within(invite, ringing, "BYE"))
    assert statuses(office) == [200, 487]
    office.inbox.clear()
    carrier.answer(received, 487)
    world.after(300)
    assert 180 not in statuses(office), "nobody rings any more"
    assert world.core.leftovers() == {}


@pytest.mark.parametrize("body", [b"", sdp("10.0.0.20", 40000), sdp("10.0.0.20", 41000, version=2)])
def test_UAS_06_reinvite_before_the_first_invite_is_answered(world: World, office: Agent, carrier: Agent, body: bytes) -> None:
    """RFC 3261 s14.2: 500 with Retry-After while the first INVITE has no final response."""
    invite, early, received = ring(office, carrier, sdp("10.1.0.2", 50000))
    office.send(office.within(invite, early, "INVITE", cseq=2, body=body))
    assert statuses(office)[-1:] == [500]
    office.inbox.clear()
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    office.ack(office.expect_response(200))
    assert world.core.busy() == 1


# A change that was refused


@pytest.mark.parametrize("status", [488, 491])
def test_a_refused_change_that_is_tried_again_reaches_the_other_side(world: World, office: Agent, carrier: Agent, status: int) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    hold = sdp("10.0.0.20", 41000, version=2, direction="sendonly")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=hold))
    carrier.answer(carrier.expect_request("INVITE"), status)
    carrier.expect_request("ACK")
    office.inbox.clear()
    office.send(office.within(invite, ok, "INVITE", cseq=3, body=hold))
    assert statuses(carrier) == ["INVITE"], "what was refused was not agreed on"


def test_a_cancelled_change_that_is_tried_again_reaches_the_other_side(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    hold = sdp("10.0.0.20", 40000, version=2, direction="sendonly")
    first = office.within(invite, ok, "INVITE", cseq=2, body=hold)
    office.send(first)
    asked = carrier.expect_request("INVITE")
    office.cancel(first)
    carrier.answer(asked, 487)
    carrier.inbox.clear()
    office.inbox.clear()
    office.send(office.within(invite, ok, "INVITE", cseq=3, body=hold))
    assert statuses(carrier) == ["INVITE"]


def test_a_refused_change_leaves_no_trace_in_later_answers(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 40000, version=2, direction="inactive")))
    carrier.answer(carrier.expect_request("INVITE"), 488)
    carrier.expect_request("ACK")
    carrier.send(carrier.within_received(received, "INVITE", cseq=5, body=sdp("10.1.0.2", 50000)))
    refreshed = carrier.expect_response(200)
    assert b"a=inactive" not in refreshed.body, "the hold was refused"


@pytest.mark.parametrize("status", [302, 401, 407, 420, 503])
def test_a_refusal_of_a_change_is_mapped_like_any_other(world: World, office: Agent, carrier: Agent, status: int) -> None:
    """What is said between us and one hop is not for the other leg (RFC 3261 s16.7)."""
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 41000, version=2)))
    carrier.answer(carrier.expect_request("INVITE"), status, headers=(("Contact", "<sip:x@10.1.0.9>"),))
    assert statuses(office)[-1] in (480, 488, 500)


def test_a_cancelled_change_is_cancelled_on_the_other_side(world: World, office: Agent, carrier: Agent) -> None:
    """Else the other side agrees to a hold that the caller has taken back."""
    invite, ok, _ = connect(office, carrier, "+4930123456")
    change = office.within(invite, ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 40000, version=2, direction="inactive"))
    office.send(change)
    carrier.answer(carrier.expect_request("INVITE"), 100)
    office.cancel(change)
    assert statuses(carrier) == ["CANCEL"]


def test_a_change_the_peer_never_answers_does_not_stay_for_ever(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 41000, version=2)))
    carrier.answer(carrier.expect_request("INVITE"), 100)
    office.send(office.within(invite, ok, "BYE", cseq=3))
    carrier.expect_request("CANCEL")
    carrier.answer(carrier.expect_request("BYE"), 200)
    world.after(300)
    assert world.core.leftovers() == {}


def test_a_late_answer_to_a_change_starts_no_session_timer(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 41000, version=2)))
    change = carrier.expect_request("INVITE")
    office.send(office.within(invite, ok, "BYE", cseq=3))
    carrier.answer(carrier.expect_request("BYE"), 200)
    carrier.answer(change, 200, body=sdp("10.1.0.2", 50000, version=2), headers=(("Session-Expires", "7200;refresher=uac"),))
    world.after(300)
    assert world.core.leftovers() == {}


def test_INV_06_a_2xx_to_a_change_moves_the_remote_target(world: World, office: Agent, carrier: Agent) -> None:
    """RFC 3261 s12.2.1.2; its ACK goes there already (s13.2.2.4)."""
    elsewhere = world.agent("moved", ("10.1.0.2", 5070), "inside")
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 41000, version=2)))
    change = carrier.expect_request("INVITE")
    answer = Response.answer(
        change,
        200,
        to_tag="to-carrier",
        headers=(("Contact", "<sip:moved@10.1.0.2:5070>"),),
        body=sdp("10.1.0.2", 50000, version=2),
        content_type="application/sdp",
    )
    carrier.send(answer)
    assert statuses(elsewhere) == ["ACK"]


# Session timers


def test_TMR_02_a_refused_change_does_not_end_refreshing(world: World, office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), headers=(("Session-Expires", "400;refresher=uac"),))
    carrier.expect_request("ACK")
    office.expect_response(100)
    ok = office.expect_response(200)
    office.ack(ok)
    world.after(199.9)
    office.send(office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 41000, version=2)))
    change = carrier.expect_request("INVITE")
    carrier.answer(change, 100)
    world.after(1)
    carrier.answer(change, 488)
    carrier.expect_request("ACK")
    world.after(160)
    assert "INVITE" in statuses(carrier), "the callee ends the call at 368 s if nobody refreshes"


def test_TMR_02_a_refused_refresh_is_tried_again_before_the_session_ends(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), headers=(("Session-Expires", "400;refresher=uac"),))
    carrier.expect_request("ACK")
    office.expect_response(100)
    office.ack(office.expect_response(200))
    world.after(200)
    carrier.answer(carrier.expect_request("INVITE"), 500, headers=(("Retry-After", "3"),))
    carrier.expect_request("ACK")
    world.after(160)
    assert "INVITE" in statuses(carrier)


def test_a_new_key_in_the_answer_to_our_refresh_is_taken(world: World, alice: Agent, carrier: Agent) -> None:
    """Towards the caller our last description was an answer; what it says to our refresh counts all the same."""
    key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n"
    first = alice.request("INVITE", "sip:+4930@sbc.example.com", body=sdp(alice.host, 40000))
    alice.send(first)
    challenge = alice.expect_response(401)
    offer = sdp(alice.host, 40000, extra=key).replace(b"RTP/AVP", b"RTP/SAVP")
    invite = alice.request(
        "INVITE",
        "sip:+4930@sbc.example.com",
        cseq=2,
        body=offer,
        headers=(credentials(challenge, first), ("Supported", "timer"), ("Session-Expires", "400;refresher=uas")),
    )
    alice.last_invite = invite
    alice.send(invite)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    alice.expect_response(100)
    alice.ack(alice.expect_response(200))
    world.after(201)
    refresh = alice.expect_request("INVITE")
    before = world.updates[-1][0].receive_keys
    changed = sdp(alice.host, 44000, version=2, extra=key.replace("AAEC", "BBEC")).replace(b"RTP/AVP", b"RTP/SAVP")
    alice.answer(refresh, 200, body=changed, tag="from-alice")
    after = world.updates[-1][0]
    assert after.remote == (alice.host, 44000)
    assert after.receive_keys != before


# Limits


def test_a_target_that_is_skipped_gives_its_place_back() -> None:
    world = World(POLICY.replace("send_to: [alice]", "send_to: [alice, office]"))
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    alice = world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)
    carrier.invite("alice")
    office.answer(office.expect_request("INVITE"), 486)
    carrier.inbox.clear()
    registered(alice)
    carrier.invite("alice")
    assert statuses(alice) == ["INVITE"], "alice has no call: her limit of one is not reached"


def test_UAS_14_a_user_with_all_calls_taken_is_busy(world: World, alice: Agent, carrier: Agent) -> None:
    """503 would tell the carrier that the whole of us is out."""
    registered(alice)
    carrier.invite("alice")
    alice.expect_request("INVITE")
    carrier.inbox.clear()
    carrier.invite("alice", call_id="second", from_tag="second")
    carrier.expect_response(100)
    carrier.expect_response(486)
    assert world.records[0]["q850"] == 34


# Records


@pytest.mark.parametrize("headers", [(("Require", "flying"),), (("Content-Encoding", "gzip"),), (("Accept", "text/plain"),)])
def test_an_attempt_that_is_refused_at_the_door_has_its_record(world: World, office: Agent, headers: tuple[tuple[str, str], ...]) -> None:
    office.invite("+4930123456", headers=headers)
    assert len(world.records) == 1


def test_a_call_that_was_never_answered_has_no_200_in_its_record(world: World, office: Agent, carrier: Agent) -> None:
    ring(office, carrier)
    world.shut_down()
    assert world.records[0]["sip_status"] != 200


# Emergency calls


@pytest.mark.parametrize("uri", ["urn:service:sos", "tel:112"])
def test_REG_04_a_user_may_name_the_emergency_service_itself(world: World, alice: Agent, uri: str) -> None:
    """RFC 5031, RFC 6881: phones write the URN into the Request-URI; it has no host that could be ours."""
    alice.send(alice.request("INVITE", uri, body=sdp(alice.host, 40000)))
    assert statuses(alice) == [401]


def test_a_name_is_never_taken_for_a_urn(world: World, alice: Agent, carrier: Agent) -> None:
    """A dialled user part that looks like a URN makes no emergency call of an ordinary one."""
    call_as_alice(alice, "urn%3Aservice%3Asos")
    for message in carrier.inbox:
        assert isinstance(message, Request)
        assert message.uri.scheme == "sip"


# What peers answer


@pytest.mark.parametrize(
    "contact", ["<tel:+4930>", "<sip:a@10.1.0.2>, <sip:b@10.1.0.2>", "garbage", "<sip:a@10.1.0.2"], ids=["tel", "two", "garbage", "open"]
)
def test_a_2xx_with_a_broken_contact_ends_the_attempt_on_both_sides(
    world: World, office: Agent, carrier: Agent, backup: Agent, contact: str
) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    answer = Response.answer(received, 200, to_tag="x", headers=(("Contact", contact),), body=sdp("10.1.0.2", 50000))
    answer.headers.set("Content-Type", "application/sdp")
    carrier.send(answer)
    assert statuses(carrier) == ["ACK", "BYE"]
    assert statuses(backup) == ["INVITE"], "the next target"


@pytest.mark.parametrize("status", [183, 200])
def test_a_response_with_a_broken_content_type(world: World, office: Agent, carrier: Agent, status: int) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    answer = Response.answer(received, status, to_tag="x", headers=(("Contact", carrier.contact),), body=sdp("10.1.0.2", 50000))
    answer.headers.set("Content-Type", "///;;")
    carrier.send(answer)
    assert statuses(office)[-1] != 100
    if status == 200:
        assert statuses(carrier) == ["ACK", "BYE"]


@pytest.mark.parametrize(
    "offer",
    [sdp("10.0.0.20", 40000).replace(b"c=IN IP4 10.0.0.20", b"c=IN IP6 2001:db8::20"), sdp("10.0.0.1", 20000)],
    ids=["other family", "our own port"],
)
def test_an_offer_our_relay_cannot_reach_and_early_media(world: World, office: Agent, carrier: Agent, offer: bytes) -> None:
    """488, at the latest with the final answer; the 183 of the callee must not be the end of the matter."""
    office.invite("+4930123456", offer)
    if carrier.inbox:
        carrier.answer(carrier.expect_request("INVITE"), 183, body=sdp("10.1.0.2", 50000))
    last = office.inbox[-1]
    assert isinstance(last, Response)
    assert last.status == 488 or (last.status == 183 and not last.body)


def test_a_relay_that_fails_in_a_call_ends_both_sides(world: World, office: Agent, carrier: Agent) -> None:
    connect(office, carrier, "+4930123456")
    (relay,) = world.open_relays
    world.receive(RelayFailed(relay, "update refused", temporary=False))
    assert statuses(office) == ["BYE"]
    assert statuses(carrier) == ["BYE"]
    assert not world.open_relays, "its ports are free again"


def test_a_relay_that_never_says_it_is_closed_is_forgotten() -> None:
    """The engine answers nothing when closing fails; the call is written without figures, and then gone."""

    class Silent(World):
        def _carry_out(self, effect: Effect) -> None:
            if not isinstance(effect, CloseRelay):
                super()._carry_out(effect)

    world = Silent()
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "BYE"))
    carrier.answer(carrier.expect_request("BYE"), 200)
    world.after(300)
    assert len(world.records) == 1
    assert world.core.leftovers() == {}


def test_a_retry_after_comment_stays_on_its_side(world: World, office: Agent, carrier: Agent) -> None:
    _, _, received = ring(office, carrier)
    carrier.answer(received, 480, headers=(("Retry-After", "30 (gw7.core.carrier.example, 10.1.0.9)"),))
    refused = office.expect_response(480)
    assert refused.headers.first("Retry-After") == "30"


# Who speaks


def test_in_dialog_requests_of_strangers_are_not_obeyed(world: World, office: Agent, carrier: Agent) -> None:
    """Whoever overheard the tags can neither hang up nor lead the media away: the source is no party of the call."""
    invite, ok, _ = connect(office, carrier, "+4930123456")
    stranger = world.agent("stranger", ("203.0.113.66", 5060), "outside")
    media = sdp("203.0.113.66", 40000, version=2)
    stranger.send(stolen(stranger.within(invite, ok, "INVITE", cseq=7, body=media), invite))
    assert statuses(carrier) == [], "nothing is asked of the other side"
    stranger.send(stolen(stranger.within(invite, ok, "BYE", cseq=8), invite))
    assert world.core.busy() == 1


def test_another_realm_never_speaks_for_a_dialog(world: World, office: Agent, carrier: Agent) -> None:
    """An inside trunk does not hang up an outside leg, even if it knows the tags."""
    invite, ok, _ = connect(office, carrier, "+4930123456")
    backup = world.agent("backup", ("10.1.0.3", 5060), "inside")
    backup.send(stolen(backup.within(invite, ok, "BYE", cseq=8), invite))
    assert world.core.busy() == 1


def stolen(request: Request, invite: Request) -> Request:
    """With the From of the party that really made the call."""
    request.from_ = invite.from_
    request.headers.set("From", str(invite.from_))
    return request


def test_a_user_calls_as_itself(world: World, alice: Agent, carrier: Agent) -> None:
    """The digest proves alice; From says somebody else (RFC 3261 s22.1, AUTH-08)."""
    first = alice.request("INVITE", "sip:+4930@sbc.example.com", call_id="spoof", body=sdp(alice.host, 40000))
    alice.send(first)
    challenge = alice.expect_response(401)
    second = alice.request(
        "INVITE",
        "sip:+4930@sbc.example.com",
        call_id="spoof",
        cseq=2,
        body=sdp(alice.host, 40000),
        headers=(credentials(challenge, first),),
    )
    second.from_ = NameAddr.parse('"The Boss" <sip:+49301000@sbc.example.com>').with_tag("t")
    second.headers.set("From", str(second.from_))
    alice.send(second)
    assert not [message for message in carrier.inbox if isinstance(message, Request) and message.from_.uri.user == "+49301000"]


def test_a_register_for_somebody_else_is_refused(world: World, alice: Agent) -> None:
    """RFC 3261 s10.3 steps 3 to 5: 403, or 404; a 200 says that bob is reached here now."""
    request = alice.request("REGISTER", "sip:sbc.example.com", to="<sip:bob@sbc.example.com>")
    alice.send(request)
    challenge = alice.expect_response(401)
    alice.send(
        alice.request("REGISTER", "sip:sbc.example.com", cseq=2, to="<sip:bob@sbc.example.com>", headers=(credentials(challenge, request),))
    )
    assert statuses(alice)[0] in (403, 404)


def test_a_stranger_on_a_connection_who_guesses_tags_is_hung_up_on(world: World, alice: Agent) -> None:
    """As for any other request of a stranger, where the policy says: answer nothing."""
    alice.send(alice.request("BYE", "sip:sbc.example.com", to_tag="guess"))
    assert statuses(alice) == []
    assert world.closed_flows == [alice.flow]


def test_RSN_01_the_reason_of_a_cancel_reaches_the_callee(world: World, office: Agent, carrier: Agent) -> None:
    """Phones keep no missed call when it was answered elsewhere (RFC 3326 s2)."""
    invite, _, _ = ring(office, carrier)
    reason = 'SIP;cause=200;text="Call completed elsewhere"'
    cancel = Request.build(
        "CANCEL",
        invite.uri,
        via=invite.via,
        from_=invite.from_,
        to=invite.to,
        call_id=invite.call_id,
        cseq=CSeq(invite.cseq.number, "CANCEL"),
        headers=(("Reason", reason),),
    )
    office.send(cancel)
    assert carrier.expect_request("CANCEL").headers.first("Reason") == reason


def test_a_realm_that_a_new_policy_drops_costs_no_fault(world: World, office: Agent, carrier: Agent) -> None:
    connect(office, carrier, "+4930123456")
    world.receive(PolicyChanged(replace(world.snapshot, digest="0" * 12, realms={}, sources={})))
    carrier.send(carrier.request("BYE", "sip:10.1.0.1", to_tag="gone"))
    office.send_bytes(office.request("OPTIONS", "sip:10.0.0.1").encode().replace(b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE"))


# Ways back


def test_a_private_record_route_behind_a_public_source_is_not_sent_to() -> None:
    world = World(POLICY.replace("10.0.0.20", "8.8.4.20"))
    office = world.agent("office", ("8.8.4.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    office.invite("+4930123456", headers=(("Record-Route", "<sip:192.168.1.1;lr>"),))
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    office.expect_response(100)
    office.ack(office.expect_response(200))
    carrier.send(carrier.within_received(received, "BYE"))
    assert [sent.flow for sent in world.sent if sent.data.startswith(b"BYE")][-1] == office.flow


def test_a_user_who_comes_back_on_a_new_connection_is_reached_there(world: World, alice: Agent, carrier: Agent) -> None:
    invite = call_as_alice(alice)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    alice.expect_response(100)
    ok = alice.expect_response(200)
    alice.ack(ok)
    world.receive(FlowClosed(alice.flow))
    again = world.agent("alice", ("203.0.113.7", 40999), "outside", "TLS", connection=8)
    again.calls = 50
    again.send(again.within(invite, ok, "INVITE", cseq=3, body=sdp("203.0.113.7", 40000)))
    again.expect_response(200)
    again.send(again.within(invite, ok, "ACK", cseq=3))
    carrier.send(carrier.within_received(received, "BYE"))
    assert [sent.flow for sent in world.sent if sent.data.startswith(b"BYE")][-1] == again.flow


def test_a_trunk_whose_connection_is_gone_is_reached_by_a_new_one() -> None:
    """A PBX closes idle connections; the call goes on, and so must what we have to say (RFC 3261 s18.1.1, RFC 5923)."""
    world = World(POLICY.replace("udp://10.0.0.1:5060, tls", "udp://10.0.0.1:5060, tcp://10.0.0.1:5060, tls"))
    office = world.agent("office", ("10.0.0.20", 41234), "outside", "TCP", connection=3)
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    request = office.request("INVITE", "sip:+4930123456@10.0.0.1", body=sdp("10.0.0.20", 40000))
    request.headers.set("Contact", "<sip:office@10.0.0.20:5060;transport=tcp>")
    office.last_invite = request
    office.send(request)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    office.expect_response(100)
    office.ack(office.expect_response(200))
    world.receive(FlowClosed(office.flow))
    carrier.send(carrier.within_received(received, "BYE"))
    flow = [sent.flow for sent in world.sent if sent.data.startswith(b"BYE")][-1]
    assert flow == Flow("outside", "TCP", ("10.0.0.1", 5060), ("10.0.0.20", 5060))


def test_TLS_08_a_trunk_whose_tls_connection_is_gone_is_not_reached_in_clear(world: World, carrier: Agent) -> None:
    office = world.agent("office", ("10.0.0.20", 41234), "outside", "TLS", connection=3)
    request = office.request("INVITE", "sip:+4930123456@10.0.0.1", body=sdp("10.0.0.20", 40000))
    request.headers.set("Contact", "<sip:office@10.0.0.20:5061>")  # says nothing of TLS
    office.last_invite = request
    office.send(request)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    office.expect_response(100)
    office.ack(office.expect_response(200))
    world.receive(FlowClosed(office.flow))
    carrier.send(carrier.within_received(received, "BYE"))
    flow = [sent.flow for sent in world.sent if sent.data.startswith(b"BYE")][-1]
    assert flow == Flow("outside", "TLS", ("10.0.0.1", 5061), ("10.0.0.20", 5061))


def test_a_contact_of_the_other_address_family_is_not_sent_to_from_our_socket(world: World, office: Agent, carrier: Agent) -> None:
    request = office.request("INVITE", "sip:+4930123456@10.0.0.1", body=sdp("10.0.0.20", 40000))
    request.headers.set("Contact", "<sip:office@[2001:db8::20]:5060>")
    office.send(request)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    office.expect_response(100)
    office.last_invite = request
    office.ack(office.expect_response(200))
    carrier.send(carrier.within_received(received, "BYE"))
    flow = [sent.flow for sent in world.sent if sent.data.startswith(b"BYE")][-1]
    assert ":" not in flow.remote[0]


def test_UAS_12_a_loop_that_comes_back_by_another_listener(world: World, office: Agent, carrier: Agent) -> None:
    request = office.request("INVITE", "sip:+4930123456@10.0.0.1", body=sdp("10.0.0.20", 40000))
    request.headers.add("Via", "SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bKn1w1babc")
    office.send(request)
    office.expect_response(482)
    carrier.expect_nothing()


def test_early_media_of_a_failed_target_and_a_relay_of_another_realm() -> None:
    """RFC 3261 s13.2.1: within one dialog the caller ignores every description after the first."""
    world = World(
        POLICY.replace("send_to: [carrier, backup]", "send_to: [carrier, branch]").replace(
            "  backup:\n    realm: inside\n    accept_from: [10.1.0.3/32]\n    peer: sip:10.1.0.3:5060",
            "  branch:\n    realm: outside\n    accept_from: [10.0.0.30/32]\n    peer: sip:10.0.0.30:5060",
        )
    )
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    branch = world.agent("branch", ("10.0.0.30", 5060), "outside")
    office.invite("+4930123456")
    office.expect_response(100)
    first = carrier.expect_request("INVITE")
    carrier.answer(first, 183, body=sdp("10.1.0.2", 50000))
    early = office.expect_response(183)
    carrier.answer(first, 503)
    branch.answer(branch.expect_request("INVITE"), 200, body=sdp("10.0.0.30", 50000))
    ok = office.expect_response(200)
    assert ok.to.tag != early.to.tag or ok.body == early.body


def test_registering_many_contacts_costs_little(world: World, alice: Agent) -> None:
    """One authenticated request must not stop the service for seconds: the limit comes before the work."""
    request = alice.request("REGISTER", "sip:sbc.example.com", to="<sip:alice@sbc.example.com>")
    alice.send(request)
    challenge = alice.expect_response(401)
    rows = tuple(("Contact", ",".join(f"<sip:{n}@h>" for n in range(i * 600, i * 600 + 600))) for i in range(5))
    big = alice.request(
        "REGISTER", "sip:sbc.example.com", cseq=2, to="<sip:alice@sbc.example.com>", headers=(credentials(challenge, request), *rows)
    )
    assert cpu(lambda: alice.send(big)) < 0.5
    assert statuses(alice) == [503]

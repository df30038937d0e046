from __future__ import annotations

import pytest

from sbc.flow import Flow
from sbc.sip.message import Request, Response
from sbc.sip.server import CLOSED_CONNECTIONS
from sbc.sip.tables import State
from sbc.sip.timers import TimerValues
from sbc.sip.transactions import stateless_response
from tests.unit.sip.peer import TCP, TLS, UDP, World, received, request, response


def ack(tag: str = "b1", branch: str = "z9hG4bK-1", **kwargs: str) -> Request:
    return request("ACK", branch, to=f"<sip:bob@example.com>;tag={tag}", **kwargs)  # type: ignore[arg-type]


def test_TXN_02_the_machine_sends_what_its_user_says_and_nothing_by_itself() -> None:
    world = World()
    invite = world.serve(request())
    world.until(20.0)
    assert world.sent == []
    world.answer(invite, response(invite.request, 100))
    assert (world.instants(), invite.last_status) == ([20.0], 100)


def test_a_repeated_invite_meets_the_last_provisional_response() -> None:
    world = World()
    invite = world.serve(request())
    assert world.absorb(request())
    assert world.sent == [], "nothing to repeat yet"
    world.answer(invite, response(invite.request, 100))
    world.answer(invite, response(invite.request, 180))
    assert world.absorb(request())
    assert [received(data).status for _, data, _, _ in world.sent] == [100, 180, 180]  # type: ignore[union-attr]
    assert world.sent[1][1:] == world.sent[2][1:]


def test_TXN_06_a_repeated_invite_is_absorbed_for_32_seconds_after_a_2xx() -> None:
    world = World()
    invite = world.serve(request())
    world.answer(invite, response(invite.request, 200))
    for instant in (0.5, 20.0, 31.9):
        world.until(instant)
        assert world.absorb(request())
    world.until(32.1)
    assert not world.absorb(request())
    assert world.instants() == [0.0]
    assert world.layer.counts() == (0, 0)


def test_TXN_06_the_user_repeats_the_2xx_and_gets_its_ack() -> None:
    world = World()
    invite = world.serve(request())
    success = response(invite.request, 200)
    world.answer(invite, success)
    world.until(0.5)
    world.answer(invite, success)
    assert world.instants("200") == [0.0, 0.5]
    assert not world.absorb(ack(branch="z9hG4bK-2"))
    assert not world.absorb(ack(branch="z9hG4bK-1")), "a peer that takes the branch of its INVITE for it"


def test_TXN_07_a_failure_is_repeated_until_its_ack() -> None:
    world = World()
    invite = world.serve(request())
    world.answer(invite, response(invite.request, 486))
    world.until(8.0)
    assert world.instants() == [0.0, 0.5, 1.5, 3.5, 7.5]
    assert world.absorb(request()), "meets the response at once"
    assert world.instants()[-1] == 8.0
    assert world.absorb(ack())
    assert invite.state is State.CONFIRMED
    assert world.absorb(request())
    assert world.absorb(ack())
    world.until(12.9)
    assert world.absorb(ack())
    world.until(13.1)  # Timer I
    assert world.layer.counts() == (0, 0)
    assert len(world.sent) == 6
    assert len({data for _, data, _, _ in world.sent}) == 1
    assert world.owner.heard == []


def test_TXN_07_without_ack_the_user_is_told_after_32_seconds() -> None:
    world = World()
    invite = world.serve(request())
    world.answer(invite, response(invite.request, 486))
    world.until(100.0)
    assert world.instants() == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert world.owner.heard == ["32.0 no ACK"]
    assert world.layer.counts() == (0, 0)


def test_TXN_08_a_repeated_request_meets_the_same_octets_for_32_seconds() -> None:
    world = World()
    bye = world.serve(request("BYE"))
    assert world.absorb(request("BYE")), "not answered yet"
    assert world.sent == []
    world.answer(bye, response(bye.request, 200))
    for instant in (0.5, 1.5, 31.9):
        world.until(instant)
        assert world.absorb(request("BYE"))
    assert world.instants() == [0.0, 0.5, 1.5, 31.9]
    assert len({data for _, data, _, _ in world.sent}) == 1
    world.until(32.1)
    assert not world.absorb(request("BYE"))


def test_TXN_09_to_a_non_invite_no_1xx_but_100_and_over_udp_not_before_3_5_seconds() -> None:
    world = World()
    options = world.serve(request("OPTIONS"))
    world.answer(options, response(options.request, 100))
    world.answer(options, response(options.request, 183))
    world.until(3.4)
    world.answer(options, response(options.request, 100))
    assert world.sent == []
    world.until(3.5)
    world.answer(options, response(options.request, 183))
    world.answer(options, response(options.request, 100))
    assert world.instants() == [3.5]
    assert world.absorb(request("OPTIONS"))
    world.answer(options, response(options.request, 200))
    assert [received(data).status for _, data, _, _ in world.sent] == [100, 100, 200]  # type: ignore[union-attr]


def test_TXN_09_over_a_reliable_transport_100_goes_at_once() -> None:
    world = World()
    options = world.serve(request("OPTIONS"), TCP)
    world.answer(options, response(options.request, 100))
    assert world.instants("100") == [0.0]


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_TXN_10_a_408_to_a_non_invite_is_silence(flow: Flow) -> None:
    world = World()
    message = world.serve(request("MESSAGE"), flow)
    world.until(20.0)
    world.answer(message, response(message.request, 408))
    world.until(30.0)
    if flow is UDP:
        assert world.absorb(request("MESSAGE"), flow)
    assert world.sent == []
    world.until(60.0)
    assert world.layer.counts() == (0, 0)


def test_TXN_10_after_a_100_a_408_is_silence_too() -> None:
    world = World()
    message = world.serve(request("MESSAGE"))
    world.until(4.0)
    world.answer(message, response(message.request, 100))
    world.answer(message, response(message.request, 408))
    assert message.last_status == 408
    assert world.absorb(request("MESSAGE"))
    assert world.instants() == [4.0]


def test_TXN_10_a_final_response_later_than_32_seconds_is_not_sent() -> None:
    world = World()
    early, late = world.serve(request("INFO")), world.serve(request("INFO", "z9hG4bK-2"))
    world.until(31.9)
    world.answer(early, response(early.request, 200))
    world.until(32.0)
    world.answer(late, response(late.request, 200))
    assert world.instants() == [31.9]
    world.until(70.0)
    assert world.layer.counts() == (0, 0)


def test_TXN_10_an_invite_may_be_answered_with_408() -> None:
    world = World()
    invite = world.serve(request())
    world.until(180.0)
    world.answer(invite, response(invite.request, 408))
    assert world.instants("408") == [180.0]


def test_TXN_12_over_a_reliable_transport_g_i_and_j_are_off_and_h_and_l_stay() -> None:
    world = World()
    acked, unacked, accepted = (world.serve(request("INVITE", f"z9hG4bK-{n}"), TCP) for n in "abc")
    bye = world.serve(request("BYE", "z9hG4bK-d"), TCP)
    for transaction, status in ((acked, 486), (unacked, 486), (accepted, 200), (bye, 200)):
        world.answer(transaction, response(transaction.request, status))
    assert (bye.state, world.layer.counts()) == (State.TERMINATED, (3, 0))
    assert world.absorb(ack(branch="z9hG4bK-a"), TCP)
    assert acked.state is State.TERMINATED
    world.until(31.9)
    assert world.layer.counts() == (2, 0)
    world.until(32.1)
    assert world.layer.counts() == (0, 0)
    assert world.owner.heard == ["32.0 no ACK"]
    assert len(world.sent) == 4


def test_TXN_13_a_server_transaction_may_have_timers_of_its_own() -> None:
    world = World()
    invite = world.layer.server(request(), UDP, world.now, world.owner, TimerValues(t1=1.0))
    world.answer(invite, response(invite.request, 404))
    world.until(8.0)
    assert world.instants() == [0.0, 1.0, 3.0, 7.0]


def test_a_second_final_response_is_not_sent() -> None:
    world = World()
    accepted, refused = world.serve(request()), world.serve(request("INVITE", "z9hG4bK-2"))
    bye = world.serve(request("BYE", "z9hG4bK-3"))
    for transaction, first, second in ((accepted, 200, 487), (refused, 487, 200), (refused, 487, 486), (bye, 200, 481)):
        original = request(transaction.method, str(transaction.key[0]))
        world.answer(transaction, response(original, first))
        count = len(world.sent)
        world.answer(transaction, response(original, second))
        world.answer(transaction, response(original, 180))
        assert len(world.sent) == count
        assert transaction.last_status == first


def test_an_ack_before_any_final_response_is_absorbed() -> None:
    world = World()
    invite = world.serve(request())
    assert world.absorb(ack())
    assert invite.state is State.PROCEEDING


def test_a_finished_server_transaction_lets_go_of_request_and_user() -> None:
    world = World()
    accepted, refused = world.serve(request()), world.serve(request("INVITE", "z9hG4bK-2"))
    bye = world.serve(request("BYE", "z9hG4bK-3"))
    for transaction, status in ((accepted, 200), (refused, 486), (bye, 200)):
        world.answer(transaction, response(transaction.request, status))
        with pytest.raises(LookupError, match=str(status)):
            assert transaction.request
    assert (accepted.user, bye.user) == (None, None)
    assert refused.user is world.owner, "who hears of a missing ACK"
    assert world.absorb(ack(branch="z9hG4bK-2"))
    assert refused.user is None


# Matching


def test_TXN_01_the_branch_alone_is_not_enough() -> None:
    world = World()
    world.serve(request())
    assert world.absorb(request())
    assert not world.absorb(request("INVITE", "z9hG4bK-2"))
    assert not world.absorb(request("OPTIONS"))
    assert not world.absorb(request(via="SIP/2.0/UDP 192.0.2.8:5060;branch=z9hG4bK-1"))
    assert not world.absorb(request(via="SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK-1"))
    assert world.absorb(request(via="SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1;x=y")), "other parameters do not matter"


def test_TXN_01_with_the_cookie_nothing_else_matters() -> None:
    world = World()
    world.serve(request())
    assert world.absorb(request(call_id="other", uri="sip:carol@example.com", cseq=9))


OLD = "SIP/2.0/UDP 192.0.2.7:5060;branch=1"


@pytest.mark.parametrize("via", [OLD, "SIP/2.0/UDP 192.0.2.7:5060"])
def test_TXN_01_without_the_cookie_rfc_2543_matching(via: str) -> None:
    world = World()
    invite = world.serve(request(via=via))
    assert world.absorb(request(via=via))
    assert not world.absorb(request("CANCEL", via=via))
    for other in (
        request(via=via, uri="sip:carol@10.0.0.1"),
        request(via=via, call_id="c2"),
        request(via=via, cseq=2),
        request(via=via, to="<sip:bob@example.com>;tag=x"),
        request(via="SIP/2.0/UDP 192.0.2.8:5060"),
    ):
        assert not world.absorb(other)
    world.answer(invite, response(invite.request, 404, "ours"))
    assert not world.absorb(ack("theirs", via=via)), "the tag is of another response"
    assert world.absorb(ack("ours", via=via))
    assert invite.state is State.CONFIRMED
    world.until(40.0)
    assert world.layer.counts() == (0, 0)


def test_INV_02_a_cancel_finds_its_invite_until_it_is_over() -> None:
    world = World()
    for via in ("", OLD):
        invite = world.serve(request(via=via))
        cancel = request("CANCEL", via=via)
        assert not world.absorb(cancel), "a transaction of its own"
        found = world.layer.invite_to_cancel(cancel, UDP)
        assert found is invite
        transaction = world.serve(cancel)
        world.answer(transaction, response(cancel, 200))
        world.answer(invite, response(invite.request, 487))
        assert world.layer.invite_to_cancel(request("CANCEL", via=via), UDP) is invite
        assert invite.last_status == 487, "too late for another CANCEL"
    assert world.layer.invite_to_cancel(request("CANCEL", "z9hG4bK-other"), UDP) is None
    assert not world.layer.cancels_too_late(request("CANCEL", "z9hG4bK-other"), UDP)


@pytest.mark.parametrize("status", [200, 486])
def test_INV_02_a_cancel_after_the_final_response_is_known_to_be_late(status: int) -> None:
    world = World()
    invite = world.serve(request())
    assert not world.layer.cancels_too_late(request("CANCEL"), UDP)
    world.answer(invite, response(invite.request, status))
    if status == 486:
        world.absorb(ack())
    assert world.layer.invite_to_cancel(request("CANCEL"), UDP) is None
    assert world.layer.cancels_too_late(request("CANCEL"), UDP)
    world.until(40.0)
    assert not world.layer.cancels_too_late(request("CANCEL"), UDP)


def test_cancel_and_invite_of_another_sent_by_do_not_match() -> None:
    world = World()
    world.serve(request())
    assert world.layer.invite_to_cancel(request("CANCEL", via="SIP/2.0/UDP 198.51.100.9;branch=z9hG4bK-1"), UDP) is None


# Where responses go


def sent_to(via: str, flow: Flow) -> tuple[Flow, str]:
    world = World()
    transaction = world.serve(request("OPTIONS", via=via), flow)
    world.answer(transaction, response(transaction.request, 200))
    answer = world.last()
    assert isinstance(answer, Response)
    return world.sent[-1][2], answer.headers.all("Via")[0]


def test_TRN_01_received_is_added_when_sent_by_is_a_name_or_another_address() -> None:
    name = "SIP/2.0/UDP pbx.example.com;branch=z9hG4bK-1"
    assert sent_to(name, UDP)[1] == f"{name};received=192.0.2.7"
    assert sent_to("SIP/2.0/UDP 10.9.9.9;branch=z9hG4bK-1", UDP)[1].endswith(";received=192.0.2.7")
    assert "received" not in sent_to("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK-1", UDP)[1]


def test_TRN_02_with_rport_the_answer_goes_where_the_request_came_from() -> None:
    behind_nat = UDP._replace(remote=("198.51.100.1", 32100))
    flow, via = sent_to("SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bK-1;rport", behind_nat)
    assert flow == behind_nat
    assert ";rport=32100" in via
    assert ";received=198.51.100.1" in via


def test_TRN_03_without_rport_the_answer_goes_to_the_source_address_and_the_sent_by_port() -> None:
    source = UDP._replace(remote=("198.51.100.1", 32100))
    assert sent_to("SIP/2.0/UDP 10.9.9.9:5080;branch=z9hG4bK-1", source)[0].remote == ("198.51.100.1", 5080)
    assert sent_to("SIP/2.0/UDP 10.9.9.9;branch=z9hG4bK-1", source)[0].remote == ("198.51.100.1", 5060)


def test_TRN_03_a_maddr_does_not_choose_whom_we_send_to() -> None:
    assert sent_to("SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1;maddr=203.0.113.99", UDP)[0] == UDP


@pytest.mark.parametrize(("flow", "port"), [(TCP, 5060), (TLS, 5061)])
def test_TRN_03_over_a_connection_the_answer_goes_back_by_it_and_by_a_new_one_when_it_is_gone(flow: Flow, port: int) -> None:
    for sent_by, back in (("pbx.example.com:5999", 5999), ("pbx.example.com", port)):
        world = World()
        invite = world.serve(request(via=f"SIP/2.0/{flow.transport} {sent_by};branch=z9hG4bK-1"), flow)
        world.answer(invite, response(invite.request, 180))
        assert world.sent[-1][2] == flow
        world.layer.flow_closed(flow)
        world.answer(invite, response(invite.request, 200))
        assert world.sent[-1][2] == flow._replace(remote=("192.0.2.7", back), connection=0)


def test_TRN_03_closed_connections_are_remembered_within_bounds() -> None:
    world = World()
    for number in range(1, CLOSED_CONNECTIONS + 100):
        world.layer.flow_closed(TCP._replace(connection=number))
    assert len(world.layer._closed._numbers) == CLOSED_CONNECTIONS
    assert CLOSED_CONNECTIONS + 99 in world.layer._closed
    world.layer.flow_closed(UDP)
    assert 0 not in world.layer._closed


def test_a_stateless_answer_is_stamped_and_routed_as_any_other() -> None:
    source = UDP._replace(remote=("198.51.100.1", 32100))
    bad = request(via="SIP/2.0/UDP pbx.example.com:5080;branch=z9hG4bK-1")
    data, flow = stateless_response(response(bad, 400), bad, source)
    assert flow.remote == ("198.51.100.1", 5080)
    assert received(data).via.received == "198.51.100.1"

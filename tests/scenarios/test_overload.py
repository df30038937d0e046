"""Too much to do: what we answer then, and what a server is spared that says so (RFC 7339)."""

from __future__ import annotations

import pytest

from sbc.inputs import LoadChanged
from sbc.sip.fields.via import Via
from sbc.sip.message import Request, Response
from sbc.sip.names import VIA
from sbc.sip.overload import Feedback
from tests.world import POLICY, Agent, World, connect, sdp

NUMBER = "+4930123456"

# Our own: REJ-18


def filled(policy: str) -> str:
    """Room for one call in all, and one new one a second."""
    return policy.replace("carrier: {calls: 2, new_calls: 50/s,", "carrier: {calls: 1, new_calls: 1/s,").replace(
        "    peer: sip:10.0.0.20:5060\n", "    peer: sip:10.0.0.20:5060\n    limits: carrier\n    messages: pass\n"
    )


class TestOurs:
    @pytest.fixture
    def policy(self) -> str:
        return filled(POLICY)

    def refused(self, office: Agent, status: int = 503) -> Response:
        response = office.expect_response(status)
        assert "Retry-After" not in response.headers, "or a peer would keep all its calls from us"
        return response

    def test_REJ_18_TRAP_10_too_many_calls(self, world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
        office.invite(NUMBER)
        office.expect_response(100)
        office.invite(NUMBER)
        assert self.refused(office).headers.all("Reason") == ['Q.850;cause=34;text="limit"']
        world.after(2)  # now for the other limit: one call at a time
        office.invite(NUMBER)
        assert self.refused(office).headers.all("Reason") == ['Q.850;cause=34;text="limit"']
        carrier.inbox.clear()

    def test_REJ_18_TRAP_10_too_many_other_requests(self, world: World, office: Agent, carrier: Agent) -> None:
        for method, event in (("MESSAGE", ""), ("PUBLISH", "vq-rtcpxr")):
            world.after(2)
            rows = (("Event", event),) if event else ()
            office.send(office.request(method, f"sip:{NUMBER}@10.0.0.1", headers=rows))
            office.inbox.clear()
            office.send(office.request(method, f"sip:{NUMBER}@10.0.0.1", headers=rows))
            self.refused(office)

    def test_REJ_18_TRAP_10_no_media_ports(self, world: World, office: Agent, carrier: Agent) -> None:
        interface = world.snapshot.realms["inside"].relay
        world.media.in_use |= {(interface.address, port) for port in range(interface.first_port, interface.last_port + 1)}
        office.invite(NUMBER)
        office.expect_response(100)
        self.refused(office)

    def test_REJ_18_TRAP_10_no_room_at_the_callee(self, world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
        """Its own 503 is none of ours, whatever it says of the time."""
        office.invite(NUMBER)
        office.expect_response(100)
        carrier.answer(carrier.expect_request("INVITE"), 503, headers=(("Retry-After", "600"),))
        backup.answer(backup.expect_request("INVITE"), 503, headers=(("Retry-After", "600"),))
        self.refused(office, 500)
        carrier.inbox.clear()
        backup.inbox.clear()

    def test_REJ_19_only_who_is_about_to_stop_names_a_time(self, world: World, office: Agent) -> None:
        world.drain()
        office.invite(NUMBER)
        assert 5 <= int(office.expect_response(503).headers.first("Retry-After") or 0) <= 30


# A server's: RFC 7339

HEEDING = POLICY.replace(
    "    peer: sip:10.1.0.2:5060\n", "    peer: sip:10.1.0.2:5060\n    overload_control: true\n    messages: pass\n    priorities: [ets]\n"
).replace("    peer: sip:10.0.0.20:5060\n", "    peer: sip:10.0.0.20:5060\n    messages: pass\n    priorities: [ets]\n")
ALONE = HEEDING.replace("send_to: [carrier, backup]", "send_to: [carrier]").replace(
    "carrier: {calls: 2, new_calls: 50/s,", "carrier: {calls: 200,"
)


def answer(server: Agent, request: Request, status: int, **said: str) -> None:
    """With what the server says of its overload in our Via: oc, oc_validity, oc_seq, oc_algo."""
    response = Response.answer(request, status, to_tag="to-server")
    via = request.via
    params = tuple((name.replace("_", "-"), value or None) for name, value in said.items())
    others = tuple((name, value) for name, value in via.params if name not in ("oc", "oc-algo"))
    response.via = Via(via.transport, via.host, via.port, via.branch, via.received, via.rport, via.wants_rport, (*others, *params))
    response.headers.replace_first(VIA, str(response.via))
    server.send(response)


def calls_that_come(office: Agent, server: Agent, calls: int, **said: str) -> int:
    """How many of as many calls reach the server, which refuses each; the others get 503."""
    came = 0
    for _ in range(calls):
        office.invite(NUMBER)
        office.expect_response(100)
        if server.inbox:
            came += 1
            answer(server, server.expect_request("INVITE"), 486, **said)
            server.expect_request("ACK")
            office.ack(office.expect_response(486))
        else:
            refused = office.expect_response(503)
            assert "Retry-After" not in refused.headers
            office.ack(refused)
    return came


class TestOfAServer:
    @pytest.fixture
    def policy(self) -> str:
        return ALONE

    def test_TMD_14_half_a_second_unless_it_says_otherwise(self, world: World, office: Agent, carrier: Agent) -> None:
        assert calls_that_come(office, carrier, 2, oc="100", oc_algo='"loss"') == 1
        world.after(0.45)
        assert calls_that_come(office, carrier, 1) == 0
        world.after(0.1)
        assert calls_that_come(office, carrier, 2, oc="100", oc_validity="4000") == 1
        world.after(3.9)
        assert calls_that_come(office, carrier, 1) == 0
        world.after(0.2)
        assert calls_that_come(office, carrier, 1) == 1

    def test_TMD_14_zero_ends_it_and_what_was_overtaken_is_late(self, world: World, office: Agent, carrier: Agent) -> None:
        _, ok, received = connect(office, carrier, NUMBER)
        for cseq, share, sequence, comes in ((2, "100", "7.10", 0), (3, "0", "7.09", 0), (4, "0", "7.11", 1), (5, "100", "8.0", 0)):
            office.send(office.within(office.last_invite, ok, "MESSAGE", cseq=cseq))  # type: ignore[arg-type]
            asked = carrier.expect_request("MESSAGE")
            assert asked.call_id == received.call_id, "within a call all is sent"
            answer(carrier, asked, 200, oc=share, oc_validity="60000", oc_seq=sequence)
            office.expect_response(200)
            invite = office.last_invite
            assert calls_that_come(office, carrier, 1) == comes
            office.last_invite = invite
        office.send(office.within(office.last_invite, ok, "MESSAGE", cseq=6))  # type: ignore[arg-type]
        answer(carrier, carrier.expect_request("MESSAGE"), 200, oc="100", oc_validity="0")
        office.expect_response(200)
        assert calls_that_come(office, carrier, 1) == 1, "a validity of 0 stops it"
        carrier.inbox.clear()

    @pytest.mark.parametrize(
        "said",
        [
            {},
            {"oc": ""},
            {"oc": "101"},
            {"oc": "-1"},
            {"oc": "1e2"},
            {"oc": "100", "oc_algo": '"rate"'},
            {"oc": "100", "oc_validity": "0"},
            {"oc_validity": "5000", "oc_algo": '"loss"'},
        ],
    )
    def test_TMD_14_what_says_nothing(self, world: World, office: Agent, carrier: Agent, said: dict[str, str]) -> None:
        assert calls_that_come(office, carrier, 3, **said) == 3

    def test_TMD_14_whoever_calls_for_help_is_never_kept_back(self, world: World, office: Agent, carrier: Agent) -> None:
        calls_that_come(office, carrier, 1, oc="100", oc_validity="60000")
        office.invite("112")
        carrier.answer(carrier.expect_request("INVITE"), 486)
        carrier.expect_request("ACK")
        office.inbox.clear()
        office.invite(NUMBER, headers=(("Resource-Priority", "ets.0"),))
        carrier.answer(carrier.expect_request("INVITE"), 486)
        carrier.expect_request("ACK")
        office.inbox.clear()
        office.send(office.request("MESSAGE", f"sip:{NUMBER}@10.0.0.1"))
        assert "Retry-After" not in office.expect_response(503).headers

    def test_TMD_14_what_we_send_says_that_we_heed_it(self, world: World, office: Agent, carrier: Agent) -> None:
        office.invite(NUMBER)
        received = carrier.expect_request("INVITE")
        assert received.headers.first("Via") == f'SIP/2.0/UDP 10.1.0.1:5060;branch={received.via.branch};rport;oc;oc-algo="loss"'
        carrier.answer(received, 180)
        office.inbox.clear()
        carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
        assert 'oc;oc-algo="loss"' in (carrier.expect_request("ACK").headers.first("Via") or "")
        world.shut_down()
        assert 'oc;oc-algo="loss"' in (carrier.expect_request("BYE").headers.first("Via") or "")
        carrier.inbox.clear()

    def test_TMD_14_another_peers_offer_is_left_as_it_is(self, world: World, office: Agent, carrier: Agent) -> None:
        """Whom the policy does not name is told nothing: without a value is how a server says so (RFC 7339 s5.3)."""
        request = office.request("INVITE", f"sip:{NUMBER}@10.0.0.1", body=sdp("10.0.0.20", 40000))
        via = f'{request.headers.first("Via")};oc;oc-algo="loss"'
        request.headers.set("Via", via)
        office.send(request)
        trying = office.expect_response(100)
        assert (trying.via.param("oc"), trying.via.param("oc-algo")) == ("", '"loss"')
        carrier.inbox.clear()


def offering(request: Request, parameters: str = 'oc;oc-algo="loss"') -> Request:
    """What says in its Via that its sender heeds what we say."""
    request.put_via(Via.parse(f"{request.via};{parameters}"))
    return request


class TestTold:
    """As a server: what we tell a trunk that the policy names."""

    @pytest.fixture
    def policy(self) -> str:
        return ALONE.replace("    peer: sip:10.0.0.20:5060\n", "    peer: sip:10.0.0.20:5060\n    overload_control: true\n")

    def test_OVL_01_every_answer_says_what_we_want_to_be_spared(self, world: World, office: Agent, carrier: Agent) -> None:
        world.receive(LoadChanged(40))
        office.send(offering(office.request("INVITE", f"sip:{NUMBER}@10.0.0.1", body=sdp("10.0.0.20", 40000))))
        received = carrier.expect_request("INVITE")
        assert received.headers.all("Via") == [str(received.via)], "nothing of it goes on to the next hop"
        carrier.answer(received, 486)
        for status in (100, 486):
            via = office.expect_response(status).via
            told = Feedback.of(via)
            assert told is not None
            assert (told.share, told.validity) == (40, 1.0)
            assert told.sequence == pytest.approx(world.now.wall, abs=0.001)
            assert via.param("oc-algo") == '"loss"'
        carrier.inbox.clear()

    def test_OVL_01_within_a_call_too_and_each_time_anew(self, world: World, office: Agent, carrier: Agent) -> None:
        _, ok, _ = connect(office, carrier, NUMBER)
        assert office.last_invite is not None
        told = []
        for cseq, share in ((2, 40), (3, 10), (4, 0)):
            world.receive(LoadChanged(share))
            world.after(0.1)
            office.send(offering(office.within(office.last_invite, ok, "MESSAGE", cseq=cseq)))
            carrier.answer(carrier.expect_request("MESSAGE"), 200)
            told.append(Feedback.of(office.expect_response(200).via))
        assert [each.share for each in told if each] == [40, 10, 0]
        assert [each.validity for each in told if each] == [1.0, 1.0, 0.0], "and the last one ends it"
        sequences = [each.sequence or 0 for each in told if each]
        assert sequences == sorted(set(sequences))

    @pytest.mark.parametrize("parameters", ["", "oc=20", 'oc;oc-algo="rate"', 'oc-algo="loss"'])
    def test_OVL_01_who_does_not_offer_to_listen_is_told_nothing(self, world: World, office: Agent, parameters: str) -> None:
        world.receive(LoadChanged(40))
        request = office.request("OPTIONS", "sip:10.0.0.1")
        office.send(offering(request, parameters) if parameters else request)
        via = office.expect_response(200).via
        assert via.param("oc") == Via.parse(f"SIP/2.0/UDP h;{parameters}" if parameters else "SIP/2.0/UDP h").param("oc")
        assert via.param("oc-validity") is None

    def test_OVL_01_it_may_offer_other_algorithms_beside(self, world: World, office: Agent) -> None:
        world.receive(LoadChanged(40))
        office.send(offering(office.request("OPTIONS", "sip:10.0.0.1"), 'oc;oc-algo="rate, loss"'))
        assert Feedback.of(office.expect_response(200).via) is not None

    def test_OVL_01_what_is_turned_away_unseen_says_it_as_well(self, world: World, office: Agent, carrier: Agent) -> None:
        world.receive(LoadChanged(40))
        request = offering(office.request("INVITE", f"sip:{NUMBER}@10.0.0.1"))
        world.core.tell(request, office.flow, world.now)
        assert Feedback.of(request.via) is not None
        other = offering(carrier.request("INVITE", f"sip:{NUMBER}@10.1.0.1"))
        world.core.tell(other, carrier.flow._replace(remote=("192.0.2.66", 5060)), world.now)
        assert other.via.param("oc") == ""


class TestOneOfTwo:
    @pytest.fixture
    def policy(self) -> str:
        return HEEDING

    def test_TMD_14_the_next_target_gets_what_it_is_spared(self, world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
        calls_that_come(office, carrier, 1, oc="100", oc_validity="60000")
        office.invite(NUMBER)
        office.expect_response(100)
        received = backup.expect_request("INVITE")
        assert received.via.params == (), "who was not asked is not told"
        backup.answer(received, 486)
        backup.expect_request("ACK")
        office.ack(office.expect_response(486))
        attempts = world.records[-1]["attempts"]
        assert attempts[0] == {"target": "carrier", "status": 503, "note": "spared, for it is overloaded"}  # type: ignore[index]
        carrier.expect_nothing()


def test_TMD_14_who_is_not_heeded_may_say_what_it_wants(world: World, office: Agent, carrier: Agent) -> None:
    assert calls_that_come(office, carrier, 2, oc="100", oc_validity="60000") == 2

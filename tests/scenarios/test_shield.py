"""What the core tells the shield: who did what, and who has proved to be where."""

from __future__ import annotations

import pytest

from sbc.sip.digest import answer
from sbc.sip.fields.auth import Challenge
from sbc.sip.message import Response
from tests.world import Agent, World, sdp

URI = "sip:sbc.example.com"


@pytest.fixture
def stranger(world: World) -> Agent:
    return world.agent("stranger", ("203.0.113.66", 5060), "outside")


@pytest.fixture
def phone(world: World) -> Agent:
    return world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)


def register(agent: Agent, headers: tuple[tuple[str, str], ...] = (), cseq: int = 1, user: str = "alice") -> Response:
    headers = (*headers, ("Subject", "long enough for a challenge over UDP, which is never longer than the request that it answers" * 2))
    agent.send(agent.request("REGISTER", URI, to=f"<sip:{user}@sbc.example.com>", call_id="one", cseq=cseq, headers=headers))
    found = agent.inbox.popleft()
    assert isinstance(found, Response)
    return found


def proof(challenged: Response, user: str = "alice", password: str = "wonderland", nc: int = 1) -> tuple[tuple[str, str], ...]:
    challenge = Challenge.parse(challenged.headers.all("WWW-Authenticate")[-1])
    return (("Authorization", answer([challenge], user, password, "REGISTER", URI, nc, "cnonce")),)


def told(world: World) -> list[tuple[str, str | None, str]]:
    return [(each.offence, each.proof, each.note) for each in world.offences]


def test_AUTH_07_a_wrong_password_with_our_nonce_is_proven(world: World, stranger: Agent) -> None:
    wrong = proof(register(stranger), password="guess")
    assert told(world) == [("unanswered", None, "")]
    world.offences.clear()
    register(stranger, wrong, 2)
    assert told(world) == [("wrong_password", "digest", "alice")]


def test_AUTH_07_one_without_our_nonce_may_be_anybodys(world: World, stranger: Agent) -> None:
    other = world.agent("other", ("203.0.113.67", 5060), "outside")
    stolen = proof(register(other), password="guess")  # a nonce that was given to another address
    world.offences.clear()
    register(stranger, stolen, 2)
    assert told(world)[0] == ("wrong_password", None, "alice")


def test_AUTH_07_who_is_held_off_goes_on_being_counted(world: World, stranger: Agent) -> None:
    challenged = register(stranger)
    world.offences.clear()
    for count in range(1, 20):
        world.after(0.3)
        register(stranger, proof(challenged, password="guess", nc=count), count + 1)
    assert told(world) == [("wrong_password", "digest", "alice")] * 19


def test_an_account_that_is_not_there(world: World, phone: Agent) -> None:
    register(phone, proof(register(phone), user="bob"), 2, user="bob")
    assert told(world) == [("unanswered", "connection", ""), ("unknown_user", "connection", "bob")]


def test_who_has_the_password_is_vouched_for(world: World, phone: Agent) -> None:
    assert register(phone, proof(register(phone)), 2).status == 200
    assert phone.flow in world.vouched
    assert [each.offence for each in world.offences] == ["unanswered"]


def test_FRD_09_a_scanner_is_told_of_whether_it_is_challenged_or_not(world: World, stranger: Agent) -> None:
    agent = (("User-Agent", "friendly-scanner"),)
    stranger.send(stranger.request("OPTIONS", "sip:100@10.0.0.1", headers=agent))
    stranger.expect_nothing()
    assert register(stranger, agent, user="100").status == 401
    assert [each for each in told(world) if each[0] == "scanner"] == [("scanner", None, "User-Agent friendly-scanner")] * 2


def test_FRD_09_the_same_words_of_a_trunk_are_its_own_affair(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", headers=(("User-Agent", "friendly-scanner"),))
    carrier.answer(carrier.expect_request("INVITE"), 486)
    carrier.expect_request("ACK")
    office.inbox.clear()
    assert world.offences == []


def test_a_stranger_where_nobody_could_answer_a_challenge(world: World) -> None:
    inside = world.agent("stranger", ("10.1.0.66", 5060), "inside")
    inside.send(inside.request("INVITE", "sip:900441234567@10.1.0.1", body=sdp("10.1.0.66", 4000)))
    inside.expect_nothing()
    assert told(world) == [("stranger", None, "INVITE")]


def test_a_guessed_dialog_is_a_strangers_request(world: World, stranger: Agent) -> None:
    stranger.send(stranger.request("BYE", "sip:10.0.0.1", to_tag="guess"))
    assert told(world) == [("stranger", None, "BYE")]


def test_FRD_09_numbers_that_lead_nowhere(world: World, phone: Agent, carrier: Agent) -> None:
    registered = register(phone)
    assert register(phone, proof(registered), 2).status == 200
    world.offences.clear()
    for cseq, (number, status) in enumerate((("%2B1%2B2", 484), ("+4930123456", 100)), 10):
        uri = f"sip:{number}@sbc.example.com"
        challenge = Challenge.parse(registered.headers.all("WWW-Authenticate")[-1])
        headers = (("Proxy-Authorization", answer([challenge], "alice", "wonderland", "INVITE", uri, cseq, "cnonce")),)
        body = sdp("203.0.113.7", 4000)
        phone.send(phone.request("INVITE", uri, to="<sip:x@sbc.example.com>", cseq=cseq, call_id=f"c{cseq}", headers=headers, body=body))
        assert any(isinstance(each, Response) and each.status == status for each in phone.inbox)
        phone.inbox.clear()
    assert told(world) == [("unroutable", "connection", "alice")]
    carrier.inbox.clear()


def test_nothing_is_said_of_those_who_behave(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    carrier.answer(carrier.expect_request("INVITE"), 404)
    carrier.expect_request("ACK")
    office.inbox.clear()
    office.send(office.request("OPTIONS", "sip:10.0.0.1"))
    office.inbox.clear()
    assert world.offences == []


def test_no_port_is_opened_for_a_stranger(world: World, stranger: Agent) -> None:
    """Nor a call, a transaction or a timer."""
    for number in range(200):
        stranger.send(stranger.request("INVITE", f"sip:+4930{number}@10.0.0.1", body=sdp("203.0.113.66", 4000)))
    assert not world.open_relays
    assert world.core.leftovers() == {}

"""A REGISTER that is not taken: only a password that is wrong is answered as one, and nothing that passes is answered for good.

A PBX that hears 403, or 401 to a password it has just sent, may never come back (Asterisk: auth_rejection_permanent).
"""

from __future__ import annotations

import pytest

from sbc.inputs import DrainBegun
from sbc.pbx.asterisk import AGAIN_S
from sbc.sip.fields.auth import Challenge
from sbc.sip.message import Response
from tests.scenarios.test_registration import credentials, register, registered
from tests.scenarios.through import core_of, phone, with_core
from tests.scenarios.through import register as register_through
from tests.world import Agent, World


@pytest.fixture
def policy() -> str:
    return with_core()


def told(agent: Agent) -> tuple[int, bool]:
    """Status, and whether it says when to come back."""
    response = agent.inbox.popleft()
    assert isinstance(response, Response)
    return response.status, "Retry-After" in response.headers


def guess(agent: Agent, times: int, cseq: int = 2, user: str = "alice") -> list[tuple[int, bool]]:
    """That many wrong passwords with a good nonce; what was answered to each."""
    request = register(agent, user=user)
    challenge = agent.expect_response(401)
    answers = []
    for number in range(cseq, cseq + times):
        register(agent, cseq=number, user=user, auth=(credentials(challenge, request, "wrong", user, nc=number),))
        answers += [told(agent)] if agent.inbox else []
    return answers


def test_REJ_03_wrong_passwords_are_401_and_then_503_but_never_403(world: World, alice: Agent) -> None:
    answers = guess(alice, 40)
    assert answers == [(401, False)] * 10 + [(503, True)] * 30


def test_REJ_03_a_throttled_guess_is_not_looked_at(world: World, alice: Agent) -> None:
    """Or the throttle would only hide from the guesser which ones were wrong."""
    request = register(alice)
    challenge = alice.expect_response(401)
    guess(alice, 10, cseq=3)
    register(alice, cseq=20, auth=(credentials(challenge, request, nc=99),))
    assert told(alice) == (503, True)
    world.after(10)
    registered(alice, cseq=30)


def test_REJ_03_a_PBX_set_up_by_us_may_try_for_ever(world: World, alice: Agent) -> None:
    """With 503 it would wait for longer than the operator who has just put the password right."""
    for attempt in range(60):
        assert guess(alice, 1, cseq=2 + 10 * attempt) == [(401, False)]
        world.after(AGAIN_S)


def test_REJ_03_the_real_user_from_elsewhere_is_not_held_up(world: World, alice: Agent) -> None:
    mallory = world.agent("alice", ("198.51.100.66", 40123), "outside", "TLS", connection=66)
    assert guess(mallory, 200)[-1] == (503, True)
    registered(alice, cseq=300)


def test_REJ_03_another_user_from_there_is_not_held_up(world: World, alice: Agent) -> None:
    """The phone beside it, behind the same NAT."""
    other = world.agent("alice", ("203.0.113.7", 50000), "outside", "TLS", connection=8)
    guess(other, 30, user="mallory")
    registered(alice, cseq=300)


def test_REJ_03_many_names_from_one_source_are_one_guesser(world: World, alice: Agent) -> None:
    looked_at = 0
    for number in range(40):
        looked_at += guess(alice, 5, cseq=2, user=f"user{number}").count((401, False))
        world.after(0.2)
    assert 90 <= looked_at <= 110


def test_REJ_03_who_is_registered_on_this_flow_is_no_guesser(world: World, alice: Agent) -> None:
    registered(alice)
    assert guess(alice, 30, cseq=10) == [(401, False)] * 30
    registered(alice, cseq=100)


def test_REJ_03_who_is_registered_may_not_guess_somebody_elses_there(world: World, alice: Agent) -> None:
    registered(alice)
    assert guess(alice, 30, cseq=10, user="carrier2") == [(401, False)] * 10 + [(503, True)] * 20


def test_REJ_03_right_but_used_before_asks_for_another_nonce_only(world: World, alice: Agent) -> None:
    """A second answer to the same challenge is a matter of the nonce: with stale, a PBX tries again instead of giving up."""
    request = register(alice)
    row = credentials(alice.expect_response(401), request)
    register(alice, cseq=2, auth=(row,))
    alice.expect_response(200)
    for cseq in range(3, 30):
        register(alice, cseq=cseq, auth=(row,))
        again = alice.expect_response(401)
        assert Challenge.parse(again.headers.first("WWW-Authenticate") or "").params["stale"] == "true"


def test_REJ_03_a_drain_is_503_and_when_to_try_again(world: World, alice: Agent) -> None:
    request = register(alice)
    challenge = alice.expect_response(401)
    world.receive(DrainBegun())
    register(alice, cseq=2, auth=(credentials(challenge, request),))
    assert told(alice) == (503, True)
    bob = phone(world, 9)
    register_through(bob)
    assert told(bob) == (503, True)


def test_REJ_03_an_account_that_is_full_is_503_and_when_to_try_again(world: World, alice: Agent) -> None:
    answers = []
    for number in range(12):
        request = register(alice, cseq=10 * number + 1)
        row = credentials(alice.expect_response(401), request)
        request = alice.request(
            "REGISTER", str(request.uri), call_id="reg", cseq=10 * number + 2, to=str(request.to), headers=(("Expires", "600"), row)
        )
        request.headers.set("Contact", f"<sip:alice@192.0.2.{number}>")
        alice.send(request)
        answers.append(told(alice))
    assert answers == [(200, False)] * 10 + [(503, True)] * 2


@pytest.mark.parametrize("status", [401, 403])
def test_REJ_03_guesses_at_the_registrar_behind_us_are_throttled_here(world: World, status: int) -> None:
    mallory, core = phone(world, 66), core_of(world)
    challenge = (("WWW-Authenticate", 'Digest realm="core", nonce="n", qop="auth"'),)
    wrong = (("Authorization", 'Digest username="bob", realm="core", nonce="n", uri="sip:example.com", response="0"'),)
    answers = []
    for cseq in range(1, 31):
        register_through(mallory, cseq=cseq, headers=wrong)
        if core.inbox:
            core.answer(core.expect_request("REGISTER"), status, headers=challenge)
        answers.append(told(mallory))
    assert answers == [(status, False)] * 10 + [(503, True)] * 20
    bob = world.agent("bob", ("203.0.113.99", 40000), "outside", "TLS", connection=99)
    register_through(bob, cseq=50)
    core.answer(core.expect_request("REGISTER"), 404)
    assert told(bob) == (404, False), "the real one is heard"


def test_REJ_03_a_stale_nonce_at_the_registrar_behind_us_is_no_guess(world: World) -> None:
    bob, core = phone(world, 9), core_of(world)
    stale = (("WWW-Authenticate", 'Digest realm="core", nonce="n", stale=TRUE'),)
    right = (("Authorization", 'Digest username="bob", realm="core", nonce="n", uri="sip:example.com", response="0"'),)
    for cseq in range(1, 31):
        register_through(bob, cseq=cseq, headers=right)
        core.answer(core.expect_request("REGISTER"), 401, headers=stale)
        assert told(bob) == (401, False)


PADDING = (("User-Agent", "x" * 400),)  # a challenge over UDP is never longer than what it answers


def forged(agent: Agent, cseq: int) -> None:
    """In the name of whoever is there, from somebody who does not hear what is answered."""
    parts = f'username="alice", realm="sbc.example.com", nonce="made up", uri="sip:x", response="{"0" * 32}"'
    register(agent, cseq=cseq, auth=(("Authorization", f'Digest {parts}, qop=auth, nc=00000001, cnonce="c"'), *PADDING))


def stale_of(agent: Agent) -> str | None:
    challenge = agent.expect_response(401).headers.first("WWW-Authenticate")
    return Challenge.parse(challenge or "").params.get("stale")


def test_AUTH_07_datagrams_in_its_name_do_not_lock_out_who_is_really_there(world: World) -> None:
    alice = world.agent("alice", ("203.0.113.7", 5060), "outside")
    for cseq in range(1, 200):
        forged(alice, cseq)
    assert {message.status for message in alice.inbox if isinstance(message, Response)} == {401}
    assert not world.logs, "who it was, nobody knows"
    alice.inbox.clear()
    world.after(5)
    request = register(alice, cseq=300, auth=PADDING)
    register(alice, cseq=301, auth=(credentials(alice.expect_response(401), request),))
    alice.expect_response(200)


def test_AUTH_07_who_answers_no_challenge_of_ours_cannot_try_passwords_without_end(world: World) -> None:
    """After ten, right and wrong ones look the same: both are challenged anew, and told that this was the reason."""
    alice = world.agent("alice", ("203.0.113.7", 5060), "outside")
    elsewhere = world.agent("alice", ("203.0.113.8", 5060), "outside")
    request = register(elsewhere, auth=PADDING)
    foreign = elsewhere.expect_response(401)
    stale = []
    for cseq in range(2, 40):
        register(alice, cseq=cseq, auth=(credentials(foreign, request, "wrong", nc=cseq), *PADDING))
        stale.append(stale_of(alice))
        world.after(0.25)
    assert stale[:10] == [None] * 10
    assert stale[10:].count(None) <= 1, "one in ten seconds"
    register(alice, cseq=50, auth=(credentials(foreign, request, nc=50), *PADDING))
    challenge = alice.expect_response(401)
    assert Challenge.parse(challenge.headers.first("WWW-Authenticate") or "").params["stale"] == "true"
    register(alice, cseq=51, auth=(credentials(challenge, request),))
    alice.expect_response(200)


def test_AUTH_07_over_a_connection_the_source_is_known_anyway(world: World, alice: Agent) -> None:
    for cseq in range(1, 20):
        forged(alice, cseq)
    assert [told(alice) for _ in range(19)] == [(401, False)] * 10 + [(503, True)] * 9

"""Which digest algorithms are offered and accepted is a matter of the policy that is in force."""

from __future__ import annotations

import pytest

from sbc.inputs import PolicyChanged
from sbc.sip.digest import answer
from sbc.sip.fields.auth import Challenge
from sbc.sip.message import Request
from tests.world import POLICY, Agent, World, snapshot_of

DOMAINS = "domains: [sbc.example.com]"
URI = "sip:sbc.example.com"


def policy(algorithms: str) -> str:
    assert DOMAINS in POLICY
    return POLICY.replace(DOMAINS, f"{DOMAINS}\n    digest: [{algorithms}]")


def phone(world: World) -> Agent:
    return world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)


def register(alice: Agent, headers: tuple[tuple[str, str], ...] = (), cseq: int = 1) -> Request:
    request = alice.request("REGISTER", URI, to="<sip:alice@sbc.example.com>", call_id="one", cseq=cseq, headers=headers)
    alice.send(request)
    return request


def offered(alice: Agent) -> list[Challenge]:
    return [Challenge.parse(row) for row in alice.expect_response(401).headers.all("WWW-Authenticate")]


def proof(challenge: Challenge, nc: int = 1) -> tuple[tuple[str, str], ...]:
    return (("Authorization", answer([challenge], "alice", "wonderland", "REGISTER", URI, nc, "cnonce")),)


@pytest.mark.parametrize("algorithms", ["MD5", "SHA-256", "SHA-512-256, SHA-256, MD5", "MD5, SHA-256"])
def test_AUTH_01_what_the_policy_names_is_offered_in_its_order(algorithms: str) -> None:
    world = World(policy(algorithms))
    alice = phone(world)
    register(alice)
    challenges = offered(alice)
    assert ", ".join(challenge.params["algorithm"] for challenge in challenges) == algorithms
    for count, challenge in enumerate(challenges, 1):
        register(alice, proof(challenge, count), cseq=count + 1)
        alice.expect_response(200)


def test_what_is_not_named_is_not_accepted() -> None:
    world = World(policy("SHA-256"))
    alice = phone(world)
    register(alice)
    (challenge,) = offered(alice)
    weaker = Challenge(challenge.scheme, {**challenge.params, "algorithm": "MD5"})
    register(alice, proof(weaker), cseq=2)
    assert [each.params["algorithm"] for each in offered(alice)] == ["SHA-256"]


def test_a_new_policy_counts_at_once_and_what_was_used_before_it_is_stale() -> None:
    world = World()
    alice = phone(world)
    register(alice)
    strong, weak = offered(alice)
    used = proof(weak)
    register(alice, used, cseq=2)
    alice.expect_response(200)
    world.receive(PolicyChanged(snapshot_of(policy("MD5"))))
    register(alice, used, cseq=3)
    (again,) = offered(alice)
    assert (again.params["algorithm"], again.params["stale"]) == ("MD5", "true")
    register(alice, proof(strong), cseq=4)
    (again,) = offered(alice)
    assert "stale" not in again.params
    register(alice, proof(again), cseq=5)
    alice.expect_response(200)
    world.receive(PolicyChanged(snapshot_of(POLICY)))
    register(alice, used, cseq=6)
    assert len(offered(alice)) == 2

"""Whatever the network does to two agents that use all of PRACK, UPDATE, re-INVITE, CANCEL and BYE: every call ends as one call."""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sbc.call.change import differ
from tests.talker import METHODS, Network, Talker
from tests.world import POLICY, World

CALLER_STEPS = ("cancel", "bye", "hold", "update", "call for an offer", "change of mind", "wait", "wait")
CALLEE_STEPS = (
    "ring",
    "ring reliably",
    "early media",
    "early media reliably",
    "answer",
    "answer",
    "refuse",
    "b holds",
    "b updates",
    "b hangs up",
    "another fork",
)
EXTENSIONS = ((), (("Supported", "100rel, timer"), ("Allow", METHODS)), (("Require", "100rel"), ("Allow", METHODS)), (("Allow", METHODS),))


def act(step: str, caller: Talker, callee: Talker) -> None:
    match step:
        case "cancel":
            caller.cancel()
        case "bye":
            caller.ask("BYE", b"") if caller.confirmed else None
        case "hold":
            caller.ask("INVITE", caller.body()) if caller.confirmed else None
        case "update":
            caller.ask("UPDATE", caller.body())
        case "change of mind":
            caller.change_its_mind() if caller.confirmed else None
        case "b changes its mind":
            callee.change_its_mind() if callee.confirmed else None
        case "call for an offer":
            caller.ask("INVITE", b"") if caller.confirmed else None
        case "ring" | "ring reliably":
            callee.ring(180, reliable="reliably" in step, described=False)
        case "early media" | "early media reliably":
            callee.ring(183, reliable="reliably" in step, described=True)
        case "another fork":
            callee.fork()
        case "answer":
            callee.take(200)
        case "refuse":
            callee.take(486)
        case "b holds":
            callee.ask("INVITE", callee.body()) if callee.confirmed else None
        case "b updates":
            callee.ask("UPDATE", callee.body())
        case "b hangs up":
            callee.ask("BYE", b"") if callee.confirmed else None


def cast(seed: int, loss: float) -> tuple[World, Network, Talker, Talker]:
    world = World(POLICY.replace("send_to: [carrier, backup]", "send_to: [carrier]"))
    delays = (0.0, 0.01, 0.2, 0.6) if seed % 2 else (0.0,)
    network = Network(world, Random(seed), loss, echo=0.1 if loss else 0.0, delays=delays)
    caller = Talker(network, world.agent("office", ("10.0.0.20", 5060), "outside"), "caller")
    callee = Talker(network, world.agent("carrier", ("10.1.0.2", 5060), "inside"), "callee")
    return world, network, caller, callee


SETTINGS = settings(max_examples=max(100, settings().max_examples // 10), deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**32)
OFFERS = st.sampled_from((None, None, b""))
LOSSES = st.sampled_from((0.0, 0.0, 0.2))


@SETTINGS
@given(
    SEEDS, st.sampled_from(EXTENSIONS), OFFERS, LOSSES, st.lists(st.sampled_from((*CALLER_STEPS, *CALLEE_STEPS)), min_size=3, max_size=15)
)
def test_INV_08_every_call_ends_as_one(
    seed: int, extensions: tuple[tuple[str, str], ...], offer: bytes | None, loss: float, steps: list[str]
) -> None:
    world, network, caller, callee = cast(seed, loss)
    caller.call("+4930123456", offer, extensions)
    network.run(1)
    for step in steps:
        act(step, caller, callee)
        network.run(network.random.choice((0.05, 0.3, 1.5)))
    world.shut_down()
    network.run(140, step=0.25)
    world.expect_nothing_left()
    assert len(world.records) == 1
    assert len(caller.finals) == 1, caller.finals
    assert caller.ended or not caller.confirmed
    assert callee.ended or not callee.confirmed


CHANGES = (
    "hold",
    "update",
    "call for an offer",
    "change of mind",
    "b holds",
    "b updates",
    "b changes its mind",
    "early media reliably",
    "another fork",
    "ring",
)


@SETTINGS
@given(
    SEEDS,
    st.sampled_from(EXTENSIONS),
    OFFERS,
    LOSSES,
    st.lists(st.sampled_from(CHANGES), max_size=5),
    st.lists(st.sampled_from(CHANGES), min_size=1, max_size=5),
)
@example(  # the 2xx to an INVITE without an offer comes while an UPDATE waits, and is no answer to that
    seed=479001599,
    extensions=EXTENSIONS[1],
    offer=b"",
    loss=0.0,
    early=["update", "early media reliably", "hold", "b updates"],
    late=["hold"],
)
def test_SDP_06_once_it_is_quiet_each_side_knows_what_the_other_has_said(
    seed: int, extensions: tuple[tuple[str, str], ...], offer: bytes | None, loss: float, early: list[str], late: list[str]
) -> None:
    """Unless a change is refused for good, no hold and no codec is lost on the way, whichever way the offers took and met."""
    world, network, caller, callee = cast(seed, loss)
    caller.refusals = callee.refusals = (491,)
    caller.call("+4930123456", offer, extensions)
    network.run(1)
    for step in (*early, "answer", *late):
        act(step, caller, callee)
        network.run(network.random.choice((0.05, 0.3, 1.5)))
    network.run(100, step=0.25)
    for call in world.calls():
        assert call.a is not None
        assert call.b is not None
        for one, other in ((call.a, call.b), (call.b, call.a)):
            assert one.described is not None
            assert not differ(one.described, other.far)

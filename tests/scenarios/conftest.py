"""The cast: an office PBX outside, two carriers inside, and Alice with her phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sbc.explain.ids import CountingIds
from tests.world import POLICY, Agent, World


@pytest.fixture(autouse=True)
def _every_call_replays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test of this folder plays: each of its calls is recorded, and comes to the same when it is played alone."""
    worlds: list[World] = []
    begin = World.__init__

    def noted(world: World, policy: str = POLICY, ids: CountingIds | None = None) -> None:
        begin(world, policy, ids)
        worlds.append(world)

    monkeypatch.setattr(World, "__init__", noted)
    yield
    monkeypatch.undo()
    for world in worlds:
        world.shut_down()
        world.after(120)
        world.expect_replayable()


@pytest.fixture
def policy() -> str:
    """A test module that needs another has a fixture of this name."""
    return POLICY


@pytest.fixture
def world(policy: str) -> Iterator[World]:
    world = World(policy)
    yield world
    world.expect_nothing_left()


@pytest.fixture
def office(world: World) -> Agent:
    return world.agent("office", ("10.0.0.20", 5060), "outside")


@pytest.fixture
def carrier(world: World) -> Agent:
    return world.agent("carrier", ("10.1.0.2", 5060), "inside")


@pytest.fixture
def backup(world: World) -> Agent:
    return world.agent("backup", ("10.1.0.3", 5060), "inside")


@pytest.fixture
def alice(world: World) -> Agent:
    """On a TLS connection, as a phone behind a NAT is."""
    return world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)

"""Any policy that `check` accepts can be applied, and any that it refuses changes nothing, whatever counted before."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.control import sockets_only
from media.engines import Choice
from media.fake import FakeEngine
from sbc import devcerts
from sbc.admin.commands import Apply, PolicyAsked, Undo, VersionsAsked
from sbc.app import App, Settings
from sbc.errors import ConfigError
from sbc.log import EventLog
from sbc.net.network import Listening
from sbc.policy.load import load_policy
from tests.unit.net.bench import free_port, until

FIRST = """\
version: 1
realms:
  near: {signalling: [udp://127.0.0.1:PORT0], relay: {address: 127.0.0.1, ports: 21000-21099}}
emergency: {near: none}
"""
PORTS = [free_port() for _ in range(4)]
names = st.sampled_from(["near", "far", "office", "carrier", "alice", "plain", "no such", ""])


def mapping(**keys: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A flow mapping with some of the keys; "" leaves one out."""
    made = st.fixed_dictionaries({}, optional=keys)
    return made.map(lambda given: "{" + ", ".join(f"{key}: {value}" for key, value in given.items() if value) + "}")


def items(each: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(each, max_size=most).map(lambda found: f"[{', '.join(found)}]")


def section(name: str, objects: st.SearchStrategy[str], keys: list[str]) -> st.SearchStrategy[str]:
    made = st.dictionaries(st.sampled_from(keys), objects, max_size=len(keys))
    return made.map(lambda found: f"{name}:\n" + "".join(f"  {key}: {value}\n" for key, value in found.items()) if found else "")


listeners = st.builds(
    "{}://{}:PORT{}".format,
    st.sampled_from(["udp", "tcp", "tls", "ws", "sip"]),
    st.sampled_from(["127.0.0.1", "127.0.0.2"]),
    st.integers(0, 3),
).map(lambda text: f'"{text}"')
relays = st.builds(
    "{{address: {}, ports: {}-{}}}".format,
    st.sampled_from(["127.0.0.1", "127.0.0.2", "nowhere"]),
    st.sampled_from([0, 21000, 21001, 30000]),
    st.sampled_from([21001, 21002, 21099, 30999, 70000]),
)
realm = mapping(
    signalling=items(listeners),
    relay=relays,
    certificate=st.sampled_from(["edge", "missing"]),
    name_servers=items(st.sampled_from(["127.0.0.1", "127.0.0.2", "dns"])),
    advertise=st.sampled_from(["192.0.2.1", "x"]),
    dscp=st.sampled_from(["{media: ef}", "{signalling: cs8}"]),
)
trunk = mapping(
    realm=names,
    accept_from=items(st.sampled_from(["127.0.0.9", "10.0.0.0/8", "10.0.0.1/8"])),
    peer=st.sampled_from(["sip:127.0.0.9", "sip:gw.example;transport=tls", "mailto:x"]),
    media=names,
    limits=names,
    accepts_registration=st.just("{user: office, password: {file: ../certs/alice.secret}}"),
    register_to=st.just("{registrar: sip:127.0.0.9, user: us, password: {file: ../certs/alice.secret}}"),
    dial_plan=st.just('{"0": "+49"}'),
)
user = mapping(realm=names, password=st.sampled_from(["{file: ../certs/alice.secret}", "{file: missing}", "secret"]), media=names)
route = mapping(
    name=st.sampled_from(["a", "b", "c"]),
    when=st.builds('{{{}: {}, to: "{}"}}'.format, st.sampled_from(["trunk", "user", "realm"]), names, st.sampled_from(["*", "+49*", "x"])),
    send_to=items(names),
    next_on=st.sampled_from(["[408, 5xx]", "[99]"]),
)
policies = st.tuples(
    st.just("version: 1\n"),
    section("realms", realm, ["near", "far"]),
    section("trunks", trunk, ["office", "carrier"]),
    section("users", user, ["alice"]),
    st.lists(route, max_size=3).map(lambda found: "routes:\n" + "".join(f"  - {each}\n" for each in found) if found else ""),
    section("limits", mapping(calls=st.sampled_from(["1", "0", "many"]), new_calls=st.just("5/s")), ["plain"]),
    section("media", mapping(srtp=st.sampled_from(["off", "[sdes]"]), codecs=st.sampled_from(["[PCMA]", "[]", "[PCMU, G729]"])), ["plain"]),
    section("emergency", st.sampled_from(["none", '{numbers: ["112"], send_to: [carrier]}']), ["near", "far"]),
    st.sampled_from(["", "strangers: {answer: 403}\n", "strangers: {answer: 700}\n", "nonsense: {}\n", "\t\n"]),
).map("".join)
# Most of what is drawn freely is refused: these are good but for one or two things.
SOUND = """\
version: 1
realms:
  near: {signalling: [udp://127.0.0.1:PORT0, LISTENER], relay: {address: 127.0.0.1, ports: 21000-21099}, certificate: edge}
  far: {signalling: [udp://127.0.0.2:PORT1], relay: RELAY}
trunks:
  carrier: {realm: far, accept_from: [127.0.0.9], peer: "sip:127.0.0.9", media: plain}
  office: TRUNK
routes:
  - {name: out, when: {trunk: office, to: "+*"}, send_to: [carrier]}
  - ROUTE
media:
  plain: {srtp: off, codecs: [PCMA]}
limits:
  plain: {calls: 10}
emergency: {near: none, far: none}
"""
good_trunk = st.sampled_from([
    "{realm: near, accept_from: [127.0.0.8], peer: sip:127.0.0.8, media: plain}",
    "{realm: near, accepts_registration: {user: office, password: {file: ../certs/alice.secret}}, media: plain, limits: plain}",
    "{realm: far, peer: sip:127.0.0.8, media: plain}",
])  # fmt: skip
good_route = st.builds(
    '{{name: {}, when: {{trunk: {}, to: "{}"}}, send_to: [{}]}}'.format,
    st.sampled_from(["in", "x"]),
    st.sampled_from(["carrier", "office"]),
    st.sampled_from(["+49*", "+4930123", "*"]),
    st.sampled_from(["office", "carrier"]),
)
GOOD = (
    st.builds('"{}://127.0.0.1:PORT{}"'.format, st.sampled_from(["tcp", "tls", "wss"]), st.integers(0, 3)),
    st.just("{address: 127.0.0.2, ports: 30000-30999}"),
    good_trunk,
    good_route,
)
PARTS = (listeners, relays, trunk, route)


@st.composite
def nearly_good(draw: st.DrawFn) -> str:
    """At most one of its parts is anything at all."""
    free, text = draw(st.integers(0, 7)), SOUND
    for index, word in enumerate(("LISTENER", "RELAY", "TRUNK", "ROUTE")):
        text = text.replace(word, draw(PARTS[index] if index == free else GOOD[index]))
    return text


class Bed:
    """The whole process, but for calls and media."""

    def __init__(self, folder: Path) -> None:
        self.policies = folder / "policies"
        self.policies.mkdir()
        devcerts.make(folder / "certs")
        self.write(FIRST)
        self.logged: list[str] = []
        media = FakeEngine()
        choice = Choice(media.capabilities, lambda loop: media, partial(sockets_only, media.capabilities), "as told")
        said: list[str] = []
        self._app = App(Settings(self.policies, folder / "records.jsonl"), said.append, log=EventLog(self.logged.append), media=choice)
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)

        async def begin() -> asyncio.Task[None]:
            serving = asyncio.get_running_loop().create_task(self._app.run())
            await until(lambda: said or serving.done())
            return serving

        self._serving = self._runner.run(begin())

    def write(self, text: str) -> None:
        for index, port in enumerate(PORTS):
            text = text.replace(f"PORT{index}", str(port))
        (self.policies / "sbc.yaml").write_text(text)

    def act(self, command: Apply | Undo | PolicyAsked | VersionsAsked) -> dict[str, Any]:
        return self._runner.run(self._app._changes.act(command, "hypothesis"))

    def listening(self) -> list[Listening]:
        return self._app._network.listening()

    def state(self) -> tuple[object, ...]:
        changed = sum(" policy_changed " in line for line in self.logged)
        return self.act(PolicyAsked()), self.act(VersionsAsked()), self.listening(), changed

    def close(self) -> None:
        async def end() -> None:
            self._app.stop()
            await self._serving

        self._runner.run(end())
        self._runner.close()
        assert not [line for line in self.logged if " core_error " in line or " task_failed " in line]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    bed = Bed(tmp_path_factory.mktemp("bed"))
    yield bed
    bed.close()


COUNTS = {"applied": 0, "refused": 0}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=nearly_good() | nearly_good() | policies)
def test_any(bed: Bed, text: str) -> None:
    bed.write(text)
    before = bed.state()
    try:
        wanted = load_policy(bed.policies).snapshot
    except ConfigError as error:
        COUNTS["refused"] += 1
        with pytest.raises(ConfigError, match=re.escape(str(error))):
            bed.act(Apply())
        assert bed.state() == before
        return
    COUNTS["applied"] += 1
    told = bed.act(Apply())
    assert told["running"] == wanted.digest == bed.act(PolicyAsked())["digest"]
    realms = wanted.realms.values()
    listening = {(each.realm, each.transport, *each.address) for each in bed.listening()}
    assert listening == {(realm.name, each.transport, each.address, each.port) for realm in realms for each in realm.listeners}
    if told["running"] != told["was"]:
        bed.act(Undo())
        assert bed.act(PolicyAsked())["digest"] == told["was"]
        bed.act(Undo(to=told["number"]))


def test_both_were_drawn() -> None:
    """Or the test before says nothing."""
    assert min(COUNTS.values()) >= 20, COUNTS

"""DNS-08 and what surrounds it: a resolver against a name server of our own on loopback, with a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sbc.flow import Transport
from sbc.frozen import replace
from sbc.inputs import Resolved
from sbc.net import resolver
from sbc.net.resolver import Place, Resolver, system_place
from sbc.net.tasks import Tasks
from sbc.sip.locate import Answers, Naptr, Question, Srv, Wanted
from tests.unit.net.bench import LOCALHOST, free_port, realm, run, snapshot, until
from tests.unit.net.nameserver import NameServer, serving

UDP: tuple[tuple[Transport, str], ...] = (("UDP", "10.0.0.1"),)
DAY = 86_400


class JumpingLoop:
    """The running loop, but its time can be moved."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.create_task = self._loop.create_task
        self.jumped = 0.0

    def time(self) -> float:
        return self._loop.time() + self.jumped


class Lab:
    """A resolver that asks `server`; `find` is one question to it."""

    def __init__(self, server: NameServer, port: int, folder: Path, budget: float) -> None:
        self.server = server
        self.answers: list[Resolved] = []
        self.faults: list[BaseException] = []
        loop: Any = JumpingLoop()
        self._loop = loop
        self.tasks = Tasks(loop, self.faults.append)
        self.hosts = folder / "hosts"
        system = folder / "resolv.conf"
        system.write_text(f"nameserver {LOCALHOST}\n")
        self.resolver = Resolver(loop, self.tasks, self.answers.append, budget=budget, port=port, hosts=self.hosts, system=system)
        self.resolver.apply(snapshot())

    async def find(self, host: str, port: int | None = 5060, realm: str = "outside", sources: Any = UDP) -> Answers:
        question = f"q{len(self.answers)}"
        self.resolver.ask(question, realm, Wanted(host, port, None, False, sources))
        await until(lambda: any(each.question == question for each in self.answers))
        return self.answers[-1].answers

    async def addresses(self, host: str = "gw.example", **options: Any) -> tuple[object, ...]:
        return (await self.find(host, **options))[Question("A", host)]

    def jump(self, seconds: float) -> None:
        self._loop.jumped += seconds

    def asked(self) -> list[str]:
        """Since the last time."""
        questions = self.server.questions[:]
        self.server.questions.clear()
        return questions


@asynccontextmanager
async def lab(folder: Path, *lines: str, ttl: int = 300, budget: float = 2.0) -> AsyncIterator[Lab]:
    server = NameServer()
    server.knows(*lines, ttl=ttl)
    async with serving(server) as port:
        made = Lab(server, port, folder, budget)
        yield made
        await made.tasks.close()
        assert made.faults == []


def test_DNS_02_the_whole_chain_is_one_question_of_the_core(tmp_path: Path) -> None:
    async def scene() -> None:
        async with lab(
            tmp_path,
            'carrier.example NAPTR 10 20 "s" "SIP+D2U" "" _sip._udp.carrier.example.',
            "_sip._udp.carrier.example SRV 1 2 5070 GW.carrier.example.",
            "gw.carrier.example A 192.0.2.1",
            "gw.carrier.example A 192.0.2.2",
        ) as made:
            answers = await made.find("carrier.example", None)
            assert made.asked() == ["udp NAPTR carrier.example", "udp SRV _sip._udp.carrier.example", "udp A gw.carrier.example"]
            assert answers == {
                Question("NAPTR", "carrier.example"): (Naptr(10, 20, "s", "SIP+D2U", "", "_sip._udp.carrier.example"),),
                Question("SRV", "_sip._udp.carrier.example"): (Srv(1, 2, 5070, "gw.carrier.example"),),
                Question("A", "gw.carrier.example"): answers[Question("A", "gw.carrier.example")],
            }
            assert set(answers[Question("A", "gw.carrier.example")]) == {"192.0.2.1", "192.0.2.2"}

    run(scene())


def test_DNS_06_both_families_are_asked_at_once(tmp_path: Path) -> None:
    async def scene() -> None:
        async with lab(tmp_path, "gw.example A 192.0.2.1", "gw.example AAAA 2001:db8::1") as made:
            answers = await made.find("gw.example", sources=(*UDP, ("UDP", "2001:db8::5")))
            assert answers == {Question("A", "gw.example"): ("192.0.2.1",), Question("AAAA", "gw.example"): ("2001:db8::1",)}

    run(scene())


@pytest.mark.parametrize(("ttl", "good_for"), [(0, 5), (60, 60), (7 * DAY, DAY)])
def test_DNS_08_the_ttl_is_honoured_within_bounds(tmp_path: Path, ttl: int, good_for: int) -> None:
    async def scene() -> None:
        async with lab(tmp_path, "gw.example A 192.0.2.1", ttl=ttl) as made:
            assert await made.addresses() == ("192.0.2.1",)
            assert made.asked() == ["udp A gw.example"]
            made.jump(good_for - 1)
            assert await made.addresses() == ("192.0.2.1",)
            assert made.asked() == []
            made.jump(2)
            assert await made.addresses() == ("192.0.2.1",)
            assert made.asked() == ["udp A gw.example"]

    run(scene())


@pytest.mark.parametrize("name", ["nobody.example", "other.example"])
@pytest.mark.parametrize(("soa", "good_for"), [(None, 5), (60, 60), (DAY, 3600)])
def test_DNS_08_no_is_an_answer_for_as_long_as_the_soa_says(tmp_path: Path, soa: int | None, good_for: int, name: str) -> None:
    """No such name, and no such record of a name that is there."""

    async def scene() -> None:
        async with lab(tmp_path, "other.example AAAA 2001:db8::1") as made:
            made.server.soa = soa
            assert await made.addresses(name) == ()
            made.asked()
            made.jump(good_for - 1)
            assert await made.addresses(name) == ()
            assert made.asked() == []
            made.jump(2)
            assert await made.addresses(name) == ()
            assert made.asked() == [f"udp A {name}"]

    run(scene())


@pytest.mark.parametrize("outage", ["silent", "broken"])
def test_DNS_08_what_was_known_is_served_while_the_resolvers_are_down(tmp_path: Path, outage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "ONE_SERVER", 0.05)

    async def scene() -> None:
        async with lab(tmp_path, "gw.example A 192.0.2.1", budget=0.2) as made:
            assert await made.addresses() == ("192.0.2.1",)
            getattr(made.server, outage).add("A")
            made.asked()
            made.jump(301)
            assert await made.addresses() == ("192.0.2.1",)
            assert made.asked()
            await until(lambda: len(made.tasks) == 0)
            made.asked()
            assert await made.addresses() == ("192.0.2.1",), "nobody waits again for a server that does not answer"
            assert made.asked() == []
            made.jump(resolver.RECHECK)
            assert await made.addresses() == ("192.0.2.1",)
            assert made.asked()
            await until(lambda: len(made.tasks) == 0)
            getattr(made.server, outage).clear()
            made.server.knows("gw.example A 192.0.2.2")
            made.jump(resolver.RECHECK)
            assert "192.0.2.2" in await made.addresses(), "they are back"
            getattr(made.server, outage).add("A")
            made.jump(300 + DAY + 1)
            assert await made.addresses() == (), "after a day it is too old"

    run(scene())


def test_DNS_08_the_budget_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "ONE_SERVER", 0.05)

    async def scene() -> None:
        async with lab(tmp_path, budget=0.2) as made:
            made.server.silent |= {"NAPTR", "SRV", "A"}
            loop = asyncio.get_running_loop()
            began = loop.time()
            answers = await made.find("gw.example", None)
            assert loop.time() - began < 1
            assert set(answers.values()) == {()}

    run(scene())


def test_DNS_08_a_server_that_is_silent_about_naptr_leaves_time_for_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "ONE_SERVER", 0.1)

    async def scene() -> None:
        async with lab(tmp_path, "_sip._udp.gw.example SRV 0 0 5060 a.example.", "a.example A 192.0.2.1", budget=0.4) as made:
            made.server.silent.add("NAPTR")
            assert (await made.find("gw.example", None))[Question("A", "a.example")] == ("192.0.2.1",)

    run(scene())


def test_DNS_08_what_does_not_fit_into_a_datagram_is_asked_by_tcp(tmp_path: Path) -> None:
    async def scene() -> None:
        lines = [f"_sip._udp.big.example SRV 0 0 5060 server-with-a-long-name-{number}.big.example." for number in range(90)]
        async with lab(tmp_path, *lines) as made:
            answers = await made.find("big.example", None)
            service = "_sip._udp.big.example"
            asked = made.asked()
            assert asked[1:3] == [f"udp SRV {service}", f"tcp SRV {service}"]
            assert len(answers[Question("SRV", service)]) == resolver.RECORDS, "no more than anybody would try"
            assert len(asked) == 3 + resolver.RECORDS

    run(scene())


def test_DNS_08_one_question_for_all_who_want_to_know(tmp_path: Path) -> None:
    async def scene() -> None:
        async with lab(tmp_path, "gw.example A 192.0.2.1") as made:
            for number in range(50):
                made.resolver.ask(f"many{number}", "outside", Wanted("GW.example".lower(), 5060, None, False, UDP))
            assert made.answers == [], "never from within the question"
            await until(lambda: len(made.answers) == 50)
            assert made.asked() == ["udp A gw.example"]
            assert {each.answers[Question("A", "gw.example")] for each in made.answers} == {("192.0.2.1",)}

    run(scene())


def test_DNS_08_memory_and_questions_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "CACHED", 3)
    monkeypatch.setattr(resolver, "QUESTIONS", 2)

    async def scene() -> None:
        async with lab(tmp_path, *(f"gw{number}.example A 192.0.2.{number}" for number in range(5))) as made:
            for number in range(5):
                assert await made.addresses(f"gw{number}.example") == (f"192.0.2.{number}",)
            made.asked()
            await made.addresses("gw4.example")
            assert made.asked() == []
            await made.addresses("gw0.example")
            assert made.asked() == ["udp A gw0.example"], "it had to make room"
            made.jump(DAY)
            for number in range(5):
                made.resolver.ask(f"many{number}", "outside", Wanted(f"gw{number}.example", 5060, None, False, UDP))
            await until(lambda: len(made.answers) == 12)
            assert len(made.asked()) == 2

    run(scene())


def test_an_alias_is_followed_for_as_long_as_its_shortest_record_lives(tmp_path: Path) -> None:
    async def scene() -> None:
        async with lab(tmp_path, "gw.example CNAME host.example.") as made:
            made.server.knows("host.example A 192.0.2.1", ttl=60)
            assert await made.addresses() == ("192.0.2.1",)
            made.asked()
            made.jump(61)
            assert await made.addresses() == ("192.0.2.1",)
            assert made.asked() == ["udp A gw.example"]

    run(scene())


@pytest.mark.parametrize(
    "spoils",
    [
        pytest.param(lambda wire: b"", id="nothing"),
        pytest.param(lambda wire: wire[:20], id="cut off"),
        pytest.param(lambda wire: wire[:2] + b"\xff" * 60, id="noise"),
        pytest.param(lambda wire: bytes([wire[0] ^ 1]) + wire[1:], id="another question's number"),
        pytest.param(lambda wire: wire.replace(b"\x02gw", b"\x02xx", 1), id="another question's name"),
        pytest.param(lambda wire: wire[:2] + b"\x01" + wire[3:], id="a question"),
        pytest.param(lambda wire: wire + b"more" * 100, id="something behind it"),
    ],
)
def test_DNS_08_what_is_no_answer_is_none(tmp_path: Path, spoils: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server, or whoever pretends to be one, cannot do more than not answer."""
    monkeypatch.setattr(resolver, "ONE_SERVER", 0.05)

    async def scene() -> None:
        async with lab(tmp_path, "gw.example A 192.0.2.66", budget=0.2) as made:
            made.server.spoils = spoils
            assert await made.addresses() == ()
            await until(lambda: len(made.tasks) == 0)
            made.server.spoils = lambda wire: wire
            made.jump(resolver.RECHECK + 1)
            assert await made.addresses() == ("192.0.2.66",)

    run(scene())


def test_DNS_08_aliases_in_a_circle_are_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "ONE_SERVER", 0.05)

    async def scene() -> None:
        async with lab(tmp_path, "gw.example CNAME a.example.", "a.example CNAME gw.example.", budget=0.2) as made:
            assert await made.addresses() == ()

    run(scene())


def test_the_hosts_file_is_honoured_and_read_anew(tmp_path: Path) -> None:
    async def scene() -> None:
        async with lab(tmp_path, "gw.example A 192.0.2.1") as made:
            made.hosts.write_text("# ours\n10.9.9.9 other GW.Example.  # the lab\n2001:db8::9 gw.example\nnonsense gw.example\n")
            answers = await made.find("gw.example", None, sources=(*UDP, ("UDP", "2001:db8::5")))
            assert made.asked() == [], "not even NAPTR"
            assert answers[Question("A", "gw.example")] == ("10.9.9.9",)
            assert answers[Question("AAAA", "gw.example")] == ("2001:db8::9",)
            made.hosts.unlink()
            assert await made.addresses() == ("192.0.2.1",)

    run(scene())


def test_every_realm_may_have_name_servers_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "ONE_SERVER", 0.05)

    async def scene() -> None:
        inner = NameServer()
        inner.knows("gw.example A 10.1.0.2")
        port = free_port()
        outer = NameServer()
        outer.knows("gw.example A 192.0.2.1")
        async with serving(outer, port=port), serving(inner, "127.0.0.2", port):
            made = Lab(outer, port, tmp_path, 2.0)
            inside = replace(realm(("UDP", 5060), name="inside"), name_servers=("127.0.0.3", "127.0.0.2"))
            made.resolver.apply(snapshot(inside))
            assert await made.addresses(realm="inside") == ("10.1.0.2",), "the first is dead, the second answers"
            assert await made.addresses() == ("192.0.2.1",), "what one network says is not told to another"
            await made.tasks.close()

    run(scene())


def test_the_systems_name_servers(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    assert system_place(file) == Place(("127.0.0.1",))
    file.write_text("search voip.example lab.example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    assert system_place(file) == Place(("192.0.2.53", "2001:db8::53"), ("voip.example.", "lab.example."))


def test_short_names_of_hosts_are_completed(tmp_path: Path) -> None:
    async def scene() -> None:
        async with lab(tmp_path, "gw.lab.example A 192.0.2.1") as made:
            (tmp_path / "resolv.conf").write_text(f"search lab.example\nnameserver {LOCALHOST}\n")
            made.resolver.apply(snapshot())
            assert await made.addresses("gw") == ("192.0.2.1",)
            assert made.asked() == ["udp A gw.lab.example"]

    run(scene())


def test_a_fault_of_ours_still_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with lab(tmp_path) as made:
            monkeypatch.setattr(made.resolver, "_records", None)
            assert await made.find("gw.example") == {}
            await until(lambda: made.faults)
            made.faults.clear()

    run(scene())

"""What the shield decides is done: said, counted, and handed to the kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from sbc.clock import Now
from sbc.flow import Flow, Transport
from sbc.frozen import replace
from sbc.inputs import Resolved
from sbc.log import EventLog
from sbc.net.guard import Guard
from sbc.net.stats import Stats
from sbc.shield.rules import ShieldRules
from sbc.shield.ruleset import KNOWN_FOR, Door
from sbc.shield.shield import Shield
from sbc.shield.views import BansAsked, BansView, SourceAsked, SourceView, Unban
from sbc.sip.locate import Question
from tests.world import snapshot_of

ATTACKER = "203.0.113.66"


class Kernel:
    def __init__(self) -> None:
        self.banned: dict[str, float] = {}
        self.known: list[str] = []
        self.doors: list[Door] = []

    def apply(self, doors: Sequence[Door], rules: ShieldRules) -> None:
        self.doors = list(doors)
        self.banned.clear()

    def ban(self, source: str, seconds: float) -> None:
        self.banned[source] = seconds

    def unban(self, source: str) -> None:
        self.banned.pop(source, None)

    def know(self, source: str) -> None:
        self.known.append(source)

    def dropped(self) -> Mapping[str, int]:
        return dict.fromkeys(self.banned, 7)


class Stage:
    def __init__(self, **rules: object) -> None:
        self.now = Now(1000.0, 1_800_000_000.0)
        self.lines: list[str] = []
        self.stats = Stats()
        self.kernel = Kernel()
        self.guard = Guard(Shield(b"key"), lambda: self.now, EventLog(self.lines.append), self.stats, self.kernel)
        self.apply(**rules)

    def apply(self, **rules: object) -> None:
        snapshot = snapshot_of()
        self.guard.apply(replace(snapshot, shield=replace(snapshot.shield, **rules)))

    def after(self, seconds: float) -> None:
        self.now = Now(self.now.monotonic + seconds, self.now.wall + seconds)

    def scan(self, host: str = ATTACKER, transport: Transport = "TCP") -> None:
        flow = Flow("outside", transport, ("10.0.0.1", 5060), (host, 5999))
        self.guard.offended(flow, "scanner", "connection" if flow.reliable else None, "User-Agent x")

    def bans(self) -> BansView:
        view = self.guard.ask(BansAsked(50))
        assert isinstance(view, BansView)
        return view


def test_OVL_05_a_ban_is_in_the_log_and_in_the_kernel() -> None:
    it = Stage()
    it.scan()
    assert it.kernel.banned == {ATTACKER: 300.0}
    (line,) = it.lines
    assert "warning banned" in line
    facts = ("why=scanner", 'note="User-Agent x"', "did=scanner:1", "proof=connection", "seconds=300", "number=1")
    assert all(fact in line for fact in (f"source={ATTACKER}", *facts))
    assert it.stats.bans == 1
    assert it.guard.refuses_connection(ATTACKER, it.now.monotonic)
    assert it.guard.refuses_datagram(ATTACKER, b"x", it.now.monotonic)
    assert it.stats.datagrams_banned == 1


def test_REJ_03_an_office_with_an_old_password_is_never_banned_in_the_kernel() -> None:
    it = Stage()
    flow = Flow("outside", "TLS", ("10.0.0.1", 5061), (ATTACKER, 5999))
    for _ in range(20):
        it.guard.offended(flow, "wrong_password", "digest", "alice")
    assert it.bans().bans[0].why == "wrong_password"
    assert it.kernel.banned == {}
    it.guard.ask(Unban(ATTACKER))
    for _ in range(9):
        it.guard.offended(flow, "unknown_user", "digest", "bob")
    for _ in range(2):
        it.guard.offended(flow, "wrong_password", "digest", "alice")
    assert it.kernel.banned == {ATTACKER: 300.0}


def test_OVL_06_what_came_without_proof_bans_nobody() -> None:
    it = Stage()
    for _ in range(100):
        it.scan(transport="UDP")
    assert (it.kernel.banned, it.lines, it.stats.bans) == ({}, [], 0)


def test_OVL_06_trunks_and_we_are_never_banned() -> None:
    it = Stage()
    for host in ("10.1.0.2", "10.1.0.3", "10.0.0.20", "10.0.0.1", "10.1.0.1"):
        it.scan(host)
    assert it.kernel.banned == {}


def test_shadow_is_only_said() -> None:
    it = Stage(bans="shadow")
    it.scan()
    assert it.kernel.banned == {}
    assert " would_ban " in it.lines[0]
    assert not it.guard.refuses_connection(ATTACKER, it.now.monotonic)
    assert (it.bans().mode, it.bans().bans[0].shadow) == ("shadow", True)


def test_a_policy_may_keep_the_kernel_out_of_it() -> None:
    it = Stage(kernel=False)
    it.scan()
    assert it.kernel.banned == {}
    assert it.guard.refuses_connection(ATTACKER, it.now.monotonic)


def test_a_new_policy_finds_the_bans_as_they_were() -> None:
    it = Stage()
    it.scan()
    it.after(100.0)
    it.apply()
    assert it.kernel.banned == {ATTACKER: 200.0}
    it.apply(never_ban=(ATTACKER,))
    assert it.kernel.banned == {}
    assert it.bans().bans == ()


def test_who_is_vouched_for_and_whom_name_servers_name_is_told_to_the_kernel_once() -> None:
    it = Stage()
    flow = Flow("outside", "UDP", ("10.0.0.1", 5060), ("203.0.113.7", 5060))
    it.guard.vouched(flow)
    it.guard.vouched(flow)
    answers = {Question("SRV", "_sip._udp.x"): (), Question("A", "gw.example"): ("198.51.100.1",)}
    it.guard.found(Resolved("q", answers))
    it.guard.found(Resolved("q", answers))
    assert it.kernel.known == ["203.0.113.7", "198.51.100.1"]
    it.apply()
    assert it.kernel.known == ["203.0.113.7", "198.51.100.1"] * 2, "its table is a new one"
    assert ("tcp", "10.0.0.1", 5061) in it.kernel.doors


class TestViews:
    def test_bans(self) -> None:
        it = Stage()
        it.scan()
        it.after(60.0)
        it.scan("2001:db8:0:7::1")
        latest, first = it.bans().bans
        assert (latest.source, first.source) == ("2001:db8:0:7::/64", ATTACKER)
        assert (first.left, first.number, first.counts, first.dropped, first.proof) == (240.0, 1, {"scanner": 1}, 7, "connection")
        it.after(600.0)
        assert it.bans().bans == ()

    def why(self, it: Stage, address: str) -> SourceView:
        view = it.guard.ask(SourceAsked(address))
        assert isinstance(view, SourceView)
        return view

    def test_why(self) -> None:
        it = Stage()
        assert self.why(it, ATTACKER).standing == "unknown"
        it.guard.offended(Flow("outside", "TLS", ("10.0.0.1", 5061), (ATTACKER, 1)), "malformed", "connection")
        assert (self.why(it, ATTACKER).score, self.why(it, ATTACKER).counts) == (10.0, {"malformed": 1})
        it.scan(transport="UDP")
        assert self.why(it, ATTACKER).standing == "throttled"
        it.guard.vouched(Flow("outside", "UDP", ("10.0.0.1", 5060), (ATTACKER, 1)))
        it.after(125.0)
        assert self.why(it, ATTACKER).because == "somebody there has proved who it is, 2 minutes ago"
        for _ in range(10):
            it.scan()
        banned = self.why(it, ATTACKER)
        assert (banned.standing, banned.because[:11]) == ("banned", "says in Use")
        assert banned.ban is not None
        assert self.why(it, "10.1.0.2").standing == "never banned"
        it.after(301.0)
        over = self.why(it, ATTACKER)
        assert (over.standing, over.ban and over.ban.left) == ("known", 0.0)

    def test_unban(self) -> None:
        it = Stage()
        it.scan()
        view = it.guard.ask(Unban(ATTACKER))
        assert isinstance(view, SourceView)
        assert (view.standing, view.ban) == ("unknown", None)
        assert it.kernel.banned == {}
        assert " unbanned " in it.lines[-1]
        it.guard.ask(Unban("192.0.2.77"))
        assert len(it.lines) == 2, "who was not banned is not unbanned"
        with pytest.raises(ValueError, match="'office' is not an address"):
            it.guard.ask(Unban("office"))


def test_the_usual_rules_are_those_of_a_policy_that_says_nothing() -> None:
    rules = snapshot_of().shield
    assert replace(rules, never_ban=()) == ShieldRules()
    assert set(rules.never_ban) >= {"10.1.0.2/32", "10.0.0.20/32", "10.0.0.1", "10.1.0.1"}


def test_who_keeps_proving_who_it_is_stays_known_in_the_kernel() -> None:
    """There its entry has an end, and whoever is not known there is held to a stranger's rate: a busy PBX would lose calls."""
    it = Stage()
    flow = Flow("outside", "UDP", ("10.0.0.1", 5060), ("192.0.2.7", 5060))
    told, ends = 0, 0.0
    for _ in range(40):
        it.guard.vouched(flow)
        if len(it.kernel.known) > told:
            told, ends = len(it.kernel.known), it.now.monotonic + KNOWN_FOR
        assert it.now.monotonic + 600 < ends
        it.after(600)
    assert told < 20, "and it is not told each time"


class Shelf:
    """Keeps at once."""

    def __init__(self) -> None:
        self.text = ""

    def save(self, snapshot: Callable[[], Callable[[], str]]) -> None:
        self.text = snapshot()()


def test_OVL_05_bans_of_an_earlier_process_are_on_here_and_in_the_kernel() -> None:
    shelf, earlier = Shelf(), Stage()
    earlier.guard = Guard(Shield(b"key"), lambda: earlier.now, EventLog(earlier.lines.append), earlier.stats, earlier.kernel, shelf)
    earlier.guard.offended(Flow("outside", "TCP", ("10.0.0.1", 5060), (ATTACKER, 40000), 1), "scanner", "connection")
    assert ATTACKER in shelf.text

    later = Stage()
    later.now = Now(7.0, earlier.now.wall + 100)
    later.guard.restore(shelf.text)
    later.apply()
    assert later.kernel.banned == {ATTACKER: pytest.approx(200.0)}
    assert later.guard.refuses_connection(ATTACKER, 8.0)
    assert any("bans_restored count=1" in line for line in later.lines)
    later.apply(never_ban=(ATTACKER,))
    assert later.kernel.banned == {}, "whom the policy spares by now is pardoned"

    earlier.guard.ask(Unban(ATTACKER))
    assert ATTACKER not in shelf.text


def test_what_is_no_list_of_bans_is_said_and_ignored() -> None:
    stage = Stage()
    stage.guard.restore("{")
    assert any("bans_not_read" in line for line in stage.lines)
    assert stage.kernel.banned == {}

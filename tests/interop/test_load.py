"""A minute of load of two kinds at once, and nothing is lost, refused or left behind."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench.generator import LoadResult, LoadSpec, run_load
from tests.interop.namespaces import Lab
from tests.interop.server import PASSWORD, POLICY, Server, serve
from tests.interop.sipp import Result, sipp
from tests.interop.wait import until

PLAIN_RATE, SECURE_RATE = 50, 20  # calls a second: SIPp, UDP to UDP; our generator, TLS with digest and SDES to UDP with RTP
SECONDS, AGAIN = 60, 15  # the run, and a shorter one that shows whether memory still grows
SINK_PORT = 5080
TRANSACTIONS_END = 45.0  # after 32 s the last transaction is over (RFC 3261 s17, Timer H, J, L, M: 64*T1)
GROWTH = 4.0  # MiB in the second run, 1050 calls. Pools, caches and the heap are at their size after the first one; a call
# that is not let go weighs about 20 KiB with its legs, dialogs and messages, so that one in five would show.

LOAD_POLICY = (
    POLICY.replace("ports: 20000-20999", "ports: 10000-29999")  # a port rests for 30 s after its call
    .replace("ports: 30000-30999", "ports: 30000-49999")
    .replace("  plain_pbx:", f'  sink: {{{{realm: outside, peer: "sip:{{phone}}:{SINK_PORT}", media: plain}}}}\n  plain_pbx:')
    .replace("  - name: out\n", '  - {{name: sink, when: {{user: alice, to: "+4950*"}}, send_to: [sink]}}\n  - name: out\n')
)


@dataclass(frozen=True)
class Outcome:
    caller: Result
    callee: Result
    secure: LoadResult

    @property
    def calls(self) -> int:
        return self.caller.successful + self.secure.completed


@pytest.fixture
def server(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    with serve(lab, tmp_path / "sbc", LOAD_POLICY.replace("{phone}", lab.phone.address)) as running:
        yield running


def load(lab: Lab, server: Server, folder: Path, seconds: int) -> Outcome:
    """Both kinds at the same time for so long."""
    spec = LoadSpec(
        rate=SECURE_RATE,
        seconds=seconds,
        server=(lab.outside, 5061),
        caller=(lab.phone.address, 0),
        callee=(lab.phone.address, SINK_PORT),
        transport="TLS",
        hold=1.0,
        number="+4950123",
        user="alice",
        password=PASSWORD,
        crypto=True,
        ca=str(server.trust()),
        server_name=lab.outside,
    )
    calls = PLAIN_RATE * seconds
    keys = {"caller": "+4940222", "called": "+4930123"}
    with ThreadPoolExecutor(1) as thread:
        callee = sipp(lab.carrier, folder / "callee", "callee", calls=calls)
        secure = thread.submit(lab.phone.within, lambda: run_load(spec))
        caller = sipp(lab.attacker, folder / "caller", "caller", f"{lab.outside}:5060", calls=calls, rate=PLAIN_RATE, keys=keys)
        return Outcome(caller.result(seconds + 30), callee.result(), secure.result())


def expect_all_good(outcome: Outcome, seconds: int) -> None:
    """Every call that was begun was set up and released, and nobody saw a message it did not expect."""
    assert outcome.caller.successful == outcome.callee.successful == PLAIN_RATE * seconds
    assert (outcome.caller.unexpected, outcome.callee.unexpected) == (0, 0), outcome.caller.log + outcome.callee.log
    assert outcome.secure.failed == {}
    assert outcome.secure.completed == outcome.secure.offered == SECURE_RATE * seconds


def rest(server: Server) -> dict[str, float]:
    """The status once every table is empty."""

    def at_rest() -> dict[str, float] | None:
        time.sleep(1.0)
        status = server.status()
        return status if not any(status[name] for name in TABLES) else None

    return until(at_rest, TRANSACTIONS_END, f"something is left: see the status lines in {server.folder}/log")


TABLES = ("calls", "dialogs", "relays", "questions", "transactions", "timers", "connections")


@pytest.mark.timeout(240)
def test_a_minute_of_load_leaves_nothing_behind(lab: Lab, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, sockets = rest(server), server.open_sockets()

    first = load(lab, server, tmp_path / "first", SECONDS)
    expect_all_good(first, SECONDS)
    after = rest(server)
    assert server.open_sockets() == sockets
    assert after["tasks"] == before["tasks"]

    second = load(lab, server, tmp_path / "second", AGAIN)
    expect_all_good(second, AGAIN)
    again = rest(server)
    assert server.open_sockets() == sockets
    assert (again["tasks"], again["files"]) == (after["tasks"], after["files"])

    records = server.records(first.calls + second.calls)
    assert len(records) == len({record["id"] for record in records}) == first.calls + second.calls
    assert Counter((record["route"], record["sip_status"], record["released_by"]) for record in records) == {
        ("out", 200, "a"): PLAIN_RATE * (SECONDS + AGAIN),
        ("sink", 200, "a"): SECURE_RATE * (SECONDS + AGAIN),
    }

    with capsys.disabled():
        print("\n" + figures(first, [before, after, again]))
    assert again["memory_mib"] - after["memory_mib"] < GROWTH


def figures(outcome: Outcome, statuses: list[dict[str, float]]) -> str:
    secure = outcome.secure
    return (
        f"{outcome.calls} calls, 0 failed; retransmissions: SIPp {outcome.caller.retransmissions}+{outcome.callee.retransmissions}, "
        f"TLS and its far side {secure.retransmissions}; TLS set-up {secure.setup_p50_ms}/{secure.setup_p99_ms}/{secure.setup_max_ms} ms "
        f"(p50/p99/max), {secure.challenges} challenges; memory {' -> '.join(str(status['memory_mib']) for status in statuses)} MiB"
    )

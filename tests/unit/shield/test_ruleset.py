"""What nftables is told; that it takes it is seen in tests/interop/test_kernel.py."""

from __future__ import annotations

import json
from typing import Any

from sbc.shield.budgets import source_key
from sbc.shield.rules import ShieldRules
from sbc.shield.ruleset import banned, counted, keeping, known, removal, ruleset

DOORS = [("udp", "10.0.0.1", 5060), ("tcp", "10.0.0.1", 5061), ("udp", "2001:db8::1", 5060)]
SPARED = ("10.9.0.0/24", "10.9.0.5", "192.0.2.7/32", "2001:db8:9::/48")


def whole(**rules: Any) -> list[dict[str, Any]]:
    return ruleset("sbc_1", DOORS, ShieldRules(never_ban=SPARED, **rules))


def elements(commands: list[dict[str, Any]], name: str) -> list[Any]:
    return [
        each for one in commands for kind in one.values() if kind.get("element", {}).get("name") == name for each in kind["element"]["elem"]
    ]


def test_nothing_outside_of_our_own_table_is_touched() -> None:
    for commands in (whole(), removal("sbc_1"), keeping("sbc_1", {("banned4", "192.0.2.1"): 5.0, ("known4", "192.0.2.1"): 0.0})):
        for command in commands:
            ((verb, what),) = command.items()
            assert verb in ("add", "delete"), "flush would empty what is not ours"
            ((kind, told),) = what.items()
            assert told["family"] == "inet"
            assert (told["name"] if kind == "table" else told["table"]) == "sbc_1"


def test_an_earlier_table_is_replaced_at_once() -> None:
    named = {"table": {"family": "inet", "name": "sbc_1"}}
    assert whole()[:3] == [{"add": named}, {"delete": named}, {"add": named}]
    assert removal("sbc_1") == [{"add": named}, {"delete": named}]


def test_doors_and_who_is_spared_by_family() -> None:
    assert elements(whole(), "doors4") == [{"concat": ["10.0.0.1", "udp", 5060]}, {"concat": ["10.0.0.1", "tcp", 5061]}]
    assert elements(whole(), "doors6") == [{"concat": ["2001:db8::1", "udp", 5060]}]
    assert elements(whole(), "spared4") == [{"prefix": {"addr": "10.9.0.0", "len": 24}}, "192.0.2.7"], "intervals must not overlap"
    assert elements(whole(), "spared6") == [{"prefix": {"addr": "2001:db8:9::", "len": 48}}]


def test_the_first_step_is_for_who_is_banned() -> None:
    steps = [one["add"]["rule"]["expr"] for one in whole() if "rule" in one["add" if "add" in one else "delete"]]
    by_chain = [one["add"]["rule"]["chain"] for one in whole() if "add" in one and "rule" in one["add"]]
    assert by_chain.count("front") == 2
    four = [step for step, chain in zip(steps, by_chain, strict=True) if chain == "four"]
    assert four[0][0]["match"]["right"] == "@banned4"
    assert four[0][1] == {"drop": None}
    assert four[1][1] == four[2][1] == {"return": None}
    assert [step[1]["set"]["set"] for step in four[3:]] == ["@datagrams4", "@connections4"]


def test_without_bans_nobody_is_kept_out() -> None:
    assert not any("datagrams4" in json.dumps(one) for one in whole(bans="shadow") if "rule" in one.get("add", {}))


def test_elements_come_with_their_time() -> None:
    six = source_key("2001:db8:0:7::1")
    assert (banned("192.0.2.1"), banned(six), known(six)) == ("banned4", "banned6", "known6")
    commands = keeping("t", {("banned4", "192.0.2.1"): 299.7, ("banned6", six): 0.2})
    assert elements(commands, "banned4")[-1] == {"elem": {"val": "192.0.2.1", "timeout": 300}}
    assert elements(commands, "banned6")[-1] == {"elem": {"val": "2001:db8:0:7::", "timeout": 1}}
    assert [next(iter(one)) for one in commands[:3]] == ["add", "delete", "add"], "to add it once more would not give it time"
    no_more = keeping("t", {("banned4", "192.0.2.1"): 0.0})
    assert [next(iter(one)) for one in no_more] == ["add", "delete"], "what is not there is no error"


def test_many_are_told_at_once() -> None:
    commands = keeping("t", {("known4", f"10.0.0.{number}"): float(number) for number in range(200)})
    assert len(commands) == 3
    assert [len(elements([one], "known4")) for one in commands] == [200, 200, 199]


def test_counters_are_read_back() -> None:
    told = [
        {"val": "192.0.2.1", "timeout": 20, "counter": {"packets": 9, "bytes": 1}},
        {"val": "2001:db8:0:7::", "counter": {"packets": 3}},
    ]
    answer = {"nftables": [{"metainfo": {}}, {"set": {"name": "banned4", "elem": [{"elem": each} for each in told]}}]}
    assert counted(answer) == {"192.0.2.1": 9, source_key("2001:db8:0:7::1"): 3}
    assert counted({"nftables": [{"set": {"elem": ["192.0.2.1"]}}]}) == {}
    assert counted({}) == {}

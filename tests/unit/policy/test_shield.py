from __future__ import annotations

import pytest

from sbc.shield.offences import USUAL
from tests.unit.policy.conftest import MINIMAL, Folder

CARRIER = """\
trunks:
  carrier: {realm: inside, accept_from: [10.9.0.0/24], peer: sip:10.8.0.1, media: plain}
  named: {realm: inside, peer: sip:gw.example.com, media: plain}
"""


def test_everything_is_on_without_a_word(folder: Folder) -> None:
    rules = folder.load(MINIMAL).snapshot.shield
    assert (rules.bans, rules.ban_for, rules.longest_ban, rules.kernel, rules.requests) == ("on", 300.0, 86400.0, True, 100.0)
    assert rules.offences == USUAL


def test_what_can_be_said(folder: Folder) -> None:
    said = """\
shield:
  bans: shadow
  ban_for: 1m
  longest_ban: 2h
  never_ban: [192.0.2.0/24, "2001:db8::7"]
  offences: {malformed: 3, scanner: never}
  requests: 20/s
  kernel: off
"""
    rules = folder.load(MINIMAL + said).snapshot.shield
    assert (rules.bans, rules.ban_for, rules.longest_ban, rules.kernel, rules.requests) == ("shadow", 60.0, 7200.0, False, 20.0)
    assert rules.offences == {**USUAL, "malformed": 3, "scanner": None}
    assert {"192.0.2.0/24", "2001:db8::7/128"} < set(rules.never_ban)


def test_OVL_06_never_ban_cannot_be_emptied(folder: Folder) -> None:
    with_servers = MINIMAL.replace("{signalling: [udp://127.0.0.2:5060]", "{signalling: [udp://127.0.0.2:5060], name_servers: [127.0.0.53]")
    ours = {"10.9.0.0/24", "10.8.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.53"}
    assert set(folder.load(with_servers + CARRIER).snapshot.shield.never_ban) == ours
    assert set(folder.load(with_servers + CARRIER + "shield: {never_ban: [192.0.2.1]}\n").snapshot.shield.never_ban) == {
        *ours,
        "192.0.2.1/32",
    }
    assert folder.errors(MINIMAL + "shield: {never_ban: []}\n") == ["a.yaml:7:21: shield.never_ban: must not be empty"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{bans: no}", "shield.bans: must be 'on', 'shadow' or 'off'"),
        ("{ban: on}", "shield.ban: unknown key, did you mean 'bans'?"),
        ("{never_ban: [0.0.0.0/0]}", "nobody at all would be banned: if that is what you want, say 'bans: off'"),
        ('{never_ban: ["::/0"]}', "nobody at all would be banned"),
        ("{never_ban: [office]}", "'office' is neither an address nor a network"),
        ("{offences: {malformed: 0}}", "shield.offences.malformed: '0' is not a number from 1 to 100000, or 'never'"),
        ("{offences: {malfromed: 5}}", "unknown key, did you mean 'malformed'?"),
        ("{ban_for: 2h, longest_ban: 1h}", "shield.longest_ban: is shorter than ban_for"),
        ("{ban_for: 0s}", "shield.ban_for"),
        ("{kernel: on}", "shield.kernel: must be 'auto' or 'off'"),
        ("on", "shield: must be a mapping"),
    ],
)
def test_what_is_wrong_is_said(folder: Folder, text: str, says: str) -> None:
    assert any(says in error for error in folder.errors(MINIMAL + f"shield: {text}\n"))


def test_what_is_unwise_is_said(folder: Folder) -> None:
    assert any("nobody is ever banned" in each for each in folder.warnings(MINIMAL + "shield: {bans: off}\n"))
    assert any("very many addresses" in each for each in folder.warnings(MINIMAL + "shield: {never_ban: [10.0.0.0/7]}\n"))

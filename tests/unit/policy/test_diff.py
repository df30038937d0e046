from __future__ import annotations

from pathlib import Path

import pytest

from sbc.policy.diff import Change, changes, effect_of
from sbc.policy.load import read_policy
from sbc.policy.text import Text
from tests.world import POLICY

FOLDER = Path("policies")


def diff(before: str, after: str) -> list[Change]:
    one, other = (read_policy(Text(FOLDER, {"sbc.yaml": text.encode()})) for text in (before, after))
    return list(changes(one, other))


def told(before: str, after: str) -> list[str]:
    return [f"{change.kind} {'.'.join(change.path)}: {change.before} -> {change.after} ({change.effect})" for change in diff(before, after)]


def test_nothing_has_changed() -> None:
    assert diff(POLICY, POLICY) == []


def test_what_means_the_same_is_no_change() -> None:
    other = POLICY.replace("ring_for: 60s", "ring_for: 1m").replace("trunks:\n", "# ours\ntrunks:\n")
    other = other.replace("[10.1.0.3/32]", "[10.1.0.3]").replace("longest_call: 4h", "longest_call: 240m")
    assert diff(POLICY, other) == []


def test_objects_keys_and_values() -> None:
    after = (
        POLICY.replace("send_to: [carrier, backup]", "send_to: [backup]")
        .replace('    dial_plan: {"00": "+", "0": "+49"}\n', "")
        .replace("    limits: carrier\n", "    limits: carrier\n    trusted: true\n")
        .replace("carrier: {calls: 2, new_calls: 50/s, longest_call: 4h}", "carrier: {calls: 3, new_calls: 50/s, longest_call: 240m}")
        .replace("udp://10.0.0.1:5060, ", "")
        .replace("ports: 30000-30999", "ports: 31000-31999")
        .replace("strangers: {answer: nothing", "strangers: {answer: 403")
    )
    assert told(POLICY, after) == [
        "changed realms.outside.signalling: [udp://10.0.0.1:5060, tls://10.0.0.1:5061] -> [tls://10.0.0.1:5061] (rebinds a listener)",
        "changed realms.inside.relay.ports: 30000-30999 -> 31000-31999 (new calls only)",
        "removed trunks.office.dial_plan: {00: +, 0: +49} ->  (new calls only)",
        "added trunks.carrier.trusted:  -> true (new calls only)",
        "changed routes.out.send_to: [carrier, backup] -> [backup] (new calls only)",
        "changed limits.carrier.calls: 2 -> 3 (live)",
        "changed strangers.answer: nothing -> 403 (live)",
    ]


def test_whole_objects_and_where_they_stand() -> None:
    after = POLICY.replace("  backup:\n", "  spare:\n").replace("[carrier, backup]", "[carrier, spare]")
    removed, added = sorted([change for change in diff(POLICY, after) if change.path[0] == "trunks"], key=lambda change: change.path)
    assert (removed.path, removed.kind, removed.effect) == (("trunks", "backup"), "removed", "live")
    assert (added.path, added.kind, added.effect) == (("trunks", "spare"), "added", "live")
    lines = POLICY.split("\n")
    assert removed.place.line == lines.index("  backup:") + 1
    assert str(added.place) == f"policies/sbc.yaml:{removed.place.line}"


def test_the_order_of_routes_counts_and_that_of_trunks_does_not() -> None:
    before, _, after = POLICY.partition("  - name: in\n")
    first, _, rest = after.partition("  - name: to-alice\n")
    second, _, rest = rest.partition("media:\n")
    other = before + "  - name: to-alice\n" + second + "  - name: in\n" + first + "media:\n" + rest
    assert told(POLICY, other) == ["changed routes: [out, alice-out, in, to-alice] -> [out, alice-out, to-alice, in] (new calls only)"]


def test_a_long_value_is_shortened_and_no_secret_is_in_any() -> None:
    numbers = ", ".join(f"10.9.{each}.0/24" for each in range(100))
    (change,) = diff(POLICY, POLICY.replace("accept_from: [10.1.0.3/32]", f"accept_from: [10.1.0.3/32, {numbers}]"))
    assert len(change.after) == 100
    assert change.after.endswith("…")
    assert change.effect == "live"


@pytest.mark.parametrize(
    ("path", "effect"),
    [
        ("realms.x", "rebinds a listener"),
        ("realms.x.certificate", "live"),
        ("realms.x.advertise", "new calls only"),
        ("trunks.x", "live"),
        ("trunks.x.media", "new calls only"),
        ("trunks.x.limits", "live"),
        ("users.x.password.file", "live"),
        ("routes.x", "new calls only"),
        ("routes.x.limits", "live"),
        ("limits.x", "live"),
        ("limits.x.longest_call", "live"),
        ("media.x.codecs", "new calls only"),
        ("numbers.+4930", "new calls only"),
        ("identity.roots", "live"),
    ],
)
def test_from_when_on_it_counts(path: str, effect: str) -> None:
    assert effect_of(tuple(path.split("."))) == effect

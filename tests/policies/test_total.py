"""A decision for every request, whatever is in it, and in no time."""

from __future__ import annotations

from pathlib import Path
from time import thread_time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sbc.errors import ConfigError
from sbc.explain.asked import Assumed, Flags, Reply, asked
from sbc.explain.story import explain
from sbc.policy.decide import NumberRefused, normalise, route
from sbc.policy.snapshot import Snapshot
from tests.bench.decide import AIM_P99, measured
from tests.policies.test_golden import loaded

ROUTING = loaded((Path(__file__).with_name("golden") / "routing" / "sbc.yaml").read_text())
PARTIES = [*ROUTING.snapshot.trunks, *ROUTING.snapshot.users]

_digits = st.text("0123456789+*#-.() ", max_size=20)
_anything = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=40)
_uris = st.sampled_from(
    ["urn:service:sos", "urn:service:sos.police", "tel:+4930;x=y", "sips:1@h", "sip:a%00b@h", "mailto:x@y", "sip:@", "tel:"]
)
_numbers = st.one_of(_digits, _anything, _uris, st.from_regex(r"\+49301234[0-9]{2}", fullmatch=True))
_names = ("Privacy", "P-Asserted-Identity", "Require", "Via", "Diversion", "Identity", "Priority", "Max-Forwards", "Session-Expires", "To")
_values = st.one_of(_anything, st.sampled_from(["id", "<sip:+1@x>", "0", "100rel", "1;refresher=uas"]))
_rows = st.lists(st.tuples(st.sampled_from(_names), _values), max_size=3)
_statuses = st.dictionaries(st.sampled_from(PARTIES), st.integers(200, 699).map(Reply), max_size=3)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PARTIES), _numbers, _numbers, _rows, _statuses, st.sampled_from(["passed", "failed", "unsigned"]))
def test_every_request_of_whoever_we_know_is_answered(
    party: str, to: str, caller: str, rows: list[tuple[str, str]], answers: dict[str, Reply], signed: str
) -> None:
    snapshot = ROUTING.snapshot
    flags = Flags(to, trunk=party if party in snapshot.trunks else "", user=party if party in snapshot.users else "", caller=caller)
    flags = Flags(flags.to, flags.trunk, flags.user, caller=flags.caller, headers=tuple(rows))
    try:
        question = asked(snapshot, flags, Assumed(answers, signed=signed))  # type: ignore[arg-type]
    except ConfigError:
        return  # control characters: nothing that could be asked
    account = explain(snapshot, ROUTING.places, question)
    assert account.phases[-1].name == "answer"
    if account.phases[0].name != "message":  # what cannot be read cannot always be answered
        assert 200 <= account.facts["status"] <= 699


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(PARTIES), _numbers)
def test_a_number_has_a_route_or_none_or_is_refused(party: str, number: str) -> None:
    snapshot: Snapshot = ROUTING.snapshot
    who = snapshot.party(party)
    try:
        called = normalise(who, number)
    except NumberRefused:
        return
    found = route(snapshot, who, called)
    assert found is None or set(found.send_to) <= set(PARTIES)


def test_a_decision_is_quick_and_grows_with_nothing_to_speak_of() -> None:
    """The figures are those of `tests.bench.decide`; here of our own time, with room for cold caches."""
    small, large = measured(0.1, 3000, thread_time), measured(1.0, 3000, thread_time)
    assert large[int(len(large) * 0.99)] < 3 * AIM_P99
    assert large[len(large) // 2] < 3 * small[len(small) // 2]


@pytest.mark.parametrize("party", PARTIES)
def test_everybody_can_be_asked_about(party: str) -> None:
    snapshot = ROUTING.snapshot
    flags = Flags("112", trunk=party) if party in snapshot.trunks else Flags("112", user=party)
    account = explain(snapshot, ROUTING.places, asked(snapshot, flags))
    assert account.facts["party"] == party

"""Diversion and History-Info, one from the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sbc.call.diverted import CAUSE_OF_REASON, continued, diversions_of, history_of
from sbc.call.neutral import ANONYMOUS, numbered, placed
from sbc.sip.fields.diversion import Diversion, parse_diversions
from sbc.sip.fields.history_info import HistoryEntry, parse_history
from sbc.sip.fields.nameaddr import NameAddr

CALLED = "+4930123"
users = st.sampled_from(["+4930444", "+1202", "4711", "alice"])
diversions = st.builds(
    Diversion,
    st.builds(NameAddr, st.sampled_from(["", "Bob"]), users.map(numbered)),
    st.sampled_from([*CAUSE_OF_REASON, "unknown"]),
    st.integers(1, 5),
    st.sampled_from(["off", "full"]),
)


def at(entry: HistoryEntry) -> str:
    return str(HistoryEntry(placed(entry.address, "h"), entry.index, entry.how, entry.from_))


@given(st.lists(diversions, min_size=1, max_size=8).map(tuple))
def test_ID_07_there_and_back(given_diversions: tuple[Diversion, ...]) -> None:
    history = history_of(given_diversions, CALLED)
    written = parse_history([at(entry) for entry in history])
    assert [entry.index for entry in written] == [entry.index for entry in history]
    assert history[-1].address.uri.user == CALLED
    assert diversions_of(history) == given_diversions


def test_ID_07_an_unknown_reason_is_unknown() -> None:
    (first, _) = history_of((Diversion(NameAddr("", numbered("+1")), "time-of-day"),), CALLED)
    assert at(first) == "<sip:+1@h;user=phone>;index=1"
    (back,) = diversions_of(history_of((Diversion(NameAddr("", numbered("+1")), "time-of-day"),), CALLED))
    assert back.reason == "unknown"


def test_ID_07_a_tel_uri_gets_room_for_its_privacy() -> None:
    (first, _) = history_of(parse_diversions(["<tel:+1>;privacy=full;reason=away"]), CALLED)
    assert at(first) == "<sip:+1@h;user=phone?Privacy=history>;index=1"


def test_ID_07_nobody_diverted() -> None:
    (first, last) = history_of((Diversion(ANONYMOUS, "away", privacy="full"),), CALLED)
    assert at(first) == '"Anonymous" <sip:anonymous@anonymous.invalid>;index=1'
    assert last.index == (1, 1)


def test_ID_08_a_history_ends_with_who_is_called() -> None:
    assert continued((), CALLED) == ()
    known = parse_history([f"<sip:{CALLED}@h>;index=1.3"])
    assert continued(known, CALLED) == known
    assert at(continued(known, "+1")[-1]) == "<sip:+1@h;user=phone>;index=1.3.0.1;np=1.3"
    deep = parse_history(["<sip:x@h>;index=" + ".".join("1" * 63)])
    assert continued(deep, CALLED) == deep


def test_an_address_of_ipv6() -> None:
    assert str(placed(NameAddr("", numbered("+1")), "2001:db8::1")) == "<sip:+1@[2001:db8::1];user=phone>"

"""The table is whole: every state is reached and left, every word is used, and nothing is waited for that cannot come."""

from __future__ import annotations

from sbc.registrar.outbound import ACTIONS
from sbc.registrar.outbound_table import TABLE, Action, Event, State

# What a REGISTER under way can end in
OUTCOMES = {Event.ACCEPTED, Event.CHALLENGED, Event.TOO_BRIEF, Event.REDIRECTED, Event.FAILED, Event.DENIED}


def test_every_state_is_reached_and_all_but_the_last_are_left() -> None:
    reached = {following for following, _ in TABLE.values()}
    assert reached == set(State)
    assert {state for state, _ in TABLE} == set(State) - {State.GONE}


def test_every_word_is_used() -> None:
    assert {event for _, event in TABLE} == set(Event)
    assert {action for _, actions in TABLE.values() for action in actions} == set(Action) == set(ACTIONS)


def test_no_outcome_of_a_register_is_forgotten_wherever_one_is_under_way() -> None:
    for state in (State.ASKING, State.PARTING, State.LEAVING):
        assert {event for known, event in TABLE if known == state} >= OUTCOMES, state


def test_whatever_it_does_it_can_be_let_go_of() -> None:
    for state in set(State) - {State.GONE, State.PARTING, State.LEAVING}:
        assert (state, Event.UNWANTED) in TABLE
    for state in (State.PARTING, State.LEAVING):
        assert TABLE[state, Event.OUT_OF_TIME] == (State.GONE, (Action.FORGET,))


def test_who_rests_has_a_timer() -> None:
    """Nothing else would ever wake it up."""
    starts = {Action.REFRESH_LATER, Action.BACK_OFF, Action.HOLD_BACK, Action.RETRY_SOON}
    for (state, event), (following, actions) in TABLE.items():
        if following == State.RESTING and state != State.RESTING:
            assert starts & set(actions), (state, event)

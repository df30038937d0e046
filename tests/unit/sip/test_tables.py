from __future__ import annotations

import pytest

from sbc.sip.client import METHODS as CLIENT_METHODS
from sbc.sip.server import METHODS as SERVER_METHODS
from sbc.sip.tables import CLIENT_OTHER, MACHINES, Action, Machine, State, diagram

by_name = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)


@by_name
def test_every_state_can_be_reached_and_ends(machine: Machine) -> None:
    following: dict[State, set[State]] = {}
    for (state, _), (after, _) in machine.table.items():
        following.setdefault(state, set()).add(after)
    assert State.TERMINATED not in following
    for start in {machine.start, *following}:
        reached, todo = set(), [start]
        while todo:
            state = todo.pop()
            if state not in reached:
                reached.add(state)
                todo.extend(following.get(state, ()))
        assert State.TERMINATED in reached
        assert start is not machine.start or reached == {*following, State.TERMINATED}


@by_name
def test_every_timer_of_a_state_has_its_row(machine: Machine) -> None:
    for state, events in machine.timers.items():
        for event in events:
            assert event is None or (state, event) in machine.table


@by_name
def test_what_starts_a_timer_enters_a_state_that_has_it(machine: Machine) -> None:
    for after, actions in machine.table.values():
        for action in actions:
            if action.startswith("start "):
                assert machine.timers[after][1].endswith(action[-1])


def test_every_action_has_a_method_and_is_used() -> None:
    used = {action for machine in MACHINES for _, actions in machine.table.values() for action in actions}
    assert used == set(Action) == set(CLIENT_METHODS) | set(SERVER_METHODS)


def test_the_diagram_is_mermaid() -> None:
    lines = diagram(CLIENT_OTHER.table).splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> Trying"]
    assert "    Trying --> Trying : Timer E / send again, double the interval, at most T2" in lines
    assert "    Completed --> Completed : 200-699" in lines
    assert lines[-1] == "    Terminated --> [*]"
    assert len(lines) == len(CLIENT_OTHER.table) + 3


@by_name
def test_the_diagram_begins_where_the_machine_does(machine: Machine) -> None:
    assert diagram(machine.table).splitlines()[1] == f"    [*] --> {machine.start}"

"""The whole of PS3.8 Table 9-10: every state with every event."""

from __future__ import annotations

from itertools import product

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.state_table import TABLE, Action, Event, State, Transition, lookup

# Laid out as in the standard: a row an event, a column a state, "." an empty cell.
TABLE_9_10 = """
Evt    1    2    3    4    5    6    7    8    9    10    11   12   13
1      AE-1 .    .    .    .    .    .    .    .    .     .    .    .
2      .    .    .    AE-2 .    .    .    .    .    .     .    .    .
3      .    AA-1 AA-8 .    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
4      .    AA-1 AA-8 .    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
5      AE-5 .    .    .    .    .    .    .    .    .     .    .    .
6      .    AE-6 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
7      .    .    AE-7 .    .    .    .    .    .    .     .    .    .
8      .    .    AE-8 .    .    .    .    .    .    .     .    .    .
9      .    .    .    .    .    DT-1 .    AR-7 .    .     .    .    .
10     .    AA-1 AA-8 .    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
11     .    .    .    .    .    AR-1 .    .    .    .     .    .    .
12     .    AA-1 AA-8 .    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
13     .    AA-1 AA-8 .    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6
14     .    .    .    .    .    .    .    AR-4 AR-9 .     .    AR-4 .
15     .    .    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1 AA-1 .
16     .    AA-2 AA-3 .    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3 AA-3 AA-2
17     .    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4 AA-4 AR-5
18     .    AA-2 .    .    .    .    .    .    .    .     .    .    AA-2
19     .    AA-1 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
"""

# "Next state is ..." of each action (PS3.8 Tables 9-6 to 9-9).
NEXT_STATES = {
    "AE-1": {4},
    "AE-2": {5},
    "AE-3": {6},
    "AE-4": {1},
    "AE-5": {2},
    "AE-6": {3, 13},
    "AE-7": {6},
    "AE-8": {13},
    "DT-1": {6},
    "DT-2": {6},
    "AR-1": {7},
    "AR-2": {8},
    "AR-3": {1},
    "AR-4": {13},
    "AR-5": {1},
    "AR-6": {7},
    "AR-7": {8},
    "AR-8": {9, 10},
    "AR-9": {11},
    "AR-10": {12},
    "AA-1": {13},
    "AA-2": {1},
    "AA-3": {1},
    "AA-4": {1},
    "AA-5": {1},
    "AA-6": {13},
    "AA-7": {13},
    "AA-8": {13},
}


def _cells() -> dict[tuple[int, int], str]:
    """Read the layout above: the action by state and event, without the empty cells."""
    header, *rows = TABLE_9_10.strip().splitlines()
    states = [int(number) for number in header.split()[1:]]
    cells = {}
    for row in rows:
        event, *actions = row.split()
        by_state = zip(states, actions, strict=True)
        cells.update({(state, int(event)): code for state, code in by_state})
    assert len(cells) == 13 * 19
    return {place: code for place, code in cells.items() if code != "."}


CELLS = _cells()


@pytest.mark.parametrize(
    ("state", "event"),
    [*product(State, Event)],
    ids=lambda member: member.name,
)
def test_every_cell(state: State, event: Event) -> None:
    """A present cell has the standard's action and next states; an absent one is refused."""
    code = CELLS.get((int(state), int(event)))
    if code is None:
        with pytest.raises(PacsException) as raised:
            lookup(state, event)
        error = raised.value.error
        assert error.code is ErrorCode.PROTOCOL_MISUSE
        assert state.meaning in error.message
        assert event.meaning in error.message
        assert error.details == {"state": state.name, "event": event.name}
        assert (state, event) not in TABLE
    else:
        transition = lookup(state, event)
        assert transition is TABLE[state, event]
        assert transition.action.code == code
        assert transition.leads_to == NEXT_STATES[code]
        assert all(isinstance(following, State) for following in transition.leads_to)


def test_the_table_has_no_other_cell() -> None:
    """The mapping's keys are the present cells and no more."""
    assert TABLE.keys() == CELLS.keys()


def test_every_state_event_and_action_has_its_words() -> None:
    """There are 13 states, 19 events and 28 actions, each in different words of its kind."""
    assert [state.name for state in State] == [f"STA{number}" for number in range(1, 14)]
    assert [event.name for event in Event] == [f"EVT{number}" for number in range(1, 20)]
    assert {action.code for action in Action} == NEXT_STATES.keys()
    assert all(action.name == action.code.replace("-", "_") for action in Action)
    assert len({state.meaning for state in State}) == 13
    assert len({event.meaning for event in Event}) == 19
    assert all(action.description for action in Action)


def test_only_two_actions_have_a_guard() -> None:
    """Where an action leads to two states, its description says which and when."""
    guarded = {action for action in Action if len(action.leads_to) > 1}
    assert guarded == {Action.AE_6, Action.AR_8}
    for action in guarded:
        for state in action.leads_to:
            assert f"Sta{state:d}" in action.description


def test_every_state_is_reached_and_left() -> None:
    """From idle every state can be reached, and from every state idle can."""

    def reachable(start: State) -> set[State]:
        found, waiting = {start}, [start]
        while waiting:
            here = waiting.pop()
            following = {
                state
                for (origin, _), transition in TABLE.items()
                if origin is here
                for state in transition.leads_to
            }
            waiting.extend(following - found)
            found |= following
        return found

    assert reachable(State.STA1) == set(State)
    for state in State:
        assert State.STA1 in reachable(state)


def test_the_table_cannot_be_changed() -> None:
    """Table, transitions and their states are values."""
    with pytest.raises(TypeError):
        TABLE[State.STA1, Event.EVT9] = lookup(State.STA6, Event.EVT9)  # type: ignore[index]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        lookup(State.STA6, Event.EVT9).action = Action.DT_2  # type: ignore[misc]
    assert lookup(State.STA6, Event.EVT9) == Transition(Action.DT_1, frozenset({State.STA6}))


def test_pynetdicom_has_the_same_table() -> None:
    """Another implementation's transcription of the standard has no other cell."""
    theirs = pytest.importorskip("pynetdicom.fsm")
    ours = {
        (f"Evt{event:d}", f"Sta{state:d}"): transition.action.code
        for (state, event), transition in TABLE.items()
    }
    assert ours == theirs.TRANSITION_TABLE
    for action in Action:
        following = theirs.ACTIONS[action.code][2]
        names = {following} if isinstance(following, str) else set(following)
        assert {f"Sta{state:d}" for state in action.leads_to} == names

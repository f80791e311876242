"""The upper layer's state machine as a table (PS3.8 9.2): states, events, actions, transitions.

Nothing here acts: the engine looks up what an event means in its state and performs the
action. Tables 9-6 to 9-9 tie the next state to the action, so it is written there, once.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["TABLE", "Action", "Event", "State", "Transition", "lookup"]


class _Described(enum.IntEnum):
    """A number of the standard with its meaning."""

    meaning: str

    __hash__ = int.__hash__  # Enum's is written in Python, and the table is asked for each PDU

    def __new__(cls, number: int, meaning: str) -> Self:
        member = int.__new__(cls, number)
        member._value_ = number
        member.meaning = meaning
        return member


class State(_Described):
    """Where an association is in its life (PS3.8 Tables 9-1 to 9-5); ``meaning`` says it in words.

    Sta2 to Sta5 establish it, Sta7 to Sta12 release it. Release collides when both sides
    ask at a time; the standard then gives the association-requestor Sta9 and Sta11, the
    acceptor Sta10 and Sta12.
    """

    STA1 = 1, "idle"
    STA2 = 2, "transport connection open, awaiting A-ASSOCIATE-RQ"
    STA3 = 3, "awaiting the local answer to A-ASSOCIATE-RQ"
    STA4 = 4, "awaiting the transport connection"
    STA5 = 5, "awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ"
    STA6 = 6, "association established, ready for data"
    STA7 = 7, "awaiting A-RELEASE-RP"
    STA8 = 8, "awaiting the local answer to A-RELEASE-RQ"
    STA9 = 9, "release collision as requestor, awaiting the local answer"
    STA10 = 10, "release collision as acceptor, awaiting A-RELEASE-RP"
    STA11 = 11, "release collision as requestor, awaiting A-RELEASE-RP"
    STA12 = 12, "release collision as acceptor, awaiting the local answer"
    STA13 = 13, "association over, awaiting the close of the transport connection"


class Event(_Described):
    """What can happen to an association (PS3.8 Table 9-10); ``meaning`` says it in words.

    A primitive comes from or goes to the local user, a PDU from the peer, the rest from the
    transport connection or the ARTIM timer.
    """

    EVT1 = 1, "A-ASSOCIATE request primitive"
    EVT2 = 2, "transport connection confirmed"
    EVT3 = 3, "A-ASSOCIATE-AC PDU received"
    EVT4 = 4, "A-ASSOCIATE-RJ PDU received"
    EVT5 = 5, "transport connection from a peer"
    EVT6 = 6, "A-ASSOCIATE-RQ PDU received"
    EVT7 = 7, "A-ASSOCIATE response primitive, accept"
    EVT8 = 8, "A-ASSOCIATE response primitive, reject"
    EVT9 = 9, "P-DATA request primitive"
    EVT10 = 10, "P-DATA-TF PDU received"
    EVT11 = 11, "A-RELEASE request primitive"
    EVT12 = 12, "A-RELEASE-RQ PDU received"
    EVT13 = 13, "A-RELEASE-RP PDU received"
    EVT14 = 14, "A-RELEASE response primitive"
    EVT15 = 15, "A-ABORT request primitive"
    EVT16 = 16, "A-ABORT PDU received"
    EVT17 = 17, "transport connection closed"
    EVT18 = 18, "ARTIM timer expired"
    EVT19 = 19, "unrecognized or invalid PDU received"


class Action(enum.Enum):
    """What an event makes the upper layer do (PS3.8 Tables 9-6 to 9-9).

    Each has its ``code`` in the standard, a ``description``, and ``leads_to``: the state
    after it. Only AE-6 and AR-8 have two, chosen by the guard in their description.
    """

    __hash__ = object.__hash__  # as of a number: Enum's is written in Python

    def __init__(self, code: str, description: str, *leads_to: State) -> None:
        self.code = code
        """The standard's name, such as ``AE-1``."""
        self.description = description
        """What is done."""
        self.leads_to = frozenset(leads_to)
        """The possible next states."""

    AE_1 = "AE-1", "open the transport connection", State.STA4
    AE_2 = "AE-2", "send A-ASSOCIATE-RQ", State.STA5
    AE_3 = "AE-3", "issue A-ASSOCIATE confirmation (accept)", State.STA6
    AE_4 = (
        "AE-4",
        "issue A-ASSOCIATE confirmation (reject) and close the transport connection",
        State.STA1,
    )
    AE_5 = "AE-5", "take the transport connection; start ARTIM", State.STA2
    AE_6 = (
        "AE-6",
        (
            "stop ARTIM; if the service provider can accept the A-ASSOCIATE-RQ, issue A-ASSOCIATE "
            "indication (to Sta3), otherwise send A-ASSOCIATE-RJ and start ARTIM (to Sta13)"
        ),
        State.STA3,
        State.STA13,
    )
    AE_7 = "AE-7", "send A-ASSOCIATE-AC", State.STA6
    AE_8 = "AE-8", "send A-ASSOCIATE-RJ; start ARTIM", State.STA13

    DT_1 = "DT-1", "send P-DATA-TF", State.STA6
    DT_2 = "DT-2", "issue P-DATA indication", State.STA6

    AR_1 = "AR-1", "send A-RELEASE-RQ", State.STA7
    AR_2 = "AR-2", "issue A-RELEASE indication", State.STA8
    AR_3 = (
        "AR-3",
        "issue A-RELEASE confirmation and close the transport connection",
        State.STA1,
    )
    AR_4 = "AR-4", "send A-RELEASE-RP; start ARTIM", State.STA13
    AR_5 = "AR-5", "stop ARTIM", State.STA1
    AR_6 = "AR-6", "issue P-DATA indication", State.STA7
    AR_7 = "AR-7", "send P-DATA-TF", State.STA8
    AR_8 = (
        "AR-8",
        (
            "issue A-RELEASE indication (release collision): to Sta9 as association-requestor, "
            "to Sta10 as acceptor"
        ),
        State.STA9,
        State.STA10,
    )
    AR_9 = "AR-9", "send A-RELEASE-RP", State.STA11
    AR_10 = "AR-10", "issue A-RELEASE confirmation", State.STA12

    AA_1 = "AA-1", "send A-ABORT (service-user); start or restart ARTIM", State.STA13
    AA_2 = "AA-2", "stop ARTIM if running; close the transport connection", State.STA1
    AA_3 = (
        "AA-3",
        (
            "issue A-ABORT indication if the peer's user aborted, otherwise A-P-ABORT indication; "
            "close the transport connection"
        ),
        State.STA1,
    )
    AA_4 = "AA-4", "issue A-P-ABORT indication", State.STA1
    AA_5 = "AA-5", "stop ARTIM", State.STA1
    AA_6 = "AA-6", "ignore the PDU", State.STA13
    AA_7 = "AA-7", "send A-ABORT", State.STA13
    AA_8 = (
        "AA-8",
        "send A-ABORT (service-provider), issue A-P-ABORT indication; start ARTIM",
        State.STA13,
    )


@attrs.frozen
class Transition:
    """A cell of PS3.8 Table 9-10."""

    action: Action
    """What to do."""
    leads_to: frozenset[State]
    """The state afterwards; two for AE-6 and AR-8, whose guard chooses."""


def _by_state(
    state: State, actions: Mapping[Event, Action]
) -> dict[tuple[State, Event], Transition]:
    return {
        (state, event): Transition(action, action.leads_to) for event, action in actions.items()
    }


_CELLS: Final[dict[tuple[State, Event], Transition]] = {
    **_by_state(State.STA1, {Event.EVT1: Action.AE_1, Event.EVT5: Action.AE_5}),
    **_by_state(
        State.STA2,
        {
            Event.EVT3: Action.AA_1,
            Event.EVT4: Action.AA_1,
            Event.EVT6: Action.AE_6,
            Event.EVT10: Action.AA_1,
            Event.EVT12: Action.AA_1,
            Event.EVT13: Action.AA_1,
            Event.EVT16: Action.AA_2,
            Event.EVT17: Action.AA_5,
            Event.EVT18: Action.AA_2,
            Event.EVT19: Action.AA_1,
        },
    ),
    **_by_state(
        State.STA3,
        {
            Event.EVT3: Action.AA_8,
            Event.EVT4: Action.AA_8,
            Event.EVT6: Action.AA_8,
            Event.EVT7: Action.AE_7,
            Event.EVT8: Action.AE_8,
            Event.EVT10: Action.AA_8,
            Event.EVT12: Action.AA_8,
            Event.EVT13: Action.AA_8,
            Event.EVT15: Action.AA_1,
            Event.EVT16: Action.AA_3,
            Event.EVT17: Action.AA_4,
            Event.EVT19: Action.AA_8,
        },
    ),
    **_by_state(
        State.STA4,
        {Event.EVT2: Action.AE_2, Event.EVT15: Action.AA_2, Event.EVT17: Action.AA_4},
    ),
    **_by_state(
        State.STA5,
        {
            Event.EVT3: Action.AE_3,
            Event.EVT4: Action.AE_4,
            Event.EVT6: Action.AA_8,
            Event.EVT10: Action.AA_8,
            Event.EVT12: Action.AA_8,
            Event.EVT13: Action.AA_8,
            Event.EVT15: Action.AA_1,
            Event.EVT16: Action.AA_3,
            Event.EVT17: Action.AA_4,
            Event.EVT19: Action.AA_8,
        },
    ),
    **_by_state(
        State.STA6,
        {
            Event.EVT3: Action.AA_8,
            Event.EVT4: Action.AA_8,
            Event.EVT6: Action.AA_8,
            Event.EVT9: Action.DT_1,
            Event.EVT10: Action.DT_2,
            Event.EVT11: Action.AR_1,
            Event.EVT12: Action.AR_2,
            Event.EVT13: Action.AA_8,
            Event.EVT15: Action.AA_1,
            Event.EVT16: Action.AA_3,
            Event.EVT17: Action.AA_4,
            Event.EVT19: Action.AA_8,
        },
    ),
    **_by_state(
        State.STA7,
        {
            Event.EVT3: Action.AA_8,
            Event.EVT4: Action.AA_8,
            Event.EVT6: Action.AA_8,
            Event.EVT10: Action.AR_6,
            Event.EVT12: Action.AR_8,
            Event.EVT13: Action.AR_3,
            Event.EVT15: Action.AA_1,
            Event.EVT16: Action.AA_3,
            Event.EVT17: Action.AA_4,
            Event.EVT19: Action.AA_8,
        },
    ),
    **_by_state(
        State.STA8,
        {
            Event.EVT3: Action.AA_8,
            Event.EVT4: Action.AA_8,
            Event.EVT6: Action.AA_8,
            Event.EVT9: Action.AR_7,
            Event.EVT10: Action.AA_8,
            Event.EVT12: Action.AA_8,
            Event.EVT13: Action.AA_8,
            Event.EVT14: Action.AR_4,
            Event.EVT15: Action.AA_1,
            Event.EVT16: Action.AA_3,
            Event.EVT17: Action.AA_4,
            Event.EVT19: Action.AA_8,
        },
    ),
    **_by_state(
        State.STA9,
        {
            Event.EVT3: Action.AA_8,
            Event.EVT4: Action.AA_8,
            Event.EVT6: Action.AA_8,
            Event.EVT10: Action.AA_8,
            Event.EVT12: Action.AA_8,
            Event.EVT13: Action.AA_8,
            Event.EVT14: Action.AR_9,
            Event.EVT15: Action.AA_1,
            Event.EVT16: Action.AA_3,
            Event.EVT17: Action.AA_4,
            Event.EVT19: Action.AA_8,
        },
    ),
    **_by_state(
        State.STA10,
        {
            Event.EVT3: Action.AA_8,
            Event.EVT4: Action.AA_8,
            Event.EVT6: Action.AA_8,
            Event.EVT10: Action.AA_8,
            Event.EVT12: Action.AA_8,
            Event.EVT13: Action.AR_10,
            Event.EVT15: Action.AA_1,
            Event.EVT16: Action.AA_3,
            Event.EVT17: Action.AA_4,
            Event.EVT19: Action.AA_8,
        },
    ),
    **_by_state(
        State.STA11,
        {
            Event.EVT3: Action.AA_8,
            Event.EVT4: Action.AA_8,
            Event.EVT6: Action.AA_8,
            Event.EVT10: Action.AA_8,
            Event.EVT12: Action.AA_8,
            Event.EVT13: Action.AR_3,
            Event.EVT15: Action.AA_1,
            Event.EVT16: Action.AA_3,
            Event.EVT17: Action.AA_4,
            Event.EVT19: Action.AA_8,
        },
    ),
    **_by_state(
        State.STA12,
        {
            Event.EVT3: Action.AA_8,
            Event.EVT4: Action.AA_8,
            Event.EVT6: Action.AA_8,
            Event.EVT10: Action.AA_8,
            Event.EVT12: Action.AA_8,
            Event.EVT13: Action.AA_8,
            Event.EVT14: Action.AR_4,
            Event.EVT15: Action.AA_1,
            Event.EVT16: Action.AA_3,
            Event.EVT17: Action.AA_4,
            Event.EVT19: Action.AA_8,
        },
    ),
    **_by_state(
        State.STA13,
        {
            Event.EVT3: Action.AA_6,
            Event.EVT4: Action.AA_6,
            Event.EVT6: Action.AA_7,
            Event.EVT10: Action.AA_6,
            Event.EVT12: Action.AA_6,
            Event.EVT13: Action.AA_6,
            Event.EVT16: Action.AA_2,
            Event.EVT17: Action.AR_5,
            Event.EVT18: Action.AA_2,
            Event.EVT19: Action.AA_7,
        },
    ),
}

TABLE: Final[Mapping[tuple[State, Event], Transition]] = MappingProxyType(_CELLS)
"""PS3.8 Table 9-10 whole: what each event means in each state. An absent cell cannot happen."""


def lookup(state: State, event: Event) -> Transition:
    """Find what an event means in a state (PS3.8 Table 9-10).

    Args:
        state: Where the association is.
        event: What happened.

    Returns:
        The action and the states it may lead to.

    Raises:
        PacsException: ``PROTOCOL_MISUSE`` when the cell is absent, so that the event cannot
            happen in that state; with a received PDU never, with a primitive when the local
            user asked for something at the wrong time.
    """
    transition = _CELLS.get((state, event))
    if transition is None:
        raise PacsException(
            ErrorCode.PROTOCOL_MISUSE,
            f"{event.meaning!r} (Evt{event:d}) does not fit the association's state, "
            f"{state.meaning!r} (Sta{state:d})",
            state=state.name,
            event=event.name,
        )
    return transition

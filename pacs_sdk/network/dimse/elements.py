"""The elements of a command set (PS3.7 Annex E), and what requests have in common."""

from __future__ import annotations

import enum
from typing import Final

import attrs

__all__ = [
    "COMMAND_DATA_SET_TYPE",
    "DATA_SET_FOLLOWS",
    "ELEMENTS",
    "ELEMENT_HEADER",
    "NO_DATA_SET",
    "RESPONSE_BIT",
    "CommandElement",
    "CommandField",
    "OnAffectedClass",
    "OnAffectedInstance",
    "OnRequestedInstance",
    "Priority",
    "element_name",
]


class CommandField(enum.IntEnum):
    """Values of Command Field (0000,0100), PS3.7 Table E.1-1."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_GET_RQ = 0x0010
    C_GET_RSP = 0x8010
    C_FIND_RQ = 0x0020
    C_FIND_RSP = 0x8020
    C_MOVE_RQ = 0x0021
    C_MOVE_RSP = 0x8021
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    N_EVENT_REPORT_RQ = 0x0100
    N_EVENT_REPORT_RSP = 0x8100
    N_GET_RQ = 0x0110
    N_GET_RSP = 0x8110
    N_SET_RQ = 0x0120
    N_SET_RSP = 0x8120
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130
    N_CREATE_RQ = 0x0140
    N_CREATE_RSP = 0x8140
    N_DELETE_RQ = 0x0150
    N_DELETE_RSP = 0x8150
    C_CANCEL_RQ = 0x0FFF


RESPONSE_BIT: Final = 0x8000
"""Set in the Command Field of every response."""

NO_DATA_SET: Final = 0x0101
"""Command Data Set Type (0000,0800) when no data set follows; anything else announces one."""

DATA_SET_FOLLOWS: Final = 0x0001
"""What we write to announce one."""

ELEMENT_HEADER: Final = "<HHL"
"""Group, element and length of an element: Implicit VR Little Endian (PS3.7 6.3.1)."""


class Priority(enum.IntEnum):
    """Priority (0000,0700)."""

    MEDIUM = 0x0000
    HIGH = 0x0001
    LOW = 0x0002


@attrs.frozen
class CommandElement:
    """One row of PS3.7 Table E.1-1."""

    number: int
    """The element number; the group is 0000."""
    vr: str
    """The value representation."""
    name: str
    """The message field, as the standard calls it."""

    def __str__(self) -> str:
        return f"{self.name} (0000,{self.number:04X})"


COMMAND_DATA_SET_TYPE: Final = CommandElement(0x0800, "US", "Command Data Set Type")
"""Says whether a data set follows; no attribute of a message, but told beside it."""

ELEMENTS: Final[dict[str, CommandElement]] = {
    "affected_sop_class_uid": CommandElement(0x0002, "UI", "Affected SOP Class UID"),
    "requested_sop_class_uid": CommandElement(0x0003, "UI", "Requested SOP Class UID"),
    "command_field": CommandElement(0x0100, "US", "Command Field"),
    "message_id": CommandElement(0x0110, "US", "Message ID"),
    "message_id_being_responded_to": CommandElement(0x0120, "US", "Message ID Being Responded To"),
    "move_destination": CommandElement(0x0600, "AE", "Move Destination"),
    "priority": CommandElement(0x0700, "US", "Priority"),
    "status": CommandElement(0x0900, "US", "Status"),
    "offending_element": CommandElement(0x0901, "AT", "Offending Element"),
    "error_comment": CommandElement(0x0902, "LO", "Error Comment"),
    "error_id": CommandElement(0x0903, "US", "Error ID"),
    "affected_sop_instance_uid": CommandElement(0x1000, "UI", "Affected SOP Instance UID"),
    "requested_sop_instance_uid": CommandElement(0x1001, "UI", "Requested SOP Instance UID"),
    "event_type_id": CommandElement(0x1002, "US", "Event Type ID"),
    "attribute_identifier_list": CommandElement(0x1005, "AT", "Attribute Identifier List"),
    "action_type_id": CommandElement(0x1008, "US", "Action Type ID"),
    "number_of_remaining_suboperations": CommandElement(
        0x1020, "US", "Number of Remaining Sub-operations"
    ),
    "number_of_completed_suboperations": CommandElement(
        0x1021, "US", "Number of Completed Sub-operations"
    ),
    "number_of_failed_suboperations": CommandElement(
        0x1022, "US", "Number of Failed Sub-operations"
    ),
    "number_of_warning_suboperations": CommandElement(
        0x1023, "US", "Number of Warning Sub-operations"
    ),
    "move_originator_ae_title": CommandElement(
        0x1030, "AE", "Move Originator Application Entity Title"
    ),
    "move_originator_message_id": CommandElement(0x1031, "US", "Move Originator Message ID"),
}
"""Attribute of a message -> the element it becomes. Attributes that are not here don't exist
on the wire; those of Table E.1-1 that are not here either are retired (Table E.2-1)."""

_NAMES: Final = {one.number: one.name for one in (*ELEMENTS.values(), COMMAND_DATA_SET_TYPE)}


def element_name(number: int) -> str:
    """Name an element of group 0000 for an error message, by its tag if nothing else."""
    tag = f"(0000,{number:04X})"
    return f"{_NAMES[number]} {tag}" if number in _NAMES else tag


# What a request is about is called "affected" in some messages and "requested" in others
# (PS3.7 10.1); these give both one name, for dispatch and for the answer.


class OnAffectedClass:
    """A request about a SOP class as a whole: C-ECHO, C-FIND, C-GET, C-MOVE."""

    __slots__ = ()

    affected_sop_class_uid: str

    @property
    def sop_class_uid(self) -> str:
        """The SOP class that the request is about."""
        return self.affected_sop_class_uid

    @property
    def sop_instance_uid(self) -> str:
        """Always empty: the request is not about an instance."""
        return ""


class OnAffectedInstance:
    """A request about an instance that it brings or tells of: C-STORE, N-EVENT-REPORT, N-CREATE."""

    __slots__ = ()

    affected_sop_class_uid: str
    affected_sop_instance_uid: str

    @property
    def sop_class_uid(self) -> str:
        """The SOP class that the request is about."""
        return self.affected_sop_class_uid

    @property
    def sop_instance_uid(self) -> str:
        """The SOP instance that the request is about; empty in an N-CREATE that leaves it open."""
        return self.affected_sop_instance_uid


class OnRequestedInstance:
    """A request about an instance that the peer has: N-GET, N-SET, N-ACTION, N-DELETE."""

    __slots__ = ()

    requested_sop_class_uid: str
    requested_sop_instance_uid: str

    @property
    def sop_class_uid(self) -> str:
        """The SOP class that the request is about."""
        return self.requested_sop_class_uid

    @property
    def sop_instance_uid(self) -> str:
        """The SOP instance that the request is about."""
        return self.requested_sop_instance_uid

"""DIMSE messages: the command sets of PS3.7 as values, and their bytes.

A command set is always Implicit VR Little Endian (PS3.7 6.3.1). One table,
:data:`_ELEMENTS`, says which element each attribute of a message becomes; the messages
are plain values. The encoder writes what the standard asks for, the decoder takes
what peers send: elements in any order, unknown ones, missing optional ones.
"""

from __future__ import annotations

import enum
import struct
from typing import Any, ClassVar, Final, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = [
    "RESPONSE_BIT",
    "CCancelRQ",
    "CEchoRQ",
    "CEchoRSP",
    "CFindRQ",
    "CFindRSP",
    "CGetRQ",
    "CGetRSP",
    "CStoreRQ",
    "CStoreRSP",
    "CommandField",
    "DecodedCommand",
    "Message",
    "Priority",
    "Request",
    "Response",
    "Status",
    "StatusCategory",
    "UnsupportedRQ",
    "UnsupportedRSP",
    "decode_command",
    "encode_command",
    "status_category",
]


class CommandField(enum.IntEnum):
    """Values of Command Field (0000,0100), PS3.7 Table E.1-1."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_GET_RQ = 0x0010
    C_GET_RSP = 0x8010
    C_FIND_RQ = 0x0020
    C_FIND_RSP = 0x8020
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    C_CANCEL_RQ = 0x0FFF


RESPONSE_BIT: Final = 0x8000
"""Set in the Command Field of every response."""

NO_DATA_SET: Final = 0x0101
"""Command Data Set Type (0000,0800) when no data set follows; anything else announces one."""

_DATA_SET_FOLLOWS: Final = 0x0001


class Priority(enum.IntEnum):
    """Priority (0000,0700)."""

    MEDIUM = 0x0000
    HIGH = 0x0001
    LOW = 0x0002


class Status(enum.IntEnum):
    """Status codes (0000,0900) that this SDK sends itself, PS3.7 Annex C and PS3.4."""

    SUCCESS = 0x0000
    PENDING = 0xFF00
    PENDING_WITH_WARNING = 0xFF01
    CANCEL = 0xFE00
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    NO_SUCH_SOP_INSTANCE = 0x0112
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NOT_AUTHORISED = 0x0124
    UNRECOGNIZED_OPERATION = 0x0211
    SUBOPERATIONS_WITH_FAILURES = 0xB000
    OUT_OF_RESOURCES = 0xA700
    OUT_OF_RESOURCES_SUBOPERATIONS = 0xA702
    DATA_SET_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000


class StatusCategory(enum.Enum):
    """The five kinds of status (PS3.7 Annex C)."""

    SUCCESS = "success"
    PENDING = "pending"
    CANCEL = "cancel"
    WARNING = "warning"
    FAILURE = "failure"


_GENERAL_WARNINGS: Final = frozenset((0x0001, 0x0107, 0x0116))


def status_category(status: int) -> StatusCategory:
    """Tell which kind a status code is; whatever is not known to be better is a failure."""
    if status == Status.SUCCESS:
        return StatusCategory.SUCCESS
    if status in (Status.PENDING, Status.PENDING_WITH_WARNING):
        return StatusCategory.PENDING
    if status == Status.CANCEL:
        return StatusCategory.CANCEL
    if status & 0xF000 == 0xB000 or status in _GENERAL_WARNINGS:
        return StatusCategory.WARNING
    return StatusCategory.FAILURE


@attrs.frozen
class CEchoRQ:
    """C-ECHO request (PS3.7 9.3.5.1)."""

    command_field: ClassVar[int] = CommandField.C_ECHO_RQ
    message_id: int
    affected_sop_class_uid: str = "1.2.840.10008.1.1"


@attrs.frozen
class CEchoRSP:
    """C-ECHO response (PS3.7 9.3.5.2)."""

    command_field: ClassVar[int] = CommandField.C_ECHO_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = "1.2.840.10008.1.1"
    error_comment: str = ""


@attrs.frozen
class CStoreRQ:
    """C-STORE request (PS3.7 9.3.1.1)."""

    command_field: ClassVar[int] = CommandField.C_STORE_RQ
    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    priority: int = Priority.MEDIUM
    move_originator_ae_title: str = ""
    move_originator_message_id: int | None = None


@attrs.frozen
class CStoreRSP:
    """C-STORE response (PS3.7 9.3.1.2)."""

    command_field: ClassVar[int] = CommandField.C_STORE_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    affected_sop_instance_uid: str = ""
    error_comment: str = ""


@attrs.frozen
class CFindRQ:
    """C-FIND request (PS3.7 9.3.2.1)."""

    command_field: ClassVar[int] = CommandField.C_FIND_RQ
    message_id: int
    affected_sop_class_uid: str
    priority: int = Priority.MEDIUM


@attrs.frozen
class CFindRSP:
    """C-FIND response (PS3.7 9.3.2.2)."""

    command_field: ClassVar[int] = CommandField.C_FIND_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    error_comment: str = ""


@attrs.frozen
class CGetRQ:
    """C-GET request (PS3.7 9.3.3.1)."""

    command_field: ClassVar[int] = CommandField.C_GET_RQ
    message_id: int
    affected_sop_class_uid: str
    priority: int = Priority.MEDIUM


@attrs.frozen
class CGetRSP:
    """C-GET response (PS3.7 9.3.3.2)."""

    command_field: ClassVar[int] = CommandField.C_GET_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    number_of_remaining_suboperations: int | None = None
    number_of_completed_suboperations: int | None = None
    number_of_failed_suboperations: int | None = None
    number_of_warning_suboperations: int | None = None
    error_comment: str = ""


@attrs.frozen
class CCancelRQ:
    """C-CANCEL request for C-FIND and C-GET (PS3.7 9.3.2.3, 9.3.3.3)."""

    command_field: ClassVar[int] = CommandField.C_CANCEL_RQ
    message_id_being_responded_to: int


@attrs.frozen
class UnsupportedRQ:
    """A request whose operation this SDK does not know; answered with 0211H."""

    command_field: int
    message_id: int
    affected_sop_class_uid: str = ""
    requested_sop_class_uid: str = ""


@attrs.frozen
class UnsupportedRSP:
    """The answer to an :class:`UnsupportedRQ` (PS3.7 C.5.19)."""

    command_field: int
    message_id_being_responded_to: int
    status: int = Status.UNRECOGNIZED_OPERATION
    affected_sop_class_uid: str = ""
    error_comment: str = ""


Request: TypeAlias = CEchoRQ | CStoreRQ | CFindRQ | CGetRQ | UnsupportedRQ
"""A message that asks for an operation and carries a Message ID."""

Response: TypeAlias = CEchoRSP | CStoreRSP | CFindRSP | CGetRSP | UnsupportedRSP
"""A message that answers one."""

Message: TypeAlias = Request | Response | CCancelRQ
"""Any message; a C-CANCEL-RQ asks, but nothing answers it."""

_MESSAGES: Final[dict[int, type[Any]]] = {
    kind.command_field: kind
    for kind in (
        CEchoRQ, CEchoRSP, CStoreRQ, CStoreRSP, CFindRQ, CFindRSP, CGetRQ, CGetRSP, CCancelRQ,
    )
}  # fmt: skip

# Looked up once, not at every message: attrs.fields() would dominate a C-ECHO.
_ATTRIBUTE_NAMES: Final[dict[type[Any], tuple[str, ...]]] = {
    kind: tuple(field.name for field in attrs.fields(kind))
    for kind in (*_MESSAGES.values(), UnsupportedRQ, UnsupportedRSP)
}

# Attribute of a message -> element number in group 0000, VR (PS3.7 Table E.1-1).
_ELEMENTS: Final[dict[str, tuple[int, str]]] = {
    "affected_sop_class_uid": (0x0002, "UI"),
    "requested_sop_class_uid": (0x0003, "UI"),
    "command_field": (0x0100, "US"),
    "message_id": (0x0110, "US"),
    "message_id_being_responded_to": (0x0120, "US"),
    "priority": (0x0700, "US"),
    "status": (0x0900, "US"),
    "error_comment": (0x0902, "LO"),
    "affected_sop_instance_uid": (0x1000, "UI"),
    "number_of_remaining_suboperations": (0x1020, "US"),
    "number_of_completed_suboperations": (0x1021, "US"),
    "number_of_failed_suboperations": (0x1022, "US"),
    "number_of_warning_suboperations": (0x1023, "US"),
    "move_originator_ae_title": (0x1030, "AE"),
    "move_originator_message_id": (0x1031, "US"),
}
_ATTRIBUTES: Final = {element: (name, vr) for name, (element, vr) in _ELEMENTS.items()}
_COMMAND_DATA_SET_TYPE: Final = 0x0800
_PADDING: Final = {"UI": b"\0", "LO": b" ", "AE": b" "}
_MAX_TEXT_LENGTH: Final = {"UI": 64, "LO": 64, "AE": 16}

_HEADER: Final = struct.Struct("<HHL")
_US_ELEMENT: Final = struct.Struct("<HHLH")


@attrs.frozen
class DecodedCommand:
    """A command set as it was received."""

    message: Message
    """The message it makes."""
    has_dataset: bool
    """Whether a data set follows it."""


def encode_command(message: Message, *, has_dataset: bool) -> bytes:
    """Encode a command set, group length first (PS3.7 6.3.1, E.1).

    Raises:
        PacsException: ``INVALID_DIMSE_MESSAGE`` when a value does not fit its element.
    """
    elements = [(0x0100, _unsigned_short(0x0100, message.command_field))]
    elements.append(
        (0x0800, _unsigned_short(0x0800, _DATA_SET_FOLLOWS if has_dataset else NO_DATA_SET))
    )
    for name in _ATTRIBUTE_NAMES[type(message)]:
        value = getattr(message, name)
        if name != "command_field" and value is not None and value != "":
            element, vr = _ELEMENTS[name]
            elements.append(
                (
                    element,
                    _unsigned_short(element, value) if vr == "US" else _text(element, vr, value),
                )
            )
    body = b"".join(encoded for _, encoded in sorted(elements))
    return _HEADER.pack(0, 0, 4) + len(body).to_bytes(4, "little") + body


def _unsigned_short(element: int, value: int) -> bytes:
    if not 0 <= value <= 0xFFFF:
        raise PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE, f"{value} does not fit (0000,{element:04X})"
        )
    return _US_ELEMENT.pack(0, element, 2, value)


def _text(element: int, vr: str, value: str) -> bytes:
    limit = _MAX_TEXT_LENGTH[vr]
    if vr == "LO":
        value = _comment(value, limit)
    if len(value) > limit or not value.isascii():
        raise PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE,
            f"{value[:80]!r} does not fit (0000,{element:04X}): ASCII, at most {limit} characters",
        )
    raw = value.encode("ascii")
    if len(raw) % 2:
        raw += _PADDING[vr]
    return _HEADER.pack(0, element, len(raw)) + raw


def _comment(value: str, limit: int) -> str:
    """Make a comment of what an error said, which may be anything, rather than fail to answer.

    A backslash would separate values, and an LO has no control characters (PS3.5 6.2).
    """
    shown = value.replace("\\", "/").encode("ascii", "replace").decode("ascii")
    return "".join(char if char.isprintable() else " " for char in shown)[:limit]


def decode_command(data: bytes | bytearray | memoryview) -> DecodedCommand:
    """Decode one whole command set.

    Raises:
        PacsException: ``INVALID_DIMSE_MESSAGE`` naming the element or byte offset.
    """
    values: dict[str, Any] = {}
    data_set_type = NO_DATA_SET
    for element, value in _elements(bytes(data)):
        if element == _COMMAND_DATA_SET_TYPE:
            data_set_type = _number(element, value)
        elif element in _ATTRIBUTES:
            name, vr = _ATTRIBUTES[element]
            if vr == "US":
                if value:
                    values[name] = _number(element, value)
            else:
                values[name] = value.decode("ascii", "replace").strip("\0 ")
    command_field = values.pop("command_field", None)
    if command_field is None:
        raise PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE, "the command set has no Command Field (0000,0100)"
        )
    return DecodedCommand(_message(command_field, values), data_set_type != NO_DATA_SET)


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < _HEADER.size:
            raise PacsException(
                ErrorCode.INVALID_DIMSE_MESSAGE,
                f"the command set ends inside an element header at byte {offset}",
                offset=offset,
            )
        group, element, length = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        if group != 0:
            raise PacsException(
                ErrorCode.INVALID_DIMSE_MESSAGE,
                f"({group:04X},{element:04X}) at byte {offset - _HEADER.size} is no command element",
                offset=offset - _HEADER.size,
            )
        if length > end - offset:
            raise PacsException(
                ErrorCode.INVALID_DIMSE_MESSAGE,
                f"(0000,{element:04X}) claims {length} bytes where {end - offset} remain",
                offset=offset,
            )
        found.append((element, data[offset : offset + length]))
        offset += length
    return found


def _number(element: int, value: bytes) -> int:
    if len(value) != 2:
        raise PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE,
            f"(0000,{element:04X}) has {len(value)} bytes where a US value has 2",
        )
    return int.from_bytes(value, "little")


def _message(command_field: int, values: dict[str, Any]) -> Message:
    kind = _MESSAGES.get(command_field)
    if kind is None:
        kind = UnsupportedRSP if command_field & RESPONSE_BIT else UnsupportedRQ
        values["command_field"] = command_field
    wanted = _ATTRIBUTE_NAMES[kind]
    try:
        message: Message = kind(**{name: values[name] for name in wanted if name in values})
    except TypeError:
        required = [f.name for f in attrs.fields(kind) if f.default is attrs.NOTHING]
        missing = ", ".join(
            f"(0000,{_ELEMENTS[name][0]:04X})" for name in required if name not in values
        )
        raise PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE,
            f"the command set with Command Field {command_field:04X}H lacks {missing}",
        ) from None
    return message

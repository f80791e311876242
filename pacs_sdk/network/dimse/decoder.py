"""The tolerant reader of command sets (PS3.7 6.3.1, Annex E).

Tolerated are elements in any order, unknown ones, a missing or wrong group length, values
of odd length or with the other padding, and missing optional elements. An empty number
counts as missing. An empty or malformed UID or AE title is handed on as it is, so that
the request can be answered with a status rather than an abort.

Behind a response without a data set, where its group length says that it ends, elements of other
groups are not read: Orthanc puts the identifier of a C-GET there that failed in part.

Refused are lengths that lie, elements of other groups elsewhere, numbers and tags of the wrong
size, and the same element twice: peers that read the first and peers that read the last
would not agree on what was asked for.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.uids import MAX_UID_LENGTH
from pacs_sdk.network.dimse.composite import CEchoRSP, CStoreRQ, CStoreRSP
from pacs_sdk.network.dimse.elements import (
    COMMAND_DATA_SET_TYPE,
    ELEMENT_HEADER,
    ELEMENTS,
    NO_DATA_SET,
    RESPONSE_BIT,
    CommandElement,
    element_name,
)
from pacs_sdk.network.dimse.messages import (
    MESSAGE_TYPES,
    Message,
    UnsupportedRQ,
    UnsupportedRSP,
)

__all__ = ["DecodedCommand", "decode_command"]

_HEADER: Final = struct.Struct(ELEMENT_HEADER)
_GROUP_LENGTH_HEADER: Final = _HEADER.pack(0, 0, 4)
_DATA_SET_TYPE: Final = "command_data_set_type"


@attrs.frozen
class DecodedCommand:
    """A command set as it was received."""

    message: Message
    """The message it makes."""
    has_dataset: bool
    """Whether a data set follows it."""


# -- values --------------------------------------------------------------------------------


def _number(element: int, raw: bytes) -> int | None:
    if len(raw) == 2:
        return raw[0] | raw[1] << 8
    if not raw:
        return None
    raise PacsException(
        ErrorCode.INVALID_DIMSE_MESSAGE,
        f"{element_name(element)} has {len(raw)} bytes where a US value has 2",
    )


def _text(_: int, raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip("\0 ")


def _tags(element: int, raw: bytes) -> tuple[int, ...]:
    if len(raw) % 4:
        raise PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE,
            f"{element_name(element)} has {len(raw)} bytes where each AT value has 4",
        )
    return tuple(group << 16 | number for group, number in struct.iter_unpack("<HH", raw))


_Reader: TypeAlias = Callable[[int, bytes], Any]
_READERS_OF_VR: Final[dict[str, _Reader]] = {
    "US": _number,
    "UI": _text,
    "AE": _text,
    "LO": _text,
    "AT": _tags,
}
_READERS: Final[dict[int, tuple[str, _Reader]]] = {
    element.number: (name, _READERS_OF_VR[element.vr])
    for name, element in {**ELEMENTS, _DATA_SET_TYPE: COMMAND_DATA_SET_TYPE}.items()
}
"""Element number -> the attribute it is, and what reads it."""


# -- messages ------------------------------------------------------------------------------


@attrs.frozen
class _Shape:
    """What a class of messages takes: worked out once, not asked of attrs at every message."""

    names: frozenset[str]
    """All its attributes."""
    required: frozenset[str]
    """Those that must be there."""


_SHAPES: Final = {
    kind: _Shape(
        frozenset(field.name for field in attrs.fields(kind)),
        frozenset(field.name for field in attrs.fields(kind) if field.default is attrs.NOTHING),
    )
    for kind in (*MESSAGE_TYPES.values(), UnsupportedRQ, UnsupportedRSP)
}


def decode_command(data: bytes | bytearray | memoryview) -> DecodedCommand:
    """Decode one whole command set.

    Args:
        data: All of its bytes and no others.

    Raises:
        PacsException: ``INVALID_DIMSE_MESSAGE`` naming the element or byte offset.
    """
    whole = bytes(data)
    usual = _usual_store(whole)
    if usual is not None:
        return usual
    values = _values(whole)
    has_dataset = values.pop(_DATA_SET_TYPE, NO_DATA_SET) != NO_DATA_SET
    command_field = values.pop("command_field", None)
    if command_field is None:
        raise PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE,
            f"the command set has no {ELEMENTS['command_field']}",
        )
    kind = MESSAGE_TYPES.get(command_field)
    if kind is None:
        kind = UnsupportedRSP if command_field & RESPONSE_BIT else UnsupportedRQ
        values["command_field"] = command_field
    if kind is CEchoRSP and not values.get("affected_sop_class_uid", True):
        del values["affected_sop_class_uid"]  # as if it were absent, which it may be
    shape = _SHAPES[kind]
    found = values.keys()
    if not found >= shape.required:
        missing = sorted(shape.required - found, key=lambda name: ELEMENTS[name].number)
        raise PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE,
            f"the command set with Command Field {command_field:04X}H lacks "
            + ", ".join(str(ELEMENTS[name]) for name in missing),
        )
    if not found <= shape.names:  # elements of other messages mean nothing in this one
        values = {name: value for name, value in values.items() if name in shape.names}
    return DecodedCommand(kind(**values), has_dataset)


# -- the messages that come with every image -------------------------------------------------


def _tag(name: str) -> bytes:
    return struct.pack("<HH", 0, ELEMENTS[name].number)


def _us_header(element: CommandElement) -> bytes:
    return _HEADER.pack(0, element.number, 2)


_STORE_BEGINNING: Final = struct.Struct("<8s4x4sL")
"""Group length; tag and length of Affected SOP Class UID, whose value follows."""
_STORE_REST: Final = struct.Struct("<8sH8sH8sH8sH4sL")
"""Four numbers from Command Field on, and tag and length of Affected SOP Instance UID."""
_STORE_BEGINNING_TAGS: Final = (_GROUP_LENGTH_HEADER, _tag("affected_sop_class_uid"))
_STORE_RQ_TAGS: Final = (
    _us_header(ELEMENTS["command_field"]),
    _us_header(ELEMENTS["message_id"]),
    _us_header(ELEMENTS["priority"]),
    _us_header(COMMAND_DATA_SET_TYPE),
    _tag("affected_sop_instance_uid"),
)
_STORE_RSP_TAGS: Final = (
    _us_header(ELEMENTS["command_field"]),
    _us_header(ELEMENTS["message_id_being_responded_to"]),
    _us_header(COMMAND_DATA_SET_TYPE),
    _us_header(ELEMENTS["status"]),
    _tag("affected_sop_instance_uid"),
)
_SHORTEST_STORE: Final = _STORE_BEGINNING.size + _STORE_REST.size


@functools.lru_cache(256)
def _class_uid(raw: bytes) -> str:
    """Read a SOP class, of which there are few."""
    return _text(0, raw)


def _usual_store(data: bytes) -> DecodedCommand | None:
    """Read a C-STORE as nearly all write it: just these elements, in the order of their tags.

    Any other message is read element by element, to the same result.
    """
    if len(data) < _SHORTEST_STORE:
        return None
    group_length, class_tag, class_length = _STORE_BEGINNING.unpack_from(data)
    class_end = _STORE_BEGINNING.size + class_length
    start = class_end + _STORE_REST.size
    if (
        (group_length, class_tag) != _STORE_BEGINNING_TAGS
        or class_length > MAX_UID_LENGTH
        or start > len(data)
    ):
        return None
    rest = _STORE_REST.unpack_from(data, class_end)
    command_field, number, third, fourth, uid_length = rest[1::2]
    if start + uid_length != len(data):
        return None
    tags = rest[::2]
    if tags == _STORE_RQ_TAGS and command_field == CStoreRQ.command_field:
        uids = _class_uid(data[_STORE_BEGINNING.size : class_end]), _text(0, data[start:])
        return DecodedCommand(CStoreRQ(number, *uids, third), fourth != NO_DATA_SET)
    if tags == _STORE_RSP_TAGS and command_field == CStoreRSP.command_field:
        uids = _class_uid(data[_STORE_BEGINNING.size : class_end]), _text(0, data[start:])
        return DecodedCommand(CStoreRSP(number, fourth, *uids), third != NO_DATA_SET)
    return None


def _values(data: bytes) -> dict[str, Any]:
    """Read all known elements in one pass; on the path of every image, hence no iterator."""
    values: dict[str, Any] = {}
    offset, end = 0, len(data)
    while offset < end:
        start = offset + 8
        if start > end:
            raise PacsException(
                ErrorCode.INVALID_DIMSE_MESSAGE,
                f"the command set ends inside an element header at byte {offset}",
                offset=offset,
            )
        group, element, length = _HEADER.unpack_from(data, offset)
        if group:
            if _ends_at(offset, data, values):
                break
            raise PacsException(
                ErrorCode.INVALID_DIMSE_MESSAGE,
                f"({group:04X},{element:04X}) at byte {offset} is no command element",
                offset=offset,
            )
        offset = start + length
        if offset > end:
            raise PacsException(
                ErrorCode.INVALID_DIMSE_MESSAGE,
                f"{element_name(element)} claims {length} bytes where {end - start} remain",
                offset=start,
            )
        known = _READERS.get(element)
        if known is None:
            continue
        name, read = known
        if name in values:
            raise PacsException(
                ErrorCode.INVALID_DIMSE_MESSAGE,
                f"{element_name(element)} occurs again at byte {start - 8}",
                offset=start - 8,
            )
        if read is _number and length == 2:  # most of them
            values[name] = data[start] | data[start + 1] << 8
            continue
        value = read(element, data[start:offset])
        if value is not None:
            values[name] = value
    return values


def _ends_at(offset: int, data: bytes, values: Mapping[str, Any]) -> bool:
    """Whether a response without a data set ends here, by its Command Group Length."""
    is_response = values.get("command_field", 0) & RESPONSE_BIT
    if not is_response or values.get(_DATA_SET_TYPE) != NO_DATA_SET:
        return False
    start = len(_GROUP_LENGTH_HEADER)
    length = int.from_bytes(data[start : start + 4], "little")
    return data.startswith(_GROUP_LENGTH_HEADER) and offset == start + 4 + length

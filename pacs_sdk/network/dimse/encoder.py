"""The strict writer of command sets (PS3.7 6.3.1, Annex E)."""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.network.dimse.composite import CStoreRSP
from pacs_sdk.network.dimse.elements import (
    COMMAND_DATA_SET_TYPE,
    DATA_SET_FOLLOWS,
    ELEMENT_HEADER,
    ELEMENTS,
    NO_DATA_SET,
    RESPONSE_BIT,
    CommandElement,
    Priority,
)
from pacs_sdk.network.dimse.messages import (
    MESSAGE_TYPES,
    REQUEST_TYPES,
    Message,
    UnsupportedRQ,
    UnsupportedRSP,
)

__all__ = ["encode_command"]

_HEADER: Final = struct.Struct(ELEMENT_HEADER)
_US_ELEMENT: Final = struct.Struct(ELEMENT_HEADER + "H")
_GROUP_LENGTH: Final = struct.Struct(ELEMENT_HEADER + "L")

_DATA_SET_TYPE: Final = {
    has_dataset: _US_ELEMENT.pack(0, COMMAND_DATA_SET_TYPE.number, 2, value)
    for has_dataset, value in ((True, DATA_SET_FOLLOWS), (False, NO_DATA_SET))
}

_REMEMBERED_CLASSES: Final = 256
"""How many SOP classes are encoded once and for all; there are not many more in use."""

_MAX_COMMENT_LENGTH: Final = 64
_AE_TITLE: Final = re.compile(r"(?=.*[^ ])[ -\[\]-~]{1,16}")
"""PS3.5 6.2: the default repertoire without backslash and control characters, not blank."""

_Writer: TypeAlias = Callable[[Any], bytes]
"""Makes an element of an attribute's value: tag, length and padded value; or no bytes."""


# -- one element ---------------------------------------------------------------------------


def _unfit(element: CommandElement, value: object, wanted: str) -> PacsException:
    if value is None or value == "":
        return PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE, f"{element} is missing: it must be {wanted}"
        )
    return PacsException(
        ErrorCode.INVALID_DIMSE_MESSAGE, f"{element} cannot be {value!r:.80}: it must be {wanted}"
    )


def _unsigned_short(element: CommandElement, *, is_required: bool) -> _Writer:
    number, pack = element.number, _US_ELEMENT.pack

    def write(value: Any) -> bytes:
        if value is None and not is_required:
            return b""
        try:
            return pack(0, number, 2, value)
        except struct.error:
            raise _unfit(element, value, "a whole number from 0 to 65535") from None

    return write


def _priority(element: CommandElement) -> _Writer:
    encoded = {int(one): _US_ELEMENT.pack(0, element.number, 2, one) for one in Priority}

    def write(value: Any) -> bytes:
        known = encoded.get(value)
        if known is None:
            raise _unfit(element, value, "0 (medium), 1 (high) or 2 (low)")
        return known

    return write


def _uid(element: CommandElement, *, is_required: bool) -> _Writer:
    number, pack = element.number, _HEADER.pack

    def write(value: Any) -> bytes:
        if not value and not is_required:
            return b""
        if not value or not is_valid_uid(value):
            raise _unfit(element, value, "a UID: digits and dots, at most 64 characters")
        raw: bytes = value.encode("ascii")
        if len(raw) % 2:
            raw += b"\0"
        return pack(0, number, len(raw)) + raw

    return write


def _ae_title(element: CommandElement, *, is_required: bool) -> _Writer:
    def write(value: Any) -> bytes:
        if not value and not is_required:
            return b""
        if not value or _AE_TITLE.fullmatch(value) is None:
            raise _unfit(
                element, value, "an AE title: 1 to 16 ASCII characters, no backslash, not blank"
            )
        return _padded(element, value)

    return write


def _comment(element: CommandElement) -> _Writer:
    """Make a comment of what an error said, which may be anything, rather than fail to answer.

    A backslash would separate values, and an LO has no control characters; spaces around it
    are padding, which no reader would give back (PS3.5 6.2).
    """

    def write(value: Any) -> bytes:
        if not value:
            return b""
        shown = value.replace("\\", "/").encode("ascii", "replace").decode("ascii")
        clean = "".join(char if char.isprintable() else " " for char in shown)
        fitting = clean.strip()[:_MAX_COMMENT_LENGTH].rstrip()
        return _padded(element, fitting) if fitting else b""

    return write


def _padded(element: CommandElement, value: str) -> bytes:
    raw = value.encode("ascii")
    if len(raw) % 2:
        raw += b" "
    return _HEADER.pack(0, element.number, len(raw)) + raw


def _tags(element: CommandElement) -> _Writer:
    def write(value: Any) -> bytes:
        if not value:
            return b""
        try:
            halves = [half for tag in value for half in (tag >> 16, tag & 0xFFFF)]
            raw = struct.pack(f"<{len(halves)}H", *halves)
        except (TypeError, struct.error):
            raise _unfit(element, value, "tags, each from 0 to FFFFFFFFH") from None
        return _HEADER.pack(0, element.number, len(raw)) + raw

    return write


def _constant(element: CommandElement, value: int) -> _Writer:
    encoded = _US_ELEMENT.pack(0, element.number, 2, value)
    return lambda _: encoded


def _unknown_operation(element: CommandElement, *, is_response: bool) -> _Writer:
    """Keep an unsupported message from looking like another one to whoever reads it."""
    write_number = _unsigned_short(element, is_required=True)
    kind = "response" if is_response else "request"

    def write(value: Any) -> bytes:
        encoded = write_number(value)
        if value in MESSAGE_TYPES or bool(value & RESPONSE_BIT) is not is_response:
            raise _unfit(element, f"{value:04X}H", f"that of a {kind} which has no class here")
        return encoded

    return write


# -- one message ---------------------------------------------------------------------------


@attrs.frozen
class _Plan:
    """How messages of one class are written: worked out once, in the order of the tags.

    A C-STORE-RQ goes with every image, its response with every one received: nothing is
    sorted, looked up or asked of attrs when one is written.
    """

    values: Callable[[Any], tuple[Any, ...]]
    """Reads all attributes of a message at once."""
    writers: tuple[_Writer, ...]
    """Writes each of them."""
    data_set_type_index: int
    """Where Command Data Set Type goes among them, which is no attribute."""


def _writer(kind: type[Any], field: attrs.Attribute[Any] | None) -> _Writer:
    """Choose the writer of an attribute; ``None`` stands for a class's own Command Field."""
    if field is None:
        return _constant(ELEMENTS["command_field"], kind.command_field)
    element = ELEMENTS[field.name]
    if field.name == "command_field":
        return _unknown_operation(element, is_response=kind is UnsupportedRSP)
    if field.name == "priority":
        return _priority(element)
    # Without a default it is mandatory; so is what a request has a default value for.
    is_required = field.default is attrs.NOTHING or (
        kind in REQUEST_TYPES and field.default not in ("", None, ())
    )
    match element.vr:
        case "US":
            return _unsigned_short(element, is_required=is_required)
        case "UI":
            write = _uid(element, is_required=is_required)
            # Of SOP classes there are few, of instances no two alike.
            is_class = field.name.endswith("class_uid")
            return functools.lru_cache(_REMEMBERED_CLASSES)(write) if is_class else write
        case "AE":
            return _ae_title(element, is_required=is_required)
        case "AT":
            return _tags(element)
        case _:
            return _comment(element)


def _plan(kind: type[Any]) -> _Plan:
    fields: dict[str, attrs.Attribute[Any] | None] = {"command_field": None}
    fields |= {field.name: field for field in attrs.fields(kind)}
    names = sorted(fields, key=lambda name: ELEMENTS[name].number)
    return _Plan(
        values=attrgetter(*names),
        writers=tuple(_writer(kind, fields[name]) for name in names),
        data_set_type_index=sum(
            ELEMENTS[name].number < COMMAND_DATA_SET_TYPE.number for name in names
        ),
    )


_PLANS: Final = {
    kind: _plan(kind) for kind in (*MESSAGE_TYPES.values(), UnsupportedRQ, UnsupportedRSP)
}


_write_class_uid: Final = functools.lru_cache(_REMEMBERED_CLASSES)(
    _uid(ELEMENTS["affected_sop_class_uid"], is_required=False)
)
_write_instance_uid: Final = _uid(ELEMENTS["affected_sop_instance_uid"], is_required=False)
_STORE_ANSWER: Final = struct.Struct("<8sH8sH8sH8sH")
_STORE_ANSWER_HEADERS: Final = tuple(
    _HEADER.pack(0, element.number, 2)
    for element in (
        ELEMENTS["command_field"],
        ELEMENTS["message_id_being_responded_to"],
        COMMAND_DATA_SET_TYPE,
        ELEMENTS["status"],
    )
)


def _usual_store_answer(message: CStoreRSP) -> bytes | None:
    """Write the answer that nearly every image gets: one step instead of nine.

    Any other message is written element by element, to the same result or an error in words.
    """
    if message.error_comment or message.offending_element or message.error_id is not None:
        return None
    field, number, kind, status = _STORE_ANSWER_HEADERS
    try:
        middle = _STORE_ANSWER.pack(
            field,
            CStoreRSP.command_field,
            number,
            message.message_id_being_responded_to,
            kind,
            NO_DATA_SET,
            status,
            message.status,
        )
    except struct.error:
        return None
    body = (
        _write_class_uid(message.affected_sop_class_uid)
        + middle
        + _write_instance_uid(message.affected_sop_instance_uid)
    )
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def encode_command(message: Message, *, has_dataset: bool) -> bytes:
    """Encode a command set, group length first (PS3.7 6.3.1, E.1).

    Args:
        message: What to write. A comment is made to fit; nothing else is.
        has_dataset: Whether a data set will follow it.

    Raises:
        PacsException: ``INVALID_DIMSE_MESSAGE`` naming the element that is missing or has
            a value it cannot have.
    """
    if type(message) is CStoreRSP and not has_dataset:
        usual = _usual_store_answer(message)
        if usual is not None:
            return usual
    return _written(message, has_dataset)


def _written(message: Message, has_dataset: bool) -> bytes:
    plan = _PLANS[type(message)]
    parts = [write(value) for write, value in zip(plan.writers, plan.values(message), strict=True)]
    parts.insert(plan.data_set_type_index, _DATA_SET_TYPE[has_dataset])
    body = b"".join(parts)
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body

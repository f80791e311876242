"""The user information item as bytes (PS3.8 9.3.2.3 and Annex D, PS3.7 D.3.3)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pacs_sdk.network.pdu_items import (
    PADDING,
    counted,
    forbidden,
    malformed,
    read_counted,
    read_items,
    read_numbers,
    read_uid,
    write_item,
    write_uid,
)
from pacs_sdk.network.user_information import (
    AsynchronousOperationsWindow,
    RoleSelection,
    SopClassCommonExtendedNegotiation,
    SopClassExtendedNegotiation,
    UserIdentityAC,
    UserIdentityRQ,
    UserIdentityType,
    UserInformation,
)

__all__ = ["MAXIMUM_LENGTH_IF_UNSTATED", "read_user_information", "write_user_information"]

MAXIMUM_LENGTH_IF_UNSTATED: Final = 16384
"""What a peer is taken to receive, in bytes, that leaves out the maximum length item although
PS3.8 D.1 requires it. Every implementation we know of takes this much; "no limit" would be
the risky guess."""

_MAXIMUM_LENGTH: Final = 0x51
_IMPLEMENTATION_CLASS_UID: Final = 0x52
_ASYNCHRONOUS_OPERATIONS_WINDOW: Final = 0x53
_ROLE_SELECTION: Final = 0x54
_IMPLEMENTATION_VERSION_NAME: Final = 0x55
_EXTENDED_NEGOTIATION: Final = 0x56
_COMMON_EXTENDED_NEGOTIATION: Final = 0x57
_USER_IDENTITY_RQ: Final = 0x58
_USER_IDENTITY_AC: Final = 0x59

_UINT16: Final = struct.Struct(">H")
_UINT32: Final = struct.Struct(">L")
_TWO_UINT16: Final = struct.Struct(">HH")
_TWO_UINT8: Final = struct.Struct(">BB")

_MAX_VERSION_NAME_LENGTH: Final = 16  # PS3.7 D.3.3.2.3


def read_user_information(pdu: bytes, start: int, stop: int) -> UserInformation:
    """Read the content of a user information item.

    Args:
        pdu: The whole PDU.
        start: Where the content begins.
        stop: Where it ends.

    Returns:
        The value. Of an item that must not be repeated but is, the last one counts; unknown
        sub-items are skipped (PS3.8 9.3.1).

    Raises:
        PacsException: ``INVALID_PDU``, a sub-item cannot be read.
    """
    fields: dict[str, Any] = {
        "maximum_length": MAXIMUM_LENGTH_IF_UNSTATED,
        "implementation_class_uid": "",
    }
    repeated: dict[str, list[Any]] = {}
    for kind, begin, end in read_items(pdu, start, stop, "user information item"):
        if (reader := _SINGLE.get(kind)) is not None:
            field, read = reader
            fields[field] = read(pdu, begin, end)
        elif (reader := _REPEATED.get(kind)) is not None:
            field, read = reader
            repeated.setdefault(field, []).append(read(pdu, begin, end))
    fields.update((field, tuple(values)) for field, values in repeated.items())
    return UserInformation(**fields)


def _read_maximum_length(pdu: bytes, start: int, stop: int) -> int:
    return read_numbers(pdu, _UINT32, start, stop, "maximum length item")[0]


def _read_implementation_class_uid(pdu: bytes, start: int, stop: int) -> str:
    return read_uid(pdu[start:stop])


def _read_implementation_version_name(pdu: bytes, start: int, stop: int) -> str:
    return pdu[start:stop].decode("latin-1").strip(PADDING)


def _read_window(pdu: bytes, start: int, stop: int) -> AsynchronousOperationsWindow:
    invoked, performed = read_numbers(
        pdu, _TWO_UINT16, start, stop, "asynchronous operations window item"
    )
    return AsynchronousOperationsWindow(invoked, performed)


def _read_role_selection(pdu: bytes, start: int, stop: int) -> RoleSelection:
    item = "role selection item"
    uid, offset = read_counted(pdu, start, stop, item)
    scu, scp = read_numbers(pdu, _TWO_UINT8, offset, stop, item)
    return RoleSelection(read_uid(uid), scu == 1, scp == 1)


def _read_extended(pdu: bytes, start: int, stop: int) -> SopClassExtendedNegotiation:
    uid, offset = read_counted(pdu, start, stop, "SOP class extended negotiation item")
    return SopClassExtendedNegotiation(read_uid(uid), pdu[offset:stop])


def _read_common_extended(pdu: bytes, start: int, stop: int) -> SopClassCommonExtendedNegotiation:
    item = "SOP class common extended negotiation item"
    uid, offset = read_counted(pdu, start, stop, item)
    service, offset = read_counted(pdu, offset, stop, item)
    related: list[str] = []
    if offset < stop:
        # What follows the list is reserved for later editions and not tested.
        (length,) = read_numbers(pdu, _UINT16, offset, stop, item)
        offset += _UINT16.size
        listed = offset + length
        if listed > stop:
            raise malformed(item, offset, f"lists {length} bytes where {stop - offset} are left")
        while offset < listed:
            general, offset = read_counted(pdu, offset, listed, item)
            related.append(read_uid(general))
    return SopClassCommonExtendedNegotiation(read_uid(uid), read_uid(service), tuple(related))


def _read_identity_request(pdu: bytes, start: int, stop: int) -> UserIdentityRQ:
    item = "user identity item"
    identity_type, response_requested = read_numbers(pdu, _TWO_UINT8, start, stop, item)
    primary, offset = read_counted(pdu, start + _TWO_UINT8.size, stop, item)
    # Some peers end the item here when there is no passcode.
    secondary = read_counted(pdu, offset, stop, item)[0] if offset < stop else b""
    return UserIdentityRQ(identity_type, primary, secondary, response_requested == 1)


def _read_identity_response(pdu: bytes, start: int, stop: int) -> UserIdentityAC:
    if start == stop:
        return UserIdentityAC()
    return UserIdentityAC(read_counted(pdu, start, stop, "user identity response item")[0])


_Reader: TypeAlias = tuple[str, Callable[[bytes, int, int], Any]]

_SINGLE: Final[Mapping[int, _Reader]] = {
    _MAXIMUM_LENGTH: ("maximum_length", _read_maximum_length),
    _IMPLEMENTATION_CLASS_UID: ("implementation_class_uid", _read_implementation_class_uid),
    _ASYNCHRONOUS_OPERATIONS_WINDOW: ("asynchronous_operations_window", _read_window),
    _IMPLEMENTATION_VERSION_NAME: (
        "implementation_version_name",
        _read_implementation_version_name,
    ),
    _USER_IDENTITY_RQ: ("user_identity", _read_identity_request),
    _USER_IDENTITY_AC: ("user_identity_response", _read_identity_response),
}

_REPEATED: Final[Mapping[int, _Reader]] = {
    _ROLE_SELECTION: ("role_selections", _read_role_selection),
    _EXTENDED_NEGOTIATION: ("extended_negotiations", _read_extended),
    _COMMON_EXTENDED_NEGOTIATION: ("common_extended_negotiations", _read_common_extended),
}


def write_user_information(information: UserInformation) -> bytes:
    """Write the content of a user information item, sub-items in the order of their types.

    Raises:
        PacsException: ``INVALID_PDU``, the standard forbids to send such a value.
    """
    return b"".join(
        (
            write_item(_MAXIMUM_LENGTH, _UINT32.pack(information.maximum_length), "maximum length"),
            write_item(
                _IMPLEMENTATION_CLASS_UID,
                write_uid(information.implementation_class_uid, "implementation class UID"),
                "implementation class UID",
            ),
            _write_window(information.asynchronous_operations_window),
            *map(_write_role_selection, information.role_selections),
            _write_version_name(information.implementation_version_name),
            *map(_write_extended, information.extended_negotiations),
            *map(_write_common_extended, information.common_extended_negotiations),
            _write_identity_request(information.user_identity),
            _write_identity_response(information.user_identity_response),
        )
    )


def _write_window(window: AsynchronousOperationsWindow | None) -> bytes:
    if window is None:
        return b""
    content = _TWO_UINT16.pack(window.maximum_invoked, window.maximum_performed)
    return write_item(
        _ASYNCHRONOUS_OPERATIONS_WINDOW, content, "asynchronous operations window item"
    )


def _write_role_selection(role: RoleSelection) -> bytes:
    item = "role selection item"
    content = counted(write_uid(role.sop_class_uid, item), item)
    return write_item(_ROLE_SELECTION, content + _TWO_UINT8.pack(role.scu, role.scp), item)


def _write_version_name(name: str) -> bytes:
    item = "implementation version name"
    if not name:
        return b""
    if len(name) > _MAX_VERSION_NAME_LENGTH or not (name.isascii() and name.isprintable()):
        raise forbidden(
            item, f"is not 1 to {_MAX_VERSION_NAME_LENGTH} ASCII characters: {name[:80]!r}"
        )
    return write_item(_IMPLEMENTATION_VERSION_NAME, name.encode("ascii"), item)


def _write_extended(negotiation: SopClassExtendedNegotiation) -> bytes:
    item = "SOP class extended negotiation item"
    content = counted(write_uid(negotiation.sop_class_uid, item), item)
    return write_item(_EXTENDED_NEGOTIATION, content + negotiation.application_information, item)


def _write_common_extended(negotiation: SopClassCommonExtendedNegotiation) -> bytes:
    item = "SOP class common extended negotiation item"
    related = b"".join(
        counted(write_uid(uid, item), item) for uid in negotiation.related_general_sop_class_uids
    )
    content = (
        counted(write_uid(negotiation.sop_class_uid, item), item)
        + counted(write_uid(negotiation.service_class_uid, item), item)
        + counted(related, item)
    )
    return write_item(_COMMON_EXTENDED_NEGOTIATION, content, item)


def _write_identity_request(identity: UserIdentityRQ | None) -> bytes:
    item = "user identity item"
    if identity is None:
        return b""
    if not isinstance(identity.identity_type, UserIdentityType):
        raise forbidden(item, f"has type {identity.identity_type}, which is none")
    has_passcode = identity.identity_type is UserIdentityType.USERNAME_AND_PASSCODE
    if identity.secondary_field and not has_passcode:
        raise forbidden(item, "has a secondary field, which only goes with a passcode")
    content = (
        _TWO_UINT8.pack(identity.identity_type, identity.positive_response_requested)
        + counted(identity.primary_field, item)
        + counted(identity.secondary_field, item)
    )
    return write_item(_USER_IDENTITY_RQ, content, item)


def _write_identity_response(response: UserIdentityAC | None) -> bytes:
    item = "user identity response item"
    if response is None:
        return b""
    return write_item(_USER_IDENTITY_AC, counted(response.server_response, item), item)

"""Items of an association PDU as bytes (PS3.8 9.3.1): the parts that every item is made of.

An item is a type, a reserved byte, a 2-byte length and that many bytes; items nest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.network.pdu_reasons import AbortReason

__all__ = [
    "ITEM_HEADER_LENGTH",
    "PADDING",
    "counted",
    "forbidden",
    "malformed",
    "read_counted",
    "read_items",
    "read_numbers",
    "read_uid",
    "write_item",
    "write_uid",
]

_ITEM: Final = struct.Struct(">BxH")
ITEM_HEADER_LENGTH: Final = _ITEM.size
"""Bytes before an item's content: type, reserved, length."""

_COUNT: Final = struct.Struct(">H")

_MAX_ITEM_LENGTH: Final = 0xFFFF  # the length has 2 bytes

PADDING: Final = " \0"
"""What peers fill text fields with. PS3.8 says spaces for AE titles and nothing for UIDs;
some write C strings into the one, or the trailing NUL of PS3.5 into the other."""


def malformed(
    item: str,
    offset: int,
    reason: str,
    abort_reason: AbortReason = AbortReason.INVALID_PDU_PARAMETER_VALUE,
) -> PacsException:
    """Make the error for bytes that cannot be read.

    Args:
        item: What is being read.
        offset: Where it begins, in bytes from the start of the PDU.
        reason: What is wrong with it, as the rest of a sentence.
        abort_reason: What an A-ABORT should say to it (PS3.8 Table 9-26).
    """
    return PacsException(
        ErrorCode.INVALID_PDU,
        f"the {item} at byte {offset} {reason}",
        item=item,
        offset=offset,
        abort_reason=int(abort_reason),
    )


def forbidden(item: str, reason: str) -> PacsException:
    """Make the error for a value that the standard forbids to send."""
    return PacsException(ErrorCode.INVALID_PDU, f"the {item} {reason}", item=item)


def read_items(pdu: bytes, start: int, stop: int, within: str) -> Iterator[tuple[int, int, int]]:
    """Walk over the items that fill a part of a PDU.

    Args:
        pdu: The whole PDU.
        start: Where the first item begins.
        stop: Where the last one has to end.
        within: What the items are part of.

    Yields:
        The type of each, and where its content begins and ends.
    """
    offset = start
    while offset < stop:
        begin = offset + ITEM_HEADER_LENGTH
        if begin > stop:
            raise malformed(f"item in the {within}", offset, "ends within its header")
        kind, length = _ITEM.unpack_from(pdu, offset)
        end = begin + length
        if end > stop:
            raise malformed(
                f"item {kind:02X}H in the {within}",
                offset,
                f"says it has {length} bytes where {stop - begin} are left",
            )
        yield kind, begin, end
        offset = end


def read_numbers(
    pdu: bytes, layout: struct.Struct, start: int, stop: int, item: str
) -> tuple[int, ...]:
    """Read the numbers of fixed width that an item begins with."""
    if start + layout.size > stop:
        raise malformed(item, start, f"has {stop - start} bytes, fewer than {layout.size}")
    return layout.unpack_from(pdu, start)


def read_counted(pdu: bytes, start: int, stop: int, item: str) -> tuple[bytes, int]:
    """Read a field that has its length before it.

    Returns:
        The field, and where it ends.
    """
    (length,) = read_numbers(pdu, _COUNT, start, stop, item)
    begin = start + _COUNT.size
    end = begin + length
    if end > stop:
        raise malformed(item, start, f"says it has {length} bytes where {stop - begin} are left")
    return pdu[begin:end], end


def read_uid(field: bytes) -> str:
    """Read a UID as it came, without padding; whether it is one is not tested here."""
    return field.decode("latin-1").strip(PADDING)


def write_uid(uid: str, item: str) -> bytes:
    """Write a UID, without padding (PS3.8 Annex F).

    Raises:
        PacsException: ``INVALID_PDU``, it has not a UID's form.
    """
    if not is_valid_uid(uid):
        raise forbidden(item, f"is not a UID: {uid[:80]!r} (digits and dots, at most 64)")
    return uid.encode("ascii")


def counted(field: bytes, item: str) -> bytes:
    """Write a field with its 2-byte length before it."""
    if len(field) > _MAX_ITEM_LENGTH:
        raise forbidden(item, f"has {len(field)} bytes, more than {_MAX_ITEM_LENGTH}")
    return _COUNT.pack(len(field)) + field


def write_item(kind: int, content: bytes, item: str) -> bytes:
    """Write an item: header and content.

    Raises:
        PacsException: ``INVALID_PDU``, the content is longer than an item can be.
    """
    if len(content) > _MAX_ITEM_LENGTH:
        raise forbidden(item, f"has {len(content)} bytes, more than {_MAX_ITEM_LENGTH}")
    return _ITEM.pack(kind, len(content)) + content

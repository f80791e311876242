"""The header scanner: some attributes of an encoded data set, nothing else built.

It is the first thing that happens to every received or loaded instance, so it is one
dense loop a layout: no object an element, no value touched that isn't wanted, and the
stop condition is looked at only where it can hold.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Collection, Mapping
from typing import Final

from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.deflated import inflate
from pacs_sdk.encoding.elements import (
    DELIMITER_GROUP,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Encoded,
    Layout,
    layout_of,
    plain_bytes,
    read_header,
    skip_undefined,
    truncated,
    truncated_header,
)
from pacs_sdk.encoding.header import INDEX_TAGS, InstanceHeader
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["PIXEL_DATA_GROUP", "is_complete", "scan_header"]

PIXEL_DATA_GROUP: Final = 0x7FE0
"""The group of Pixel Data and its float twins; the scan never goes past it."""

_SHORTEST_HEADER: Final = 8
_LONGEST_HEADER: Final = 12

_SHORT_CODES_LITTLE: Final = frozenset(int.from_bytes(vr, "little") for vr in SHORT_VRS)
_SHORT_CODES_BIG: Final = frozenset(int.from_bytes(vr, "big") for vr in SHORT_VRS)

_EXPLICIT_LITTLE: Final = struct.Struct("<IHH").unpack_from
_EXPLICIT_BIG: Final = struct.Struct(">IHH").unpack_from
_IMPLICIT_LITTLE: Final = struct.Struct("<II").unpack_from
_IMPLICIT_BIG: Final = struct.Struct(">II").unpack_from


@functools.lru_cache(maxsize=64)
def _wanted(tags: frozenset[int], little: bool) -> tuple[Mapping[int, int], int]:
    """Key the wanted tags by the number their four bytes make, and find the last group."""
    if little:  # group and element are each little endian, so read as one they are swapped
        keys = {(tag & 0xFFFF) << 16 | tag >> 16: tag for tag in tags}
    else:
        keys = {tag: tag for tag in tags}
    last_group = max((tag >> 16 for tag in tags), default=0)
    return keys, min(last_group, PIXEL_DATA_GROUP - 1)


@edge()
def scan_header(
    data: Buffer, syntax: TransferSyntax, tags: Collection[int] = INDEX_TAGS
) -> InstanceHeader:
    """Take some top-level attributes out of an encoded data set.

    Args:
        data: The data set without file meta, or its beginning if that reaches beyond
            the group of the last wanted tag.
        syntax: How it is encoded.
        tags: The attributes wanted; those of group 7FE0 and later are not looked for.

    Returns:
        ``Success`` with those of them that are there, or ``Failure`` with ``TRUNCATED``,
        ``DECODE_FAILED`` or ``LIMIT_EXCEEDED`` naming tag and byte offset.
    """
    encoded: Encoded = inflate(data) if syntax.deflated else plain_bytes(data)
    layout = layout_of(encoded, syntax)
    keys, last_group = _wanted(frozenset(tags), layout.little)
    scan = _scan_explicit if layout.explicit else _scan_implicit
    raw, stop = scan(encoded, layout, keys, last_group)
    if type(encoded) is not bytes:
        raw = {tag: bytes(value) for tag, value in raw.items()}
    return InstanceHeader(raw, layout.little, stop)  # type: ignore[arg-type]  # bytes now


def _scan_explicit(
    data: Encoded, layout: Layout, wanted: Mapping[int, int], last_group: int
) -> tuple[dict[int, Encoded], int]:
    """Scan explicit VR (PS3.5 7.1.2): ~75 elements of a CT header in a hundredth of a ms.

    A value is sliced without comparing its length with what remains: if it is too long,
    the next header lies beyond the end, and the check after the loop finds it. The
    stop condition is looked at only with long VRs, which Pixel Data and the large
    sequences have; a short element too many costs less than a comparison for each.
    """
    raw: dict[int, Encoded] = {}
    unpack = _EXPLICIT_LITTLE if layout.little else _EXPLICIT_BIG
    short_codes = _SHORT_CODES_LITTLE if layout.little else _SHORT_CODES_BIG
    at = pos = key = 0
    try:
        while True:
            key, code, length = unpack(data, pos)
            at = pos
            pos += 8
            if code in short_codes:
                if key in wanted:
                    raw[wanted[key]] = data[pos : pos + length]
                pos += length
                continue
            tag, vr, length, pos = read_header(data, at, layout)
            if tag >> 16 > last_group and not _is_stray_delimiter(tag, length):
                return raw, at
            if length == UNDEFINED_LENGTH:
                pos = skip_undefined(data, pos, vr, layout)
                continue
            if key in wanted:
                raw[wanted[key]] = data[pos : pos + length]
            pos += length
    except struct.error:  # no room for another header
        pass
    return raw, _checked_stop(data, layout, at, pos, last_group)


def _scan_implicit(
    data: Encoded, layout: Layout, wanted: Mapping[int, int], last_group: int
) -> tuple[dict[int, Encoded], int]:
    """Scan implicit VR (PS3.5 7.1.3); lengths are checked as in :func:`_scan_explicit`."""
    raw: dict[int, Encoded] = {}
    little = layout.little
    unpack = _IMPLICIT_LITTLE if little else _IMPLICIT_BIG
    at = pos = 0
    try:
        while True:
            key, length = unpack(data, pos)
            at = pos
            pos += 8
            if (key & 0xFFFF if little else key >> 16) > last_group:
                tag = read_header(data, at, layout)[0]
                if not _is_stray_delimiter(tag, length):
                    return raw, at
            if length == UNDEFINED_LENGTH:
                pos = skip_undefined(data, pos, None, layout)
                continue
            if key in wanted:
                raw[wanted[key]] = data[pos : pos + length]
            pos += length
    except struct.error:  # no room for another header
        pass
    return raw, _checked_stop(data, layout, at, pos, last_group)


def _is_stray_delimiter(tag: int, length: int) -> bool:
    """Whether this ends an item that never began: some writers leave such behind."""
    return tag >> 16 == DELIMITER_GROUP and length == 0


def _checked_stop(data: Encoded, layout: Layout, at: int, pos: int, last_group: int) -> int:
    """Tell a complete end of data from one inside an element that matters.

    ``at`` is where the last element began, ``pos`` where the next one should.
    """
    size = len(data)
    if pos == size:
        return size
    if at < size:
        tag, _, length, start = read_header(data, at, layout)
        if pos > size and tag >> 16 > last_group:
            return at
        if pos > size:
            raise truncated(tag, at, length, size - start)
    if any(data[pos:]):
        raise truncated_header(size, pos)
    return size


def is_complete(head: Buffer, size: int, syntax: TransferSyntax) -> bool:
    """Tell by the element headers alone whether a data set reaches its end.

    What follows Pixel Data is not looked at: padding and rubbish there are common and
    harmless.

    Args:
        head: The data set or its beginning, inflated.
        size: How many bytes the data set has.
        syntax: How it is encoded.

    Returns:
        True if it is complete, False if more than the head is needed to tell.

    Raises:
        PacsException: ``TRUNCATED`` naming the element that is cut off; or
            ``DECODE_FAILED`` or ``LIMIT_EXCEEDED`` for a broken sequence.
    """
    data = plain_bytes(head)
    known = len(data)
    layout = layout_of(data, syntax)
    pos = 0
    while pos < size:
        if known < size and known - pos < _LONGEST_HEADER:
            return False
        if size - pos < _SHORTEST_HEADER and not any(data[pos:]):
            return True
        tag, vr, length, start = read_header(data, pos, layout)
        if length != UNDEFINED_LENGTH:
            end = start + length
        else:
            try:
                end = skip_undefined(data, start, vr, layout)
            except PacsException as exc:
                if known < size and exc.error.code is ErrorCode.TRUNCATED:
                    return False
                raise
        if end > size:
            raise truncated(tag, pos, length, size - start)
        if tag >> 16 == PIXEL_DATA_GROUP:
            return True
        pos = end
    return True

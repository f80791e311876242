"""What an object says of itself, as the index wants it."""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import Final

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, raised
from pacs_sdk.encoding import INDEX_TAGS, Instance, InstanceHeader, TransferSyntax, read_source
from pacs_sdk.encoding.datasets.elements import LONG_VRS, Encoded, plain_bytes
from pacs_sdk.encoding.datasets.scanner import is_complete, scanned
from pacs_sdk.encoding.instance import HEAD_BYTES
from pacs_sdk.encoding.transfer_syntax import known_transfer_syntax
from pacs_sdk.storage.records import IndexEntry, InstanceIdentity

__all__ = ["ReadObject", "read_object"]

_PREFIX: Final = 128
_GROUP_LENGTH: Final = b"DICM\2\0\0\0UL\4\0"
_GROUP_LENGTH_VALUE: Final = _PREFIX + len(_GROUP_LENGTH)
_META_GROUP: Final = 0x0002
_TRANSFER_SYNTAX: Final = 0x0010
_UNSIGNED_LONG: Final = struct.Struct("<I")
_ELEMENT_HEADER: Final = struct.Struct("<HH2sH")
_LONGEST_HEADER: Final = 12
_META_BEGIN: Final = _GROUP_LENGTH_VALUE + 4
"""After preamble and prefix comes the group length, which counts what follows it
(PS3.10 7.1)."""


@attrs.frozen
class ReadObject:
    """An object, read."""

    entry: IndexEntry
    """How it is indexed."""
    incomplete: PacsError | None = None
    """Why it is taken for cut short; ``None`` where it reaches its end."""


def read_object(source: ByteSource, key: str, tags: Collection[int] = INDEX_TAGS) -> ReadObject:
    """Read the header of an object, and check that the object reaches its end.

    One that is cut short can be indexed all the same if its header is there: senders send
    such images, and an archive keeps what it has acknowledged.

    Args:
        source: The whole object.
        key: Its key.
        tags: What the index wants to know of it.

    Raises:
        PacsException: What reading it gives; ``MISSING_REQUIRED_VALUE`` or ``INVALID_UID``
            where it lacks a UID that the index needs.
    """
    quick = _read_quickly(plain_bytes(source.head(HEAD_BYTES)), source.size, tags)
    if quick is not None:
        header, syntax_uid, begin = quick
        return ReadObject(_entry(header, syntax_uid, key, source.size, begin))
    opened = read_source(source, key)
    incomplete = None
    if isinstance(opened, Failure) and opened.failure().code is ErrorCode.TRUNCATED:
        incomplete = opened.failure()
        instance = _cut_short(source, incomplete)
    else:
        instance = raised(opened)
    header = raised(instance.header(tags))
    begin = source.size - instance.size
    entry = _entry(header, instance.transfer_syntax_uid, key, source.size, begin)
    return ReadObject(entry, incomplete)


def _entry(
    header: InstanceHeader, syntax_uid: str, key: str, size_bytes: int, data_offset: int
) -> IndexEntry:
    identity = InstanceIdentity.of_header(header)
    return IndexEntry(identity, header, syntax_uid, key, size_bytes, data_offset)


def _read_quickly(
    head: Encoded, size: int, tags: Collection[int]
) -> tuple[InstanceHeader, str, int] | None:
    """Read an object that is as it should be, in one pass over the beginning of its file.

    Nearly all are. ``None`` says nothing about the object: it is read in the thorough way then.

    Returns:
        The header, the transfer syntax, and where the data set begins.
    """
    try:
        found = _meta_of(head)
        if found is None:
            return None
        syntax, begin = found
        if syntax.deflated or not syntax.explicit_vr:
            return None
        data = head[begin:]
        header = scanned(data, syntax, tags)
        stop = header.stop_offset
        if stop >= len(data) or not is_complete(data[stop:], size - begin - stop, syntax):
            return None
    except PacsException:
        return None
    return header, syntax.uid, begin


def _meta_of(head: Encoded) -> tuple[TransferSyntax, int] | None:
    """Tell the transfer syntax and the end of File Meta Information that ends where it says.

    Raises:
        PacsException: ``UNSUPPORTED_TRANSFER_SYNTAX``.
    """
    if len(head) < _META_BEGIN or bytes(head[_PREFIX:_GROUP_LENGTH_VALUE]) != _GROUP_LENGTH:
        return None
    (length,) = _UNSIGNED_LONG.unpack_from(head, _GROUP_LENGTH_VALUE)
    begin = _META_BEGIN + length
    if begin + _LONGEST_HEADER > len(head):
        return None
    uid, pos = "", _META_BEGIN
    while pos < begin:
        group, element, vr, length = _ELEMENT_HEADER.unpack_from(head, pos)
        value = pos + _ELEMENT_HEADER.size
        if vr in LONG_VRS:
            (length,) = _UNSIGNED_LONG.unpack_from(head, value)
            value += _UNSIGNED_LONG.size
        if group != _META_GROUP:
            return None
        pos = value + length
        if element == _TRANSFER_SYNTAX:
            uid = bytes(head[value:pos]).decode("latin-1")
    if pos != begin or head[begin : begin + 2] == b"\2\0" or not uid:
        return None
    return known_transfer_syntax(uid), begin


def _cut_short(source: ByteSource, error: PacsError) -> Instance:
    """Open an object that was found not to reach its end, by its File Meta Information.

    Raises:
        PacsException: The error, if not even that is as it should be.
    """
    found = _meta_of(plain_bytes(source.head(HEAD_BYTES)))
    if found is None:
        raise PacsException.of(error)
    syntax, begin = found
    return Instance("", "", syntax.uid, source.slice(begin))  # the header has the UIDs

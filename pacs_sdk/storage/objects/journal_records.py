"""The records of a journal: objects with their keys, in files of a fixed size.

::

    offset  bytes
    0       8      "PACSJRN1"
    8       16     the lap: any number, another one each time the file is written from its start
    24      4      bytes of the object
    28      2      bytes of the key
    30      1      0, or 1 if the record does not count any more
    31      1      0
    32      8      when it was written, in nanoseconds since 1970
    40      16     XXH3 (128 bits) of this header's bytes 24 to 29, of the time, of key and object
    56             the key, the object

Integers are little-endian. A record begins at a multiple of 4,096 bytes, so that writing one
never touches the block of another that is on the disk. The records of a lap follow one another
from the file's start; the first that is not of the lap ends them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from typing import Final

import attrs
from typing_extensions import Buffer
from xxhash import xxh3_128

from pacs_sdk.storage.objects.backend import MAX_KEY_LENGTH, SMALL_OBJECT_BYTES
from pacs_sdk.storage.objects.block_writer import BLOCK_BYTES
from pacs_sdk.storage.objects.disk import write_all_at

__all__ = [
    "HEADER_BYTES",
    "LiveRecord",
    "Place",
    "content_of",
    "encode_header",
    "live_records",
    "places_from",
    "record_bytes",
    "void_in_file",
    "void_record",
]

_MAGIC: Final = b"PACSJRN1"
_HEADER: Final = struct.Struct("<8s16sIHBxQ16s")
HEADER_BYTES: Final = _HEADER.size
_LENGTHS: Final = struct.Struct("<IHQ")
_VOID_AT: Final = 30
_VOID: Final = 1


@attrs.frozen
class Place:
    """Where a record is, and what its header says."""

    key: str
    offset: int
    size: int
    """How many bytes the object has."""
    lap: bytes
    is_void: bool
    written_ns: int
    digest: bytes

    @property
    def end(self) -> int:
        """Where the next record begins."""
        return self.offset + record_bytes(len(self.key), self.size)


@attrs.frozen
class LiveRecord:
    """An object that counts, read from a journal."""

    key: str
    content: bytes
    written_ns: int


def record_bytes(key_length: int, size: int) -> int:
    """Tell how much of a journal's file a record takes."""
    length = HEADER_BYTES + key_length + size
    return (length + BLOCK_BYTES - 1) // BLOCK_BYTES * BLOCK_BYTES


def encode_header(lap: bytes, key: bytes, pieces: Sequence[Buffer], size: int, now: int) -> bytes:
    """Return what a record begins with; the key and the pieces follow it.

    Args:
        lap: The lap's 16 bytes.
        key: The object's key.
        pieces: The object.
        size: How many bytes the pieces have.
        now: The time, in nanoseconds since 1970.
    """
    return _HEADER.pack(
        _MAGIC, lap, size, len(key), 0, now, _digest(size, len(key), now, (key, *pieces))
    )


def places_from(descriptor: int, offset: int, lap: bytes | None = None) -> Iterator[Place]:
    """Yield where the records of a lap are, by their headers.

    Args:
        descriptor: The journal's file.
        offset: Where to begin, 0 or where a record ended.
        lap: Which lap; that of the first record, if it is not given.
    """
    while (found := _place_at(descriptor, offset)) is not None:
        lap = lap or found.lap
        if found.lap != lap:
            return
        yield found
        offset = found.end


def content_of(descriptor: int, place: Place) -> bytes | None:
    """Return the object of a record; ``None`` if the record is not, or not yet, written whole."""
    key = place.key.encode()
    content = os.pread(descriptor, place.size, place.offset + HEADER_BYTES + len(key))
    digest = _digest(place.size, len(key), place.written_ns, (key, content))
    return content if digest == place.digest else None


def live_records(descriptor: int) -> Iterator[LiveRecord]:
    """Yield the objects of a journal that count; what was not written to its end does not."""
    for place in places_from(descriptor, 0):
        if not place.is_void and (content := content_of(descriptor, place)) is not None:
            yield LiveRecord(place.key, content, place.written_ns)


def void_record(buffer: memoryview, offset: int) -> None:
    """Let a record in memory not count any more."""
    buffer[offset + _VOID_AT] = _VOID


def void_in_file(descriptor: int, offset: int) -> None:
    """Let a record not count any more, and have that on the disk.

    Raises:
        OSError: As from the operating system.
    """
    write_all_at(descriptor, bytes((_VOID,)), offset + _VOID_AT)
    os.fdatasync(descriptor)


def _place_at(descriptor: int, offset: int) -> Place | None:
    begin = os.pread(descriptor, HEADER_BYTES + MAX_KEY_LENGTH, offset)
    if len(begin) < HEADER_BYTES:
        return None
    magic, lap, size, key_length, void, now, digest = _HEADER.unpack_from(begin)
    key = begin[HEADER_BYTES : HEADER_BYTES + key_length]
    if magic != _MAGIC or size > SMALL_OBJECT_BYTES or len(key) != key_length or not key.isascii():
        return None
    return Place(key.decode("ascii"), offset, size, lap, bool(void), now, digest)


def _digest(size: int, key_length: int, now: int, pieces: Sequence[Buffer]) -> bytes:
    running = xxh3_128(_LENGTHS.pack(size, key_length, now))
    for piece in pieces:
        running.update(piece)
    return running.digest()

"""Encapsulated Pixel Data: frames found among fragments (PS3.5 A.4).

The value is a sequence of items. The first is the Basic Offset Table, empty or with the
place of each frame; the others are fragments, and a frame is one or more of them. The
Extended Offset Table (PS3.3 C.7.6.3.1.8), elements of their own before Pixel Data, does
the same with 64-bit numbers. With either table one frame is read without touching the
others; without, the item headers are walked, and where frames have several fragments the
last bytes of each are looked at for a marker that ends an image.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterator
from typing import Final

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.whole_bytes import read_whole
from pacs_sdk.encoding.datasets.elements import IMPLICIT_LITTLE, ITEM, SEQUENCE_END

__all__ = [
    "MAX_FRAGMENTS",
    "EncapsulatedFrames",
    "extended_offset_table",
    "locate_frames",
    "value_extent",
]

MAX_FRAGMENTS: Final = 1 << 22
"""The most fragments that are listed, four million: a whole-slide image has some hundred
thousand frames, and an empty fragment takes eight bytes only."""

_HEADER_BYTES: Final = 8
_END_OF_IMAGE: Final = b"\xff\xd9"
"""Marker EOI of JPEG and JPEG-LS (ISO/IEC 10918-1 B.1.1.3), EOC of JPEG 2000
(ISO/IEC 15444-1 A.4.4)."""
_TAIL_BYTES: Final = 10
"""How far from the end of a fragment that marker may lie. One byte of padding is what
PS3.5 A.4 allows; some writers add more."""

_Range = tuple[int, int]


@attrs.frozen
class EncapsulatedFrames:
    """Where the frames are in a value of encapsulated Pixel Data; none of them is read."""

    source: ByteSource
    """The value, from the item of the Basic Offset Table on."""
    count: int
    """Number of Frames."""
    first: int
    """Where the first fragment's item begins; offset tables count from here."""
    starts: tuple[int, ...]
    """Where each frame's first item begins, in ``source``."""
    lengths: tuple[int, ...] = ()
    """How many bytes each frame has, by the Extended Offset Table; else empty."""
    delimited: bool = False
    """Whether a Sequence Delimitation Item must follow the last fragment."""

    def frame(self, index: int) -> Buffer:
        """Read one frame, its fragments joined.

        Args:
            index: Which one, from 0.

        Returns:
            The bytes: a view of the source where the frame is one fragment.

        Raises:
            PacsException: ``PIXEL_DATA_FAILED`` where no item is or its length goes beyond
                the data; ``TRUNCATED`` where the data ends before the delimitation item.
            OSError: The source cannot be read.
        """
        if self.lengths:
            return self._by_extended_table(index)
        fragments = self.fragments(index)
        pieces = [read_whole(self.source.slice(start, size)) for start, size in fragments]
        if not pieces:
            raise _failed(f"frame {index} has no fragment", self.starts[index])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def fragments(self, index: int) -> list[tuple[int, int]]:
        """Return where the fragments of a frame begin, without their headers, and their lengths.

        Args:
            index: Which frame, from 0; the last one has all that remain.

        Raises:
            PacsException: As by :meth:`frame`.
            OSError: The source cannot be read.
        """
        last = index + 1 >= len(self.starts)
        end = self.source.size if last else self.starts[index + 1]
        return list(_fragments(self.source, self.starts[index], end, self.delimited and last))

    def ends_image(self, start: int, length: int) -> bool:
        """Whether a fragment ends with the marker that ends an image."""
        return _ends_image(self.source, start, length)

    def _by_extended_table(self, index: int) -> Buffer:
        tag, length = _item(self.source, self.starts[index])
        wanted = self.lengths[index]
        if tag != ITEM or wanted > length:
            raise _failed(
                f"the Extended Offset Table gives frame {index} {wanted} bytes, "
                f"its fragment has {length}",
                self.starts[index],
            )
        return read_whole(self.source.slice(self.starts[index] + _HEADER_BYTES, wanted))


def extended_offset_table(
    offsets: bytes, lengths: bytes, frames: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Unpack an Extended Offset Table (7FE0,0001) and its Lengths (7FE0,0002).

    Args:
        offsets: The value of the one, OV.
        lengths: The value of the other.
        frames: Number of Frames.

    Returns:
        Offset and length of each frame; both empty where the elements don't have one for
        each frame, so that the table is of no use.
    """
    if not (len(offsets) == len(lengths) == frames * 8):
        return (), ()
    code = f"<{frames}Q"
    return struct.unpack(code, offsets), struct.unpack(code, lengths)


def locate_frames(
    source: ByteSource,
    frames: int,
    *,
    extended: tuple[tuple[int, ...], tuple[int, ...]] = ((), ()),
    delimited: bool = False,
    trust_tables: bool = True,
) -> EncapsulatedFrames:
    """Find out where each frame begins.

    Args:
        source: The value of Pixel Data, from its first item on; it may go on after the
            Sequence Delimitation Item.
        frames: Number of Frames.
        extended: What :func:`extended_offset_table` gives.
        delimited: Whether the Sequence Delimitation Item must be there.
        trust_tables: Believe the offset tables, where there are any; else the frames are
            found by the fragments alone.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where tables or fragments don't fit the number
            of frames or the data, ``LIMIT_EXCEEDED`` beyond :data:`MAX_FRAGMENTS`,
            ``TRUNCATED`` where the data ends before the delimitation item.
        OSError: The source cannot be read.
    """
    tag, length = _item(source, 0)
    if tag != ITEM:
        raise _failed(f"it begins with tag {tag:08X}, not with an item", 0)
    first = _HEADER_BYTES + length
    offsets, lengths = extended if trust_tables else ((), ())
    # To a single frame all fragments belong, wherever a table says that it begins.
    if trust_tables and not offsets and frames > 1 and length >= 4 * frames:
        table = source.slice(_HEADER_BYTES, 4 * frames).view()
        offsets, lengths = struct.unpack(f"<{frames}I", table), ()
    if offsets:
        starts = _checked_starts(offsets, first, source.size)
        return EncapsulatedFrames(source, frames, first, starts, lengths, delimited)
    starts = _walked_starts(source, first, frames, delimited)
    return EncapsulatedFrames(source, frames, first, starts, (), delimited)


def value_extent(source: ByteSource) -> tuple[int, int]:
    """Find where the fragments of a value of undefined length begin and end.

    Args:
        source: The value, from the item of the Basic Offset Table on.

    Returns:
        The offset of the first fragment's item, and that after the last fragment, where the
        Sequence Delimitation Item is.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED``, ``LIMIT_EXCEEDED`` or ``TRUNCATED``, as of
            :func:`locate_frames`.
        OSError: The source cannot be read.
    """
    tag, length = _item(source, 0)
    if tag != ITEM:
        raise _failed(f"it begins with tag {tag:08X}, not with an item", 0)
    first = end = _HEADER_BYTES + length
    for start, size in _fragments(source, first, source.size, delimited=True):
        end = start + size
    return first, end


def _checked_starts(offsets: tuple[int, ...], first: int, size: int) -> tuple[int, ...]:
    starts = tuple(first + offset for offset in offsets)
    for index, start in enumerate(starts):
        if start + _HEADER_BYTES > size:
            raise _failed(f"the offset table puts frame {index} beyond the data", start)
        if index and start <= starts[index - 1]:
            raise _failed(f"the offset table puts frame {index} before the one it follows", start)
    return starts


def _walked_starts(source: ByteSource, first: int, frames: int, delimited: bool) -> tuple[int, ...]:
    """Find the frames without a table, by the item headers alone if these suffice."""
    if frames == 1:
        return (first,)
    fragments = list(_fragments(source, first, source.size, delimited))
    if len(fragments) < frames:
        raise _failed(f"the Pixel Data has {len(fragments)} fragments for {frames} frames", first)
    begins = tuple(start - _HEADER_BYTES for start, _ in fragments)
    if len(fragments) == frames:
        return begins
    ends = [pos + length for pos, length in fragments if _ends_image(source, pos, length)]
    starts = (first, *ends[: frames - 1])
    if len(ends) != frames or bisect.bisect_left(begins, starts[-1]) == len(begins):
        raise _failed(
            f"the Pixel Data has {len(fragments)} fragments for {frames} frames, no offset "
            f"table, and {len(ends)} fragments that end an image",
            first,
        )
    return starts


def _ends_image(source: ByteSource, start: int, length: int) -> bool:
    tail = min(length, _TAIL_BYTES)
    return _END_OF_IMAGE in bytes(source.slice(start + length - tail, tail).view())


def _fragments(source: ByteSource, pos: int, end: int, delimited: bool) -> Iterator[_Range]:
    """Walk the item headers; yields where each fragment's bytes begin and how many they are."""
    count = 0
    while pos + _HEADER_BYTES <= end:
        tag, length = _item(source, pos)
        if tag == SEQUENCE_END:
            return
        if tag != ITEM:
            raise _failed(f"tag {tag:08X} is where a fragment should begin", pos)
        if count == MAX_FRAGMENTS:
            raise PacsException(
                ErrorCode.LIMIT_EXCEEDED,
                f"the Pixel Data has more than {MAX_FRAGMENTS} fragments",
                limit=MAX_FRAGMENTS,
            )
        if pos + _HEADER_BYTES + length > end:
            raise _failed(f"a fragment of {length} bytes goes beyond its frame", pos)
        count += 1
        yield pos + _HEADER_BYTES, length
        pos += _HEADER_BYTES + length
    if delimited:
        raise PacsException(
            ErrorCode.TRUNCATED,
            f"the data set ends at byte {pos} of the Pixel Data, before its last fragment's end",
            offset=pos,
        )


def _item(source: ByteSource, pos: int) -> _Range:
    """Read an item's tag and length, and compare the length with what remains."""
    header = source.slice(pos, _HEADER_BYTES).view()
    if len(header) < _HEADER_BYTES:
        raise _failed("it ends inside or before the header of an item", pos)
    group, element, length = IMPLICIT_LITTLE.unpack_implicit(header, 0)
    remaining = source.size - pos - _HEADER_BYTES
    if length > remaining:
        raise _failed(f"a fragment of {length} bytes is announced, {remaining} remain", pos)
    return group << 16 | element, length


def _failed(reason: str, offset: int) -> PacsException:
    return PacsException(
        ErrorCode.PIXEL_DATA_FAILED,
        f"{reason} (byte {offset} of the encapsulated Pixel Data)",
        offset=offset,
    )

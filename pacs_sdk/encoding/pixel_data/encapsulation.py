"""Building encapsulated Pixel Data: items, fragments, offset tables (PS3.5 A.4).

The reading half is :mod:`pacs_sdk.encoding.pixel_data.encapsulated`.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.datasets.elements import ITEM, SEQUENCE_END, UNDEFINED_LENGTH
from pacs_sdk.encoding.pixel_data.encapsulated import MAX_FRAGMENTS
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = [
    "SEQUENCE_DELIMITATION",
    "EncapsulatedValue",
    "FragmentWriter",
    "OffsetTable",
    "OffsetTables",
    "encapsulate",
    "offset_tables",
    "pixel_data_header",
]

_MAX_ITEM_BYTES: Final = 0xFFFFFFFE
"""The longest item: its length has 32 bits, is even, and FFFFFFFFH means undefined."""

_MAX_BASIC_OFFSET: Final = 0xFFFFFFFF
"""The largest offset in a Basic Offset Table, whose numbers have 32 bits."""

_ITEM_HEADER: Final = struct.Struct("<HHI")
_EXPLICIT_LONG_HEADER: Final = struct.Struct("<HH2sHI")
_ITEM_GROUP: Final = ITEM >> 16

SEQUENCE_DELIMITATION: Final = _ITEM_HEADER.pack(SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)
"""The item that ends a value of undefined length (PS3.5 7.5)."""

_ONE_FRAGMENT_A_FRAME: Final = frozenset(
    (
        "1.2.840.10008.1.2.5",  # RLE Lossless (A.4.2)
        "1.2.840.10008.1.2.8.1",  # Deflated Image Frame Compression (A.4.13)
    )
)
"""Transfer syntaxes in which each frame is one and only one fragment."""


class OffsetTable(enum.Enum):
    """Which table says where each frame begins."""

    BASIC = "basic"
    """The first item of Pixel Data, with 32-bit numbers; the Extended Offset Table takes its
    place where these don't suffice."""
    EXTENDED = "extended"
    """Elements of their own before Pixel Data, with 64-bit numbers (PS3.3 C.7.6.3.1.8); the
    Basic Offset Table is empty then."""
    EMPTY = "empty"
    """None: the Basic Offset Table is there and empty."""


@attrs.frozen
class OffsetTables:
    """The offset tables of one value of Pixel Data."""

    basic: bytes = b""
    """What the item of the Basic Offset Table holds."""
    extended: bytes = b""
    """Extended Offset Table (7FE0,0001), OV; empty where there is none."""
    lengths: bytes = b""
    """Extended Offset Table Lengths (7FE0,0002), OV; empty where there is none."""

    @property
    def basic_item(self) -> bytes:
        """The item of the Basic Offset Table, with which Pixel Data begins."""
        return item_header(len(self.basic)) + self.basic


@attrs.frozen
class EncapsulatedValue:
    """Pixel Data that is ready to be written."""

    pieces: tuple[Buffer, ...]
    """The value from the item of the Basic Offset Table to the Sequence Delimitation Item,
    in pieces: the frames' bytes are shared, not copied."""
    tables: OffsetTables
    """Its offset tables; the extended ones are elements of their own."""

    @property
    def size(self) -> int:
        """How many bytes the value has."""
        return sum(memoryview(piece).nbytes for piece in self.pieces)

    def joined(self) -> bytes:
        """Copy the pieces into one value."""
        return b"".join(self.pieces)


def item_header(length: int) -> bytes:
    """Lay out the header of an item (PS3.5 7.5)."""
    return _ITEM_HEADER.pack(_ITEM_GROUP, ITEM & 0xFFFF, length)


class FragmentWriter:
    """Makes the fragments of frame after frame and remembers where each frame begins.

    Args:
        syntax: The transfer syntax, which says whether a frame may have several fragments.
        fragment_bytes: The longest fragment; a frame is one fragment where it isn't given,
            as long as an item may be that long.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for a fragment length that is odd or too small,
            or where the transfer syntax allows one fragment only.
    """

    def __init__(self, syntax: TransferSyntax, fragment_bytes: int | None = None) -> None:
        self._one_only = syntax.uid in _ONE_FRAGMENT_A_FRAME
        if fragment_bytes is not None:
            if fragment_bytes % 2 or not 2 <= fragment_bytes <= _MAX_ITEM_BYTES:
                raise PacsException(
                    ErrorCode.INVALID_ARGUMENT,
                    f"a fragment of {fragment_bytes} bytes was asked for; it has to be an even "
                    f"number from 2 to {_MAX_ITEM_BYTES}",
                )
            if self._one_only:
                raise PacsException(
                    ErrorCode.INVALID_ARGUMENT,
                    f"in {syntax.name} each frame is one fragment (PS3.5 A.4); "
                    "leave the length of fragments out",
                )
        self._syntax = syntax
        self._most = _MAX_ITEM_BYTES if fragment_bytes is None else fragment_bytes
        self._offsets: list[int] = []
        self._lengths: list[int] = []
        self._fragments = 0
        self._position = 0

    @property
    def frame_bytes(self) -> int:
        """The length of all frames so far, without items and padding."""
        return sum(self._lengths)

    def pieces(self, frame: Buffer) -> Iterator[Buffer]:
        """Lay out the next frame.

        Args:
            frame: Its bytes; one zero byte follows an odd number of them.

        Yields:
            Item headers, parts of the frame, and padding.

        Raises:
            PacsException: ``ENCODE_FAILED`` for a frame without bytes, ``LIMIT_EXCEEDED``
                where it is too long for the one fragment it may have, or there are more
                than :data:`MAX_FRAGMENTS`.
        """
        data = memoryview(frame).cast("B")
        length = data.nbytes
        if not length:
            raise PacsException(ErrorCode.ENCODE_FAILED, f"frame {len(self._offsets)} has no bytes")
        if self._one_only and length > self._most:
            raise PacsException(
                ErrorCode.LIMIT_EXCEEDED,
                f"frame {len(self._offsets)} has {length} bytes; {self._syntax.name} allows one "
                f"fragment a frame, which has {self._most} at most",
                limit=self._most,
            )
        self._fragments += -(-length // self._most)
        if self._fragments > MAX_FRAGMENTS:
            raise PacsException(
                ErrorCode.LIMIT_EXCEEDED,
                f"the Pixel Data would have more than {MAX_FRAGMENTS} fragments; make them longer",
                limit=MAX_FRAGMENTS,
            )
        self._offsets.append(self._position)
        self._lengths.append(length)
        for begin in range(0, length, self._most):
            part = data[begin : begin + self._most]
            padding = part.nbytes % 2
            self._position += _ITEM_HEADER.size + part.nbytes + padding
            yield item_header(part.nbytes + padding)
            yield part
            if padding:
                yield b"\0"

    def tables(self, wanted: OffsetTable = OffsetTable.BASIC) -> OffsetTables:
        """Lay out the offset tables of the frames so far.

        Raises:
            PacsException: ``INVALID_ARGUMENT`` for an Extended Offset Table of frames that
                have several fragments (PS3.3 C.7.6.3.1.8), ``LIMIT_EXCEEDED`` where such
                frames go beyond what a Basic Offset Table can say.
        """
        single = self._fragments == len(self._offsets)
        return offset_tables(self._offsets, self._lengths, wanted, single=single)


def offset_tables(
    offsets: Sequence[int], lengths: Sequence[int], wanted: OffsetTable, *, single: bool
) -> OffsetTables:
    """Lay out offset tables.

    Args:
        offsets: Where each frame's first item begins, from the first fragment's item on.
        lengths: How many bytes each frame has.
        wanted: Which table.
        single: Whether each frame is one fragment.

    Raises:
        PacsException: As :meth:`FragmentWriter.tables`.
    """
    if wanted is OffsetTable.EMPTY:
        return OffsetTables()
    fits = not offsets or offsets[-1] <= _MAX_BASIC_OFFSET
    if wanted is OffsetTable.BASIC and fits:
        return OffsetTables(struct.pack(f"<{len(offsets)}I", *offsets))
    if not single:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT if fits else ErrorCode.LIMIT_EXCEEDED,
            "some frames have several fragments, and the Extended Offset Table is for frames of "
            "one fragment (PS3.3 C.7.6.3.1.8); leave the length of fragments out",
        )
    pattern = f"<{len(offsets)}Q"
    return OffsetTables(b"", struct.pack(pattern, *offsets), struct.pack(pattern, *lengths))


@edge()
def encapsulate(
    frames: Iterable[Buffer],
    syntax: TransferSyntax,
    *,
    table: OffsetTable = OffsetTable.BASIC,
    fragment_bytes: int | None = None,
) -> EncapsulatedValue:
    """Build the value of encapsulated Pixel Data from compressed frames.

    Args:
        frames: The codestream of each frame, in order.
        syntax: Their transfer syntax.
        table: Which offset table to make.
        fragment_bytes: The longest fragment; one fragment a frame where it isn't given.

    Returns:
        ``Success`` with the pieces of the value, or ``Failure`` with ``INVALID_ARGUMENT``,
        ``LIMIT_EXCEEDED`` (a frame that is too long, too many fragments) or
        ``ENCODE_FAILED`` (a frame without bytes).
    """
    writer = FragmentWriter(syntax, fragment_bytes)
    pieces = [piece for frame in frames for piece in writer.pieces(frame)]
    tables = writer.tables(table)
    return EncapsulatedValue((tables.basic_item, *pieces, SEQUENCE_DELIMITATION), tables)


def pixel_data_header(tables: OffsetTables) -> bytes:
    """Lay out what stands between other elements and the value of encapsulated Pixel Data.

    That is the Extended Offset Table, where there is one, and the header of Pixel Data: OB,
    undefined length, Explicit VR Little Endian (PS3.5 A.4).
    """
    parts = []
    for number, value in ((0x0001, tables.extended), (0x0002, tables.lengths)):
        if value:
            parts += [_EXPLICIT_LONG_HEADER.pack(0x7FE0, number, b"OV", 0, len(value)), value]
    parts.append(_EXPLICIT_LONG_HEADER.pack(0x7FE0, 0x0010, b"OB", 0, UNDEFINED_LENGTH))
    return b"".join(parts)

"""RLE Lossless (PS3.5 8.2.2, Annex G): each byte of the cells in a segment of its own."""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import imagecodecs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.encoding.codecs.capable import CapableCodec, within_cells
from pacs_sdk.encoding.codecs.description import (
    Capability,
    EncodeOptions,
    FrameDescription,
    encode_failure,
    pixel_failure,
)
from pacs_sdk.encoding.codecs.stored import finished_cells

__all__ = ["RleCodec"]

_RLE: Final = "1.2.840.10008.1.2.5"
_RLE_HEADER: Final = struct.Struct("<16I")
_MOST_SEGMENTS: Final = 15
_LONGEST_RUN: Final = 128
"""The most bytes that PackBits keeps as they are with one byte before them (PS3.5 G.3.1)."""
_MOST_BYTES: Final = (1 << 32) - 1
"""Offsets in the header have 32 bits (PS3.5 G.5), and so has the length of a fragment."""


class RleCodec(CapableCodec):
    """RLE Lossless: each byte of the cells is a PackBits segment of its own."""

    name = "rle"
    capabilities = (
        Capability(
            transfer_syntax_uid=_RLE,
            bits_allocated=(8, 16),
            bits_stored=(1, 16),
            unused_bits=True,
        ),
    )

    def _decoded(self, frame: Buffer, description: FrameDescription, out: np.ndarray) -> np.ndarray:
        width = description.dtype.itemsize
        if description.bits_allocated == 1:
            raise pixel_failure("RLE of single bits is not defined (PS3.5 8.2.2)")
        data = memoryview(frame).cast("B")
        segments = _segments(data, description.samples * width)
        one = description.samples == 1
        if one and out.flags.c_contiguous:
            cells = out[np.newaxis]
        else:
            planar = (description.samples, description.rows, description.columns)
            cells = np.empty(planar, dtype=description.dtype)
        # Each sample for itself: its segments cannot take the room of another's.
        for number, plane in enumerate(cells):
            own = segments[number * width : (number + 1) * width]
            _expand(data if one else _framed(own), own, plane.reshape(-1))
        return finished_cells(cells, description)

    def _stored_as(
        self, description: FrameDescription, transfer_syntax_uid: str, options: EncodeOptions
    ) -> FrameDescription:
        if description.photometric == "YBR_FULL" and description.bits_allocated != 8:
            raise encode_failure("RLE Lossless holds YBR_FULL of 8 bits only (PS3.5 8.2.2)")
        return description

    def encode(
        self,
        frame: np.ndarray,
        stored: FrameDescription,
        transfer_syntax_uid: str,
        options: EncodeOptions,
    ) -> bytes:
        """Encode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        room = np.empty(self.encoded_limit(stored), np.uint8)
        size = self.encode_into(frame, stored, transfer_syntax_uid, options, room)
        return room[:size].tobytes()

    def encoded_limit(self, stored: FrameDescription) -> int:
        """Return the most bytes a frame can take; see :class:`pacs_sdk.encoding.Codec`.

        PackBits adds a byte to each 128 of a row that it cannot make shorter.
        """
        row = stored.columns + -(-stored.columns // _LONGEST_RUN)
        segments = stored.samples * stored.dtype.itemsize
        return _RLE_HEADER.size + segments * (stored.rows * row + 1)

    def encode_into(
        self,
        frame: np.ndarray,
        stored: FrameDescription,
        transfer_syntax_uid: str,
        options: EncodeOptions,
        out: np.ndarray,
    ) -> int:
        """Encode one frame to memory that is there; see :class:`pacs_sdk.encoding.Codec`."""
        cells = within_cells(frame, stored)
        plane = np.empty((stored.rows, stored.columns), dtype=np.uint8)
        offsets, end = [], _RLE_HEADER.size
        for sample in np.atleast_3d(cells).transpose(2, 0, 1):
            for place in reversed(range(cells.itemsize)):
                # The most significant byte comes first (PS3.5 G.2). A shift with a narrowing
                # conversion takes a quarter of the time of copying every other byte.
                np.right_shift(sample, 8 * place, out=plane, dtype=cells.dtype, casting="unsafe")
                offsets.append(end)
                end = _pack(plane, out, end)
        if end > _MOST_BYTES:
            raise encode_failure(f"the RLE frame would take {end} bytes, its header has 32 bits")
        unused = [0] * (_MOST_SEGMENTS - len(offsets))
        _RLE_HEADER.pack_into(out.data, 0, len(offsets), *offsets, *unused)
        return end


def _framed(segments: Sequence[bytes | memoryview]) -> bytes:
    """Put the RLE header before segments (PS3.5 G.5)."""
    offsets = accumulate(map(len, segments[:-1]), initial=_RLE_HEADER.size)
    unused = [0] * (_MOST_SEGMENTS - len(segments))
    return b"".join((_RLE_HEADER.pack(len(segments), *offsets, *unused), *segments))


def _pack(plane: np.ndarray, out: np.ndarray, pos: int) -> int:
    """Compress a plane, each row for itself (PS3.5 G.3.1), to a place; return where it ends."""
    pos += len(imagecodecs.packbits_encode(plane, axis=-1, out=out[pos:].data))  # type: ignore[arg-type]  # any buffer will do
    if pos % 2:
        out[pos] = 0  # a segment has an even length (PS3.5 G.3.2)
        pos += 1
    return pos


def _segments(data: memoryview, expected: int) -> list[memoryview]:
    """Cut the segments by the RLE header (PS3.5 G.5)."""
    if len(data) < _RLE_HEADER.size:
        raise pixel_failure(f"the RLE header takes 64 bytes, the frame has {len(data)}")
    count, *offsets = _RLE_HEADER.unpack_from(data)
    if count != expected or count > _MOST_SEGMENTS:
        raise pixel_failure(f"the RLE header announces {count} segments, {expected} are needed")
    ends = [*offsets[1:count], len(data)]
    bounds = list(zip(offsets[:count], ends, strict=True))
    if any(not _RLE_HEADER.size <= start <= end <= len(data) for start, end in bounds):
        raise pixel_failure("the offsets in the RLE header don't fit the frame")
    return [data[start:end] for start, end in bounds]


def _expand(frame: bytes | memoryview, segments: list[memoryview], plane: np.ndarray) -> None:
    """Expand the segments of one sample, the most significant byte first (PS3.5 G.2).

    Args:
        frame: The segments with a header. The library trusts its offsets, so they must be
            known to be within it.
        segments: The same, cut.
        plane: Where they go, one pixel after the other.
    """
    width, room = plane.itemsize, plane.view(np.uint8)
    try:
        found = len(
            imagecodecs.dicomrle_decode(
                frame,  # type: ignore[arg-type]  # any buffer will do
                plane.dtype.str,
                out=room.data,
            )
        )
    except (RuntimeError, ValueError) as exc:
        reason = str(exc)
    else:
        # None has more than the pixels, so the sum says that none has less.
        if found == plane.nbytes:
            return
        reason = "there is nothing more"
    in_bytes = room.reshape(-1, width)[:, :: 1 if sys.byteorder == "big" else -1]
    for number, segment in enumerate(segments):
        in_bytes[:, number] = _expanded_slowly(segment, plane.size, reason)


def _expanded_slowly(segment: memoryview, pixels: int, reason: str) -> np.ndarray:
    """Expand a segment that has rubbish after the last pixel, or too few bytes."""
    out, pos = bytearray(), 0
    while len(out) < pixels and pos + 1 < len(segment):
        control = segment[pos]
        if control < 128:
            out += segment[pos + 1 : pos + 2 + control]
            pos += 2 + control
        else:
            if control > 128:
                out += bytes(segment[pos + 1 : pos + 2]) * (257 - control)
            pos += 1 if control == 128 else 2
    if len(out) < pixels:
        raise pixel_failure(f"an RLE segment ends after {len(out)} of {pixels} pixels: {reason}")
    return np.frombuffer(bytes(out[:pixels]), dtype=np.uint8)

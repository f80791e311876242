"""RLE Lossless (PS3.5 8.2.2, Annex G): each byte of the cells in a segment of its own."""

from __future__ import annotations

import struct
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
_MOST_PIXELS_A_BYTE: Final = 64
"""A run of 128 takes two bytes (PS3.5 G.3.1)."""
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

    def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
        """Decode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        data = memoryview(frame).cast("B")
        width = description.dtype.itemsize
        if description.bits_allocated == 1:
            raise pixel_failure("RLE of single bits is not defined (PS3.5 8.2.2)")
        segments = _segments(data, description.samples * width)
        pixels = description.rows * description.columns
        cells = np.empty((description.samples, pixels), dtype=f"u{width}")
        for sample in range(description.samples):
            # The most significant byte comes first (PS3.5 G.2).
            first, *others = segments[sample * width : (sample + 1) * width]
            plane = cells[sample]
            plane[...] = _unpacked(first, pixels)
            for segment in others:
                np.left_shift(plane, 8, out=plane)
                np.bitwise_or(plane, _unpacked(segment, pixels), out=plane)
        shape = (description.samples, description.rows, description.columns)
        return finished_cells(cells.view(description.dtype).reshape(shape), description)

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
        cells = within_cells(frame, stored)
        width = cells.dtype.itemsize
        little = np.ascontiguousarray(cells, dtype=cells.dtype.newbyteorder("<"))
        in_bytes = little.view(np.uint8).reshape(stored.rows, stored.columns, stored.samples, width)
        planes = np.empty((stored.samples, width, stored.rows, stored.columns), dtype=np.uint8)
        # The most significant byte comes first (PS3.5 G.2). Compression reads along rows.
        planes[...] = in_bytes[..., ::-1].transpose(2, 3, 0, 1)
        segments = [_packed(plane) for sample in planes for plane in sample]
        offsets = [0] * _MOST_SEGMENTS
        position = _RLE_HEADER.size
        for number, segment in enumerate(segments):
            offsets[number] = position
            position += len(segment)
        if position > _MOST_BYTES:
            raise encode_failure(
                f"the RLE frame would take {position} bytes, its header has 32 bits"
            )
        return b"".join((_RLE_HEADER.pack(len(segments), *offsets), *segments))


def _packed(plane: np.ndarray) -> bytes:
    """Compress the bytes of a plane (rows, columns), each row for itself (PS3.5 G.3.1)."""
    packed = bytes(imagecodecs.packbits_encode(plane, axis=-1))
    return packed + b"\0" * (len(packed) % 2)


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


def _unpacked(segment: memoryview, pixels: int) -> np.ndarray:
    """Expand one segment; what it has beyond the pixels is padding."""
    if len(segment) * _MOST_PIXELS_A_BYTE < pixels:  # before memory is taken for them
        raise pixel_failure(f"an RLE segment of {len(segment)} bytes cannot hold {pixels} pixels")
    # One run that goes beyond the end is cut off: its length byte makes 128 at most.
    room = np.empty(pixels + 128, dtype=np.uint8)
    try:
        found = imagecodecs.packbits_decode(bytes(segment), out=room.data)
    except RuntimeError as exc:
        return _unpacked_slowly(segment, pixels, str(exc))
    if len(found) < pixels:
        raise pixel_failure(f"an RLE segment has {len(found)} bytes for {pixels} pixels")
    return room[:pixels]


def _unpacked_slowly(segment: memoryview, pixels: int, reason: str) -> np.ndarray:
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

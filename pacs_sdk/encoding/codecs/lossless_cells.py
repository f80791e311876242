"""RLE (PS3.5 Annex G) and deflated frames (PS3.5 A.4.14): cells as they are, compressed."""

from __future__ import annotations

import struct
from typing import Final

import imagecodecs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.encoding.codecs.description import FrameDescription, pixel_failure
from pacs_sdk.encoding.codecs.stored import conform_bits, ybr_to_rgb
from pacs_sdk.encoding.deflated import inflate

__all__ = ["DeflatedFrameCodec", "RleCodec"]

_RLE_HEADER: Final = struct.Struct("<16I")
_MOST_SEGMENTS: Final = 15
_MOST_PIXELS_A_BYTE: Final = 64
"""A run of 128 takes two bytes (PS3.5 G.3.1)."""


class RleCodec:
    """RLE Lossless: each byte of the cells is a PackBits segment of its own."""

    name = "rle"
    transfer_syntaxes: frozenset[str] = frozenset(("1.2.840.10008.1.2.5",))

    def unavailable(self) -> str:
        """Say why it cannot be used here; nothing if it can."""
        return ""

    def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
        """Decode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        data = memoryview(frame).cast("B")
        width = description.dtype.itemsize
        if description.bits_allocated == 1:
            raise pixel_failure("RLE of single bits is not defined (PS3.5 8.2.2)")
        segments = _segments(data, description.samples * width)
        pixels = description.rows * description.columns
        planes = np.empty((description.samples, pixels, width), dtype=np.uint8)
        for number, segment in enumerate(segments):
            sample, byte = divmod(number, width)
            # The most significant byte comes first (PS3.5 G.2).
            planes[sample, :, width - 1 - byte] = _unpacked(segment, pixels)
        values = planes.view(f"<{description.dtype.str[1:]}")[..., 0].astype(description.dtype)
        return _finished(values.reshape(description.samples, *_plane(description)), description)


def _plane(description: FrameDescription) -> tuple[int, int]:
    return description.rows, description.columns


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
    room = bytearray(pixels + 128)
    try:
        found = imagecodecs.packbits_decode(bytes(segment), out=room)
    except RuntimeError as exc:
        return _unpacked_slowly(segment, pixels, str(exc))
    if len(found) < pixels:
        raise pixel_failure(f"an RLE segment has {len(found)} bytes for {pixels} pixels")
    return np.frombuffer(found, dtype=np.uint8, count=pixels)


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


def _finished(planes: np.ndarray, description: FrameDescription) -> np.ndarray:
    values = planes[0] if description.samples == 1 else np.moveaxis(planes, 0, -1)
    if description.high_bit == description.bits_stored - 1:
        values = conform_bits(values, description, description.bits_stored)
    return ybr_to_rgb(values, description)


class DeflatedFrameCodec:
    """Deflated Image Frame Compression: a deflate stream of the native frame."""

    name = "deflate"
    transfer_syntaxes: frozenset[str] = frozenset(("1.2.840.10008.1.2.8.1",))

    def unavailable(self) -> str:
        """Say why it cannot be used here; nothing if it can."""
        return ""

    def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
        """Decode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        dtype = description.dtype
        needed = (description.values * description.bits_allocated + 7) // 8
        # A byte of padding may be inside the stream: an odd frame made even.
        data = inflate(frame, needed + 2)
        if len(data) < needed:
            raise pixel_failure(f"the frame inflates to {len(data)} bytes, {needed} are needed")
        if description.bits_allocated == 1:
            bits = np.frombuffer(data, dtype=np.uint8, count=needed)
            values = np.unpackbits(bits, bitorder="little")[: description.values]
        else:
            stored = dtype.newbyteorder("<")
            values = np.frombuffer(data, dtype=stored, count=description.values).astype(dtype)
        if description.samples == 1 or not description.planar:
            shaped = values.reshape(description.shape)
            planes = shaped[None] if description.samples == 1 else np.moveaxis(shaped, -1, 0)
        else:
            planes = values.reshape(description.samples, *_plane(description))
        return _finished(planes, description)

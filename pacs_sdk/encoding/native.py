"""Native pixels: numbers as they lie in the data set (PS3.5 8.1, 8.2 without compression)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.encoding.codecs.description import FrameDescription, pixel_failure
from pacs_sdk.encoding.pixel_layout import PixelLayout

__all__ = ["NativePixels", "native_frames"]

_FLOAT_BITS: Final = {"FloatPixelData": (32,), "DoubleFloatPixelData": (64,)}
_WHOLE_BITS: Final = (1, 8, 16, 32, 64)


@attrs.frozen
class NativePixels:
    """The value of an element with native pixels."""

    keyword: str
    """PixelData, FloatPixelData or DoubleFloatPixelData."""
    source: ByteSource
    """Its bytes."""
    swapped: bool
    """Whether bytes are in words of two, the second one first: OW in big endian."""
    little: bool
    """The byte order of numbers."""


def native_frames(pixels: NativePixels, layout: PixelLayout, wanted: Sequence[int]) -> np.ndarray:
    """Shape native pixels.

    Args:
        pixels: Where they are.
        layout: What they are.
        wanted: The frames to take; of others at most the byte is read that they share.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where the attributes don't describe the bytes.
        OSError: The source cannot be read.
    """
    frame = layout.frame
    bits = frame.bits_allocated
    allowed = _FLOAT_BITS.get(pixels.keyword, _WHOLE_BITS)
    if bits not in allowed:
        raise pixel_failure(f"Bits Allocated is {bits}, not one of {allowed}")
    needed = (layout.frames * frame.values * bits + 7) // 8
    if pixels.source.size < needed:
        raise pixel_failure(
            f"the Pixel Data has {pixels.source.size} bytes, its attributes need {needed} "
            f"({layout.frames} frames, {frame.rows} rows, {frame.columns} columns, "
            f"{frame.samples} samples of {bits} bits)"
        )
    if wanted == range(layout.frames):
        return _shaped(pixels, frame, 0, layout.frames)
    found = np.empty((len(wanted), *frame.shape), dtype=_stored_type(pixels, bits, frame.signed))
    found = found.astype(found.dtype.newbyteorder("="), copy=False)
    for place, index in enumerate(wanted):
        found[place] = _shaped(pixels, frame, index, 1)[0]
    return found


def _stored_type(pixels: NativePixels, bits: int, signed: bool) -> np.dtype:
    kind = "f" if pixels.keyword in _FLOAT_BITS else "i" if signed else "u"
    if bits == 1:
        return np.dtype(np.uint8)
    return np.dtype(f"{'<' if pixels.little else '>'}{kind}{bits // 8}")


def _shaped(pixels: NativePixels, frame: FrameDescription, first: int, count: int) -> np.ndarray:
    """Make an array of ``count`` frames from the words that hold them."""
    bits, values_needed = frame.bits_allocated, count * frame.values
    first_bit = first * frame.values * bits
    begin = first_bit // 16 * 2
    end = -(-(first_bit + values_needed * bits) // 16) * 2
    data = pixels.source.slice(begin, end - begin).view()
    stored = _stored_type(pixels, bits, frame.signed)
    if pixels.swapped and bits <= 8:
        # Words of two bytes: in big endian the first pixel is in the second byte.
        even = len(data) // 2 * 2
        data = memoryview(np.frombuffer(data[:even], dtype="u2").byteswap().tobytes())
    if bits == 1:
        skipped = first_bit - begin * 8
        packed = np.frombuffer(data, dtype="u1", count=(skipped + values_needed + 7) // 8)
        values = np.unpackbits(packed, bitorder="little")[skipped : skipped + values_needed]
    else:
        values = np.frombuffer(data, stored, values_needed, first_bit // 8 - begin)
        values = values.astype(stored.newbyteorder("="))
    if not frame.planar or frame.samples == 1:
        return values.reshape(count, *frame.shape)
    planes = values.reshape(count, frame.samples, frame.rows, frame.columns)
    return np.ascontiguousarray(np.moveaxis(planes, 1, -1))

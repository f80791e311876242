"""Native pixels: numbers as they lie in the data set (PS3.5 8.1, 8.2 without compression)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.whole_bytes import read_whole
from pacs_sdk.encoding.byte_order import swapped
from pacs_sdk.encoding.codecs.description import FrameDescription, pixel_failure
from pacs_sdk.encoding.codecs.stored import cells_hold_more, conform_cells
from pacs_sdk.encoding.pixel_data.pixel_layout import PixelLayout

__all__ = ["NativePixels", "native_frames", "native_type"]

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


def native_frames(
    pixels: NativePixels,
    layout: PixelLayout,
    wanted: Sequence[int],
    out: np.ndarray | None = None,
    *,
    cells: bool = True,
) -> np.ndarray:
    """Shape native pixels.

    Args:
        pixels: Where they are.
        layout: What they are.
        wanted: The frames to take; of others at most the byte is read that they share.
        out: Where to put them, of the shape and dtype of the result; a new array where it
            isn't given. Values are copied once.
        cells: Leave the cells as they are, with whatever is above High Bit, an overlay of old
            editions perhaps; else they become the numbers they hold (PS3.5 8.1.1), where these
            begin at the lowest bit.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where the attributes don't describe the bytes.
        OSError: The source cannot be read.
    """
    frame = layout.frame
    bits, dtype = frame.bits_allocated, native_type(pixels.keyword, frame)
    needed = (layout.frames * frame.values * bits + 7) // 8
    if pixels.source.size < needed:
        raise pixel_failure(
            f"the Pixel Data has {pixels.source.size} bytes, its attributes need {needed} "
            f"({layout.frames} frames, {frame.rows} rows, {frame.columns} columns, "
            f"{frame.samples} samples of {bits} bits)"
        )
    if out is None:
        out = np.empty((len(wanted), *frame.shape), dtype=dtype)
    if wanted == range(layout.frames):
        _put(_shaped(pixels, frame, 0, layout.frames), frame, out, as_cells=cells)
    else:
        for place, index in enumerate(wanted):
            _put(_shaped(pixels, frame, index, 1), frame, out[place : place + 1], as_cells=cells)
    return out


def _put(found: np.ndarray, frame: FrameDescription, out: np.ndarray, *, as_cells: bool) -> None:
    if as_cells or out.dtype.kind == "f" or not cells_hold_more(frame):
        out[...] = found
        return
    for one, place in zip(found, out, strict=True):  # so that it stays in the processor's cache
        conform_cells(one, frame, place)


def native_type(keyword: str, frame: FrameDescription) -> np.dtype:
    """Return the dtype of native pixels, in the machine's byte order; a byte for a single bit.

    Args:
        keyword: Which element they are in.
        frame: What they are.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` for Bits Allocated that the element cannot have.
    """
    bits = frame.bits_allocated
    allowed = _FLOAT_BITS.get(keyword, _WHOLE_BITS)
    if bits not in allowed:
        raise pixel_failure(f"Bits Allocated is {bits}, not one of {allowed}")
    kind = "f" if keyword in _FLOAT_BITS else "i" if frame.signed else "u"
    return np.dtype(np.uint8 if bits == 1 else f"{kind}{bits // 8}")


def _shaped(pixels: NativePixels, frame: FrameDescription, first: int, count: int) -> np.ndarray:
    """View ``count`` frames in the words that hold them, in whatever byte order."""
    bits, values_needed = frame.bits_allocated, count * frame.values
    first_bit = first * frame.values * bits
    begin = first_bit // 16 * 2
    end = -(-(first_bit + values_needed * bits) // 16) * 2
    data = read_whole(pixels.source.slice(begin, end - begin))
    stored = native_type(pixels.keyword, frame).newbyteorder("<" if pixels.little else ">")
    if pixels.swapped and bits <= 8:
        # Words of two bytes: in big endian the first pixel is in the second byte.
        even = len(data) // 2 * 2
        data = memoryview(swapped(data[:even], 2))
    if bits == 1:
        skipped = first_bit - begin * 8
        packed = np.frombuffer(data, dtype="u1", count=(skipped + values_needed + 7) // 8)
        values = np.unpackbits(packed, bitorder="little")[skipped : skipped + values_needed]
    else:
        values = np.frombuffer(data, stored, values_needed, first_bit // 8 - begin)
    if not frame.planar or frame.samples == 1:
        return values.reshape(count, *frame.shape)
    planes = values.reshape(count, frame.samples, frame.rows, frame.columns)
    return np.moveaxis(planes, 1, -1)

"""Frames one by one as arrays, to be encoded again, and native bytes made of such arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import attrs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.codecs.description import FrameDescription
from pacs_sdk.encoding.codecs.registry import CodecRegistry, default_codecs
from pacs_sdk.encoding.codecs.stored import conform_bits, ybr_to_rgb
from pacs_sdk.encoding.pixel_data.cell_syntaxes import CELL_SYNTAXES, LOSSLESS_SYNTAXES
from pacs_sdk.encoding.pixel_data.frames import frame_decoder
from pacs_sdk.encoding.pixel_data.further_frames import (
    check_no_further_fragments,
    check_no_further_native,
)
from pacs_sdk.encoding.pixel_data.native import NativePixels, native_frames
from pacs_sdk.encoding.pixel_data.native_colour import grouped_layout, is_subsampled, native_colour
from pacs_sdk.encoding.pixel_data.pixel_element import check_native
from pacs_sdk.encoding.pixel_data.pixel_layout import PixelLayout
from pacs_sdk.encoding.pixel_data.pixel_source import PixelSource

__all__ = [
    "MAX_FRAME_BYTES",
    "StoredFrames",
    "check_high_bit",
    "native_bytes",
    "native_value_bytes",
    "numbers_alone",
    "reordered",
    "stored_frames",
]

MAX_FRAME_BYTES: Final = 1 << 32
"""The largest frame that is decoded, 4 GiB: a native element can hold no larger one, and
attributes of a few bytes could otherwise ask for a hundred times that."""

_JPEG: Final = "1.2.840.10008.1.2.4."
_KEEPS_COLOUR_SPACE: Final = CELL_SYNTAXES | {
    _JPEG + end for end in ("57", "70", "80", "81", "90", "91", "201", "202", "203", "110")
}
"""Encapsulated syntaxes whose decoder can leave YBR_FULL as it is stored. In the JPEG processes
with a DCT, and in JPEG XL made of them, its conversion is part of the decoding; lossy JPEG XL
converts by itself."""

_REORDERED_BYTES: Final = 1 << 24
"""How much of native pixels has its bytes swapped at a time, 16 MiB."""


@attrs.frozen
class StoredFrames:
    """The frames of an image as arrays."""

    frames: int
    """Number of Frames."""
    description: FrameDescription
    """What each array is."""
    read: Callable[[int], np.ndarray]
    """Gives the array of a frame: (rows, columns[, samples]), colour by pixel. Several threads
    may call it."""


def stored_frames(source: PixelSource, codecs: CodecRegistry | None) -> StoredFrames:
    """Make the frames of an image readable one by one, without losing a bit of them.

    Colour stays in the space it is stored in where that is YBR_FULL without subsampling and
    the decoder can leave it; else it becomes RGB, as
    :func:`pacs_sdk.encoding.decode_frames` gives it.

    Raises:
        PacsException: ``UNSUPPORTED_TRANSFER_SYNTAX`` where no codec decodes the frames,
            ``OPERATION_NOT_SUPPORTED`` for native pixels that aren't whole numbers or are
            subsampled in both directions, ``LIMIT_EXCEEDED`` for frames of more than
            :data:`MAX_FRAME_BYTES`, ``PIXEL_DATA_FAILED`` where the attributes make no
            image, frames cannot be told apart, or there are more than Number of Frames says.
        OSError: The source cannot be read.
    """
    layout = source.pixel_layout(raw=True)
    frame_bytes = layout.frame.values * layout.frame.dtype.itemsize
    if frame_bytes > MAX_FRAME_BYTES:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"a frame would take {frame_bytes} bytes, the limit is {MAX_FRAME_BYTES}",
            limit=MAX_FRAME_BYTES,
        )
    if source.syntax.encapsulated:
        return _encapsulated(source, layout, codecs)
    return _native(source, layout)


def _encapsulated(
    source: PixelSource, layout: PixelLayout, codecs: CodecRegistry | None
) -> StoredFrames:
    syntax, frame = source.syntax, layout.frame
    registry = default_codecs() if codecs is None else codecs
    if registry.codec_for(syntax.uid) is None:
        raise PacsException(
            ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX,
            f"no codec decodes {syntax.name}, so it cannot become another transfer syntax",
            transfer_syntax=syntax.uid,
        )
    ybr = frame.samples == 3 and frame.photometric.startswith(("YBR", "XYB"))
    kept = frame.photometric in ("YBR_FULL", "YBR_FULL_422") and syntax.uid in _KEEPS_COLOUR_SPACE
    lossless = syntax.uid in LOSSLESS_SYNTAXES
    wanted = attrs.evolve(frame, raw=kept or not ybr, cells=lossless)
    # What isn't whole cells begins at the lowest bit, whatever the attributes say.
    high_bit = frame.high_bit if lossless or not frame.unused_below else frame.bits_stored - 1
    decode_into = frame_decoder(syntax, attrs.evolve(layout, frame=wanted), source.pixels, registry)
    check_no_further_fragments(source.located(), layout, syntax)

    def read(index: int) -> np.ndarray:
        decoded = np.empty(wanted.shape, dtype=wanted.dtype)
        decode_into(index, decoded)
        return decoded

    photometric = frame.photometric
    if ybr:
        photometric = "YBR_FULL" if kept else "RGB"
    described = attrs.evolve(frame, photometric=photometric, planar=False, high_bit=high_bit)
    return StoredFrames(layout.frames, described, read)


def _native(source: PixelSource, layout: PixelLayout) -> StoredFrames:
    pixels, frame = source.pixels, layout.frame
    check_native(pixels, source.syntax)
    if pixels.keyword != "PixelData":
        raise PacsException(
            ErrorCode.OPERATION_NOT_SUPPORTED,
            f"{pixels.keyword} is for native transfer syntaxes only (PS3.5 A.4)",
        )
    native = NativePixels(pixels.keyword, pixels.value, pixels.swapped, pixels.little)
    if is_subsampled(frame):
        return _subsampled(native, layout)
    if frame.photometric == "YBR_PARTIAL_420":
        raise PacsException(
            ErrorCode.OPERATION_NOT_SUPPORTED,
            "native pixels in YBR_PARTIAL_420 are not defined (PS3.3 C.7.6.3.1.2)",
        )
    check_no_further_native(native.source.size, layout)

    def read(index: int) -> np.ndarray:
        found: np.ndarray = native_frames(native, layout, (index,))[0]
        return found

    return StoredFrames(layout.frames, attrs.evolve(frame, planar=False), read)


def _subsampled(native: NativePixels, layout: PixelLayout) -> StoredFrames:
    """Read native YBR_FULL_422: Y, Y, Cb, Cr of two pixels (PS3.3 C.7.6.3.1.2)."""
    frame, size = layout.frame, native.source.size
    check_no_further_native(size, grouped_layout(layout, size))
    values = native_colour(native, layout)
    # Of what has a partial range there is no form without subsampling: it becomes RGB.
    full = frame.photometric == "YBR_FULL_422"
    converted = attrs.evolve(frame, raw=full)

    def read(index: int) -> np.ndarray:
        return ybr_to_rgb(values(index), converted)

    stored = attrs.evolve(frame, photometric="YBR_FULL" if full else "RGB", planar=False)
    return StoredFrames(layout.frames, stored, read)


def check_high_bit(description: FrameDescription) -> None:
    """Refuse cells whose numbers don't begin at the lowest bit.

    Raises:
        PacsException: ``OPERATION_NOT_SUPPORTED``.
    """
    high, bits = description.high_bit, description.bits_stored
    if high != bits - 1:
        raise _bits_would_be_lost(f"High Bit is {high} with {bits} Bits Stored")


def numbers_alone(values: np.ndarray, description: FrameDescription, index: int) -> np.ndarray:
    """Take the numbers of a frame out of cells that hold nothing else.

    Above a signed number its sign goes on, or all bits are 0 (PS3.5 8.1.1 leaves it open).

    Args:
        values: The cells.
        description: What they are.
        index: Which frame it is.

    Raises:
        PacsException: ``OPERATION_NOT_SUPPORTED`` where bits above Bits Stored are used, by
            an overlay or otherwise.
    """
    bits, signed = description.bits_stored, description.signed
    if bits >= description.bits_allocated or not values.size:
        return values
    lowest, highest = int(values.min()), int(values.max())
    least, most = (-1 << bits - 1, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if least <= lowest and highest <= most:
        return values
    if signed and lowest >= 0 and highest >> bits == 0:
        return conform_bits(values, description, bits)
    raise _bits_would_be_lost(
        f"frame {index} uses bits above its {bits} Bits Stored, for an overlay perhaps"
    )


def _bits_would_be_lost(what: str) -> PacsException:
    return PacsException(
        ErrorCode.OPERATION_NOT_SUPPORTED,
        f"{what}, which this transfer syntax cannot keep; RLE Lossless, Deflated Image Frame "
        "Compression and the native transfer syntaxes can",
    )


def native_value_bytes(frames: int, description: FrameDescription) -> int:
    """Tell how many bytes native pixels take, without padding."""
    return -(-frames * description.values * description.bits_allocated // 8)


def native_bytes(
    frames: Iterable[np.ndarray], bits_allocated: int, *, little: bool
) -> Iterator[Buffer]:
    """Lay out native pixels, colour by pixel.

    Args:
        frames: The arrays; with one bit allocated, of 0 and 1.
        bits_allocated: Bits Allocated.
        little: The byte order of numbers.

    Yields:
        The bytes of each frame; single bits are packed across frames (PS3.5 8.1.1), so a
        frame's last ones may come with the next.
    """
    rest = np.empty(0, dtype=np.uint8)
    for values in frames:
        if bits_allocated > 1:
            order = values.dtype.newbyteorder("<" if little else ">")
            yield np.ascontiguousarray(values, dtype=order).data.cast("B")
            continue
        bits = np.concatenate((rest, values.reshape(-1)))
        whole = len(bits) // 8 * 8
        rest = bits[whole:]
        yield np.packbits(bits[:whole], bitorder="little").data
    if rest.size:
        yield np.packbits(rest, bitorder="little").data


def reordered(source: ByteSource, width: int) -> Iterator[Buffer]:
    """Copy native pixels with the bytes of each number in the other order.

    Args:
        source: The bytes.
        width: How many bytes a number has; 1 leaves them as they are.
    """
    if width == 1:
        yield source.view()
        return
    for begin in range(0, source.size, _REORDERED_BYTES):
        data = source.slice(begin, _REORDERED_BYTES).view()
        whole = len(data) // width * width
        yield np.frombuffer(data[:whole], dtype=f"u{width}").byteswap().data
        if whole < len(data):  # a number that is cut off: left as it is
            yield data[whole:]

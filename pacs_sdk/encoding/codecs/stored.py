"""From what a decoder gives to stored values: sign, unused bits, colour (PS3.5 8.1.1, 8.2)."""

from __future__ import annotations

from typing import Final

import numpy as np
from pydicom.pixels.processing import convert_color_space

from pacs_sdk.encoding.codecs.description import FrameDescription, pixel_failure

__all__ = [
    "cells_hold_more",
    "conform_bits",
    "conform_cells",
    "conform_numbers",
    "conform_shape",
    "finished_cells",
    "numbers_or_cells",
    "unsigned_room",
    "without_sign",
    "ybr_to_rgb",
]

_FULL: Final = ("YBR_FULL", "YBR_FULL_422")
_PARTIAL: Final = ("YBR_PARTIAL_422", "YBR_PARTIAL_420")

_FROM_PARTIAL: Final = np.array(
    [[1.1644, 1.1644, 1.1644], [0.0, -0.3917, 2.0173], [1.5960, -0.8130, 0.0]], dtype=np.float32
)
"""Y, Cb, Cr to R, G, B, rows by input: the inverse of PS3.3 C.7.6.3.1.2, YBR_PARTIAL_422."""


def conform_shape(values: np.ndarray, description: FrameDescription) -> np.ndarray:
    """Bring a decoder's array into the shape (rows, columns[, samples]).

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where it is another image.
    """
    if values.shape == description.shape:
        return values
    plane = (description.rows, description.columns)
    if values.shape in ((*plane, 1), (1, *plane)) and description.samples == 1:
        return values.reshape(plane)
    if values.shape == (description.samples, *plane):
        return np.moveaxis(values, 0, -1)
    raise pixel_failure(f"it decodes to the shape {values.shape}, not {description.shape}")


def conform_bits(values: np.ndarray, description: FrameDescription, bits: int) -> np.ndarray:
    """Give whole numbers the dtype of the attributes, extending the sign from ``bits``.

    Compression that knows no sign gives negative numbers as large positive ones, and cells
    may hold rubbish above Bits Stored (PS3.5 8.1.1).

    Args:
        values: Whole numbers of any width.
        description: What is wanted.
        bits: How many low bits of each are its value.
    """
    dtype = description.dtype
    width = dtype.itemsize * 8
    converted = values if values.dtype == dtype else values.astype(dtype)
    extra = width - bits
    if extra <= 0 or bits < 1:
        return converted
    if dtype.kind == "u":
        if values.dtype.kind == "u" and not _exceeds(converted, bits):
            return converted
        masked: np.ndarray = converted & dtype.type((1 << bits) - 1)
        return masked
    extended: np.ndarray = (converted << extra) >> extra
    return extended


def cells_hold_more(description: FrameDescription) -> bool:
    """Whether cells have bits above their numbers, which begin at the lowest bit."""
    bits = description.bits_stored
    return 1 <= bits < description.bits_allocated and description.high_bit == bits - 1


def conform_cells(cells: np.ndarray, description: FrameDescription, out: np.ndarray) -> None:
    """Do what :func:`conform_bits` does on the way to where native cells are wanted.

    Args:
        cells: Whole numbers as wide as those of the attributes, in any byte order.
        description: What they are, of which :func:`cells_hold_more`.
        out: Where their numbers go, of the dtype of the attributes.
    """
    bits = description.bits_stored
    if out.dtype.kind == "u":
        np.bitwise_and(cells, out.dtype.type((1 << bits) - 1), out=out)
        return
    extra = out.dtype.itemsize * 8 - bits
    np.left_shift(cells, extra, out=out)
    np.right_shift(out, extra, out=out)


def conform_numbers(values: np.ndarray, description: FrameDescription, *, lossless: bool) -> None:
    """Bring decompressed greyscale within Bits Stored, in place.

    Without loss, whatever is above them are other bits of the cells, such as an overlay. With
    loss, it is an overshoot: cutting bits off would turn white into black.

    Args:
        values: What a codec gave, of the dtype of the attributes.
        description: What they are.
        lossless: Whether nothing was lost.
    """
    if description.samples > 1 or not cells_hold_more(description):
        return
    bits, signed = description.bits_stored, description.signed
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if int(values.max()) <= high and int(values.min()) >= low:
        return
    if lossless:
        conform_cells(values, description, values)
    else:
        np.clip(values, low, high, out=values)


def unsigned_room(out: np.ndarray, precision: int) -> np.ndarray | None:
    """Say where a decoder can write that knows no sign; ``None`` where it has to make room.

    Args:
        out: Where a frame is wanted.
        precision: Bits of a value in the codestream; up to eight, a cell is a byte.
    """
    width = 1 if precision <= 8 else 2
    if out.itemsize != width or not out.flags.c_contiguous:
        return None
    return out.view(f"u{width}")


def without_sign(decoded: np.ndarray, precision: int, description: FrameDescription) -> np.ndarray:
    """Conform what was compressed without a sign: JPEG, JPEG-LS (PS3.5 8.2.1, 8.2.3)."""
    shaped = conform_shape(decoded, description)
    bits = precision
    if description.signed and not (description.cells or description.unused_below):
        bits = min(precision, description.bits_stored)
    return numbers_or_cells(conform_bits(shaped, description, bits), precision, description)


def numbers_or_cells(
    values: np.ndarray, precision: int, description: FrameDescription
) -> np.ndarray:
    """Give what is wanted, where numbers don't begin at the lowest bit of a cell.

    Of such cells some encoders compress every bit, others the numbers alone; the precision of
    the codestream tells which.

    Args:
        values: As decoded, of the dtype of the attributes.
        precision: How many bits of each are in the codestream.
        description: What they are, and what is wanted.
    """
    below = description.unused_below
    are_cells = precision > description.bits_stored
    if not below or are_cells == description.cells:
        return values
    if description.cells:
        raised: np.ndarray = values << below
        return raised
    return conform_bits(values >> below, description, description.bits_stored)


def finished_cells(planes: np.ndarray, description: FrameDescription) -> np.ndarray:
    """Make a frame of cells that were compressed as they lie (samples, rows, columns)."""
    values = planes[0] if description.samples == 1 else np.moveaxis(planes, 0, -1)
    if cells_hold_more(description) and not description.cells:
        values = conform_bits(values, description, description.bits_stored)
    return ybr_to_rgb(values, description)


def _exceeds(values: np.ndarray, bits: int) -> bool:
    return bool(values.size) and int(values.max()) >> bits > 0


def ybr_to_rgb(values: np.ndarray, description: FrameDescription) -> np.ndarray:
    """Convert YBR to RGB where the attributes say YBR and RGB is wanted.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where samples have more than eight bits.
    """
    photometric = description.photometric
    if description.raw or description.samples != 3 or photometric not in (*_FULL, *_PARTIAL):
        return values
    if values.dtype != np.uint8:
        raise pixel_failure(f"{photometric} of {values.dtype} cannot be converted to RGB")
    if photometric in _FULL:
        return convert_color_space(values, "YBR_FULL", "RGB")
    shifted = values.astype(np.float32) - np.array([16, 128, 128], dtype=np.float32)
    rgb: np.ndarray = np.clip(np.rint(shifted @ _FROM_PARTIAL), 0, 255).astype(np.uint8)
    return rgb

"""From ordered slices to one array of real values."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.integration.itk.image_slice import ImageSlice, stored_values

__all__ = ["DEFAULT_MAX_VOLUME_BYTES", "Allocator", "FilledVolume", "fill_volume"]

DEFAULT_MAX_VOLUME_BYTES: Final = 16 << 30
"""The largest volume that is made unless the caller allows more: eight thousand CT slices,
while attributes of a few bytes could otherwise ask for any amount of memory."""

Allocator: TypeAlias = Callable[[np.dtype[Any]], NDArray[Any]]
"""Makes room for the volume: an array (slices, rows, columns) of the type it is given."""

_MOST_THREADS: Final = 8
"""Copying is bound by memory and decoding by cores; more threads only take memory."""

_EXACT_FLOAT32_BITS: Final = 24
"""Stored values of up to this many bits are told apart in 32-bit floating point."""


@attrs.frozen(eq=False)
class FilledVolume:
    """A volume's values."""

    array: NDArray[Any]
    """The values, (slices, rows, columns)."""
    value_range: tuple[float, float]
    """The smallest and the largest."""
    rescale: str
    """How they came from the stored values, in words."""


class _TooNarrowError(Exception):
    """A value doesn't fit the type that was tried."""


def fill_volume(
    slices: Sequence[ImageSlice], allocate: Allocator, max_volume_bytes: int
) -> FilledVolume:
    """Decode and rescale all slices into one array.

    Real values are stored value × Rescale Slope + Rescale Intercept, each slice with its
    own (PS3.3 C.11.1.1.2). The type of the result is decided over all slices:

    - every slope and intercept a whole number: ``int16`` where all values fit, else
      ``int32``, so that nothing is rounded;
    - otherwise ``float32``, computed in double precision and rounded once; ``float64``
      where more than 24 bits are stored, or a value is beyond single precision.

    Args:
        slices: The slices, in order, of one size.
        allocate: Makes the array.
        max_volume_bytes: The most memory it may take.

    Raises:
        PacsException: ``LIMIT_EXCEEDED``, or ``PIXEL_DATA_FAILED`` and what reading gives,
            naming the file.
    """
    _check_sizes(slices)
    whole = all(one.slope.is_integer() and one.intercept.is_integer() for one in slices)
    deep = max(one.bits_stored for one in slices) > _EXACT_FLOAT32_BITS
    candidates: list[type[np.generic]] = [np.int16, np.int32] if whole else []
    candidates += [np.float64] if deep or whole else [np.float32, np.float64]
    for candidate in candidates:
        dtype = np.dtype(candidate)
        volume = _allocated(slices, dtype, allocate, max_volume_bytes)
        try:
            value_range = _fill(slices, volume)
        except _TooNarrowError:
            del volume  # before the wider one is made
            continue
        return FilledVolume(volume, value_range, _rescale_words(slices, dtype))
    raise PacsException(
        ErrorCode.SERIES_NOT_LOADABLE, "the rescaled values are beyond 64-bit floating point"
    )


def _check_sizes(slices: Sequence[ImageSlice]) -> None:
    """Refuse, before memory is taken, native images that are shorter than they claim."""
    for one in slices:
        syntax = one.instance.syntax
        needed = one.rows * one.columns * one.bits_allocated // 8
        if not (syntax.encapsulated or syntax.deflated) and one.instance.size < needed:
            raise PacsException(
                ErrorCode.PIXEL_DATA_FAILED,
                f"{one.name}: its Rows and Columns need {needed} bytes of pixels, the whole data "
                f"set has {one.instance.size}",
                path=one.name,
                tag="(7FE0,0010)",
            )


def _allocated(
    slices: Sequence[ImageSlice], dtype: np.dtype[Any], allocate: Allocator, limit: int
) -> NDArray[Any]:
    needed = len(slices) * slices[0].rows * slices[0].columns * dtype.itemsize
    if needed > limit:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"the volume of {len(slices)} slices of {slices[0].rows} × {slices[0].columns} takes "
            f"{needed} bytes, the limit is {limit} (max_volume_bytes=)",
            limit=limit,
        )
    try:
        return allocate(dtype)
    except MemoryError:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED, f"there is no memory for a volume of {needed} bytes"
        ) from None


def _fill(slices: Sequence[ImageSlice], volume: NDArray[Any]) -> tuple[float, float]:
    """Fill the volume, several slices at a time; return its smallest and largest value."""
    rescale = _rescale_whole if volume.dtype.kind == "i" else _rescale_fractional
    threads = min(_MOST_THREADS, os.cpu_count() or 1, len(slices))
    with ThreadPoolExecutor(threads) as pool:
        filling = [
            pool.submit(lambda one, out: rescale(one, stored_values(one), out), one, volume[index])
            for index, one in enumerate(slices)
        ]
        try:
            ranges = [future.result() for future in filling]
        except BaseException:
            for future in filling:  # those that have not begun; the pool waits for the others
                future.cancel()
            raise
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _rescale_whole(one: ImageSlice, stored: NDArray[Any], out: NDArray[Any]) -> tuple[float, float]:
    """Rescale by whole numbers, in whole numbers.

    Intermediate results may wrap around; as the last one fits, it is right all the same
    (arithmetic modulo a power of two).
    """
    slope, intercept = int(one.slope), int(one.intercept)
    ends = [int(end) * slope + intercept for end in (stored.min(), stored.max())]
    limits = np.iinfo(out.dtype)
    if min(ends) < limits.min or max(ends) > limits.max:
        raise _TooNarrowError
    if stored.dtype.itemsize == out.dtype.itemsize:
        wrapped = stored.view(out.dtype)
    else:
        wrapped = stored.astype(out.dtype)
    if slope == 1:
        np.add(wrapped, _wrapped(intercept, out.dtype), out=out)
    else:
        np.multiply(wrapped, _wrapped(slope, out.dtype), out=out)
        np.add(out, _wrapped(intercept, out.dtype), out=out)
    return min(ends), max(ends)


def _wrapped(number: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the number modulo the range of a type, as an array without axes."""
    lowest = -(1 << dtype.itemsize * 8 - 1)
    return np.array((number - lowest) % (1 << dtype.itemsize * 8) + lowest, dtype)


def _rescale_fractional(
    one: ImageSlice, stored: NDArray[Any], out: NDArray[Any]
) -> tuple[float, float]:
    with np.errstate(over="ignore"):  # infinity shows that the type is too narrow
        values = np.multiply(stored, one.slope, dtype=np.float64)
        values += one.intercept
        out[...] = values
    low, high = float(out.min()), float(out.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise _TooNarrowError
    return low, high


def _rescale_words(slices: Sequence[ImageSlice], dtype: np.dtype[Any]) -> str:
    pairs = Counter((one.slope, one.intercept) for one in slices)
    if len(pairs) == 1:
        slope, intercept = next(iter(pairs))
        stated = any(one.text("RescaleSlope") for one in slices)
        sign = "−" if intercept < 0 else "+"
        words = f"stored × {slope:.12g} {sign} {abs(intercept):.12g}" if stated else "none stated"
    else:
        slopes = [slope for slope, _ in pairs]
        words = (
            f"each slice its own: {len(pairs)} pairs, slopes {min(slopes):.6g} to {max(slopes):.6g}"
        )
    exact = dtype.kind == "i"
    return f"{words}, in {'whole numbers' if exact else 'double precision'}"

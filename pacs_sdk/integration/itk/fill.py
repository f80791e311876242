"""From slices to one array of real values, each read to where it stays."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.pixel_data.parallel import decode_each
from pacs_sdk.integration.itk.image_slice import ImageSlice
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.rescale import Linear, linear_of, rescale_words
from pacs_sdk.integration.itk.slice_pixels import (
    FrameDecoders,
    Scratch,
    StoredLimits,
    check_length,
    read_stored,
    stored_type,
)

__all__ = ["Allocator", "FilledVolume", "SlicesFailedError", "checked_value", "fill_slices"]

Allocator: TypeAlias = Callable[[tuple[int, ...], np.dtype[Any]], NDArray[Any]]
"""Makes room for values: an array of the shape and type it is given."""

_EXACT_FLOAT32_BITS: Final = 24
"""Stored values of up to this many bits are told apart in 32-bit floating point."""


@attrs.frozen(eq=False)
class FilledVolume:
    """Values of slices."""

    array: NDArray[Any]
    """The values: (places, rows, columns[, samples]); those of places that no slice fills are
    not defined."""
    value_range: tuple[float, float]
    """The smallest and the largest."""
    linears: tuple[Linear, ...]
    """What was applied to each slice."""
    rescale: str
    """The same in words."""
    mask: NDArray[np.bool_] | None
    """Where voxels are no padding, if that was asked for."""
    padding_voxels: int
    """How many voxels are padding, where that was looked at."""
    notes: tuple[str, ...]
    """What a careful reader should know about the stored values."""


class SlicesFailedError(Exception):
    """Slices that cannot be decoded, each with the reason."""

    def __init__(self, failures: list[tuple[ImageSlice, PacsException]]) -> None:
        super().__init__(f"{len(failures)} slices cannot be decoded")
        self.failures = failures


class _TooNarrowError(Exception):
    """A value doesn't fit the type that was tried."""


def fill_slices(
    slices: Sequence[ImageSlice],
    places: Sequence[int],
    count: int,
    allocate: Allocator,
    options: LoadOptions,
) -> FilledVolume:
    """Decode and rescale slices into one array.

    Real values are stored value × Rescale Slope + Rescale Intercept, each slice with its
    own (PS3.3 C.11.1.1.2). The type of the result is decided over all slices:

    - every slope and intercept a whole number: ``int16`` where all values fit, else
      ``int32``, so that nothing is rounded;
    - otherwise ``float32``, computed in double precision and rounded once; ``float64``
      where more than 24 bits are stored, or a value is beyond single precision;
    - without rescaling the type that holds all stored values; colour is ``uint8``.

    Args:
        slices: The slices, all of one size.
        places: Where in the array each belongs.
        count: How many places the array has.
        allocate: Makes the array.
        options: The policies for values, the limit of memory, and ``strict``.

    Raises:
        PacsException: ``LIMIT_EXCEEDED``, or ``PIXEL_DATA_FAILED`` and what reading gives,
            naming the file.
        SlicesFailedError: The same, of all slices that failed, where ``strict`` is not set.
    """
    for one in slices:
        check_length(one)
    linears = tuple(_linears(slices, options))
    kind = slices[0].kind
    shape = (count, kind.rows, kind.columns, *([3] if kind.is_colour else []))
    for dtype in _candidates(slices, linears, options):
        array = _allocated(shape, dtype, allocate, options.max_volume_bytes)
        filling = _Filling(array, options)
        try:
            filling.fill(slices, linears, places)
        except _TooNarrowError:
            del array, filling  # before the wider one is made
            continue
        exact = dtype.kind in "iu"
        words = rescale_words(slices, linears, exact=exact, options=options)
        return FilledVolume(
            array,
            filling.value_range,
            linears,
            words,
            filling.mask,
            sum(filling.padding),
            _cleared_words(len(filling.cleared), slices[0]),
        )
    raise PacsException(
        ErrorCode.SERIES_NOT_LOADABLE, "the rescaled values are beyond 64-bit floating point"
    )


def _cleared_words(count: int, first: ImageSlice) -> tuple[str, ...]:
    if not count:
        return ()
    words = (
        f"bits above BitsStored (0028,0101) {first.kind.bits_stored} were cleared in {count} of the "
        "slices; values that used them, as padding may, are others now"
    )
    return (words,)


def _linears(slices: Sequence[ImageSlice], options: LoadOptions) -> list[Linear]:
    if options.rescale == "philips":  # the scale slope is not among what a kind knows
        return [linear_of(one, options) for one in slices]
    known: dict[int, Linear] = {}
    for one in slices:
        if id(one.kind) not in known:
            known[id(one.kind)] = linear_of(one, options)
    return [known[id(one.kind)] for one in slices]


def _candidates(
    slices: Sequence[ImageSlice], linears: Sequence[Linear], options: LoadOptions
) -> list[np.dtype[Any]]:
    if slices[0].kind.is_colour or options.rescale == "none":
        stored = np.result_type(*{stored_type(one) for one in slices})
        wider = [np.dtype(np.int32)] if stored.kind in "iu" and stored.itemsize < 4 else []
        return [stored, *wider, np.dtype(np.float64)]
    if all(one.is_whole for one in set(linears)):
        return [np.dtype(np.int16), np.dtype(np.int32), np.dtype(np.float64)]
    deep = max(one.kind.bits_stored for one in slices) > _EXACT_FLOAT32_BITS
    return [np.dtype(np.float64)] if deep else [np.dtype(np.float32), np.dtype(np.float64)]


def _allocated(
    shape: tuple[int, ...], dtype: np.dtype[Any], allocate: Allocator, limit: int
) -> NDArray[Any]:
    needed = math.prod(shape) * dtype.itemsize
    if needed > limit:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"the volume of {shape[0]} slices of {shape[1]} × {shape[2]} takes "
            f"{needed} bytes, the limit is {limit} (max_volume_bytes=)",
            limit=limit,
        )
    try:
        return allocate(shape, dtype)
    except MemoryError:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED, f"there is no memory for a volume of {needed} bytes"
        ) from None


def checked_value(value: float, dtype: np.dtype[Any], argument: str) -> float | int:
    """Return a value as the type of the volume holds it.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` where the type cannot hold it.
    """
    if dtype.kind == "f":
        fits = not math.isfinite(value) or abs(value) <= float(np.finfo(dtype).max)
    else:
        limits = np.iinfo(dtype)
        fits = float(value).is_integer() and limits.min <= value <= limits.max
    if not fits:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT, f"{argument}={value:g} is no value of {dtype}"
        )
    return value if dtype.kind == "f" else int(value)


class _Filling:
    """The work on one array: several slices at a time, each by one thread."""

    def __init__(self, array: NDArray[Any], options: LoadOptions) -> None:
        self._array = array
        self._options = options
        self._scratch = Scratch()
        self._decoders = FrameDecoders()
        self._failures: list[tuple[ImageSlice, PacsException]] = []
        self._ranges: list[tuple[float, float]] = []
        self.padding: list[int] = []
        self.cleared: list[ImageSlice] = []
        self.mask: NDArray[np.bool_] | None = None
        if options.padding == "mask":
            self.mask = np.ones(array.shape[:3], np.bool_)

    @property
    def value_range(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return min(low for low, _ in self._ranges), max(high for _, high in self._ranges)

    def fill(
        self, slices: Sequence[ImageSlice], linears: Sequence[Linear], places: Sequence[int]
    ) -> None:
        """Fill the places of all slices."""

        def work(index: int) -> None:
            try:
                self._fill_one(slices[index], linears[index], places[index])
            except PacsException as exc:
                if self._options.strict:
                    raise
                self._failures.append((slices[index], exc))

        decode_each(work, len(slices), self._options.threads)
        if self._failures:
            raise SlicesFailedError(self._failures)

    def _fill_one(self, one: ImageSlice, linear: Linear, place: int) -> None:
        out = self._array[place]
        stored_dtype = stored_type(one)
        in_place = out.dtype.kind in "iu" and out.dtype.itemsize == stored_dtype.itemsize
        if in_place:
            stored = out.view(stored_dtype)
        else:
            stored = self._scratch.room_for(out.shape, stored_dtype)
        limits = read_stored(one, stored, self._decoders)
        if limits.cleared:
            self.cleared.append(one)
        padded = self._padded(one, stored)
        if out.dtype.kind in "iu":
            ends = _rescale_whole(stored, limits, linear, out)
        else:
            ends = _rescale_fractional(stored, linear, out)
        if padded is not None:
            ends = self._apply_padding(out, padded, place, ends)
        self._ranges.append(ends)

    def _padded(self, one: ImageSlice, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Where the stored values are padding; ``None`` where that does not matter."""
        if self._options.padding == "keep" or one.kind.padding is None or one.kind.is_colour:
            return None
        low, high = one.kind.padding
        padded: NDArray[np.bool_] = (stored >= low) & (stored <= high)
        return padded if padded.any() else None

    def _apply_padding(
        self,
        out: NDArray[Any],
        padded: NDArray[np.bool_],
        place: int,
        ends: tuple[float, float],
    ) -> tuple[float, float]:
        self.padding.append(int(padded.sum()))
        value = self._options.padding
        if self.mask is not None or isinstance(value, str):
            if self.mask is not None:
                self.mask[place] = ~padded
            return ends
        out[padded] = checked_value(value, out.dtype, "padding")
        return float(out.min()), float(out.max())


def _rescale_whole(
    stored: NDArray[Any], limits: StoredLimits, linear: Linear, out: NDArray[Any]
) -> tuple[float, float]:
    """Rescale by whole numbers, in whole numbers.

    Intermediate results may wrap around; as the last one fits, it is right all the same
    (arithmetic modulo a power of two).
    """
    slope, intercept = int(linear.slope), int(linear.intercept)
    ends = [end * slope + intercept for end in (limits.smallest, limits.largest)]
    lowest, highest = _limits_of(out.dtype)
    if min(ends) < lowest or max(ends) > highest:
        raise _TooNarrowError
    # Of one size, the stored values are in `out` already; of another, they are cast on the way.
    there = stored.dtype.itemsize == out.dtype.itemsize
    values = out if there else stored
    if slope != 1:
        factor = _wrapped(slope, out.dtype)
        np.multiply(values, factor, out=out, casting="unsafe", dtype=out.dtype)
        values = out
    if intercept:
        addend = _wrapped(intercept, out.dtype)
        np.add(values, addend, out=out, casting="unsafe", dtype=out.dtype)
    elif values is stored:
        np.copyto(out, stored, casting="unsafe")
    return float(min(ends)), float(max(ends))


@functools.lru_cache(maxsize=64)
def _limits_of(dtype: np.dtype[Any]) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _wrapped(number: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the number modulo the range of a type, as an array without axes."""
    lowest, _ = _limits_of(dtype)
    return np.array((number - lowest) % (1 << dtype.itemsize * 8) + lowest, dtype)


def _rescale_fractional(
    stored: NDArray[Any], linear: Linear, out: NDArray[Any]
) -> tuple[float, float]:
    with np.errstate(over="ignore"):  # infinity shows that the type is too narrow
        values = np.multiply(stored, linear.slope, dtype=np.float64)
        values += linear.intercept
        out[...] = values
    low, high = float(out.min()), float(out.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise _TooNarrowError
    return low, high

"""From real values to the whole numbers that a DICOM image stores, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray
from pydicom.valuerep import format_number_as_ds

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["StoredValues", "stored_values_of"]

_SIGNED: Final = np.iinfo(np.int16)
_UNSIGNED: Final = np.iinfo(np.uint16)


@attrs.frozen(eq=False)
class StoredValues:
    """Values in 16 bits."""

    array: NDArray[Any]
    """``int16`` or ``uint16``, of the shape of the values."""
    slope: str
    """Rescale Slope, as DS."""
    intercept: str
    """Rescale Intercept, as DS."""
    largest_error: float
    """How far the farthest value is from stored × slope + intercept."""

    @property
    def is_rescaled(self) -> bool:
        """Whether stored values differ from the values they stand for."""
        return float(self.slope) != 1 or float(self.intercept) != 0


def stored_values_of(values: NDArray[Any], known: tuple[float, float]) -> StoredValues:
    """Find whole numbers with a slope and an intercept for values.

    Whole numbers stay what they are where they fit. Otherwise the slope and intercept that
    are known are taken if they give every value exactly; otherwise all of 16 bits are spread
    over the range of the values.

    Args:
        values: Real numbers.
        known: Slope and intercept of the images that the values came from.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for no numbers, or some that are not finite.
    """
    if values.size == 0 or values.dtype.kind not in "biuf":
        raise _refuse(f"values of type {values.dtype} and shape {values.shape} make no image")
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high) and np.isfinite(high - low)):
        raise _refuse("some values are not finite numbers, which no DICOM image holds")
    for slope, intercept in _candidates(values, low, high, known):
        found = _exactly(values, slope, intercept)
        if found is not None:
            return found
    slope_text = format_number_as_ds((high - low) / _UNSIGNED.max)
    intercept_text = format_number_as_ds(low)
    stored, error = np.empty(values.shape, np.uint16), 0.0
    for plane, out in _planes(values, stored):
        exact = (plane.astype(np.float64) - float(intercept_text)) / float(slope_text)
        out[...] = np.clip(np.rint(exact), 0, _UNSIGNED.max)
        back = out * float(slope_text) + float(intercept_text)
        error = max(error, float(np.abs(back - plane).max()))
    return StoredValues(stored, slope_text, intercept_text, error)


def _candidates(
    values: NDArray[Any], low: float, high: float, known: tuple[float, float]
) -> Iterator[tuple[float, float]]:
    yield 1.0, 0.0
    if values.dtype.kind != "f" and high - low <= _UNSIGNED.max:
        yield 1.0, low
    yield known
    if low == high:
        yield 1.0, low


def _exactly(values: NDArray[Any], slope: float, intercept: float) -> StoredValues | None:
    """Store values if every one comes back as it was, in its own type."""
    texts = format_number_as_ds(float(slope)), format_number_as_ds(float(intercept))
    if (float(texts[0]), float(texts[1])) != (slope, intercept):
        return None
    ends = sorted((float(end) - intercept) / slope for end in (values.min(), values.max()))
    limits = _SIGNED if ends[0] < 0 or ends[1] <= _SIGNED.max else _UNSIGNED
    if ends[0] < limits.min - 0.5 or ends[1] > limits.max + 0.5:
        return None
    stored = np.empty(values.shape, limits.dtype)
    for plane, out in _planes(values, stored):
        out[...] = np.clip(
            np.rint((plane.astype(np.float64) - intercept) / slope), limits.min, limits.max
        )
        if not np.array_equal((out * slope + intercept).astype(values.dtype), plane):
            return None
    return StoredValues(stored, *texts, 0.0)


def _planes(
    values: NDArray[Any], stored: NDArray[Any]
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Go through both a slice at a time, so that no second volume in float64 is made."""
    yield from zip(values, stored, strict=True)


def _refuse(words: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_ARGUMENT, words)

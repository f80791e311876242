"""From the values of slices to those of the grid: gaps filled, or everything resampled."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.integration.itk.fill import FilledVolume, checked_value
from pacs_sdk.integration.itk.geometry import VolumeGeometry
from pacs_sdk.integration.itk.grid import Resampling
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.resample import interpolate_gaps, resample
from pacs_sdk.integration.itk.stack import SliceStack

__all__ = ["GridValues", "VolumeMemory", "fill_gaps", "resampled"]


class VolumeMemory(Protocol):
    """Makes room for a volume."""

    def __call__(
        self, geometry: VolumeGeometry, dtype: np.dtype[Any], volumes: int | None, samples: int
    ) -> NDArray[Any]:
        """Return a writable, contiguous array ([volumes,] slices, rows, columns[, samples]).

        Raises:
            MemoryError: There is none.
        """


@attrs.frozen(eq=False)
class GridValues:
    """The values of a grid."""

    array: NDArray[Any]
    """The values."""
    mask: NDArray[np.bool_] | None
    """Where they are no padding."""
    actions: tuple[str, ...]
    """What was done beyond the rescaling."""
    value_range: tuple[float, float]
    """The smallest and the largest value."""


def fill_gaps(
    array: NDArray[Any], filled: FilledVolume, stack: SliceStack, options: LoadOptions
) -> GridValues:
    """Give the places that no slice fills their values, in place.

    Args:
        array: The volume, over the memory of the values.
        filled: Its values.
        stack: Where slices are missing.
        options: What becomes of the gaps.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for a fill value that the volume cannot hold.
    """
    gaps = [place for place, number in enumerate(stack.places) if number is None]
    if not gaps:
        return GridValues(array, filled.mask, (), filled.value_range)
    exact = _fill_value(filled, options)
    per_volume = len(stack.places)
    for start in range(0, len(filled.array), per_volume):
        part = slice(start, start + per_volume)
        if options.on_gap == "interpolate":
            interpolate_gaps(filled.array[part], stack.places)
        else:
            filled.array[part][gaps] = exact
        if filled.mask is not None:
            filled.mask[part][gaps] = False
    made = options.on_gap != "interpolate"
    words = _gap_words(len(gaps), exact, options)
    return GridValues(array, filled.mask, (words,), _with_value(filled, exact, used=made))


def resampled(
    filled: FilledVolume,
    stack: SliceStack,
    resampling: Resampling,
    volumes: int | None,
    options: LoadOptions,
    memory: VolumeMemory,
) -> GridValues:
    """Bring slices to the grid that was planned.

    Args:
        filled: Their values.
        stack: The grid.
        resampling: How they come to it.
        volumes: How many volumes an axis of them has; ``None`` for no axis.
        options: What lies outside of the slices and in gaps.
        memory: Makes room for the result.

    Raises:
        PacsException: ``LIMIT_EXCEEDED``, or ``INVALID_ARGUMENT`` for a fill value that the
            volume cannot hold.
    """
    stored, count = filled.array, volumes or 1
    samples = stored.shape[3] if stored.ndim == 4 else 1
    _check_size(stack.geometry, samples * count * stored.dtype.itemsize, options)
    outside = _fill_value(filled, options)
    out = memory(stack.geometry, stored.dtype, volumes, samples)
    grid = stack.geometry.size[::-1]
    flat = out.reshape((count, *grid, *stored.shape[3:]))
    mask = None if filled.mask is None else np.empty(flat.shape[:4], np.bool_)
    per_volume, gaps = len(stack.places), list(resampling.in_gaps)
    made = bool(gaps) and options.on_gap == "fill"
    how: Literal["linear", "nearest"] = options.interpolation
    for volume, room in enumerate(flat):
        part = slice(volume * per_volume, (volume + 1) * per_volume)
        resample(
            stored[part], resampling, stack.geometry, room, interpolation=how, fill_value=outside
        )
        if made:
            room[gaps] = outside
        if mask is not None and filled.mask is not None:
            shown = mask[volume]
            resample(
                filled.mask[part],
                resampling,
                stack.geometry,
                shown,
                interpolation=how,
                fill_value=0,
            )
            shown[gaps] = False
    actions = [resampling.reason]
    if gaps:
        actions.append(_gap_words(len(gaps), outside, options))
    used = made or stack.tilt_degrees != 0
    return GridValues(out, mask, tuple(actions), _with_value(filled, outside, used=used))


def _check_size(geometry: VolumeGeometry, bytes_per_voxel: int, options: LoadOptions) -> None:
    needed = int(np.prod(geometry.size)) * bytes_per_voxel
    if needed > options.max_volume_bytes:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"the resampled volume takes {needed} bytes, the limit is "
            f"{options.max_volume_bytes} (max_volume_bytes=)",
            limit=options.max_volume_bytes,
        )


def _fill_value(filled: FilledVolume, options: LoadOptions) -> float:
    value = filled.value_range[0] if options.fill_value is None else options.fill_value
    return checked_value(value, filled.array.dtype, "fill_value")


def _gap_words(count: int, value: float, options: LoadOptions) -> str:
    slices = "1 slice" if count == 1 else f"{count} slices"
    if options.on_gap == "interpolate":
        return f"{slices} interpolated between their neighbours"
    return f"{slices} filled with {value:g}"


def _with_value(filled: FilledVolume, value: float, *, used: bool) -> tuple[float, float]:
    low, high = filled.value_range
    return (min(low, float(value)), max(high, float(value))) if used else (low, high)

"""Values where no slice lies: gaps, uneven steps, a gantry tilt."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from pacs_sdk.integration.itk.geometry import VolumeGeometry
from pacs_sdk.integration.itk.grid import Resampling

__all__ = ["interpolate_gaps", "nearest_slices", "resample"]

_ROUNDING: Final = 1e-6
"""What weight of a sample is rounding: it changes 16-bit values by less than a tenth."""


def interpolate_gaps(array: NDArray[Any], places: Sequence[int | None]) -> None:
    """Fill gaps with the mean of the slices around them, weighted by distance, in place.

    Args:
        array: (places, rows, columns[, samples]).
        places: For each place the number of its slice, ``None`` for a gap; the first and the
            last are no gaps.
    """
    filled = [place for place, number in enumerate(places) if number is not None]
    for before, after in itertools.pairwise(filled):
        for place in range(before + 1, after):
            weight = (place - before) / (after - before)
            array[place] = _as_type(
                array[before] * (1 - weight) + array[after] * weight, array.dtype
            )


def nearest_slices(resampling: Resampling, geometry: VolumeGeometry) -> list[int | None]:
    """Return for each slice of the grid the number of the input slice that is nearest.

    It is ``None`` for one that is made up, where slices are missing.
    """
    wanted = np.arange(geometry.size[2]) * geometry.spacing[2]
    middles = (resampling.distances_mm[1:] + resampling.distances_mm[:-1]) / 2
    nearest: list[int | None] = np.searchsorted(middles, wanted).tolist()
    for index in resampling.in_gaps:
        nearest[index] = None
    return nearest


def resample(
    stored: NDArray[Any],
    resampling: Resampling,
    geometry: VolumeGeometry,
    out: NDArray[Any],
    *,
    interpolation: Literal["linear", "nearest"],
    fill_value: float,
) -> None:
    """Bring slices that make no rectangular grid to one.

    Args:
        stored: The slices: (slices, rows, columns[, samples]). Of a mask a voxel is true where
            all that it would be made of are.
        resampling: Where they lie.
        geometry: The grid.
        out: Room for its values: (slices, rows, columns[, samples]).
        interpolation: Between neighbours, linear in each direction or the nearest; between
            slices around a gap always linear.
        fill_value: The value where a slice that one would be made of does not reach: it is never
            mixed with values.
    """
    distances = resampling.distances_mm
    pixels = resampling.shifts_mm / geometry.spacing[:2]  # columns, rows
    for index in range(len(out)):
        at = index * geometry.spacing[2]
        after = int(np.clip(np.searchsorted(distances, at), 1, len(distances) - 1))
        weight = (at - distances[after - 1]) / (distances[after] - distances[after - 1])
        weight = float(np.clip(weight, 0, 1))
        if interpolation == "nearest" and index not in resampling.in_gaps:
            weight = round(weight)
        mixed = np.zeros(out.shape[1:])
        reached = np.ones(out.shape[1:3], np.bool_)
        for number, part in ((after - 1, 1 - weight), (after, weight)):
            if part > 0:
                values, inside = _moved(
                    stored[number], pixels[number], out.shape[1:3], interpolation
                )
                mixed += part * values
                reached &= inside
        mixed[~reached] = fill_value
        out[index] = _as_type(mixed, out.dtype)


def _moved(
    plane: NDArray[Any],
    shift: NDArray[np.float64],
    shape: tuple[int, ...],
    interpolation: Literal["linear", "nearest"],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Move a slice within its plane by a part of a pixel, into a larger one.

    Returns:
        The values, and where the slice reaches: beside it they mean nothing.
    """
    values: NDArray[np.float64] = plane.astype(np.float64)
    values, rows = _moved_along(values, 0, float(shift[1]), shape[0], interpolation)
    values, columns = _moved_along(values, 1, float(shift[0]), shape[1], interpolation)
    return values, np.logical_and.outer(rows, columns)


def _moved_along(
    values: NDArray[np.float64],
    axis: int,
    pixels: float,
    count: int,
    interpolation: Literal["linear", "nearest"],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Sample at places that are so many pixels before those of the input; tell which it has."""
    present = values.shape[axis]
    at = np.arange(count) - pixels
    inside = (at > -1e-6) & (at < present - 1 + 1e-6)
    at = np.clip(at, 0, present - 1)
    if interpolation == "nearest":
        at = np.rint(at)
    before = np.floor(at).astype(int)
    weight = at - before
    along = [1] * values.ndim
    along[axis] = count
    near = np.take(values, before, axis=axis)
    if weight.any():
        far = np.take(values, np.minimum(before + 1, present - 1), axis=axis)
        near = near + (far - near) * weight.reshape(along)
    return near, inside


def _as_type(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "b":
        return values > 1 - _ROUNDING
    return np.rint(values).astype(dtype) if dtype.kind in "iu" else values.astype(dtype)

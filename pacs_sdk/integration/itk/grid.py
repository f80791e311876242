"""The rectangular grid that slices which make none are resampled to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.integration.itk.geometry import VolumeGeometry
from pacs_sdk.integration.itk.image_slice import ImageSlice
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.steps import Steps

__all__ = ["Resampling", "check_count", "grid_of", "rectangular_grid"]

_SAME_AXIS: Final = 1e-9
_ROUNDING: Final = 1e-6
"""What part of a step or a pixel is rounding."""
_MOST_SLICES: Final = 1 << 16
"""The most slices that are made up or resampled to: a wrong position of a small image could
otherwise ask for any number."""


@attrs.frozen(eq=False)
class Resampling:
    """How slices that make no rectangular grid become one."""

    distances_mm: NDArray[np.float64]
    """Where each slice lies along the normal, from the first one."""
    shifts_mm: NDArray[np.float64]
    """How far each slice is moved against the output grid, along its rows and columns."""
    in_gaps: tuple[int, ...]
    """The slices of the grid that lie where slices are missing, so that they are made up."""
    reason: str
    """What is done, in words."""


def grid_of(
    first: ImageSlice, axes: NDArray[np.float64], count: int, step: float
) -> VolumeGeometry:
    """Return the grid of slices right above one another.

    Args:
        first: The first slice.
        axes: Its axes.
        count: How many slices the grid has.
        step: Their distance, mm.
    """
    between_rows, between_columns = first.kind.pixel_spacing
    return VolumeGeometry(
        size=(first.kind.columns, first.kind.rows, count),
        origin=first.position,
        spacing=(between_columns, between_rows, step),
        direction=tuple(axes.ravel().tolist()),
    )


def check_count(first: ImageSlice, count: float, options: LoadOptions) -> int:
    """Return a number of slices; refuse, before anything is made, more than a volume may have.

    Raises:
        PacsException: ``LIMIT_EXCEEDED``.
    """
    voxels = first.kind.rows * first.kind.columns
    most = min(options.max_volume_bytes // voxels, _MOST_SLICES)
    if count > most:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"the positions reach over {count:.0f} slices of {first.kind.rows} × "
            f"{first.kind.columns}; at most {most} are made (max_volume_bytes=)",
            limit=most,
        )
    return int(count)


def rectangular_grid(
    ordered: Sequence[ImageSlice],
    axes: NDArray[np.float64],
    steps: Steps,
    tilt: float,
    options: LoadOptions,
) -> tuple[VolumeGeometry, Resampling]:
    """Plan a rectangular grid that covers all slices.

    Its slices begin at the first of the input's and end at the last. Its step is the mean one,
    or for variable steps the smallest, or as little less as makes it end there. A step that
    the options say is kept: the last slice then lies somewhere in the last voxel. In the plane
    the grid is as much larger as a tilt moves the slices.

    Args:
        ordered: At least two slices, in order along the normal.
        axes: Their axes.
        steps: How they follow one another.
        tilt: The gantry tilt in degrees, 0 for none.
        options: The step that is wanted, and the limits.

    Raises:
        PacsException: ``LIMIT_EXCEEDED``.
    """
    first = ordered[0]
    offsets = np.array([one.position for one in ordered]) - first.position
    distances = offsets @ axes[:, 2]
    shifts = offsets @ axes[:, :2]  # along a row, down a column
    step, count = _step_and_count(first, distances, steps, options)
    pixel = np.array(first.kind.pixel_spacing[::-1])
    low = np.minimum(shifts.min(axis=0), 0.0)
    room = shifts.max(axis=0) - low
    more = np.where(room > _SAME_AXIS, np.ceil(room / pixel - _ROUNDING), 0).astype(int)
    if not tilt:
        low, more, shifts = np.zeros(2), np.zeros(2, int), np.zeros_like(shifts)
    x, y, z = (np.asarray(first.position) + axes[:, :2] @ low).tolist()
    straight = grid_of(first, axes, count, step)
    size = (straight.size[0] + int(more[0]), straight.size[1] + int(more[1]), count)
    in_gaps = _in_gaps(np.arange(count, dtype=np.float64) * step, distances, steps)
    what = [f"sheared by {tilt:.2f}° to right angles"] if tilt else []
    if not steps.regular or options.slice_spacing:
        low_mm, high_mm = steps.measured.smallest, steps.measured.largest
        what.append(f"steps of {low_mm:.6g} to {high_mm:.6g} mm made {step:g} mm")
    beyond = (count - 1) * step - float(distances[-1])
    if abs(beyond) > _ROUNDING * step:
        where = "behind" if beyond > 0 else "before"
        what.append(f"ending {abs(beyond):.4g} mm {where} the last slice")
    reason = f"resampled ({options.interpolation}): {', '.join(what)}"
    resampling = Resampling(distances, shifts - low, in_gaps, reason)
    return attrs.evolve(straight, size=size, origin=(x, y, z)), resampling


def _step_and_count(
    first: ImageSlice, distances: NDArray[np.float64], steps: Steps, options: LoadOptions
) -> tuple[float, int]:
    """Return the distance of the grid's slices and how many there are."""
    extent = float(distances[-1])
    if options.slice_spacing is not None:
        wanted = options.slice_spacing
        return wanted, check_count(first, np.floor(extent / wanted + 0.5) + 1, options)
    more = float(steps.places[-1])
    if not steps.even:
        more = float(np.ceil(extent / float(np.diff(distances).min()) - _ROUNDING))
    return extent / more, check_count(first, more + 1, options)


def _in_gaps(
    wanted: NDArray[np.float64], distances: NDArray[np.float64], steps: Steps
) -> tuple[int, ...]:
    """Return which slices of a grid lie in a gap, and not at one of the slices around it."""
    inside = np.zeros(len(wanted), np.bool_)
    for gap in steps.gaps:
        before, after = distances[gap.index], distances[gap.index + 1]
        near = min(steps.tolerance_mm, gap.step_mm / (gap.missing + 1) / 2)
        inside |= (wanted > before + near) & (wanted < after - near)
    return tuple(np.flatnonzero(inside).tolist())

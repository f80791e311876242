"""From the slices of a volume to its grid, or the reason why there is none.

Nothing is guessed: the order, the spacing and every doubt come from the positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.integration.itk.geometry import (
    POSITION_TOLERANCE,
    SpacingStatistics,
    VolumeGeometry,
    axes_of,
    measure_spacing,
)
from pacs_sdk.integration.itk.grid import (
    Resampling,
    check_count,
    grid_of,
    rectangular_grid,
)
from pacs_sdk.integration.itk.image_slice import ImageSlice, not_loadable
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.report import Gap
from pacs_sdk.integration.itk.steps import POSITION_TAG, refuse, steps_of

__all__ = ["SliceStack", "stack_slices"]


@attrs.frozen(eq=False)
class SliceStack:
    """How slices make one volume."""

    places: tuple[int | None, ...]
    """For each slice of the grid the number of the slice that fills it; ``None`` for a gap.
    With :attr:`resampling` simply all slices."""
    geometry: VolumeGeometry
    """The volume's grid."""
    spacing: SpacingStatistics | None
    """The measured steps; ``None`` for a single slice."""
    gaps: tuple[Gap, ...] = ()
    """Where slices are missing."""
    tilt_degrees: float = 0.0
    """The gantry tilt."""
    resampling: Resampling | None = None
    """What is to be done before the slices lie on the grid."""
    notes: tuple[str, ...] = ()
    """Doubts that are no reason to refuse."""


def stack_slices(ordered: Sequence[ImageSlice], options: LoadOptions) -> SliceStack:
    """Check that slices are a regular stack, or say how they become one.

    Args:
        ordered: At least one slice, in order along the normal, each at a place of its own.
        options: What becomes of gaps, variable steps and a tilt.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE`` naming files and attributes: a gantry tilt,
            missing slices, irregular steps, where the options refuse them.
    """
    first = ordered[0]
    axes = axes_of(first.kind.orientation)
    if len(ordered) == 1:
        step, note = _step_of_single(first, options)
        return SliceStack((0,), grid_of(first, axes, 1, step), None, notes=(note,))
    positions = np.array([one.position for one in ordered])
    measured = measure_spacing(positions, axes[:, 2])
    offsets = positions - positions[0]
    distances = offsets @ axes[:, 2]
    tilt = _tilt(ordered, offsets, distances, measured, options)
    if tilt:
        measured = _along_normal(measured, distances)
    steps = steps_of(ordered, distances, measured, options)
    notes = _notes(ordered, steps.measured)
    if tilt or not steps.regular:
        geometry, resampling = rectangular_grid(ordered, axes, steps, tilt, options)
        numbers = tuple(range(len(ordered)))
        return SliceStack(numbers, geometry, steps.measured, steps.gaps, tilt, resampling, notes)
    count = check_count(first, steps.places[-1] + 1, options)
    places: list[int | None] = [None] * count
    for number, place in enumerate(steps.places.astype(int).tolist()):
        places[place] = number
    geometry = grid_of(first, axes, count, steps.measured.spacing)
    return SliceStack(tuple(places), geometry, steps.measured, steps.gaps, notes=notes)


# -- tilt -------------------------------------------------------------------------------------


def _tilt(
    ordered: Sequence[ImageSlice],
    offsets: NDArray[np.float64],
    distances: NDArray[np.float64],
    measured: SpacingStatistics,
    options: LoadOptions,
) -> float:
    """Return the tilt in degrees, 0 where slices are right above one another.

    Raises:
        PacsException: There is one and the options refuse it, or slices lie beside the stack.
    """
    tolerance = POSITION_TOLERANCE * min(ordered[0].kind.pixel_spacing)
    if measured.largest_shift <= tolerance:
        return 0.0
    normal = axes_of(ordered[0].kind.orientation)[:, 2]
    sideways = offsets - np.outer(distances, normal)
    sheared = np.outer(distances / distances[-1], sideways[-1])
    if np.abs(sideways - sheared).max() > tolerance:
        worst = int(np.linalg.norm(sideways, axis=1).argmax())
        raise refuse(
            f"{ordered[worst].name}: ImagePositionPatient {POSITION_TAG} is "
            f"{measured.largest_shift:.4g} mm beside the line through {ordered[0].name}",
            path=ordered[worst].name,
            tag=POSITION_TAG,
        )
    angle = float(np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), distances[-1])))
    if options.on_tilt == "error":
        raise refuse(
            f"the positions show a gantry tilt of {angle:.2f}°: each slice is shifted against "
            "the one before, so the volume is sheared and has no rectangular grid; "
            "on_tilt='resample' makes one",
            tag=POSITION_TAG,
            tilt_degrees=angle,
        )
    return angle


def _along_normal(measured: SpacingStatistics, distances: NDArray[np.float64]) -> SpacingStatistics:
    """Take the spacing of sheared slices along their normal, not along the shear."""
    step = float(distances[-1]) / (len(distances) - 1)
    displaced = np.abs(distances - np.arange(len(distances)) * step).max()
    return attrs.evolve(measured, spacing=step, largest_displacement=float(displaced))


# -- notes --------------------------------------------------------------------------------------


def _step_of_single(only: ImageSlice, options: LoadOptions) -> tuple[float, str]:
    """Return the z spacing of a single slice, which has no neighbour to measure it by."""
    if options.slice_spacing is not None:
        return options.slice_spacing, f"a single slice: {options.slice_spacing:g} mm was asked for"
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        step = only.number(keyword)
        if step is not None and step > 0:
            tag = DicomTag.of(keyword)
            return step, f"a single slice: its spacing of {step:g} mm is {keyword} {tag}, unchecked"
    raise not_loadable(
        only.name,
        "SliceThickness",
        "is missing, and so is SpacingBetweenSlices (0018,0088): a single slice has no other "
        "extent along its normal (slice_spacing= gives it one)",
    )


def _notes(ordered: Sequence[ImageSlice], measured: SpacingStatistics) -> tuple[str, ...]:
    notes = []
    stated = ordered[0].number("SpacingBetweenSlices")
    if stated is not None and abs(stated - measured.spacing) > 0.01 * measured.spacing:
        notes.append(
            f"SpacingBetweenSlices (0018,0088) is {stated:g} mm, the positions are "
            f"{measured.spacing:.6g} mm apart; the positions decide"
        )
    if len(ordered) == 2:
        notes.append("two slices only: a missing slice between them could not be noticed")
    without = sum(not one.kind.frame_of_reference_uid for one in ordered)
    if without == len(ordered):
        notes.append("no FrameOfReferenceUID (0020,0052): it cannot be related to other series")
    elif without:
        notes.append(
            f"{without} of the slices have no FrameOfReferenceUID (0020,0052); they are taken to "
            "be in that of the others"
        )
    return tuple(notes)

"""From the slices of a volume to its grid, or the reason why there is none.

Nothing is guessed: the order, the spacing and every doubt come from the positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.integration.itk.geometry import (
    POSITION_TOLERANCE,
    SpacingStatistics,
    VolumeGeometry,
    axes_of,
    measure_spacing,
)
from pacs_sdk.integration.itk.image_slice import ImageSlice, not_loadable
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.report import Gap

__all__ = ["Resampling", "SliceStack", "stack_slices"]

_POSITION_TAG: Final = "(0020,0032)"
_SAME_AXIS: Final = 1e-9
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
    reason: str
    """What is done, in words."""


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
        return SliceStack((0,), _geometry(first, axes, 1, step), None, notes=(note,))
    positions = np.array([one.position for one in ordered])
    measured = measure_spacing(positions, axes[:, 2])
    offsets = positions - positions[0]
    distances = offsets @ axes[:, 2]
    tilt = _tilt(ordered, offsets, distances, measured, options)
    if tilt:
        measured = _along_normal(measured, distances)
    gaps, steps_regular = _steps(ordered, distances, measured, options)
    notes = _notes(ordered, measured)
    if tilt or not steps_regular:
        return _resampled(ordered, axes, measured, (tilt, gaps), options, notes)
    places: list[int | None] = [0]
    missing_after = {gap.index: gap.missing for gap in gaps}
    _check_count(first, len(ordered) + sum(missing_after.values()), options)
    for index in range(len(ordered) - 1):
        places += [None] * missing_after.get(index, 0) + [index + 1]
    step = measured.spacing
    if gaps:
        step *= (len(ordered) - 1) / (len(places) - 1)
    geometry = _geometry(first, axes, len(places), step)
    return SliceStack(tuple(places), geometry, measured, gaps, notes=notes)


def _geometry(
    first: ImageSlice, axes: NDArray[np.float64], count: int, step: float
) -> VolumeGeometry:
    between_rows, between_columns = first.kind.pixel_spacing
    return VolumeGeometry(
        size=(first.kind.columns, first.kind.rows, count),
        origin=first.position,
        spacing=(between_columns, between_rows, step),
        direction=tuple(axes.ravel().tolist()),
    )


def _check_count(first: ImageSlice, count: int, options: LoadOptions) -> None:
    """Refuse, before anything is made, more slices than a volume may have."""
    voxels = first.kind.rows * first.kind.columns
    most = min(options.max_volume_bytes // voxels, _MOST_SLICES)
    if count > most:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"the positions reach over {count} slices of {first.kind.rows} × "
            f"{first.kind.columns}; at most {most} are made (max_volume_bytes=)",
            limit=most,
        )


def _refuse(message: str, **details: str | float | tuple[str, ...]) -> PacsException:
    return PacsException(ErrorCode.SERIES_NOT_LOADABLE, message, **details)


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
        raise _refuse(
            f"{ordered[worst].name}: ImagePositionPatient {_POSITION_TAG} is "
            f"{measured.largest_shift:.4g} mm beside the line through {ordered[0].name}",
            path=ordered[worst].name,
            tag=_POSITION_TAG,
        )
    angle = float(np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), distances[-1])))
    if options.on_tilt == "error":
        raise _refuse(
            f"the positions show a gantry tilt of {angle:.2f}°: each slice is shifted against "
            "the one before, so the volume is sheared and has no rectangular grid; "
            "on_tilt='resample' makes one",
            tag=_POSITION_TAG,
            tilt_degrees=angle,
        )
    return angle


def _along_normal(measured: SpacingStatistics, distances: NDArray[np.float64]) -> SpacingStatistics:
    """Take the spacing of sheared slices along their normal, not along the shear."""
    step = float(distances[-1]) / (len(distances) - 1)
    displaced = np.abs(distances - np.arange(len(distances)) * step).max()
    return attrs.evolve(measured, spacing=step, largest_displacement=float(displaced))


# -- steps ------------------------------------------------------------------------------------


def _steps(
    ordered: Sequence[ImageSlice],
    distances: NDArray[np.float64],
    measured: SpacingStatistics,
    options: LoadOptions,
) -> tuple[tuple[Gap, ...], bool]:
    """Return the gaps, and whether the steps are regular but for these.

    Raises:
        PacsException: Slices are missing or steps irregular, and the options refuse that.
    """
    tolerance = options.spacing_tolerance
    steps = np.diff(distances)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # the lower of two middle ones
    ratios = steps / usual
    wrong = np.flatnonzero(np.abs(ratios - 1) > tolerance)
    if not wrong.size:
        if measured.largest_displacement <= max(POSITION_TOLERANCE, tolerance) * usual:
            return (), True
        if options.on_variable_spacing == "error":
            raise _drifting(measured)
        return (), False
    whole = np.round(ratios[wrong])
    # Two long steps in a row are a protocol with two spacings, not two lost slices.
    isolated = not (np.diff(wrong) == 1).any()
    if isolated and (whole >= 2).all() and (np.abs(ratios[wrong] - whole) < 0.1).all():
        gaps = _gaps(ordered, distances, wrong, whole)
        if options.on_gap == "error":
            raise _missing(gaps, usual)
        return gaps, True
    if options.on_variable_spacing == "error":
        first = int(wrong[0])
        raise _refuse(
            f"the steps between slices are irregular: {measured.smallest:.6g} to "
            f"{measured.largest:.6g} mm, usually {usual:.6g} mm; the first that differs more than "
            f"{tolerance:.2g} of that is {steps[first]:.6g} mm, between {ordered[first].name} and "
            f"{ordered[first + 1].name}; on_variable_spacing='resample' makes them even",
            path=ordered[first + 1].name,
            tag=_POSITION_TAG,
        )
    return (), False


def _gaps(
    ordered: Sequence[ImageSlice],
    distances: NDArray[np.float64],
    wrong: NDArray[np.intp],
    whole: NDArray[np.float64],
) -> tuple[Gap, ...]:
    return tuple(
        Gap(
            after=ordered[index].name,
            before=ordered[index + 1].name,
            missing=int(ratio) - 1,
            step_mm=float(distances[index + 1] - distances[index]),
            position=ordered[index].position,
            index=index,
        )
        for index, ratio in zip(wrong.tolist(), whole.tolist(), strict=True)
    )


def _missing(gaps: tuple[Gap, ...], usual: float) -> PacsException:
    total = sum(gap.missing for gap in gaps)
    shown = "; ".join(map(str, gaps[:5]))
    return _refuse(
        f"{total} slice{' is' if total == 1 else 's are'} missing, the usual step being "
        f"{usual:.6g} mm: {shown}{'; …' if len(gaps) > 5 else ''}; "
        "on_gap='fill' or 'interpolate' makes slices for them",
        gaps=tuple(map(str, gaps)),
        tag=_POSITION_TAG,
    )


def _drifting(measured: SpacingStatistics) -> PacsException:
    return _refuse(
        f"the steps between slices drift from {measured.smallest:.6g} to {measured.largest:.6g} "
        f"mm, so that in a regular grid a slice would be {measured.largest_displacement:.4g} mm "
        "off its place; on_variable_spacing='resample' makes them even",
        tag=_POSITION_TAG,
    )


# -- resampling -------------------------------------------------------------------------------


def _resampled(
    ordered: Sequence[ImageSlice],
    axes: NDArray[np.float64],
    measured: SpacingStatistics,
    seen: tuple[float, tuple[Gap, ...]],
    options: LoadOptions,
    notes: tuple[str, ...],
) -> SliceStack:
    """Plan a rectangular grid that covers all slices.

    Its slices begin at the first of the input's; its step is the usual one, or for variable
    steps the smallest, unless the options say another. In the plane it is as much larger as
    a tilt moves the slices.
    """
    tilt, gaps = seen
    first = ordered[0]
    offsets = np.array([one.position for one in ordered]) - first.position
    distances = offsets @ axes[:, 2]
    shifts = offsets @ axes[:, :2]  # along a row, down a column
    steps = np.diff(distances)
    even = np.abs(steps / np.median(steps) - 1).max() <= options.spacing_tolerance
    step = float(np.median(steps) if even or gaps else steps.min())
    step = options.slice_spacing or step
    count = int(np.floor(distances[-1] / step + 1e-6)) + 1
    _check_count(first, count, options)
    between_rows, between_columns = first.kind.pixel_spacing
    pixel = np.array([between_columns, between_rows])
    low = np.minimum(shifts.min(axis=0), 0.0)
    room = shifts.max(axis=0) - low
    more = np.where(room > _SAME_AXIS, np.ceil(room / pixel - 1e-6), 0).astype(int)
    if not tilt:
        low, more, shifts = np.zeros(2), np.zeros(2, int), np.zeros_like(shifts)
    x, y, z = (np.asarray(first.position) + axes[:, :2] @ low).tolist()
    geometry = VolumeGeometry(
        size=(first.kind.columns + int(more[0]), first.kind.rows + int(more[1]), count),
        origin=(x, y, z),
        spacing=(between_columns, between_rows, step),
        direction=tuple(axes.ravel().tolist()),
    )
    what = [f"sheared by {tilt:.2f}° to right angles"] if tilt else []
    if not even or options.slice_spacing:
        what.append(
            f"steps of {measured.smallest:.6g} to {measured.largest:.6g} mm made {step:g} mm"
        )
    reason = f"resampled ({options.interpolation}): {', '.join(what)}"
    return SliceStack(
        tuple(range(len(ordered))),
        geometry,
        measured,
        gaps,
        tilt,
        Resampling(distances, shifts - low, reason),
        notes,
    )


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
    if not any(one.kind.frame_of_reference_uid for one in ordered):
        notes.append("no FrameOfReferenceUID (0020,0052): it cannot be related to other series")
    return tuple(notes)

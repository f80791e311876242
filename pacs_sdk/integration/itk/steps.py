"""The steps between slices: even, with slices missing, or irregular."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.integration.itk.geometry import POSITION_TOLERANCE, SpacingStatistics
from pacs_sdk.integration.itk.image_slice import ImageSlice
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.report import Gap

__all__ = ["POSITION_TAG", "Steps", "refuse", "steps_of"]

POSITION_TAG: Final = "(0020,0032)"
"""Image Position (Patient), which every refusal here is about."""


@attrs.frozen(eq=False)
class Steps:
    """How slices follow one another along their normal."""

    measured: SpacingStatistics
    """Their statistics; spacing and displacement with the missing slices counted."""
    places: NDArray[np.float64]
    """The place of each slice, from 0, with the missing slices counted. Whole numbers; floating
    point, as a wrong position may make any number."""
    gaps: tuple[Gap, ...]
    """Where slices are missing."""
    even: bool
    """Whether no step differs from the usual one by more than the tolerance, but at gaps."""
    regular: bool
    """Whether, besides, no slice lies off its place in a regular stack."""
    tolerance_mm: float
    """How far a slice may lie off its place."""


def steps_of(
    ordered: Sequence[ImageSlice],
    distances: NDArray[np.float64],
    measured: SpacingStatistics,
    options: LoadOptions,
) -> Steps:
    """Say whether the steps are regular, and where slices are missing.

    Args:
        ordered: At least two slices, in order along the normal.
        distances: How far each lies from the first, along the normal, mm.
        measured: Their statistics, as if none were missing.
        options: What becomes of gaps and of variable steps.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE``: slices are missing or steps irregular, and the
            options refuse that.
    """
    tolerance = options.spacing_tolerance
    steps = np.diff(distances)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # the lower of two middle ones
    ratios = steps / usual
    wrong = np.flatnonzero(np.abs(ratios - 1) > tolerance)
    places = np.arange(len(distances), dtype=np.float64)
    gaps: tuple[Gap, ...] = ()
    even = True
    if wrong.size:
        whole = np.round(ratios[wrong])
        # Two long steps in a row are a protocol with two spacings, not two lost slices.
        isolated = not (np.diff(wrong) == 1).any()
        even = bool(isolated and (whole >= 2).all() and (np.abs(ratios[wrong] - whole) < 0.1).all())
        if even:
            gaps = _gaps(ordered, distances, wrong, whole)
            if options.on_gap == "error":
                raise _missing(gaps, usual)
            measured, places = _counting_gaps(measured, distances, wrong, whole)
        elif options.on_variable_spacing == "error":
            raise _irregular(ordered, steps, measured, usual, int(wrong[0]), tolerance)
    off_by = max(POSITION_TOLERANCE, tolerance) * usual
    # Steps that are each within the tolerance may add up, whether slices are missing or not.
    regular = even and measured.largest_displacement <= off_by
    if even and not regular and options.on_variable_spacing == "error":
        raise _drifting(measured, steps / np.diff(places))
    return Steps(measured, places, gaps, even, regular, off_by)


def _counting_gaps(
    measured: SpacingStatistics,
    distances: NDArray[np.float64],
    wrong: NDArray[np.intp],
    whole: NDArray[np.float64],
) -> tuple[SpacingStatistics, NDArray[np.float64]]:
    """Return spacing and displacement of slices at the places that gaps leave them, and these."""
    each = np.ones(len(distances))
    each[0] = 0
    each[wrong + 1] = whole
    places = each.cumsum()
    step = measured.spacing * ((len(distances) - 1) / float(places[-1]))
    displaced = float(np.abs(distances - places * step).max())
    return attrs.evolve(measured, spacing=step, largest_displacement=displaced), places


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


# -- refusals ---------------------------------------------------------------------------------


def refuse(message: str, **details: str | float | tuple[str, ...]) -> PacsException:
    """Make the error that says why slices are no volume."""
    return PacsException(ErrorCode.SERIES_NOT_LOADABLE, message, **details)


def _missing(gaps: tuple[Gap, ...], usual: float) -> PacsException:
    total = sum(gap.missing for gap in gaps)
    shown = "; ".join(map(str, gaps[:5]))
    return refuse(
        f"{total} slice{' is' if total == 1 else 's are'} missing, the usual step being "
        f"{usual:.6g} mm: {shown}{'; …' if len(gaps) > 5 else ''}; "
        "on_gap='fill' or 'interpolate' makes slices for them",
        gaps=tuple(map(str, gaps)),
        tag=POSITION_TAG,
    )


def _irregular(
    ordered: Sequence[ImageSlice],
    steps: NDArray[np.float64],
    measured: SpacingStatistics,
    usual: float,
    first: int,
    tolerance: float,
) -> PacsException:
    return refuse(
        f"the steps between slices are irregular: {measured.smallest:.6g} to "
        f"{measured.largest:.6g} mm, usually {usual:.6g} mm; the first that differs more than "
        f"{tolerance:.2g} of that is {steps[first]:.6g} mm, between {ordered[first].name} and "
        f"{ordered[first + 1].name}; on_variable_spacing='resample' makes them even",
        path=ordered[first + 1].name,
        tag=POSITION_TAG,
    )


def _drifting(measured: SpacingStatistics, each: NDArray[np.float64]) -> PacsException:
    return refuse(
        f"the steps between slices drift from {each.min():.6g} to {each.max():.6g} "
        f"mm, so that in a regular grid a slice would be {measured.largest_displacement:.4g} mm "
        "off its place; on_variable_spacing='resample' makes them even",
        tag=POSITION_TAG,
    )

"""From slices in any order to one regular stack, or the reason why they are none.

Nothing is guessed: the order, the spacing and every doubt come from the positions.
"""

from __future__ import annotations

from collections import Counter
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
from pacs_sdk.integration.itk.image_slice import ImageSlice, not_loadable, stored_values
from pacs_sdk.integration.itk.report import Skipped

__all__ = ["SliceStack", "stack_slices"]

_COSINE_TOLERANCE: Final = 1e-4
"""How far cosines of slices that are parallel may differ: 0.05 mm at the rim of a large
image, and above the noise of the scanners that compute them for each slice anew."""

_PIXEL_SPACING_TOLERANCE: Final = 1e-4
"""How far, relatively, Pixel Spacing may differ: a twentieth of a pixel over 512 of them."""

_SAME_PLACE_MM: Final = (1e-6, 1e-3)
"""Slices closer than a hundredth of the largest step, but at least and at most this, are at
the same place. The finest micro-CT has steps of some µm; text rounds to 1e-6 mm."""

_TELLS_APART: Final = (
    "EchoTime",
    "EchoNumbers",
    "TriggerTime",
    "TemporalPositionIdentifier",
    "DiffusionBValue",
    "AcquisitionNumber",
    "AcquisitionTime",
    "ContentTime",
    "ImageType",
)
"""Attributes in which images of the same place differ, in the order of what they tell."""


@attrs.frozen(eq=False)
class SliceStack:
    """Slices that make one regular volume."""

    slices: tuple[ImageSlice, ...]
    """In the order of the volume."""
    geometry: VolumeGeometry
    """The volume's grid."""
    spacing: SpacingStatistics | None
    """The measured steps; ``None`` for a single slice."""
    duplicates: tuple[Skipped, ...]
    """Images dropped because the same image is in the volume."""
    notes: tuple[str, ...]
    """Doubts that are no reason to refuse."""


def stack_slices(slices: Sequence[ImageSlice], spacing_tolerance: float) -> SliceStack:
    """Put slices in order along their normal and check that they are a regular stack.

    Args:
        slices: At least one slice.
        spacing_tolerance: How far a step between slices may differ from the median step,
            relatively.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE`` naming files and attributes: different sizes,
            frames of reference, orientations or pixel spacings; different images at one
            place; a gantry tilt; missing slices; irregular steps.
    """
    _check_alike(slices)
    axes = axes_of(slices[0].orientation)
    normal = axes[:, 2]
    ordered = sorted(slices, key=lambda one: float(normal @ one.position))
    ordered, duplicates = _without_duplicates(ordered, normal)
    _check_uids(ordered)
    if len(ordered) == 1:
        step, note = _step_of_single(ordered[0])
        geometry = _geometry(ordered[0], axes, 1, step)
        return SliceStack(tuple(ordered), geometry, None, duplicates, (note,))
    positions = np.array([one.position for one in ordered])
    measured = measure_spacing(positions, normal)
    _check_tilt(ordered, positions, normal, measured)
    _check_steps(ordered, (positions - positions[0]) @ normal, measured, spacing_tolerance)
    geometry = _geometry(ordered[0], axes, len(ordered), measured.spacing)
    notes = _notes(ordered, measured)
    return SliceStack(tuple(ordered), geometry, measured, duplicates, notes)


def _geometry(
    first: ImageSlice, axes: NDArray[np.float64], count: int, step: float
) -> VolumeGeometry:
    between_rows, between_columns = first.pixel_spacing
    return VolumeGeometry(
        size=(first.columns, first.rows, count),
        origin=first.position,
        spacing=(between_columns, between_rows, step),
        direction=tuple(axes.ravel().tolist()),
    )


def _refuse(message: str, **details: str | float | tuple[str, ...]) -> PacsException:
    return PacsException(ErrorCode.SERIES_NOT_LOADABLE, message, **details)


# -- what all slices share ----------------------------------------------------------------


def _check_alike(slices: Sequence[ImageSlice]) -> None:
    sizes = np.array([(one.rows, one.columns) for one in slices], float)
    _require_one(slices, sizes, 0.0, "Rows", [f"{one.rows} × {one.columns}" for one in slices])
    _check_frame_of_reference(slices)
    cosines = np.array([one.orientation for one in slices])
    texts = [one.text("ImageOrientationPatient") for one in slices]
    _require_one(slices, cosines, _COSINE_TOLERANCE, "ImageOrientationPatient", texts)
    spacings = np.array([one.pixel_spacing for one in slices])
    texts = [one.text("PixelSpacing") for one in slices]
    _require_one(slices, spacings, _PIXEL_SPACING_TOLERANCE * spacings[0], "PixelSpacing", texts)


def _require_one(
    slices: Sequence[ImageSlice],
    numbers: NDArray[np.float64],
    tolerance: float | NDArray[np.float64],
    keyword: str,
    texts: Sequence[str],
) -> None:
    """Raise unless the numbers (one row a slice) are the same; ``texts`` say them."""
    left = np.arange(len(slices))
    groups: list[tuple[int, int]] = []  # the first of a group, and how many it has
    while left.size:
        near = (np.abs(numbers[left] - numbers[left[0]]) <= tolerance).all(axis=1)
        groups.append((int(left[0]), int(near.sum())))
        left = left[~near]
    if len(groups) == 1:
        return
    shown = "; ".join(
        f"{count} with {texts[first]} (such as {slices[first].name})" for first, count in groups[:5]
    )
    tag = DicomTag.of(keyword)
    raise _refuse(
        f"the {len(slices)} images have {len(groups)} different values of {keyword} {tag} and "
        f"cannot be one volume: {shown}{'; …' if len(groups) > 5 else ''}",
        tag=str(tag),
        path=slices[groups[1][0]].name,
    )


def _check_frame_of_reference(slices: Sequence[ImageSlice]) -> None:
    """Positions can only be compared within one frame of reference (PS3.3 C.7.4.1)."""
    uids = [one.text("FrameOfReferenceUID") for one in slices]
    numbers = {uid: number for number, uid in enumerate(filter(None, Counter(uids)))}
    known = [(one, uid) for one, uid in zip(slices, uids, strict=True) if uid]
    if len(numbers) > 1:
        _require_one(
            [one for one, _ in known],
            np.array([[numbers[uid]] for _, uid in known], float),
            0.0,
            "FrameOfReferenceUID",
            [uid for _, uid in known],
        )


# -- images at the same place ---------------------------------------------------------------


def _without_duplicates(
    ordered: list[ImageSlice], normal: NDArray[np.float64]
) -> tuple[list[ImageSlice], tuple[Skipped, ...]]:
    """Drop images that repeat the one before them; raise where they are different ones."""
    distances = np.array([normal @ one.position for one in ordered])
    steps = np.diff(distances)
    same_place = float(np.clip(0.01 * steps.max(initial=0.0), *_SAME_PLACE_MM))
    kept = [ordered[0]]
    dropped = []
    for one, step in zip(ordered[1:], steps, strict=True):
        if step > same_place:
            kept.append(one)
            continue
        if not _same_image(kept[-1], one):
            raise _different_images(kept[-1], one, int((steps <= same_place).sum()))
        same_uid = kept[-1].sop_instance_uid == one.sop_instance_uid
        what = "the same SOP Instance UID and image" if same_uid else "the same image and place"
        dropped.append(Skipped(one.name, f"{what} as {kept[-1].name}"))
    return kept, tuple(dropped)


def _same_image(one: ImageSlice, other: ImageSlice) -> bool:
    if (one.slope, one.intercept) != (other.slope, other.intercept):
        return False
    if not np.allclose(one.position, other.position, rtol=0, atol=_SAME_PLACE_MM[1]):
        return False
    return np.array_equal(stored_values(one), stored_values(other))


def _different_images(one: ImageSlice, other: ImageSlice, count: int) -> PacsException:
    if one.sop_instance_uid == other.sop_instance_uid:
        return not_loadable(
            other.name, "SOPInstanceUID", f"is the same as that of {one.name}, the image is not"
        )
    differences = [
        f"{keyword} {one.text(keyword)!r} and {other.text(keyword)!r}"
        for keyword in _TELLS_APART
        if one.text(keyword) != other.text(keyword)
    ]
    told = f" They differ in {', '.join(differences[:3])}." if differences else ""
    return _refuse(
        f"{one.name} and {other.name} show different images of the same place "
        f"({count} such pair{'' if count == 1 else 's'}): the series holds more than one "
        f"volume, such as echoes or time points.{told}",
        path=other.name,
        tag=str(DicomTag.of("ImagePositionPatient")),
    )


def _check_uids(slices: Sequence[ImageSlice]) -> None:
    seen: dict[str, ImageSlice] = {}
    for one in slices:
        other = seen.setdefault(one.sop_instance_uid, one)
        if other is not one:
            raise not_loadable(
                one.name, "SOPInstanceUID", f"is the same as that of {other.name}, elsewhere"
            )


# -- steps ------------------------------------------------------------------------------------


def _check_tilt(
    ordered: Sequence[ImageSlice],
    positions: NDArray[np.float64],
    normal: NDArray[np.float64],
    measured: SpacingStatistics,
) -> None:
    """Refuse slices that are not right above one another."""
    tolerance = POSITION_TOLERANCE * min(ordered[0].pixel_spacing)
    if measured.largest_shift <= tolerance:
        return
    offsets = positions - positions[0]
    distances = offsets @ normal
    sideways = offsets - np.outer(distances, normal)
    sheared = np.outer(distances / distances[-1], sideways[-1])
    tag = str(DicomTag.of("ImagePositionPatient"))
    if np.abs(sideways - sheared).max() <= tolerance:
        angle = float(np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), distances[-1])))
        raise _refuse(
            f"the positions show a gantry tilt of {angle:.2f}°: each slice is shifted against "
            "the one before, so the volume is sheared and has no rectangular grid",
            tag=tag,
            tilt_degrees=angle,
        )
    worst = int(np.linalg.norm(sideways, axis=1).argmax())
    raise _refuse(
        f"{ordered[worst].name}: ImagePositionPatient {tag} is {measured.largest_shift:.4g} mm "
        f"beside the line through {ordered[0].name}",
        path=ordered[worst].name,
        tag=tag,
    )


def _check_steps(
    ordered: Sequence[ImageSlice],
    distances: NDArray[np.float64],
    measured: SpacingStatistics,
    tolerance: float,
) -> None:
    """Refuse missing slices and irregular steps."""
    steps = np.diff(distances)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # the lower of two middle ones
    ratios = steps / usual
    wrong = np.flatnonzero(np.abs(ratios - 1) > tolerance)
    if not wrong.size:
        if measured.largest_displacement > max(POSITION_TOLERANCE, tolerance) * usual:
            raise _drifting(measured)
        return
    whole = np.round(ratios[wrong])
    # Two long steps in a row are a protocol with two spacings, not two lost slices.
    isolated = not (np.diff(wrong) == 1).any()
    if isolated and (whole >= 2).all() and (np.abs(ratios[wrong] - whole) < 0.1).all():
        raise _missing(ordered, distances, wrong, whole, usual)
    first = int(wrong[0])
    raise _refuse(
        f"the steps between slices are irregular: {measured.smallest:.6g} to "
        f"{measured.largest:.6g} mm, usually {usual:.6g} mm; the first that differs more than "
        f"{tolerance:.2g} of that is {steps[first]:.6g} mm, between {ordered[first].name} and "
        f"{ordered[first + 1].name}",
        path=ordered[first + 1].name,
        tag=str(DicomTag.of("ImagePositionPatient")),
    )


def _missing(
    ordered: Sequence[ImageSlice],
    distances: NDArray[np.float64],
    wrong: NDArray[np.intp],
    whole: NDArray[np.float64],
    usual: float,
) -> PacsException:
    gaps = []
    for index, ratio in zip(wrong.tolist(), whole.tolist(), strict=True):
        before, after = ordered[index], ordered[index + 1]
        lost = int(ratio) - 1
        at = ", ".join(f"{coordinate:g}" for coordinate in before.position)
        gaps.append(
            f"{lost} after {before.name} at ({at}) mm, before {after.name}, "
            f"a step of {distances[index + 1] - distances[index]:.6g} mm"
        )
    total = int(whole.sum()) - len(gaps)
    return _refuse(
        f"{total} slice{' is' if total == 1 else 's are'} missing, the usual step being "
        f"{usual:.6g} mm: {'; '.join(gaps[:5])}{'; …' if len(gaps) > 5 else ''}",
        gaps=tuple(gaps),
        tag=str(DicomTag.of("ImagePositionPatient")),
    )


def _drifting(measured: SpacingStatistics) -> PacsException:
    return _refuse(
        f"the steps between slices drift from {measured.smallest:.6g} to {measured.largest:.6g} "
        f"mm, so that in a regular grid a slice would be {measured.largest_displacement:.4g} mm "
        "off its place",
        tag=str(DicomTag.of("ImagePositionPatient")),
    )


# -- notes --------------------------------------------------------------------------------------


def _step_of_single(only: ImageSlice) -> tuple[float, str]:
    """Return the z spacing of a single slice, which has no neighbour to measure it by."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        step = only.number(keyword)
        if step is not None and step > 0:
            tag = DicomTag.of(keyword)
            return step, f"a single slice: its spacing of {step:g} mm is {keyword} {tag}, unchecked"
    raise not_loadable(
        only.name,
        "SliceThickness",
        "is missing, and so is SpacingBetweenSlices (0018,0088): a single slice has no other "
        "extent along its normal",
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
    if not any(one.text("FrameOfReferenceUID") for one in ordered):
        notes.append("no FrameOfReferenceUID (0020,0052): it cannot be related to other series")
    return tuple(notes)

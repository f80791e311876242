"""Series that are resampled, or have gaps filled: each voxel has the value of its position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pydicom
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.itk import LoadedVolume, load_volume
from tests.integration.made_series import in_memory, made_slice

TILT = np.radians(20)
TILTED = (1, 0, 0, 0, np.cos(TILT), -np.sin(TILT))
"""The orientation of slices that a gantry tilted by 20° gives; the table moves along z."""

HEAD = (0.0, 2.0, 4.0, 6.0, 11.0, 16.0, 21.0)
"""A protocol of two spacings: 2 mm at the skull base, 5 mm above."""

DRIFT = np.concatenate([np.arange(100.0), 99 + 1.009 * np.arange(1, 101)])
"""Each step is within one percent of the others, and slice 99 is 0.45 mm off its place."""


def loaded(datasets: list[pydicom.Dataset], **options: Any) -> LoadedVolume:
    """Load what must be loadable."""
    return load_volume(in_memory(datasets), **options).unwrap()


def at(heights: Sequence[float], *, tilted: bool = False, **changes: Any) -> list[pydicom.Dataset]:
    """Make slices at heights; the value of each is its height in hundredths of a mm."""
    if tilted:
        changes["ImageOrientationPatient"] = [f"{cosine:.9g}" for cosine in TILTED]
    return [
        made_slice(
            number,
            np.full((6, 4), round(100 * z), np.int16),
            ImagePositionPatient=["0", "0", f"{z:.10g}"],
            **changes,
        )
        for number, z in enumerate(heights)
    ]


def heights_of(volume: LoadedVolume) -> list[float]:
    """Return how far each slice of the grid lies from the first, along its normal."""
    step = volume.geometry.spacing[2]
    return [step * index for index in range(volume.geometry.size[2])]


# -- drift ------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_gap", ["fill", "interpolate"])
def test_drift_is_refused_whether_or_not_a_slice_is_missing(on_gap: Any) -> None:
    """Filling a gap puts no slice further off its place than it may be without one."""
    for heights in (DRIFT, np.delete(DRIFT, 50)):
        error = load_volume(in_memory(at(heights.tolist())), on_gap=on_gap).failure()
        assert error.code is ErrorCode.SERIES_NOT_LOADABLE
        assert "drift from 1 to 1.009 mm" in error.message
        assert "0.4477 mm off its place" in error.message


def test_drift_with_a_gap_is_resampled_on_request() -> None:
    """Each slice has the value of its place, and those in the gap are made up."""
    heights = np.delete(DRIFT, 50).tolist()
    volume = loaded(
        at(heights), on_gap="fill", on_variable_spacing="resample", fill_value=-1, threads=1
    )
    off_by = [
        abs(plane[0, 0] / 100 - height)
        for plane, height in zip(volume.array, heights_of(volume), strict=True)
        if plane[0, 0] != -1
    ]
    assert max(off_by) < 0.01
    assert len(off_by) == 198
    made_up = [index for index, uid in enumerate(volume.sop_instance_uids) if not uid]
    assert made_up == [49, 50]
    assert volume.array[made_up].max() == -1


def test_jitter_beside_a_gap_is_accepted_and_measured_without_it() -> None:
    """The statistics count the missing slice: no slice is a whole step off its place."""
    volume = loaded(at([0, 2.51, 5, 10, 12.5], SpacingBetweenSlices="2.5"), on_gap="fill")
    assert volume.report.spacing is not None
    assert volume.report.spacing.spacing == 2.5
    assert volume.report.spacing.largest_displacement == pytest.approx(0.01)
    assert volume.report.notes == ()


# -- the last slice ---------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [[], [7, 100, 101]], ids=["whole", "with gaps"])
def test_a_tilt_is_resampled_up_to_the_last_slice(missing: list[int]) -> None:
    """Positions of three decimals have steps of 0.624 and 0.625 mm; the grid has as many."""
    heights = np.round(np.arange(300) * 0.6245, 3)
    there = np.delete(heights, missing).tolist()
    volume = loaded(at(there, tilted=True), on_tilt="resample", on_gap="interpolate")
    assert volume.geometry.size[2] == 300
    assert heights_of(volume)[-1] == pytest.approx(heights[-1] * np.cos(TILT))
    assert volume.array[-1].max() == round(100 * heights[-1])


def test_drift_is_resampled_up_to_the_last_slice() -> None:
    """As many slices as there were, and the report says what became of the steps."""
    volume = loaded(at(DRIFT.tolist()), on_variable_spacing="resample")
    assert volume.geometry.size[2] == 200
    assert volume.array[-1, 0, 0] == 19990
    (action,) = volume.report.actions
    assert "steps of 1 to 1.009 mm made 1.00452 mm" in action


def test_variable_spacing_is_resampled_up_to_the_last_slice() -> None:
    """The smallest step, or as little less as ends there: 21 mm in 11 steps of 2 mm or less."""
    volume = loaded(at(HEAD), on_variable_spacing="resample")
    assert volume.geometry.spacing[2] == 21 / 11
    assert volume.geometry.size[2] == 12
    assert volume.array[:, 0, 0] == pytest.approx(100 * np.array(heights_of(volume)), abs=0.5)
    assert volume.report.actions == ("resampled (linear): steps of 2 to 5 mm made 1.90909 mm",)


@pytest.mark.parametrize(
    ("step", "count", "words"),
    [
        (7.0, 4, "made 7 mm"),
        (2.0, 12, "made 2 mm, ending 1 mm behind the last slice"),
        (6.5, 4, "made 6.5 mm, ending 1.5 mm before the last slice"),
    ],
)
def test_a_step_that_is_asked_for_is_kept(step: float, count: int, words: str) -> None:
    """The last slice lies in the last voxel, and the report says how far from its centre."""
    volume = loaded(at(HEAD), on_variable_spacing="resample", slice_spacing=step)
    assert volume.geometry.spacing[2] == step
    assert volume.geometry.size[2] == count
    assert volume.array[-1, 0, 0] == min(100 * step * (count - 1), 2100)
    assert volume.report.actions[0].endswith(words)


# -- gaps of slices that are resampled ----------------------------------------------------------


def tilted_with_gap() -> list[pydicom.Dataset]:
    """Slices 0 to 5 of a tilted series without 3; a corner of each is padding.

    Row 5 of the grid is one that all of them reach.
    """
    datasets = at([0, 1.25, 2.5, 5, 6.25], tilted=True, PixelPaddingValue=-2000)
    for one in datasets:
        one.PixelData = np.int16(-2000).tobytes() + one.PixelData[2:]
    return datasets


def test_a_gap_is_filled_also_where_a_tilt_is_resampled() -> None:
    """The value that was asked for, no instance, and an action of its own."""
    volume = loaded(
        tilted_with_gap(), on_tilt="resample", on_gap="fill", fill_value=-2999, padding="mask"
    )
    assert volume.array[:, 5, 2].tolist() == [0, 125, 250, -2999, 500, 625]
    assert (volume.array[3] == -2999).all()
    assert volume.mask is not None
    assert volume.mask[:, 5, 2].tolist() == [True, True, True, False, True, True]
    assert volume.sources[3].name == "made up"
    assert volume.sop_instance_uids[2:5] == ("1.2.3.4.3", "", "1.2.3.4.4")
    assert volume.metadata.slices[3].position == volume.geometry.point_of((0, 0, 3))
    assert volume.report.actions[:2] == (
        "resampled (linear): sheared by 20.00° to right angles",
        "1 slice filled with -2999",
    )
    assert volume.report.value_range == (-2999, 625)


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_a_gap_is_interpolated_also_where_a_tilt_is_resampled(
    interpolation: Literal["linear", "nearest"],
) -> None:
    """The mean of the neighbours, whatever is done within the slices; no instance either."""
    volume = loaded(
        tilted_with_gap(),
        on_tilt="resample",
        on_gap="interpolate",
        padding="mask",
        interpolation=interpolation,
    )
    assert volume.array[:, 5, 2].tolist() == [0, 125, 250, 375, 500, 625]
    assert volume.mask is not None
    assert not volume.mask[3].any()
    assert volume.sop_instance_uids[3] == ""
    assert volume.report.actions[1] == "1 slice interpolated between their neighbours"


def test_gaps_are_filled_in_each_volume_that_is_resampled() -> None:
    """Two echoes of a tilted series: the same slice is made up in both."""
    heights = np.delete(np.arange(6) * 2.5, 3).tolist()
    datasets = at(heights, tilted=True, EchoTime="4.6") + at(heights, tilted=True, EchoTime="9.2")
    for number, one in enumerate(datasets):
        one.SOPInstanceUID = f"1.2.3.4.{number}"
    volume = loaded(datasets, on_tilt="resample", on_gap="fill", fill_value=-1)
    assert volume.array.shape[:2] == (2, 6)
    assert (volume.array[:, 3] == -1).all()
    assert [index for index, uid in enumerate(volume.sop_instance_uids) if not uid] == [3, 9]


def test_what_lies_beside_tilted_slices_is_mixed_into_no_voxel() -> None:
    """Between slices at uneven steps a voxel that one of them does not reach has the fill value."""
    volume = loaded(
        at([0, 2, 4, 6.8, 9, 12], tilted=True),
        on_tilt="resample",
        on_variable_spacing="resample",
        fill_value=-9999,
    )
    for height, plane in zip(heights_of(volume), volume.array, strict=True):
        # along the normal a step is shorter than along the table
        expected = np.clip(round(100 * height / np.cos(TILT)), 0, 1200)
        assert plane[plane != -9999] == pytest.approx(expected, abs=1)
        assert (plane != -9999).all(axis=1).sum() >= 3


# -- masks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_a_voxel_that_padding_is_mixed_into_is_masked(
    interpolation: Literal["linear", "nearest"],
) -> None:
    """What the mask leaves has no part of −2000, which lies above 4 mm."""
    datasets = at([0, 1, 2.2, 3, 4, 5.5, 6, 7, 8, 9.1], PixelPaddingValue=-2000)
    for number, one in enumerate(datasets):
        one.PixelData = np.full((6, 4), 100 if number < 5 else -2000, np.int16).tobytes()
    volume = loaded(
        datasets, on_variable_spacing="resample", padding="mask", interpolation=interpolation
    )
    assert volume.mask is not None
    assert np.array_equal(volume.mask, volume.array == 100)
    assert np.isin(volume.array, (100, -2000)).all() == (interpolation == "nearest")
    assert volume.mask[:, 0, 0].sum() >= 8


def test_a_mask_holds_to_the_rim_of_tilted_slices() -> None:
    """A slice half a pixel aside has no value for the half that it does not reach."""
    datasets = [
        made_slice(
            number,
            np.full((6, 4), 100, np.int16),
            ImagePositionPatient=["0", f"{0.25 * number}", f"{2.5 * number}"],
            PixelPaddingValue=-2000,
        )
        for number in range(3)
    ]
    volume = loaded(datasets, on_tilt="resample", padding="mask", fill_value=-1000)
    assert volume.mask is not None
    assert np.array_equal(volume.mask, volume.array == 100)
    assert volume.mask[:, :, 0].sum(axis=1).tolist() == [6, 5, 6]

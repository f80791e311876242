"""Series that are no plain stack: gaps, steps, tilts.

Each has data in exactly that state, what happens by default, and the argument that changes it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.itk import load_volume
from tests.integration.made_series import in_memory, made_slices
from tests.integration.series_cases import (
    first_voxels,
    flat,
    gappy,
    loaded,
    refusal,
    tilted,
)

# -- missing slices -------------------------------------------------------------------------


def test_a_gap_is_an_error_that_says_where() -> None:
    """By default: how many slices are missing, between which, at what position."""
    error = refusal(gappy())
    assert "2 slices are missing" in error.message
    assert "2 after instance 1.2.3.4.3 at (-10, 20, 0) mm" in error.message
    assert "on_gap=" in error.message


@pytest.mark.parametrize(
    ("fill_value", "expected"), [(None, 0), (-1024.0, -1024)], ids=["smallest", "chosen"]
)
def test_a_gap_is_filled_with_one_value(fill_value: float | None, expected: int) -> None:
    """The smallest value of the volume, or the one that is asked for; nothing came from there."""
    volume = loaded(gappy(), on_gap="fill", fill_value=fill_value)
    assert first_voxels(volume) == [0, 100, 200, expected, expected, 500, 600]
    assert (volume.array[3:5] == expected).all()
    assert volume.geometry.spacing[2] == 2.5
    assert volume.sop_instance_uids[2:6] == ("1.2.3.4.3", "", "", "1.2.3.4.6")
    assert volume.metadata.slices[3].position == (-10, 20, 2.5)
    (gap,) = volume.report.gaps
    assert (gap.missing, gap.step_mm, gap.index) == (2, 7.5, 2)
    assert volume.report.actions == (f"2 slices filled with {expected}",)
    assert volume.report.value_range[0] == min(0, expected)
    assert "Gap" in str(volume.report)


def test_a_gap_is_interpolated() -> None:
    """Each missing slice is the mean of its neighbours, weighted by distance."""
    volume = loaded(gappy(), on_gap="interpolate")
    assert first_voxels(volume) == [0, 100, 200, 300, 400, 500, 600]
    assert volume.report.actions == ("2 slices interpolated between their neighbours",)


@pytest.mark.parametrize("value", [0.5, 40000.0])
def test_a_fill_value_that_the_volume_cannot_hold(value: float) -> None:
    """A fraction among whole numbers, a number beyond 16 bits."""
    error = load_volume(in_memory(gappy()), on_gap="fill", fill_value=value).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "fill_value=" in error.message


def test_what_is_put_in_is_never_infinite_unasked() -> None:
    """1e300 in single precision would be infinity."""
    datasets = [flat(n, n, 2.5 * n, RescaleSlope="0.5", PixelPaddingValue=3) for n in (0, 1, 3)]
    for argument in ("fill_value", "padding"):
        options: dict[str, Any] = {argument: 1e300}
        error = load_volume(in_memory(datasets), on_gap="fill", **options).failure()
        assert error.code is ErrorCode.INVALID_ARGUMENT
        assert "1e+300 is no value of float32" in error.message
    assert np.isnan(loaded(datasets, on_gap="fill", fill_value=float("nan")).array[2]).all()


def test_a_gap_of_millions_of_slices_takes_no_memory() -> None:
    """A wrong position makes no volume of a terabyte."""
    far = [*made_slices(3), flat(3, 0, 2.5e12)]
    error = load_volume(in_memory(far), on_gap="fill").failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED
    assert "max_volume_bytes" in error.message


# -- spacing --------------------------------------------------------------------------------


@pytest.mark.parametrize("jitter", [1e-14, 1e-3, 0.009])
def test_jitter_within_the_tolerance_is_accepted(jitter: float) -> None:
    """Up to one percent of a step, and the report has the statistics."""
    volume = loaded([flat(n, n, 2.5 * n + 2.5 * jitter * (n == 2)) for n in range(5)])
    assert volume.report.spacing is not None
    assert volume.report.spacing.jitter == pytest.approx(jitter, rel=1e-3, abs=1e-11)
    assert "jitter" in str(volume.report)


def test_the_tolerance_of_jitter_is_an_argument() -> None:
    """Four percent are too much, unless five are allowed."""
    datasets = [flat(n, n, 2.5 * n + 0.1 * (n == 2)) for n in range(5)]
    assert "steps between slices are irregular" in refusal(datasets).message
    assert loaded(datasets, spacing_tolerance=0.05).array.shape == (5, 3, 4)


HEAD = (0.0, 2.0, 4.0, 6.0, 11.0, 16.0, 21.0)
"""A protocol of two spacings: 2 mm at the skull base, 5 mm above."""


def test_variable_spacing_is_an_error() -> None:
    """By default, with the smallest and the largest step."""
    error = refusal([flat(n, 10 * n, z) for n, z in enumerate(HEAD)])
    assert "2 to 5 mm" in error.message
    assert "on_variable_spacing=" in error.message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [10 * float(np.interp(z, HEAD, range(7))) for z in np.linspace(0, 21, 12)]),
        (
            {"slice_spacing": 7.0},
            [10 * float(np.interp(z, HEAD, range(7))) for z in (0, 7, 14, 21)],
        ),
        ({"slice_spacing": 10.5, "interpolation": "nearest"}, [0, 40, 60]),
    ],
    ids=["smallest step", "7 mm", "nearest"],
)
def test_variable_spacing_is_resampled(options: dict[str, Any], expected: list[float]) -> None:
    """To about the smallest step or the one asked for; values lie between the neighbours'."""
    datasets = [flat(n, 10 * n, z) for n, z in enumerate(HEAD)]
    volume = loaded(datasets, on_variable_spacing="resample", **options)
    assert first_voxels(volume) == [round(value) for value in expected]
    assert volume.geometry.spacing[2] == options.get("slice_spacing", 21 / 11)
    assert volume.geometry.origin == (-10, 20, 0)
    (action,) = volume.report.actions
    assert action.startswith("resampled")
    assert len(volume.sop_instance_uids) == len(expected)
    assert volume.sop_instance_uids[0] == "1.2.3.4.1"


@pytest.mark.parametrize("stated", ["-2.5", "0", "77"])
def test_spacing_between_slices_has_no_say(stated: str) -> None:
    """Negative or wrong, the positions decide."""
    assert loaded(made_slices(3, SpacingBetweenSlices=stated)).geometry.spacing[2] == 2.5


def test_a_single_slice_can_be_given_its_extent() -> None:
    """Where nothing says how thick it is, or something else than it says."""
    only = [flat(0, 1, SliceThickness=None)]
    assert "slice_spacing=" in refusal(only).message
    volume = loaded(only, slice_spacing=3.0)
    assert volume.geometry.spacing[2] == 3
    assert "3 mm was asked for" in volume.report.notes[0]


# -- gantry tilt ----------------------------------------------------------------------------


def test_a_tilt_is_an_error_whatever_the_attribute_says() -> None:
    """It is computed from positions; Gantry/Detector Tilt says 0 here."""
    error = refusal(tilted())
    assert "gantry tilt of 16.70°" in error.message
    assert error.details["tilt_degrees"] == pytest.approx(np.degrees(np.arctan(0.75 / 2.5)))
    assert "on_tilt=" in error.message


@pytest.mark.parametrize("shift", [0.75, -0.6])
def test_a_tilt_is_resampled_to_right_angles(shift: float) -> None:
    """The grid has room for all slices, and each voxel has the value of its position."""
    volume = loaded(tilted(shift=shift), on_tilt="resample", fill_value=-1)
    columns, rows, slices = volume.geometry.size
    assert (columns, slices) == (4, 6)
    assert rows == 8 + np.ceil(abs(shift) * 5 / 0.5)
    assert volume.geometry.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    for index in range(slices):
        for row in range(rows):
            value = int(volume.array[index, row, 1])
            if value != -1:
                y = volume.geometry.point_of((1, row, index))[1]
                assert value == pytest.approx(100 * y, abs=1)
    seen = (volume.array[:, :, 0] != -1).sum(axis=1)
    assert seen.min() >= 7
    assert volume.report.tilt_degrees == pytest.approx(np.degrees(np.arctan(abs(shift) / 2.5)))
    assert any("sheared" in action for action in volume.report.actions)

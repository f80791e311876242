"""The arithmetic of grids in patient coordinates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pacs_sdk.integration.itk.geometry import (
    VolumeGeometry,
    axes_defect_of,
    axes_of,
    measure_spacing,
    oriented_to_patient,
)

angles = st.floats(-np.pi, np.pi)


def rotation(a: float, b: float, c: float) -> NDArray[np.float64]:
    """Turn about z, then y, then x."""
    turned = np.eye(3)
    for angle, (i, j) in zip((a, b, c), ((0, 1), (0, 2), (1, 2)), strict=True):
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        turned = step @ turned
    return turned


@given(angles, angles, angles)
def test_axes_are_right_handed_and_orthonormal(a: float, b: float, c: float) -> None:
    """Even from cosines rounded to four decimals, and close to what was rounded."""
    turned = rotation(a, b, c)
    axes = axes_of(np.round(turned[:, :2].T.ravel(), 4).tolist())
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)
    assert axes == pytest.approx(turned, abs=1e-3)


@given(angles, angles, angles, st.tuples(*[st.floats(-500, 500)] * 3))
def test_index_and_point_are_inverse(
    a: float, b: float, c: float, index: tuple[float, float, float]
) -> None:
    """The origin is the centre of voxel (0, 0, 0), and the way there and back is exact."""
    direction = tuple(rotation(a, b, c).ravel().tolist())
    geometry = VolumeGeometry((9, 8, 7), (-3.0, 20.0, 7.5), (0.5, 0.75, 2.0), direction)
    assert geometry.point_of((0, 0, 0)) == geometry.origin
    assert geometry.index_of(geometry.point_of(index)) == pytest.approx(index, abs=1e-9)


def test_a_point_by_hand() -> None:
    """Sagittal slices: columns run to the back, rows to the feet, slices to the right."""
    geometry = VolumeGeometry((4, 4, 4), (10, 20, 30), (1, 2, 3), (0, 0, -1, 1, 0, 0, 0, -1, 0))
    assert geometry.point_of((1, 0, 0)) == (10, 21, 30)
    assert geometry.point_of((0, 1, 0)) == (10, 20, 28)
    assert geometry.point_of((0, 0, 1)) == (7, 20, 30)


@pytest.mark.parametrize(
    ("cosines", "words"),
    [
        ((1, 0, 0, 0, 1, 0), ""),
        ((1.0004, 0, 0, 0, 0.9996, 0), ""),
        ((1.002, 0, 0, 0, 1, 0), "have lengths 1.002 and 1, not 1"),
        ((0, 0, 0, 0, 0, 0), "have lengths 0 and 0, not 1"),
        ((0, 1, 0, 0, 0.8, 0.6), "enclose 36.870°, not a right angle"),
        ((float("nan"), 0, 0, 0, 1, 0), "are not finite numbers"),
    ],
)
def test_what_is_wrong_with_cosines(cosines: tuple[float, ...], words: str) -> None:
    """Rounded ones are fine; others are described."""
    assert axes_defect_of(cosines) == words


def test_spacing_is_measured_along_the_normal_and_across() -> None:
    """Five slices: the fourth is 0.1 mm too high, the second 0.3 mm aside."""
    positions = np.array([[0, 0, z] for z in (0, 2, 4, 6.1, 8)], float)
    positions[1, 0] = 0.3
    measured = measure_spacing(positions, np.array([0.0, 0.0, 1.0]))
    assert measured.spacing == 2
    assert (measured.smallest, measured.largest) == pytest.approx((1.9, 2.1))
    assert measured.median == pytest.approx(2)
    assert measured.jitter == pytest.approx(0.05)
    assert measured.largest_displacement == pytest.approx(0.1)
    assert measured.largest_shift == pytest.approx(0.3)


def test_slices_at_one_place_have_no_jitter() -> None:
    """A stack without any extent is described, not divided by."""
    assert measure_spacing(np.zeros((3, 3)), np.array([0.0, 0.0, 1.0])).jitter == 0


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_turning_to_the_patient_keeps_every_voxel_in_its_place(
    order: tuple[int, int, int], signs: tuple[int, int, int]
) -> None:
    """In all 48 axis-parallel orientations the voxel most to the right, front and feet is first."""
    direction = np.zeros((3, 3))
    for index_axis, (patient_axis, sign) in enumerate(zip(order, signs, strict=True)):
        direction[patient_axis, index_axis] = sign
    size = (2, 3, 4)
    geometry = VolumeGeometry(size, (0, 0, 0), (0.5, 0.6, 0.7), tuple(direction.ravel().tolist()))
    heights = np.empty(size[::-1])
    for column, row, plane in itertools.product(*map(range, size)):
        x, y, z = geometry.point_of((column, row, plane))
        heights[plane, row, column] = x + 100 * y + 10000 * z
    turned, spacing = oriented_to_patient(heights, geometry)
    x_step, y_step, z_step = (
        np.unique(np.diff(turned.astype(float), axis=axis).round(9)).tolist() for axis in (2, 1, 0)
    )
    assert x_step == [pytest.approx(spacing[0])]
    assert y_step == [pytest.approx(100 * spacing[1])]
    assert z_step == [pytest.approx(10000 * spacing[2])]

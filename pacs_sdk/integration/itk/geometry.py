"""Where the voxels of a volume lie in the patient (PS3.3 C.7.6.2.1.1).

Coordinates are DICOM's patient coordinates in mm, which are ITK's too: x runs towards
the patient's left, y to the back, z to the head (LPS). Nothing here needs SimpleITK.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "POSITION_TOLERANCE",
    "GridPlacement",
    "PointMm",
    "SpacingStatistics",
    "VolumeGeometry",
    "axes_defect_of",
    "axes_of",
    "measure_spacing",
    "oriented_to_patient",
]

PointMm: TypeAlias = tuple[float, float, float]
"""A point or vector in patient coordinates, mm."""

POSITION_TOLERANCE: Final = 0.1
"""How far, in voxels, a slice may lie from where the volume's geometry puts it. The text of a
DICOM number often has six decimals, so real series stay below 0.01; a tenth of a voxel is
less than any interpolation would change."""

_COSINE_TOLERANCE: Final = 1e-3
"""How far cosines may be from unit length or a right angle. Four decimals, the fewest in
use, give up to 1e-4; more means that the vectors are no direction cosines."""


@attrs.frozen
class VolumeGeometry:
    """The grid of a volume, as SimpleITK describes it."""

    size: tuple[int, int, int]
    """Columns, rows, slices."""
    origin: PointMm
    """The centre of the voxel (0, 0, 0)."""
    spacing: tuple[float, float, float]
    """Distance in mm between neighbouring columns, rows and slices."""
    direction: tuple[float, ...]
    """Nine numbers, row by row: the columns of this matrix are the unit vectors of
    increasing column index, row index and slice index."""

    def point_of(self, index: Sequence[float]) -> PointMm:
        """Return the position of a voxel; ``index`` is (column, row, slice), from 0."""
        offset = self._matrix() @ (np.asarray(index, float) * self.spacing)
        x, y, z = (np.asarray(self.origin) + offset).tolist()
        return (x, y, z)

    def index_of(self, point: PointMm) -> tuple[float, float, float]:
        """Return the (column, row, slice) of a position, fractional where it lies between."""
        along_axes = self._matrix().T @ (np.asarray(point) - np.asarray(self.origin))
        column, row, plane = (along_axes / self.spacing).tolist()
        return (column, row, plane)

    @property
    def affine(self) -> NDArray[np.float64]:
        """The 4 × 4 matrix from (column, row, slice, 1) to (x, y, z, 1), LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = self._matrix() * self.spacing
        matrix[:3, 3] = self.origin
        return matrix

    @classmethod
    def from_affine(
        cls, affine: NDArray[np.floating[Any]], size: tuple[int, int, int]
    ) -> VolumeGeometry:
        """Make the geometry of a matrix as :attr:`affine` gives it.

        Args:
            affine: The matrix; LPS mm.
            size: Columns, rows, slices.

        Raises:
            ValueError: Its axes have no length or are at no right angles: a sheared grid is
                not one of :class:`VolumeGeometry`.
        """
        matrix = np.asarray(affine, float)
        x_step, y_step, z_step = np.linalg.norm(matrix[:3, :3], axis=0).tolist()
        if min(x_step, y_step, z_step) <= 0:
            raise ValueError("an axis of the matrix has no length")
        direction = matrix[:3, :3] / (x_step, y_step, z_step)
        if np.abs(direction.T @ direction - np.eye(3)).max() > _COSINE_TOLERANCE:
            raise ValueError("the axes of the matrix are at no right angles")
        x, y, z = matrix[:3, 3].tolist()
        return cls(size, (x, y, z), (x_step, y_step, z_step), tuple(direction.ravel().tolist()))

    def matches(self, other: VolumeGeometry, tolerance: float = POSITION_TOLERANCE) -> bool:
        """Tell whether another grid has the same voxels.

        Args:
            other: The other one.
            tolerance: How far its outermost voxels may lie from ours, in our voxels.
        """
        if self.size != other.size:
            return False
        ends = np.array(list(itertools.product(*((0, count - 1) for count in self.size))))
        apart = [self.index_of(other.point_of(end)) - end for end in ends.astype(float)]
        return bool(np.abs(apart).max() <= tolerance)

    def in_dimensions(self, count: int, volumes: int = 1) -> GridPlacement:
        """Return it as 3 or 4 dimensions need it.

        Args:
            count: 3, or 4 for an axis of volumes with origin 0 and spacing 1.
            volumes: How many volumes that axis has.
        """
        more = count - 3
        direction = np.eye(count)
        direction[:3, :3] = self._matrix()
        return GridPlacement(
            (*self.size, *[volumes] * more),
            (*self.origin, *[0.0] * more),
            (*self.spacing, *[1.0] * more),
            tuple(tuple(row) for row in direction.tolist()),
        )

    def _matrix(self) -> NDArray[np.float64]:
        return np.asarray(self.direction, float).reshape(3, 3)


@attrs.frozen
class GridPlacement:
    """Size and place of a grid of 3 or 4 dimensions, as images of ITK take them."""

    size: tuple[int, ...]
    """Columns, rows, slices[, volumes]."""
    origin: tuple[float, ...]
    """The centre of the first voxel."""
    spacing: tuple[float, ...]
    """The distance between neighbours along each axis."""
    direction: tuple[tuple[float, ...], ...]
    """The rows of the matrix whose columns are the axes."""


@attrs.frozen
class SpacingStatistics:
    """The distances between neighbouring slices, along the normal of the slices, in mm."""

    spacing: float
    """The volume's slice spacing: first to last slice, divided by the number of steps."""
    smallest: float
    """The smallest step."""
    largest: float
    """The largest step."""
    median: float
    """The median step."""
    largest_displacement: float
    """How far the worst slice lies from its place in a regular stack, along the normal."""
    largest_shift: float
    """How far the worst slice is moved sideways from the normal through the first."""

    @property
    def jitter(self) -> float:
        """The largest relative difference of a step from the median step."""
        if self.median == 0:
            return 0.0
        return max(self.largest - self.median, self.median - self.smallest) / self.median


def axes_defect_of(orientation: Sequence[float]) -> str:
    """Say what keeps Image Orientation (Patient) from being direction cosines, if anything."""
    row, column = np.asarray(orientation, float).reshape(2, 3)
    if not np.isfinite([row, column]).all():
        return "are not finite numbers"
    lengths = np.linalg.norm([row, column], axis=1)
    if np.abs(lengths - 1).max() > _COSINE_TOLERANCE:
        return f"have lengths {lengths[0]:.6g} and {lengths[1]:.6g}, not 1"
    if abs(row @ column) > _COSINE_TOLERANCE:
        angle = np.degrees(np.arccos(np.clip(row @ column, -1, 1)))
        return f"enclose {angle:.3f}°, not a right angle"
    return ""


def axes_of(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Make orthonormal axes of the six direction cosines.

    Args:
        orientation: Image Orientation (Patient) without a defect: the direction of
            increasing column index, then of increasing row index.

    Returns:
        A 3 × 3 matrix, its columns the unit vectors of increasing column, row and slice
        index. The last is the first cross the second, so the system is right-handed.
    """
    row, column = np.asarray(orientation, float).reshape(2, 3)
    # The order of these steps is ITK's, so that not even the last bit differs.
    normal = _unit(np.cross(row, column))
    row = _unit(np.cross(column, normal))
    return np.stack([row, np.cross(normal, row), normal], axis=1)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector * (1.0 / _length(vector))


def _length(vector: NDArray[np.float64]) -> float:
    return math.sqrt(float((vector * vector).sum()))


def measure_spacing(
    positions: NDArray[np.float64], normal: NDArray[np.float64]
) -> SpacingStatistics:
    """Measure a stack of slices.

    Args:
        positions: Image Position (Patient) of at least two slices in order, shape (n, 3).
        normal: The unit vector they are ordered along.

    Returns:
        Its statistics; all computed from positions, never from Spacing Between Slices,
        Slice Location or Gantry Tilt, which are often absent or wrong.
    """
    offsets = positions - positions[0]
    distances = offsets @ normal
    steps = np.diff(distances)
    spacing = _length(offsets[-1]) / (len(positions) - 1)
    regular = np.arange(len(positions)) * spacing
    return SpacingStatistics(
        spacing=spacing,
        smallest=float(steps.min()),
        largest=float(steps.max()),
        median=float(np.median(steps)),
        largest_displacement=float(np.abs(distances - regular).max()),
        largest_shift=float(np.linalg.norm(offsets - np.outer(distances, normal), axis=1).max()),
    )


def oriented_to_patient(
    array: NDArray[np.generic], geometry: VolumeGeometry
) -> tuple[NDArray[np.generic], tuple[float, float, float]]:
    """Turn a volume so that its axes run, as nearly as they can, with the patient's.

    Args:
        array: The volume, (slices, rows, columns).
        geometry: Its geometry.

    Returns:
        A view (z, y, x) whose last axis runs to the patient's left, the middle one to the
        back and the first to the head, and its spacing (x, y, z) in mm. Nothing is
        resampled: an oblique volume stays oblique.
    """
    cosines = np.asarray(geometry.direction, float).reshape(3, 3)
    best = max(  # best[i]: which index axis (0 column, 1 row, 2 slice) runs along patient axis i
        itertools.permutations(range(3)),
        key=lambda order: sum(abs(cosines[axis, order[axis]]) for axis in range(3)),
    )
    flips = [cosines[axis, best[axis]] < 0 for axis in range(3)]
    turned = array.transpose([2 - best[axis] for axis in (2, 1, 0)])
    turned = turned[tuple(slice(None, None, -1 if flips[axis] else 1) for axis in (2, 1, 0))]
    x, y, z = (geometry.spacing[axis] for axis in best)
    return turned, (x, y, z)

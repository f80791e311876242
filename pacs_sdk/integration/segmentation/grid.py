"""Placing planes on the grid of a volume, voxel on voxel, without resampling."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.integration.itk.geometry import (
    POSITION_TOLERANCE,
    PointMm,
    VolumeGeometry,
    axes_of,
)
from pacs_sdk.integration.itk.loaded import LoadedVolume

__all__ = [
    "Grid",
    "HasGeometry",
    "ImageGrid",
    "Placement",
    "Plane",
    "frame_of_reference_of",
    "geometry_of",
    "grid_of_planes",
    "place_plane",
]


@runtime_checkable
class HasGeometry(Protocol):
    """Something with a grid, such as a :class:`LoadedVolume`."""

    @property
    def geometry(self) -> VolumeGeometry:
        """Its grid."""


@runtime_checkable
class ImageGrid(Protocol):
    """What a ``SimpleITK.Image`` says about its grid."""

    def GetSize(self) -> Any: ...  # noqa: D102, N802  # SimpleITK's names
    def GetOrigin(self) -> Any: ...  # noqa: D102, N802
    def GetSpacing(self) -> Any: ...  # noqa: D102, N802
    def GetDirection(self) -> Any: ...  # noqa: D102, N802


Grid: TypeAlias = VolumeGeometry | HasGeometry | ImageGrid
"""The grid of a volume: a geometry, something that has one, or a ``SimpleITK.Image``."""


def geometry_of(grid: object) -> VolumeGeometry:
    """Return the grid of a volume, which should be a :data:`Grid`.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for what has none in three dimensions.
    """
    if isinstance(grid, VolumeGeometry):
        return grid
    if isinstance(grid, HasGeometry):
        return grid.geometry
    if isinstance(grid, ImageGrid) and len(grid.GetSize()) == 3:
        columns, rows, slices = grid.GetSize()
        x, y, z = grid.GetOrigin()
        between_columns, between_rows, between_slices = grid.GetSpacing()
        return VolumeGeometry(
            (columns, rows, slices),
            (x, y, z),
            (between_columns, between_rows, between_slices),
            tuple(grid.GetDirection()),
        )
    raise PacsException(
        ErrorCode.INVALID_ARGUMENT,
        f"a {type(grid).__name__} has no grid; give a loaded series, its geometry, or a "
        "SimpleITK image of three dimensions",
    )


def frame_of_reference_of(grid: object) -> str:
    """Return the Frame of Reference UID of a volume, empty where it doesn't know."""
    return grid.metadata.frame_of_reference_uid if isinstance(grid, LoadedVolume) else ""


@attrs.frozen
class Plane:
    """Where a frame lies in the patient (PS3.3 C.7.6.2)."""

    position: PointMm
    """Image Position (Patient), mm."""
    orientation: tuple[float, ...]
    """Image Orientation (Patient)."""
    pixel_spacing: tuple[float, float]
    """Between rows, between columns, mm."""
    rows: int
    """Rows."""
    columns: int
    """Columns."""


@attrs.frozen
class Placement:
    """How the pixels of a plane are voxels of a grid."""

    start: tuple[int, int, int]
    """The voxel (column, row, slice) of the plane's first pixel; it may be outside."""
    column_axis: int
    """Which axis of the grid increasing columns run along: 0 column, 1 row, 2 slice."""
    column_sign: int
    """1 with that axis, −1 against it."""
    row_axis: int
    """Which axis increasing rows run along."""
    row_sign: int
    """1 with that axis, −1 against it."""

    @property
    def normal_index(self) -> int:
        """The index along the axis that the plane is perpendicular to."""
        return self.start[3 - self.column_axis - self.row_axis]

    def put(self, pixels: NDArray[Any], volume: NDArray[Any]) -> int:
        """Copy what lies inside the volume into it, where it isn't 0.

        Args:
            pixels: The plane, (rows, columns).
            volume: The volume, (slices, rows, columns); changed.

        Returns:
            How many pixels that aren't 0 lie outside.
        """
        view = volume.T  # (columns, rows, slices), as the axes are numbered here
        turned = pixels.T[:: self.column_sign, :: self.row_sign]
        places: list[Any] = list(self.start)
        cut: list[slice] = []
        for axis, sign in ((self.column_axis, self.column_sign), (self.row_axis, self.row_sign)):
            count = turned.shape[len(cut)]
            first = self.start[axis] - (count - 1 if sign < 0 else 0)
            begin, end = max(first, 0), min(first + count, view.shape[axis])
            places[axis] = slice(begin, max(begin, end))
            cut.append(slice(begin - first, max(begin, end) - first))
        normal = 3 - self.column_axis - self.row_axis
        total = int(np.count_nonzero(turned))
        if not 0 <= places[normal] < view.shape[normal]:
            return total
        inside = turned[tuple(cut)]
        target = view[tuple(places)]
        target = target if self.column_axis < self.row_axis else target.T
        np.copyto(target, inside, where=inside != 0)
        return total - int(np.count_nonzero(inside))


_NOT_ON_GRID: Final = "does not lie on the grid"


def place_plane(plane: Plane, grid: VolumeGeometry, name: str) -> Placement:
    """Find the voxels that the pixels of a plane are.

    Args:
        plane: The plane; each of its pixels has to be a voxel within a tenth of one.
        grid: The grid. It may go on in any direction; only its lattice matters.
        name: What to call the plane in messages.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` where it is no part of the lattice.
    """
    matrix = np.asarray(grid.direction, float).reshape(3, 3)
    axes = _axes(plane.orientation)
    between_rows, between_columns = plane.pixel_spacing
    found: list[tuple[int, int]] = []
    for vector, count in (
        (axes[:, 0] * between_columns, plane.columns),
        (axes[:, 1] * between_rows, plane.rows),
    ):
        step = (matrix.T @ vector) / grid.spacing
        axis = int(np.abs(step).argmax())
        unit = np.zeros(3)
        unit[axis] = np.sign(step[axis])
        if np.abs(step - unit).max() * max(count - 1, 1) > POSITION_TOLERANCE:
            raise _off(
                f"{name} {_NOT_ON_GRID}: a step to its next pixel is "
                f"({', '.join(f'{part:.4g}' for part in step)}) voxels; load it without a "
                "reference and resample it"
            )
        found.append((axis, int(unit[axis])))
    exact = grid.index_of(plane.position)
    start = [round(part) for part in exact]
    if max(abs(part - place) for part, place in zip(exact, start, strict=True)) > (
        POSITION_TOLERANCE
    ):
        raise _off(
            f"{name} {_NOT_ON_GRID}: its first pixel is at voxel "
            f"({', '.join(f'{part:.4g}' for part in exact)}), between the voxels"
        )
    (column_axis, column_sign), (row_axis, row_sign) = found
    return Placement((start[0], start[1], start[2]), column_axis, column_sign, row_axis, row_sign)


@functools.lru_cache(maxsize=16)
def _axes(orientation: tuple[float, ...]) -> NDArray[np.float64]:
    """Make axes once for the many frames that share an orientation."""
    return axes_of(orientation)


def _off(words: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_ARGUMENT, words)


def grid_of_planes(
    planes: Sequence[Plane], spacing_mm: float | None, thickness_mm: float | None, name: str
) -> VolumeGeometry:
    """Make the smallest grid that all planes lie on; planes may be missing between them.

    Args:
        planes: Parallel planes of one size, in any order, several of them at one place.
        spacing_mm: Spacing Between Slices, used where the positions are multiples of it.
        thickness_mm: Slice Thickness, used where nothing else says the step. Where there is no
            spacing, and planes lie twice as far apart as they are thick, nobody knows whether
            planes of nothing lie between them, or nothing does.
        name: What to call the object in messages.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE`` where they make no grid.
    """
    first = planes[0]
    for plane in planes:
        same = np.allclose(plane.orientation, first.orientation, rtol=0, atol=1e-3)
        if not same or (plane.rows, plane.columns) != (first.rows, first.columns):
            raise _no_grid(name, "its frames have different orientations or sizes")
        if not np.allclose(plane.pixel_spacing, first.pixel_spacing, rtol=1e-3):
            raise _no_grid(name, "its frames have different pixel spacings")
    axes = axes_of(first.orientation)
    positions = np.array([plane.position for plane in planes])
    along = positions @ axes[:, 2]
    order = np.argsort(along, kind="stable")
    lowest = positions[order[0]]
    step, count = _step(along[order], spacing_mm, thickness_mm, name)
    offsets = positions - lowest
    sideways = offsets - np.outer(offsets @ axes[:, 2], axes[:, 2])
    if np.linalg.norm(sideways, axis=1).max() > POSITION_TOLERANCE * min(first.pixel_spacing):
        raise _no_grid(name, "its frames are not right above one another")
    between_rows, between_columns = first.pixel_spacing
    x, y, z = lowest.tolist()
    return VolumeGeometry(
        (first.columns, first.rows, count),
        (x, y, z),
        (between_columns, between_rows, step),
        tuple(axes.ravel().tolist()),
    )


def _step(
    along: NDArray[np.float64], spacing_mm: float | None, thickness_mm: float | None, name: str
) -> tuple[float, int]:
    """Return the distance between planes, and how many planes that makes."""
    extent = float(along[-1] - along[0])
    steps = np.diff(along)
    apart = steps[steps > 1e-3]
    if not apart.size:
        step = _usable(spacing_mm) or _usable(thickness_mm)
        if step is None:
            raise _no_grid(name, "it has one plane and no thickness")
        return step, 1
    candidates = (spacing_mm, float(apart.min()), thickness_mm)
    found = next(filter(None, (_fitting(apart, step) for step in candidates)), None)
    if found is None:
        raise _no_grid(
            name,
            f"the distances between its planes, {apart.min():.4g} to {apart.max():.4g} mm, are no "
            "multiples of one step",
        )
    thick = _fitting(apart, thickness_mm)
    if thick is not None and thick < 0.75 * found and _usable(spacing_mm) is None:
        raise _no_grid(
            name,
            f"its planes are {found:.4g} mm apart and {thick:.4g} mm thick, and without "
            "SpacingBetweenSlices (0018,0088) nobody knows whether others of nothing lie between "
            "them; give the volume that was segmented as reference",
        )
    count = round(extent / found)
    # The step measured over the whole stack is more exact than any single one.
    return extent / count, count + 1


def _fitting(apart: NDArray[np.float64], step: float | None) -> float | None:
    """Return the step where all distances are multiples of it."""
    usable = _usable(step)
    if usable is None:
        return None
    ratio = apart / usable
    fits = np.round(ratio).min() >= 1 and np.abs(ratio - np.round(ratio)).max() < 0.05
    return usable if fits else None


def _usable(stated: float | None) -> float | None:
    return stated if stated is not None and np.isfinite(stated) and stated > 0 else None


def _no_grid(name: str, words: str) -> PacsException:
    return PacsException(ErrorCode.SERIES_NOT_LOADABLE, f"{name}: {words}", path=name)

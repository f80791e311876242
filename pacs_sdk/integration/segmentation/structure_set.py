"""RT Structure Sets: contours, and the voxels inside them (PS3.3 A.19, C.8.8.5, C.8.8.6)."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Final, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.html_table import html_table
from pacs_sdk.core.results import edge
from pacs_sdk.integration.itk.geometry import VolumeGeometry
from pacs_sdk.integration.segmentation.contours import inside_contours
from pacs_sdk.integration.segmentation.grid import Grid, frame_of_reference_of, geometry_of

__all__ = ["Contour", "RegionMask", "RegionOfInterest", "StructureSet"]

_XOR: Final = "CLOSEDPLANAR_XOR"
_AREAS: Final = ("CLOSED_PLANAR", _XOR)
_DEFAULT_PLANE_TOLERANCE: Final = 0.1
"""How far, in slices, a contour may lie from the slice that it is drawn on: rounded numbers
stay below it, while a contour between two slices belongs to neither."""
_MOST_PLANE_TOLERANCE: Final = 0.5


@attrs.frozen(eq=False)
class Contour:
    """A contour in patient coordinates."""

    geometric_type: str
    """Contour Geometric Type (3006,0042)."""
    points_mm: NDArray[np.float64]
    """Its points (x, y, z) in LPS mm, shape (n, 3): Contour Data (3006,0050), moved by Contour
    Offset Vector (3006,0045) where an old file has one."""
    sop_instance_uid: str = ""
    """The image that it was drawn on, where it says so."""


@attrs.frozen(eq=False)
class RegionOfInterest:
    """An item of Structure Set ROI Sequence with its contours."""

    number: int
    """ROI Number (3006,0022)."""
    name: str
    """ROI Name (3006,0026)."""
    frame_of_reference_uid: str
    """Referenced Frame of Reference UID (3006,0024)."""
    contours: tuple[Contour, ...] = ()
    """Its contours."""
    interpreted_type: str = ""
    """RT ROI Interpreted Type (3006,00A4), such as ``ORGAN``, ``PTV`` or ``EXTERNAL``."""
    generation_algorithm: str = ""
    """ROI Generation Algorithm (3006,0036)."""
    colour: tuple[int, int, int] | None = None
    """ROI Display Color (3006,002A): red, green, blue."""


@attrs.frozen(eq=False)
class RegionMask:
    """The voxels of a region of interest."""

    array: NDArray[np.bool_]
    """True inside, (slices, rows, columns)."""
    geometry: VolumeGeometry
    """The grid, that of the reference."""
    roi: RegionOfInterest
    """Which region."""
    notes: tuple[str, ...] = ()
    """What a careful reader should know, such as slices without a contour between others."""

    @property
    def volume_ml(self) -> float:
        """Voxels inside times the size of a voxel, in millilitres."""
        return float(np.count_nonzero(self.array) * np.prod(self.geometry.spacing) / 1000)


@attrs.frozen(eq=False, repr=False)
class StructureSet:
    """The regions of an RT Structure Set."""

    label: str
    """Structure Set Label (3006,0002)."""
    rois: tuple[RegionOfInterest, ...]
    """Its regions, by number."""
    series_instance_uids: tuple[str, ...] = ()
    """The series that the contours were drawn on."""

    def roi(self, which: int | str) -> RegionOfInterest:
        """Return a region by its number or name.

        Raises:
            PacsException: ``INVALID_ARGUMENT`` with the regions there are.
        """
        found = [one for one in self.rois if which in (one.number, one.name)]
        if len(found) != 1:
            there = ", ".join(f"{one.number} {one.name!r}" for one in self.rois[:30])
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"there {'is no region' if not found else 'are several regions'} {which!r}; "
                f"the regions are {there or 'none'}",
            )
        return found[0]

    @edge()
    def mask(
        self,
        which: int | str,
        reference: Grid,
        *,
        combine: Literal["xor", "union"] = "xor",
        plane_tolerance: float = _DEFAULT_PLANE_TOLERANCE,
        outside: Literal["error", "crop"] = "error",
    ) -> RegionMask:
        """Find the voxels whose centres are inside the contours of a region.

        All contours of a slice count together: what is inside an odd number of them is
        inside, so an inner contour is a hole, and a keyhole encloses one. Where contours
        overlap in part, which programs read differently, a note says so. Nothing is
        interpolated between slices.

        Args:
            which: The region's number or name.
            reference: The volume that gives the grid; it may be oblique.
            combine: Whether CLOSED_PLANAR contours of a slice count together, or a voxel in
                any of them is inside. CLOSEDPLANAR_XOR always count together.
            plane_tolerance: How far every point of a contour may lie from the nearest slice,
                in slices, up to 0.5.
            outside: What to do with contours on no slice of the volume and areas beside it:
                refuse, or cut them off.

        Returns:
            ``Success``; or ``Failure`` with ``SERIES_NOT_LOADABLE`` for a region without
            closed contours, one off the slices, or one that is no polygon;
            ``INVALID_ARGUMENT`` for an unknown region, an unusable reference or one in
            another frame of reference.
        """
        roi = self.roi(which)
        if not 0 < plane_tolerance <= _MOST_PLANE_TOLERANCE:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"plane_tolerance is above 0 to {_MOST_PLANE_TOLERANCE}, not {plane_tolerance}",
            )
        _check_frame(roi, reference)
        options = _Options(plane_tolerance, crop=outside == "crop", union=combine == "union")
        return _mask(roi, geometry_of(reference), options)

    def __repr__(self) -> str:
        return f"<StructureSet {self.label!r}: {len(self.rois)} regions>"

    def _repr_html_(self) -> str:
        """Show the regions as a table in a notebook."""
        return html_table(
            ("Number", "Name", "Type", "Contours"),
            ((one.number, one.name, one.interpreted_type, len(one.contours)) for one in self.rois),
        )


def _check_frame(roi: RegionOfInterest, reference: Grid) -> None:
    other = frame_of_reference_of(reference)
    if other and roi.frame_of_reference_uid not in ("", other):
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"region {roi.number} {roi.name!r} is in frame of reference "
            f"{roi.frame_of_reference_uid}, the reference volume in {other}",
        )


def _refuse(roi: RegionOfInterest, words: str) -> PacsException:
    return PacsException(
        ErrorCode.SERIES_NOT_LOADABLE, f"region {roi.number} {roi.name!r}: {words}", roi=roi.name
    )


@attrs.frozen
class _Options:
    """How a mask is made."""

    plane_tolerance: float
    crop: bool
    union: bool


def _mask(roi: RegionOfInterest, geometry: VolumeGeometry, options: _Options) -> RegionMask:
    columns, rows, slices = geometry.size
    planes, notes = _planes(roi, geometry, options.plane_tolerance)
    beyond = sorted(index for index in planes if not 0 <= index < slices)
    if beyond and not options.crop:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"region {roi.number} {roi.name!r} has contours on {len(beyond)} planes outside the "
            f"volume of {slices} slices, the first at slice {beyond[0]}; outside='crop' leaves "
            "them out",
        )
    volume = np.zeros((slices, rows, columns), bool)
    overlapping = []
    for index, contours in planes.items():
        if not options.crop:
            _check_inside(roi, contours, columns, rows)
        if 0 <= index < slices:
            volume[index], overlap = _filled(roi, contours, (rows, columns), union=options.union)
            overlapping += [index] if overlap else []
    drawn = sorted(planes)
    without = [index for index in range(drawn[0], drawn[-1]) if index not in planes]
    if without:
        notes.append(
            "slices between the first and the last contour that have none, "
            f"{len(without)}: {_listed(without)}"
        )
    if overlapping:
        notes.append(
            "slices with contours that overlap in part, where what is in two of them was left out "
            f"(combine='union' takes it in), {len(overlapping)}: {_listed(sorted(overlapping))}"
        )
    if not volume.any():
        notes.append("no voxel has its centre inside")
    return RegionMask(volume, geometry, roi, tuple(notes))


def _listed(indices: list[int]) -> str:
    return f"{', '.join(map(str, indices[:10]))}{', …' if len(indices) > 10 else ''}"


def _filled(
    roi: RegionOfInterest,
    contours: list[NDArray[np.float64]],
    shape: tuple[int, int],
    *,
    union: bool,
) -> tuple[NDArray[np.bool_], bool]:
    """Fill the contours of a slice; tell whether two of them overlap without one in the other."""
    together = inside_contours(contours, *shape)
    if len(contours) == 1 or any(one.geometric_type == _XOR for one in roi.contours):
        return together, False
    each = [inside_contours([contour], *shape) for contour in contours]
    if union:
        return np.logical_or.reduce(each), False
    for one, other in itertools.combinations(each, 2):
        common = one & other
        if common.any() and not (np.array_equal(common, one) or np.array_equal(common, other)):
            return together, True
    return together, False


def _planes(
    roi: RegionOfInterest, geometry: VolumeGeometry, tolerance: float
) -> tuple[dict[int, list[NDArray[np.float64]]], list[str]]:
    """Sort the contours by slice, their points in (column, row)."""
    matrix = np.asarray(geometry.direction, float).reshape(3, 3)
    planes: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    others: dict[str, int] = defaultdict(int)
    for number, contour in enumerate(roi.contours, 1):
        if contour.geometric_type not in _AREAS:
            others[contour.geometric_type or "of no type"] += 1
            continue
        if len(contour.points_mm) < 3:
            raise _refuse(roi, f"contour {number} has {len(contour.points_mm)} points, no area")
        places = (contour.points_mm - geometry.origin) @ matrix / geometry.spacing
        depth = places[:, 2]
        index = round(float(depth.mean()))
        off = float(np.abs(depth - index).max())
        if off > tolerance:
            raise _refuse(
                roi,
                f"contour {number} lies {off:.3g} slices off the nearest slice, {index}; "
                f"{tolerance:g} is allowed (plane_tolerance=)",
            )
        planes[index].append(places[:, :2])
    notes = [f"{count} contours {kind} enclose no area" for kind, count in others.items()]
    if not planes:
        raise _refuse(roi, f"it has no closed contour{': ' if notes else ''}{'; '.join(notes)}")
    return planes, notes


def _check_inside(
    roi: RegionOfInterest, contours: list[NDArray[np.float64]], columns: int, rows: int
) -> None:
    """Refuse an area beside the volume; its border is half a pixel around the centres."""
    points = np.concatenate(contours)
    if (points < -0.5 - 1e-3).any() or (points > (columns - 0.5 + 1e-3, rows - 0.5 + 1e-3)).any():
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"region {roi.number} {roi.name!r} reaches beyond the rows or columns of the volume; "
            "outside='crop' cuts it off",
        )

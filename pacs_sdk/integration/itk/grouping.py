"""From the objects of a series to its volumes, before anything is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np
from pydicom.config import IGNORE
from pydicom.uid import UID

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.integration.itk.enhanced import frame_slices, is_multiframe
from pacs_sdk.integration.itk.geometry import axes_of
from pacs_sdk.integration.itk.image_slice import ImageSlice, SliceKind, SliceReader, not_loadable
from pacs_sdk.integration.itk.mosaic import is_mosaic, mosaic_slices
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.places import SeparatedVolumes, separate
from pacs_sdk.integration.itk.report import Skipped
from pacs_sdk.integration.itk.sources import FoundObject

__all__ = ["LOADED_BY", "Difference", "FoundVolume", "read_slices", "volumes_of"]

_COSINE_TOLERANCE: Final = 1e-4
"""How far cosines of slices that are parallel may differ: 0.05 mm at the rim of a large
image, and above the noise of the scanners that compute them for each slice anew."""

_PIXEL_SPACING_TOLERANCE: Final = 1e-4
"""How far, relatively, Pixel Spacing may differ: a twentieth of a pixel over 512 of them."""

_ROWS: Final = int(DicomTag.of("Rows"))
_BITS_ALLOCATED: Final = int(DicomTag.of("BitsAllocated"))

LOADED_BY: Final = {
    "1.2.840.10008.5.1.4.1.1.66.4": "load_segmentation of pacs_sdk.integration.segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "load_segmentation of pacs_sdk.integration.segmentation",
    "1.2.840.10008.5.1.4.1.1.481.2": "load_dose of pacs_sdk.integration.modality",
    "1.2.840.10008.5.1.4.1.1.20": "load_nuclear_medicine of pacs_sdk.integration.modality",
}
"""Segmentations, dose grids, gamma cameras: images whose frames are no slices of the series
around them, and what loads them."""

_PARAMETRIC_MAP: Final = "1.2.840.10008.5.1.4.1.1.30"
"""Parametric Map Storage, whose values are nothing without Real World Value Mapping (PS3.3 A.75)."""


@attrs.frozen
class Difference:
    """What keeps two volumes of a series apart."""

    keyword: str
    """The attribute."""
    value: str
    """What it is in this volume."""

    def __str__(self) -> str:
        return f"{self.keyword} {DicomTag.of(self.keyword)} {self.value}"


@attrs.frozen(eq=False)
class FoundVolume:
    """Slices that belong together, as far as their headers say."""

    number: int
    """Which of the volumes of its series it is, from 0."""
    difference: Difference | None
    """What tells it from the first volume of the series; none for the first."""
    slices: SeparatedVolumes
    """Its slices."""

    @property
    def first(self) -> ImageSlice:
        """Its first slice."""
        return self.slices.volumes[0][0]

    @property
    def slice_count(self) -> int:
        """How many slices each of its volumes has."""
        return len(self.slices.volumes[0])

    def text(self, keyword: str) -> str:
        """Return an attribute as text, of the first image that has it; empty where none does."""
        return next(filter(None, (one.text(keyword) for one in self.images())), "")

    def images(self) -> list[ImageSlice]:
        """All of its images, those that clash with another too."""
        clashing = [one for clash in self.slices.clashes for one in clash[1:]]
        copies = [copy for _, copy in self.slices.copies]
        return [one for volume in self.slices.volumes for one in volume] + clashing + copies


# -- from objects to slices ---------------------------------------------------------------


def read_slices(
    objects: Sequence[FoundObject], options: LoadOptions
) -> tuple[list[ImageSlice], list[Skipped]]:
    """Read what the images of a series are like.

    Args:
        objects: The objects of the series.
        options: With ``strict=False`` an image that is no slice is skipped with the reason;
            objects that are no images always are.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE`` naming file and attribute.
    """
    reader = SliceReader()
    slices: list[ImageSlice] = []
    skipped: list[Skipped] = []
    reasons = [_reason_for_no_slice(found) for found in objects]
    images = not all(reasons)
    for found, reason in zip(objects, reasons, strict=True):
        if reason and images:
            skipped.append(Skipped(found.name, reason))
            continue
        try:
            slices += _slices_of(found, reader, options)
        except PacsException as exc:
            if options.strict:
                raise
            skipped.append(Skipped(found.name, exc.error.message.removeprefix(f"{found.name}: ")))
    return slices, skipped


def _slices_of(found: FoundObject, reader: SliceReader, options: LoadOptions) -> list[ImageSlice]:
    """Make slices of an image, whatever kind it is."""
    loader = LOADED_BY.get(found.instance.sop_class_uid)
    if loader is not None:
        raise not_loadable(
            found.name, "SOPClassUID", f"is {found.instance.sop_class_uid}: {loader} loads it"
        )
    if found.instance.sop_class_uid == _PARAMETRIC_MAP and options.rescale != "none":
        raise not_loadable(
            found.name,
            "RealWorldValueMappingSequence",
            "says what its values are, and is not applied (rescale='none' gives stored values)",
        )
    if is_mosaic(found):
        return mosaic_slices(found, reader, options)
    slices = frame_slices(found, reader) if is_multiframe(found) else [reader.slice_of(found)]
    kind = slices[0].kind
    if options.colour == "error" and kind.is_colour:
        raise not_loadable(
            found.name, "PhotometricInterpretation", f"is {kind.photometric}: it is in colour"
        )
    return slices


def _reason_for_no_slice(found: FoundObject) -> str:
    raw, sop_class = found.header.raw, found.instance.sop_class_uid
    if _ROWS not in raw and _BITS_ALLOCATED not in raw:
        return f"{UID(sop_class, validation_mode=IGNORE).name}, which is no image"
    if sop_class in LOADED_BY:
        name = UID(sop_class, validation_mode=IGNORE).name
        return f"{name}, whose frames are no slices of this series"
    return ""


# -- from slices to volumes -----------------------------------------------------------------


def volumes_of(slices: Sequence[ImageSlice]) -> list[FoundVolume]:
    """Make volumes of the slices of a series.

    Slices of one volume have one size, orientation, pixel spacing, frame of reference and
    kind of pixels, by numbers and not by text. Where several lie at one place, an attribute
    such as Echo Time makes an axis of volumes of them, or volumes of their own.

    Args:
        slices: At least one.
    """
    found: list[FoundVolume] = []
    groups = _alike(slices)
    first = groups[0].kind
    for group in groups:
        normal = axes_of(group.members[0].kind.orientation)[:, 2]
        for part in separate(group.members, normal):
            difference = _difference(first, group.members[0]) if found else None
            if found and difference is None:
                keyword, _, value = part.label.rpartition(", ")[2].partition("=")
                difference = Difference(keyword, value)
            found.append(FoundVolume(len(found), difference, part))
    return found


@attrs.define(eq=False)
class _Group:
    """Slices that are alike."""

    kind: SliceKind
    """What they are like: the first one's kind, with the first Frame of Reference UID that any
    of them has."""
    members: list[ImageSlice]
    """The slices."""

    def takes(self, kind: SliceKind) -> bool:
        """Tell whether a slice can be one of them, and remember its frame of reference."""
        if _first_difference(self.kind, kind):
            return False
        if not self.kind.frame_of_reference_uid:
            uid = kind.frame_of_reference_uid
            self.kind = attrs.evolve(self.kind, frame_of_reference_uid=uid)
        return True


def _alike(slices: Sequence[ImageSlice]) -> list[_Group]:
    """Group slices whose kinds can be one volume, in the order they were found."""
    groups: list[_Group] = []
    group_of: dict[int, _Group] = {}
    for one in slices:
        group = group_of.get(id(one.kind))
        if group is None:
            group = next((group for group in groups if group.takes(one.kind)), None)
            if group is None:
                group = _Group(one.kind, [])
                groups.append(group)
            group_of[id(one.kind)] = group
        group.members.append(one)
    return groups


def _first_difference(one: SliceKind, other: SliceKind) -> str:
    """Name the attribute that keeps two slices from being of one volume; empty if none does."""
    if (one.rows, one.columns) != (other.rows, other.columns):
        return "Rows" if one.rows != other.rows else "Columns"
    frames = {one.frame_of_reference_uid, other.frame_of_reference_uid} - {""}
    if len(frames) > 1:  # positions can only be compared within one (PS3.3 C.7.4.1)
        return "FrameOfReferenceUID"
    if np.abs(np.subtract(one.orientation, other.orientation)).max() > _COSINE_TOLERANCE:
        return "ImageOrientationPatient"
    apart = np.abs(np.subtract(one.pixel_spacing, other.pixel_spacing))
    if (apart > np.multiply(_PIXEL_SPACING_TOLERANCE, one.pixel_spacing)).any():
        return "PixelSpacing"
    if one.is_colour != other.is_colour or (
        not one.is_colour and one.photometric != other.photometric
    ):
        return "PhotometricInterpretation"
    if one.bits_allocated != other.bits_allocated:
        return "BitsAllocated"
    return ""


def _difference(first: SliceKind, one: ImageSlice) -> Difference | None:
    keyword = _first_difference(first, one.kind)
    return Difference(keyword, one.text(keyword)) if keyword else None

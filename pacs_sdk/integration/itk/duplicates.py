"""Images that are there twice, and images of one place that nothing tells apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.integration.itk.image_slice import ImageSlice, not_loadable
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.places import SAME_PLACE_MM, SeparatedVolumes
from pacs_sdk.integration.itk.report import Skipped
from pacs_sdk.integration.itk.slice_pixels import stored_values

__all__ = ["without_duplicates"]

_TELLS_APART: Final = (
    "EchoTime",
    "EchoNumbers",
    "TriggerTime",
    "TemporalPositionIdentifier",
    "DiffusionBValue",
    "AcquisitionNumber",
    "AcquisitionTime",
    "ContentTime",
    "InstanceNumber",
)
"""Attributes in which images of the same place differ, in the order of what they tell."""


def without_duplicates(
    found: SeparatedVolumes, options: LoadOptions
) -> tuple[SeparatedVolumes, tuple[Skipped, ...]]:
    """Leave one image at each place.

    Args:
        found: Volumes with copies and clashes.
        options: ``on_duplicates`` decides about them.

    Returns:
        The volumes without copies and clashes, and what was dropped with the reason.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE`` naming files: the policy refuses them; objects
            of one SOP Instance UID differ; or ``PIXEL_DATA_FAILED`` where they cannot be
            compared.
    """
    dropped = [_copy(kept, copy, options) for kept, copy in found.copies]
    volumes = found.volumes
    if found.clashes:
        taken = {id(clash[0]): _one_of(clash, found, options, dropped) for clash in found.clashes}
        volumes = tuple(tuple(taken.get(id(one), one) for one in volume) for volume in volumes)
    _check_uids([one for volume in volumes for one in volume])
    return attrs.evolve(found, volumes=volumes, copies=(), clashes=()), tuple(dropped)


def _copy(kept: ImageSlice, copy: ImageSlice, options: LoadOptions) -> Skipped:
    if options.on_duplicates == "error":
        raise not_loadable(
            copy.name,
            "SOPInstanceUID",
            f"is the same as that of {kept.name} (on_duplicates='error')",
        )
    if _same_image(kept, copy):
        return Skipped(copy.name, f"the same SOP Instance UID and image as {kept.name}")
    if options.on_duplicates == "first":
        return Skipped(
            copy.name, f"the same SOP Instance UID as {kept.name}, found before, with another image"
        )
    raise not_loadable(
        copy.name, "SOPInstanceUID", f"is the same as that of {kept.name}, the image is not"
    )


def _one_of(
    clash: Sequence[ImageSlice],
    found: SeparatedVolumes,
    options: LoadOptions,
    dropped: list[Skipped],
) -> ImageSlice:
    """Choose one image of a place, and note the others."""
    if options.on_duplicates == "error":
        raise _different_images(clash[0], clash[1], len(found.clashes))
    ordered = list(clash)
    if options.on_duplicates == "first":
        ordered.sort(key=lambda one: one.number("InstanceNumber") or 0)
    kept = ordered[0]
    for other in ordered[1:]:
        if _same_image(kept, other):
            dropped.append(Skipped(other.name, f"the same image and place as {kept.name}"))
        elif options.on_duplicates == "first":
            dropped.append(
                Skipped(
                    other.name,
                    f"another image of the place of {kept.name}, whose InstanceNumber is "
                    f"{kept.text('InstanceNumber') or 'absent'}, not "
                    f"{other.text('InstanceNumber') or 'absent'}",
                )
            )
        else:
            raise _different_images(kept, other, len(found.clashes))
    return kept


def _same_image(one: ImageSlice, other: ImageSlice) -> bool:
    if (one.kind.slope, one.kind.intercept) != (other.kind.slope, other.kind.intercept):
        return False
    if not np.allclose(one.position, other.position, rtol=0, atol=SAME_PLACE_MM[1]):
        return False
    return np.array_equal(stored_values(one), stored_values(other))


def _different_images(one: ImageSlice, other: ImageSlice, count: int) -> PacsException:
    differences = [
        f"{keyword} {one.text(keyword)!r} and {other.text(keyword)!r}"
        for keyword in _TELLS_APART
        if one.text(keyword) != other.text(keyword)
    ]
    told = f" They differ in {', '.join(differences[:3])}." if differences else ""
    tag = str(DicomTag.of("ImagePositionPatient"))
    which = f"{one.name} and {other.name}"
    if one.instance is other.instance:
        which = f"frames {one.frame} and {other.frame} (from 0) of {one.name}"
    return PacsException(
        ErrorCode.SERIES_NOT_LOADABLE,
        f"{which} show different images of the same place "
        f"({count} such place{'' if count == 1 else 's'}), and no attribute makes volumes of "
        f"them.{told} on_duplicates='first' takes the one of the lower InstanceNumber",
        path=other.name,
        tag=tag,
    )


def _check_uids(slices: Sequence[ImageSlice]) -> None:
    seen: dict[tuple[str, int], ImageSlice] = {}
    for one in slices:
        other = seen.setdefault((one.sop_instance_uid, one.frame), one)
        if other is not one:
            raise not_loadable(
                one.name, "SOPInstanceUID", f"is the same as that of {other.name}, elsewhere"
            )

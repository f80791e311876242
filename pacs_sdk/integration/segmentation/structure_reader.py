"""Reading RT Structure Sets (PS3.3 A.19, C.8.8.5, C.8.8.6, C.8.8.8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.pixels import ImageSource
from pacs_sdk.encoding.rendering.attributes import items, numbers, text, whole
from pacs_sdk.integration.modality.opened import name_of, opened
from pacs_sdk.integration.segmentation.structure_set import (
    Contour,
    RegionOfInterest,
    StructureSet,
)

__all__ = ["load_structure_set"]

RT_STRUCTURE_SET_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.481.3"


@edge(VALUE_ERRORS)
def load_structure_set(source: ImageSource) -> StructureSet:
    """Read the regions of an RT Structure Set.

    A region has the contours of every item of ROI Contour Sequence that refers to it: the
    standard asks for one region an item, not for one item a region (PS3.3 C.8.8.6). A contour
    that an earlier item has already counts once.

    Args:
        source: A path, an instance or a data set.

    Returns:
        ``Success``, whose :meth:`StructureSet.mask` gives the voxels of a region; or
        ``Failure`` with ``SERIES_NOT_LOADABLE`` for another object or contours that are
        none, ``VALUE_CONVERSION_FAILED``, or what reading gives.
    """
    dataset, _ = opened(source)
    name = name_of(source, dataset)
    if text(dataset, "SOPClassUID") != RT_STRUCTURE_SET_STORAGE:
        raise _refuse(name, "it is no RT Structure Set")
    drawn: dict[int, list[DicomDataset]] = {}
    for item in items(dataset, "ROIContourSequence"):
        referenced = whole(item, "ReferencedROINumber")
        if referenced is not None:
            drawn.setdefault(referenced, []).append(item)
    observed = {
        number: text(item, "RTROIInterpretedType")
        for item in items(dataset, "RTROIObservationsSequence")
        if (number := whole(item, "ReferencedROINumber")) is not None
    }
    rois: dict[int, RegionOfInterest] = {}
    for item in items(dataset, "StructureSetROISequence"):
        number = whole(item, "ROINumber")
        if number is None or number in rois:
            raise _refuse(name, f"ROINumber (3006,0022) {number} is missing or there twice")
        its = drawn.get(number, [])
        rois[number] = RegionOfInterest(
            number=number,
            name=text(item, "ROIName"),
            frame_of_reference_uid=text(item, "ReferencedFrameOfReferenceUID"),
            contours=_contours(its, f"{name}: region {number}"),
            interpreted_type=observed.get(number, ""),
            generation_algorithm=text(item, "ROIGenerationAlgorithm"),
            colour=next(filter(None, map(_colour, its)), None),
        )
    return StructureSet(
        label=text(dataset, "StructureSetLabel"),
        rois=tuple(rois[number] for number in sorted(rois)),
        series_instance_uids=tuple(_series(dataset)),
    )


def _refuse(name: str, words: str) -> PacsException:
    return PacsException(ErrorCode.SERIES_NOT_LOADABLE, f"{name}: {words}", path=name)


def _contours(drawn: Sequence[DicomDataset], name: str) -> tuple[Contour, ...]:
    found: list[Contour] = []
    for number, item in enumerate(drawn, 1):
        where = name if len(drawn) == 1 else f"{name}, item {number}"
        earlier = {_key(one) for one in found}
        found += [one for one in _contours_of(item, where) if _key(one) not in earlier]
    return tuple(found)


def _key(contour: Contour) -> tuple[str, bytes]:
    """Return what is the same for the same contour."""
    return contour.geometric_type, contour.points_mm.tobytes()


def _contours_of(drawn: DicomDataset, name: str) -> Iterator[Contour]:
    for index, item in enumerate(items(drawn, "ContourSequence"), 1):
        points = _points(item, f"{name}, contour {index}")
        images = items(item, "ContourImageSequence")
        uid = text(images[0], "ReferencedSOPInstanceUID") if images else ""
        yield Contour(text(item, "ContourGeometricType"), points, uid)


def _points(item: DicomDataset, name: str) -> NDArray[np.float64]:
    flat = np.asarray(numbers(item, "ContourData"), np.float64)
    if flat.size % 3 or not np.isfinite(flat).all():
        raise _refuse(name, f"ContourData (3006,0050) has {flat.size} numbers, no triples")
    stated = whole(item, "NumberOfContourPoints")
    if stated is not None and stated * 3 != flat.size:
        raise _refuse(
            name,
            f"NumberOfContourPoints (3006,0046) is {stated}, ContourData (3006,0050) has "
            f"{flat.size // 3} points",
        )
    return flat.reshape(-1, 3) + _offset(item, name)


def _offset(item: DicomDataset, name: str) -> NDArray[np.float64]:
    """Return how far a contour lies beside its data, mm.

    Contour Offset Vector, retired by now, leads from each point of Contour Data to that of the
    slab's central plane, which is the contour's place (PS3.3 2020a C.8.8.6.2).
    """
    stated = numbers(item, "ContourOffsetVector")
    if not stated:
        return np.zeros(3)
    if len(stated) != 3 or not np.isfinite(stated).all():
        raise _refuse(name, f"ContourOffsetVector (3006,0045) is {stated}, not three numbers")
    return np.asarray(stated, np.float64)


def _colour(drawn: DicomDataset) -> tuple[int, int, int] | None:
    found = numbers(drawn, "ROIDisplayColor")
    if len(found) != 3:
        return None
    red, green, blue = (int(part) for part in found)
    return red, green, blue


def _series(dataset: DicomDataset) -> Iterator[str]:
    for frame in items(dataset, "ReferencedFrameOfReferenceSequence"):
        for study in items(frame, "RTReferencedStudySequence"):
            for series in items(study, "RTReferencedSeriesSequence"):
                yield text(series, "SeriesInstanceUID")

"""RT Structure Set: regions, their contours, and what refers to what (PS3.3 C.8.8.5–8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from pacs_sdk.services.iod_validation.item_values import integer, items_of, text, texts
from pacs_sdk.services.iod_validation.report import IodFinding, Severity
from pacs_sdk.services.iod_validation.subject import TOP, Place, Subject

__all__ = ["check_rt_structure_set"]

_STRUCTURE_SET: Final = "1.2.840.10008.5.1.4.1.1.481.3"
_LEAST_POINTS: Final = {"POINT": 1, "OPEN_PLANAR": 2, "OPEN_NONPLANAR": 2, "CLOSED_PLANAR": 3}


def check_rt_structure_set(subject: Subject) -> Iterator[IodFinding]:
    """Check region numbers, contour data, and references to regions and frames of reference."""
    if subject.sop_class_uid != _STRUCTURE_SET:
        return
    dataset = subject.dataset
    regions = items_of(dataset, "StructureSetROISequence")
    known = set[int]()
    for index, region in enumerate(regions):
        number = integer(region, "ROINumber")
        if number in known:
            yield TOP.item("StructureSetROISequence", index).broken(
                "ROINumber", f"ROI {number} is there more than once", "C.8.8.5"
            )
        elif number is not None:
            known.add(number)
    yield from _frames_of_reference(dataset)
    for sequence, section in (
        ("ROIContourSequence", "C.8.8.6"),
        ("RTROIObservationsSequence", "C.8.8.8"),
    ):
        for index, item in enumerate(items_of(dataset, sequence)):
            number = integer(item, "ReferencedROINumber")
            if number is not None and number not in known:
                yield TOP.item(sequence, index).broken(
                    "ReferencedROINumber",
                    f"ROI {number}, which the Structure Set ROI Sequence doesn't have",
                    section,
                )
    for index, region in enumerate(items_of(dataset, "ROIContourSequence")):
        place = TOP.item("ROIContourSequence", index)
        for number, contour in enumerate(items_of(region, "ContourSequence")):
            yield from _contour(place.item("ContourSequence", number), contour)


def _frames_of_reference(dataset: Dataset) -> Iterator[IodFinding]:
    known = {
        text(one, "FrameOfReferenceUID")
        for one in items_of(dataset, "ReferencedFrameOfReferenceSequence")
    }
    for index, item in enumerate(items_of(dataset, "StructureSetROISequence")):
        uid = text(item, "ReferencedFrameOfReferenceUID")
        if uid and known and uid not in known:
            yield TOP.item("StructureSetROISequence", index).broken(
                "ReferencedFrameOfReferenceUID",
                "no item of the Referenced Frame of Reference Sequence has this UID",
                "C.8.8.5",
                Severity.WARNING,
            )


def _contour(place: Place, contour: Dataset) -> Iterator[IodFinding]:
    """Contour Data are triplets x, y, z in mm, as many as there are points (C.8.8.6)."""
    values = texts(contour, "ContourData")
    points = integer(contour, "NumberOfContourPoints")
    if not values:
        return
    if len(values) % 3:
        yield place.broken(
            "ContourData", f"{len(values)} numbers, which are no triplets x, y, z", "C.8.8.6"
        )
        return
    found = len(values) // 3
    if points is not None and points != found:
        yield place.broken(
            "NumberOfContourPoints", f"{points} points, and the data of {found}", "C.8.8.6"
        )
    kind = text(contour, "ContourGeometricType")
    if found < _LEAST_POINTS.get(kind, 0) or (kind == "POINT" and found > 1):
        yield place.broken("ContourData", f"{found} points of a {kind} contour", "C.8.8.6.1")
    elif kind == "CLOSED_PLANAR" and found > 3 and values[:3] == values[-3:]:
        yield place.broken(
            "ContourData",
            "the last point repeats the first; a closed contour closes itself",
            "C.8.8.6.1",
            Severity.WARNING,
        )

"""Segmentations: segments, frames and bits (PS3.3 C.8.20)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pydicom.dataset import Dataset

from pacs_sdk.services.iod_validation.item_values import integer, is_present, items_of, text
from pacs_sdk.services.iod_validation.report import IodFinding
from pacs_sdk.services.iod_validation.subject import TOP, Place, Subject

__all__ = ["check_segmentation"]

_SEGMENTATION: Final = (
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
    "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
)
_PER_FRAME: Final = "PerFrameFunctionalGroupsSequence"
_SHARED: Final = "SharedFunctionalGroupsSequence"
_BITS: Final = {"BINARY": (1,), "FRACTIONAL": (8,), "LABELMAP": (8, 16)}
_LABEL_MAP_BACKGROUND: Final = 0


def check_segmentation(subject: Subject) -> Iterator[IodFinding]:
    """Check the bits of the segmentation's type, the segments, and that frames name them."""
    if subject.sop_class_uid not in _SEGMENTATION:
        return
    dataset = subject.dataset
    kind = text(dataset, "SegmentationType")
    yield from _bits(dataset, kind)
    segments = [integer(one, "SegmentNumber") for one in items_of(dataset, "SegmentSequence")]
    yield from _segments(segments, kind)
    if kind != "LABELMAP":
        yield from _frames(dataset, {one for one in segments if one is not None})


def _bits(dataset: Dataset, kind: str) -> Iterator[IodFinding]:
    allocated, stored = integer(dataset, "BitsAllocated"), integer(dataset, "BitsStored")
    wanted = _BITS.get(kind)
    if wanted is None:
        return
    for keyword, value in (("BitsAllocated", allocated), ("BitsStored", stored)):
        if value is not None and value not in wanted:
            yield TOP.broken(
                keyword,
                f"{value} bits in a {kind} segmentation, which has {' or '.join(map(str, wanted))}",
                "C.8.20.2.3",
            )
    largest = integer(dataset, "MaximumFractionalValue")
    if kind == "FRACTIONAL" and largest is not None and not 0 < largest <= 255:
        yield TOP.broken(
            "MaximumFractionalValue", f"{largest} is no value of 8 bits above 0", "C.8.20.2.3"
        )


def _segments(segments: Sequence[int | None], kind: str) -> Iterator[IodFinding]:
    """Segments are numbered from 1, by 1; those of a label map are not (C.8.20.2.4)."""
    known = set[int]()
    for index, number in enumerate(segments):
        place = TOP.item("SegmentSequence", index)
        if number is None:
            continue
        if number in known:
            yield place.broken(
                "SegmentNumber", f"segment {number} is there more than once", "C.8.20.2.4"
            )
        elif kind == "LABELMAP":
            if number < _LABEL_MAP_BACKGROUND:
                yield place.broken("SegmentNumber", f"segment {number}", "C.8.20.2.4")
        elif number != index + 1:
            yield place.broken(
                "SegmentNumber",
                f"segment {number} where {index + 1} is next: they count from 1, by 1",
                "C.8.20.2.4",
            )
        known.add(number)


def _frames(dataset: Dataset, segments: set[int]) -> Iterator[IodFinding]:
    """Every frame is of a segment that is described (C.8.20.3.1)."""
    used = set()
    places = [(TOP.item(_SHARED, 0), item) for item in items_of(dataset, _SHARED)[:1]]
    places += [
        (TOP.item(_PER_FRAME, index), item)
        for index, item in enumerate(items_of(dataset, _PER_FRAME))
    ]
    found = [(place, number) for place, item in places for number in _identified(item)]
    for place, number in found:
        used.add(number)
        if number not in segments:
            yield _unknown(place, number)
    if places and not any(is_present(item, "SegmentIdentificationSequence") for _, item in places):
        yield TOP.item(_SHARED, 0).missing(
            "SegmentIdentificationSequence", "no frame says which segment it is of", "A.51.5"
        )


def _identified(item: Dataset) -> list[int]:
    numbers = [
        integer(one, "ReferencedSegmentNumber")
        for one in items_of(item, "SegmentIdentificationSequence")[:1]
    ]
    return [one for one in numbers if one is not None]


def _unknown(place: Place, number: int) -> IodFinding:
    inner = place.item("SegmentIdentificationSequence", 0)
    return inner.broken(
        "ReferencedSegmentNumber",
        f"segment {number}, which the Segment Sequence doesn't have",
        "C.8.20.3.1",
    )

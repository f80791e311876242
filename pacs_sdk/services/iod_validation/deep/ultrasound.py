"""Ultrasound: frames and calibrated regions (PS3.3 C.8.5)."""

from __future__ import annotations

from collections.abc import Iterator

from pacs_sdk.services.iod_validation.item_values import integer, is_present, items_of
from pacs_sdk.services.iod_validation.report import IodFinding, Severity
from pacs_sdk.services.iod_validation.subject import TOP, Subject

__all__ = ["check_ultrasound"]

_SINGLE_FRAME = ("1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.6.1")


def check_ultrasound(subject: Subject) -> Iterator[IodFinding]:
    """Check that the SOP class fits the frames, and that regions lie in the image."""
    dataset = subject.dataset
    frames = integer(dataset, "NumberOfFrames") or 1
    if subject.sop_class_uid in _SINGLE_FRAME and frames > 1:
        yield TOP.broken("NumberOfFrames", f"{frames} frames in an object for single images", "A.6")
    columns, rows = integer(dataset, "Columns"), integer(dataset, "Rows")
    for index, item in enumerate(items_of(dataset, "SequenceOfUltrasoundRegions")):
        place = TOP.item("SequenceOfUltrasoundRegions", index)
        for first, last, size in (
            ("RegionLocationMinX0", "RegionLocationMaxX1", columns),
            ("RegionLocationMinY0", "RegionLocationMaxY1", rows),
        ):
            low, high = integer(item, first), integer(item, last)
            if low is None or high is None or size is None:
                continue
            if low > high or high >= size:
                yield place.broken(
                    last,
                    f"a region from {low} to {high} in an image of {size}",
                    "C.8.5.5.1.2",
                    # Nothing forbids a region beyond the image, and many end one pixel later.
                    Severity.ERROR if low > high else Severity.WARNING,
                )
        for keyword in ("PhysicalDeltaX", "PhysicalDeltaY"):
            unit = "PhysicalUnitsXDirection" if keyword.endswith("X") else "PhysicalUnitsYDirection"
            if is_present(item, keyword) and not is_present(item, unit):
                yield place.broken(keyword, "a distance without its unit", "C.8.5.5")

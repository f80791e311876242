"""Multi-frame images: how frames follow each other, and vectors with a value for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from pacs_sdk.services.iod_validation.item_values import (
    described,
    integer,
    is_present,
    numbers,
    pointers,
    texts,
)
from pacs_sdk.services.iod_validation.report import IodFinding, Severity
from pacs_sdk.services.iod_validation.subject import TOP, Subject

__all__ = ["check_multi_frame"]

_ONE_A_FRAME: Final = {
    "FrameTimeVector": "C.7.6.5",
    "GridFrameOffsetVector": "C.8.8.3",
    "SliceLocationVector": "C.8.6.3",
    "FrameLabelVector": "C.8.6.3",
    "FramePrimaryAngleVector": "C.8.6.3",
    "FrameSecondaryAngleVector": "C.8.6.3",
    "EnergyWindowVector": "C.8.4.8",
    "DetectorVector": "C.8.4.8",
    "PhaseVector": "C.8.4.8",
    "RotationVector": "C.8.4.8",
    "RRIntervalVector": "C.8.4.8",
    "TimeSlotVector": "C.8.4.8",
    "SliceVector": "C.8.4.8",
    "AngularViewVector": "C.8.4.8",
    "TimeSliceVector": "C.8.4.8",
}
"""Attributes that have a value for each frame, and where that is said."""


def check_multi_frame(subject: Subject) -> Iterator[IodFinding]:
    """Check Number of Frames, the Frame Increment Pointer and the vectors (C.7.6.6)."""
    dataset = subject.dataset
    frames = integer(dataset, "NumberOfFrames")
    if frames is None:
        return
    if frames < 1:
        yield TOP.broken("NumberOfFrames", f"{frames} frames; there is at least one", "C.7.6.6")
        return
    yield from _pointer(dataset)
    for keyword, section in _ONE_A_FRAME.items():
        values = texts(dataset, keyword) if is_present(dataset, keyword) else ()
        if values and len(values) != frames:
            yield TOP.broken(keyword, f"{len(values)} values for {frames} frames", section)
    yield from _representative(dataset, frames)


def _pointer(dataset: Dataset) -> Iterator[IodFinding]:
    """What the Frame Increment Pointer names has to be there (C.7.6.6.1.1)."""
    for pointer in pointers(dataset, "FrameIncrementPointer"):
        if int(pointer) not in dataset:
            yield TOP.broken(
                "FrameIncrementPointer",
                f"it points to {described(int(pointer))}, which is not there",
                "C.7.6.6.1.1",
            )


def _representative(dataset: Dataset, frames: int) -> Iterator[IodFinding]:
    for keyword in ("RepresentativeFrameNumber", "StartTrim", "StopTrim"):
        for number in numbers(dataset, keyword):
            if not 1 <= number <= frames:
                yield TOP.broken(
                    keyword,
                    f"frame {number:g} of {frames} frames",
                    "C.7.6.6" if keyword == "RepresentativeFrameNumber" else "C.7.6.5",
                    Severity.ERROR,
                )

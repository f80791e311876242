"""X-ray angiography and fluoroscopy: frames, positioner, masks (PS3.3 C.8.7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pacs_sdk.services.iod_validation.item_values import (
    integer,
    items_of,
    numbers,
    text,
    texts,
)
from pacs_sdk.services.iod_validation.report import IodFinding
from pacs_sdk.services.iod_validation.subject import TOP, Subject

__all__ = ["check_x_ray"]

_PLANES: Final = ("SINGLE PLANE", "BIPLANE A", "BIPLANE B")
_DEPTHS: Final = ((8, 8), (16, 8), (16, 10), (16, 12), (16, 16))
"""Bits Allocated and Bits Stored that the X-Ray Image Module has (C.8.7.1)."""


def check_x_ray(subject: Subject) -> Iterator[IodFinding]:
    """Check image type, pixels, the positioner's steps and the frames of masks."""
    dataset = subject.dataset
    kinds = texts(dataset, "ImageType")
    if len(kinds) < 3 or kinds[2] not in _PLANES:
        yield TOP.broken(
            "ImageType", f"value 3 has to be one of {', '.join(_PLANES)}", "C.8.7.1.1.1"
        )
    bits = integer(dataset, "BitsAllocated"), integer(dataset, "BitsStored")
    if None not in bits and bits not in _DEPTHS:
        yield TOP.broken(
            "BitsStored", f"{bits[1]} bits stored in {bits[0]}, which no X-ray image has", "C.8.7.1"
        )
    if integer(dataset, "PixelRepresentation") == 1:
        yield TOP.broken("PixelRepresentation", "signed pixels; X-ray has unsigned ones", "C.8.7.1")
    yield from _positioner(subject)
    yield from _masks(subject)


def _positioner(subject: Subject) -> Iterator[IodFinding]:
    """A moving positioner has one step for all frames, or one for each (C.8.7.5.1.3)."""
    dataset = subject.dataset
    frames = integer(dataset, "NumberOfFrames") or 1
    for keyword in (
        "PositionerPrimaryAngleIncrement",
        "PositionerSecondaryAngleIncrement",
        "TableVerticalIncrement",
        "TableLongitudinalIncrement",
        "TableLateralIncrement",
    ):
        steps = numbers(dataset, keyword)
        if steps and len(steps) not in (1, frames):
            yield TOP.broken(keyword, f"{len(steps)} steps for {frames} frames", "C.8.7.5.1.3")
    is_static = text(dataset, "PositionerMotion") == "STATIC"
    if is_static and any(numbers(dataset, "PositionerPrimaryAngleIncrement")):
        yield TOP.broken(
            "PositionerPrimaryAngleIncrement", "steps of a positioner that is STATIC", "C.8.7.5"
        )


def _masks(subject: Subject) -> Iterator[IodFinding]:
    """Frames that are masks, or masked, are frames of the image (C.7.6.10)."""
    dataset = subject.dataset
    frames = integer(dataset, "NumberOfFrames") or 1
    for index, item in enumerate(items_of(dataset, "MaskSubtractionSequence")):
        place = TOP.item("MaskSubtractionSequence", index)
        for keyword in ("MaskFrameNumbers", "ApplicableFrameRange"):
            outside = [one for one in numbers(item, keyword) if not 1 <= one <= frames]
            if outside:
                yield place.broken(keyword, f"frame {outside[0]:g} of {frames} frames", "C.7.6.10")
        if len(numbers(item, "ApplicableFrameRange")) % 2:
            yield place.broken("ApplicableFrameRange", "a range without its end", "C.7.6.10")

"""RT Dose: the grid, its frames, units and scaling (PS3.3 C.8.8.3, C.8.8.4)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from pacs_sdk.services.iod_validation.item_values import (
    integer,
    is_present,
    items_of,
    numbers,
    text,
)
from pacs_sdk.services.iod_validation.report import IodFinding, Severity
from pacs_sdk.services.iod_validation.subject import TOP, Subject

__all__ = ["check_rt_dose"]

_RT_DOSE: Final = "1.2.840.10008.5.1.4.1.1.481.2"
_SECTION: Final = "C.8.8.3"


def check_rt_dose(subject: Subject) -> Iterator[IodFinding]:
    """Check frame offsets, bits, scaling, and the histograms' data."""
    if subject.sop_class_uid != _RT_DOSE:
        return
    yield from _offsets(subject)
    if is_present(subject.dataset, "PixelData"):
        yield from _grid(subject)
    yield from _histograms(subject)


def _offsets(subject: Subject) -> Iterator[IodFinding]:
    """Offsets are relative to the first plane, which is at 0, or z positions (C.8.8.3.2)."""
    dataset = subject.dataset
    offsets = numbers(dataset, "GridFrameOffsetVector")
    if not offsets:
        return
    steps = [after - before for before, after in itertools.pairwise(offsets)]
    if any(step == 0 for step in steps) or (
        any(step > 0 for step in steps) and any(step < 0 for step in steps)
    ):
        yield TOP.broken(
            "GridFrameOffsetVector",
            "the planes don't follow each other in one direction",
            "C.8.8.3.2",
        )
    position = numbers(dataset, "ImagePositionPatient")
    if offsets[0] != 0 and len(position) == 3 and abs(offsets[0] - position[2]) > 1e-3:
        yield TOP.broken(
            "GridFrameOffsetVector",
            "it begins neither with 0 nor with the z of the Image Position (Patient)",
            "C.8.8.3.2",
        )


def _grid(subject: Subject) -> Iterator[IodFinding]:
    dataset = subject.dataset
    scaling = numbers(dataset, "DoseGridScaling")
    if scaling and scaling[0] <= 0:
        yield TOP.broken("DoseGridScaling", f"a scaling of {scaling[0]:g} makes no dose", _SECTION)
    bits = integer(dataset, "BitsAllocated")
    if bits is not None and bits not in (16, 32):
        yield TOP.broken("BitsAllocated", f"{bits} bits; a dose has 16 or 32", _SECTION)
    signed = integer(dataset, "PixelRepresentation") == 1
    if signed and text(dataset, "DoseType") != "ERROR":
        yield TOP.broken(
            "PixelRepresentation", "signed values of a dose that is no difference", _SECTION
        )
    photometric = text(dataset, "PhotometricInterpretation")
    if photometric not in ("", "MONOCHROME2"):
        yield TOP.broken(
            "PhotometricInterpretation", f"{photometric}; of a dose it is MONOCHROME2", _SECTION
        )
    if text(dataset, "DoseUnits") == "RELATIVE" and not is_present(dataset, "NormalizationPoint"):
        yield TOP.broken(
            "DoseUnits",
            "relative to what: there is no Normalization Point",
            _SECTION,
            Severity.WARNING,
        )


def _histograms(subject: Subject) -> Iterator[IodFinding]:
    """The data are pairs of dose and volume, one a bin (C.8.8.4)."""
    for index, item in enumerate(items_of(subject.dataset, "DVHSequence")):
        place = TOP.item("DVHSequence", index)
        bins, data = integer(item, "DVHNumberOfBins"), numbers(item, "DVHData")
        if bins is not None and data and len(data) != 2 * bins:
            yield place.broken("DVHData", f"{len(data)} numbers for {bins} bins", "C.8.8.4")

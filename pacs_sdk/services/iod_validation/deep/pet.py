"""PET images: numbers that belong together (PS3.3 C.8.9)."""

from __future__ import annotations

from collections.abc import Iterator

from pacs_sdk.services.iod_validation.item_values import (
    integer,
    is_present,
    items_of,
    numbers,
    text,
    texts,
)
from pacs_sdk.services.iod_validation.report import IodFinding, Severity
from pacs_sdk.services.iod_validation.subject import TOP, Subject

__all__ = ["check_pet"]


def check_pet(subject: Subject) -> Iterator[IodFinding]:
    """Check rescaling, image index, decay correction and what an SUV is computed from."""
    dataset = subject.dataset
    intercept = numbers(dataset, "RescaleIntercept")
    if intercept and intercept[0] != 0:
        yield TOP.broken("RescaleIntercept", f"{intercept[0]:g}; of PET images it is 0", "C.8.9.4")
    slope = numbers(dataset, "RescaleSlope")
    if slope and slope[0] == 0:
        yield TOP.broken("RescaleSlope", "0 makes all values 0", "C.8.9.4")
    yield from _index(subject)
    corrections = texts(dataset, "CorrectedImage")
    decay = text(dataset, "DecayCorrection")
    if corrections and decay and ("DECY" in corrections) != (decay != "NONE"):
        yield TOP.broken(
            "CorrectedImage",
            f"it {'has' if 'DECY' in corrections else 'lacks'} DECY, and the Decay Correction "
            f"is {decay}",
            "C.8.9.1",
            Severity.WARNING,
        )
    factor = numbers(dataset, "DecayFactor")
    if factor and factor[0] < 0:
        yield TOP.broken("DecayFactor", f"{factor[0]:g} is less than 0", "C.8.9.4")
    if text(dataset, "Units") == "BQML":
        yield from _for_suv(subject)


def _index(subject: Subject) -> Iterator[IodFinding]:
    """Image Index counts slices, then time slices or slots and intervals (C.8.9.4.1.9)."""
    dataset = subject.dataset
    index = integer(dataset, "ImageIndex")
    slices = integer(dataset, "NumberOfSlices")
    if index is None or not slices:
        return
    factors = {
        "DYNAMIC": ("NumberOfTimeSlices",),
        "GATED": ("NumberOfRRIntervals", "NumberOfTimeSlots"),
    }.get(text(dataset, "SeriesType"), ())
    last = slices
    for keyword in factors:
        last *= integer(dataset, keyword) or 1
    if not 1 <= index <= last:
        yield TOP.broken("ImageIndex", f"image {index} of a series of {last}", "C.8.9.4.1.9")


def _for_suv(subject: Subject) -> Iterator[IodFinding]:
    """Activity without dose, time or weight cannot become a standardized uptake value."""
    dataset = subject.dataset
    if not numbers(dataset, "PatientWeight"):
        yield TOP.broken(
            "PatientWeight", "without it no SUV can be computed", "C.7.2.2", Severity.WARNING
        )
    for index, item in enumerate(items_of(dataset, "RadiopharmaceuticalInformationSequence")[:1]):
        place = TOP.item("RadiopharmaceuticalInformationSequence", index)
        for keyword, others in (
            ("RadionuclideTotalDose", ()),
            ("RadionuclideHalfLife", ()),
            ("RadiopharmaceuticalStartTime", ("RadiopharmaceuticalStartDateTime",)),
        ):
            if not any(texts(item, one) and is_present(item, one) for one in (keyword, *others)):
                yield place.broken(
                    keyword, "without it no SUV can be computed", "C.8.9.2", Severity.WARNING
                )

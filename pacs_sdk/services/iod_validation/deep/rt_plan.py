"""RT Plan: beams, control points, fractions, and what refers to what (PS3.3 C.8.8.9–16)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from pydicom.dataset import Dataset

from pacs_sdk.services.iod_validation.item_values import (
    integer,
    is_present,
    items_of,
    numbers,
    text,
)
from pacs_sdk.services.iod_validation.report import IodFinding, Severity
from pacs_sdk.services.iod_validation.subject import TOP, Place, Subject

__all__ = ["check_rt_plan"]

_RT_PLAN: Final = "1.2.840.10008.5.1.4.1.1.481.5"
_BEAMS: Final = "BeamSequence"
_SECTION: Final = "C.8.8.14"
_COUNTED: Final = (
    ("NumberOfWedges", "WedgeSequence"),
    ("NumberOfCompensators", "CompensatorSequence"),
    ("NumberOfBoli", "ReferencedBolusSequence"),
    ("NumberOfBlocks", "BlockSequence"),
    ("NumberOfControlPoints", "ControlPointSequence"),
)
_IN_FIRST_POINT: Final = (
    "GantryAngle",
    "GantryRotationDirection",
    "BeamLimitingDeviceAngle",
    "BeamLimitingDeviceRotationDirection",
    "PatientSupportAngle",
    "PatientSupportRotationDirection",
    "TableTopEccentricAngle",
    "TableTopEccentricRotationDirection",
)
"""Type 1C: in the first control point, and where they change."""
_WITHOUT_LEAVES: Final = ("X", "Y", "ASYMX", "ASYMY")


def check_rt_plan(subject: Subject) -> Iterator[IodFinding]:
    """Check beam numbers, counted sequences, control points, leaves and references."""
    if subject.sop_class_uid != _RT_PLAN:
        return
    dataset = subject.dataset
    beams = items_of(dataset, _BEAMS)
    known = set[int]()
    for index, beam in enumerate(beams):
        place = TOP.item(_BEAMS, index)
        number = integer(beam, "BeamNumber")
        if number in known:
            yield place.broken("BeamNumber", f"beam {number} is there more than once", _SECTION)
        elif number is not None:
            known.add(number)
        yield from _counts(place, beam)
        yield from _control_points(place, beam)
        yield from _leaves(place, beam)
    yield from _setups(dataset, beams)
    yield from _fractions(dataset, known)


def _counts(place: Place, beam: Dataset) -> Iterator[IodFinding]:
    for keyword, sequence in _COUNTED:
        number = integer(beam, keyword)
        found = len(items_of(beam, sequence))
        if number is not None and number != found:
            yield place.broken(keyword, f"{number}, and {sequence} has {found} items", _SECTION)


def _control_points(place: Place, beam: Dataset) -> Iterator[IodFinding]:
    points = items_of(beam, "ControlPointSequence")
    before = 0.0
    for number, point in enumerate(points):
        here = place.item("ControlPointSequence", number)
        index = integer(point, "ControlPointIndex")
        if index is not None and index != number:
            yield here.broken(
                "ControlPointIndex", f"{index}, where {number} is next: they count from 0", _SECTION
            )
        weight = next(iter(numbers(point, "CumulativeMetersetWeight")), None)
        if weight is None:
            continue
        if weight < before or (number == 0 and weight != 0):
            yield here.broken(
                "CumulativeMetersetWeight",
                f"{weight:g} after {before:g}: it begins with 0 and never falls",
                "C.8.8.14.1",
            )
        before = max(before, weight)
    if points:
        yield from _first_and_last(place, beam, points[0], before)


def _first_and_last(
    place: Place, beam: Dataset, first: Dataset, reached: float
) -> Iterator[IodFinding]:
    here = place.item("ControlPointSequence", 0)
    for keyword in _IN_FIRST_POINT:
        if not is_present(first, keyword):
            yield here.broken(keyword, "it is absent from the first control point", _SECTION)
    final = next(iter(numbers(beam, "FinalCumulativeMetersetWeight")), None)
    if final is not None and reached and abs(final - reached) > 1e-4 * max(1.0, abs(final)):
        yield place.broken(
            "FinalCumulativeMetersetWeight",
            f"{final:g}, and the control points come to {reached:g}",
            "C.8.8.14.1",
        )


def _leaves(place: Place, beam: Dataset) -> Iterator[IodFinding]:
    """Positions are two a pair of jaws or leaves; boundaries one more than pairs."""
    pairs: dict[str, int | None] = {}
    for index, device in enumerate(items_of(beam, "BeamLimitingDeviceSequence")):
        kind = text(device, "RTBeamLimitingDeviceType")
        pairs[kind] = integer(device, "NumberOfLeafJawPairs")
        boundaries = numbers(device, "LeafPositionBoundaries")
        wanted = pairs[kind]
        if kind in _WITHOUT_LEAVES or wanted is None or not boundaries:
            continue
        if len(boundaries) != wanted + 1:
            yield place.item("BeamLimitingDeviceSequence", index).broken(
                "LeafPositionBoundaries",
                f"{len(boundaries)} boundaries of {wanted} pairs, which have {wanted + 1}",
                _SECTION,
            )
    for number, point in enumerate(items_of(beam, "ControlPointSequence")):
        here = place.item("ControlPointSequence", number)
        for index, device in enumerate(items_of(point, "BeamLimitingDevicePositionSequence")):
            kind = text(device, "RTBeamLimitingDeviceType")
            inner = here.item("BeamLimitingDevicePositionSequence", index)
            wanted, found = pairs.get(kind), numbers(device, "LeafJawPositions")
            if kind and kind not in pairs:
                yield inner.broken("RTBeamLimitingDeviceType", f"the beam has no {kind}", _SECTION)
            elif wanted is not None and found and len(found) != 2 * wanted:
                yield inner.broken(
                    "LeafJawPositions", f"{len(found)} positions of {wanted} pairs", _SECTION
                )


def _setups(dataset: Dataset, beams: Sequence[Dataset]) -> Iterator[IodFinding]:
    setups = {
        integer(one, "PatientSetupNumber") for one in items_of(dataset, "PatientSetupSequence")
    }
    for index, beam in enumerate(beams):
        number = integer(beam, "ReferencedPatientSetupNumber")
        if number is not None and number not in setups:
            yield TOP.item(_BEAMS, index).broken(
                "ReferencedPatientSetupNumber",
                f"patient setup {number}, which the plan doesn't have",
                _SECTION,
            )


def _fractions(dataset: Dataset, known: Collection[int]) -> Iterator[IodFinding]:
    for index, group in enumerate(items_of(dataset, "FractionGroupSequence")):
        place = TOP.item("FractionGroupSequence", index)
        beams = items_of(group, "ReferencedBeamSequence")
        number = integer(group, "NumberOfBeams")
        if number is not None and number != len(beams):
            yield place.broken(
                "NumberOfBeams", f"{number}, and {len(beams)} are referred to", "C.8.8.13"
            )
        for one, beam in enumerate(beams):
            referred = integer(beam, "ReferencedBeamNumber")
            if referred is not None and referred not in known:
                yield place.item("ReferencedBeamSequence", one).broken(
                    "ReferencedBeamNumber",
                    f"beam {referred}, which the plan doesn't have",
                    "C.8.8.13",
                    Severity.ERROR,
                )

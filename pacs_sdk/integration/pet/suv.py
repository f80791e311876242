"""The factor from the values of a PET image to SUV (PS3.3 C.8.9.1).

The steps are those that the Quantitative Imaging Biomarkers Alliance (QIBA) agreed on
with the manufacturers.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Final

import attrs

from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.rendering.attributes import text, texts
from pacs_sdk.integration.pet.decay import acquired, reference_of_start, remaining_dose
from pacs_sdk.integration.pet.required import unusable
from pacs_sdk.integration.pet.suv_type import SuvType, body_size

__all__ = ["SuvScale", "suv_scale", "suv_scales"]

_PHILIPS_CREATOR: Final = "Philips PET Private Group"
_SUV_SCALE_FACTOR: Final = 0x00
_ACTIVITY_SCALE_FACTOR: Final = 0x09

_SUV_UNITS: Final = {"GML": SuvType.BW, "CM2ML": SuvType.BSA}
"""Units of values that are SUV already, with the type that holds where none is stated."""

_DECAYS: Final = {"START": True, "ADMIN": True, "NONE": False}
"""Decay Correction, and whether Corrected Image has to name it."""


@attrs.frozen
class SuvScale:
    """How the values of an image become SUV."""

    suv_type: SuvType
    """What the SUV is related to."""
    factor: float
    """SUV of one unit of the image's values, after Rescale Slope and Intercept."""
    unit: str
    """The unit of the SUV, in UCUM."""
    words: str
    """What the factor was computed from."""


@edge(VALUE_ERRORS)
def suv_scale(dataset: DatasetLike, suv_type: SuvType | str = SuvType.BW) -> SuvScale:
    """Compute the factor from an image's values to SUV.

    - Units BQML: size of the patient / dose. The dose is that of the time which Decay
      Correction names: at administration for ADMIN; decayed until the start of the scan for
      START, and until the mean activity of the frame for NONE. A dose without a date was
      given the day before, if that is at most 12 hours before the scan.
    - Units CNTS: Philips' private SUV Scale Factor (7053,xx00), else Activity Concentration
      Scale Factor (7053,xx09) to Bq/ml.
    - Units GML and CM2ML: they are SUV already; another type than theirs needs both sizes.

    Args:
        dataset: The header of a PET image. Where the series has several, give all of them to
            :func:`suv_scales`: the start of the scan is that of the first acquired.
        suv_type: What the SUV is related to, or its name.

    Returns:
        ``Success``; or ``Failure`` with ``MISSING_REQUIRED_VALUE``, naming the attribute that
        is absent, empty or 0; ``VALUE_CONVERSION_FAILED`` for one that is wrong or
        contradicts another; ``INVALID_ARGUMENT`` for an unknown type.
    """
    (scale,) = _scales([dataset], suv_type)
    return scale


@edge(VALUE_ERRORS)
def suv_scales(
    datasets: Sequence[DatasetLike], suv_type: SuvType | str = SuvType.BW
) -> tuple[SuvScale, ...]:
    """Compute the factor of each image of a series; see :func:`suv_scale`.

    Args:
        datasets: The headers of a series, in any order.
        suv_type: What the SUV is related to, or its name.

    Returns:
        ``Success`` with one scale for each data set, in the same order, or ``Failure`` as
        :func:`suv_scale`.
    """
    return _scales(datasets, suv_type)


def _scales(datasets: Sequence[DatasetLike], suv_type: SuvType | str) -> tuple[SuvScale, ...]:
    kind = SuvType.named(suv_type)
    headers = [as_dataset(dataset) for dataset in datasets]
    start = _start(headers)
    return tuple(_scale(header, kind, start) for header in headers)


def _start(headers: Sequence[DicomDataset]) -> tuple[dt.datetime, str] | None:
    """Find the start of the scan, where values are corrected to it."""
    corrected = [
        header
        for header in headers
        if text(header, "DecayCorrection").upper() == "START" and _needs_activity(header)
    ]
    return reference_of_start(min(corrected, key=acquired)) if corrected else None


def _needs_activity(header: DicomDataset) -> bool:
    units = text(header, "Units").upper()
    return units == "BQML" or (units == "CNTS" and _philips(header, _SUV_SCALE_FACTOR) is None)


def _scale(header: DicomDataset, kind: SuvType, start: tuple[dt.datetime, str] | None) -> SuvScale:
    units = text(header, "Units").upper()
    match units:
        case "BQML":
            factor, words = _of_activity(header, kind, start)
        case "CNTS":
            factor, words = _of_counts(header, kind, start)
        case "GML" | "CM2ML":
            factor, words = _of_suv(header, kind, units)
        case _:
            raise unusable(
                "Units",
                f"is {units}, not BQML, CNTS, GML or CM2ML" if units else "is missing",
                missing=not units,
            )
    if not (math.isfinite(factor) and factor > 0):
        raise PacsException(
            ErrorCode.VALUE_CONVERSION_FAILED, f"the SUV factor is {factor}: a value is absurd"
        )
    return SuvScale(kind, factor, kind.unit, words)


def _of_activity(
    header: DicomDataset, kind: SuvType, start: tuple[dt.datetime, str] | None
) -> tuple[float, str]:
    _check_corrections(header)
    decay = remaining_dose(header, start)
    return body_size(header, kind) / decay.dose_bq, decay.words


def _check_corrections(header: DicomDataset) -> None:
    """Refuse activities that were not corrected for attenuation, or as is said."""
    keyword = "CorrectedImage"
    done = {one.strip().upper() for one in texts(header, keyword)}
    if not done:
        raise unusable(keyword, "is missing", missing=True)
    if "ATTN" not in done:
        raise unusable(keyword, f"is {', '.join(sorted(done))}: without ATTN it is no activity")
    decays = text(header, "DecayCorrection").upper()
    if decays in _DECAYS and _DECAYS[decays] != bool(done & {"DECY", "DECAY"}):
        raise unusable(
            keyword, f"is {', '.join(sorted(done))}, which contradicts DecayCorrection {decays}"
        )


def _of_counts(
    header: DicomDataset, kind: SuvType, start: tuple[dt.datetime, str] | None
) -> tuple[float, str]:
    """Return the factor of Philips' counts."""
    to_suv = _philips(header, _SUV_SCALE_FACTOR)
    if to_suv is not None:
        ratio = _of_other_type(header, SuvType.BW, kind)
        return to_suv * ratio, "Philips' SUV Scale Factor (7053,xx00)"
    to_activity = _philips(header, _ACTIVITY_SCALE_FACTOR)
    if to_activity is None:
        raise unusable(
            "Units",
            f"is CNTS, and there is neither (7053,xx00) nor (7053,xx09) of {_PHILIPS_CREATOR!r}",
            missing=True,
        )
    factor, words = _of_activity(header, kind, start)
    return to_activity * factor, f"Philips' activity scale (7053,xx09); {words}"


def _philips(header: DicomDataset, offset: int) -> float | None:
    """Return a private number above 0; in old files the element may have come as UN."""
    block = header.private_block(0x7053, _PHILIPS_CREATOR).value_or(None)
    value = None if block is None else block.get(offset)
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace").strip(" \0") or "0"
    found = float(value)
    return found if math.isfinite(found) and found > 0 else None


def _of_suv(header: DicomDataset, kind: SuvType, units: str) -> tuple[float, str]:
    stated = text(header, "SUVType").upper()
    if stated and stated not in SuvType.__members__:
        raise unusable("SUVType", f"is {stated}, which cannot be converted")
    stored = SuvType(stated) if stated else _SUV_UNITS[units]
    return _of_other_type(header, stored, kind), f"Units {units}: the values are SUV ({stored})"


def _of_other_type(header: DicomDataset, stored: SuvType, wanted: SuvType) -> float:
    if stored is wanted:
        return 1.0
    return body_size(header, wanted) / body_size(header, stored)

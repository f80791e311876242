"""How long the dose had decayed at the time that voxel values are given for.

Times are the scanner's local ones without an offset, as DA and TM have none; a DT with an
offset is brought to Timezone Offset From UTC where the data set has that.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Final

import attrs

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.results import raised
from pacs_sdk.encoding.rendering.attributes import number, text
from pacs_sdk.integration.pet.required import date_and_time, injection, positive, readable, unusable

__all__ = ["Decay", "acquired", "reference_of_start", "remaining_dose"]

_GE_CREATOR: Final = "GEMS_PETD_01"
_GE_SCAN_DATE_TIME: Final = 0x0D
_MOST_HALF_LIVES: Final = 10.0
"""After so many a thousandth is left, with which nobody scans: the times are wrong, such as a
date one day early, after which 18F has 13."""
_LEAST_DOSE_BQ: Final = 1e5
"""A mouse gets ten times as much. Less is a dose in MBq, as some scanners write it."""
_SAME_TIME_S: Final = 60.0
"""How far two times of one administration may differ: one may be without seconds."""
_LONGEST_OVER_MIDNIGHT: Final = dt.timedelta(hours=12)
"""A dose without a date that seems to be given after the scan was given the day before if
this fits; otherwise it more likely was given after the scan began, or the time is wrong."""
_DAY: Final = dt.timedelta(days=1)


@attrs.frozen
class Decay:
    """The dose that was left at the time that values are given for."""

    dose_bq: float
    """Radionuclide Total Dose, decayed."""
    words: str
    """What it was computed from."""


def acquired(dataset: DicomDataset) -> dt.datetime:
    """Return when an image was acquired; ``MISSING_REQUIRED_VALUE`` where it is not said."""
    found = date_and_time(dataset, "AcquisitionDate", "AcquisitionTime")
    if found is None and text(dataset, "AcquisitionDateTime"):
        found = _local(dataset, dataset, "AcquisitionDateTime")
    if found is None:
        lacking = "AcquisitionTime" if text(dataset, "AcquisitionDate") else "AcquisitionDate"
        raise unusable(lacking, "is missing", missing=True)
    return found


def reference_of_start(dataset: DicomDataset) -> tuple[dt.datetime, str]:
    """Find the time that Decay Correction START corrects to: the start of the scan.

    That is Series Date and Time unless they are after the acquisition, as in a series that
    was processed later; then GE's private scan time, or the acquisition less the time of
    the frame (Siemens), as the Quantitative Imaging Biomarkers Alliance describes it.

    Args:
        dataset: The image of the series that was acquired first.

    Returns:
        The time, and where it came from.
    """
    acquisition = acquired(dataset)
    series = date_and_time(dataset, "SeriesDate", "SeriesTime")
    if series is not None and series <= acquisition:
        return series, "Series Date and Time"
    private = _ge_scan_time(dataset)
    if private is not None:
        return private, f"the scan time of {_GE_CREATOR}"
    shift = _mean_count_time_s(dataset) - _not_negative(dataset, "FrameReferenceTime") / 1000
    return (
        acquisition + dt.timedelta(seconds=shift),
        "Acquisition Time and Frame Reference Time, Series Time being later or missing",
    )


def _ge_scan_time(dataset: DicomDataset) -> dt.datetime | None:
    """Return GE's private time of the scan, if it is there."""
    block = dataset.private_block(0x0009, _GE_CREATOR).value_or(None)
    if block is None or not block.get(_GE_SCAN_DATE_TIME):
        return None
    element = raised(block.element(_GE_SCAN_DATE_TIME))
    holder = DicomDataset()
    raised(holder.set("AcquisitionDateTime", _as_text(element.value)))
    return _local(holder, dataset, "AcquisitionDateTime")


def _as_text(value: object) -> str:
    """Return a DT as text, also where an unknown private element came as bytes."""
    return value.decode("ascii", "replace").strip(" \0") if isinstance(value, bytes) else str(value)


def _not_negative(dataset: DicomDataset, keyword: str) -> float:
    """Return a number of at least 0; ``MISSING_REQUIRED_VALUE`` where there is none."""
    found = number(dataset, keyword)
    if found is None:
        raise unusable(keyword, "is missing, and Series Time does not tell", missing=True)
    if not math.isfinite(found) or found < 0:
        raise unusable(keyword, f"is {found:g}, not at least 0")
    return found


def _mean_count_time_s(dataset: DicomDataset) -> float:
    """Return when, after a frame began, the activity was the mean of the frame."""
    duration_s = positive(dataset, "ActualFrameDuration") / 1000
    constant = math.log(2) / positive(injection(dataset), "RadionuclideHalfLife")
    during = constant * duration_s
    return math.log(during / -math.expm1(-during)) / constant


def remaining_dose(dataset: DicomDataset, start: tuple[dt.datetime, str] | None) -> Decay:
    """Return the dose at the time that the values of an image are given for.

    Args:
        dataset: The image; its Decay Correction says which time that is (PS3.3 C.8.9.1).
        start: The start of the scan, for Decay Correction START.

    Raises:
        PacsException: ``MISSING_REQUIRED_VALUE`` or ``VALUE_CONVERSION_FAILED``, naming the
            attribute.
    """
    given = injection(dataset)
    dose_bq = positive(given, "RadionuclideTotalDose")
    if dose_bq < _LEAST_DOSE_BQ:
        raise unusable(
            "RadionuclideTotalDose", f"is {dose_bq:g} Bq, which no scanner sees: it may be MBq"
        )
    half_life_s = positive(given, "RadionuclideHalfLife")
    correction = text(dataset, "DecayCorrection").upper()
    match correction:
        case "ADMIN":
            return Decay(dose_bq, "dose at its administration (DecayCorrection ADMIN)")
        case "START":
            reference, words = start or reference_of_start(dataset)
        case "NONE":
            shift = dt.timedelta(seconds=_mean_count_time_s(dataset))
            reference, words = acquired(dataset) + shift, "the frame's mean (DecayCorrection NONE)"
        case _:
            raise unusable(
                "DecayCorrection",
                f"is {correction!r}, not START, ADMIN or NONE" if correction else "is missing",
                missing=not correction,
            )
    elapsed_s = (reference - _administered(given, dataset, reference)).total_seconds()
    if elapsed_s > _MOST_HALF_LIVES * half_life_s:
        raise unusable(
            "RadiopharmaceuticalStartDateTime",
            f"or the start time is {elapsed_s:g} s before {words}, more than "
            f"{_MOST_HALF_LIVES:g} half-lives",
        )
    left = dose_bq * 2 ** (-elapsed_s / half_life_s)
    return Decay(left, f"dose decayed for {elapsed_s:g} s, until {words}")


def _administered(
    given: DicomDataset, dataset: DicomDataset, reference: dt.datetime
) -> dt.datetime:
    """Return when the dose was given; a time without a date may be of the day before."""
    keyword = "RadiopharmaceuticalStartDateTime"
    if text(given, keyword):
        moment = _local(given, dataset, keyword)
        if moment > reference:
            raise unusable(keyword, f"is {moment}, after the time of the values, {reference}")
        _check_time(given, moment)
        return moment
    keyword = "RadiopharmaceuticalStartTime"
    if not text(given, keyword):
        raise unusable(keyword, "is missing", missing=True)
    moment = dt.datetime.combine(
        reference.date(), readable(given, keyword, given.get_time(keyword))
    )
    if moment <= reference:
        return moment
    if reference - (moment - _DAY) > _LONGEST_OVER_MIDNIGHT:
        raise unusable(
            keyword,
            f"is {moment.time()}, after the time of the values, {reference.time()}, and too "
            "early for the evening before",
        )
    return moment - _DAY


def _check_time(given: DicomDataset, moment: dt.datetime) -> None:
    """Refuse a date and time that the time without a date contradicts."""
    keyword = "RadiopharmaceuticalStartTime"
    if not text(given, keyword):
        return
    time = readable(given, keyword, given.get_time(keyword))
    apart_s = (dt.datetime.combine(moment.date(), time) - moment).total_seconds()
    if min(apart_s % 86_400, -apart_s % 86_400) > _SAME_TIME_S:
        raise unusable(
            keyword, f"is {time}, RadiopharmaceuticalStartDateTime (0018,1078) says {moment.time()}"
        )


def _local(holder: DicomDataset, dataset: DicomDataset, keyword: str) -> dt.datetime:
    """Read a DT as the scanner's local time."""
    moment = readable(holder, keyword, holder.get_datetime(keyword))
    offset = text(dataset, "TimezoneOffsetFromUTC")
    if moment.tzinfo is not None and len(offset) == 5 and offset[1:].isdigit():
        sign = -1 if offset[0] == "-" else 1
        minutes = sign * (int(offset[1:3]) * 60 + int(offset[3:]))
        moment = moment.astimezone(dt.timezone(dt.timedelta(minutes=minutes)))
    return moment.replace(tzinfo=None)

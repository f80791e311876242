"""Attributes without which there is no SUV: a number or time, or the reason by name."""

from __future__ import annotations

import datetime as dt
import math
from typing import TypeVar

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult, Success
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding.rendering.attributes import items, number, text

__all__ = ["date_and_time", "injection", "positive", "readable", "unusable"]

_T = TypeVar("_T")


def unusable(keyword: str, words: str, *, missing: bool = False) -> PacsException:
    """Make the error for an attribute that keeps a SUV from being computed.

    Args:
        keyword: The attribute.
        words: What follows its name in the sentence.
        missing: Whether it is not there, rather than wrong.
    """
    tag = DicomTag.of(keyword)
    code = ErrorCode.MISSING_REQUIRED_VALUE if missing else ErrorCode.VALUE_CONVERSION_FAILED
    return PacsException(
        code, f"no SUV can be computed: {keyword} {tag} {words}", tag=str(tag), keyword=keyword
    )


def positive(dataset: DicomDataset, keyword: str) -> float:
    """Return a number above 0; ``MISSING_REQUIRED_VALUE`` names what is absent, empty or 0."""
    found = number(dataset, keyword)
    if found is None:
        raise unusable(keyword, "is missing", missing=True)
    if found == 0:
        raise unusable(keyword, "is 0, which stands for unknown", missing=True)
    if not math.isfinite(found) or found < 0:
        raise unusable(keyword, f"is {found:g}, not above 0")
    return found


def date_and_time(
    dataset: DicomDataset, date_keyword: str, time_keyword: str
) -> dt.datetime | None:
    """Join a DA and a TM; nothing where one of them is absent or empty."""
    if not text(dataset, date_keyword) or not text(dataset, time_keyword):
        return None
    date = readable(dataset, date_keyword, dataset.get_date(date_keyword))
    time = readable(dataset, time_keyword, dataset.get_time(time_keyword))
    return dt.datetime.combine(date, time)  # local time of the scanner, as all of these are


def readable(dataset: DicomDataset, keyword: str, result: PacsResult[_T]) -> _T:
    """Return a date or time that was read; the error names the attribute and its text."""
    match result:
        case Success(value):
            return value  # type: ignore[no-any-return]  # the pattern loses the type
        case _:
            raise unusable(keyword, f"is {text(dataset, keyword)[:40]!r}, no date or time")


def injection(dataset: DicomDataset) -> DicomDataset:
    """Return the only item of Radiopharmaceutical Information Sequence (PS3.3 C.8.9.2)."""
    keyword = "RadiopharmaceuticalInformationSequence"
    found = items(dataset, keyword)
    if not found:
        raise unusable(keyword, "is missing", missing=True)
    if len(found) > 1:
        raise unusable(keyword, f"has {len(found)} items: which dose counts is not known")
    return found[0]

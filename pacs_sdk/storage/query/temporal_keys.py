"""Matching keys of dates and times, and ranges of them (PS3.4 C.2.2.2.5).

The end of a range of times includes all that its precision covers: ``-1030`` ends with
10:30:59.999999, as ``1030`` says nothing about the second (PS3.5 6.2, TM).
"""

from __future__ import annotations

import re
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage.index.attributes import AttributeKind, IndexedAttribute
from pacs_sdk.storage.index.values import (
    moment_bounds,
    normal_date,
    normal_time,
    universal_bounds,
)
from pacs_sdk.storage.query.matchers import (
    DateTimeRange,
    Exact,
    Matcher,
    Moment,
    MomentRange,
    Range,
)

__all__ = ["RANGES", "invalid_key", "parse_moments", "time_bounds"]

_AFTER_ANY_DIGIT: Final = "~"
"""Sorts after whatever continues a time."""


def parse_moments(
    date: IndexedAttribute, date_text: str, time: IndexedAttribute, time_text: str
) -> MomentRange | None:
    """Take the ranges of a date and of its time for one range (PS3.4 C.2.2.2.5).

    So ``20060705-20060707`` and ``1000-1800`` are from ten on the fifth to six on the
    seventh, nights included.

    Args:
        date: The date that is matched.
        date_text: Its key.
        time: The time that belongs to it.
        time_text: The time's key.

    Returns:
        The range; ``None`` where the two are not ranges of the same form, and are therefore
        matched each by itself.

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER``.
    """
    if "\\" in date_text + time_text:
        return None
    first_day, days, last_day = _ends(date_text.strip(" \0"))
    first_hour, hours, last_hour = _ends(time_text.strip(" \0"))
    same = bool(first_day) == bool(first_hour) and bool(last_day) == bool(last_hour)
    if not (days and hours and same):
        return None
    _date(date, date_text.strip(" \0"))  # says what is wrong with it
    first, last = normal_time(first_hour), normal_time(last_hour)
    if (first_hour and not first) or (last_hour and not last):
        raise invalid_key(time, time_text, "not a range of times such as 0800-12")
    lower, upper = time_bounds(first, last)
    low = (normal_date(first_day), lower) if first_day else None
    high = (normal_date(last_day), upper) if last_day else None
    if low and high and low > high:
        raise invalid_key(time, time_text, "a range that ends before it begins")
    return MomentRange(low, high)


def time_bounds(first: str, last: str) -> tuple[str, str]:
    """Return texts between which all times from one to another are.

    A stored time is a prefix of what it would be in full, so text order is the order of
    time, except that a shorter form of the same time comes before a longer one. The
    lower bound is therefore the shortest form, and the upper one comes after every
    continuation.

    Args:
        first: A time as :func:`~pacs_sdk.storage.index.values.normal_time` leaves it.
        last: Another, whose precision counts.
    """
    return _shortest(first), last + _AFTER_ANY_DIGIT


def _shortest(time: str) -> str:
    seconds, _, fraction = time.partition(".")
    fraction = fraction.rstrip("0")
    if fraction:
        return f"{seconds}.{fraction}"
    while len(seconds) > 2 and seconds.endswith("00"):
        seconds = seconds[:-2]
    return seconds


def _longest(time: str) -> str:
    seconds, _, fraction = time.partition(".")
    return f"{seconds:0<6}.{fraction:0<6}"


def _date(attribute: IndexedAttribute, text: str) -> Matcher:
    low, is_range, high = _ends(text)
    first, last = normal_date(low), normal_date(high)
    if (low and not first) or (high and not last) or not (first or last):
        raise invalid_key(attribute, text, "not a date YYYYMMDD, nor a range such as 20240101-")
    if not is_range:
        return Exact((first,))
    if first and last and first > last:
        raise invalid_key(attribute, text, "a range that ends before it begins")
    return Range(first or None, last or None)


def _time(attribute: IndexedAttribute, text: str) -> Matcher:
    low, is_range, high = _ends(text)
    first, last = normal_time(low), normal_time(high)
    if (low and not first) or (high and not last) or not (first or last):
        raise invalid_key(attribute, text, "not a time HHMMSS.FFFFFF, nor a range such as 0800-12")
    if not is_range:
        return Range(_shortest(first), _longest(first))
    lower, upper = time_bounds(first, last)
    if first and last and lower > upper:
        raise invalid_key(
            attribute, text, "a range that ends before it begins, or crosses midnight"
        )
    return Range(lower or None, upper if last else None)


def _ends(text: str) -> tuple[str, bool, str]:
    low, dash, high = text.partition("-")
    return low.strip(), bool(dash), high.strip()


def _date_time(attribute: IndexedAttribute, text: str) -> Matcher:
    """Understand a date and time (DT), or a range; a hyphen may begin an offset from UTC, too."""
    if moment_bounds(text) is not None:
        return DateTimeRange(*_moments(text))
    for found in re.finditer("-", text):
        low, high = text[: found.start()].strip(), text[found.end() :].strip()
        (first, _), (_, last) = _moments(low), _moments(high)
        if (low and not first) or (high and not last) or not (first or last):
            continue
        if first and last and _is_after(first, last):
            raise invalid_key(attribute, text, "a range that ends before it begins")
        return DateTimeRange(first, last)
    raise invalid_key(
        attribute, text, "not a date and time YYYYMMDDHHMMSS.FFFFFF, nor a range such as 2024-"
    )


def _moments(text: str) -> tuple[Moment, Moment] | tuple[None, None]:
    """Return the first and the last moment that a date and time may be, if it is one."""
    told = moment_bounds(text)
    if told is None:
        return None, None
    first, last = universal_bounds(text) or ("", "")
    return Moment(told[0], first), Moment(told[1], last)


def _is_after(one: Moment, other: Moment) -> bool:
    if one.universal and other.universal:
        return one.universal > other.universal
    return one.told > other.told


RANGES: Final = {
    AttributeKind.DATE: _date,
    AttributeKind.TIME: _time,
    AttributeKind.DATE_TIME: _date_time,
}
"""What understands a key that may be a range."""


def invalid_key(attribute: IndexedAttribute, text: str, reason: str) -> PacsException:
    """Make the error of a key of any kind that cannot be matched."""
    return PacsException(
        ErrorCode.FIND_INVALID_IDENTIFIER,
        f"{attribute.keyword} cannot be matched with {text[:80]!r}: {reason}",
        tag=str(DicomTag(attribute.tag)),
        without_value=f"{attribute.keyword}: {reason}",
    )

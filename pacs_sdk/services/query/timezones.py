"""Timezone query adjustment: dates and times of another timezone (PS3.4 C.5.1.1, PS3.3 C.12.1).

What is stored says in Timezone Offset From UTC (0008,0201) which timezone its dates and times
are of; where it doesn't, it is that of the archive. A client that negotiated the adjustment says
in its identifier which timezone its keys are of, and gets answers of the same.

An index cannot compare times of several timezones: it is asked for the days around, and what it
finds is adjusted and compared here. Birth dates are of no timezone.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage import Match, Query, QueryLevel
from pacs_sdk.storage.index.attributes import ATTRIBUTES, TIMES_OF_DATES
from pacs_sdk.storage.query.entities import as_date
from pacs_sdk.storage.query.matchers import Empty, Exact, Matcher, MomentRange, Range

__all__ = ["TIMEZONE_OFFSET", "TimezoneAdjustment", "offset_minutes", "shifted"]

TIMEZONE_OFFSET: Final = 0x00080201
_STUDY_INSTANCE_UID: Final = 0x0020000D
_PATIENT_BIRTH_DATE: Final = 0x00100030

_PAIRS: Final[Mapping[int, int]] = {
    date: time.tag for date, time in TIMES_OF_DATES.items() if date != _PATIENT_BIRTH_DATE
}
"""The dates that have a timezone, each with its time."""

_OFFSET: Final = re.compile(r"([+-])(\d\d)([0-5]\d)", re.ASCII)
_WESTMOST_MIN: Final = -12 * 60
_EASTMOST_MIN: Final = 14 * 60
_DAYS_AROUND: Final = dt.timedelta(days=2)
"""Two timezones are 26 hours apart at most."""

_Search = Callable[[Query], Iterator[Match]]


def offset_minutes(text: str) -> int | None:
    """Read an offset from UTC such as ``+0100`` (PS3.3 C.12.1.1.8).

    Returns:
        Minutes east of Greenwich; ``None`` for a text that is no offset.
    """
    found = _OFFSET.fullmatch(text.strip())
    if found is None:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    minutes = -minutes if found[1] == "-" else minutes
    return minutes if _WESTMOST_MIN <= minutes <= _EASTMOST_MIN else None


def shifted(date: str, time: str, minutes: int) -> tuple[str, str]:
    """Move a date and its time; a date that has no time stays, and so does what is none.

    Args:
        date: As the index has it: ``YYYYMMDD``.
        time: As the index has it, as precise as it was written.
        minutes: How far.
    """
    day = as_date(date)
    if day is None or len(time) < 2 or not time[:2].isdecimal() or not minutes:
        return date, time
    try:
        clock = dt.time(int(time[:2]), int(time[2:4] or "0"), tzinfo=dt.UTC)
        then = dt.datetime.combine(day, clock) + dt.timedelta(minutes=minutes)
    except (ValueError, OverflowError):
        return date, time
    has_minutes = len(time) >= 4 or minutes % 60
    return _date_text(then.date()), f"{then:%H%M}{time[4:]}" if has_minutes else f"{then:%H}"


def _date_text(day: dt.date) -> str:
    return day.isoformat().replace("-", "")


@attrs.frozen(eq=False)
class TimezoneAdjustment:
    """One query whose dates and times are of the timezone that it names.

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER`` for an offset that is none, and for dates of
            a level below the one that is searched.
    """

    query: Query
    """What was asked; it has Timezone Offset From UTC."""
    archive_offset_min: int
    """The timezone of what doesn't say its own, in minutes east of Greenwich."""
    search: _Search
    """Searches the archive."""
    requested_min: int = attrs.field(init=False)
    """The timezone of the keys, and of the answers."""

    @requested_min.default
    def _named_timezone(self) -> int:
        text = self.query.matching.get(TIMEZONE_OFFSET, "")
        minutes = offset_minutes(text)
        if minutes is None:
            raise PacsException(
                ErrorCode.FIND_INVALID_IDENTIFIER,
                f"Timezone Offset From UTC is {text[:16]!r}; write for instance +0100",
                tag=str(DicomTag(TIMEZONE_OFFSET)),
            )
        return minutes

    def __attrs_post_init__(self) -> None:
        for tag in self._matched():
            if ATTRIBUTES[tag].level.depth > self.query.level.depth:
                raise PacsException(
                    ErrorCode.FIND_INVALID_IDENTIFIER,
                    f"{ATTRIBUTES[tag].keyword} of another timezone is not matched at the "
                    f"{self.query.level.value} level",
                    tag=str(DicomTag(tag)),
                )

    def matches(self) -> Iterator[Match]:
        """Search the days around, and yield what matches, adjusted."""
        for found in self.search(self._wider()):
            values = self._adjusted(found)
            if all(
                any(_fits(one, values, tag) for one in alternatives)
                for tag, alternatives in self._matched().items()
            ):
                told = {tag: values.get(tag, "") for tag in self.query.return_keys}
                yield attrs.evolve(found, values=told)

    def _matched(self) -> dict[int, tuple[Matcher, ...]]:
        tags = {*_PAIRS, *_PAIRS.values()}
        return {
            tag: alternatives
            for tag, alternatives in self.query.matchers.items()
            if tag in tags and alternatives
        }

    def _wider(self) -> Query:
        matching = {
            tag: text
            for tag, text in self.query.matching.items()
            if tag != TIMEZONE_OFFSET and tag not in _PAIRS and tag not in _PAIRS.values()
        }
        for tag, alternatives in self._matched().items():
            text = _days_around(alternatives) if tag in _PAIRS else ""
            if text:
                matching[tag] = text
        returned = [*self.query.return_keys, TIMEZONE_OFFSET, _STUDY_INSTANCE_UID]
        for pair in _PAIRS.items():
            if not {*pair}.isdisjoint({*self.query.return_keys, *self.query.matching}):
                returned += pair
        options = attrs.evolve(self.query.options, combined_datetime=False)
        return attrs.evolve(
            self.query,
            matching=matching,
            return_keys=tuple(dict.fromkeys(returned)),
            options=options,
        )

    def _adjusted(self, found: Match) -> dict[int, str]:
        values = dict(found.values)
        minutes = self.requested_min - self._offset_of(found)
        for date, time in _PAIRS.items():
            if date in values and time in values:
                values[date], values[time] = shifted(values[date], values[time], minutes)
        values[TIMEZONE_OFFSET] = self.query.matching[TIMEZONE_OFFSET]
        return values

    def _offset_of(self, found: Match) -> int:
        """Return the timezone of a match; of a study, the first that one of its series has."""
        texts = [found.get(TIMEZONE_OFFSET)]
        if found.level is QueryLevel.STUDY:
            uid = {_STUDY_INSTANCE_UID: found.get(_STUDY_INSTANCE_UID)}
            series = self.search(Query(QueryLevel.SERIES, uid, (TIMEZONE_OFFSET,)))
            texts = [one.get(TIMEZONE_OFFSET) for one in series]
        known = (minutes for text in texts if (minutes := offset_minutes(text)) is not None)
        return next(known, self.archive_offset_min)


def _days_around(alternatives: Sequence[Matcher]) -> str:
    """Write a key that has all days which may match; empty if that is any day."""
    ranges: list[str] = []
    for one in alternatives:
        match one:
            case Exact(values):
                ends = [(str(value), str(value)) for value in values]
            case Range(low, high):
                ends = [(low or "", high or "")]
            case MomentRange(low, high):
                ends = [(low[0] if low else "", high[0] if high else "")]
            case _:
                return ""
        for first, last in ends:
            before, after = _moved(first, -_DAYS_AROUND), _moved(last, _DAYS_AROUND)
            if before is None or after is None:
                return ""
            ranges.append(f"{before}-{after}")
    return "\\".join(ranges)


def _moved(date: str, by: dt.timedelta) -> str | None:
    if not date:
        return ""
    day = as_date(date)
    if day is None:
        return None
    try:
        return _date_text(day + by)
    except OverflowError:
        return None


def _fits(matcher: Matcher, values: Mapping[int, str], tag: int) -> bool:
    """Compare a value as the index does (PS3.4 C.2.2.2)."""
    value = values.get(tag, "")
    match matcher:
        case Empty():
            return not value
        case Exact(wanted):
            return value in wanted
        case Range(low, high):
            return bool(value) and (low or "") <= value and (high is None or value <= high)
        case MomentRange(first, last):
            return _lies_in(value, values.get(_PAIRS[tag], ""), first, last)
    return False


def _lies_in(
    date: str, time: str, first: tuple[str, str] | None, last: tuple[str, str] | None
) -> bool:
    if not date:
        return False
    after = (
        first is None or date > first[0] or (date == first[0] and (not time or time >= first[1]))
    )
    before = last is None or date < last[0] or (date == last[0] and time <= last[1])
    return after and before

"""What slices of one place say that tells them apart: values to compare and to put in order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeAlias

import attrs

from pacs_sdk.integration.itk.image_slice import ImageSlice

__all__ = ["SliceKey", "alike", "levels_of", "ordered", "sort_key", "value_of", "with_days"]

SliceKey: TypeAlias = Callable[[ImageSlice], Hashable]
"""A function that gives what a slice says."""

_DATES: Final = {"AcquisitionTime": "AcquisitionDate", "ContentTime": "ContentDate"}
"""The day of a time, without which what was scanned after midnight would come first."""

_HALF_A_DAY: Final = 120_000
"""A series takes less than 12 hours: as a TM, hhmmss."""

_JITTER: Final = 1e-3
"""How far, relatively, an echo time and the like may differ among the slices of a volume."""

_COUNTED: Final = ("EchoNumbers", "TemporalPositionIdentifier")
"""Numbers that count have no jitter."""


def value_of(*keywords: str) -> SliceKey:
    """Return a function that gives the values of attributes, as numbers where they are such.

    One header may say 0.625000 where another says 0.625.
    """

    def value(one: ImageSlice) -> Hashable:
        return tuple(_of_day(one, key) or one.numbers(key) or one.text(key) for key in keywords)

    return value


def _of_day(one: ImageSlice, keyword: str) -> tuple[float, ...]:
    """Return date and time of an attribute; nothing where one of them is not said."""
    if keyword not in _DATES:
        return ()
    date, time = one.numbers(_DATES[keyword]), one.numbers(keyword)
    return (*date, *time) if date and time else ()


def with_days(slices: Sequence[ImageSlice]) -> tuple[list[ImageSlice], dict[str, str]]:
    """Put slices in days where times go on after midnight and dates don't say so.

    Dates are often missing, or all the same in data without an identity. Times that reach over
    more than half a day, but around midnight over less, are of two days.

    Returns:
        The slices, in their order, and by keyword of the times a note on what was done.
    """
    notes = {}
    marked = list(slices)
    for keyword, date_keyword in _DATES.items():
        if len({one.text(date_keyword) for one in slices}) != 1:
            continue
        times = sorted({time for one in slices for time in one.numbers(keyword)})
        morning = _morning(times)
        if morning is None:
            continue
        for index, one in enumerate(marked):
            time = one.number(keyword)
            if time is not None:
                day = {date_keyword: "2" if time <= morning else "1"}
                marked[index] = attrs.evolve(one, attributes={**one.attributes, **day})
        notes[keyword] = (
            f"{keyword} goes on after midnight, which {date_keyword} does not say: times up to "
            f"{morning:06.0f} were taken to be of the next day"
        )
    return marked, notes


def _morning(times: Sequence[float]) -> float | None:
    """Return the last time after midnight, if times are of an evening and a morning."""
    if len(times) < 2 or times[-1] - times[0] <= _HALF_A_DAY:
        return None
    gap, last = max((after - before, before) for before, after in itertools.pairwise(times))
    return last if gap > _HALF_A_DAY else None


def alike(one: ImageSlice, other: ImageSlice, keyword: str) -> bool:
    """Compare what slices say, numbers with some tolerance."""
    left, right = one.numbers(keyword), other.numbers(keyword)
    if not left or len(left) != len(right) or keyword in _COUNTED:
        return left == right and one.text(keyword) == other.text(keyword)
    return all(
        abs(number - wanted) <= _JITTER * (1 + abs(wanted))
        for number, wanted in zip(left, right, strict=True)
    )


def levels_of(*keywords: str) -> SliceKey:
    """Return a function that gives the values of attributes, the same for slices that are alike.

    Each value stands for what is within the tolerance of it, in the order they are met.
    """
    known: dict[str, dict[Hashable, ImageSlice]] = {keyword: {} for keyword in keywords}

    def level(one: ImageSlice) -> Hashable:
        found = []
        for keyword, leaders in known.items():
            value = value_of(keyword)(one)
            if value not in leaders:
                others = dict.fromkeys(leaders.values())
                leaders[value] = next((o for o in others if alike(one, o, keyword)), one)
            leader = leaders[value]
            found.append(leader.numbers(keyword) or leader.text(keyword))
        return tuple(found)

    return level


def ordered(values: set[Hashable]) -> list[Hashable]:
    """Return values in order."""
    return sorted(values, key=sort_key)


def sort_key(value: Hashable) -> tuple[tuple[int, tuple[float, ...], str], ...]:
    """Numbers before texts, so that both can be in one order."""
    parts = value if isinstance(value, tuple) else (value,)
    return tuple((0, part, "") if isinstance(part, tuple) else (1, (), str(part)) for part in parts)

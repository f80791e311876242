"""What a matching key can mean, as values (PS3.4 C.2.2.2)."""

from __future__ import annotations

from typing import TypeAlias

import attrs

__all__ = [
    "AllOf",
    "DateTimeRange",
    "Empty",
    "Exact",
    "FuzzyName",
    "Matcher",
    "MatchingOptions",
    "Moment",
    "MomentRange",
    "Range",
    "Wildcard",
]


@attrs.frozen
class MatchingOptions:
    """Kinds of matching that a client has to ask for.

    C-FIND by extended negotiation (PS3.4 C.5.1.1), QIDO-RS by parameters (PS3.18 8.3.4).
    """

    fuzzy: bool = False
    """Person names match by words and their sounds (PS3.4 C.2.2.2.1.1; ``fuzzymatching``)."""
    combined_datetime: bool = False
    """Ranges of a date and of its time are one range of moments (PS3.4 C.2.2.2.5)."""
    empty_values: bool = False
    """``""`` finds what has no value (PS3.4 C.2.2.2.7; ``emptyvaluematching``)."""
    multiple_values: bool = False
    """All of several values have to be there, and not one of them (PS3.4 C.2.2.2.8;
    ``multiplevaluematching``). It is for attributes that may have several, UIDs excepted."""


@attrs.frozen
class Exact:
    """One of some values."""

    values: tuple[str | int, ...]
    """The values, normalised as columns are."""


@attrs.frozen
class Wildcard:
    """A text with ``*`` and ``?`` in it."""

    pattern: str
    """The pattern, a run of stars being one star."""


@attrs.frozen
class Range:
    """What lies between two texts, ends included; nothing empty does."""

    low: str | None
    """The first; ``None`` for no limit."""
    high: str | None
    """The last; ``None`` for no limit."""


@attrs.frozen
class MomentRange:
    """What lies between two moments, ends included; it is of a date and its time together.

    A date that has no time lies in it with all of its day.
    """

    low: tuple[str, str] | None
    """Date and time of the first; ``None`` for no limit."""
    high: tuple[str, str] | None
    """Date and time of the last; ``None`` for no limit."""


@attrs.frozen
class Moment:
    """A date and time in one."""

    told: str
    """Its digits, to the microsecond, as they are told."""
    universal: str = ""
    """The same in UTC; empty where its offset is not told."""


@attrs.frozen
class DateTimeRange:
    """What lies between two moments, ends included, in UTC where both tell their offset.

    Where an end, or what is compared with it, does not, the digits are compared as they are told.
    """

    low: Moment | None
    """The first; ``None`` for no limit."""
    high: Moment | None
    """The last; ``None`` for no limit."""


@attrs.frozen
class Empty:
    """No value, or no attribute at all."""


@attrs.frozen
class AllOf:
    """Several values, all of which have to be there."""

    values: tuple[str, ...]
    """The values."""


@attrs.frozen
class FuzzyName:
    """Words, each of which some word of the name has to begin with, or to sound like."""

    words: tuple[str, ...]
    """The words, folded; those with ``*`` or ``?`` are patterns for a word's beginning."""


Matcher: TypeAlias = (
    Exact | Wildcard | Range | MomentRange | DateTimeRange | Empty | AllOf | FuzzyName
)

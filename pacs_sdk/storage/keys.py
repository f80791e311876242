r"""Matching keys of a query: what their text means (PS3.4 C.2.2.2).

======================  ==========================================================
key                     matches
======================  ==========================================================
empty, or ``*``         everything (universal matching); ``*`` for text and names only
text                    the same text, case included; for names case does not count
``*`` and ``?``         any characters, any one character (text and names only)
UID, or a list of them  any of them
``20240101``            that date; ``a-b``, ``a-``, ``-b`` a range with its ends
``1030``                that time, however precisely written; ranges as with dates
number                  that number, however written
``CT\MR``                any of them; the standard leaves it open without negotiation
======================  ==========================================================

The end of a range of times includes all that its precision covers: ``-1030`` ends with
10:30:59.999999, as ``1030`` says nothing about the second (PS3.5 6.2, TM).
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage.attributes import AttributeKind, IndexedAttribute
from pacs_sdk.storage.values import (
    MAX_TEXT_CHARACTERS,
    bounded_number,
    folded_name,
    normal_date,
    normal_time,
)

__all__ = [
    "MAX_ALTERNATIVES",
    "MAX_LISTED_UIDS",
    "Exact",
    "Matcher",
    "Range",
    "Wildcard",
    "parse_key",
    "time_bounds",
]

MAX_LISTED_UIDS: Final = 10_000
"""UIDs in one key: SQLite takes 32,766 parameters a statement, PostgreSQL 65,535."""

MAX_ALTERNATIVES: Final = 100
"""Values of any other key; each becomes an alternative, nested no deeper than SQLite's
limit of 1,000."""

_AFTER_ANY_DIGIT: Final = "~"
"""Sorts after whatever continues a time."""

_NUMBER: Final = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_STARS: Final = re.compile(r"\*+")


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


Matcher: TypeAlias = Exact | Wildcard | Range


def parse_key(attribute: IndexedAttribute, text: str) -> tuple[Matcher, ...]:
    """Tell what a matching key means.

    Args:
        attribute: What is matched.
        text: The key's value, several values joined by a backslash.

    Returns:
        The alternatives, any of which may match; none at all for universal matching.

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER``.
    """
    if not text.strip(" \0"):
        return ()
    if not _is_unicode(text):
        raise _invalid(attribute, text, "not a text")
    values = [value.strip(" \0") for value in text.split("\\")]
    if attribute.kind is AttributeKind.UID:
        return (_uids(attribute, text, values),)
    given = [value for value in values if value]
    if not given or len(given) > MAX_ALTERNATIVES:
        raise _invalid(attribute, text, f"has {len(given)} values, not 1 to {MAX_ALTERNATIVES}")
    match attribute.kind:
        case AttributeKind.DATE:
            return tuple(_date(attribute, value) for value in given)
        case AttributeKind.TIME:
            return tuple(_time(attribute, value) for value in given)
        case AttributeKind.NUMBER:
            return (Exact(tuple(_number(attribute, value) for value in given)),)
    return _texts(attribute, given)


def time_bounds(first: str, last: str) -> tuple[str, str]:
    """Return texts between which all times from one to another are.

    A stored time is a prefix of what it would be in full, so text order is the order of
    time, except that a shorter form of the same time comes before a longer one. The
    lower bound is therefore the shortest form, and the upper one comes after every
    continuation.

    Args:
        first: A time as :func:`~pacs_sdk.storage.values.normal_time` leaves it.
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


def _uids(attribute: IndexedAttribute, text: str, values: list[str]) -> Matcher:
    if not all(values):
        raise _invalid(attribute, text, "a list of UIDs with an empty one among them")
    if len(values) > MAX_LISTED_UIDS:
        raise _invalid(attribute, text, f"{len(values)} UIDs; {MAX_LISTED_UIDS} are the most")
    return Exact(tuple(dict.fromkeys(values)))


def _date(attribute: IndexedAttribute, text: str) -> Matcher:
    low, is_range, high = _ends(text)
    first, last = normal_date(low), normal_date(high)
    if (low and not first) or (high and not last) or not (first or last):
        raise _invalid(attribute, text, "not a date YYYYMMDD, nor a range such as 20240101-")
    if not is_range:
        return Exact((first,))
    if first and last and first > last:
        raise _invalid(attribute, text, "a range that ends before it begins")
    return Range(first or None, last or None)


def _time(attribute: IndexedAttribute, text: str) -> Matcher:
    low, is_range, high = _ends(text)
    first, last = normal_time(low), normal_time(high)
    if (low and not first) or (high and not last) or not (first or last):
        raise _invalid(attribute, text, "not a time HHMMSS.FFFFFF, nor a range such as 0800-12")
    if not is_range:
        return Range(_shortest(first), _longest(first))
    lower, upper = time_bounds(first, last)
    if first and last and lower > upper:
        raise _invalid(attribute, text, "a range that ends before it begins, or crosses midnight")
    return Range(lower or None, upper if last else None)


def _ends(text: str) -> tuple[str, bool, str]:
    low, dash, high = text.partition("-")
    return low.strip(), bool(dash), high.strip()


def _number(attribute: IndexedAttribute, text: str) -> int:
    number = bounded_number(int(text)) if _NUMBER.fullmatch(text) else None
    if number is None:
        raise _invalid(attribute, text, "not a whole number of 32 bits")
    return number


def _texts(attribute: IndexedAttribute, values: list[str]) -> tuple[Matcher, ...]:
    exact: list[str] = []
    wildcards: list[Matcher] = []
    for value in values:
        if len(value) > MAX_TEXT_CHARACTERS:
            raise _invalid(attribute, value, f"longer than {MAX_TEXT_CHARACTERS} characters")
        if not value.strip("*"):
            return ()
        if attribute.kind is AttributeKind.NAME and not folded_name(value.replace("=", "")):
            raise _invalid(attribute, value, "a name without a letter")
        if "*" in value or "?" in value:
            wildcards.append(Wildcard(_STARS.sub("*", value)))
        else:
            exact.append(value)
    return (*((Exact(tuple(exact)),) if exact else ()), *wildcards)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which no database takes
        return False
    return True


def _invalid(attribute: IndexedAttribute, text: str, reason: str) -> PacsException:
    return PacsException(
        ErrorCode.FIND_INVALID_IDENTIFIER,
        f"{attribute.keyword} cannot be matched with {text[:80]!r}: {reason}",
        tag=str(DicomTag(attribute.tag)),
    )

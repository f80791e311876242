"""Values as the index keeps them, so that comparing text compares what is meant."""

from __future__ import annotations

import calendar
import datetime as dt
import re
import struct
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, TypeAlias

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import InstanceHeader
from pacs_sdk.storage.index.attributes import ATTRIBUTES, AttributeKind, IndexedAttribute
from pacs_sdk.storage.index.names import name_groups, name_sounds, name_words

__all__ = [
    "MAX_LONG_TEXT_CHARACTERS",
    "MAX_TEXT_CHARACTERS",
    "MOMENT_DIGITS",
    "VALUE_END",
    "ColumnValue",
    "bounded_number",
    "bounded_text",
    "column_values",
    "moment_bounds",
    "name_values",
    "normal_date",
    "normal_decimal",
    "normal_moment",
    "normal_number",
    "normal_time",
    "universal_bounds",
]

ColumnValue: TypeAlias = str | int | dict[str, str] | None
"""What a column of the index holds. Text is never null: absent and empty are the same. JSON is
a mapping of texts."""

MAX_TEXT_CHARACTERS: Final = 512
"""What the index keeps of a text. No VR that it has may be longer than 324 (PN with three
groups); PostgreSQL's index entries take some 2,700 bytes. The object itself keeps all."""

MAX_LONG_TEXT_CHARACTERS: Final = 10_240
"""What the index keeps of LT, which has no index and may be as long (PS3.5 6.2)."""

VALUE_END: Final = "\\"
"""Stands before and after each of several folded names."""

_LARGEST_NUMBER: Final = 2**31
"""IS and US lie within 32 bits (PS3.5 6.2)."""

_INTEGER_STRINGS: Final = frozenset(
    tag for tag in ATTRIBUTES if DicomTag(tag).dictionary_vr == VR.IS
)

_UNSIGNED_SHORTS: Final = frozenset(
    tag for tag in ATTRIBUTES if DicomTag(tag).dictionary_vr == VR.US
)

_LONG_TEXTS: Final = frozenset(tag for tag in ATTRIBUTES if DicomTag(tag).dictionary_vr == VR.LT)

_DECIMAL_STRINGS: Final = frozenset(
    tag for tag in ATTRIBUTES if DicomTag(tag).dictionary_vr == VR.DS
)

_DECIMAL: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)

_DATE: Final = re.compile(
    r"(?P<year>\d{4})(?P<dot>\.?)(?P<month>0[1-9]|1[0-2])(?P=dot)(?P<day>0[1-9]|[12]\d|3[01])",
    re.ASCII,
)
_TIME: Final = re.compile(
    r"([01]\d|2[0-3])(?::?([0-5]\d)(?::?([0-5]\d|60)(\.\d{1,6})?)?)?", re.ASCII
)

_NUMBER_CHARACTERS: Final = 64
_ANY_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_SINGLE: Final = struct.Struct("f")

_DATE_TIME: Final = re.compile(
    r"(?P<year>\d{4})(?:(?P<month>0[1-9]|1[0-2])(?:(?P<day>0[1-9]|[12]\d|3[01])"
    r"(?:(?P<hour>[01]\d|2[0-3])(?:(?P<minute>[0-5]\d)"
    r"(?:(?P<second>[0-5]\d|60)(?:\.(?P<fraction>\d{1,6}))?)?)?)?)?)?"
    r"(?P<offset>[+-](?:0\d|1[0-4])[0-5]\d)?",
    re.ASCII,
)
MOMENT_DIGITS: Final = 20
"""Of a moment to the microsecond."""
_FIRST_PARTS: Final = ("0000", "01", "01", "00", "00", "00")
_LAST_PARTS: Final = ("9999", "12", "31", "23", "59", "60")


def bounded_text(text: str, most: int = MAX_TEXT_CHARACTERS) -> str:
    """Cut a text to what the index keeps.

    NUL, which PostgreSQL refuses, is dropped; lone surrogates, which no database takes,
    become question marks.
    """
    if "\0" in text:
        text = text.replace("\0", "")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= most else text[:most]


def bounded_number(number: int | None) -> int | None:
    """Return a number that a column can hold, or ``None``."""
    if number is None or not -_LARGEST_NUMBER <= number < _LARGEST_NUMBER:
        return None
    return number


def normal_date(text: str) -> str:
    """Return a date (DA) as ``YYYYMMDD``, or an empty text if it is none.

    ``YYYY.MM.DD`` of ACR-NEMA is understood (PS3.5 6.2). Text that is no date would be
    found by ranges it has nothing to do with.
    """
    found = _DATE.fullmatch(text.strip())
    return "".join(found.group("year", "month", "day")) if found else ""


def normal_time(text: str) -> str:
    """Return a time (TM) without colons, or an empty text if it is none.

    Its precision is kept (``10`` is not filled up), because it is what was said. Times
    compare as text all the same: see :func:`pacs_sdk.storage.query.temporal_keys.time_bounds`.
    """
    found = _TIME.fullmatch(text.strip())
    return "".join(part for part in found.groups() if part) if found else ""


def normal_decimal(text: str) -> str:
    """Return a decimal number (DS) as it was written, or an empty text if it is none."""
    stripped = text.strip()
    return stripped if len(stripped) <= 32 and _DECIMAL.fullmatch(stripped) else ""


def normal_number(text: str, vr: VR) -> str:
    """Return a number in the one form that it is compared in, or an empty text if it is none.

    Args:
        text: However it is written: ``1.50``, ``+15e-1``.
        vr: Of FL, numbers that are the same in single precision are equal.
    """
    stripped = text.strip()
    if len(stripped) > _NUMBER_CHARACTERS or not _ANY_NUMBER.fullmatch(stripped):
        return ""
    if vr is VR.FL:
        try:
            stripped = repr(_SINGLE.unpack(_SINGLE.pack(float(stripped)))[0])
        except OverflowError:
            return ""
    return str(Decimal(stripped).normalize() + 0)  # there is no negative zero


def moment_bounds(text: str) -> tuple[str, str] | None:
    """Return the first and the last moment that a date and time (DT) may be.

    What it doesn't say is open: ``202403`` is all of March. These are moments of the time zone
    that it is told in, see :func:`universal_bounds`.

    Returns:
        Two texts of twenty digits, to the microsecond; ``None`` if it is no DT.
    """
    found = _DATE_TIME.fullmatch(text.strip())
    if found is None:
        return None
    parts = [part or "" for part in found.group("year", "month", "day", "hour", "minute", "second")]
    fraction = found["fraction"] or ""
    first, last = ("".join(map(_filled, parts, ends)) for ends in (_FIRST_PARTS, _LAST_PARTS))
    return f"{first}{fraction:0<6}", f"{last}{fraction:9<6}"


def _filled(part: str, otherwise: str) -> str:
    return part or otherwise


def universal_bounds(text: str) -> tuple[str, str] | None:
    """Return the first and the last moment of a date and time (DT) in UTC.

    Returns:
        As :func:`moment_bounds`; ``None``, too, where it doesn't tell its offset from UTC.
    """
    found, bounds = _DATE_TIME.fullmatch(text.strip()), moment_bounds(text)
    if found is None or bounds is None or not found["offset"]:
        return None
    sign, hours, minutes = found["offset"][0], found["offset"][1:3], found["offset"][3:]
    offset = dt.timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    return _earlier(bounds[0], offset), _earlier(bounds[1], offset)


def _earlier(moment: str, offset: dt.timedelta) -> str:
    """Take an offset from a moment; a day that its month doesn't have is the last of it."""
    year, month, day = int(moment[:4]), int(moment[4:6]), int(moment[6:8])
    try:
        day = min(day, calendar.monthrange(year, month)[1])
        earlier = dt.datetime(year, month, day, int(moment[8:10]), int(moment[10:12])) - offset  # noqa: DTZ001  # told by its digits
    except (ValueError, OverflowError):  # before the year 1, or after 9999
        return moment
    return f"{earlier.year:04}{earlier:%m%d%H%M}{moment[12:]}"


def normal_moment(text: str) -> str:
    """Return the first moment that a date and time (DT) may be, empty if it is none.

    Returns:
        :data:`MOMENT_DIGITS` as it is told, and where it tells its offset from UTC as many
        of the same moment in UTC.
    """
    bounds, universal = moment_bounds(text), universal_bounds(text)
    return (bounds[0] if bounds else "") + (universal[0] if universal else "")


def name_values(attribute: IndexedAttribute, name: str) -> dict[str, str]:
    """Return the columns that a name, or several, is searched in.

    Args:
        attribute: Whose name it is.
        name: The value; several names are joined by a backslash.
    """
    if attribute.multiple:
        groups = [group for one in name.split("\\") for group in name_groups(one) if group]
        folded = f"{VALUE_END}{VALUE_END.join(groups)}{VALUE_END}" if groups else ""
        return {attribute.folded_column: bounded_text(folded)}
    groups_of_name = name_groups(name)
    words = name_words(" ".join(groups_of_name))
    columns = dict(zip(attribute.group_columns, groups_of_name, strict=True))
    columns[attribute.words_column] = bounded_text(_spaced(words))
    columns[attribute.sounds_column] = bounded_text(_spaced(name_sounds(words)))
    return columns


def _spaced(words: tuple[str, ...]) -> str:
    return f" {' '.join(words)} " if words else ""


def _number(header: InstanceHeader, tag: int) -> int | None:
    value = header.raw.get(tag, b"")
    if len(value) == 2 and tag in _UNSIGNED_SHORTS:
        return int.from_bytes(value, "little" if header.little_endian else "big")
    raw = value.strip(b" ")
    if raw.isdigit() and len(raw) < 10 and tag in _INTEGER_STRINGS:
        return int(raw)  # what nearly every IS is; five of them an instance
    return bounded_number(header.integer(tag))


def column_values(
    header: InstanceHeader, attributes: Iterable[IndexedAttribute]
) -> dict[str, ColumnValue]:
    """Take the columns of some attributes from an instance's header."""
    values: dict[str, ColumnValue] = {}
    for attribute in attributes:
        match attribute.kind:
            case AttributeKind.NUMBER:
                values[attribute.column] = _number(header, attribute.tag)
            case AttributeKind.DATE:
                values[attribute.column] = normal_date(header.text(attribute.tag))
            case AttributeKind.TIME:
                values[attribute.column] = normal_time(header.text(attribute.tag))
            case AttributeKind.NAME:
                name = bounded_text(header.text(attribute.tag))
                values[attribute.column] = name
                values.update(name_values(attribute, name))
            case _ if attribute.multiple:
                texts = header.texts(attribute.tag)
                values[attribute.column] = bounded_text("\\".join(texts))
            case _ if attribute.tag in _DECIMAL_STRINGS:
                values[attribute.column] = normal_decimal(header.text(attribute.tag))
            case _ if attribute.tag in _LONG_TEXTS:
                text = header.text(attribute.tag)
                values[attribute.column] = bounded_text(text, MAX_LONG_TEXT_CHARACTERS)
            case _:
                values[attribute.column] = bounded_text(header.text(attribute.tag))
    return values

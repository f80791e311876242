"""Values as the index keeps them, so that comparing text compares what is meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, TypeAlias

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import InstanceHeader
from pacs_sdk.storage.attributes import ATTRIBUTES, AttributeKind, IndexedAttribute

__all__ = [
    "MAX_TEXT_CHARACTERS",
    "ColumnValue",
    "bounded_number",
    "bounded_text",
    "column_values",
    "folded_name",
    "name_groups",
    "normal_date",
    "normal_time",
]

ColumnValue: TypeAlias = str | int | None
"""What a column of the index holds. Text is never null: absent and empty are the same."""

MAX_TEXT_CHARACTERS: Final = 512
"""What the index keeps of a text. No VR that it has may be longer than 324 (PN with three
groups); PostgreSQL's index entries take some 2,700 bytes. The object itself keeps all."""

_LARGEST_NUMBER: Final = 2**31
"""IS and US lie within 32 bits (PS3.5 6.2)."""

_INTEGER_STRINGS: Final = frozenset(
    tag for tag in ATTRIBUTES if DicomTag(tag).dictionary_vr == VR.IS
)

_UNSIGNED_SHORTS: Final = frozenset(
    tag for tag in ATTRIBUTES if DicomTag(tag).dictionary_vr == VR.US
)

_DATE: Final = re.compile(
    r"(?P<year>\d{4})(?P<dot>\.?)(?P<month>0[1-9]|1[0-2])(?P=dot)(?P<day>0[1-9]|[12]\d|3[01])",
    re.ASCII,
)
_TIME: Final = re.compile(
    r"([01]\d|2[0-3])(?::?([0-5]\d)(?::?([0-5]\d|60)(\.\d{1,6})?)?)?", re.ASCII
)


def bounded_text(text: str) -> str:
    """Cut a text to what the index keeps.

    NUL, which PostgreSQL refuses, is dropped; lone surrogates, which no database takes,
    become question marks.
    """
    if "\0" in text:
        text = text.replace("\0", "")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= MAX_TEXT_CHARACTERS else text[:MAX_TEXT_CHARACTERS]


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
    compare as text all the same: see :func:`pacs_sdk.storage.keys.time_bounds`.
    """
    found = _TIME.fullmatch(text.strip())
    return "".join(part for part in found.groups() if part) if found else ""


def folded_name(text: str) -> str:
    """Make one component group of a person name comparable.

    Case and the spaces around components don't count, nor do delimiters at the end
    (PS3.5 6.2.1.1).
    """
    folded = unicodedata.normalize("NFC", text).casefold()
    return "^".join(part.strip() for part in folded.split("^")).rstrip("^")


def name_groups(text: str) -> tuple[str, str, str]:
    """Return the alphabetic, ideographic and phonetic group of a name, each folded."""
    groups = [folded_name(group) for group in text.split("=", 2)]
    alphabetic, ideographic, phonetic = (*groups, "", "")[:3]
    return alphabetic, ideographic, phonetic


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
                values.update(zip(attribute.name_columns, name_groups(name), strict=True))
            case _:
                values[attribute.column] = bounded_text(header.text(attribute.tag))
    return values

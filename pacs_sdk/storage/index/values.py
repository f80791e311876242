"""Values as the index keeps them, so that comparing text compares what is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import InstanceHeader
from pacs_sdk.storage.index.attributes import ATTRIBUTES, AttributeKind, IndexedAttribute
from pacs_sdk.storage.index.names import name_groups, name_sounds, name_words

__all__ = [
    "MAX_LONG_TEXT_CHARACTERS",
    "MAX_TEXT_CHARACTERS",
    "VALUE_END",
    "ColumnValue",
    "bounded_number",
    "bounded_text",
    "column_values",
    "name_values",
    "normal_date",
    "normal_decimal",
    "normal_time",
]

ColumnValue: TypeAlias = str | int | None
"""What a column of the index holds. Text is never null: absent and empty are the same."""

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
    compare as text all the same: see :func:`pacs_sdk.storage.query.keys.time_bounds`.
    """
    found = _TIME.fullmatch(text.strip())
    return "".join(part for part in found.groups() if part) if found else ""


def normal_decimal(text: str) -> str:
    """Return a decimal number (DS) as it was written, or an empty text if it is none."""
    stripped = text.strip()
    return stripped if len(stripped) <= 32 and _DECIMAL.fullmatch(stripped) else ""


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

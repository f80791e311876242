"""The order of matches, and where a page ends: sort keys and page tokens."""

from __future__ import annotations

import base64
import binascii
import json
import math
import zlib
from collections.abc import Sequence
from typing import Final, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag, TagLike
from pacs_sdk.core.vr import VR
from pacs_sdk.storage.index.attributes import (
    ATTRIBUTES,
    COMPUTED_ATTRIBUTES,
    AttributeKind,
    ComputedKind,
    QueryLevel,
)
from pacs_sdk.storage.index.values import MAX_LONG_TEXT_CHARACTERS, MAX_TEXT_CHARACTERS

__all__ = [
    "MAX_ROWS",
    "MAX_SORT_KEYS",
    "Place",
    "SortKey",
    "checked_count",
    "order_of",
    "place_of_token",
    "sort_keys",
]

MAX_ROWS: Final = 2**63 - 1
"""The largest limit or offset that databases take."""

MAX_SORT_KEYS: Final = 8
"""Attributes that matches are ordered by. Where a page goes on is a condition for each, which
has all before it."""

_TOKEN_VERSION: Final = 1

_MAX_TOKEN_CHARACTERS: Final = 8 * (
    sum(one.vr is VR.LT for one in ATTRIBUTES.values()) * MAX_LONG_TEXT_CHARACTERS
    + MAX_SORT_KEYS * MAX_TEXT_CHARACTERS
)
"""The longest that is given: each text as long as the index keeps it, and of what JSON writes
longest, control characters of six bytes, which are eight in base64. The long texts are among
the sort keys, so that enough is left for the UID and the numbers at the end."""

_Value: TypeAlias = str | int | float

_ARRIVAL_KINDS: Final[dict[QueryLevel, tuple[type, ...]]] = {
    QueryLevel.PATIENT: (int,),
    QueryLevel.STUDY: (int,),
    QueryLevel.SERIES: (int, int, str, int),
    QueryLevel.IMAGE: (int, int, str, int),
}
"""What the values are that order the matches of a level in the end; see ``ordering``."""


@attrs.frozen
class SortKey:
    """An attribute that matches are ordered by."""

    tag: int
    """Which one."""
    descending: bool = False
    """Whether the largest comes first. What has no value is the smallest."""

    @property
    def compared_as(self) -> type[_Value]:
        """The type of the values that are compared."""
        if (attribute := ATTRIBUTES.get(self.tag)) is None:
            counts = COMPUTED_ATTRIBUTES[self.tag].kind is ComputedKind.COUNT
            return int if counts else str
        if attribute.vr is VR.DS:
            return float
        return int if attribute.kind is AttributeKind.NUMBER else str


def sort_keys(level: QueryLevel, wanted: Sequence[TagLike | SortKey]) -> tuple[SortKey, ...]:
    """Understand what matches shall be ordered by.

    Args:
        level: The query's level.
        wanted: Keywords or tags, the most important first; ``-StudyDate`` for descending.

    Raises:
        PacsException: ``INVALID_TAG``, or ``INVALID_ARGUMENT`` for an attribute that a match
            of this level doesn't tell, and for more than :data:`MAX_SORT_KEYS`.
    """
    if len(wanted) > MAX_SORT_KEYS:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"matches cannot be ordered by {len(wanted)} attributes; {MAX_SORT_KEYS} are the most",
        )
    keys: dict[int, SortKey] = {}
    for one in wanted:
        key = one if isinstance(one, SortKey) else _sort_key(one)
        known = ATTRIBUTES.get(key.tag) or COMPUTED_ATTRIBUTES.get(key.tag)
        if known is None or known.level.depth > level.depth:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{DicomTag(key.tag).keyword or DicomTag(key.tag)} is nothing that matches of "
                f"the {level} level can be ordered by",
                tag=str(DicomTag(key.tag)),
            )
        keys.setdefault(key.tag, key)
    return tuple(keys.values())


def _sort_key(wanted: TagLike) -> SortKey:
    if isinstance(wanted, str) and wanted.startswith("-"):
        return SortKey(int(DicomTag.of(wanted[1:])), descending=True)
    return SortKey(int(DicomTag.of(wanted)))


def checked_count(what: str, number: int) -> int:
    """Return a limit or an offset that can be one.

    Raises:
        PacsException: ``INVALID_ARGUMENT``.
    """
    if not 0 <= number <= MAX_ROWS:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT, f"the {what} of a query is {number}, not 0 or more"
        )
    return number


@attrs.frozen
class Place:
    """Where a match stands among the others."""

    order: int
    """A check sum of the order."""
    values: tuple[_Value, ...]
    """The values that put it there."""

    @property
    def token(self) -> str:
        """The place as an opaque text. It holds values: treat it as patient data."""
        # Escaped to ASCII, as once, a token was twice as long; such a one is understood as well.
        packed = json.dumps(
            [_TOKEN_VERSION, self.order, *self.values], ensure_ascii=False, separators=(",", ":")
        )
        return base64.urlsafe_b64encode(packed.encode()).decode("ascii").rstrip("=")


def order_of(level: QueryLevel, keys: Sequence[SortKey]) -> int:
    """Return a check sum that tells one order from another."""
    described = [level.value, *(f"{key.tag:08x}{'-' if key.descending else ''}" for key in keys)]
    return zlib.crc32(",".join(described).encode("ascii"))


def place_of_token(level: QueryLevel, keys: Sequence[SortKey], token: str) -> Place:
    """Understand a token that :attr:`Place.token` gave.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for anything else, and for a token of a query of
            another level or order.
    """
    try:
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise ValueError("too long")
        packed = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        version, order, *values = json.loads(packed)
    except (ValueError, TypeError, RecursionError, binascii.Error) as exc:
        raise _bad_token("it is none that a match gave") from exc
    if version != _TOKEN_VERSION or order != order_of(level, keys):
        raise _bad_token("it belongs to a query of another level or order")
    kinds = (*(key.compared_as for key in keys), *_ARRIVAL_KINDS[level])
    if len(values) != len(kinds) or not all(map(_is_value, values, kinds)):
        raise _bad_token("it is none that a match gave")
    return Place(order, tuple(values))


def _is_value(value: object, kind: type) -> bool:
    if isinstance(value, float):
        return kind is float and math.isfinite(value)
    if isinstance(value, int):
        return kind is int and not isinstance(value, bool) and -MAX_ROWS <= value <= MAX_ROWS
    if not isinstance(value, str) or kind is not str or "\0" in value:
        return False
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in value)


def _bad_token(reason: str) -> PacsException:
    return PacsException(
        ErrorCode.INVALID_ARGUMENT, f"the page cannot be continued from this token: {reason}"
    )

"""Whether a query's keys narrow the search: what to begin with, and what only to check.

Databases choose by statistics. SQLite has none here, for they would have to be kept up to
date; so what is known of the keys goes into the form of the statement.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from sqlalchemy import Table

from pacs_sdk.storage.index.attributes import ATTRIBUTES, AttributeKind, QueryLevel
from pacs_sdk.storage.index.tables import TABLES
from pacs_sdk.storage.query.matchers import Empty, Exact, FuzzyName, Matcher, Wildcard
from pacs_sdk.storage.query.query import Query

__all__ = ["begins_below", "is_narrowed", "patients_come_first"]

_IDENTIFYING: Final = frozenset(("SeriesInstanceUID", "SOPInstanceUID"))
"""Attributes below a study with which few rows have a value in common."""

_RARE_CHARACTERS: Final = 3
"""With so many characters in it a part of a name is that of few patients."""


def begins_below(query: Query) -> bool:
    """Tell whether to begin with what is asked of lower levels, and go up from there.

    That is for UIDs and requests, and where nothing else narrows the search.
    """
    if query.item_matchers:
        return True
    below = [
        (ATTRIBUTES[tag], alternatives)
        for tag, alternatives in query.matchers.items()
        if tag in ATTRIBUTES and ATTRIBUTES[tag].level.depth > query.level.depth
    ]
    if any(
        attribute.keyword in _IDENTIFYING and isinstance(one, Exact)
        for attribute, alternatives in below
        for one in alternatives
    ):
        return True
    lower = {attribute.tag for attribute, _ in below}
    return is_narrowed(query) and not is_narrowed(query, besides=lower)


def is_narrowed(query: Query, besides: Collection[int] = ()) -> bool:
    """Tell whether an index helps to find what matches.

    Args:
        query: The query.
        besides: Tags that don't count.
    """
    return bool(query.item_matchers) or any(
        tag not in besides and _narrows(tag, alternatives)
        for tag, alternatives in query.matchers.items()
        if alternatives
    )


def patients_come_first(query: Query) -> bool:
    """Tell whether to look through all patients, and for what belongs to those found.

    That is for a part of a name, which no index helps to find, where nothing else narrows
    the search: there are fewer patients than studies, and few have it.
    """
    if query.level is QueryLevel.PATIENT or is_narrowed(query):
        return False
    return any(
        alternatives and all(map(_is_rare, alternatives))
        for tag, alternatives in query.matchers.items()
        if tag in ATTRIBUTES and ATTRIBUTES[tag].level is QueryLevel.PATIENT
    )


def _is_rare(matcher: Matcher) -> bool:
    match matcher:
        case Wildcard(pattern):
            return len(pattern.replace("*", "").replace("?", "")) >= _RARE_CHARACTERS
        case FuzzyName(words):
            return max(map(len, words)) >= _RARE_CHARACTERS
    return False


def _narrows(tag: int, alternatives: Sequence[Matcher]) -> bool:
    attribute = ATTRIBUTES.get(tag)
    if attribute is None:
        return False
    column = attribute.column
    if attribute.kind is AttributeKind.NAME:
        column = attribute.name_columns[0]
    indexed = column in _leading_columns(TABLES[attribute.level])
    return indexed and not any(map(_is_anywhere, alternatives))


def _is_anywhere(matcher: Matcher) -> bool:
    """Whether no index helps to find what matches, or half of all do."""
    match matcher:
        case Wildcard(pattern):
            return pattern[0] in "*?"
        case Empty() | FuzzyName():
            return True
    return False


@functools.cache
def _leading_columns(table: Table) -> frozenset[str]:
    return frozenset(_leading(table))


def _leading(table: Table) -> Iterator[str]:
    for index in table.indexes:
        yield next(iter(index.columns)).name
    for constraint in table.constraints:
        columns = list(getattr(constraint, "columns", ()))
        if columns:
            yield columns[0].name

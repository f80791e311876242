"""From matching keys to SQL conditions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Select, and_, exists, false, or_, select, true

from pacs_sdk.storage.attributes import (
    ATTRIBUTES,
    COMPUTED_ATTRIBUTES,
    AttributeKind,
    ComputedKind,
    IndexedAttribute,
    QueryLevel,
)
from pacs_sdk.storage.keys import Exact, Matcher, Range, Wildcard
from pacs_sdk.storage.tables import PARENT_COLUMNS, TABLES, instances, series, studies
from pacs_sdk.storage.values import folded_name

__all__ = ["conditions_by_level", "join_up", "matching_rows"]

_ESCAPE: Final = "/"
_LAST_CHARACTER: Final = "\U0010ffff"
_WILDCARDS: Final = re.compile(r"[*?]")


def matching_rows(
    level: QueryLevel, matchers: Mapping[int, tuple[Matcher, ...]]
) -> Select[tuple[int]]:
    """Select the numbers of the rows of a level that match.

    Keys of the levels above are matched on the entities that a row belongs to. Keys of
    levels below ask that there be an entity below which has them all; the standard
    knows none but Modalities in Study and SOP Classes in Study there, other clients and
    people expect as much of Modality.

    Args:
        level: What is looked for.
        matchers: Alternatives by tag; an empty tuple matches everything.
    """
    conditions = conditions_by_level(matchers)
    levels = sorted((level, *conditions), key=lambda one: one.depth)
    highest, lowest = levels[0], levels[-1]
    table = TABLES[level]
    statement = select(table.c.pk).select_from(join_up(level, highest))
    for wanted, found in conditions.items():
        if wanted.depth <= level.depth:
            statement = statement.where(*found)
    if lowest is not level:
        child = _level_at(level.depth + 1)
        inner = select(1).select_from(join_up(lowest, child))
        inner = inner.where(PARENT_COLUMNS[child] == table.c.pk)
        for wanted, found in conditions.items():
            if wanted.depth > level.depth:
                inner = inner.where(*found)
        statement = statement.where(exists(inner.correlate(table)))
    return statement


def join_up(level: QueryLevel, highest: QueryLevel) -> FromClause:
    """Join a level's table with those above it, up to the highest wanted."""
    joined: FromClause = TABLES[level]
    for depth in range(level.depth, highest.depth, -1):
        above = TABLES[_level_at(depth - 1)]
        joined = joined.join(above, PARENT_COLUMNS[_level_at(depth)] == above.c.pk)
    return joined


def conditions_by_level(
    matchers: Mapping[int, tuple[Matcher, ...]],
) -> dict[QueryLevel, list[ColumnElement[bool]]]:
    """Make a condition of each key, by the level of the table it looks at."""
    conditions: dict[QueryLevel, list[ColumnElement[bool]]] = {}
    for tag, alternatives in matchers.items():
        if not alternatives:
            continue
        if (attribute := ATTRIBUTES.get(tag)) is not None:
            columns = TABLES[attribute.level]
            condition = _any_of(attribute, alternatives, columns)
            conditions.setdefault(attribute.level, []).append(condition)
        elif tag in COMPUTED_ATTRIBUTES:
            condition = _in_study(tag, alternatives)
            conditions.setdefault(QueryLevel.STUDY, []).append(condition)
    return conditions


def _level_at(depth: int) -> QueryLevel:
    return tuple(QueryLevel)[depth]


def _in_study(tag: int, alternatives: tuple[Matcher, ...]) -> ColumnElement[bool]:
    """Ask that some series or instance of the study has a value."""
    computed = COMPUTED_ATTRIBUTES[tag]
    if computed.kind is not ComputedKind.VALUES:
        raise ValueError(f"{computed.keyword} is no matching key")
    collected = next(one for one in ATTRIBUTES.values() if one.column == computed.column)
    series_here = series.alias("series_of_study")
    instances_here = instances.alias("instances_of_study")
    below: FromClause = series_here
    owner: FromClause = series_here
    if computed.below is QueryLevel.IMAGE:
        owner = instances_here
        below = series_here.join(instances_here, instances_here.c.series_fk == series_here.c.pk)
    inner = select(1).select_from(below).where(
        series_here.c.study_fk == studies.c.pk, _any_of(collected, alternatives, owner)
    )  # fmt: skip
    return exists(inner.correlate(studies))


def _any_of(
    attribute: IndexedAttribute, alternatives: tuple[Matcher, ...], table: FromClause
) -> ColumnElement[bool]:
    if attribute.kind is AttributeKind.NAME:
        return or_(false(), *(_name(attribute, one, table) for one in alternatives))
    column = table.c[attribute.column]
    return or_(false(), *(_condition(column, one) for one in alternatives))


def _condition(column: ColumnElement[Any], matcher: Matcher) -> ColumnElement[bool]:
    match matcher:
        case Exact(values):
            return column == values[0] if len(values) == 1 else column.in_(values)
        case Range(low, high):
            lower = column > "" if low is None else column >= low
            return lower if high is None else and_(lower, column <= high)
        case Wildcard(pattern):
            return _like(column, pattern)


def _like(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    like = column.like(_like_pattern(pattern), escape=_ESCAPE)
    prefix = _WILDCARDS.split(pattern, maxsplit=1)[0]
    if not prefix:
        return like
    # Says the same once more, so that any database can look it up in an index.
    return and_(column >= prefix, column <= prefix + _LAST_CHARACTER, like)


def _like_pattern(pattern: str) -> str:
    for special in (_ESCAPE, "%", "_"):
        pattern = pattern.replace(special, _ESCAPE + special)
    return pattern.replace("*", "%").replace("?", "_")


def _name(attribute: IndexedAttribute, matcher: Matcher, table: FromClause) -> ColumnElement[bool]:
    """Match a person name: a key with ``=`` group by group, another in any group."""
    match matcher:
        case Exact(values):
            return or_(false(), *(_name_text(attribute, str(value), table) for value in values))
        case Wildcard(pattern):
            return _name_text(attribute, pattern, table)
    raise ValueError(f"{attribute.keyword} has no ranges")


def _name_text(attribute: IndexedAttribute, text: str, table: FromClause) -> ColumnElement[bool]:
    columns = [table.c[name] for name in attribute.name_columns]
    groups = [folded_name(group) for group in text.split("=", 2)]
    if len(groups) == 1:
        return or_(*(_name_group(column, groups[0]) for column in columns))
    return and_(
        true(),
        *(
            _name_group(column, group)
            for column, group in zip(columns, groups, strict=False)
            if group.strip("*")
        ),
    )


def _name_group(column: ColumnElement[str], folded: str) -> ColumnElement[bool]:
    if _WILDCARDS.search(folded):
        return _like(column, folded)
    return column == folded

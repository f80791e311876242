"""From matching keys to SQL conditions: which rows of a level match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import ColumnElement, FromClause, Select, and_, exists, not_, or_, select

from pacs_sdk.storage.index.attributes import (
    ATTRIBUTES,
    COMPUTED_ATTRIBUTES,
    REQUEST_ATTRIBUTES,
    REQUEST_ATTRIBUTES_SEQUENCE,
    TIMES_OF_DATES,
    ComputedAttribute,
    ComputedKind,
    IndexedAttribute,
    QueryLevel,
)
from pacs_sdk.storage.index.tables import (
    PARENT_COLUMNS,
    TABLES,
    instances,
    patients,
    request_attributes,
    series,
    studies,
)
from pacs_sdk.storage.query.conditions import any_of, moments_between
from pacs_sdk.storage.query.matchers import AllOf, Empty, Exact, Matcher, MomentRange
from pacs_sdk.storage.query.narrowing import begins_below, patients_come_first
from pacs_sdk.storage.query.query import Query

__all__ = ["conditions_by_level", "item_conditions", "join_up", "matching_rows"]


_SERIES_HERE: Final = series.alias("series_of_study")
_INSTANCES_HERE: Final = instances.alias("instances_of_study")
"""What Modalities in Study and SOP Classes in Study look at, beside what the query does."""


def matching_rows(query: Query, also: Iterable[QueryLevel] = ()) -> Select[tuple[int]]:
    """Select the numbers of the rows of the query's level that match.

    Keys of the levels above are matched on the entities that a row belongs to. Keys of
    levels below ask that there be an entity below which has them all; the standard
    knows none but Modalities in Study and SOP Classes in Study there, other clients and
    people expect as much of Modality.

    Args:
        query: What is looked for.
        also: Levels above that are wanted for something else, such as order.
    """
    level = query.level
    conditions = conditions_by_level(query)
    if patients_come_first(query):
        of_patients = conditions.pop(QueryLevel.PATIENT)
        found = select(patients.c.pk).where(*of_patients).correlate(None)
        conditions.setdefault(QueryLevel.STUDY, []).append(studies.c.patient_fk.in_(found))
    lowest = max((level, *conditions), key=lambda one: one.depth)
    highest = min((level, *conditions, *also), key=lambda one: one.depth)
    table = TABLES[level]
    statement = select(table.c.pk).select_from(join_up(level, highest))
    for wanted, asked in conditions.items():
        if wanted.depth <= level.depth:
            statement = statement.where(*asked)
    if lowest is level:
        return statement
    child = _level_at(level.depth + 1)
    owner = PARENT_COLUMNS[child]
    below = [
        one for wanted, asked in conditions.items() if wanted.depth > level.depth for one in asked
    ]
    if begins_below(query):  # few rows to begin with
        inner = select(owner).select_from(join_up(lowest, child)).where(*below)
        return statement.where(table.c.pk.in_(inner))
    seen = select(1).select_from(join_up(lowest, child)).where(owner == table.c.pk, *below)
    return statement.where(exists(seen.correlate(table)))


def join_up(level: QueryLevel, highest: QueryLevel) -> FromClause:
    """Join a level's table with those above it, up to the highest wanted."""
    joined: FromClause = TABLES[level]
    for depth in range(level.depth, highest.depth, -1):
        above = TABLES[_level_at(depth - 1)]
        joined = joined.join(above, PARENT_COLUMNS[_level_at(depth)] == above.c.pk)
    return joined


def conditions_by_level(query: Query) -> dict[QueryLevel, list[ColumnElement[bool]]]:
    """Make a condition of each key, by the level of the table it looks at."""
    conditions: dict[QueryLevel, list[ColumnElement[bool]]] = {}
    for tag, alternatives in query.matchers.items():
        if not alternatives:
            continue
        attribute = ATTRIBUTES.get(tag) or query.further.by_tag.get(tag)
        if attribute is not None:
            condition = _attribute_condition(attribute, alternatives)
            conditions.setdefault(attribute.level, []).append(condition)
        elif (computed := COMPUTED_ATTRIBUTES.get(tag)) is not None:
            condition = _in_study(computed, alternatives)
            conditions.setdefault(QueryLevel.STUDY, []).append(condition)
    of_item = item_conditions(query.item_matchers.get(REQUEST_ATTRIBUTES_SEQUENCE, {}))
    if of_item:
        rows = select(request_attributes.c.series_fk).where(*of_item)
        conditions.setdefault(QueryLevel.SERIES, []).append(series.c.pk.in_(rows))
    return conditions


def item_conditions(
    matchers: Mapping[int, tuple[Matcher, ...]],
) -> list[ColumnElement[bool]]:
    """Make the conditions that an item of Request Attributes Sequence has to meet.

    All of them, and one item all of them (PS3.4 C.2.2.2.6).
    """
    return [
        any_of(REQUEST_ATTRIBUTES[tag], alternatives, request_attributes)
        for tag, alternatives in matchers.items()
        if alternatives
    ]


def _level_at(depth: int) -> QueryLevel:
    return tuple(QueryLevel)[depth]


def _attribute_condition(
    attribute: IndexedAttribute, alternatives: tuple[Matcher, ...]
) -> ColumnElement[bool]:
    table = TABLES[attribute.level]
    if isinstance(alternatives[0], MomentRange):
        time = TIMES_OF_DATES[attribute.tag]
        return moments_between(table.c[attribute.column], table.c[time.column], alternatives[0])
    return any_of(attribute, alternatives, table)


def _in_study(
    computed: ComputedAttribute, alternatives: tuple[Matcher, ...]
) -> ColumnElement[bool]:
    """Ask that some series or instance of the study has a value; or each of several."""
    if computed.kind is not ComputedKind.VALUES:
        raise ValueError(f"{computed.keyword} is no matching key")
    match alternatives[0]:
        case AllOf(values):
            return and_(*(_some_in_study(computed, (Exact((one,)),)) for one in values))
        case Empty():
            return not_(_some_in_study(computed, None))
    return _some_in_study(computed, alternatives)


def _some_in_study(
    computed: ComputedAttribute, alternatives: tuple[Matcher, ...] | None
) -> ColumnElement[bool]:
    """Ask that something in the study matches; with no alternatives, that it has a value."""
    collected = next(one for one in ATTRIBUTES.values() if one.column == computed.column)
    below: FromClause = _SERIES_HERE
    owner: FromClause = _SERIES_HERE
    if computed.below is QueryLevel.IMAGE:
        owner = _INSTANCES_HERE
        below = _SERIES_HERE.join(owner, owner.c.series_fk == _SERIES_HERE.c.pk)
    if alternatives is None:
        condition = owner.c[collected.column] != ""
    else:
        condition = or_(any_of(collected, alternatives, owner))
    inner = select(1).select_from(below).where(_SERIES_HERE.c.study_fk == studies.c.pk, condition)
    return exists(inner.correlate(studies))

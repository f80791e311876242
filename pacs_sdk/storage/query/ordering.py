"""The order of matches in SQL, and the statement that finds their numbers in that order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import attrs
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Select,
    and_,
    cast,
    func,
    or_,
    select,
)

from pacs_sdk.core.vr import VR
from pacs_sdk.storage.index.attributes import (
    ATTRIBUTES,
    COMPUTED_ATTRIBUTES,
    AttributeKind,
    ComputedAttribute,
    ComputedKind,
    QueryLevel,
)
from pacs_sdk.storage.index.tables import (
    PARENT_COLUMNS,
    TABLES,
    instances,
    patients,
    series,
    studies,
)
from pacs_sdk.storage.query.conditions import decimal_in
from pacs_sdk.storage.query.matching import matching_rows
from pacs_sdk.storage.query.narrowing import is_narrowed, patients_come_first
from pacs_sdk.storage.query.paging import Place, SortKey
from pacs_sdk.storage.query.query import Query

__all__ = [
    "OrderTerm",
    "levels_of_order",
    "number_or_first",
    "numbers_statement",
    "order_terms",
    "place_of",
]

_NO_NUMBER: Final = -(2**31) - 1
"""Stands for a number that is not there: before all others, in any database."""
_NO_DECIMAL: Final = -1e300
"""The same for DS: less than any that the index keeps."""


@attrs.frozen(eq=False)
class OrderTerm:
    """One of the things that matches are ordered by."""

    value: ColumnElement[Any]
    """What is compared; never null."""
    descending: bool = False
    """Whether the largest comes first."""

    @property
    def ordered(self) -> ColumnElement[Any]:
        """What stands in ORDER BY."""
        return self.value.desc() if self.descending else self.value.asc()

    def beyond(self, value: str | int | float, *, inclusive: bool = False) -> ColumnElement[bool]:
        """Ask for what comes after a value, or after it and with it."""
        if inclusive:
            return self.value <= value if self.descending else self.value >= value
        return self.value < value if self.descending else self.value > value


def number_or_first(column: Column[Any]) -> ColumnElement[int]:
    """Return a number as it is ordered by: one that is not there comes before all others."""
    return func.coalesce(cast(column, BigInteger), _NO_NUMBER)


_ARRIVAL: Final[dict[QueryLevel, tuple[ColumnElement[Any], ...]]] = {
    QueryLevel.PATIENT: (patients.c.pk,),
    QueryLevel.STUDY: (studies.c.pk,),
    QueryLevel.SERIES: (
        series.c.study_fk,
        number_or_first(series.c.series_number),
        series.c.series_instance_uid,
        series.c.pk,
    ),
    QueryLevel.IMAGE: (
        instances.c.series_fk,
        number_or_first(instances.c.instance_number),
        instances.c.sop_instance_uid,
        instances.c.pk,
    ),
}
"""Patients and studies in the order of their arrival, the rest as one looks at it."""


def numbers_statement(query: Query) -> Select[tuple[int]]:
    """Select the numbers of the rows that a query finds, in order, page and all."""
    terms = order_terms(query)
    statement = matching_rows(query, levels_of_order(query))
    if query.place is not None:
        statement = statement.where(_after(terms, query.place))
    statement = statement.order_by(*(term.ordered for term in terms))
    if query.limit is not None:
        statement = statement.limit(query.limit)
    if query.offset:
        # SQLite knows no OFFSET without LIMIT, and takes a negative one for none.
        statement = statement.offset(query.offset)
    return statement


def levels_of_order(query: Query) -> tuple[QueryLevel, ...]:
    """Return the levels whose tables the order of a query looks at."""
    return tuple(_level_of(key) for key in query.sort)


def order_terms(query: Query) -> tuple[OrderTerm, ...]:
    """Return what the matches of a query are ordered by, the most important first."""
    sorted_by = [OrderTerm(_sorted_value(key), key.descending) for key in query.sort]
    by_arrival = [OrderTerm(value) for value in _ARRIVAL[query.level]]
    terms = (*sorted_by, *by_arrival)
    if _may_walk(query):
        return terms
    # As an expression the first term doesn't decide how rows are found: SQLite would rather
    # walk through a table in order than look up what matches and sort it.
    first = terms[0]
    return (attrs.evolve(first, value=_as_expression(first.value)), *terms[1:])


def place_of(query: Query, values: Sequence[Any]) -> Place:
    """Return the place of a row, given the values of the query's terms."""
    return Place(query.order, tuple(values))


def _after(terms: Sequence[OrderTerm], place: Place) -> ColumnElement[bool]:
    """Ask for what comes after a place: greater in the first term that differs."""
    first = terms[0].beyond(place.values[0], inclusive=True)
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for term, value in zip(terms, place.values, strict=True):
        alternatives.append(and_(*equal, term.beyond(value)))
        equal.append(term.value == value)
    return and_(first, or_(*alternatives))  # the first says it once more, for an index


def _as_expression(value: ColumnElement[Any]) -> ColumnElement[Any]:
    if not isinstance(value, Column):
        return value
    return value.concat("") if value.type.python_type is str else value + 0


def _level_of(key: SortKey) -> QueryLevel:
    known = ATTRIBUTES.get(key.tag) or COMPUTED_ATTRIBUTES[key.tag]
    return known.level


def _sorted_value(key: SortKey) -> ColumnElement[Any]:
    attribute = ATTRIBUTES.get(key.tag)
    if attribute is None:
        return _computed_value(COMPUTED_ATTRIBUTES[key.tag])
    columns = TABLES[attribute.level].c
    match attribute.kind:
        case AttributeKind.NUMBER:
            return number_or_first(columns[attribute.column])
        case AttributeKind.NAME:
            return columns[attribute.name_columns[0]]
    if attribute.vr is VR.DS:
        return func.coalesce(decimal_in(columns[attribute.column]), _NO_DECIMAL)
    return columns[attribute.column]


def _computed_value(computed: ComputedAttribute) -> ColumnElement[Any]:
    """Count what is below, or take the first of its values; a constant orders nothing."""
    table = TABLES[computed.level]
    if computed.kind is ComputedKind.CONSTANT:
        return func.coalesce(computed.column, "")
    levels = tuple(QueryLevel)[computed.level.depth + 1 : computed.below.depth + 1]
    aliases = {level: TABLES[level].alias(f"sorted_{TABLES[level].name}") for level in levels}
    below: FromClause = aliases[levels[0]]
    for above, level in itertools.pairwise(levels):
        foreign = aliases[level].c[PARENT_COLUMNS[level].name]
        below = below.join(aliases[level], foreign == aliases[above].c.pk)
    owner = aliases[levels[0]].c[PARENT_COLUMNS[levels[0]].name]
    wanted: ColumnElement[Any] = func.count()
    if computed.kind is ComputedKind.VALUES:
        value = aliases[computed.below].c[computed.column]
        wanted = func.coalesce(func.min(func.nullif(value, "")), "")
    inner = select(wanted).select_from(below).where(owner == table.c.pk)
    return inner.correlate(table).scalar_subquery()


# -- whether the order may decide how rows are found ---------------------------------------


def _may_walk(query: Query) -> bool:
    """Whether a walk through an index in order is the best way to find the matches.

    It is where a page is wanted and nothing narrows the search, or nothing but what comes
    first in the order.
    """
    if query.limit is None or patients_come_first(query):
        return False
    first = ATTRIBUTES.get(query.sort[0].tag) if query.sort else None
    # A name is looked for in three columns, of which the order knows one.
    walked = () if first is None or first.kind is AttributeKind.NAME else (first.tag,)
    return not is_narrowed(query, besides=walked)

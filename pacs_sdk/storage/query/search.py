"""Reading the index: what matches, what a match tells, where instances lie.

A search first fetches the numbers of all rows that match, in order, eight bytes each,
and then the rows in batches. So the set of matches is that of one moment, a million of
them fit, and between batches nothing is held: no connection, no transaction, no lock.
A row that is removed meanwhile is left out.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Select, bindparam, func, select

from pacs_sdk.storage.index.attributes import QueryLevel
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.index.tables import PARENT_COLUMNS, TABLES, instances, series
from pacs_sdk.storage.query.match import Match
from pacs_sdk.storage.query.matching import join_up, matching_rows
from pacs_sdk.storage.query.number_lists import is_among
from pacs_sdk.storage.query.ordering import number_or_first, numbers_statement
from pacs_sdk.storage.query.query import Query
from pacs_sdk.storage.query.telling import RowReader
from pacs_sdk.storage.records import ArchiveStatistics, InstanceLocation

__all__ = [
    "Connect",
    "count_everything",
    "count_matches",
    "find_location",
    "find_locations",
    "find_matches",
]

Connect: TypeAlias = Callable[[], AbstractContextManager[Connection]]
"""Gives a connection for reading, for a moment."""

_BATCH: Final = 200
"""Rows fetched at a time: some hundred kilobytes at most."""

_VALUES_AT_A_TIME: Final = 200 * _BATCH
"""Values of matches that are made at a time. A peer may ask for thousands of keys that we don't
have, and then not take its answers: 200 matches of 4,000 empty values take 30 MB."""

_NUMBERS_AT_A_TIME: Final = 10_000

_BY_ITSELF: Final = "MATERIALIZED"

_FAILED: Final = "the index could not be searched"

_LOCATION: Final = select(
    instances.c.sop_class_uid,
    instances.c.sop_instance_uid,
    instances.c.transfer_syntax_uid,
    instances.c.storage_key,
    instances.c.size_bytes,
    instances.c.data_offset,
    instances.c.pk,
)
_LOCATION_BY_UID: Final = _LOCATION.where(instances.c.sop_instance_uid == bindparam("uid"))
_LOCATIONS: Final = _LOCATION.where(is_among(instances.c.pk, "rows"))


def find_matches(connect: Connect, query: Query) -> Iterator[Match]:
    """Search at the query's level; the search runs at once, the rows come when asked for.

    Raises:
        PacsException: ``INDEX_FAILED``, here or while iterating.
    """
    numbers = _numbers(connect, numbers_statement(query))
    return _matches(connect, query, numbers)


def count_matches(connect: Connect, query: Query) -> int:
    """Count what a query finds, on all pages.

    Raises:
        PacsException: ``INDEX_FAILED``.
    """
    statement = select(func.count()).select_from(matching_rows(query).subquery())
    with index_errors(_FAILED), connect() as connection:
        return int(connection.execute(statement).scalar_one())


def find_locations(connect: Connect, query: Query) -> Iterator[InstanceLocation]:
    """Find all instances below all that matches; as :func:`find_matches`.

    They are ordered by study (of arrival), series number, instance number and UID; those
    without a number come first. The query's own order and page don't matter.
    """
    if query.level is QueryLevel.IMAGE:
        statement = matching_rows(query, (QueryLevel.SERIES,))
    else:
        # By itself, for within one IN PostgreSQL takes what another one finds for all there is.
        found = matching_rows(query).cte("found").prefix_with(_BY_ITSELF, dialect="postgresql")
        owner = PARENT_COLUMNS[_below(query.level)]
        highest = QueryLevel.STUDY if query.level is QueryLevel.PATIENT else QueryLevel.SERIES
        below = join_up(QueryLevel.IMAGE, highest)
        statement = select(instances.c.pk).select_from(below).where(owner.in_(select(found.c.pk)))
    statement = statement.order_by(
        series.c.study_fk + 0,
        number_or_first(series.c.series_number),
        series.c.series_instance_uid,
        series.c.pk,
        number_or_first(instances.c.instance_number),
        instances.c.sop_instance_uid,
    )
    return _locations(connect, _numbers(connect, statement))


def find_location(connect: Connect, sop_instance_uid: str) -> InstanceLocation | None:
    """Find one instance."""
    with index_errors(_FAILED), connect() as connection:
        row = connection.execute(_LOCATION_BY_UID, {"uid": sop_instance_uid}).one_or_none()
    return None if row is None else InstanceLocation(*row)


def count_everything(connect: Connect) -> ArchiveStatistics:
    """Count the rows of each level, and the bytes of all objects."""
    columns: list[Any] = [
        select(func.count()).select_from(table).scalar_subquery() for table in TABLES.values()
    ]
    size = select(func.coalesce(func.sum(instances.c.size_bytes), 0)).scalar_subquery()
    with index_errors(_FAILED), connect() as connection:
        row = connection.execute(select(*columns, size)).one()
    return ArchiveStatistics(*(int(number) for number in row))


def _below(level: QueryLevel) -> QueryLevel:
    return tuple(QueryLevel)[level.depth + 1]


def _numbers(connect: Connect, statement: Select[tuple[int]]) -> array[int]:
    """Fetch row numbers, as compactly as they can be kept."""
    numbers = array("q")
    with index_errors(_FAILED), connect() as connection:
        for some in connection.execute(statement).partitions(_NUMBERS_AT_A_TIME):
            numbers.extend(row.pk for row in some)
    return numbers


def _batches(numbers: array[int], size: int = _BATCH) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size].tolist()


def _locations(connect: Connect, numbers: array[int]) -> Iterator[InstanceLocation]:
    for batch in _batches(numbers):
        with index_errors(_FAILED), connect() as connection:
            rows = connection.execute(_LOCATIONS, {"rows": batch}).all()
        found = {row.pk: InstanceLocation(*row) for row in rows}
        yield from (found[pk] for pk in batch if pk in found)


def _matches(connect: Connect, query: Query, numbers: array[int]) -> Iterator[Match]:
    reader = RowReader(query)
    most = _VALUES_AT_A_TIME // max(len(query.return_keys), 1)
    for batch in _batches(numbers, max(min(_BATCH, most), 1)):
        with index_errors(_FAILED), connect() as connection:
            found = reader.read(connection, batch)
        yield from (found[pk] for pk in batch if pk in found)

"""Reading the index: what matches, what a match tells, where instances lie.

A search first fetches the numbers of all rows that match, in order, eight bytes each,
and then the rows in batches. So the set of matches is that of one moment, a million of
them fit, and between batches nothing is held: no connection, no transaction, no lock.
A row that is removed meanwhile is left out.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, FromClause, RowMapping, Select, bindparam, func, select

from pacs_sdk.storage.attributes import (
    ATTRIBUTES,
    COMPUTED_ATTRIBUTES,
    ComputedAttribute,
    ComputedKind,
    QueryLevel,
)
from pacs_sdk.storage.matching import join_up, matching_rows
from pacs_sdk.storage.query import Match, Query
from pacs_sdk.storage.records import ArchiveStatistics, InstanceLocation
from pacs_sdk.storage.schema import index_errors
from pacs_sdk.storage.tables import (
    PARENT_COLUMNS,
    TABLES,
    instances,
    patients,
    series,
    studies,
)

__all__ = ["Connect", "count_everything", "find_location", "find_locations", "find_matches"]

Connect: TypeAlias = Callable[[], AbstractContextManager[Connection]]
"""Gives a connection for reading, for a moment."""

_BATCH: Final = 200
"""Rows fetched at a time: some hundred kilobytes at most."""

_NUMBERS_AT_A_TIME: Final = 10_000

_FAILED: Final = "the index could not be searched"

_ORDERS: Final[Mapping[QueryLevel, tuple[Any, ...]]] = {
    QueryLevel.PATIENT: (patients.c.pk + 0,),
    QueryLevel.STUDY: (studies.c.pk + 0,),
    QueryLevel.SERIES: (
        series.c.study_fk + 0,
        series.c.series_number,
        series.c.series_instance_uid,
    ),
    QueryLevel.IMAGE: (
        instances.c.series_fk + 0,
        instances.c.instance_number,
        instances.c.sop_instance_uid,
    ),
}
"""Patients and studies in the order of their arrival, the rest as one looks at it.

The first term is an expression so that order never decides how rows are found: SQLite
would rather walk through a table in order than look up what matches and sort it."""

_LOCATION: Final = select(
    instances.c.pk,
    instances.c.sop_class_uid,
    instances.c.sop_instance_uid,
    instances.c.transfer_syntax_uid,
    instances.c.storage_key,
    instances.c.size_bytes,
    instances.c.data_offset,
)
_LOCATION_BY_UID: Final = _LOCATION.where(instances.c.sop_instance_uid == bindparam("uid"))
_LOCATIONS: Final = _LOCATION.where(instances.c.pk.in_(bindparam("rows", expanding=True)))


def find_matches(connect: Connect, query: Query) -> Iterator[Match]:
    """Search at the query's level; the search runs at once, the rows come when asked for.

    Raises:
        PacsException: ``INDEX_FAILED``, here or while iterating.
    """
    statement = matching_rows(query.level, query.matchers).order_by(*_ORDERS[query.level])
    numbers = _numbers(connect, statement)
    return _matches(connect, query, numbers)


def find_locations(connect: Connect, query: Query) -> Iterator[InstanceLocation]:
    """Find all instances below what matches; as :func:`find_matches`.

    They are ordered by study (of arrival), series number, instance number and UID; those
    without a number come first.
    """
    found = matching_rows(query.level, query.matchers).correlate(None)
    owner = (
        instances.c.pk if query.level is QueryLevel.IMAGE else PARENT_COLUMNS[_below(query.level)]
    )
    statement = (
        select(instances.c.pk)
        .select_from(join_up(QueryLevel.IMAGE, QueryLevel.STUDY))
        .where(owner.in_(found))
        .order_by(
            series.c.study_fk + 0,
            series.c.series_number,
            series.c.series_instance_uid,
            series.c.pk,
            instances.c.instance_number,
            instances.c.sop_instance_uid,
        )
    )
    return _locations(connect, _numbers(connect, statement))


def find_location(connect: Connect, sop_instance_uid: str) -> InstanceLocation | None:
    """Find one instance."""
    with index_errors(_FAILED), connect() as connection:
        row = connection.execute(_LOCATION_BY_UID, {"uid": sop_instance_uid}).one_or_none()
    return None if row is None else InstanceLocation(*row[1:])


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


def _batches(numbers: array[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), _BATCH):
        yield numbers[start : start + _BATCH].tolist()


def _locations(connect: Connect, numbers: array[int]) -> Iterator[InstanceLocation]:
    for batch in _batches(numbers):
        with index_errors(_FAILED), connect() as connection:
            rows = connection.execute(_LOCATIONS, {"rows": batch}).all()
        found = {row.pk: InstanceLocation(*row[1:]) for row in rows}
        yield from (found[pk] for pk in batch if pk in found)


# -- matches ---------------------------------------------------------------------------


def _matches(connect: Connect, query: Query, numbers: array[int]) -> Iterator[Match]:
    statement = _rows_statement(query)
    for batch in _batches(numbers):
        with index_errors(_FAILED), connect() as connection:
            rows = connection.execute(statement, {"rows": batch}).mappings()
            found = {int(row["pk"]): row for row in rows}
            computed = _computed(connection, query, found.values())
        for pk in batch:
            if pk in found:
                yield Match(query.level, _values(query, found[pk], computed))


def _rows_statement(query: Query) -> Select[Any]:
    """Select the columns that the return keys need, with the numbers of the owners."""
    wanted = [
        one
        for tag in query.return_keys
        if (one := ATTRIBUTES.get(tag) or COMPUTED_ATTRIBUTES.get(tag)) is not None
        and one.level.depth <= query.level.depth
        and not (isinstance(one, ComputedAttribute) and one.kind is ComputedKind.CONSTANT)
    ]
    highest = min((one.level for one in wanted), key=lambda one: one.depth, default=query.level)
    table = TABLES[query.level]
    columns = [table.c.pk.label("pk")]
    columns.extend(
        TABLES[level].c.pk.label(_owner(level))
        for level in QueryLevel
        if highest.depth <= level.depth <= query.level.depth
    )
    columns.extend(
        TABLES[one.level].c[one.column].label(_label(one.tag))
        for one in wanted
        if not isinstance(one, ComputedAttribute)
    )
    statement = select(*columns).select_from(join_up(query.level, highest))
    return statement.where(table.c.pk.in_(bindparam("rows", expanding=True)))


def _owner(level: QueryLevel) -> str:
    return f"pk_of_{level.value}"


def _label(tag: int) -> str:
    return f"t{tag:08x}"


def _values(
    query: Query, row: RowMapping, computed: Mapping[int, Mapping[int, str]]
) -> dict[int, str]:
    values: dict[int, str] = {}
    for tag in query.return_keys:
        known = COMPUTED_ATTRIBUTES.get(tag)
        if known is not None and known.kind is ComputedKind.CONSTANT:
            values[tag] = known.column
        elif known is not None and tag in computed:
            values[tag] = computed[tag].get(row[_owner(known.level)], "")
        else:
            value = row.get(_label(tag))
            values[tag] = "" if value is None else str(value)
    return values


def _computed(
    connection: Connection, query: Query, rows: Collection[RowMapping]
) -> dict[int, dict[int, str]]:
    """Work out computed attributes for a batch: by tag, then by the owner's number."""
    found: dict[int, dict[int, str]] = {}
    for tag in query.return_keys:
        computed = COMPUTED_ATTRIBUTES.get(tag)
        if tag not in _STATEMENTS or computed is None or computed.level.depth > query.level.depth:
            continue
        owners = list({row[_owner(computed.level)] for row in rows})
        result = connection.execute(_STATEMENTS[tag], {"owners": owners})
        found[tag] = _joined([tuple(row) for row in result])
        if computed.kind is ComputedKind.COUNT:
            found[tag] = dict.fromkeys(owners, "0") | found[tag]
    return found


def _joined(rows: Sequence[tuple[Any, ...]]) -> dict[int, str]:
    values: dict[int, list[str]] = {}
    for owner, value in rows:
        if value != "":
            values.setdefault(owner, []).append(str(value))
    return {owner: "\\".join(several) for owner, several in values.items()}


def _computed_statement(computed: ComputedAttribute) -> Select[Any]:
    """Count, or collect the values of, what is below some entities (PS3.4 C.3.4)."""
    child = _below(computed.level)
    owner = PARENT_COLUMNS[child]
    below: FromClause = join_up(computed.below, child)
    within = owner.in_(bindparam("owners", expanding=True))
    if computed.kind is ComputedKind.COUNT:
        return select(owner, func.count()).select_from(below).where(within).group_by(owner)
    value = TABLES[computed.below].c[computed.column]
    return select(owner, value).select_from(below).where(within).distinct().order_by(owner, value)


_STATEMENTS: Final[Mapping[int, Select[Any]]] = {
    tag: _computed_statement(computed)
    for tag, computed in COMPUTED_ATTRIBUTES.items()
    if computed.kind is not ComputedKind.CONSTANT
}

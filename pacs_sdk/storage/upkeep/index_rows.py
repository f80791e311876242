"""Rows of instances as recovery and verification look at them: by UID, series or folder."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import attrs
from sqlalchemy import BindParameter, Select, bindparam, select, union, update

from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.index.tables import (
    deleted_objects,
    duplicate_objects,
    instances,
    series,
    studies,
)

__all__ = [
    "InstanceRow",
    "adopt_hashes",
    "all_rows",
    "batches",
    "rows_by_uid",
    "rows_of_series_uid",
    "without_row",
]

_T = TypeVar("_T")

_BATCH: Final = 500
"""Values in one statement; SQLite takes 32,766."""

_SCANNED: Final = 5000
"""Rows fetched at a time where all are looked at."""

_FAILED: Final = "the index could not be searched"


@attrs.frozen
class InstanceRow:
    """What the index says of an instance and its object."""

    pk: int
    """The number of the row."""
    study_instance_uid: str
    """The study."""
    series_instance_uid: str
    """The series."""
    sop_instance_uid: str
    """The instance."""
    sop_class_uid: str
    """What kind of object it is."""
    transfer_syntax_uid: str
    """How its data set is encoded."""
    storage_key: str
    """The key of its object."""
    size_bytes: int
    """How many bytes the object has."""
    data_offset: int
    """Where in the object the data set begins."""
    content_hash: str
    """The hash of the object's bytes; empty where nobody knows it yet."""


_ROWS: Final[Select[Any]] = (
    select(
        instances.c.pk,
        studies.c.study_instance_uid,
        series.c.series_instance_uid,
        instances.c.sop_instance_uid,
        instances.c.sop_class_uid,
        instances.c.transfer_syntax_uid,
        instances.c.storage_key,
        instances.c.size_bytes,
        instances.c.data_offset,
        instances.c.content_hash,
    )
    .select_from(instances)
    .join(series, instances.c.series_fk == series.c.pk)
    .join(studies, series.c.study_fk == studies.c.pk)
)
_SOME: Final[BindParameter[Any]] = bindparam("some", expanding=True)
_BY_UID: Final = _ROWS.where(instances.c.sop_instance_uid.in_(_SOME))
_OF_SERIES_UID: Final = _ROWS.where(series.c.series_instance_uid.in_(_SOME))
_ALL: Final[Select[Any]] = (
    _ROWS.where(instances.c.pk > bindparam("after")).order_by(instances.c.pk).limit(_SCANNED)
)
_WITHOUT_ROW: Final = union(
    *(
        select(table.c.storage_key).where(table.c.storage_key.in_(_SOME))
        for table in (duplicate_objects, deleted_objects)
    )
)
_ADOPT: Final = (
    update(instances)
    .where(instances.c.pk == bindparam("row"), instances.c.content_hash == "")
    .values(content_hash=bindparam("hash"))
)


def batches(values: Iterable[_T], size: int = _BATCH) -> Iterator[list[_T]]:
    """Cut values into lists of at most so many."""
    batch: list[_T] = []
    for value in values:
        batch.append(value)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def rows_by_uid(index: IndexDatabase, uids: Iterable[str]) -> dict[str, InstanceRow]:
    """Find the rows of some instances, by SOP Instance UID.

    Raises:
        PacsException: ``INDEX_FAILED``; so for the other functions.
    """
    return {row.sop_instance_uid: row for row in _found(index, _BY_UID, uids)}


def rows_of_series_uid(index: IndexDatabase, uids: Iterable[str]) -> Iterator[InstanceRow]:
    """Find the rows of all instances of some series, by Series Instance UID."""
    return _found(index, _OF_SERIES_UID, uids)


def all_rows(index: IndexDatabase) -> Iterator[InstanceRow]:
    """Go through all rows in the order of their numbers; nothing is held in between."""
    after = 0
    while True:
        with index_errors(_FAILED), index.reading() as connection:
            rows = [InstanceRow(*one) for one in connection.execute(_ALL, {"after": after})]
        if not rows:
            return
        yield from rows
        after = rows[-1].pk


def without_row(index: IndexDatabase, keys: Collection[str]) -> set[str]:
    """Tell which of some objects have no row for a reason.

    They are duplicates that are kept beside an instance, or belong to instances that were
    deleted and are removed when their time comes.
    """
    found: set[str] = set()
    for some in batches(keys):
        with index_errors(_FAILED), index.reading() as connection:
            found.update(connection.execute(_WITHOUT_ROW, {"some": some}).scalars())
    return found


def adopt_hashes(index: IndexDatabase, hashes: Sequence[tuple[int, str]]) -> None:
    """Keep hashes that were not known, by the numbers of the rows; known ones stay."""
    if not hashes:
        return
    with index_errors("the hashes could not be kept"), index.writing() as connection:
        connection.execute(_ADOPT, [{"row": pk, "hash": one} for pk, one in hashes])


def _found(
    index: IndexDatabase, statement: Select[Any], values: Iterable[object]
) -> Iterator[InstanceRow]:
    for some in batches(values):
        with index_errors(_FAILED), index.reading() as connection:
            rows = [InstanceRow(*one) for one in connection.execute(statement, {"some": some})]
        yield from rows

"""What is deleted: the rows that deleting reads and writes, and the values that tell of them.

The object of a deleted instance has a row of ``deleted_objects`` until it is removed for good or
brought back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

import attrs
from sqlalchemy import Connection, Insert, Row, bindparam, delete, exists, func, or_, select

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.storage.index.changes import moment
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.portable_sql import insert_or_update
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.index.tables import (
    deleted_objects,
    duplicate_objects,
    instances,
    series,
    studies,
)
from pacs_sdk.storage.objects.backend import StorageBackend
from pacs_sdk.storage.objects.disk import reason_of
from pacs_sdk.storage.objects.object_files import not_found
from pacs_sdk.storage.records import IndexEntry

__all__ = [
    "DeletedInstance",
    "DeletionReport",
    "brought_back",
    "check_kept",
    "deleted_instances",
    "flush_index",
    "forget_deleted",
    "insert_of_deleted",
    "instance_to_delete",
    "is_back",
    "is_deleted",
    "keys_to_purge",
    "lock_deleted",
    "lock_kept",
    "studies_of",
    "take_back",
]

_NOT_LISTED: Final = "deleted objects could not be listed"

_INSTANCE_OF_ROW: Final = (
    select(
        instances.c.storage_key,
        instances.c.size_bytes,
        series.c.series_instance_uid,
        studies.c.study_instance_uid,
    )
    .select_from(
        instances.join(series, instances.c.series_fk == series.c.pk).join(
            studies, series.c.study_fk == studies.c.pk
        )
    )
    .where(instances.c.pk == bindparam("row"))
)
_STUDIES_OF: Final = (
    select(studies.c.study_instance_uid)
    .join(series, series.c.study_fk == studies.c.pk)
    .join(instances, instances.c.series_fk == series.c.pk)
    .where(instances.c.sop_instance_uid.in_(bindparam("uids", expanding=True)))
    .distinct()
)
_IS_BACK: Final = select(
    or_(
        exists().where(
            instances.c.sop_instance_uid == bindparam("uid"),
            instances.c.storage_key == bindparam("key"),
        ),
        exists().where(duplicate_objects.c.storage_key == bindparam("key")),
    )
)
_KEPT: Final = tuple(
    select(table.c.pk)
    .where(table.c.sop_instance_uid == bindparam("uid"), table.c.storage_key == bindparam("key"))
    .with_for_update()
    for table in (instances, duplicate_objects)
)
_DUE_STUDIES: Final = (
    select(deleted_objects.c.study_instance_uid)
    .where(deleted_objects.c.purge_ms <= bindparam("now"))
    .group_by(deleted_objects.c.study_instance_uid)
    .order_by(func.min(deleted_objects.c.purge_ms))
)
_DUE: Final = (
    select(deleted_objects.c.storage_key)
    .where(
        deleted_objects.c.study_instance_uid == bindparam("study"),
        deleted_objects.c.purge_ms <= bindparam("now"),
    )
    .order_by(deleted_objects.c.purge_ms, deleted_objects.c.pk)
    .limit(bindparam("at_most"))
)
_BY_KEY: Final = select(deleted_objects.c.sop_instance_uid).where(
    deleted_objects.c.storage_key == bindparam("key")
)
_LOCKED: Final = _BY_KEY.where(deleted_objects.c.purge_ms <= bindparam("now")).with_for_update()
_FORGET: Final = delete(deleted_objects).where(deleted_objects.c.storage_key == bindparam("key"))
_TAKE_BACK: Final = _FORGET.where(deleted_objects.c.at_ms == bindparam("at"))


@attrs.frozen
class DeletionReport:
    """What was deleted."""

    instances: int
    """How many instances."""
    size_bytes: int
    """How many bytes their objects have."""
    recoverable_until: datetime | None
    """When they are removed for good; ``None`` if they are already."""


@attrs.frozen
class DeletedInstance:
    """An instance that is deleted and can be brought back."""

    study_instance_uid: str
    """The study it was in."""
    series_instance_uid: str
    """The series it was in."""
    sop_instance_uid: str
    """The instance."""
    storage_key: str
    """Where its object still is."""
    size_bytes: int
    """How many bytes that has."""
    deleted_at: datetime
    """When it was deleted, UTC."""
    recoverable_until: datetime
    """When it is removed for good, UTC."""
    reason: str
    """Why it was deleted, in the words of whoever did."""


def instance_to_delete(connection: Connection, row: int) -> Row[str, int, str, str] | None:
    """Find an instance's storage key, size in bytes, Series and Study Instance UID.

    Args:
        connection: In a transaction.
        row: The number of its row.

    Returns:
        A row of these; ``None`` if it is not there any more.
    """
    return connection.execute(_INSTANCE_OF_ROW, {"row": row}).one_or_none()


def studies_of(index: IndexDatabase, sop_instance_uids: Sequence[str]) -> frozenset[str]:
    """Return the studies that instances are in now, some dozens of them.

    Raises:
        PacsException: ``INDEX_FAILED``.
    """
    with index_errors("instances could not be looked for"), index.reading() as connection:
        return frozenset(connection.execute(_STUDIES_OF, {"uids": sop_instance_uids}).scalars())


def insert_of_deleted(connection: Connection) -> Insert:
    """Make the INSERT that records an object as deleted, instead of what was recorded of it."""
    return insert_or_update(connection, deleted_objects, ("storage_key",), "pk")


def deleted_instances(
    index: IndexDatabase, study_instance_uid: str | None
) -> list[DeletedInstance]:
    """List what can be brought back, in the order of deletion.

    Args:
        index: Where it is recorded.
        study_instance_uid: Of which study; ``None`` for all.

    Raises:
        PacsException: ``INDEX_FAILED``.
    """
    statement = select(deleted_objects).order_by(deleted_objects.c.pk)
    if study_instance_uid is not None:
        statement = statement.where(deleted_objects.c.study_instance_uid == study_instance_uid)
    with index_errors(_NOT_LISTED), index.reading() as connection:
        return [
            DeletedInstance(
                row.study_instance_uid,
                row.series_instance_uid,
                row.sop_instance_uid,
                row.storage_key,
                row.size_bytes,
                moment(row.at_ms),
                moment(row.purge_ms),
                row.reason,
            )
            for row in connection.execute(statement)
        ]


def keys_to_purge(
    index: IndexDatabase, now_ms: int, at_most: int, may_delete: Callable[[str], bool]
) -> list[str]:
    """List the keys of objects whose time has come, those of the study that waits longest first.

    Args:
        index: Where they are recorded.
        now_ms: The time of day, as :func:`milliseconds` tells it.
        at_most: How many.
        may_delete: Whether a study may be deleted; it may have to be kept since it was.

    Raises:
        PacsException: ``INDEX_FAILED``.
    """
    with index_errors(_NOT_LISTED), index.reading() as connection:
        due = connection.execute(_DUE_STUDIES, {"now": now_ms}).scalars().all()
    keys: list[str] = []
    for study in filter(may_delete, due):
        if len(keys) >= at_most:
            break
        wanted = {"study": study, "now": now_ms, "at_most": at_most - len(keys)}
        with index_errors(_NOT_LISTED), index.reading() as connection:
            keys.extend(connection.execute(_DUE, wanted).scalars())
    return keys


def is_deleted(connection: Connection, storage_key: str) -> bool:
    """Tell whether an object is there only until its time has come."""
    return connection.execute(_BY_KEY, {"key": storage_key}).scalar() is not None


def check_kept(backend: StorageBackend, connection: Connection, entry: IndexEntry) -> None:
    """Check that an object is there, and not only until its time has come.

    Asked in the transaction that has made its row: who deletes it has done so before, or comes after.

    Raises:
        PacsException: ``OBJECT_NOT_FOUND``; or it cannot be told.
    """
    key = entry.storage_key
    if is_deleted(connection, key):
        raise not_found(key)
    raised(backend.stat(key))


def lock_deleted(connection: Connection, storage_key: str, now_ms: int) -> str | None:
    """Lock the row of a deleted object whose time has come until the caller's transaction ends.

    Returns:
        The SOP Instance UID in it; ``None`` if there is no such row any more, or one of a later
        deletion.
    """
    wanted = {"key": storage_key, "now": now_ms}
    uid: str | None = connection.execute(_LOCKED, wanted).scalar()
    return uid


def is_back(connection: Connection, sop_instance_uid: str, storage_key: str) -> bool:
    """Tell whether an object has come back: as that of its instance, or kept beside it."""
    found = connection.execute(_IS_BACK, {"uid": sop_instance_uid, "key": storage_key})
    return bool(found.scalar())


def lock_kept(connection: Connection, sop_instance_uid: str, storage_key: str) -> bool:
    """Lock the row of an object that is kept, until the caller's transaction ends.

    Returns:
        Whether there is one: as that of its instance, or kept beside it.
    """
    wanted = {"uid": sop_instance_uid, "key": storage_key}
    return any(connection.execute(one, wanted).scalar() is not None for one in _KEPT)


def forget_deleted(connection: Connection, storage_key: str) -> bool:
    """Remove the row of an object that is removed for good or brought back.

    Returns:
        Whether there was one; of several who ask at a time, one is told so.
    """
    return bool(connection.execute(_FORGET, {"key": storage_key}).rowcount)


def take_back(connection: Connection, deleted: DeletedInstance) -> None:
    """Let an object count as deleted no more, in the transaction in which it is recorded again.

    Who removes it for good, or stores another object in its place, has done so before or comes after.

    Raises:
        PacsException: ``OBJECT_NOT_FOUND``: it is not there any more as it was deleted.
    """
    key, at = deleted.storage_key, round(deleted.deleted_at.timestamp() * 1000)
    if not connection.execute(_TAKE_BACK, {"key": key, "at": at}).rowcount:
        raise not_found(key)


@contextlib.contextmanager
def brought_back(index: IndexDatabase, storage_key: str) -> Iterator[bool]:
    """Let an object count as deleted no more, unless what is done meanwhile fails.

    Whoever removes it for good has done so before, or finds afterwards that it is not to be removed.

    Args:
        index: Where it is recorded.
        storage_key: Its key.

    Yields:
        Whether it counted as deleted until now; otherwise somebody was faster.

    Raises:
        PacsException: ``INDEX_FAILED``.
    """
    with index_errors("a deletion could not be undone"), index.writing() as connection:
        yield forget_deleted(connection, storage_key)


def flush_index(make_lasting: Callable[[], None]) -> None:
    """Have on the disk what was committed.

    Raises:
        PacsException: ``INDEX_FAILED``.
    """
    try:
        make_lasting()
    except OSError as exc:
        raise PacsException(
            ErrorCode.INDEX_FAILED,
            f"the index could not be flushed to the disk: {reason_of(exc)}",
        ) from exc

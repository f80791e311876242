"""The objects that are kept beside an instance: its SOP Instance UID, another content.

Under the policy ``keep_both`` the first object stays the instance, which queries find and
which is sent; the others are in the table ``duplicate_objects``, until somebody has looked
at them and decided.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from sqlalchemy import Connection, Select, bindparam, delete, select

from pacs_sdk.core.ports import Clock
from pacs_sdk.storage.index.changes import milliseconds
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.portable_sql import insert_or_leave
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.index.tables import duplicate_objects

__all__ = [
    "DuplicateObject",
    "duplicates_of",
    "forget_duplicate",
    "record_duplicate",
    "taken_duplicates",
]


@attrs.frozen
class DuplicateObject:
    """An object that is kept beside the instance whose SOP Instance UID it has."""

    sop_instance_uid: str
    """The UID of both."""
    storage_key: str
    """The key of this object; ``StorageBackend.open`` gives its bytes."""
    size_bytes: int
    """How many bytes it has."""
    content_hash: str
    """The hash of its bytes."""
    stored_at: datetime
    """When it came first (UTC)."""


_COLUMNS: Final = duplicate_objects.c
_OF_INSTANCE: Final[Select[Any]] = (
    select(duplicate_objects)
    .where(_COLUMNS.sop_instance_uid == bindparam("uid"))
    .order_by(_COLUMNS.pk)
)
_FORGET: Final = delete(duplicate_objects).where(_COLUMNS.sop_instance_uid == bindparam("uid"))
_FORGET_ONE: Final = delete(duplicate_objects).where(_COLUMNS.storage_key == bindparam("key"))


def record_duplicate(
    index: IndexDatabase,
    clock: Clock,
    sop_instance_uid: str,
    storage_key: str,
    size_bytes: int,
    content_hash: str,
    check: Callable[[Connection], None] = lambda _: None,
) -> bool:
    """Record an object that is kept beside an instance.

    Args:
        index: Where.
        clock: Tells when.
        sop_instance_uid: The instance.
        storage_key: The key of the object.
        size_bytes: How many bytes the object has.
        content_hash: The hash of its bytes.
        check: Called in the transaction that has recorded it; what it raises undoes that.

    Returns:
        Whether it was not recorded yet.

    Raises:
        PacsException: ``INDEX_FAILED``, or what the check gives.
    """
    row = {
        "at_ms": milliseconds(clock),
        "sop_instance_uid": sop_instance_uid,
        "storage_key": storage_key,
        "size_bytes": size_bytes,
        "content_hash": content_hash,
    }
    with index_errors("the duplicate could not be recorded"), index.writing() as connection:
        # SQLAlchemy forgets how many rows an INSERT made in PostgreSQL, unless told otherwise.
        statement = insert_or_leave(connection, duplicate_objects, ("storage_key",))
        made = connection.execute(statement.execution_options(preserve_rowcount=True), row)
        check(connection)
        return bool(made.rowcount == 1)


def forget_duplicate(index: IndexDatabase, storage_key: str) -> None:
    """Forget an object that was removed: recovery may have recorded it, a moment before.

    Raises:
        PacsException: ``INDEX_FAILED``.
    """
    with index_errors("the duplicate could not be forgotten"), index.writing() as connection:
        connection.execute(_FORGET_ONE, {"key": storage_key})


def duplicates_of(index: IndexDatabase, sop_instance_uid: str) -> tuple[DuplicateObject, ...]:
    """List the objects that are kept beside an instance, in the order in which they came.

    Raises:
        PacsException: ``INDEX_FAILED``.
    """
    with index_errors("the duplicates could not be listed"), index.reading() as connection:
        rows = connection.execute(_OF_INSTANCE, {"uid": sop_instance_uid}).all()
    return tuple(_duplicate(row) for row in rows)


def taken_duplicates(connection: Connection, sop_instance_uid: str) -> tuple[DuplicateObject, ...]:
    """Take what is recorded beside an instance out of the index, in the caller's transaction.

    Returns:
        What was recorded; whoever asks deletes the objects.
    """
    rows = connection.execute(_OF_INSTANCE, {"uid": sop_instance_uid}).all()
    if rows:
        connection.execute(_FORGET, {"uid": sop_instance_uid})
    return tuple(_duplicate(row) for row in rows)


def _duplicate(row: Any) -> DuplicateObject:
    return DuplicateObject(
        row.sop_instance_uid,
        row.storage_key,
        row.size_bytes,
        row.content_hash,
        datetime.fromtimestamp(row.at_ms / 1000, UTC),
    )

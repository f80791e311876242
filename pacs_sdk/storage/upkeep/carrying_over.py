"""What an index knows that no file tells, taken over into the index that replaces it.

These are the hashes of the objects, which of them are deleted and removed when their time
comes, the change feed and how far its consumers have come, which studies are to settle, when
duplicates came, whom instances may be moved to, and what the archive remembers of itself.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import Table, select
from sqlalchemy.exc import DatabaseError

from pacs_sdk.core.errors import PacsException
from pacs_sdk.storage.index.change_numbers import NUMBERS_LOST
from pacs_sdk.storage.index.index_database import index_url
from pacs_sdk.storage.index.schema import index_errors, open_engine
from pacs_sdk.storage.index.tables import (
    archive_state,
    change_cursors,
    changes,
    deleted_objects,
    destinations,
    unsettled_studies,
)

__all__ = [
    "CARRIED_OVER",
    "carry_over",
    "carrying_statements",
    "deleted_keys",
    "is_damage",
    "key_of",
]

CARRIED_OVER: Final = "reindex_carried_over"
"""The row of ``archive_state`` that says that it is done; whoever finishes removes it."""

_BUSY_S: Final = 60.0

_KEY_OF: Final = "SELECT storage_key FROM instances WHERE sop_instance_uid = ?"
_IS_DONE: Final = "SELECT 1 FROM main.archive_state WHERE name = ?"
_GO_ON: Final = """
UPDATE main.sqlite_sequence SET seq = max(
    seq, (SELECT max(seq) FROM old.sqlite_sequence WHERE name = 'changes') + ?)
WHERE name = 'changes' AND EXISTS (SELECT 1 FROM old.sqlite_sequence WHERE name = 'changes')
"""
"""The old index may have lost its last changes by then, whose numbers were seen."""

_DONE: Final = "INSERT INTO main.archive_state (name, value) VALUES (?, '')"

_STATEMENTS: Final = (
    """
UPDATE {new}.instances SET content_hash = coalesce((
    SELECT before.content_hash FROM {old}.instances AS before
    WHERE before.sop_instance_uid = instances.sop_instance_uid
      AND before.storage_key = instances.storage_key
      AND before.size_bytes = instances.size_bytes), '')
WHERE content_hash = ''
""",
    """
UPDATE {new}.duplicate_objects SET (at_ms, content_hash) = (
    SELECT before.at_ms, before.content_hash FROM {old}.duplicate_objects AS before
    WHERE before.storage_key = duplicate_objects.storage_key)
WHERE storage_key IN (SELECT storage_key FROM {old}.duplicate_objects)
""",
    # Changes of instances that the old index did not have: these are news to its consumers.
    """
CREATE TABLE {fresh} AS SELECT * FROM {new}.changes AS made
WHERE NOT EXISTS (
    SELECT 1 FROM {old}.instances AS before
    WHERE before.sop_instance_uid = made.sop_instance_uid)
ORDER BY pk
""",
    "DELETE FROM {new}.changes",
    """
DELETE FROM {new}.unsettled_studies WHERE study_instance_uid IN (
    SELECT study_instance_uid FROM {new}.unsettled_studies
    EXCEPT SELECT study_instance_uid FROM {fresh})
""",
)
"""What is changed in the new index, before rows of the old one are copied."""

_COPIED: Final = (
    changes,
    unsettled_studies,
    change_cursors,
    deleted_objects,
    destinations,
    archive_state,
)


def carrying_statements(new: str, old: str, fresh: str) -> tuple[str, ...]:
    """Return the SQL that takes over what the files do not tell; for one transaction.

    Args:
        new: The schema of the new index, as SQL writes its name.
        old: The schema of the old one.
        fresh: The name of a table that is made and dropped.
    """
    names = {"new": new, "old": old, "fresh": fresh}
    columns = _columns(changes, without="pk")
    return (
        *(one.format_map(names) for one in _STATEMENTS),
        *(_copying(table, new, old) for table in _COPIED),
        f"INSERT INTO {new}.changes ({columns}) SELECT {columns} FROM {fresh} ORDER BY pk",  # noqa: S608
        f"DROP TABLE {fresh}",
    )


def deleted_keys(old: Path) -> frozenset[str]:
    """Return the keys of objects whose instances were deleted, as the old index knows them.

    None where it cannot be read: then there is nothing that tells.
    """
    if not old.exists():
        return frozenset()
    try:
        engine = open_engine(index_url(old))
    except PacsException:
        return frozenset()
    try:
        with engine.connect() as connection:
            return frozenset(connection.execute(select(deleted_objects.c.storage_key)).scalars())
    except DatabaseError:  # damaged just there
        return frozenset()
    finally:
        engine.dispose()


def key_of(old: Path, sop_instance_uid: str) -> str | None:
    """Return the key of the object that an instance has in the old index.

    ``None`` where it has none, or the index cannot be read.
    """
    with contextlib.suppress(sqlite3.DatabaseError):
        connection = sqlite3.connect(f"{old.absolute().as_uri()}?mode=ro", uri=True)
        try:
            found = connection.execute(_KEY_OF, (sop_instance_uid,)).fetchone()
        finally:
            connection.close()
        return None if found is None else str(found[0])
    return None


def carry_over(old: Path, new: Path) -> str:
    """Take over from an index what the files do not tell; once, however often it is asked.

    Args:
        old: The index that is going to be replaced; it is migrated if it is an old one.
        new: The index that was made of the files.

    Returns:
        Why that could not be done; empty where it was.

    Raises:
        PacsException: ``INDEX_FAILED`` where the new index cannot be written.
    """
    if not old.exists():
        return "there was no index before"
    try:
        open_engine(index_url(old)).dispose()
    except PacsException as exc:
        return exc.error.message
    with index_errors("what the old index knows could not be taken over"):
        connection = sqlite3.connect(new, timeout=_BUSY_S, isolation_level=None)
        try:
            connection.execute("ATTACH DATABASE ? AS old", (str(old),))
            try:
                connection.execute("SELECT count(*) FROM old.instances").fetchone()
                _in_one_transaction(connection)
            except sqlite3.DatabaseError as exc:
                if not is_damage(exc):
                    raise
                return f"the index is damaged: {exc}"
        finally:
            connection.close()
    return ""


def _in_one_transaction(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute(_IS_DONE, (CARRIED_OVER,)).fetchone() is not None:
            connection.execute("ROLLBACK")
            return
        connection.execute(_GO_ON, (NUMBERS_LOST,))
        for statement in carrying_statements("main", "old", "temp.fresh"):
            connection.execute(statement)
        connection.execute(_DONE, (CARRIED_OVER,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _copying(table: Table, new: str, old: str) -> str:
    """Return the SQL that copies the rows of a table that the new index doesn't have."""
    names = _columns(table)
    return (
        f"INSERT INTO {new}.{table.name} ({names}) "  # noqa: S608  # names of ours
        f"SELECT {names} FROM {old}.{table.name} WHERE true ON CONFLICT DO NOTHING"
    )


def _columns(table: Table, without: str = "") -> str:
    return ", ".join(column.name for column in table.columns if column.name != without)


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Tell whether a database is damaged, or none, by the error that using it gives."""
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

"""The index that is being made: a file beside the old one, and how far the work is."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import delete, select

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger
from pacs_sdk.core.results import raised
from pacs_sdk.storage.index.further_attributes import FurtherAttributes
from pacs_sdk.storage.index.index_database import IndexDatabase, index_url
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.index.tables import archive_state
from pacs_sdk.storage.objects.disk import reason_of, sync_folder, sync_path
from pacs_sdk.storage.upkeep.carrying_over import CARRIED_OVER

__all__ = ["begin_index", "finish_index", "note_position", "replace_index"]

_POSITION: Final = "reindex_position"
"""The row of ``archive_state`` that says up to which file all have their rows."""

_OF_REINDEXING: Final = archive_state.c.name.in_((_POSITION, CARRIED_OVER))


def begin_index(
    made: Path, logger: Logger, clock: Clock, further: FurtherAttributes
) -> tuple[IndexDatabase, tuple[int, str] | None]:
    """Open the new index, and tell up to where an interrupted run has come.

    Args:
        made: Its file; a new one is made unless what is there can be gone on with.
        logger: Where contradictions between instances are recorded.
        clock: Tells the time of changes.
        further: What it keeps besides its own attributes; a run that was to keep others is
            not gone on with.

    Returns:
        The index; and the number of a backend and the key up to which all its files have
        their rows, or ``None`` where the work begins.

    Raises:
        PacsException: ``INDEX_FAILED``; so for the other functions.
    """
    with contextlib.ExitStack() as undo:
        try:
            index = IndexDatabase(index_url(made), logger, clock, further=further)
            undo.callback(index.close)
            position = _position(index)
            is_new = not raised(index.statistics()).instances
        except PacsException:  # what was left is no database, or of another version
            is_new, position = False, None
        if is_new or position is not None:
            undo.pop_all()
            return index, position
    _remove_database(made)  # or the work ended before it noted how far it was
    return IndexDatabase(index_url(made), logger, clock, further=further), None


def note_position(index: IndexDatabase, number: int, key: str) -> None:
    """Note up to which file all have their rows; they are committed already."""
    value = json.dumps([number, key, _kept_by(index)])
    with index_errors("the position could not be noted"), index.writing() as connection:
        connection.execute(delete(archive_state).where(archive_state.c.name == _POSITION))
        connection.execute(archive_state.insert(), {"name": _POSITION, "value": value})


def finish_index(index: IndexDatabase) -> None:
    """Remove what was noted about the work from the index."""
    with index_errors("the index could not be finished"), index.writing() as connection:
        connection.execute(delete(archive_state).where(_OF_REINDEXING))


def replace_index(made: Path, place: Path) -> None:
    """Put the new index in the place of the old one, at once or not at all.

    Args:
        made: The new one, which nobody has open.
        place: The old one, which nobody has open either.

    Raises:
        PacsException: ``STORAGE_WRITE_FAILED``.
    """
    try:
        sync_path(made)
        _empty_log(place)
        made.replace(place)
        sync_folder(place.parent)
    except OSError as exc:
        raise PacsException(
            ErrorCode.STORAGE_WRITE_FAILED,
            f"the new index {made} could not take the place of {place}: {reason_of(exc)}",
            path=str(place),
        ) from exc


def _position(index: IndexDatabase) -> tuple[int, str] | None:
    statement = select(archive_state.c.value).where(archive_state.c.name == _POSITION)
    with index_errors("the new index could not be read"), index.reading() as connection:
        value = connection.execute(statement).scalar()
    if value is None:
        return None
    number, key, *kept = json.loads(value)
    return (int(number), str(key)) if kept == [_kept_by(index)] else None


def _kept_by(index: IndexDatabase) -> list[int]:
    return sorted(index.further.by_tag)


def _empty_log(place: Path) -> None:
    """Have nothing in the old index's log (WAL): it would be applied to the new index.

    A database that is whole takes it in when it is closed, and so stays what it was. The log
    of one that is not is of no use.
    """
    if place.exists():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(place)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in ("-wal", "-shm"):
        place.with_name(f"{place.name}{suffix}").unlink(missing_ok=True)


def _remove_database(place: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        place.with_name(f"{place.name}{suffix}").unlink(missing_ok=True)

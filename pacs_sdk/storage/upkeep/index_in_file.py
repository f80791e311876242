"""A new index in a file: made beside the old one, which it replaces by a rename."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger
from pacs_sdk.storage.index.change_numbers import skip_lost_numbers
from pacs_sdk.storage.index.changes import milliseconds
from pacs_sdk.storage.index.further_attributes import FurtherAttributes
from pacs_sdk.storage.index.index_database import IndexDatabase, index_url
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.objects.disk import reason_of, sync_folder, sync_path
from pacs_sdk.storage.upkeep.carrying_over import carry_over, deleted_keys, is_damage, key_of
from pacs_sdk.storage.upkeep.new_index import Position, begin_index, finish_index

__all__ = ["IndexInFile", "remove_unfinished_index"]

_BUSY_S: Final = 5.0
"""How long another program may read the new index before it is an error, a backup say."""

_PREFIX: Final = "re"
"""The new index of ``index.sqlite`` is ``reindex.sqlite``. It is worth nothing any more once
somebody has opened the archive, and perhaps stored or deleted something."""


class IndexInFile:
    """The place of an index in a file, with the index that is to replace it.

    Args:
        place: The file.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._made = _made(place)

    def begin(
        self, logger: Logger, clock: Clock, further: FurtherAttributes
    ) -> tuple[IndexDatabase, Position | None]:
        """Open the new index; see :func:`begin_index`."""
        index, position = begin_index(
            index_url(self._made), lambda: _remove_database(self._made), logger, clock, further
        )
        if position is None:  # nothing of the old one may be left to go on from
            try:
                with index_errors("the new index cannot begin"), index.writing() as connection:
                    skip_lost_numbers(connection, milliseconds(clock))
            except BaseException:
                index.close()
                raise
        return index, position

    def deleted_keys(self) -> frozenset[str]:
        """Return the keys of objects whose instances were deleted, as the old index knows them."""
        return deleted_keys(self._place)

    def key_of(self, sop_instance_uid: str) -> str | None:
        """Return the key of an instance's object in the old index; see :func:`key_of`."""
        return key_of(self._place, sop_instance_uid)

    def carry_over(self) -> str:
        """Take over from the old index what the files do not tell; see :func:`carry_over`."""
        return carry_over(self._place, self._made)

    def replace(self, index: IndexDatabase) -> None:
        """Close the new index and rename it, at once or not at all.

        Raises:
            PacsException: ``INDEX_FAILED`` or ``STORAGE_WRITE_FAILED``.
        """
        finish_index(index)
        index.close()
        _replace_index(self._made, self._place)

    def close(self) -> None:
        """Nothing is open."""


def remove_unfinished_index(place: Path) -> bool:
    """Remove what a reindexing has left that was killed; false where there is nothing.

    Args:
        place: The index that is in use.
    """
    made = _made(place)
    if not made.exists():
        return False
    _remove_database(made)
    return True


def _made(place: Path) -> Path:
    return place.with_name(f"{_PREFIX}{place.name}")


def _replace_index(made: Path, place: Path) -> None:
    """Put the new index in the place of the old one, at once or not at all.

    Args:
        made: The new one, which nobody has open.
        place: The old one, which nobody has open either.

    Raises:
        PacsException: ``INDEX_FAILED`` or ``STORAGE_WRITE_FAILED``.
    """
    try:
        with index_errors(f"the new index {made} could not be completed"):
            _complete(made)
        sync_path(made)
        with index_errors(f"the old index {place} could not be closed"):
            _empty_log(place)
        made.replace(place)
        sync_folder(place.parent)
    except OSError as exc:
        raise PacsException(
            ErrorCode.STORAGE_WRITE_FAILED,
            f"the new index {made} could not take the place of {place}: {reason_of(exc)}",
            path=str(place),
        ) from exc


def _complete(made: Path) -> None:
    """Have all of the new index in its file, which alone is renamed.

    SQLite does so when a database is closed, but doesn't say so if it couldn't: the disk was
    full, say. Then all that was written is in the log (WAL).

    Raises:
        sqlite3.Error: Not all of it is there.
    """
    with contextlib.closing(sqlite3.connect(made, timeout=_BUSY_S)) as new:
        (is_busy, *_) = new.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    log = made.with_name(f"{made.name}-wal")
    if is_busy or (log.exists() and log.stat().st_size):
        raise sqlite3.OperationalError("its log is still in use")


def _empty_log(place: Path) -> None:
    """Have nothing in the old index's log (WAL): it would be applied to the new index.

    A database that is whole takes it in when it is closed, and so stays what it was. The log
    of one that is not is of no use.

    Raises:
        sqlite3.Error: Not all of the log could be taken in, and that is not for damage: the disk
            is full, say. The old index stays as it is.
    """
    if place.exists():
        try:
            with contextlib.closing(sqlite3.connect(place)) as old:
                old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.DatabaseError as exc:
            if not is_damage(exc):
                raise
    for suffix in ("-wal", "-shm"):
        place.with_name(f"{place.name}{suffix}").unlink(missing_ok=True)


def _remove_database(place: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        place.with_name(f"{place.name}{suffix}").unlink(missing_ok=True)

"""The index that is being made, and how far the work is; wherever it is made."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from sqlalchemy import URL, delete, select

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.ports import Clock, Logger
from pacs_sdk.core.results import raised
from pacs_sdk.storage.index.further_attributes import FurtherAttributes
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.index.tables import archive_state
from pacs_sdk.storage.upkeep.carrying_over import CARRIED_OVER

__all__ = [
    "WORK_NOTES",
    "IndexPlace",
    "Position",
    "begin_index",
    "finish_index",
    "note_position",
]

Position: TypeAlias = tuple[int, str]
"""The number of a backend, and the key up to which all its files have their rows."""

_POSITION: Final = "reindex_position"
"""The row of ``archive_state`` that says up to which file all have their rows."""

WORK_NOTES: Final = (_POSITION, CARRIED_OVER)
"""The rows of ``archive_state`` that are about the work."""


class IndexPlace(Protocol):
    """Where an index is, together with the new one that is going to replace it.

    All methods may raise ``PacsException`` (``INDEX_FAILED``).
    """

    def begin(
        self, logger: Logger, clock: Clock, further: FurtherAttributes
    ) -> tuple[IndexDatabase, Position | None]:
        """Open the new index; see :func:`begin_index`."""

    def deleted_keys(self) -> frozenset[str]:
        """Return the keys of objects whose instances were deleted, as the old index knows them."""

    def key_of(self, sop_instance_uid: str) -> str | None:
        """Return the key of an instance's object in the old index, if that can be read."""

    def carry_over(self) -> str:
        """Take over what no file tells; return why that could not be done, or an empty text."""

    def replace(self, index: IndexDatabase) -> None:
        """Close the new index and put it in the place of the old one, at once or not at all."""

    def close(self) -> None:
        """Have nothing open any more."""


def begin_index(
    made: URL,
    make_anew: Callable[[], None],
    logger: Logger,
    clock: Clock,
    further: FurtherAttributes,
) -> tuple[IndexDatabase, Position | None]:
    """Open the new index, and tell up to where an interrupted run has come.

    Args:
        made: Where it is; it begins anew unless what is there can be gone on with.
        make_anew: Removes what is there.
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
            index = IndexDatabase(made, logger, clock, further=further)
            undo.callback(index.close)
            position = _position(index)
            is_new = not raised(index.statistics()).instances
        except PacsException:  # what was left is no database, or of another version
            is_new, position = False, None
        if is_new or position is not None:
            undo.pop_all()
            return index, position
    make_anew()  # or the work ended before it noted how far it was
    return IndexDatabase(made, logger, clock, further=further), None


def note_position(index: IndexDatabase, number: int, key: str) -> None:
    """Note up to which file all have their rows; they are committed already."""
    value = json.dumps([number, key, _kept_by(index)])
    with index_errors("the position could not be noted"), index.writing() as connection:
        connection.execute(delete(archive_state).where(archive_state.c.name == _POSITION))
        connection.execute(archive_state.insert(), {"name": _POSITION, "value": value})


def finish_index(index: IndexDatabase) -> None:
    """Remove what was noted about the work from the index."""
    with index_errors("the index could not be finished"), index.writing() as connection:
        connection.execute(delete(archive_state).where(archive_state.c.name.in_(WORK_NOTES)))


def _position(index: IndexDatabase) -> Position | None:
    statement = select(archive_state.c.value).where(archive_state.c.name == _POSITION)
    with index_errors("the new index could not be read"), index.reading() as connection:
        value = connection.execute(statement).scalar()
    if value is None:
        return None
    number, key, *kept = json.loads(value)
    return (int(number), str(key)) if kept == [_kept_by(index)] else None


def _kept_by(index: IndexDatabase) -> list[int]:
    return sorted(index.further.by_tag)

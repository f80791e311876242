"""Reading the change feed, by position or by a named cursor that the database keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

from sqlalchemy import BigInteger, Connection, bindparam, delete, exists, literal, select, tuple_

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.storage.index.changes import FEED_START, Change, ChangeKind, FeedPosition, moment
from pacs_sdk.storage.index.portable_sql import insert_or_update, transactions_before
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.index.tables import change_cursors, changes

__all__ = ["MAX_CHANGES", "ChangeFeed", "changes_after", "cursor_position", "keep_cursor"]

MAX_CHANGES: Final = 10_000
"""The most changes that one call gives: some megabytes."""

_CURSOR_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_FAILED: Final = "the change feed could not be read"
_NOT_KEPT: Final = "the cursor of the change feed could not be kept"

Connect: TypeAlias = Callable[[], AbstractContextManager[Connection]]


class ChangeFeed:
    """What was stored, replaced, deleted and settled; durable, and read as often as wanted.

    A consumer that may miss nothing keeps its place under a name::

        for change in feed.read("my-router").unwrap():
            send_on(change)
            feed.advance("my-router", change.position)

    After a crash it sees again what it had not yet advanced over: at least once, in order.

    Args:
        reading: Gives a connection for reading.
        writing: Gives a connection in a transaction that writes.
    """

    def __init__(self, reading: Connect, writing: Connect) -> None:
        self._reading = reading
        self._writing = writing

    @edge()
    def changes(
        self, since: FeedPosition | str = FEED_START, limit: int = 1000
    ) -> tuple[Change, ...]:
        """Return what happened after a position.

        Args:
            since: A position, or what ``str`` of one gave.
            limit: How many changes at most, 1 to :data:`MAX_CHANGES`.

        Returns:
            ``Success`` with the next changes, none if there are none; or ``Failure`` with
            ``INVALID_ARGUMENT``, also for a position that was given before the database was
            restored into another server, or with ``INDEX_FAILED``.
        """
        position = FeedPosition.of(since) if isinstance(since, str) else since
        with index_errors(_FAILED), self._reading() as connection:
            _check_place(connection, position)
            return changes_after(connection, position, _checked_limit(limit))

    @edge()
    def read(self, cursor: str, limit: int = 1000) -> tuple[Change, ...]:
        """Return what happened after the place of a cursor; a new one begins at the start.

        Args:
            cursor: Its name: letters, digits, dots, hyphens, underscores; 64 at most.
            limit: How many changes at most, 1 to :data:`MAX_CHANGES`.

        Returns:
            As :meth:`changes`.
        """
        name = _checked_name(cursor)
        with index_errors(_FAILED), self._reading() as connection:
            position = cursor_position(connection, name)
            return changes_after(connection, position, _checked_limit(limit))

    @edge()
    def advance(self, cursor: str, position: FeedPosition) -> None:
        """Keep a cursor's place: what stands there and before is done with.

        A place before the one that is kept is taken as well: the changes come again.

        Args:
            cursor: Its name.
            position: That of the last change that was dealt with; ``FEED_START`` for none.

        Returns:
            ``Success``, or ``Failure`` with ``INVALID_ARGUMENT`` as for :meth:`changes`, or
            with ``INDEX_FAILED``.
        """
        name = _checked_name(cursor)
        with index_errors(_NOT_KEPT), self._writing() as connection:
            _check_place(connection, position)
            keep_cursor(connection, name, position)

    @edge()
    def cursors(self) -> dict[str, FeedPosition]:
        """Return the places of all cursors by name.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        statement = select(change_cursors).order_by(change_cursors.c.name)
        with index_errors(_FAILED), self._reading() as connection:
            return {
                row.name: FeedPosition(row.transaction_id, row.change_pk)
                for row in connection.execute(statement)
            }

    @edge()
    def forget(self, cursor: str) -> None:
        """Drop a cursor; it does no harm to drop one that is not there.

        Returns:
            ``Success``, or ``Failure`` with ``INVALID_ARGUMENT`` or ``INDEX_FAILED``.
        """
        name = _checked_name(cursor)
        with index_errors(_NOT_KEPT), self._writing() as connection:
            connection.execute(delete(change_cursors).where(change_cursors.c.name == name))


def changes_after(connection: Connection, position: FeedPosition, limit: int) -> tuple[Change, ...]:
    """Return the changes after a position, within the caller's transaction."""
    order = (changes.c.transaction_id, changes.c.pk)
    statement = select(changes).limit(limit)
    ended = transactions_before(connection)
    if ended is None:
        statement = statement.where(changes.c.pk > position.number).order_by(changes.c.pk)
    else:
        after = (literal(position.transaction, BigInteger), literal(position.number, BigInteger))
        statement = (
            statement.where(tuple_(*order) > tuple_(*after))
            .where(changes.c.transaction_id < ended)
            .order_by(*order)
        )
    return tuple(_changes(connection.execute(statement)))


def has_withheld(connection: Connection, position: FeedPosition) -> bool:
    """Tell whether there are changes after the last one that the feed gives.

    They are committed, and given once all transactions have ended that began before them.

    Args:
        connection: In the transaction in which the feed was read.
        position: That of the last change that it gave.
    """
    if transactions_before(connection) is None:
        return False
    order = (changes.c.transaction_id, changes.c.pk)
    after = (literal(position.transaction, BigInteger), literal(position.number, BigInteger))
    later = select(exists().where(tuple_(*order) > tuple_(*after)))
    return bool(connection.execute(later).scalar())


def cursor_position(connection: Connection, name: str) -> FeedPosition:
    """Return the place of a cursor, the start for one that is not there."""
    row = connection.execute(_CURSOR, {"name": name}).one_or_none()
    return FEED_START if row is None else FeedPosition(row.transaction_id, row.change_pk)


def keep_cursor(connection: Connection, name: str, position: FeedPosition) -> None:
    """Keep the place of a cursor, within the caller's transaction."""
    connection.execute(
        insert_or_update(connection, change_cursors, ("name",)),
        {
            "name": name,
            "transaction_id": position.transaction,
            "change_pk": position.number,
        },
    )


_CURSOR: Final = select(change_cursors).where(change_cursors.c.name == bindparam("name"))
_IS_CHANGE: Final = select(
    exists().where(
        changes.c.pk == bindparam("number"), changes.c.transaction_id == bindparam("transaction")
    )
)


def _check_place(connection: Connection, position: FeedPosition) -> None:
    """Refuse a position that this feed cannot have given, for what it lies before is not known.

    A change is kept for ever, and its transaction has the number of the position until the
    database is restored into another server.
    """
    if position.transaction == 0:
        return  # the start, or a change with that number; what is new comes after it
    values = {"number": position.number, "transaction": position.transaction}
    if not connection.execute(_IS_CHANGE, values).scalar():
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"the change feed has no position {position}: the database was restored, or the index "
            "made anew, after it was given; begin at the start, from which changes come again",
        )


def _changes(rows: object) -> Iterator[Change]:
    for row in rows:  # type: ignore[attr-defined]  # of a select of the whole table
        yield Change(
            FeedPosition(row.transaction_id, row.pk),
            ChangeKind(row.kind),
            moment(row.at_ms),
            row.study_instance_uid,
            row.series_instance_uid,
            row.sop_instance_uid,
        )


def _checked_name(name: str) -> str:
    if _CURSOR_NAME.fullmatch(name) is None:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"{name[:80]!r} cannot be the name of a cursor: letters, digits, dots, hyphens and "
            "underscores, 64 at most, a letter or digit first",
        )
    return name


def _checked_limit(limit: int) -> int:
    if not 1 <= limit <= MAX_CHANGES:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT, f"the limit is {limit}; it must be 1 to {MAX_CHANGES}"
        )
    return limit

"""Studies that have settled: nothing has happened to them for a while."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.events import StudySettled
from pacs_sdk.core.ports import Clock, EventBus, NullEventBus, SystemClock
from pacs_sdk.core.results import edge
from pacs_sdk.storage.index.change_feed import (
    Connect,
    changes_after,
    cursor_position,
    has_withheld,
    keep_cursor,
)
from pacs_sdk.storage.index.changes import Change, ChangeKind, milliseconds
from pacs_sdk.storage.index.portable_sql import insert_or_update, latest_transaction
from pacs_sdk.storage.index.postgres_engine import lock_settling
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.index.tables import changes, studies, unsettled_studies
from pacs_sdk.storage.rule_errors import rule_errors

__all__ = ["StudySettler"]

_NOT_LOOKED_FOR: Final = "settled studies could not be looked for"
_CURSOR: Final = "pacs.settling"
_CHANGES_A_STEP: Final = 5000
_STUDIES_A_STEP: Final = 500

_IS_STORED: Final = select(exists().where(studies.c.study_instance_uid == bindparam("uid")))
_DUE: Final = (
    select(unsettled_studies.c.study_instance_uid)
    .where(unsettled_studies.c.last_change_ms <= bindparam("before"))
    .order_by(unsettled_studies.c.last_change_ms)
    .limit(_STUDIES_A_STEP)
)
_NOT_LATER: Final = (
    update(unsettled_studies)
    .where(unsettled_studies.c.last_change_ms > bindparam("now"))
    .values(last_change_ms=bindparam("now"))
)
"""A clock that was put back, or another node's, must not keep a study from settling until it has
come to the time of the last change."""

_FORGET: Final = delete(unsettled_studies).where(
    unsettled_studies.c.study_instance_uid == bindparam("uid")
)


class StudySettler:
    """Finds studies that nothing happened to for a while, and says so in the change feed.

    It follows the feed itself, by a cursor of its own, so storing an image costs nothing
    more, and a restart or another node that takes over changes nothing. One node settles studies
    at a time: several may call :meth:`step`.

    Args:
        writing: Gives a connection in a transaction that writes.
        quiet: How long nothing must have happened.
        bus: Where ``StudySettled`` is published; nowhere by default.
        clock: Tells the time.
        may_settle: Asked about a study that would settle; false while it is known that
            something is to come, as a procedure step in progress tells. Yes by default.
    """

    def __init__(
        self,
        writing: Connect,
        quiet: timedelta,
        *,
        bus: EventBus | None = None,
        clock: Clock | None = None,
        may_settle: Callable[[str], bool] = lambda _: True,
    ) -> None:
        if quiet <= timedelta(0):
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION, "a study needs some time to settle, more than 0 s"
            )
        self._writing = writing
        self._quiet = quiet
        self._bus = bus or NullEventBus()
        self._clock = clock or SystemClock()
        self._may_settle = may_settle

    @edge()
    def step(self) -> tuple[str, ...]:
        """Look at what happened since, and settle what is due.

        So many changes at a time that no other writer has to wait for long; while there are
        more of them nothing settles. Nor does it while another node looks.

        Returns:
            ``Success`` with the Study Instance UIDs of those that settled by this, or
            ``Failure`` with ``INDEX_FAILED``, or what ``may_settle`` has raised of a study
            (``INTERNAL``, if that is no ``PacsException``), which waits; others settle all the same.
        """
        with index_errors(_NOT_LOOKED_FOR), self._writing() as connection:
            due = self._due(connection)
        # Between two transactions: whoever is asked may look into the archive, or take a while.
        allowed, errors = self._allowed(due)
        settled: tuple[str, ...] = ()
        if allowed:
            with index_errors(_NOT_LOOKED_FOR), self._writing() as connection:
                settled = self._settle(connection, allowed)
        for study_instance_uid in settled:
            self._bus.publish(StudySettled(study_instance_uid))
        if errors:
            raise errors[0]
        return settled

    def _allowed(self, due: Sequence[str]) -> tuple[list[str], list[PacsException]]:
        """Ask which studies may settle; return them, and what was raised about others."""
        allowed, errors = [], []
        for uid in due:
            try:
                with rule_errors(ErrorCode.INTERNAL, f"whether study {uid} may settle is not told"):
                    if self._may_settle(uid):
                        allowed.append(uid)
            except PacsException as exc:
                errors.append(exc)
        return allowed, errors

    def _follow(self, connection: Connection) -> bool:
        """Take note of the studies that something happened to; false while there are more.

        These may be withheld: a transaction that somebody left open holds up what came after it.
        """
        position = cursor_position(connection, _CURSOR)
        found = changes_after(connection, position, _CHANGES_A_STEP)
        latest = {
            change.study_instance_uid: _at_ms(change)
            for change in found
            if change.kind is not ChangeKind.SETTLED
        }
        if latest:
            connection.execute(
                insert_or_update(connection, unsettled_studies, ("study_instance_uid",)),
                [
                    {"study_instance_uid": uid, "last_change_ms": at_ms}
                    for uid, at_ms in latest.items()
                ],
            )
        if found:
            position = found[-1].position
            keep_cursor(connection, _CURSOR, position)
        return len(found) < _CHANGES_A_STEP and not has_withheld(connection, position)

    def _due(self, connection: Connection) -> list[str]:
        """List the studies that are quiet; none while another node looks, or there are more changes.

        What comes later in the feed may be about a study that seems to be quiet.
        """
        if not (_is_alone(connection) and self._follow(connection)):
            return []
        now = milliseconds(self._clock)
        before = now - self._quiet // timedelta(milliseconds=1)
        connection.execute(_NOT_LATER, {"now": now})
        due = []
        for uid in connection.execute(_DUE, {"before": before}).scalars().all():
            if connection.execute(_IS_STORED, {"uid": uid}).scalar():
                due.append(str(uid))
            else:
                connection.execute(_FORGET, {"uid": uid})  # all of it was deleted
        return due

    def _settle(self, connection: Connection, allowed: Collection[str]) -> tuple[str, ...]:
        """Settle those studies that may settle and are quiet still."""
        now = milliseconds(self._clock)
        settled = []
        for uid in self._due(connection):
            if uid in allowed and connection.execute(_FORGET, {"uid": uid}).rowcount:
                connection.execute(
                    insert(changes).values(
                        kind=int(ChangeKind.SETTLED),
                        at_ms=now,
                        study_instance_uid=uid,
                        series_instance_uid="",
                        sop_instance_uid="",
                        transaction_id=latest_transaction(connection),
                    )
                )
                settled.append(uid)
        return tuple(settled)


def _is_alone(connection: Connection) -> bool:
    """Tell whether no other node makes a step until this one is committed."""
    # In SQLite writers take turns.
    return connection.dialect.name != "postgresql" or lock_settling(connection)


def _at_ms(change: Change) -> int:
    return round(change.at.timestamp() * 1000)

"""Which instances SQLite does not have, looked up for each instance that comes.

What is asked is not whether an instance is there, but which one comes before it in the order of
UIDs and which come after it: so it is known that there is none between them. Those of a series
nearly always follow one another, and as long as they are sent in that order one look does for those
of 20 ms. The next one alone would not do: numbers mostly have no leading zeros, so 1005 comes after
100 and before 101.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.exc import SQLAlchemyError

from pacs_sdk.core.ports import Clock
from pacs_sdk.storage.index.database_errors import index_errors

__all__ = ["Absence", "Absences"]

_ABSENT_S: Final = 0.02
"""How long another process is taken to have added nothing; so long a promised row may wait, so
within this time two processes may store one instance in two studies anyway."""

_HAVE_ROWS: Final = "SELECT sop_instance_uid FROM instances WHERE sop_instance_uid IN (%s)"

_MOST_AFTER: Final = 16
"""So many of those that come after an instance are asked for."""

_NEIGHBOURS: Final = (
    "SELECT (SELECT max(sop_instance_uid) FROM instances WHERE sop_instance_uid < ?1), "
    "(SELECT json_group_array(sop_instance_uid) FROM (SELECT sop_instance_uid FROM instances "
    "WHERE sop_instance_uid >= ?1 ORDER BY sop_instance_uid LIMIT %d))"
)
"""In one row: the driver lets other threads run Python at each."""

_MOST_STRETCHES: Final = 64
"""So many stretches are remembered, one for each beginning of UIDs."""


@attrs.frozen
class Absence:
    """That an instance had no row at a moment."""

    transactions: int
    """What this process had counted then; odd while it committed something."""
    until: float
    """When to look again, by the clock's monotonic time."""


@attrs.frozen
class _Stretch:
    """Which UIDs had a row at a moment, in a part of their order."""

    after: str
    """Where it begins, behind this one; empty where none comes before."""
    present: frozenset[str]
    """Those in it that had one."""
    before: str | None
    """Where it ends, before this one; ``None`` where none comes after."""
    absence: Absence

    def tells(self, uid: str) -> bool:
        """Tell whether an instance had no row, as far as this is known."""
        return (
            self.after < uid  # as SQLite compares them: by their bytes
            and (self.before is None or uid < self.before)
            and uid not in self.present
        )


class Absences:
    """Looks for instances through a connection of its own, which threads take in turns.

    Args:
        engine: The database.
        check_open: Raises ``INDEX_FAILED`` where the index has been closed.
        clock: Tells for how long an instance is known to be absent.
        transactions: Counts what this process commits: once before, once after it. Between both
            others may see it already, or not yet.
    """

    def __init__(
        self,
        engine: Engine,
        check_open: Callable[[], None],
        clock: Clock,
        transactions: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._check_open = check_open
        self._clock = clock
        self._transactions = transactions
        self._stretches: dict[str, _Stretch] = {}
        self._connection: PoolProxiedConnection | None = None
        self._looking = threading.Lock()

    def of(self, uids: Sequence[str]) -> list[Absence | None]:
        """Look for instances; ``None`` for each that has a row that is committed.

        Raises:
            PacsException: ``INDEX_FAILED``.
        """
        if len(uids) == 1:
            return [self._now(uids[0])]
        found: dict[str, Absence | None] = {}
        looked_for: set[str] = set()
        rest: list[str] = []
        for uid in sorted(uids):
            found[uid] = self._known(uid)
            if found[uid] is None:
                beginning = _beginning(uid)
                if beginning in looked_for:  # they come in no order: one statement does for all
                    rest.append(uid)
                else:
                    looked_for.add(beginning)
                    found[uid] = self._looked_for(uid)
        if rest:
            found.update(self._looked_for_all(rest))
        return [found[uid] for uid in uids]

    def is_absent(self, sop_instance_uid: str, known: Absence | None) -> bool:
        """Tell whether an instance has no row, given what was found a moment ago.

        Raises:
            PacsException: ``INDEX_FAILED``.
        """
        if known is not None and self._holds(known):
            return True
        return self._now(sop_instance_uid) is not None

    def is_indexed(self, sop_instance_uid: str) -> bool:
        """Tell whether an instance has a row that is committed.

        Raises:
            PacsException: ``INDEX_FAILED``.
        """
        return bool(self._found(_HAVE_ROWS % "?", (sop_instance_uid,)))

    def close(self) -> None:
        """Close the connection."""
        with self._looking:
            if self._connection is not None:
                self._connection.close()

    # -- inside ------------------------------------------------------------------

    def _now(self, uid: str) -> Absence | None:
        return self._known(uid) or self._looked_for(uid)

    def _known(self, uid: str) -> Absence | None:
        """Return what an earlier look tells of an instance."""
        stretch = self._stretches.get(_beginning(uid))
        if stretch is not None and stretch.tells(uid) and self._holds(stretch.absence):
            return stretch.absence
        return None

    def _looked_for(self, uid: str) -> Absence | None:
        absence = self._absence_now()
        ((after, found),) = self._found(_NEIGHBOURS % _MOST_AFTER, (uid,))
        present: list[str] = json.loads(found)
        if len(self._stretches) >= _MOST_STRETCHES:
            self._stretches.clear()
        self._stretches[_beginning(uid)] = _Stretch(
            after or "",
            frozenset(present),
            max(present) if len(present) == _MOST_AFTER else None,
            absence,
        )
        return None if uid in present else absence

    def _looked_for_all(self, uids: Sequence[str]) -> dict[str, Absence | None]:
        absence = self._absence_now()
        found = self._found(_HAVE_ROWS % ",".join("?" * len(uids)), uids)
        return {uid: None if (uid,) in found else absence for uid in uids}

    def _absence_now(self) -> Absence:
        return Absence(self._transactions(), self._clock.monotonic() + _ABSENT_S)

    def _holds(self, absence: Absence) -> bool:
        return (
            not absence.transactions & 1
            and absence.transactions == self._transactions()
            and self._clock.monotonic() < absence.until
        )

    def _found(self, statement: str, uids: Sequence[str]) -> Sequence[tuple[Any, ...]]:
        with self._looking:
            self._check_open()
            try:  # no context manager: once an image
                if self._connection is None:
                    self._connection = self._engine.raw_connection()
                driver: Any = self._connection.driver_connection
                found: list[tuple[Any, ...]] = driver.execute(statement, uids).fetchall()
            except (SQLAlchemyError, sqlite3.Error) as exc:
                with index_errors("the index could not be searched"):
                    raise exc
            return found


def _beginning(uid: str) -> str:
    return uid.rpartition(".")[0]

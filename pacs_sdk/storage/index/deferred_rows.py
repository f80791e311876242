"""Rows that are written a moment after their objects are safe, many in one transaction.

An object that has its name is not lost with its row: the next opening of the archive finds it
and adds the row. So whoever stores an instance need not wait for the database. Whoever asks the
database has to see what was acknowledged before, and so has it written first
(docs/explanation/decisions/0034-rows-written-behind.md).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.storage.index.absences import Absence
from pacs_sdk.storage.index.index_transactions import Check, RefusedEntry
from pacs_sdk.storage.index.index_writer import InstanceRow
from pacs_sdk.storage.records import IndexEntry

__all__ = ["ROOM_BYTES", "DeferredRows", "PromiseBoard", "Refused"]

Refused: TypeAlias = Callable[[RefusedEntry], None]

_WORTH_A_TRANSACTION: Final = 32
"""A transaction costs as much as thirty rows; more would keep a sender waiting for longer."""

_AT_MOST: Final = 1024
"""Rows that wait, with some kilobytes each; whoever brings more waits for the database."""

ROOM_BYTES: Final = 1 << 26
"""What has to be free where the index is before rows are promised: more than so many rows take,
with their entries in all indexes and in the log."""

_QUIET_S: Final = 0.02
"""How long a row waits if nobody comes by to write it. Other processes wait as long for it."""

_AGAIN_S: Final = 1.0
"""How long after a failure it is tried again."""


class PromiseBoard(Protocol):
    """Where the processes that use one index tell each other of rows that are not written yet."""

    def promised(self) -> None:
        """Tell that one more row is going to be written; one thread at a time calls this."""

    def written(self, count: int) -> None:
        """Tell that so many were written."""

    def await_others(self) -> None:
        """Wait until other processes have written what they had promised before.

        Raises:
            PacsException: ``INDEX_FAILED``: one of them does not.
        """

    def find(self) -> None:
        """Tell that this process has found an object there that may have no row yet."""

    def last_find(self) -> int:
        """Return what is another number after any process has called :meth:`find`."""

    def written_for_us(self) -> int:
        """Return what is another number after any process has written rows for this one.

        It is odd while one does.
        """


class RowTransactions(Protocol):
    """What writes the rows: ``IndexTransactions``."""

    def is_absent(self, sop_instance_uid: str, known: Absence | None) -> bool:
        """Tell whether an instance has no row, given what was found a moment ago."""

    def row_of(self, entry: IndexEntry) -> InstanceRow:
        """Return the row of an instance, which works itself out later."""

    def add_promised(
        self,
        rows: Sequence[InstanceRow],
        check: Check | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Sequence[RefusedEntry]:
        """Write rows, but for those that may not be; return those that the database does not take.

        Raises:
            PacsException: ``INDEX_FAILED``: it takes none.
        """


class DeferredRows:
    """The rows of this process that are still to be written; any thread may use them.

    Args:
        transactions: Write the rows.
        free_bytes: Tells how much room there is for the database.
        board: Tells other processes.
        logger: Where failures are recorded.
        quiet_s: After how many seconds rows are written that nobody else has come to write.
        check: Looks whether an object is still there and not deleted, within the transaction that
            has made its row; asked where another process has written rows for this one, which
            stood still, and somebody may have deleted what they are of.
    """

    def __init__(
        self,
        transactions: RowTransactions,
        free_bytes: Callable[[], int],
        board: PromiseBoard,
        logger: Logger,
        quiet_s: float = _QUIET_S,
        *,
        check: Check | None = None,
    ) -> None:
        self._transactions = transactions
        self._free_bytes = free_bytes
        self._board = board
        self._logger = logger
        self._check = check
        self._quiet_s = quiet_s
        self._seen_for_us = board.written_for_us()
        self._mutex = threading.Lock()
        self._waiting: dict[str, tuple[InstanceRow, Refused]] = {}
        self._fresh: list[InstanceRow] = []
        self._is_closed = False
        self._is_failing = False
        self._flushing = threading.Lock()
        self._flushed = 0
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deferred-rows", daemon=True)
        self._thread.start()

    def promise(
        self, entry: IndexEntry, refused: Refused, since: int, absence: Absence | None
    ) -> bool:
        """Take a row to be written; false where it has to be written at once.

        So it is where the index has another one of the same SOP Instance UID, or it waits, where
        too many wait, the database did not take the last ones, or the disk is nearly full. And
        where another process has found an object since :meth:`last_find` was ``since``: that
        may be this one, and the database has to tell who of both brought it.
        """
        uid = entry.identity.sop_instance_uid
        with self._mutex:
            waiting = self._waiting
            is_refusing = self._is_closed or self._is_failing
            if is_refusing or uid in waiting or len(waiting) >= _AT_MOST:
                return False
            if not self._transactions.is_absent(uid, absence):  # now, as it does not wait
                return False
            if not waiting and self._free_bytes() < ROOM_BYTES:
                return False
            self._board.promised()  # first: who finds the object now waits for what comes of it
            if self._board.last_find() != since:
                self._board.written(1)
                return False
            row = self._transactions.row_of(entry)
            waiting[uid] = row, refused
            self._fresh.append(row)
        if not self._wanted.is_set():
            self._wanted.set()
        return True

    def write_many(self) -> None:
        """Write the rows that wait, if there are enough of them; a failure is logged.

        Otherwise, or while another thread writes them, what came since the last time is worked
        out: that takes longer than to write it.
        """
        if len(self._waiting) >= _WORTH_A_TRANSACTION and not self._flushing.locked():
            self._try_to_settle()
            return
        with self._mutex:
            fresh, self._fresh = self._fresh, []
        for row in fresh:
            row.work_out()

    def settle(self) -> None:
        """Write all rows that wait.

        Raises:
            PacsException: ``INDEX_FAILED``: the database takes none now; they wait on. Or one that
                it did not take could not be kept beside the other, which was tried with all.
        """
        if self._waiting:
            with contextlib.ExitStack() as told:  # each of them, also where one raises
                for one, refused in reversed(self._flush()):
                    told.callback(refused, one)

    def last_find(self) -> int:
        """Return what is to be given to :meth:`promise`, before the object has its name."""
        return self._board.last_find()

    def settle_for_found(self) -> None:
        """Write all rows, as :meth:`settle_all`, for an object that was there already.

        Whoever is about to promise the row of that object does not do so afterwards.

        Raises:
            PacsException: ``INDEX_FAILED``.
        """
        self._board.find()
        self.settle_all()

    def settle_all(self) -> None:
        """Write all rows that wait, and have other processes write theirs.

        Raises:
            PacsException: ``INDEX_FAILED``.
        """
        self.settle()
        self._board.await_others()

    def close(self) -> None:
        """Write all rows that wait, and take no more; a failure is logged."""
        self._closing.set()
        self._wanted.set()
        self._thread.join()
        with self._mutex:
            self._is_closed = True
        self._try_to_settle()

    # -- inside ------------------------------------------------------------------

    def _flush(self) -> list[tuple[RefusedEntry, Refused]]:
        with self._flushing:
            with self._mutex:
                group = dict(self._waiting)
                self._fresh = []
            if not group:  # somebody else was faster
                return []
            now = self._board.written_for_us()
            try:
                refused = self._transactions.add_promised(
                    [row for row, _ in group.values()], self._check, self._is_overtaken
                )
            except BaseException as exc:
                self._failed(exc)
                raise
            with self._mutex:
                for uid in group:
                    del self._waiting[uid]
                self._is_failing = False
                self._board.written(len(group))
            self._seen_for_us = now
            self._flushed += 1
        return [(one, group[one.entry.identity.sop_instance_uid][1]) for one in refused]

    def _is_overtaken(self) -> bool:
        """Tell whether others have written rows for this process since it did so last."""
        now = self._board.written_for_us()
        return now != self._seen_for_us or bool(now & 1)

    def _failed(self, error: BaseException) -> None:
        with self._mutex:
            was_failing, self._is_failing = self._is_failing, True
        if not was_failing:
            self._logger.error("rows-not-written", rows=len(self._waiting), reason=str(error))

    def _try_to_settle(self) -> None:
        try:
            self.settle()
        except PacsException as exc:  # they wait on, and whoever asks for them is told
            self._logger.debug("rows-still-wait", reason=exc.error.message)

    def _run(self) -> None:
        """Write what nobody else writes, after a while."""
        while True:
            self._wanted.wait()
            self._wanted.clear()
            while self._waiting:
                before = self._flushed
                if self._closing.wait(_AGAIN_S if self._is_failing else self._quiet_s):
                    break
                if self._flushed == before:
                    self._try_to_settle()
            if self._closing.is_set():
                return

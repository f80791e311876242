"""Small instances, which one thread stores for all who come at the same moment.

Each system call gives the interpreter's lock away, and to get it back from a thread on another
processor takes longer than the call. A large object is worth that: its bytes are copied
meanwhile. But threads that store small ones are slower together than one of them alone. So
whoever comes while another thread stores waits, and one of those who wait then stores for all,
with one flush (docs/explanation/decisions/0036-one-thread-stores-what-is-small.md).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.errors import PacsException
from pacs_sdk.storage.group_commit import GroupCommit, Pending
from pacs_sdk.storage.index.absences import Absence
from pacs_sdk.storage.index.deferred_rows import Refused
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.objects.backend import NewObject, SmallObjectBackend
from pacs_sdk.storage.records import IndexEntry

__all__ = ["SmallInstances", "SmallPut"]

_AT_MOST: Final = 32
"""As many are stored by one thread for all; the first of them waits as long."""

_GATHERING: Final = 0.1
"""On a disk that takes a millisecond and more to flush, eight threads store half as many again."""


@attrs.frozen
class SmallPut:
    """What was done for a small instance; the rest is to be done as for others."""

    written: bool
    """Whether its object was written."""
    promised: bool
    """Whether its row is promised, too."""
    since: int
    """The last find of any process before."""


_NOTHING_DONE: Final = SmallPut(written=False, promised=False, since=0)

_SmallInstance: TypeAlias = tuple[IndexEntry, Sequence[Buffer]]
"""How it is indexed, and its object's bytes."""


class SmallInstances:
    """Stores small instances that are new; any thread may use it.

    Args:
        backend: Where their objects go.
        index: Where their rows go.
        refused: Called where the index does not take a row that was promised.
    """

    def __init__(self, backend: SmallObjectBackend, index: IndexDatabase, refused: Refused) -> None:
        self._backend = backend
        self._index = index
        self._refused = refused
        self._group: GroupCommit[_SmallInstance, SmallPut] = GroupCommit(
            self._store, _AT_MOST, gathering=_GATHERING
        )

    def store(self, entry: IndexEntry, parts: Sequence[Buffer]) -> SmallPut:
        """Store an instance, or have it stored; what cannot be done is left to be done alone.

        Args:
            entry: How it is indexed.
            parts: Its object's bytes.
        """
        return self._group.run((entry, parts))

    def _store(self, group: Sequence[Pending[_SmallInstance, SmallPut]]) -> None:
        waiting = deque(group)
        try:
            since = self._index.last_find()
            entries = [entry for entry, _ in (one.task for one in group)]
            absences = self._absences(entries)
            written = self._backend.put_small(
                [
                    NewObject(entry.storage_key, parts)
                    for entry, parts in (one.task for one in group)
                ]
            )
            for entry, is_written, absence in zip(entries, written, absences, strict=True):
                promised = is_written and self._is_promised(entry, since, absence)
                waiting.popleft().succeed(SmallPut(is_written, promised, since))
        finally:
            for pending in waiting:  # this thread was interrupted; the others are not
                pending.succeed(_NOTHING_DONE)

    # Whoever brought an instance asks again where the index fails, and is told.

    def _absences(self, entries: Sequence[IndexEntry]) -> Sequence[Absence | None]:
        try:
            return self._index.absences([one.identity.sop_instance_uid for one in entries])
        except PacsException:
            return [None] * len(entries)

    def _is_promised(self, entry: IndexEntry, since: int, absence: Absence | None) -> bool:
        try:
            return self._index.promise(entry, self._refused, since, absence)
        except PacsException:
            return False

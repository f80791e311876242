"""How much an archive may hold, checked before an instance is taken in."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

import attrs
from sqlalchemy import func, select

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, NullLogger, SystemClock
from pacs_sdk.core.results import raised
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.index.tables import deleted_objects, duplicate_objects
from pacs_sdk.storage.objects.backend import StorageBackend

__all__ = ["Capacity", "CapacityLimits", "MakeRoom", "capacity_of"]

MakeRoom = Callable[[int], None]
"""Is asked for so many bytes; deletes or moves what it likes, or leaves it."""

_LOOKED_AT_EVERY_S: Final = 1.0
"""How long what is free may be out of date."""

_COUNTED_EVERY_S: Final = 60.0
"""How long other processes' share of the quota may be out of date."""


@attrs.frozen
class CapacityLimits:
    """What an archive may take.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for a limit below zero.
    """

    quota_bytes: int | None = None
    """The bytes of all objects together, those that are kept beside an instance or can still be
    brought back among them; no limit by default."""
    minimum_free_bytes: int = 0
    """What has to stay free where the objects are."""

    def __attrs_post_init__(self) -> None:
        """Check the limits."""
        if (self.quota_bytes or 0) < 0 or self.minimum_free_bytes < 0:
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION, "limits of the archive must not be negative"
            )

    @property
    def are_any(self) -> bool:
        """Whether there is anything to check."""
        return self.quota_bytes is not None or self.minimum_free_bytes > 0


class Capacity:
    """Refuses what there is no room for, after whoever can make room was asked.

    What is free is asked from the backend once a second at most, and the quota counted once
    a minute and before anything is refused: between two counts what this process stored is
    added. Of what is being stored at the same time only so much is let in as there is room for.
    Every method may be called from any thread.

    Args:
        limits: What the archive may take.
        backend: Where the objects are.
        index: Where their sizes are.
        make_room: Is asked before an instance is refused, one thread at a time.
        clock: Tells when to look again.
        logger: Where a refusal is recorded.
    """

    def __init__(
        self,
        limits: CapacityLimits,
        backend: StorageBackend,
        index: IndexDatabase,
        *,
        make_room: MakeRoom | None = None,
        clock: Clock | None = None,
        logger: Logger | None = None,
    ) -> None:
        self._limits = limits
        self._backend = backend
        self._index = index
        self._make_room = make_room
        self._clock = clock or SystemClock()
        self._logger = logger or NullLogger()
        self._lock = threading.RLock()
        self._given_back = threading.Condition(self._lock)
        self._being_stored = 0
        self._free = self._total = 0
        self._looked_at: float | None = None
        self._counted_at: float | None = None

    @contextlib.contextmanager
    def room_for(self, size: int) -> Iterator[None]:
        """Keep room for an object while it is stored.

        Where it would have room only without others that are being stored, what becomes of
        these is waited for: they may fail, or be there already.

        Args:
            size: How many bytes it has.

        Raises:
            PacsException: As of :meth:`check`.
        """
        with self._given_back:
            while self._fits_only_alone(size):
                self._given_back.wait()
            self.check(size)
            self._being_stored += size
        try:
            yield
        finally:
            with self._given_back:
                self._being_stored -= size
                self._given_back.notify_all()

    def check(self, size: int) -> None:
        """Make sure that there is room for an object.

        Args:
            size: How many bytes it has.

        Raises:
            PacsException: ``STORE_OUT_OF_RESOURCES``; ``INDEX_FAILED`` or
                ``STORAGE_READ_FAILED`` where nobody can tell.
        """
        with self._lock:
            if not self._missing(size, anew=False):
                return
            missing = self._missing(size, anew=True)
            failed = self._asked_for_room(missing) if missing else ""
            if missing and self._make_room is not None:
                missing = self._missing(size, anew=True)
        if missing:
            self._logger.error("archive-full", size_bytes=size, missing_bytes=missing)
            raise PacsException(
                ErrorCode.STORE_OUT_OF_RESOURCES,
                f"the archive has no room for {size} bytes: {missing} are missing "
                f"({self._limits_in_words()}){failed}",
                missing_bytes=missing,
            )

    def stored(self, size: int) -> None:
        """Take note of an object that was stored."""
        with self._lock:
            self._total += size
            self._free -= size

    def _fits_only_alone(self, size: int) -> bool:
        others = self._being_stored
        return bool(
            others
            and self._missing(size + others, anew=False)
            and not self._missing(size, anew=False)
        )

    def _missing(self, size: int, *, anew: bool) -> int:
        limits, now = self._limits, self._clock.monotonic()
        missing = 0
        if limits.minimum_free_bytes:
            if anew or _is_old(self._looked_at, now, _LOOKED_AT_EVERY_S):
                self._free = raised(self._backend.health()).free_bytes
                self._looked_at = now
            missing = limits.minimum_free_bytes + size - self._free
        if limits.quota_bytes is not None:
            if anew or _is_old(self._counted_at, now, _COUNTED_EVERY_S):
                self._total = _bytes_of_all(self._index)
                self._counted_at = now
            missing = max(missing, self._total + size - limits.quota_bytes)
        return max(missing, 0)

    def _asked_for_room(self, missing: int) -> str:
        """Ask for room; return what is to be said if that fails, and whatever it has made counts."""
        if self._make_room is None:
            return ""
        try:
            self._make_room(missing)
        except Exception as exc:  # noqa: BLE001  # foreign code: what has room goes on all the same
            self._logger.error("room-not-made", missing_bytes=missing, reason=repr(exc))
            return f"; to make room failed: {exc!r}"
        return ""

    def _limits_in_words(self) -> str:
        limits = self._limits
        words = []
        if limits.quota_bytes is not None:
            words.append(f"the quota is {limits.quota_bytes}, {self._total} are used")
        if limits.minimum_free_bytes:
            words.append(f"{limits.minimum_free_bytes} must stay free, {self._free} are")
        return "; ".join(words)


def capacity_of(
    limits: CapacityLimits,
    make_room: MakeRoom | None,
    backend: StorageBackend,
    index: IndexDatabase,
    logger: Logger,
    clock: Clock | None = None,
) -> Capacity | None:
    """Return what checks the limits; ``None`` where there are none."""
    if not limits.are_any:
        return None
    return Capacity(limits, backend, index, make_room=make_room, clock=clock, logger=logger)


def _bytes_of_all(index: IndexDatabase) -> int:
    """Count the bytes of all objects: of instances, kept beside them, not yet removed for good."""
    total = raised(index.statistics()).size_bytes
    with index_errors("the objects could not be counted"), index.reading() as connection:
        for table in (duplicate_objects, deleted_objects):
            total += int(connection.execute(select(func.sum(table.c.size_bytes))).scalar() or 0)
    return total


def _is_old(at: float | None, now: float, lifetime: float) -> bool:
    return at is None or now - at >= lifetime

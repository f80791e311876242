"""What an archive does by itself now and then: studies settle, deleted objects go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, Self

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger, NullLogger
from pacs_sdk.core.results import Failure, PacsResult

__all__ = ["Chore", "Housekeeping"]

_INTERVAL_S: Final = 5.0


@attrs.frozen
class Chore:
    """Something to be done now and then."""

    name: str
    """What it is called in the log."""
    do: Callable[[], PacsResult[object]]
    """Does it, a part at a time; a failure is logged, and it is tried again."""


class Housekeeping:
    """Does chores in a thread of its own until it is closed; a context manager.

    Args:
        chores: What is to be done, one after the other.
        interval_s: How long it rests in between.
        logger: Where failures are recorded.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for an interval that is none.
    """

    def __init__(
        self, chores: Sequence[Chore], interval_s: float = _INTERVAL_S, logger: Logger | None = None
    ) -> None:
        if interval_s <= 0:
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION, "housekeeping needs to rest, more than 0 s"
            )
        self._chores = tuple(chores)
        self._interval_s = interval_s
        self._logger = logger or NullLogger()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Begin; a second call changes nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pacs-housekeeping", daemon=True)
            self._thread.start()
        return self

    def do_all(self) -> None:
        """Do every chore once, in the caller's thread."""
        for chore in self._chores:
            try:
                done = chore.do()
            except Exception as exc:  # noqa: BLE001  # a listener's defect must not end the rest
                self._logger.error("chore-broke", chore=chore.name, reason=repr(exc))
                continue
            if isinstance(done, Failure):
                self._logger.error("chore-failed", chore=chore.name, reason=done.failure().message)

    def close(self) -> None:
        """End after the chore that is being done; it does no harm to do so twice."""
        self._closing.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._closing.wait(self._interval_s):
            self.do_all()

"""Who is reading the index: it is closed after they are through."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["IndexReaders"]


class IndexReaders:
    """Counts who is reading, so that nobody's connection is closed, or left open."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reading = 0
        self._closed = False

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the database open meanwhile."""
        with self._changed:
            self.check_open()
            self._reading += 1
        try:
            yield
        finally:
            with self._changed:
                self._reading -= 1
                self._changed.notify_all()

    def check_open(self) -> None:
        """Raise ``INDEX_FAILED`` where the index has been closed."""
        if self._closed:
            raise PacsException(ErrorCode.INDEX_FAILED, "the index has been closed")

    def close(self) -> bool:
        """Let nobody in any more and wait for those who are; false if that was done before."""
        with self._changed:
            was_open, self._closed = not self._closed, True
            self._changed.wait_for(lambda: self._reading == 0)
        return was_open

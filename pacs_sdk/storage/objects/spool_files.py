"""New files of the spool, one of which is there before it is needed.

To make a file takes a tenth of the time of an image, on a file system that many were removed from
a third. A sender takes longer than that for its next image, so the file for that is made when one
has been stored (docs/explanation/decisions/0032-what-one-python-thread-costs.md).
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Final

from pacs_sdk.storage.objects.disk import new_file, remove_spooled
from pacs_sdk.storage.objects.spool import Spool

__all__ = ["SpoolFiles"]

_MOST_READY: Final = 8
"""So many files wait at most. There are as many as were needed at the same time."""


class SpoolFiles:
    """Makes files in this process's part of a spool; any thread may use it.

    Args:
        spool: Names them.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._ready: list[tuple[str, int]] = []
        self._wanted = 0
        self._is_closed = False

    def take(self) -> tuple[str, int]:
        """Give an empty file to whoever writes, closes and removes it.

        Returns:
            Its path, and a descriptor to write to it.

        Raises:
            OSError: It cannot be made.
        """
        if os.getpid() == self._process:  # what a forked child inherits its parent is going to use
            with self._lock:
                self._wanted = min(self._wanted + 1, _MOST_READY)
                if self._ready:
                    return self._ready.pop()
        return self._made()

    def make_ready(self) -> None:
        """Make a file for the next object, if one was taken; there is time for it now.

        Where that fails, it fails again when the file is needed, and is told then.
        """
        if os.getpid() != self._process:
            return
        with self._lock:
            if not self._wanted:
                return
            self._wanted -= 1
        with contextlib.suppress(OSError):
            self._keep(*self._made())

    def close(self) -> None:
        """Remove what is ready; files are made one by one from now on."""
        with self._lock:
            self._is_closed = True
            ready, self._ready = self._ready, []
        for name, descriptor in ready:
            os.close(descriptor)
            if os.getpid() == self._process:
                remove_spooled(name)

    def _keep(self, name: str, descriptor: int) -> None:
        with self._lock:
            if not self._is_closed:
                self._ready.append((name, descriptor))
                return
        os.close(descriptor)
        remove_spooled(name)

    def _made(self) -> tuple[str, int]:
        name = self._spool.new_name()
        return name, new_file(name)

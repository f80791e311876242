"""A client of pynetdicom that has been paused, and really is.

pynetdicom 3.0.4 has one thread that takes what a peer sends, and pauses it while another thread
waits for an answer. It says that it is paused before it looks whether it has to be, so it may go
on all the same, take a quick answer for itself, and leave the other thread to its timeout
(``Received unexpected C-STORE service message``).
"""

from __future__ import annotations

import sys
import threading
from typing import Any

__all__ = ["mend_pynetdicom"]


class _Checkpoint(threading.Event):
    """An event that tells whether somebody waits for it, and stays until it is set."""

    def __init__(self) -> None:
        super().__init__()
        self._looking = threading.Lock()
        self.is_waited_for = False
        self.set()

    def clear(self) -> None:
        """Let whoever comes from now on wait."""
        with self._looking:
            super().clear()

    def set(self) -> None:
        """Let those go on who wait; they do so later, but nobody may rely on them any more."""
        with self._looking:
            self.is_waited_for = False
            super().set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, unless nobody has to."""
        with self._looking:
            if self.is_set():
                return True
            self.is_waited_for = True
        return super().wait(timeout)


def mend_pynetdicom() -> None:
    """Let requestors be paused only while they are; does nothing where it was done, or isn't used."""
    module: Any = sys.modules.get("pynetdicom.association")
    if module is None or isinstance(getattr(module.Association, "_is_paused", None), property):
        return
    association = module.Association
    begin = association.__init__

    def initialize(self: Any, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        self._reactor_checkpoint = _Checkpoint()

    def is_paused(self: Any) -> bool:
        says_so: bool = self._says_paused
        is_own = self.is_acceptor or self._kill or threading.current_thread() is self
        return says_so and (is_own or self._reactor_checkpoint.is_waited_for)

    def pause(self: Any, value: bool) -> None:
        self._says_paused = value

    association.__init__ = initialize
    association._is_paused = property(is_paused, pause)

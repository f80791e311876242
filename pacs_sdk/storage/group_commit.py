"""One transaction for what several threads want to write at the same moment.

A commit costs the same for one row as for a hundred. So whoever comes while another thread
is writing waits, and one of those who wait then writes for all of them. A thread that finds
nobody writing writes at once, and waits for nobody.

Threads that have each something to write again and again are two groups then: one is written
while the other comes back and waits. Where a commit takes long, as on a disk that turns, they may
be made one: whoever writes waits for a small part of that time until all are there.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import attrs

__all__ = ["MAX_GROUP", "GroupCommit", "Pending"]

MAX_GROUP: Final = 256
"""The most that one thread writes for all: the others wait as long."""

_SHORTEST_WAIT_S: Final = 0.0001
"""To wait for less takes as long."""

_LONGEST_WAIT_S: Final = 0.005
"""A disk may have been busy with something else for a second."""

_Task = TypeVar("_Task")
_Outcome = TypeVar("_Outcome")


@attrs.define(eq=False)
class Pending(Generic[_Task, _Outcome]):
    """Something to be written, and what came of it."""

    task: _Task
    """What is to be written."""
    _outcome: _Outcome | None = None
    _error: BaseException | None = None
    _finished: bool = False
    _leads: bool = False
    _woken: threading.Lock | None = None

    def succeed(self, outcome: _Outcome) -> None:
        """Note that it is written."""
        self._outcome, self._finished = outcome, True

    def fail(self, error: BaseException) -> None:
        """Note that it isn't, and why."""
        self._error, self._finished = error, True

    def result(self) -> _Outcome:
        """Return what came of it, or raise why nothing did."""
        if self._error is not None:
            raise self._error
        if self._outcome is None:
            raise RuntimeError("a task of a group was neither written nor refused")
        return self._outcome


class GroupCommit(Generic[_Task, _Outcome]):
    """Lets one thread at a time write what all that wait have brought.

    Args:
        write: Writes a group in the order in which its tasks came, and calls ``succeed`` or
            ``fail`` of each. What it raises, every task that has neither yet fails with.
        at_most: How many tasks a group has.
        gathering: For what part of the time that the last group took company is waited for, if
            that group had company.
        timer: Tells how long a group takes.
        sleep: Waits.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Pending[_Task, _Outcome]]], None],
        at_most: int = MAX_GROUP,
        *,
        gathering: float = 0.0,
        timer: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._write = write
        self._at_most = at_most
        self._queue: deque[Pending[_Task, _Outcome]] = deque()
        self._mutex = threading.Lock()
        self._is_led = False
        self._gathering = gathering
        self._timer = timer
        self._sleep = sleep
        self._wait_s = 0.0

    def run(self, task: _Task) -> _Outcome:
        """Write a task, or have it written; return what came of it, or raise it."""
        pending: Pending[_Task, _Outcome] = Pending(task)
        with self._mutex:
            self._queue.append(pending)
            pending._leads = not self._is_led
            if pending._leads:
                self._is_led = True
            else:
                pending._woken = _held_lock()
        try:
            if pending._woken is not None:
                pending._woken.acquire()  # whoever wakes this thread lets it go
            if pending._leads:
                self._lead()
        except BaseException:  # Ctrl-C: nobody may wait for a thread that has gone
            self._withdraw(pending)
            raise
        return pending.result()

    def _withdraw(self, pending: Pending[_Task, _Outcome]) -> None:
        with self._mutex:
            if pending not in self._queue:
                return
            self._queue.remove(pending)
            leads = pending._leads
        if leads:
            self._hand_over()

    def _lead(self) -> None:
        """Write the first group, and name who leads the next.

        This thread's own task is the first of the queue: it leads because nobody did, or
        because all before it were written.
        """
        if self._wait_s >= _SHORTEST_WAIT_S:
            self._sleep(self._wait_s)
        begin = self._timer()
        with self._mutex:
            size = min(len(self._queue), self._at_most)
            group = [self._queue.popleft() for _ in range(size)]
        try:
            self._write(group)
        except BaseException as exc:
            for pending in group:
                if not pending._finished:
                    pending.fail(exc)
            raise
        finally:
            took = self._timer() - begin if len(group) > 1 else 0.0
            self._wait_s = min(took * self._gathering, _LONGEST_WAIT_S)
            self._hand_over()
            for pending in group:
                if pending._woken is not None and not pending._leads:
                    pending._woken.release()

    def _hand_over(self) -> None:
        with self._mutex:
            if not self._queue:
                self._is_led = False
                return
            following = self._queue[0]
            following._leads = True
        if following._woken is not None:
            following._woken.release()


def _held_lock() -> threading.Lock:
    """Make what one thread waits for and another gives: quicker than an event."""
    lock = threading.Lock()
    lock.acquire()
    return lock

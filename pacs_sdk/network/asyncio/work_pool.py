"""The threads in which the asyncio server reads, sends and calls handlers."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from typing import ParamSpec, TypeVar

import attrs

__all__ = ["WorkPool"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


@attrs.frozen(eq=False)
class _Job:
    future: Future[object]
    run: Callable[[], object]

    def carry_out(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.run()
        except BaseException as exc:  # noqa: BLE001  # it is told to whoever waits
            self.future.set_exception(exc)
        else:
            self.future.set_result(result)


class WorkPool(Executor):
    """As many threads as are needed, up to a limit; each stays for the next job.

    Those that wait for somebody else (:meth:`lent`) do not count, so that the others' jobs go on.

    They are daemons, which those of ``concurrent.futures.ThreadPoolExecutor`` are not: the
    program can end although a handler never does.

    Args:
        threads: How many may work at a time.
        name: What their names begin with.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._limit = threads
        self._name = name
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._unfinished = self._started = 0
        self._threads: list[threading.Thread] = []
        self._is_closed = False

    @property
    def is_wanted(self) -> bool:
        """Whether a job waits for a thread, and there may be no more of them."""
        return self._unfinished > self._limit

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Have a function called in one of the threads.

        Raises:
            RuntimeError: The pool is closed, or there is no thread to be had.
        """
        future: Future[_T] = Future()
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the pool is closed")
            if self._unfinished >= len(self._threads) < self._limit:
                self._start_thread()
            self._unfinished += 1
            job = _Job(future, lambda: fn(*args, **kwargs))  # type: ignore[arg-type]  # of its own type
            self._jobs.put(job)
        return future

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Lend the place of the calling thread to another one, while it waits for somebody else.

        Where there is no further thread to be had, the others wait with it.
        """
        with self._lock:
            self._limit += 1
            if self._unfinished > len(self._threads) and not self._is_closed:
                with suppress(RuntimeError):
                    self._start_thread()
        try:
            yield
        finally:
            with self._lock:
                self._limit -= 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end after the jobs that are waiting.

        Args:
            wait: Whether to wait for them.
            cancel_futures: Whether the jobs that are waiting are left undone.
        """
        with self._lock:
            self._is_closed = True
            if cancel_futures:
                self._cancel_waiting()
            for _ in self._threads:
                self._jobs.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _cancel_waiting(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None:
                job.future.cancel()
                self._unfinished -= 1

    def _start_thread(self) -> None:
        thread = threading.Thread(
            target=self._work, name=f"{self._name}_{self._started}", daemon=True
        )
        thread.start()
        self._started += 1
        self._threads.append(thread)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.carry_out()
            del job  # what it holds is not kept while the thread waits
            with self._lock:
                self._unfinished -= 1
                if len(self._threads) > self._limit and not self._is_closed:
                    self._threads.remove(threading.current_thread())
                    return  # it had the place of one that is back

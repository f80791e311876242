"""Worker processes that share one port, kept running.

One process serves its associations on one core. Several on the same port (``SO_REUSEPORT``)
use them all: the kernel deals connections out to those that listen. Linux does so evenly;
other systems may give one worker more than its share.
"""

from __future__ import annotations

import atexit
import os
import pickle
import socket
import threading
from collections.abc import Iterable
from multiprocessing.connection import wait
from typing import Final, Self

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import Clock, Logger, NullLogger, SystemClock
from pacs_sdk.core.results import edge, raised
from pacs_sdk.network.shared_port import reserve_port
from pacs_sdk.network.worker_process import (
    EXIT_GRACE_S,
    StartWorker,
    WorkerContext,
    WorkerProcess,
)

__all__ = ["RestartPolicy", "StartWorker", "WorkerContext", "WorkerGroup", "WorkerGroupConfig"]

_MAX_DOUBLINGS: Final = 32
"""More would only lead to numbers that no float can hold."""

_LONGEST_WAIT_S: Final = 3600.0
"""The system refuses to wait for months; a deadline further off is looked at again."""


@attrs.frozen
class RestartPolicy:
    """When a worker that ended unasked is replaced: at once, if it happens again later."""

    first_delay_s: float = 0.5
    """The wait after a second crash; each further one doubles it."""
    max_delay_s: float = 30.0
    """The longest wait. There is no last attempt: what was missing may come back."""
    healthy_after_s: float = 60.0
    """A worker that served so long has got over the crashes before it."""

    def __attrs_post_init__(self) -> None:
        """Refuse waits of no time: a worker that can't run would use a whole processor."""
        if not 0 < self.first_delay_s <= self.max_delay_s:
            raise _misconfigured("first_delay_s must be above 0 and no more than max_delay_s")

    def delay_s(self, crashes: int) -> float:
        """Return how long to wait after a number of crashes in a row, at least one."""
        if crashes <= 1:
            return 0.0
        return min(self.max_delay_s, self.first_delay_s * 2.0 ** min(crashes - 2, _MAX_DOUBLINGS))


@attrs.frozen
class WorkerGroupConfig:
    """How many workers there are, and where they listen."""

    count: int = 2
    """How many processes serve."""
    host: str = "127.0.0.1"
    """The address they listen on; ``0.0.0.0`` for every IPv4 interface."""
    port: int = 11112
    """The port they share; 0 picks a free one."""
    start_timeout_s: float = 120.0
    """How long a worker may take to become ready."""
    restart: RestartPolicy = RestartPolicy()
    """When a worker that ended unasked is replaced."""

    def __attrs_post_init__(self) -> None:
        """Refuse a group without workers."""
        if self.count < 1:
            raise _misconfigured(f"{self.count} workers can serve nobody; at least 1 is needed")


@attrs.define(eq=False)
class _Slot:
    """A place in the group, and the worker that has it now."""

    number: int
    process: WorkerProcess | None = None
    crashes: int = 0
    ready_since_s: float | None = None
    is_ending: bool = False
    """Whether its function is over, so that the process has to end."""
    deadline_s: float | None = None
    """When a worker has to be ready or gone; without a worker, when there is to be one."""


class WorkerGroup:
    """Runs worker processes that share a port, and replaces those that crash.

    The port stays this group's even while no worker listens, and another server is refused
    it, also one that would share. ``start`` and ``stop`` are to be called by one thread.
    A program that ends without ``stop`` stops the group; if it is killed, its workers notice
    and stop by themselves.

    Args:
        start_worker: What each worker does: listen with ``SO_REUSEPORT`` where the context
            says, call ``ready()``, serve until ``wait_for_stop()`` returns. It runs in the
            main thread of a new interpreter, so it is a function at the top of a module or a
            ``functools.partial`` of one, with arguments that can be pickled; the program's
            main module is imported there again.
        config: How many, where.
        logger: Where the life of the workers is recorded.
        clock: The time, for deadlines.
    """

    def __init__(
        self,
        start_worker: StartWorker,
        config: WorkerGroupConfig,
        *,
        logger: Logger | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._start_worker = start_worker
        self._config = config
        self._logger = logger or NullLogger()
        self._clock = clock or SystemClock()
        self._slots: tuple[_Slot, ...] = ()
        self._pids: dict[int, int] = {}
        self._reserved: socket.socket | None = None
        self._monitor: threading.Thread | None = None
        self._wake_read = self._wake_write = -1
        self._port = 0

    @property
    def host(self) -> str:
        """The address the workers listen on."""
        return self._config.host

    @property
    def port(self) -> int:
        """The port they share; 0 before the start."""
        return self._port

    @property
    def pids(self) -> tuple[int, ...]:
        """The process numbers of the workers that run now, by their place in the group."""
        return tuple(pid for _, pid in sorted(self._pids.copy().items()))

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._monitor is not None

    @edge()
    def start(self) -> Self:
        """Reserve the port and start the workers; return when all of them are ready.

        Returns:
            ``Success`` with the group, or ``Failure`` with no process left:
            ``PORT_UNAVAILABLE``; ``INVALID_ARGUMENT`` if the function can't be handed to
            another process; ``OPERATION_NOT_SUPPORTED`` where processes can't share a port;
            ``PROTOCOL_MISUSE`` if the group runs already; the error a worker raised; or
            ``INTERNAL`` for one that ended otherwise, or was not ready in time.
        """
        if self._monitor is not None:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the workers already run")
        _check_it_travels(self._start_worker)
        self._reserved = reserve_port(self._config.host, self._config.port)
        self._port = self._reserved.getsockname()[1]
        self._slots = tuple(_Slot(number) for number in range(1, self._config.count + 1))
        try:
            self._wake_read, self._wake_write = os.pipe()
            self._start_all()
            monitor = threading.Thread(target=self._keep_running, name="workers", daemon=True)
            monitor.start()
        except BaseException as exc:
            self._end_all(0.0)
            self._release()
            if isinstance(exc, OSError):
                raise PacsException(
                    ErrorCode.INTERNAL, f"the system has no room for the workers: {exc}"
                ) from exc
            raise
        self._monitor = monitor
        atexit.register(self.stop)
        self._logger.info("workers-started", count=len(self._slots), port=self._port)
        return self

    def stop(self, timeout_s: float = 5.0) -> None:
        """Have all workers stop, and wait for that; it does no harm to do so twice.

        Args:
            timeout_s: How long their operations under way may take. A worker that is still
                there five seconds after that is killed.
        """
        monitor, self._monitor = self._monitor, None
        if monitor is None:
            return
        atexit.unregister(self.stop)
        os.write(self._wake_write, b"\0")
        monitor.join()
        killed = self._end_all(timeout_s)
        self._release()
        self._logger.info("workers-stopped", port=self._port, killed=killed)

    def __enter__(self) -> Self:
        """Start the group unless it runs; raises where ``start`` would give a failure."""
        return self if self.is_running else raised(self.start())

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # -- starting ----------------------------------------------------------------------

    def _start_all(self) -> None:
        for slot in self._slots:
            self._launch(slot)
        while not all(slot.process and slot.process.is_ready for slot in self._slots):
            self._wait()
            for slot in self._slots:
                error = self._look_after(slot)
                if error is not None:
                    message = f"worker {slot.number} did not start: {error.message}"
                    raise PacsException(error.code, message, **error.details)

    def _launch(self, slot: _Slot) -> None:
        slot.ready_since_s, slot.is_ending = None, False
        slot.process = WorkerProcess(self._start_worker, slot.number, self._config.host, self._port)
        self._pids[slot.number] = slot.process.pid
        slot.deadline_s = self._clock.monotonic() + self._config.start_timeout_s

    # -- keeping them running ----------------------------------------------------------

    def _keep_running(self) -> None:
        while self._wake_read not in self._wait(self._wake_read):
            for slot in self._slots:
                if slot.process is None:
                    self._replace_when_due(slot)
                elif (error := self._look_after(slot)) is not None:
                    self._schedule(slot, error)

    def _wait(self, *others: int) -> Iterable[object]:
        """Wait until a worker has something to say, has ended, or a deadline is reached."""
        deadlines = [slot.deadline_s for slot in self._slots if slot.deadline_s is not None]
        left_s = min(deadlines) - self._clock.monotonic() if deadlines else None
        ours = (one for slot in self._slots if slot.process for one in slot.process.waited_for)
        return wait([*others, *ours], None if left_s is None else _bounded(left_s))

    def _look_after(self, slot: _Slot) -> PacsError | None:
        """Take in what happened to a worker; return why, if it has ended and is let go of."""
        process = slot.process
        if process is None:
            return None
        process.receive()
        now = self._clock.monotonic()
        if process.is_ready and slot.ready_since_s is None:
            slot.ready_since_s, slot.deadline_s = now, None
            self._logger.info("worker-ready", worker=slot.number, pid=process.pid)
        if process.is_over and not slot.is_ending:
            slot.is_ending, slot.deadline_s = True, now + EXIT_GRACE_S
        overdue = slot.deadline_s is not None and now >= slot.deadline_s
        if overdue:
            process.kill()
        elif not wait([process.sentinel], 0):
            return None
        return self._let_go(slot, process, overdue=overdue)

    def _let_go(self, slot: _Slot, process: WorkerProcess, *, overdue: bool) -> PacsError:
        """Reap a worker that has ended or been killed, and say why it is gone."""
        ending = process.reap()
        slot.process = None
        slot.deadline_s = None
        del self._pids[slot.number]
        if process.error is not None:
            return process.error
        if overdue and slot.is_ending:
            reason = "it returned unasked, then hung and was killed"
        elif overdue:
            reason = f"it was not ready after {self._config.start_timeout_s:g} s and was killed"
        elif process.is_ready:
            reason = f"it ended unasked: {ending}"
        else:
            reason = f"it ended before it was ready: {ending}; stderr may say more"
        return PacsError(ErrorCode.INTERNAL, reason, {"pid": process.pid})

    def _schedule(self, slot: _Slot, error: PacsError) -> None:
        """Decide when the place of a worker that ended is taken again."""
        now = self._clock.monotonic()
        policy = self._config.restart
        if slot.ready_since_s is not None and now - slot.ready_since_s >= policy.healthy_after_s:
            slot.crashes = 0
        slot.crashes += 1
        delay_s = policy.delay_s(slot.crashes)
        slot.deadline_s = now + delay_s
        self._logger.error(
            "worker-ended",
            worker=slot.number,
            reason=error.message,
            crashes=slot.crashes,
            restart_in_s=delay_s,
        )

    def _replace_when_due(self, slot: _Slot) -> None:
        if slot.deadline_s is not None and self._clock.monotonic() >= slot.deadline_s:
            try:
                self._launch(slot)
            except OSError as exc:  # no room for a process now; there may be some later
                self._schedule(slot, PacsError(ErrorCode.INTERNAL, str(exc)))

    # -- ending ------------------------------------------------------------------------

    def _end_all(self, timeout_s: float) -> int:
        """Tell all workers to stop, wait, kill who is overdue; return how many those were."""
        running = {slot.process.sentinel: slot.process for slot in self._slots if slot.process}
        for process in running.values():
            process.tell_to_stop(timeout_s)
        deadline_s = self._clock.monotonic() + timeout_s + EXIT_GRACE_S
        while running and (left_s := deadline_s - self._clock.monotonic()) > 0:
            for sentinel in wait(list(running), _bounded(left_s)):
                if isinstance(sentinel, int):
                    running.pop(sentinel).reap()
        for process in running.values():
            self._logger.warning("worker-killed", pid=process.pid, reason="it did not stop in time")
            process.kill()
            process.reap()
        self._slots = ()
        self._pids.clear()
        return len(running)

    def _release(self) -> None:
        """Give up the port and what the monitor was woken by."""
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None
        for descriptor in (self._wake_read, self._wake_write):
            if descriptor >= 0:
                os.close(descriptor)
        self._wake_read = self._wake_write = -1


def _bounded(left_s: float) -> float:
    return min(max(left_s, 0.0), _LONGEST_WAIT_S)


def _check_it_travels(start_worker: StartWorker) -> None:
    try:
        pickle.dumps(start_worker)
    except (pickle.PicklingError, AttributeError, TypeError) as exc:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"the worker's function cannot be handed to another process: {exc}; use one at the "
            "top of a module, with arguments that can be pickled",
        ) from exc


def _misconfigured(message: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_CONFIGURATION, message)

"""One worker process, from both sides: what runs in it, and what its group holds of it.

The two are joined by a pipe. The worker says that it is ready or why it failed; the group
says when to stop. Each notices by the end of the pipe that the other is gone.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Final, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException

__all__ = ["EXIT_GRACE_S", "StartWorker", "WorkerContext", "WorkerProcess"]

DEFAULT_STOP_S: Final = 5.0
"""How long a worker may take to finish when nobody is left to say so, or a signal came."""

EXIT_GRACE_S: Final = 5.0
"""How long the end of a process may take after its work is over: threads are joined, files
closed. It takes a fraction of a second, unless something hangs."""


@attrs.frozen
class _Ready:
    """From the worker: it listens."""


@attrs.frozen
class _Ended:
    """From the worker: its function returned, or raised."""

    error: PacsError | None


@attrs.frozen
class _Stop:
    """To the worker: finish what is under way."""

    timeout_s: float


class WorkerContext:
    """What a worker is given: its place, and its line to the group. Made by the group only.

    Args:
        number: Which worker of the group this is, from 1; a restarted one has the number of
            the one it replaces.
        host: The address to listen on.
        port: The port to listen on, with ``SO_REUSEPORT``.
        connection: The worker's end of the pipe.
    """

    def __init__(self, number: int, host: str, port: int, connection: Connection) -> None:
        self.number = number
        self.host = host
        self.port = port
        self._connection = connection
        self._stopping = threading.Event()
        self._stop_s = DEFAULT_STOP_S
        self.is_ready = False
        """Whether the worker has said that it is ready."""

    def ready(self) -> None:
        """Tell the group that this worker accepts connections; to be called once."""
        self.is_ready = True
        self.report(_Ready())

    def wait_for_stop(self) -> float:
        """Wait until the worker has to stop: it was told to, got SIGTERM, or is alone.

        A worker that does not end in time afterwards is killed.

        Returns:
            How long operations under way may still take, in seconds.
        """
        self._stopping.wait()
        return self._stop_s

    @property
    def is_stopping(self) -> bool:
        """Whether the worker has to stop."""
        return self._stopping.is_set()

    def report(self, message: _Ready | _Ended) -> None:
        """Send a message to the group, if there still is one."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # _watch finds out too
            self._connection.send(message)

    def watch_in_background(self, signalled: int) -> None:
        """Wait for the group's orders, its end and SIGTERM in a thread of its own.

        Args:
            signalled: A descriptor from which the numbers of signals can be read.
        """
        threading.Thread(
            target=self._watch, args=(signalled,), name="worker-watch", daemon=True
        ).start()

    def _watch(self, signalled: int) -> None:
        while (order := self._next_order(signalled)) is not None:
            self._begin_to_stop(order.timeout_s)
        self._begin_to_stop(DEFAULT_STOP_S)
        # Nobody watches the end of this worker, and if it hung with its port open, no other
        # server could have the port. This thread is gone if all goes well.
        threading.Event().wait(self._stop_s + EXIT_GRACE_S)
        os._exit(1)

    def _next_order(self, signalled: int) -> _Stop | None:
        """Return what the group orders, ``None`` after SIGTERM or when the group is gone."""
        while True:
            ready = wait([self._connection, signalled])
            try:
                if self._connection in ready:
                    order: _Stop = self._connection.recv()
                    return order
            except (EOFError, ConnectionResetError):
                return None
            if signal.SIGTERM in os.read(signalled, 64):
                return None

    def _begin_to_stop(self, timeout_s: float) -> None:
        if not self._stopping.is_set():
            self._stop_s = timeout_s
            self._stopping.set()


StartWorker: TypeAlias = Callable[[WorkerContext], None]
"""What a worker does: listen, say that it is ready, serve until it has to stop."""


def _run_worker(
    start_worker: StartWorker, number: int, host: str, port: int, connection: Connection
) -> None:
    """Run in the new process: perform the function, report how it went."""
    context = WorkerContext(number, host, port, connection)
    context.watch_in_background(_read_signals())
    error: PacsError | None = None
    try:
        start_worker(context)
        if not (context.is_ready or context.is_stopping):
            error = PacsError(ErrorCode.INTERNAL, "the worker returned before it was ready")
    except PacsException as exc:
        error = exc.error
    except Exception as exc:
        words = f"{type(exc).__name__}: {exc}"
        context.report(_Ended(PacsError(ErrorCode.INTERNAL, words)))
        raise  # the trace goes to stderr
    context.report(_Ended(error))
    if error is not None:
        sys.exit(1)


def _read_signals() -> int:
    """Take SIGTERM into a pipe and ignore what a terminal sends to the group as well.

    The signal is in the pipe at once, whatever Python does just then.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))  # see WorkerProcess
    return read_end


def _on_signal(number: int, frame: FrameType | None) -> None:
    """Do nothing: without a handler the signal would not be written into the pipe."""


class WorkerProcess:
    """A worker as its group has it; making it starts the process.

    The process is a new interpreter (``spawn``). A fork would copy this process as it is,
    with the locks that its threads hold just then.

    Args:
        start_worker: What it does; it is pickled.
        number: Which worker it is.
        host: The address to listen on.
        port: The port to listen on.

    Raises:
        OSError: The system has no room for another process, or descriptor.
    """

    def __init__(self, start_worker: StartWorker, number: int, host: str, port: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self.is_ready = False
        """Whether it has said that it is ready."""
        self.is_over = False
        """Whether its function has returned or raised; the process ends now."""
        self.error: PacsError | None = None
        """Why its function failed, in its own words."""
        self._hears = True
        self._process = spawn.Process(
            target=_run_worker,
            args=(start_worker, number, host, port, theirs),
            name=f"worker-{number}",
        )
        try:
            self._start_without_interrupts()
        except BaseException:
            self._connection.close()
            raise
        finally:
            theirs.close()  # or the pipe would not end with the worker
        self.pid = self._process.pid or 0
        """Its process number."""

    def _start_without_interrupts(self) -> None:
        """Start the process with SIGINT blocked until it has set itself up.

        Otherwise a Ctrl-C in a terminal ends it in the middle of its imports, with a trace.
        """
        resource_tracker.ensure_running()  # which would unblock signals, in the middle
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @property
    def sentinel(self) -> int:
        """A descriptor that is readable when the process has ended."""
        return self._process.sentinel

    @property
    def waited_for(self) -> tuple[int | Connection, ...]:
        """What becomes readable when something happens to the worker."""
        return (self.sentinel, self._connection) if self._hears else (self.sentinel,)

    def receive(self) -> None:
        """Take in what the worker has said since."""
        try:
            while self._hears and self._connection.poll():
                match self._connection.recv():
                    case _Ready():
                        self.is_ready = True
                    case _Ended(error):
                        self.is_over, self.error = True, error
        except (EOFError, ConnectionResetError):
            self._hears = False  # it is about to end

    def tell_to_stop(self, timeout_s: float) -> None:
        """Have it finish what is under way, within so many seconds."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended already
            self._connection.send(_Stop(timeout_s))

    def kill(self) -> None:
        """End it at once. It is our child and not yet reaped, so its number is still its own."""
        self._process.kill()

    def reap(self) -> str:
        """Wait for the end of a process that has ended or been killed, and let go of it.

        Returns:
            How it ended, such as ``exit code 1`` or ``SIGKILL``.
        """
        self._process.join()
        code = self._process.exitcode or 0
        self.receive()
        self._process.close()
        self._connection.close()
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:  # a real-time signal has no name
            return f"signal {-code}"

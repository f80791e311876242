"""The server: one thread an association, blocking reads, a stop that takes milliseconds."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from typing import Final, Self, Unpack

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import edge, raised
from pacs_sdk.network.connection.listener import ACCEPT_PAUSE_S, OUT_OF_DESCRIPTORS, AcceptWait
from pacs_sdk.network.connection.session import ServerSession, is_secured
from pacs_sdk.network.connection.transport import Transport
from pacs_sdk.network.connection.waits import LONGEST_S
from pacs_sdk.network.server_base import LAST_WAIT_S, STOPPED, ServerBase, ServerPorts
from pacs_sdk.network.server_config import ServerConfig
from pacs_sdk.network.service import DicomService

__all__ = ["DicomServer"]

_MOST_WAITING: Final = 4
"""Threads that wait for a connection when there is nothing to do; more end."""


class DicomServer(ServerBase):
    """Accepts associations and dispatches their requests to services.

    Args:
        config: How to listen and what to allow.
        services: Who performs which SOP classes.
        ports: ``logger``, ``clock``, ``metrics``, ``audit`` and ``access``, as
            :class:`~pacs_sdk.network.ServerPorts` has them.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for rules that are none.
    """

    def __init__(
        self, config: ServerConfig, services: Sequence[DicomService], **ports: Unpack[ServerPorts]
    ) -> None:
        super().__init__(config, services, **ports)
        self._lock = threading.Lock()
        self._threads: dict[threading.Thread, Transport | None] = {}
        self._abandoned: set[threading.Thread] = set()
        self._waiting = self._started = 0
        self._wake_read = self._wake_write = -1

    @edge({OSError: ErrorCode.PORT_UNAVAILABLE})
    def start(self) -> Self:
        """Listen, and serve in the background.

        Returns:
            ``Success`` with the server, or ``Failure`` with ``PORT_UNAVAILABLE``,
            ``PROTOCOL_MISUSE`` if it already runs, or for the files of TLS
            ``FILE_NOT_FOUND``, ``FILE_READ_FAILED`` or ``INVALID_CONFIGURATION``.
        """
        listener = self._open_listener()
        try:
            self._wake_read, self._wake_write = os.pipe()
        except OSError:
            listener.close()
            raise
        self._has_begun(listener)
        try:
            self._start_thread(listener)
        except (OSError, RuntimeError):
            self.stop()
            raise
        self._log_start()
        return self

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop accepting, let messages under way finish, end every association.

        Args:
            timeout_s: How long running operations may take before their connections
                are closed. A handler that goes on after that is told so by
                :meth:`Exchange.is_cancelled`; one that does not ask is left alone, which is
                logged as an error: Python cannot end its thread.

        A handler may call it, too. Its own association ends once it has answered. In a fork of
        the process that started the server, it takes nothing from that one.
        """
        if self._is_left_to_parent():
            return
        listener, self._listener = self._listener, None  # a second call has nothing to do
        if listener is None:
            return
        with self._lock:  # from now on no thread is started
            self._core.stopping.set()
        os.write(self._wake_write, b"\0")  # never read: it stays readable for all who wait
        deadline = self._core.clock.monotonic() + min(timeout_s, LONGEST_S)
        for thread in self._others():
            thread.join(max(0.0, deadline - self._core.clock.monotonic()))
        overdue = self._others()
        for transport in overdue.values():
            if transport is not None:
                transport.break_off(STOPPED)
        deadline = self._core.clock.monotonic() + LAST_WAIT_S
        for thread in overdue:
            thread.join(max(0.0, deadline - self._core.clock.monotonic()))
        self._abandon_what_still_runs()
        listener.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._log_stop(len(overdue))

    def _others(self) -> dict[threading.Thread, Transport | None]:
        """List the threads that a stop waits for: not its own, in which a handler may call it."""
        with self._lock:
            others = dict(self._threads)
        others.pop(threading.current_thread(), None)
        return others

    def _abandon_what_still_runs(self) -> None:
        with self._lock:
            self._abandoned.update(self._threads)
            self._threads.clear()
            self._waiting = 0
            abandoned = self._abandoned - {threading.current_thread()}
        for thread in abandoned:
            if thread.is_alive():
                self._core.logger.error("handler-does-not-end", thread=thread.name)

    def __enter__(self) -> Self:
        """Start the server unless it runs; raises where ``start`` would give a failure."""
        return self if self.is_running else raised(self.start())

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # -- accepting ---------------------------------------------------------------------
    #
    # There is no thread that only accepts. Each accepts a connection, sees to it that
    # another one waits for the next, and serves it: nothing is handed over, and in the
    # long run no thread is started for an association, which would cost as much as it.

    def _start_thread(self, listener: socket.socket) -> None:
        """Start a thread that accepts and serves.

        Raises:
            OSError: There is no descriptor to be had.
            RuntimeError: There is no thread to be had.
        """
        accept = AcceptWait(listener, self._wake_read)  # here, where somebody hears of a failure
        with self._lock:
            if self._core.stopping.is_set():
                accept.close()
                return
            self._started += 1
            thread = threading.Thread(
                target=self._work,
                args=(listener, accept),
                name=f"dicom-{self._port}-{self._started}",
                daemon=True,
            )
            self._threads[thread] = None
            self._waiting += 1
        try:
            thread.start()
        except RuntimeError:
            accept.close()
            with self._lock:
                del self._threads[thread]
                self._waiting -= 1
            raise

    def _work(self, listener: socket.socket, accept: AcceptWait) -> None:
        try:
            with accept:
                while accept.wait():
                    if self._accept(listener) and not self._is_wanted():
                        break
        finally:
            with self._lock:
                self._threads.pop(threading.current_thread(), None)
                self._abandoned.discard(threading.current_thread())

    def _is_wanted(self) -> bool:
        """Wait again after an association, unless enough threads do, or the server has gone on."""
        thread = threading.current_thread()
        with self._lock:
            if thread in self._abandoned:
                return False
            self._threads[thread] = None
            is_wanted = self._waiting < _MOST_WAITING
            self._waiting += is_wanted
        return is_wanted

    def _accept(self, listener: socket.socket) -> bool:
        """Accept and serve one connection; ``False`` if there was none to serve."""
        try:
            connected, address = listener.accept()
        except BlockingIOError:
            return False  # another thread was faster
        except OSError as exc:
            # The peer went away meanwhile, or descriptors ran out; in both cases the next
            # connection deserves its chance.
            self._core.logger.warning("accept-failed", reason=str(exc))
            if exc.errno in OUT_OF_DESCRIPTORS:
                self._core.stopping.wait(ACCEPT_PAUSE_S)
            return False
        host, port = address[0], address[1]
        with self._lock:
            self._waiting -= 1
            is_last = not self._waiting
            others = len(self._threads) - self._waiting - 1
        is_crowded = not self._core.has_room(others)
        transport = None if is_crowded else self._taken_up(connected, host, listener, is_last)
        if transport is None:
            if is_crowded:
                self._core.logger.warning("connection-refused-over-limit", peer_host=host)
            connected.close()
            with self._lock:
                self._waiting += 1
            return False
        with self._lock:
            self._threads[threading.current_thread()] = transport
        if is_secured(self._core, transport, host, port):
            ServerSession(self._core, transport, host, port).run()
        return True

    def _taken_up(
        self, connected: socket.socket, host: str, listener: socket.socket, is_last: bool
    ) -> Transport | None:
        transport: Transport | None = None
        try:
            transport = self._core.transport(connected, self._wake_read)
            if is_last:
                self._start_thread(listener)
        except (OSError, RuntimeError) as exc:  # already reset, or no thread to be had
            self._core.logger.warning("connection-not-served", peer_host=host, reason=str(exc))
            if transport is not None:
                transport.close()  # with TLS the socket is no longer in ``connected``
            return None
        return transport

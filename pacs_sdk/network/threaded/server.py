"""The server: one thread an association, blocking reads, a stop that takes milliseconds."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Sequence
from typing import Self

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import (
    AuditSink,
    Clock,
    Logger,
    MetricSink,
    NullAuditSink,
    NullLogger,
    NullMetricSink,
    SystemClock,
)
from pacs_sdk.core.results import edge, raised
from pacs_sdk.network.connection.listener import ACCEPT_PAUSE_S, OUT_OF_DESCRIPTORS, listen
from pacs_sdk.network.connection.session import ServerSession
from pacs_sdk.network.connection.transport import Transport
from pacs_sdk.network.server_config import ServerConfig
from pacs_sdk.network.server_core import ServerCore
from pacs_sdk.network.service import DicomService

__all__ = ["DicomServer"]


class DicomServer:
    """Accepts associations and dispatches their requests to services.

    Args:
        config: How to listen and what to allow.
        services: Who performs which SOP classes.
        logger: Where events are recorded.
        clock: The time, for timeouts.
        metrics: Where counts go.
        audit: Where refused and opened associations are recorded.
    """

    def __init__(
        self,
        config: ServerConfig,
        services: Sequence[DicomService],
        *,
        logger: Logger | None = None,
        clock: Clock | None = None,
        metrics: MetricSink | None = None,
        audit: AuditSink | None = None,
    ) -> None:
        self._config = config
        self._logger = logger or NullLogger()
        self._clock = clock or SystemClock()
        self._core = ServerCore(
            config,
            services,
            self._logger,
            self._clock,
            metrics or NullMetricSink(),
            audit or NullAuditSink(),
        )
        self._lock = threading.Lock()
        self._threads: dict[threading.Thread, Transport] = {}
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._wake_read = self._wake_write = -1
        self._port = 0

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._config.host

    @property
    def port(self) -> int:
        """The port it listens on; 0 before it is started."""
        return self._port

    @property
    def ae_title(self) -> str:
        """Its AE title."""
        return self._config.ae_title

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._listener is not None

    @property
    def active_associations(self) -> int:
        """How many associations are established now."""
        return self._core.established

    @edge({OSError: ErrorCode.PORT_UNAVAILABLE})
    def start(self) -> Self:
        """Listen, and serve in the background.

        Returns:
            ``Success`` with the server, or ``Failure`` with ``PORT_UNAVAILABLE`` or, if
            it already runs, ``PROTOCOL_MISUSE``.
        """
        if self._listener is not None:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the server already runs")
        listener = listen(self._config.host, self._config.port, reuse_port=self._config.reuse_port)
        try:
            self._wake_read, self._wake_write = os.pipe()
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._port = listener.getsockname()[1]
        self._core.stopping.clear()
        self._acceptor = threading.Thread(
            target=self._accept_loop,
            args=(listener,),
            name=f"dicom-accept-{self._port}",
            daemon=True,
        )
        self._acceptor.start()
        self._logger.info("server-started", host=self._config.host, port=self._port)
        return self

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop accepting, let messages under way finish, end every association.

        Args:
            timeout_s: How long running operations may take before their connections
                are closed.
        """
        listener, self._listener = self._listener, None  # a second call has nothing to do
        acceptor, self._acceptor = self._acceptor, None
        if listener is None or acceptor is None:
            return
        self._core.stopping.set()
        os.write(self._wake_write, b"\0")  # never read: it stays readable for all who wait
        acceptor.join()
        listener.close()
        deadline = self._clock.monotonic() + timeout_s
        with self._lock:
            running = tuple(self._threads)
        for thread in running:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        with self._lock:
            overdue = dict(self._threads)
        for transport in overdue.values():
            transport.break_off()
        for thread in overdue:
            thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._logger.info("server-stopped", port=self._port, cut_off=len(overdue))

    def __enter__(self) -> Self:
        """Start the server unless it runs; raises where ``start`` would give a failure."""
        return self if self.is_running else raised(self.start())

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # -- accepting ---------------------------------------------------------------------

    def _accept_loop(self, listener: socket.socket) -> None:
        wait = select.poll()
        wait.register(listener, select.POLLIN)
        wait.register(self._wake_read, select.POLLIN)
        while True:
            ready = {number for number, _ in wait.poll()}
            if self._wake_read in ready:
                return
            try:
                connected, address = listener.accept()
            except OSError as exc:
                # The peer went away between poll and accept, or descriptors ran out;
                # in both cases the next connection deserves its chance.
                self._logger.warning("accept-failed", reason=str(exc))
                if exc.errno in OUT_OF_DESCRIPTORS:
                    self._core.stopping.wait(ACCEPT_PAUSE_S)
                continue
            try:
                self._start_thread(connected, address[0], address[1])
            except (OSError, RuntimeError) as exc:  # already reset, or no thread to be had
                self._logger.warning("connection-not-served", peer_host=address[0], reason=str(exc))
                connected.close()

    def _start_thread(self, connected: socket.socket, host: str, port: int) -> None:
        with self._lock:
            crowded = len(self._threads) >= self._config.max_connections
        if crowded:
            self._logger.warning("connection-refused-over-limit", peer_host=host)
            connected.close()
            return
        transport = Transport(connected, self._wake_read)
        thread = threading.Thread(
            target=self._run, args=(transport, host, port), name=f"dicom-{host}:{port}", daemon=True
        )
        with self._lock:
            self._threads[thread] = transport
        try:
            thread.start()
        except RuntimeError:
            with self._lock:
                del self._threads[thread]
            raise

    def _run(self, transport: Transport, host: str, port: int) -> None:
        try:
            ServerSession(self._core, transport, host, port).run()
        finally:
            with self._lock:
                del self._threads[threading.current_thread()]

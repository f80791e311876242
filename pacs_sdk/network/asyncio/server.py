"""The server in an event loop: it waits for all peers in one thread, and works in a few."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self

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
from pacs_sdk.core.results import PacsResult, edge, raised
from pacs_sdk.network.access import AccessControl
from pacs_sdk.network.connection.listener import ACCEPT_PAUSE_S, OUT_OF_DESCRIPTORS, listen
from pacs_sdk.network.connection.session import ServerSession, is_secured
from pacs_sdk.network.server_config import ServerConfig
from pacs_sdk.network.server_core import ServerCore
from pacs_sdk.network.service import DicomService

__all__ = ["AsyncDicomServer"]

_MESSAGE_LINGER_S: Final = 0.02
_ANSWER_LINGER_S: Final = 0.002
"""How long a worker waits itself for the rest of a message, and for the request that follows
an answer, before it gives the connection back to the loop: a hand-over costs more than most
peers take."""
_READS_A_TURN: Final = 256
"""How often a worker reads from one peer while others may wait, some 30 MB of images."""


class AsyncDicomServer:
    """Accepts associations in the running event loop; handlers run in worker threads.

    The services, the configuration and the behaviour are those of
    :class:`~pacs_sdk.network.DicomServer`. While a peer is silent only the loop waits for
    it. Once bytes come, one of the worker threads reads them and carries out requests.

    Args:
        config: How to listen and what to allow.
        services: Who performs which SOP classes, in plain synchronous code.
        logger: Where events are recorded.
        clock: The time, for timeouts.
        metrics: Where counts go.
        audit: Where refused and opened associations are recorded.
        access: The program's own say in who may associate.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for rules that are none.
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
        access: AccessControl | None = None,
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
            access or AccessControl(),
        )
        self._listener: socket.socket | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}
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

    async def start(self) -> PacsResult[Self]:
        """Listen, and serve in the running event loop.

        Returns:
            ``Success`` with the server, or ``Failure`` with ``PORT_UNAVAILABLE``,
            ``PROTOCOL_MISUSE`` if it already runs, or for the files of TLS
            ``FILE_NOT_FOUND``, ``FILE_READ_FAILED`` or ``INVALID_CONFIGURATION``.
        """
        return self._start(asyncio.get_running_loop())

    @edge({OSError: ErrorCode.PORT_UNAVAILABLE})
    def _start(self, loop: asyncio.AbstractEventLoop) -> Self:
        if self._listener is not None:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the server already runs")
        self._core.prepare()
        listener = listen(self._config.host, self._config.port, reuse_port=self._config.reuse_port)
        self._listener = listener
        self._port = listener.getsockname()[1]
        self._core.stopping.clear()
        self._pool = ThreadPoolExecutor(self._config.worker_threads, f"dicom-work-{self._port}")
        self._listen(loop, listener)
        self._logger.info("server-started", host=self._config.host, port=self._port)
        return self

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Stop accepting, let messages under way finish, end every association.

        Args:
            timeout_s: How long running operations may take before their connections
                are closed.
        """
        listener, self._listener = self._listener, None  # a second call has nothing to do
        pool, self._pool = self._pool, None
        if listener is None or pool is None:
            return
        self._core.stopping.set()
        asyncio.get_running_loop().remove_reader(listener.fileno())
        listener.close()
        running = dict(self._connections)
        for connection in running.values():
            connection.wake()
        overdue: set[asyncio.Task[None]] = set()
        if running:
            _, overdue = await asyncio.wait(running, timeout=timeout_s)
        for task in overdue:
            running[task].transport.break_off()
        if overdue:
            await asyncio.wait(overdue)
        await asyncio.get_running_loop().run_in_executor(None, pool.shutdown)
        self._logger.info("server-stopped", port=self._port, cut_off=len(overdue))

    async def __aenter__(self) -> Self:
        """Start the server unless it runs; raises where ``start`` would give a failure."""
        return self if self.is_running else raised(await self.start())

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    # -- inside ------------------------------------------------------------------------

    def _listen(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        if self._listener is listener:
            loop.add_reader(listener.fileno(), self._accept, loop, listener)

    def _accept(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        try:
            connected, address = listener.accept()
        except BlockingIOError:
            return
        except OSError as exc:
            # The peer went away at once, or descriptors ran out; in both cases the next
            # connection deserves its chance.
            self._logger.warning("accept-failed", reason=str(exc))
            if exc.errno in OUT_OF_DESCRIPTORS:
                loop.remove_reader(listener.fileno())
                loop.call_later(ACCEPT_PAUSE_S, self._listen, loop, listener)
            return
        host, port = address[0], address[1]
        pool = self._pool
        if pool is None or len(self._connections) >= self._config.max_connections:
            self._logger.warning("connection-refused-over-limit", peer_host=host)
            connected.close()
            return
        try:
            connection = _Connection(self._core, connected, host, port)
        except OSError as exc:  # already reset
            self._logger.warning("connection-not-served", peer_host=host, reason=str(exc))
            connected.close()
            return
        task = loop.create_task(connection.serve(loop, pool, self._core))
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)


class _Connection:
    """One connection, between the loop that waits for it and the worker that reads it."""

    def __init__(self, core: ServerCore, connected: socket.socket, host: str, port: int) -> None:
        self.transport = core.transport(connected)
        self._descriptor = self.transport.fileno()
        self._core, self._host, self._port = core, host, port
        self._session: ServerSession | None = None
        self._waiting: asyncio.Future[bool] | None = None
        self._is_woken = False

    def wake(self) -> None:
        """End the wait for the peer, as the server stops."""
        self._is_woken = True
        if self._session is None:
            self.transport.break_off()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(True)

    async def serve(
        self, loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor, core: ServerCore
    ) -> None:
        """Serve to the end; only waiting happens in the loop, as sending may block."""
        if not await self._secured(loop, pool):
            return
        session = self._session = ServerSession(core, self.transport, self._host, self._port)
        goes_on = session.proceed()
        while goes_on:
            deadline = session.deadline
            left_s = None if deadline is None else deadline - core.clock.monotonic()
            is_readable = await self._readable(loop, left_s)
            work: Callable[[ServerSession], bool] = _go_on
            if self._is_woken:
                self._is_woken = False
                if session.message_has_begun:
                    continue  # it is finished first; the session asks again after it
                work = _stop
            elif not is_readable:
                work = _time_up
            try:
                goes_on = await loop.run_in_executor(pool, work, session)
            except RuntimeError as exc:  # no thread to be had
                session.give_up(str(exc))
                return

    async def _secured(self, loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor) -> bool:
        if self._core.config.tls is None:
            return True
        try:
            return await loop.run_in_executor(
                pool, is_secured, self._core, self.transport, self._host, self._port
            )
        except RuntimeError as exc:  # no thread to be had
            self._core.logger.warning("connection-not-served", reason=str(exc))
            self.transport.close()
            return False

    async def _readable(self, loop: asyncio.AbstractEventLoop, timeout_s: float | None) -> bool:
        """Wait for bytes; ``False`` when time is up first."""
        if self._is_woken or self.transport.pending():
            return True
        waiting: asyncio.Future[bool] = loop.create_future()
        self._waiting = waiting

        def ready(result: bool) -> None:
            if not waiting.done():
                waiting.set_result(result)

        timer = None if timeout_s is None else loop.call_later(max(0.0, timeout_s), ready, False)
        loop.add_reader(self._descriptor, ready, True)
        try:
            return await waiting
        finally:
            self._waiting = None
            loop.remove_reader(self._descriptor)
            if timer is not None:
                timer.cancel()


def _go_on(session: ServerSession) -> bool:
    """Read and act until the peer has nothing to say, or others' turn has come."""
    linger_s, left = 0.0, _READS_A_TURN
    while left and session.read(linger_s):
        if not session.proceed():
            return False
        linger_s = _MESSAGE_LINGER_S if session.message_has_begun else _ANSWER_LINGER_S
        left -= 1
    return True


def _time_up(session: ServerSession) -> bool:
    session.time_up()
    return session.proceed()


def _stop(session: ServerSession) -> bool:
    session.stop()
    return session.proceed()

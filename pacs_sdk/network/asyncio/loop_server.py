"""The server in an event loop: it waits for all peers in one thread, and works in a few."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from typing import Unpack

from pacs_sdk.network.asyncio.connection import LoopConnection
from pacs_sdk.network.asyncio.work_pool import WorkPool
from pacs_sdk.network.connection.listener import ACCEPT_PAUSE_S, OUT_OF_DESCRIPTORS
from pacs_sdk.network.server_base import LAST_WAIT_S, STOPPED, ServerBase, ServerPorts
from pacs_sdk.network.server_config import ServerConfig
from pacs_sdk.network.service import DicomService

__all__ = ["LoopServer"]


class LoopServer(ServerBase):
    """Accepts associations in an event loop; handlers run in worker threads.

    While a peer is silent only the loop waits for it. Once bytes come, one of the worker
    threads reads them and carries out requests. Whose loop it is, is up to the subclasses.
    """

    def __init__(
        self, config: ServerConfig, services: Sequence[DicomService], **ports: Unpack[ServerPorts]
    ) -> None:
        super().__init__(config, services, **ports)
        self._pool: WorkPool | None = None
        self._connections: dict[asyncio.Task[None], LoopConnection] = {}

    def _serve_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen, and serve in a loop, in whose thread this is called.

        Raises:
            PacsException: As :meth:`ServerBase._open_listener`.
        """
        listener = self._open_listener()
        self._has_begun(listener)
        self._pool = WorkPool(self._core.config.worker_threads, f"dicom-work-{self._port}")
        self._connections = {}  # one of before may be at its end yet
        self._listen(loop, listener)
        self._log_start()

    async def _end(
        self, timeout_s: float, caller: threading.Thread | None = None
    ) -> asyncio.Task[None] | None:
        """Stop accepting, let messages under way finish, end every association.

        Args:
            timeout_s: How long they may take.
            caller: The thread that waits for this, if one does.

        Returns:
            The connection that the caller is serving just now, if it is a handler. It is not
            waited for: it ends once the handler has answered.
        """
        listener, self._listener = self._listener, None  # a second call has nothing to do
        pool, self._pool = self._pool, None
        if listener is None or pool is None:
            return None
        self._core.stopping.set()
        asyncio.get_running_loop().remove_reader(listener.fileno())
        listener.close()
        running = dict(self._connections)
        mine = [task for task, one in running.items() if caller and one.worker is caller]
        own = mine[0] if mine else None
        if own is not None:
            del running[own]
            own.add_done_callback(lambda _: pool.shutdown(wait=False))
        for connection in running.values():
            connection.wake()
        overdue: set[asyncio.Task[None]] = set()
        if running:
            _, overdue = await asyncio.wait(running, timeout=timeout_s)
        for task in overdue:
            running[task].transport.break_off(STOPPED)
        abandoned: set[asyncio.Task[None]] = set()
        if overdue:
            _, abandoned = await asyncio.wait(overdue, timeout=LAST_WAIT_S)
            for task in abandoned:
                self._core.logger.error("handler-does-not-end", peer_host=running[task].host)
                task.cancel()
        if own is None and abandoned:
            pool.shutdown(wait=False)
        elif own is None:
            await asyncio.get_running_loop().run_in_executor(None, pool.shutdown)
        self._log_stop(len(overdue))
        return own

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
            self._core.logger.warning("accept-failed", reason=str(exc))
            if exc.errno in OUT_OF_DESCRIPTORS:
                loop.remove_reader(listener.fileno())
                loop.call_later(ACCEPT_PAUSE_S, self._listen, loop, listener)
            return
        host, port = address[0], address[1]
        pool = self._pool
        if pool is None or not self._core.has_room(len(self._connections)):
            self._core.logger.warning("connection-refused-over-limit", peer_host=host)
            connected.close()
            return
        try:
            connection = LoopConnection(self._core, connected, host, port)
        except OSError as exc:  # already reset
            self._core.logger.warning("connection-not-served", peer_host=host, reason=str(exc))
            connected.close()
            return
        task = loop.create_task(connection.serve(loop, pool, self._core))
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)

"""One connection of the asyncio server: the loop waits for it, a worker thread reads it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from functools import partial

from pacs_sdk.network.asyncio.turns import Outcome, Turns
from pacs_sdk.network.asyncio.work_pool import WorkPool
from pacs_sdk.network.connection.session import ServerSession, is_secured
from pacs_sdk.network.connection.tls_transport import TlsTransport
from pacs_sdk.network.server_base import STOPPED
from pacs_sdk.network.server_core import ServerCore

__all__ = ["LoopConnection"]


class LoopConnection:
    """One connection, between the loop that waits for it and the worker that reads it."""

    def __init__(self, core: ServerCore, connected: socket.socket, host: str, port: int) -> None:
        self.transport = core.transport(connected)
        self._descriptor = self.transport.fileno()
        self.host = host
        self.worker: threading.Thread | None = None
        """Who works at it just now."""
        self._core, self._port = core, port
        self._session: ServerSession | None = None
        self._waiting: asyncio.Future[bool] | None = None
        self._is_woken = False

    def wake(self) -> None:
        """End the wait for the peer, as the server stops."""
        self._is_woken = True
        if self._session is None:
            self.transport.break_off(STOPPED)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(True)

    async def serve(
        self, loop: asyncio.AbstractEventLoop, pool: WorkPool, core: ServerCore
    ) -> None:
        """Serve to the end; only waiting happens in the loop, as sending may block."""
        self.transport.while_waiting = pool.lent
        if not await self._secured(loop, pool):
            return
        session = self._session = ServerSession(core, self.transport, self.host, self._port)
        turns = Turns(session, pool, core.clock)
        outcome = Outcome.WAIT if session.proceed() else Outcome.OVER
        while outcome is not Outcome.OVER:
            work = turns.go_on
            if outcome is Outcome.WAIT and not await self._ready(loop, session.deadline):
                work = turns.time_up
            if self._is_woken:
                self._is_woken = False
                work = turns.stop
            try:
                outcome = await loop.run_in_executor(pool, self._carried_out, work)
            except RuntimeError as exc:  # no thread to be had
                session.give_up(str(exc))
                return

    def _carried_out(self, work: Callable[[], Outcome]) -> Outcome:
        self.worker = threading.current_thread()
        try:
            return work()
        finally:
            self.worker = None

    async def _secured(self, loop: asyncio.AbstractEventLoop, pool: WorkPool) -> bool:
        """Agree on TLS, if the server speaks it; a worker only does what needs no waiting."""
        tls, transport = self._core.config.tls, self.transport
        if tls is not None and isinstance(transport, TlsTransport):
            step = partial(transport.handshake_step, tls.handshake_timeout_s)
            try:
                while (deadline := await loop.run_in_executor(pool, step)) is not None:
                    await self._ready(loop, deadline)
            except RuntimeError as exc:  # no thread to be had
                self._core.logger.warning(
                    "connection-not-served", peer_host=self.host, reason=str(exc)
                )
                transport.close()
                return False
        return is_secured(self._core, transport, self.host, self._port)

    async def _ready(self, loop: asyncio.AbstractEventLoop, deadline: float | None) -> bool:
        """Wait until the transport can go on; ``False`` when time is up first."""
        transport = self.transport
        if self._is_woken or transport.pending():
            return True
        waiting: asyncio.Future[bool] = loop.create_future()
        self._waiting = waiting

        def ready(result: bool) -> None:
            if not waiting.done():
                waiting.set_result(result)

        timer = None
        if deadline is not None:
            left_s = max(0.0, deadline - self._core.clock.monotonic())
            timer = loop.call_later(left_s, ready, False)
        # OpenSSL may have to write before it can read.
        awaits_room = isinstance(transport, TlsTransport) and transport.awaits_room
        add, remove = (
            (loop.add_writer, loop.remove_writer)
            if awaits_room
            else (loop.add_reader, loop.remove_reader)
        )
        add(self._descriptor, ready, True)
        try:
            return await waiting
        finally:
            self._waiting = None
            remove(self._descriptor)
            if timer is not None:
                timer.cancel()

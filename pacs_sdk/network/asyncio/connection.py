"""One connection of the asyncio server: the loop waits for it, a worker thread reads it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from pacs_sdk.network.asyncio.work_pool import WorkPool
from pacs_sdk.network.connection.session import ServerSession, is_secured
from pacs_sdk.network.server_core import ServerCore

__all__ = ["LoopConnection"]

_MESSAGE_LINGER_S: Final = 0.02
_ANSWER_LINGER_S: Final = 0.002
"""How long a worker waits itself for the rest of a message, and for the request that follows
an answer, before it gives the connection back to the loop: a hand-over costs more than most
peers take."""
_READS_A_TURN: Final = 256
"""How often a worker reads from one peer while others may wait, some 30 MB of images."""


class LoopConnection:
    """One connection, between the loop that waits for it and the worker that reads it."""

    def __init__(self, core: ServerCore, connected: socket.socket, host: str, port: int) -> None:
        self.transport = core.transport(connected)
        self._descriptor = self.transport.fileno()
        self.host = host
        self._core, self._port = core, port
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
        self, loop: asyncio.AbstractEventLoop, pool: WorkPool, core: ServerCore
    ) -> None:
        """Serve to the end; only waiting happens in the loop, as sending may block."""
        if not await self._secured(loop, pool):
            return
        session = self._session = ServerSession(core, self.transport, self.host, self._port)
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

    async def _secured(self, loop: asyncio.AbstractEventLoop, pool: WorkPool) -> bool:
        if self._core.config.tls is None:
            return True
        try:
            return await loop.run_in_executor(
                pool, is_secured, self._core, self.transport, self.host, self._port
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

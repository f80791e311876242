"""The asyncio server for programs without an event loop: it brings one in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, Self, TypeVar, Unpack

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.network.asyncio.loop_server import LoopServer
from pacs_sdk.network.server_base import ServerPorts
from pacs_sdk.network.server_config import ServerConfig
from pacs_sdk.network.service import DicomService

__all__ = ["BackgroundServer"]

_T = TypeVar("_T")


class BackgroundServer(LoopServer):
    """An :class:`AsyncDicomServer` with the methods of a :class:`~pacs_sdk.network.DicomServer`.

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
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None

    @edge({OSError: ErrorCode.PORT_UNAVAILABLE})
    def start(self) -> Self:
        """Listen, and serve in the background.

        Returns:
            ``Success`` with the server, or ``Failure`` with ``PORT_UNAVAILABLE`` or, if
            it already runs, ``PROTOCOL_MISUSE``.
        """
        if self._running is not None:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the server already runs")
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_run, args=(loop,), name="dicom-loop", daemon=True)
        self._running = loop, thread
        thread.start()
        try:
            self._in_loop(loop, self._begin(loop))
        except BaseException:
            self._running = None
            self._end_loop(loop, thread)
            raise
        return self

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop accepting, let messages under way finish, end every association.

        Args:
            timeout_s: How long running operations may take before their connections
                are closed. A handler that goes on after that is left alone, as in
                :meth:`DicomServer.stop`.

        A handler may call it, too. Its own association ends once it has answered. In a fork of
        the process that started the server, it takes nothing from that one.
        """
        running, self._running = self._running, None  # a second call has nothing to do
        if running is None or self._is_left_to_parent():
            return
        loop, thread = running
        own = self._in_loop(loop, self._end(timeout_s, threading.current_thread()))
        if own is None:
            self._end_loop(loop, thread)
        else:  # the handler that called this: the loop ends behind its answer
            loop.call_soon_threadsafe(own.add_done_callback, lambda _: loop.stop())

    def __enter__(self) -> Self:
        """Start the server unless it runs; raises where ``start`` would give a failure."""
        return self if self.is_running else raised(self.start())

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    async def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._serve_in(loop)

    @staticmethod
    def _in_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    def _end_loop(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        self._in_loop(loop, loop.shutdown_default_executor())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, and give back what it has."""
    try:
        loop.run_forever()
    finally:
        loop.close()

"""The asyncio server for programs that have an event loop."""

from __future__ import annotations

import asyncio
from typing import Self

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import PacsResult, edge, raised
from pacs_sdk.network.asyncio.loop_server import LoopServer

__all__ = ["AsyncDicomServer"]


class AsyncDicomServer(LoopServer):
    """Accepts associations in the running event loop; handlers run in worker threads.

    The services, the configuration and the behaviour are those of
    :class:`~pacs_sdk.network.DicomServer`. While a peer is silent only the loop waits for
    it. Once bytes come, one of the worker threads reads them and carries out requests.

    Args:
        config: How to listen and what to allow.
        services: Who performs which SOP classes, in plain synchronous code.
        ports: ``logger``, ``clock``, ``metrics``, ``audit`` and ``access``, as
            :class:`~pacs_sdk.network.ServerPorts` has them.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for rules that are none.
    """

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
        self._serve_in(loop)
        return self

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Stop accepting, let messages under way finish, end every association.

        Args:
            timeout_s: How long running operations may take before their connections
                are closed. A handler that goes on after that is left alone, as in
                :meth:`DicomServer.stop`.
        """
        await self._end(timeout_s)

    async def __aenter__(self) -> Self:
        """Start the server unless it runs; raises where ``start`` would give a failure."""
        return self if self.is_running else raised(await self.start())

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

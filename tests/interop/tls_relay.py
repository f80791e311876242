"""TLS for programs that speak none: DCMTK's movescu, getscu and dcmqrscp (as a site's stunnel)."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import attrs

__all__ = ["relayed"]

HOST = "127.0.0.1"


@attrs.frozen
class _Relay:
    to_port: int
    to_tls: ssl.SSLContext | None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes either way until both sides have closed."""
        name = None if self.to_tls is None else HOST
        try:
            far_reader, far_writer = await asyncio.open_connection(
                HOST, self.to_port, ssl=self.to_tls, server_hostname=name
            )
        except OSError:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
        finally:
            for end in (writer, far_writer):
                end.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # one side broke off: the other one is told by the close
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()


@contextmanager
def relayed(
    to_port: int,
    *,
    port: int = 0,
    from_tls: ssl.SSLContext | None = None,
    to_tls: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """Listen, and pass every connection on to a port of this machine.

    Args:
        to_port: Where to.
        port: Where to listen; a free port by default.
        from_tls: How those who connect speak TLS; in clear if ``None``.
        to_tls: How it goes on over TLS; in clear if ``None``.

    Yields:
        The port that it listens on.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="tls-relay")
    thread.start()

    async def end() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    try:
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(_Relay(to_port, to_tls).serve, HOST, port, ssl=from_tls), loop
        ).result()
        yield server.sockets[0].getsockname()[1]
        asyncio.run_coroutine_threadsafe(end(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

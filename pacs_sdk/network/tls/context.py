"""A server's certificate that can be renewed while the server runs."""

from __future__ import annotations

import ssl
import threading
from typing import Final, Self

import attrs

from pacs_sdk.core.errors import PacsError, PacsException
from pacs_sdk.core.ports import Clock, Logger, NullLogger, SystemClock
from pacs_sdk.core.results import edge
from pacs_sdk.network.tls.settings import ServerTls, server_context

__all__ = ["ServerTlsContext"]

_CHECK_INTERVAL_S: Final = 1.0
"""How often the files are looked at: three ``stat`` calls a second cost nothing, and nobody
waits longer than that for a new certificate."""


@attrs.frozen
class _Stamp:
    """What tells one content of a file from another without reading it."""

    modified_ns: int
    size_bytes: int
    inode: int


class ServerTlsContext:
    """Gives each new connection the context made of the files as they are now.

    A renewed certificate serves from the next connection on; those that are established keep
    theirs. While the files are not usable (one of two is replaced already, or a mistake was
    made) the last good context stays in use. It may be asked from any thread.

    Args:
        tls: The files and the profile.
        clock: The time, for looking at the files once a second.
        logger: Where a reload, or why there was none, is recorded.

    Raises:
        PacsException: The files cannot be used at the start: ``FILE_NOT_FOUND``,
            ``FILE_READ_FAILED`` or ``INVALID_CONFIGURATION``.
    """

    def __init__(
        self, tls: ServerTls, *, clock: Clock | None = None, logger: Logger | None = None
    ) -> None:
        self.tls = tls
        """What it is made of."""
        self._clock = clock or SystemClock()
        self._logger = logger or NullLogger()
        self._lock = threading.Lock()
        self._checked = self._clock.monotonic()
        self._failure: PacsError | None = None
        self._stamps = self._look()
        self._context = server_context(tls)

    def current(self) -> ssl.SSLContext:
        """Return the context for a new connection, made anew if a file has changed."""
        with self._lock:
            now = self._clock.monotonic()
            if now - self._checked >= _CHECK_INTERVAL_S:
                self._checked = now
                if self._look() != self._stamps:
                    try:
                        self._load()
                    except PacsException as exc:
                        self._keep_old(exc.error)
            return self._context

    @edge()
    def reload(self) -> Self:
        """Read the files now, whether they seem to have changed or not.

        Returns:
            ``Success`` with this object; or ``Failure`` with ``FILE_NOT_FOUND``,
            ``FILE_READ_FAILED`` or ``INVALID_CONFIGURATION``, and the old certificate stays
            in use.
        """
        with self._lock:
            try:
                self._load()
            except PacsException as exc:
                self._keep_old(exc.error)
                raise
        return self

    def _load(self) -> None:
        stamps = self._look()  # first: what is replaced meanwhile differs at the next look
        self._context = server_context(self.tls)
        self._stamps = stamps
        self._failure = None
        self._logger.info("tls-certificate-reloaded", certificate=str(self.tls.certificate))

    def _keep_old(self, error: PacsError) -> None:
        if error != self._failure:  # it is tried each second, and told once
            self._failure = error
            self._logger.error(
                "tls-certificate-not-reloaded",
                reason=error.message,
                certificate=str(self.tls.certificate),
            )

    def _look(self) -> tuple[_Stamp | None, ...]:
        stamps: list[_Stamp | None] = []
        for path in self.tls.files:
            try:
                facts = path.stat()
            except (OSError, ValueError):  # loading it will say what is wrong
                stamps.append(None)
            else:
                stamps.append(_Stamp(facts.st_mtime_ns, facts.st_size, facts.st_ino))
        return tuple(stamps)

"""A whole PACS as one object."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from dependency_injector import providers

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.core.results import edge, raised
from pacs_sdk.integration.added_services import ServiceSource
from pacs_sdk.integration.config import PacsConfig, StorageConfig
from pacs_sdk.integration.container import PacsContainer
from pacs_sdk.network import BackgroundServer, DicomServer, Peer, ServerConfig
from pacs_sdk.storage import Archive, Durability

__all__ = ["Pacs"]


class Pacs:
    """An archive behind a DICOM server.

    Args:
        container: What it is made of. The PACS doesn't start by being built: use
            :meth:`start`, or the context manager, which raises ``PacsException`` where
            ``start`` would give a ``Failure``.
    """

    def __init__(self, container: PacsContainer) -> None:
        self.container = container
        """The container behind it, for whoever needs more than is offered here."""
        self._archive: Archive | None = None
        self._server: DicomServer | BackgroundServer | None = None
        self._has_begun = False
        self._process = 0
        self._left_to_parents: list[object] = []
        self._turn = threading.RLock()  # one starts or stops it at a time
        self._making = threading.RLock()  # the container's singletons may be made twice by two

    @classmethod
    def embedded(
        cls,
        data_dir: Path | str,
        *,
        ae_title: str = "PACS_SCP",
        host: str = "127.0.0.1",
        port: int = 0,
        durability: Durability = Durability.DURABLE,
        logger: Logger | None = None,
        services: Sequence[ServiceSource] = (),
    ) -> Self:
        """Describe a PACS inside this process.

        Args:
            data_dir: The folder of the archive, made if need be.
            ae_title: The server's AE title.
            host: The address to listen on.
            port: The port to listen on; 0 picks a free one.
            durability: Whether instances are flushed to disk before they are acknowledged.
            logger: Where events are recorded; nowhere by default.
            services: Services of your own, or what makes them; what one of them performs, the
                PACS's own do not any more.

        Returns:
            The PACS, not started: ``with Pacs.embedded(folder) as pacs: ...``.
        """
        config = PacsConfig(
            server=ServerConfig(ae_title=ae_title, host=host, port=port),
            storage=StorageConfig(data_dir=Path(data_dir), durability=durability),
        )
        return cls.configured(config, logger=logger, services=services)

    @classmethod
    def configured(
        cls,
        config: PacsConfig,
        *,
        logger: Logger | None = None,
        services: Sequence[ServiceSource] = (),
    ) -> Self:
        """Describe a PACS by its whole configuration.

        Args:
            config: The configuration.
            logger: Where events are recorded; nowhere by default.
            services: Services of your own, beside those that the configuration adds.
        """
        container = PacsContainer(config=providers.Object(config))
        if logger is not None:
            container.core.logger.override(providers.Object(logger))
        if services:
            container.services.added.override(providers.Object(tuple(services)))
        return cls(container)

    @property
    def archive(self) -> Archive:
        """The archive; opened when it is first needed, ``PacsException`` if it can't be."""
        with self._making:
            archive: Archive = self.container.storage.archive()
            if self._archive is None:
                self._archive, self._process = archive, os.getpid()
            return archive

    @property
    def server(self) -> DicomServer | BackgroundServer:
        """The DICOM server over the archive, of the driver that is configured.

        It is made when it is first needed, ``PacsException`` if it or the archive can't be.
        """
        with self._making:
            _ = self.archive  # first, so that it is closed if there can be no server
            server: DicomServer | BackgroundServer = self.container.network.server()
            self._server = server
            return server

    @property
    def port(self) -> int:
        """The port it listens on; 0 before it is started."""
        return self.server.port

    @property
    def peer(self) -> Peer:
        """The PACS as a client addresses it."""
        return Peer(self.server.host, self.server.port, self.server.ae_title)

    @edge()
    def start(self) -> Self:
        """Open the archive and start the server.

        Returns:
            ``Success`` with this PACS, or ``Failure`` with ``PORT_UNAVAILABLE``,
            ``STORAGE_WRITE_FAILED``, ``STORAGE_READ_FAILED``, ``INDEX_FAILED``,
            ``INVALID_CONFIGURATION``, ``MISSING_DEPENDENCY``, or what the services or TLS need
            and do not find; then all is closed, and it may be started again. On a PACS that
            runs ``PROTOCOL_MISUSE``, and it goes on.
        """
        with self._turn:
            if self._is_running():
                raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the PACS already runs")
            try:
                server = self.server
                if server.is_running:
                    self._archive = self._server = None  # they are the other's
                    raise PacsException(
                        ErrorCode.PROTOCOL_MISUSE, "another PACS of the same container runs"
                    )
                raised(self.archive.rehearse())
                raised(server.start())
                self._has_begun = True
                self.container.storage.housekeeping().start()
                self.container.services.sub_operation_pool().start_upkeep()
            except BaseException:  # also if it is interrupted: recovery may take long
                self._end(0.0)
                raise
        return self

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop the server, let running operations finish, close the archive.

        It does no harm to a PACS that is stopped, or was never started. In a fork of the process
        that started it, it takes nothing from that one, and the PACS may be started anew.

        Args:
            timeout_s: How long running operations may take.
        """
        with self._turn:
            self._end(timeout_s)

    def _is_running(self) -> bool:
        return self._server is not None and self._server.is_running

    def _end(self, timeout_s: float) -> None:
        """Stop and close what was made, one after the other, whatever fails."""
        archive, server, self._archive, self._server = self._archive, self._server, None, None
        if archive is None:
            return
        if self._process != os.getpid():  # files, sockets and locks belong to the parent
            self._has_begun = False
            self._left_to_parents.append(archive)  # its connections must not even be closed here
            if server is not None:
                server.stop(timeout_s)
            self._forget()
            return
        with contextlib.ExitStack() as last_first:
            last_first.callback(self._forget)
            last_first.callback(archive.close)
            if self._has_begun:
                self._has_begun = False
                last_first.callback(self.container.storage.housekeeping().close)
                pool = self.container.services.sub_operation_pool()
                last_first.callback(pool.close, timeout_s)
            if server is not None:
                last_first.callback(server.stop, timeout_s)

    def _forget(self) -> None:
        """Have a new archive and server made by the next start: closed ones can't be used."""
        with self._making:
            for layer in (self.container.network, self.container.services, self.container.storage):
                layer().reset_singletons()
            self._archive = self._server = None

    def __repr__(self) -> str:
        config = self.container.config()
        server = config.server if self._server is None else self._server
        state = "running" if self._is_running() else "not running"
        return (
            f"<Pacs {config.server.ae_title} at {server.host} port {server.port}, {state}; "
            f"archive in {config.storage.data_dir}>"
        )

    def __enter__(self) -> Self:
        """Start the PACS unless it runs; raises where ``start`` would give a failure."""
        return self if self._is_running() else raised(self.start())

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

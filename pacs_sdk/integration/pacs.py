"""A whole PACS as one object."""

from __future__ import annotations

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
        archive: Archive = self.container.storage.archive()
        return archive

    @property
    def server(self) -> DicomServer | BackgroundServer:
        """The DICOM server over the archive, of the driver that is configured."""
        server: DicomServer | BackgroundServer = self.container.network.server()
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
            ``STORAGE_WRITE_FAILED``, ``INDEX_FAILED``, ``INVALID_CONFIGURATION`` or
            ``PROTOCOL_MISUSE``.
        """
        server = self._made_server()
        if server.is_running:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the PACS already runs")
        try:
            raised(self.archive.rehearse())
            raised(server.start())
        except PacsException:
            self.archive.close()
            raise
        self.container.storage.housekeeping().start()
        self.container.services.sub_operation_pool().start_upkeep()
        return self

    def _made_server(self) -> DicomServer | BackgroundServer:
        """Return the server over an open archive, or close the archive if there can be none."""
        archive = self.archive
        try:
            return self.server
        except PacsException:
            archive.close()
            self.container.storage().reset_singletons()
            raise

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop the server, let running operations finish, close the archive.

        Args:
            timeout_s: How long running operations may take.
        """
        self.server.stop(timeout_s)
        self.container.services.sub_operation_pool().close(timeout_s)
        self.container.storage.housekeeping().close()
        self.archive.close()
        # What is closed can't be used again: a new start gets a new archive and server.
        for layer in (self.container.network, self.container.services, self.container.storage):
            layer().reset_singletons()

    def __enter__(self) -> Self:
        """Start the PACS unless it runs; raises where ``start`` would give a failure."""
        return self if self._made_server().is_running else raised(self.start())

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

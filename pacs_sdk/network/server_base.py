"""What the servers of all drivers are made of, and what they tell about themselves."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Final, TypedDict, Unpack

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
from pacs_sdk.network.access import AccessControl
from pacs_sdk.network.connection.listener import listen
from pacs_sdk.network.contexts import SupportedContext
from pacs_sdk.network.server_config import ServerConfig
from pacs_sdk.network.server_core import ServerCore
from pacs_sdk.network.service import DicomService

__all__ = ["LAST_WAIT_S", "STOPPED", "ServerBase", "ServerPorts"]

LAST_WAIT_S: Final = 2.0
"""How long a stop waits for handlers whose connections it has closed. Who asks whether the
operation is cancelled, or sends anything, ends in a moment; who does neither may never end."""


STOPPED: Final = "it was closed here because the server stopped"
"""Why a connection ends that is still there when a stop has waited long enough."""


class ServerPorts(TypedDict, total=False):
    """What a server is given besides its configuration and its services.

    Each may be left out, or be ``None``: nothing is recorded then, the time is the system's,
    and everybody is admitted whom the configuration admits.
    """

    logger: Logger | None
    """Where events are recorded."""
    clock: Clock | None
    """The time, for timeouts."""
    metrics: MetricSink | None
    """Where counts go."""
    audit: AuditSink | None
    """Where refused and opened associations are recorded."""
    access: AccessControl | None
    """The program's own say in who may associate."""


class ServerBase:
    """A server, whichever way it waits for its peers.

    Args:
        config: How to listen and what to allow.
        services: Who performs which SOP classes.
        ports: Logger, clock, metrics, audit and access, as :class:`ServerPorts` has them.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for rules that are none.
    """

    def __init__(
        self, config: ServerConfig, services: Sequence[DicomService], **ports: Unpack[ServerPorts]
    ) -> None:
        logger = ports.get("logger")  # it may have a length, as a list that keeps entries
        self._core = ServerCore(
            config,
            services,
            NullLogger() if logger is None else logger,
            ports.get("clock") or SystemClock(),
            ports.get("metrics") or NullMetricSink(),
            ports.get("audit") or NullAuditSink(),
            ports.get("access") or AccessControl(),
        )
        self._listener: socket.socket | None = None
        self._port = 0
        self._process = 0

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._core.config.host

    @property
    def port(self) -> int:
        """The port it listens on; 0 before it is started."""
        return self._port

    @property
    def ae_title(self) -> str:
        """Its AE title."""
        return self._core.config.ae_title

    @property
    def config(self) -> ServerConfig:
        """How it listens and what it allows."""
        return self._core.config

    @property
    def supported_contexts(self) -> Sequence[SupportedContext]:
        """What it negotiates: each SOP class once, with its roles and transfer syntaxes."""
        return self._core.table.contexts

    @property
    def services(self) -> Mapping[str, DicomService]:
        """Who performs each SOP class, by its UID."""
        return self._core.table.services

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._listener is not None

    @property
    def active_associations(self) -> int:
        """How many associations are established now."""
        return self._core.gate.established

    def _open_listener(self) -> socket.socket:
        """Load what a start needs and open the listening socket, which the caller keeps.

        Raises:
            PacsException: ``PROTOCOL_MISUSE`` if it already runs, ``PORT_UNAVAILABLE``, or what
                is wrong with the files for TLS or the spool folder.
        """
        if self._listener is not None:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the server already runs")
        self._core.prepare()
        config = self._core.config
        return listen(config.host, config.port, reuse_port=config.reuse_port)

    def _has_begun(self, listener: socket.socket) -> None:
        """Note that it runs from now on."""
        self._listener = listener
        self._port = listener.getsockname()[1]
        self._process = os.getpid()
        self._core.stopping = threading.Event()  # an association of before still has the other

    def _is_left_to_parent(self) -> bool:
        """Give up what a fork has inherited, if this is one; ``False`` in the process that began it.

        It has the sockets and pipes together with its parent, and none of the threads: to stop
        them from here would leave the parent without.
        """
        listener = self._listener
        if listener is None or self._process == os.getpid():
            return False
        self._listener = None
        listener.close()
        return True

    def __repr__(self) -> str:
        state = "running" if self.is_running else "not running"
        return f"<{type(self).__name__} {self.ae_title} at {self.host} port {self.port}, {state}>"

    def _log_start(self) -> None:
        self._core.logger.info("server-started", host=self.host, port=self._port)

    def _log_stop(self, cut_off: int) -> None:
        self._core.logger.info("server-stopped", port=self._port, cut_off=cut_off)

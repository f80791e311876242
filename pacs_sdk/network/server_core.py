"""What a server does with connections and requests, whichever driver carries their bytes."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Sequence
from typing import Final

from pacs_sdk.core.guarded_logger import guarded
from pacs_sdk.core.guarded_metrics import guarded_metrics
from pacs_sdk.core.ports import AuditSink, Clock, Logger, MetricSink
from pacs_sdk.core.results import raised
from pacs_sdk.network.access import AccessControl
from pacs_sdk.network.connection.association import SocketAssociation
from pacs_sdk.network.connection.options import AssociationOptions, ReceiveBuffers
from pacs_sdk.network.connection.tls_transport import TlsTransport
from pacs_sdk.network.connection.transport import Transport
from pacs_sdk.network.connection.waiting_room import WaitingRoom
from pacs_sdk.network.dimse import Message
from pacs_sdk.network.dispatch import Dispatcher, ServiceTable
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.known_requests import KnownRequests
from pacs_sdk.network.messages import AssociationInfo, IncomingMessage
from pacs_sdk.network.negotiation import AcceptedContext, AcceptorPolicy
from pacs_sdk.network.server_config import ServerConfig
from pacs_sdk.network.server_gate import ServerGate
from pacs_sdk.network.service import DicomService, ExchangePorts
from pacs_sdk.network.sink import DataSink
from pacs_sdk.network.spool_area import SpoolArea
from pacs_sdk.network.tls import ServerTlsContext

__all__ = ["ServerCore"]

_MOST_LEAVING: Final = 16
"""Connections that may be on their way out beside all others, when they come faster than they go."""


class ServerCore:
    """Makes associations of connections, and gives their requests to services.

    Args:
        config: What to allow.
        services: Who performs which SOP classes.
        logger: Where events are recorded.
        clock: The time, for timeouts.
        metrics: Where counts go.
        audit: Where refused and opened associations are recorded.
        access: The program's own say in who may associate.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for rules that are none.
    """

    def __init__(
        self,
        config: ServerConfig,
        services: Sequence[DicomService],
        logger: Logger,
        clock: Clock,
        metrics: MetricSink,
        audit: AuditSink,
        access: AccessControl,
    ) -> None:
        self.config = config
        """What is allowed."""
        self.clock = clock
        """The time."""
        self.logger = logger = guarded(logger)
        """Where events are recorded; what it raises is no failure of a peer's."""
        metrics = guarded_metrics(metrics)
        self.stopping = threading.Event()
        """Set once the server stops: a session ends after the message under way. Each start
        makes another one."""
        self.table = ServiceTable(services)
        """Who performs which SOP class."""
        self.policy = AcceptorPolicy(
            ae_title=config.ae_title,
            contexts=self.table.contexts,
            maximum_length=config.maximum_length,
            max_operations_performed=config.max_operations_performed,
            extended={
                context.abstract_syntax: context.extended
                for context in self.table.contexts
                if context.extended is not None
            },
            max_operations_invoked=config.max_operations_invoked,
            accept_by_service_class=config.unknown_storage_classes,
            accept_unknown_storage=config.unknown_storage_classes,
        )
        """What is supported, and how it is negotiated."""
        self._dispatcher = Dispatcher(
            self.table, ExchangePorts(clock, metrics, config.sub_operation_timeout_s)
        )
        self._numbers = itertools.count(1)
        self._known = KnownRequests(self.policy)
        self.gate = ServerGate(config, self._known, metrics, audit, access)
        """Who may associate."""
        self.waiting = WaitingRoom()
        """Connections that have no association."""
        self._spool = SpoolArea(
            config.spool_directory,
            config.spool_quota_bytes,
            memory_quota_bytes=config.memory_quota_bytes,
            logger=logger,
        )
        self._options = AssociationOptions(
            config.send_timeout_s,
            config.message_timeout_s,
            open_sink=self._open_sink,
            buffers=ReceiveBuffers(),
            is_alone=self._is_quiet,
            max_dataset_bytes=config.max_dataset_bytes,
        )
        self._tls: ServerTlsContext | None = None

    def prepare(self) -> None:
        """Load what a start needs, and sweep what a crash has left.

        Raises:
            PacsException: The files for TLS, or the spool folder, cannot be used.
        """
        self.table.log_replacements(self.logger)
        raised(self._spool.sweep())
        tls = self.config.tls
        if tls is not None:
            self._tls = ServerTlsContext(tls, clock=self.clock, logger=self.logger)

    def transport(self, connected: socket.socket, wake_descriptor: int | None = None) -> Transport:
        """Take a connection that a peer has opened.

        Raises:
            OSError: The peer has gone already.
        """
        transport = (
            Transport(connected, wake_descriptor)
            if self._tls is None
            else TlsTransport(connected, self._tls.current(), wake_descriptor, clock=self.clock)
        )
        self.waiting.enter(transport)
        return transport

    def has_room(self, connections: int) -> bool:
        """Whether one more connection can be heard beside those that there are.

        Where there are as many as may be, the one that has waited longest for its request, or for
        its end, is broken off for it.
        """
        most = self.config.max_connections
        if connections < most:
            return True
        if connections >= most + _MOST_LEAVING or not self.waiting.make_room():
            return False
        self.logger.warning("connection-ended-for-another")
        return True

    def next_number(self) -> int:
        """Number the associations, so that each has its own in the log."""
        return next(self._numbers)

    def association(
        self, transport: Transport, host: str, port: int, number: int
    ) -> SocketAssociation:
        """Begin with a connection that a peer has opened."""
        engine = AssociationEngine(
            is_requestor=False,
            now=self.clock.monotonic(),
            artim_timeout_s=self.config.artim_timeout_s,
            maximum_length=self.config.maximum_length,
            decode=self._known.decode,
        )
        return SocketAssociation(
            transport,
            engine,
            self.clock,
            self.logger.bind(association=number, peer_host=host, peer_port=port),
            self._options,
        )

    def _is_quiet(self) -> bool:
        """Whether at most one association is served: a moment's active wait costs nobody."""
        return self.gate.established <= 1

    def _open_sink(self, context: AcceptedContext, message: Message) -> DataSink:
        service = self.table.receiving(context.performed_as)
        if service is not None:
            sink = service.open_sink(context, message)
            if sink is not None:
                return sink
        return self._spool.open_sink(
            self.config.spool_threshold_bytes, self.config.max_dataset_bytes
        )

    # -- requests ------------------------------------------------------------------------

    def dispatch(
        self, association: SocketAssociation, info: AssociationInfo, incoming: IncomingMessage
    ) -> None:
        """Have a request carried out and answered, whatever its handler does."""
        self._dispatcher.dispatch(association, info, incoming)

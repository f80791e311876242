"""What a server does with connections and requests, whichever driver carries their bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.ports import AuditSink, Clock, Logger, MetricSink
from pacs_sdk.core.results import raised
from pacs_sdk.network.access import AccessControl
from pacs_sdk.network.connection.association import SocketAssociation
from pacs_sdk.network.connection.options import AssociationOptions, ReceiveBuffers
from pacs_sdk.network.connection.tls_transport import TlsTransport
from pacs_sdk.network.connection.transport import Transport
from pacs_sdk.network.dimse import CommandField, Message, Request, Status, UnsupportedRQ, is_request
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.messages import AssociationInfo, IncomingMessage
from pacs_sdk.network.negotiation import (
    AcceptedContext,
    AcceptorPolicy,
    SupportedContext,
)
from pacs_sdk.network.server_config import ServerConfig
from pacs_sdk.network.server_gate import ServerGate
from pacs_sdk.network.service import DicomService, Exchange, ReceivingService
from pacs_sdk.network.sink import DataSink
from pacs_sdk.network.spool_area import SpoolArea
from pacs_sdk.network.tls import ServerTlsContext

__all__ = ["ServerCore"]


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
        self.logger = logger
        """Where events are recorded."""
        self.stopping = threading.Event()
        """Set once the server stops: a session ends after the message under way."""
        self._services: dict[str, DicomService] = {}
        self._receiving: dict[str, ReceivingService] = {}
        contexts: dict[str, SupportedContext] = {}
        for service in services:
            for context in service.supported_contexts():
                known = contexts.get(context.abstract_syntax)
                contexts[context.abstract_syntax] = _merged(known, context)
                if context.as_scp:
                    self._services[context.abstract_syntax] = service
                    if isinstance(service, ReceivingService):
                        self._receiving[context.abstract_syntax] = service
        policy = AcceptorPolicy(
            ae_title=config.ae_title,
            contexts=contexts.values(),
            maximum_length=config.maximum_length,
            max_operations_performed=config.max_operations_performed,
            extended={
                uid: context.extended
                for uid, context in contexts.items()
                if context.extended is not None
            },
            max_operations_invoked=config.max_operations_invoked,
            accept_by_service_class=config.unknown_storage_classes,
            accept_unknown_storage=config.unknown_storage_classes,
        )
        self.gate = ServerGate(config, policy, metrics, audit, access)
        """Who may associate."""
        self._spool = SpoolArea(
            config.spool_directory,
            config.spool_quota_bytes,
            memory_quota_bytes=config.memory_quota_bytes,
            logger=logger,
        )
        self._buffers = ReceiveBuffers()
        self._tls: ServerTlsContext | None = None

    def prepare(self) -> None:
        """Load what a start needs, and sweep what a crash has left.

        Raises:
            PacsException: The files for TLS, or the spool folder, cannot be used.
        """
        raised(self._spool.sweep())
        tls = self.config.tls
        if tls is not None:
            self._tls = ServerTlsContext(tls, clock=self.clock, logger=self.logger)

    def transport(self, connected: socket.socket, wake_descriptor: int | None = None) -> Transport:
        """Take a connection that a peer has opened.

        Raises:
            OSError: The peer has gone already.
        """
        if self._tls is None:
            return Transport(connected, wake_descriptor)
        return TlsTransport(connected, self._tls.current(), wake_descriptor, clock=self.clock)

    def association(self, transport: Transport, host: str, port: int) -> SocketAssociation:
        """Begin with a connection that a peer has opened."""
        engine = AssociationEngine(
            is_requestor=False,
            now=self.clock.monotonic(),
            artim_timeout_s=self.config.artim_timeout_s,
            maximum_length=self.config.maximum_length,
        )
        return SocketAssociation(
            transport,
            engine,
            self.clock,
            self.logger.bind(peer_host=host, peer_port=port),
            AssociationOptions(
                self.config.send_timeout_s,
                self.config.message_timeout_s,
                self._open_sink,
                self._buffers,
                self._is_quiet,
                self.config.max_dataset_bytes,
            ),
        )

    def _is_quiet(self) -> bool:
        """Whether at most one association is served: a moment's active wait costs nobody."""
        return self.gate.established <= 1

    def _open_sink(self, context: AcceptedContext, message: Message) -> DataSink:
        service = self._receiving.get(context.performed_as)
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
        request = incoming.message
        if not is_request(request):
            association.logger.warning("unexpected-message", kind=type(request).__name__)
            return
        exchange = Exchange(
            association, info, incoming, request, self.config.sub_operation_timeout_s
        )
        if incoming.failure is not None:
            code = incoming.failure.code
            association.logger.error("data-set-not-kept", reason=incoming.failure.message)
            exchange.respond_status(code.dimse_status, incoming.failure.message)
            return
        service = self._services.get(incoming.context.performed_as)
        # Of an N- service a context may stand for several SOP classes: Meta SOP Classes, UPS.
        is_composite = request.command_field < CommandField.N_EVENT_REPORT_RQ
        if isinstance(request, UnsupportedRQ):
            exchange.respond_status(Status.UNRECOGNIZED_OPERATION)
        elif service is None or not incoming.context.as_scp:
            exchange.respond_status(Status.SOP_CLASS_NOT_SUPPORTED)
        elif is_composite and request.sop_class_uid != incoming.context.abstract_syntax:
            exchange.respond_status(
                Status.SOP_CLASS_NOT_SUPPORTED, "the SOP class is not the context's abstract syntax"
            )
        else:
            self._handle(service, exchange, request)

    def _handle(self, service: DicomService, exchange: Exchange, request: Request) -> None:
        try:
            service.handle(exchange)
        except PacsException as exc:
            error = exc.error
            exchange.logger.warning("request-failed", code=error.code.name, reason=error.message)
            if not exchange.is_answered:
                exchange.respond_status(error.code.dimse_status, error.message)
        except Exception as exc:  # noqa: BLE001  # foreign code; the peer gets a status
            exchange.logger.error("handler-crashed", reason=repr(exc))
            if not exchange.is_answered:
                exchange.respond_status(Status.PROCESSING_FAILURE, "the handler failed")
        if not exchange.is_answered:
            exchange.logger.error("handler-gave-no-answer", request=type(request).__name__)
            exchange.respond_status(Status.PROCESSING_FAILURE, "the handler gave no answer")


def _merged(known: SupportedContext | None, context: SupportedContext) -> SupportedContext:
    """Join what two services support of one SOP class: one performs it, one invokes it."""
    if known is None:
        return context
    return SupportedContext(
        context.abstract_syntax,
        known.transfer_syntaxes | context.transfer_syntaxes,
        as_scp=known.as_scp or context.as_scp,
        as_scu=known.as_scu or context.as_scu,
        extended=known.extended if context.extended is None else context.extended,
    )

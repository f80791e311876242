"""The server: one thread an association, blocking reads, a stop that takes milliseconds."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
from collections.abc import Iterable, Sequence
from typing import Final, Self

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import (
    AuditEvent,
    AuditSink,
    Clock,
    Logger,
    MetricSink,
    NullAuditSink,
    NullLogger,
    NullMetricSink,
    SystemClock,
)
from pacs_sdk.core.results import edge, raised
from pacs_sdk.network.connection.association import SocketAssociation
from pacs_sdk.network.connection.transport import Transport, WokenUp
from pacs_sdk.network.dimse import (
    CEchoRQ,
    CFindRQ,
    CGetRQ,
    CStoreRQ,
    Request,
    Status,
    UnsupportedRQ,
)
from pacs_sdk.network.engine import ARTIM_TIMEOUT_S, AssociationEngine
from pacs_sdk.network.messages import AssociationInfo, IncomingMessage
from pacs_sdk.network.negotiation import (
    DEFAULT_MAXIMUM_LENGTH,
    AcceptorPolicy,
    SupportedContext,
    negotiate,
)
from pacs_sdk.network.pdu import (
    AAssociateAC,
    AAssociateRJ,
    AAssociateRQ,
    PresentationRejectReason,
    RejectResult,
    RejectSource,
)
from pacs_sdk.network.service import DicomService, Exchange
from pacs_sdk.network.sink import (
    DEFAULT_MAX_DATASET_BYTES,
    DEFAULT_SPOOL_THRESHOLD_BYTES,
    DataSink,
    SpoolingSink,
)

__all__ = ["DicomServer", "ServerConfig"]

_BACKLOG: Final = 128
"""Connections the kernel keeps for us while we start threads for others."""

_CONNECTIONS_OVER_LIMIT: Final = 16
"""Connections beyond ``max_associations`` that are still heard, so that they can be
refused in words (A-ASSOCIATE-RJ, local limit exceeded); more are closed at once."""

_OUT_OF_DESCRIPTORS: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_ACCEPT_PAUSE_S: Final = 0.1
"""How long accepting rests when the system has no room for another connection: it stays
readable, and trying at once would use a whole processor."""


def _frozen(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(texts)


@attrs.frozen
class ServerConfig:
    """How a server listens and what it allows."""

    ae_title: str = "PACS_SCP"
    """The server's own AE title."""
    host: str = "127.0.0.1"
    """The address to listen on; ``0.0.0.0`` for every IPv4 interface."""
    port: int = 11112
    """The port to listen on; 0 picks a free one."""
    max_associations: int = 20
    """How many associations are served at the same time."""
    artim_timeout_s: float = ARTIM_TIMEOUT_S
    """How long a connection may take to send its association request."""
    idle_timeout_s: float = 300.0
    """How long an association may send nothing."""
    send_timeout_s: float = 60.0
    """How long a peer may take no data."""
    sub_operation_timeout_s: float = 60.0
    """How long a peer may take to answer a C-STORE sub-operation."""
    require_called_ae_title: bool = False
    """Whether a request for another AE title is rejected."""
    calling_ae_titles: frozenset[str] = attrs.field(default=(), converter=_frozen)
    """The AE titles that may associate; empty means all."""
    maximum_length: int = DEFAULT_MAXIMUM_LENGTH
    """The longest P-DATA-TF we ask peers for, in bytes."""
    spool_threshold_bytes: int = DEFAULT_SPOOL_THRESHOLD_BYTES
    """Longer data sets go to a spool file while they arrive."""
    max_dataset_bytes: int = DEFAULT_MAX_DATASET_BYTES
    """Longer data sets are refused with an out-of-resources status."""


class DicomServer:
    """Accepts associations and dispatches their requests to services.

    Args:
        config: How to listen and what to allow.
        services: Who performs which SOP classes.
        logger: Where events are recorded.
        clock: The time, for timeouts.
        metrics: Where counts go.
        audit: Where refused and opened associations are recorded.
    """

    def __init__(
        self,
        config: ServerConfig,
        services: Sequence[DicomService],
        *,
        logger: Logger | None = None,
        clock: Clock | None = None,
        metrics: MetricSink | None = None,
        audit: AuditSink | None = None,
    ) -> None:
        self._config = config
        self._logger = logger or NullLogger()
        self._clock = clock or SystemClock()
        self._metrics = metrics or NullMetricSink()
        self._audit = audit or NullAuditSink()
        self._services: dict[str, DicomService] = {}
        contexts: dict[str, SupportedContext] = {}
        for service in services:
            for context in service.supported_contexts():
                known = contexts.get(context.abstract_syntax)
                contexts[context.abstract_syntax] = _merged(known, context)
                if context.as_scp:
                    self._services[context.abstract_syntax] = service
        self._policy = AcceptorPolicy(
            ae_title=config.ae_title,
            contexts=contexts.values(),
            require_called_ae_title=config.require_called_ae_title,
            calling_ae_titles=config.calling_ae_titles,
            maximum_length=config.maximum_length,
        )
        self._lock = threading.Lock()
        self._threads: dict[threading.Thread, Transport] = {}
        self._established = 0
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._wake_read = self._wake_write = -1
        self._port = 0

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._config.host

    @property
    def port(self) -> int:
        """The port it listens on; 0 before it is started."""
        return self._port

    @property
    def ae_title(self) -> str:
        """Its AE title."""
        return self._config.ae_title

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._listener is not None

    @property
    def active_associations(self) -> int:
        """How many associations are established now."""
        return self._established

    @edge({OSError: ErrorCode.PORT_UNAVAILABLE})
    def start(self) -> Self:
        """Listen, and serve in the background.

        Returns:
            ``Success`` with the server, or ``Failure`` with ``PORT_UNAVAILABLE`` or, if
            it already runs, ``PROTOCOL_MISUSE``.
        """
        if self._listener is not None:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the server already runs")
        listener = _listen(self._config.host, self._config.port)
        try:
            self._wake_read, self._wake_write = os.pipe()
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._port = listener.getsockname()[1]
        self._stopping.clear()
        self._acceptor = threading.Thread(
            target=self._accept_loop,
            args=(listener,),
            name=f"dicom-accept-{self._port}",
            daemon=True,
        )
        self._acceptor.start()
        self._logger.info("server-started", host=self._config.host, port=self._port)
        return self

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop accepting, let messages under way finish, end every association.

        Args:
            timeout_s: How long running operations may take before their connections
                are closed.
        """
        listener, self._listener = self._listener, None  # a second call has nothing to do
        acceptor, self._acceptor = self._acceptor, None
        if listener is None or acceptor is None:
            return
        self._stopping.set()
        os.write(self._wake_write, b"\0")  # never read: it stays readable for all who wait
        acceptor.join()
        listener.close()
        deadline = self._clock.monotonic() + timeout_s
        with self._lock:
            running = tuple(self._threads)
        for thread in running:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        with self._lock:
            overdue = dict(self._threads)
        for transport in overdue.values():
            transport.break_off()
        for thread in overdue:
            thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._logger.info("server-stopped", port=self._port, cut_off=len(overdue))

    def __enter__(self) -> Self:
        """Start the server unless it runs; raises where ``start`` would give a failure."""
        return self if self.is_running else raised(self.start())

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # -- accepting ---------------------------------------------------------------------

    def _accept_loop(self, listener: socket.socket) -> None:
        wait = select.poll()
        wait.register(listener, select.POLLIN)
        wait.register(self._wake_read, select.POLLIN)
        while True:
            ready = {number for number, _ in wait.poll()}
            if self._wake_read in ready:
                return
            try:
                connected, address = listener.accept()
            except OSError as exc:
                # The peer went away between poll and accept, or descriptors ran out;
                # in both cases the next connection deserves its chance.
                self._logger.warning("accept-failed", reason=str(exc))
                if exc.errno in _OUT_OF_DESCRIPTORS:
                    self._stopping.wait(_ACCEPT_PAUSE_S)
                continue
            try:
                self._start_thread(connected, address[0], address[1])
            except (OSError, RuntimeError) as exc:  # already reset, or no thread to be had
                self._logger.warning("connection-not-served", peer_host=address[0], reason=str(exc))
                connected.close()

    def _start_thread(self, connected: socket.socket, host: str, port: int) -> None:
        with self._lock:
            crowded = len(self._threads) >= self._config.max_associations + _CONNECTIONS_OVER_LIMIT
        if crowded:
            self._logger.warning("connection-refused-over-limit", peer_host=host)
            connected.close()
            return
        transport = Transport(connected, self._wake_read)
        thread = threading.Thread(
            target=self._run, args=(transport, host, port), name=f"dicom-{host}:{port}", daemon=True
        )
        with self._lock:
            self._threads[thread] = transport
        try:
            thread.start()
        except RuntimeError:
            with self._lock:
                del self._threads[thread]
            raise

    def _run(self, transport: Transport, host: str, port: int) -> None:
        logger = self._logger.bind(peer_host=host, peer_port=port)
        engine = AssociationEngine(
            is_requestor=False,
            now=self._clock.monotonic(),
            artim_timeout_s=self._config.artim_timeout_s,
            maximum_length=self._config.maximum_length,
        )
        association = SocketAssociation(
            transport,
            engine,
            self._clock,
            logger,
            send_timeout_s=self._config.send_timeout_s,
            open_sink=self._open_sink,
        )
        try:
            self._establish(association, host, port)
        except WokenUp:
            association.logger.info("association-ended-by-stop")
            association.abort()
        except PacsException as exc:
            association.logger.warning("association-failed", reason=exc.error.message)
            association.abort()
        except Exception as exc:  # noqa: BLE001  # a bug must end one association, not the server
            association.logger.error("association-crashed", reason=repr(exc))
            association.abort()
        finally:
            association.close()
            with self._lock:
                del self._threads[threading.current_thread()]

    def _open_sink(self, *_: object) -> DataSink:
        return SpoolingSink(
            threshold_bytes=self._config.spool_threshold_bytes,
            max_bytes=self._config.max_dataset_bytes,
        )

    # -- one association ---------------------------------------------------------------

    def _establish(self, association: SocketAssociation, host: str, port: int) -> None:
        request = association.wait_for_request()
        if request is None:
            reason = association.end_reason
            association.logger.warning(
                "no-association", reason="closed by the peer" if reason is None else reason.message
            )
            association.finish()
            return
        info = _info(request, host, port)
        association.logger = association.logger.bind(
            calling_ae_title=info.calling_ae_title, called_ae_title=info.called_ae_title
        )
        with self._lock:
            has_room = self._established < self._config.max_associations
            self._established += has_room
        if not has_room:
            self._refuse(association, info, _over_limit())
            return
        try:
            answer = negotiate(request, self._policy)
            if isinstance(answer, AAssociateRJ):
                self._refuse(association, info, answer)
            else:
                self._serve(association, info, answer)
        finally:
            with self._lock:
                self._established -= 1

    def _refuse(
        self, association: SocketAssociation, info: AssociationInfo, answer: AAssociateRJ
    ) -> None:
        association.logger.warning("association-rejected", reason=answer.explain())
        self._metrics.increment("pacs_associations_rejected_total", ae_title=self.ae_title)
        self._record(info, "association-rejected", success=False)
        association.engine.reject(answer, self._clock.monotonic())
        association.finish()

    def _serve(
        self, association: SocketAssociation, info: AssociationInfo, answer: AAssociateAC
    ) -> None:
        association.engine.accept(answer)
        association.logger.info("association-accepted", contexts=len(association.engine.contexts))
        self._metrics.increment("pacs_associations_total", ae_title=self.ae_title)
        self._record(info, "association-accepted", success=True)
        association.flush()
        while (incoming := association.receive(self._config.idle_timeout_s)) is not None:
            association.is_busy = True
            try:
                self._dispatch(association, info, incoming)
            finally:
                association.is_busy = False
                incoming.discard()
            if self._stopping.is_set():  # a busy sender never lets the wait be woken
                raise WokenUp
        association.respond_to_release()
        association.logger.info("association-released")

    def _record(self, info: AssociationInfo, action: str, *, success: bool) -> None:
        self._audit.record(
            AuditEvent(action, success, actor=info.calling_ae_title, source=info.peer_host)
        )

    # -- one request -------------------------------------------------------------------

    def _dispatch(
        self, association: SocketAssociation, info: AssociationInfo, incoming: IncomingMessage
    ) -> None:
        request = incoming.message
        if not isinstance(request, CEchoRQ | CStoreRQ | CFindRQ | CGetRQ | UnsupportedRQ):
            association.logger.warning("unexpected-message", kind=type(request).__name__)
            return
        exchange = Exchange(
            association, info, incoming, request, self._config.sub_operation_timeout_s
        )
        if incoming.failure is not None:
            code = incoming.failure.code
            association.logger.error("data-set-not-kept", reason=incoming.failure.message)
            exchange.respond_status(code.dimse_status, incoming.failure.message)
            return
        service = self._services.get(incoming.context.abstract_syntax)
        if isinstance(request, UnsupportedRQ):
            exchange.respond_status(Status.UNRECOGNIZED_OPERATION)
        elif service is None or not incoming.context.as_scp:
            exchange.respond_status(Status.SOP_CLASS_NOT_SUPPORTED)
        elif request.affected_sop_class_uid != incoming.context.abstract_syntax:
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
    )


def _over_limit() -> AAssociateRJ:
    return AAssociateRJ(
        result=RejectResult.REJECTED_TRANSIENT,
        source=RejectSource.SERVICE_PROVIDER_PRESENTATION,
        reason=PresentationRejectReason.LOCAL_LIMIT_EXCEEDED,
    )


def _info(request: AAssociateRQ, host: str, port: int) -> AssociationInfo:
    return AssociationInfo(
        peer_host=host,
        peer_port=port,
        calling_ae_title=request.calling_ae_title,
        called_ae_title=request.called_ae_title,
        peer_implementation_class_uid=request.user_information.implementation_class_uid,
        peer_implementation_version_name=request.user_information.implementation_version_name,
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(_BACKLOG)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError, ValueError) as exc:  # a port or name that cannot be one
        reason = getattr(exc, "strerror", None) or exc
        message = f"cannot listen on {host} port {port}: {reason}; choose another port, or 0"
        raise PacsException(
            ErrorCode.PORT_UNAVAILABLE, f"{message} for a free one", port=port
        ) from exc
    return listener

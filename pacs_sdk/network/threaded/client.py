"""The client side: open an association, exchange messages, release it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Self, TypeVar

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, NullLogger, SystemClock
from pacs_sdk.core.results import edge
from pacs_sdk.network.agreement import OperationsWindow, agreed_window
from pacs_sdk.network.connection.association import SocketAssociation
from pacs_sdk.network.connection.options import AssociationOptions
from pacs_sdk.network.connection.tls_connect import connect_tls
from pacs_sdk.network.connection.transport import Transport
from pacs_sdk.network.contexts import RequestorOptions
from pacs_sdk.network.dimse import (
    CCancelRQ,
    CStoreRQ,
    CStoreRSP,
    Request,
    Response,
    StatusCategory,
    status_category,
)
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.messages import IncomingMessage
from pacs_sdk.network.negotiation import (
    DEFAULT_MAXIMUM_LENGTH,
    AcceptedContext,
    ProposedContext,
    association_request,
    explain_refusal,
)
from pacs_sdk.network.pipeline import Operation, Performed, pipelined
from pacs_sdk.network.tls import ClientTls

__all__ = ["ClientTimeouts", "DicomAssociation", "Peer", "Reply", "connect"]


_KeyT = TypeVar("_KeyT")


@attrs.frozen
class Peer:
    """A remote application entity."""

    host: str
    """Its host name or address."""
    port: int
    """Its port."""
    ae_title: str = "ANY-SCP"
    """Its AE title."""
    tls: ClientTls | None = None
    """How to speak TLS with it; in clear if ``None``."""


@attrs.frozen
class ClientTimeouts:
    """How long the client waits, in seconds."""

    connect_s: float = 10.0
    """For the TCP connection."""
    association_s: float = 30.0
    """For the answer to the association request, and to the release."""
    dimse_s: float = 30.0
    """For the peer to send anything of an answer, or to take anything of a request."""


@attrs.frozen
class Reply:
    """One response of the peer."""

    response: Response
    """Its command set."""
    data: ByteSource | None
    """Its data set, valid until the next reply is taken."""


StoreHandler = Callable[[IncomingMessage, CStoreRQ], CStoreRSP]
"""Takes a C-STORE that the peer sends as a sub-operation, and says how it went."""


@edge({OSError: ErrorCode.CONNECTION_FAILED})
def connect(
    peer: Peer,
    calling_ae_title: str,
    contexts: Sequence[ProposedContext],
    *,
    timeouts: ClientTimeouts | None = None,
    options: RequestorOptions | None = None,
    logger: Logger | None = None,
    clock: Clock | None = None,
) -> DicomAssociation:
    """Open an association.

    Args:
        peer: Whom to call.
        calling_ae_title: Our own AE title.
        contexts: The SOP classes, transfer syntaxes and roles to propose, 1 to 128.
        timeouts: How long to wait for what.
        options: What else is negotiated: an operations window, a user identity, and more.
        logger: Where events are recorded.
        clock: The time, for timeouts.

    Returns:
        ``Success`` with the association, a context manager that releases it; or
        ``Failure`` with ``CONNECTION_FAILED``, ``TLS_HANDSHAKE_FAILED`` (and for the files
        of TLS ``FILE_NOT_FOUND``, ``FILE_READ_FAILED``), ``ASSOCIATION_REJECTED``,
        ``ASSOCIATION_ABORTED``, ``NETWORK_TIMEOUT`` or ``INVALID_ARGUMENT``.
    """
    timeouts = timeouts or ClientTimeouts()
    clock = clock or SystemClock()
    engine = AssociationEngine(
        is_requestor=True, now=clock.monotonic(), maximum_length=DEFAULT_MAXIMUM_LENGTH
    )
    try:
        engine.associate(
            association_request(calling_ae_title, peer.ae_title, contexts, options=options)
        )
    except PacsException as exc:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT, exc.error.message, **exc.error.details
        ) from exc
    connected = _open_connection(peer, timeouts.connect_s)
    association = SocketAssociation(
        _transport(peer, connected, timeouts.connect_s, clock),
        engine,
        clock,
        (logger or NullLogger()).bind(peer_host=peer.host, peer_port=peer.port),
        AssociationOptions(timeouts.dimse_s),
    )
    try:
        engine.transport_connected()
        association.flush()
        association.wait_for_answer(timeouts.association_s)
    except PacsException as exc:
        association.abort()
        error = exc.error
        raise PacsException(
            error.code,
            f"{peer.ae_title} at {peer.host} port {peer.port}: {error.message}",
            **error.details,
        ) from exc
    return DicomAssociation(peer, association, timeouts)


def _transport(peer: Peer, connected: socket.socket, timeout_s: float, clock: Clock) -> Transport:
    if peer.tls is None:
        return Transport(connected)
    try:
        return connect_tls(connected, peer.tls, peer.host, timeout_s, clock=clock)
    except PacsException as exc:
        error = exc.error
        raise PacsException(
            error.code,
            f"{peer.ae_title} at {peer.host} port {peer.port}: {error.message}",
            **error.details,
        ) from exc


def _open_connection(peer: Peer, timeout_s: float) -> socket.socket:
    where = f"{peer.host} port {peer.port}"
    try:
        return socket.create_connection((peer.host, peer.port), timeout_s)
    except TimeoutError as exc:
        raise PacsException(
            ErrorCode.CONNECTION_FAILED,
            f"{where} did not answer within {timeout_s:g} s; check the host, the port and firewalls",
        ) from exc
    except (OSError, OverflowError, ValueError) as exc:  # a port or name that cannot be one
        reason = getattr(exc, "strerror", None) or str(exc)
        raise PacsException(
            ErrorCode.CONNECTION_FAILED,
            f"cannot connect to {where}: {reason}; check the host, the port and that the "
            "peer is running",
        ) from exc


class DicomAssociation:
    """An established association, for one thread at a time.

    Leaving its context releases it, or aborts it when an exception is passing.
    """

    def __init__(
        self, peer: Peer, association: SocketAssociation, timeouts: ClientTimeouts
    ) -> None:
        self.peer = peer
        """Whom it is with."""
        self._association = association
        self._timeouts = timeouts

    @property
    def contexts(self) -> tuple[AcceptedContext, ...]:
        """The presentation contexts that were accepted."""
        return tuple(self._association.engine.contexts.values())

    @property
    def is_open(self) -> bool:
        """Whether messages can still be exchanged."""
        return self._association.end_reason is None and self._association.engine.is_established

    def is_alive(self) -> bool:
        """Look at the connection without waiting: whether another operation can begin."""
        return self._association.is_alive()

    @property
    def window(self) -> OperationsWindow:
        """How many operations may be outstanding at a time, in each direction."""
        engine = self._association.engine
        if engine.request is None or engine.answer is None:
            return OperationsWindow(1, 1)
        return agreed_window(engine.request, engine.answer, is_requestor=True)

    def next_message_id(self) -> int:
        """Return a Message ID for the next request."""
        return self._association.next_message_id()

    @edge()
    def context_for(
        self, abstract_syntax: str, transfer_syntax: str | None = None, name: str = ""
    ) -> AcceptedContext:
        """Find the accepted context to send a SOP class in.

        Args:
            abstract_syntax: The SOP class.
            transfer_syntax: The encoding it must have; any if ``None``.
            name: What to call the SOP class in an error.

        Returns:
            ``Success``, or ``Failure`` with ``PRESENTATION_CONTEXT_REFUSED`` and the
            peer's reason in words.
        """
        for context in self.contexts:
            if context.abstract_syntax == abstract_syntax and transfer_syntax in (
                None,
                context.transfer_syntax,
            ):
                return context
        engine = self._association.engine
        if engine.request is None or engine.answer is None:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the association is not established")
        raise PacsException(
            ErrorCode.PRESENTATION_CONTEXT_REFUSED,
            explain_refusal(
                engine.request, engine.answer, abstract_syntax, name or abstract_syntax
            ),
            abstract_syntax=abstract_syntax,
        )

    @edge()
    def call(
        self, context: AcceptedContext, request: Request, data: ByteSource | None = None
    ) -> Response:
        """Send a request that has one response, and wait for it.

        Returns:
            ``Success`` with the response whatever its status, or ``Failure`` with
            ``NETWORK_TIMEOUT``, ``ASSOCIATION_ABORTED``, ``INVALID_DIMSE_MESSAGE`` or
            ``PROTOCOL_MISUSE``.
        """
        response: Response | None = None
        for reply in self.replies(context, request, data):
            response = reply.response
        if response is None:
            raise PacsException(ErrorCode.INVALID_DIMSE_MESSAGE, "the peer gave no response")
        return response

    def replies(
        self,
        context: AcceptedContext,
        request: Request,
        data: ByteSource | None = None,
        on_store: StoreHandler | None = None,
    ) -> Generator[Reply, None, None]:
        """Send a request and yield its responses up to the final one.

        Leaving the iterator early aborts the association, because the answers that are
        still to come would be taken for those of the next request; to end an operation
        in good order, :meth:`cancel` it and take the rest.

        Args:
            context: The presentation context.
            request: The command set.
            data: Its data set.
            on_store: Performs the C-STORE sub-operations of a C-GET.

        Raises:
            PacsException: As the failures of :meth:`call`. This is the inner, lazy
                form; the services give their results at the edge.
        """
        association = self._association
        with association.exclusive():
            association.send(context.context_id, request, data)
            while True:
                incoming = association.receive(self._timeouts.dimse_s)
                if incoming is None:
                    raise PacsException(
                        ErrorCode.ASSOCIATION_ABORTED, "the peer released the association early"
                    )
                try:
                    reply = self._reply(incoming, request.message_id, on_store)
                    if reply is not None:
                        yield from self._handed_on(reply)
                        if not _is_pending(reply):
                            return
                finally:
                    incoming.discard()

    def pipelined(
        self, operations: Iterable[Operation[_KeyT]]
    ) -> Generator[Performed[_KeyT], None, None]:
        """Send requests that have one response each, as many ahead as the peer granted.

        Responses may come in any order. Leaving the iterator before its end aborts the
        association, as with :meth:`replies`.

        Args:
            operations: What to ask, taken one by one as there is room in the window.

        Raises:
            PacsException: As the failures of :meth:`call`.
        """
        with self._association.exclusive():
            try:
                yield from pipelined(
                    self._association, operations, self.window.invoked, self._timeouts.dimse_s
                )
            except GeneratorExit:
                self.abort()
                raise

    def _handed_on(self, reply: Reply) -> Iterator[Reply]:
        try:
            yield reply
        except GeneratorExit:
            if _is_pending(reply):
                self.abort()
            raise

    def cancel(self, context: AcceptedContext, message_id: int) -> None:
        """Ask the peer to end an operation early (C-CANCEL); responses still follow."""
        self._association.send(context.context_id, CCancelRQ(message_id))

    def _reply(
        self, incoming: IncomingMessage, message_id: int, on_store: StoreHandler | None
    ) -> Reply | None:
        message = incoming.message
        if incoming.failure is not None and not isinstance(message, CStoreRQ):
            raise PacsException.of(incoming.failure)
        if isinstance(message, CStoreRQ) and on_store is not None:
            self._association.send(incoming.context.context_id, on_store(incoming, message))
            return None
        if isinstance(message, Response) and message.message_id_being_responded_to == message_id:
            return Reply(message, incoming.data)
        self.abort()
        raise PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE,
            f"the peer sent {type(message).__name__} where an answer to message {message_id} "
            "was expected; association aborted",
        )

    def release(self) -> None:
        """End the association in good order; harmless when it has ended."""
        self._association.release(self._timeouts.association_s)

    def abort(self) -> None:
        """End the association at once."""
        self._association.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if exc_type is None:
            self.release()
        else:
            self.abort()


def _is_pending(reply: Reply) -> bool:
    return status_category(reply.response.status) is StatusCategory.PENDING

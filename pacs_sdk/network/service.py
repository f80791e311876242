"""What a server needs of a service, and what a service is given for one request."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import Clock, Logger, MetricSink
from pacs_sdk.network.agreement import OperationsWindow
from pacs_sdk.network.dimse import (
    CStoreRQ,
    CStoreRSP,
    Message,
    Request,
    Response,
    StatusCategory,
    operation_name,
    response_to,
    status_category,
)
from pacs_sdk.network.messages import AssociationInfo, IncomingMessage
from pacs_sdk.network.negotiation import AcceptedContext, SupportedContext
from pacs_sdk.network.pipeline import Operation, Performed, pipelined
from pacs_sdk.network.sink import DataSink

__all__ = [
    "Conversation",
    "DeclaringService",
    "DicomService",
    "Exchange",
    "ExchangePorts",
    "ReceivingService",
    "response_to",
]

_KeyT = TypeVar("_KeyT")


class Conversation(Protocol):
    """What an exchange needs of the driver's association."""

    logger: Logger

    @property
    def end_reason(self) -> PacsError | None:
        """Why the association ended; ``None`` while it lasts."""

    @property
    def window(self) -> OperationsWindow:
        """How many operations may be outstanding at a time, in each direction."""

    def accepted_contexts(self) -> Sequence[AcceptedContext]:
        """List the presentation contexts that were agreed."""

    def next_message_id(self) -> int:
        """Return a Message ID that no outstanding request has."""

    def send(self, context_id: int, message: Message, data: ByteSource | None = None) -> None:
        """Send a message."""

    def receive_response(self, timeout_s: float | None) -> IncomingMessage | None:
        """Return the next response, past requests; ``None`` once the peer asked for release."""

    def is_cancelled(self, message_id: int) -> bool:
        """Tell whether the peer cancelled an operation, or is gone."""


@attrs.frozen
class ExchangePorts:
    """What a server lends to every exchange."""

    clock: Clock
    """The time."""
    metrics: MetricSink
    """Where counts go."""
    sub_operation_timeout_s: float = 60.0
    """How long the peer may take to answer a sub-operation."""


class Exchange:
    """One request from a peer, and the means to answer it.

    A handler answers with :meth:`respond`: as many Pending responses as it likes, then
    one final one. It runs in the association's own thread.
    """

    def __init__(
        self,
        association: Conversation,
        info: AssociationInfo,
        incoming: IncomingMessage,
        request: Request,
        ports: ExchangePorts,
    ) -> None:
        self.request = request
        """The command set."""
        self.context = incoming.context
        """The presentation context it came in, with its transfer syntax."""
        self.data: ByteSource | None = incoming.data
        """Its data set, valid until the handler returns."""
        self.association = info
        """Who asks."""
        self.clock = ports.clock
        """The server's time."""
        self.metrics = ports.metrics
        """Where the server's counts go."""
        self.status: int | None = None
        """The status of the last response; ``None`` before the first."""
        self.is_answered = False
        """Whether the final response has been sent."""
        self._association = association
        self._sub_operation_timeout_s = ports.sub_operation_timeout_s
        self._logger: Logger | None = None

    @property
    def logger(self) -> Logger:
        """A logger bound with the facts of the association, the operation and its Message ID."""
        if self._logger is None:  # most requests have nothing to log
            self._logger = self._association.logger.bind(
                operation=operation_name(self.request),
                message_id=self.request.message_id,
                sop_class_uid=self.request.sop_class_uid,
            )
        return self._logger

    def respond(self, response: Response, data: ByteSource | None = None) -> None:
        """Send a response, with a data set where the operation has one.

        Raises:
            PacsException: ``PROTOCOL_MISUSE`` after the final response and for a response to
                something else, ``INVALID_DIMSE_MESSAGE`` for one that cannot be written, after
                which another one can be sent, or what ended the association.
        """
        if self.is_answered:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the final response was already sent")
        if (
            type(response) is not self.request.response_type
            or response.message_id_being_responded_to != self.request.message_id
        ):
            raise PacsException(
                ErrorCode.PROTOCOL_MISUSE,
                f"{type(response).__name__} to message {response.message_id_being_responded_to} "
                f"does not answer {type(self.request).__name__} {self.request.message_id}",
            )
        before = self.status
        # Both before sending: over a broken connection nobody is answered again.
        self.is_answered = status_category(response.status) is not StatusCategory.PENDING
        self.status = response.status
        try:
            self._association.send(self.context.context_id, response, data)
        except BaseException:
            if not self.is_broken:  # not a byte of it was sent, and the peer still waits
                self.is_answered, self.status = False, before
            raise

    def respond_status(self, status: int, comment: str = "") -> None:
        """Send a final response with nothing but a status and a comment."""
        self.respond(response_to(self.request, status, comment))

    @property
    def is_broken(self) -> bool:
        """Whether the association has ended, as far as is known, so that nobody can be answered."""
        return self._association.end_reason is not None

    def is_cancelled(self) -> bool:
        """Tell whether the peer has cancelled this operation, or is gone."""
        return self._association.is_cancelled(self.request.message_id)

    def contexts_as_scu(self) -> Sequence[AcceptedContext]:
        """List the contexts in which this side may invoke operations (C-GET)."""
        return [c for c in self._association.accepted_contexts() if c.as_scu]

    def store(
        self,
        context: AcceptedContext,
        sop_class_uid: str,
        sop_instance_uid: str,
        data: ByteSource,
    ) -> CStoreRSP:
        """Send an instance as a C-STORE sub-operation and wait for the answer.

        Raises:
            PacsException: As :meth:`sub_operations`.
        """
        request = CStoreRQ(self.next_message_id(), sop_class_uid, sop_instance_uid)
        operation = Operation(sop_instance_uid, context.context_id, request, data)
        for performed in self.sub_operations([operation]):
            if performed.mistake:
                raise PacsException(ErrorCode.INVALID_DIMSE_MESSAGE, performed.mistake)
            if isinstance(performed.response, CStoreRSP):
                return performed.response
        raise PacsException(ErrorCode.INVALID_DIMSE_MESSAGE, "the peer did not answer a C-STORE")

    def next_message_id(self) -> int:
        """Return a Message ID for the next sub-operation."""
        return self._association.next_message_id()

    def sub_operations(
        self,
        operations: Iterable[Operation[_KeyT]],
        *,
        meanwhile: Callable[[], None] | None = None,
    ) -> Generator[Performed[_KeyT], None, None]:
        """Send requests to the peer, such as the C-STOREs of a C-GET, and wait for the answers.

        As many are sent ahead of their answers as the peer granted (asynchronous operations
        window, PS3.7 D.3.3.3); one, usually. Requests that the peer sends meanwhile, as many as
        it was granted, are carried out after this one.

        Args:
            operations: What to send in the contexts of :meth:`contexts_as_scu`, taken one by
                one as there is room in the window.
            meanwhile: Called each time before an answer is waited for.

        Yields:
            Each once it is answered, whatever its status.

        Raises:
            PacsException: What ended the association, or ``INVALID_DIMSE_MESSAGE`` when the
                peer sends something else than an answer.
        """
        yield from pipelined(
            _SubOperationLine(self._association),
            operations,
            self._association.window.invoked,
            self._sub_operation_timeout_s,
            meanwhile=meanwhile,
        )


class _SubOperationLine:
    """What sub-operations go through: beside their responses the peer may send requests."""

    def __init__(self, association: Conversation) -> None:
        self.send = association.send
        self.receive = association.receive_response


@runtime_checkable
class DicomService(Protocol):
    """Performs SOP classes for a server."""

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """List the SOP classes, roles and transfer syntaxes; read once, at start."""

    def handle(self, exchange: Exchange) -> None:
        """Carry out one request and answer it.

        A :class:`PacsException` becomes a response with the error's DIMSE status; any
        other exception one with 0110H, and a log entry.
        """


@runtime_checkable
class DeclaringService(Protocol):
    """A service that says which operations it carries out, for a conformance statement.

    Of others the SOP classes tell: Storage means C-STORE, an information model's FIND C-FIND.
    """

    @property
    def operations(self) -> Sequence[type[Request]]:
        """The requests that it takes."""


@runtime_checkable
class ReceivingService(Protocol):
    """A service that takes the data set of a request while it arrives."""

    def open_sink(self, context: AcceptedContext, message: Message) -> DataSink | None:
        """Open what takes the data set, or leave that to the server (``None``).

        Raises:
            PacsException: Why the data set cannot be taken; the peer is told once it has
                sent it.
        """

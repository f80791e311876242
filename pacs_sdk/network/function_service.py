"""Services made of functions: one for each operation, typed by the request that it takes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

import attrs

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.dataset import DatasetLike, DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, MetricSink
from pacs_sdk.core.results import Failure, Result, Success, edge, raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    decode_dataset,
    encode_dataset,
    transfer_syntax,
)
from pacs_sdk.network.contexts import AcceptedContext, ExtendedAnswer, SupportedContext
from pacs_sdk.network.dimse import (
    REQUEST_TYPES,
    Request,
    Status,
    UnsupportedRQ,
    response_to,
)
from pacs_sdk.network.messages import AssociationInfo
from pacs_sdk.network.service import Exchange

__all__ = ["Answer", "FunctionService", "Handler", "HandlerAnswer", "ServiceRequest"]

_RequestT = TypeVar("_RequestT", bound=Request)

_UNCOMPRESSED: Final = (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid)


@attrs.frozen
class ServiceRequest(Generic[_RequestT]):
    """One request, with everything a handler may want to know about it."""

    message: _RequestT
    """The command set: :class:`~pacs_sdk.network.dimse.CStoreRQ` and the like."""
    exchange: Exchange
    """The exchange behind it, for sub-operations and for answers of one's own."""

    @property
    def association(self) -> AssociationInfo:
        """Who asks: AE titles, address, TLS, and the user whose identity was verified."""
        return self.exchange.association

    @property
    def context(self) -> AcceptedContext:
        """The presentation context, with the transfer syntax of the data set."""
        return self.exchange.context

    @property
    def data(self) -> ByteSource | None:
        """The encoded data set, valid until the handler returns; ``None`` if there is none."""
        return self.exchange.data

    @property
    def logger(self) -> Logger:
        """A logger bound with the association, the operation and its Message ID."""
        return self.exchange.logger

    @property
    def clock(self) -> Clock:
        """The server's time."""
        return self.exchange.clock

    @property
    def metrics(self) -> MetricSink:
        """Where the server's counts go."""
        return self.exchange.metrics

    def is_cancelled(self) -> bool:
        """Tell whether the peer has cancelled this operation, or is gone."""
        return self.exchange.is_cancelled()

    @edge()
    def dataset(self) -> DicomDataset:
        """Decode the data set: an identifier, an attribute list, or a whole instance.

        Returns:
            ``Success``, or ``Failure`` with ``MISSING_REQUIRED_VALUE`` where the request
            announced none, or what :func:`~pacs_sdk.encoding.decode_dataset` reports.
        """
        data = self._announced()
        syntax = raised(transfer_syntax(self.context.transfer_syntax))
        return raised(decode_dataset(data.view(), syntax))

    @edge()
    def instance(self) -> Instance:
        """Take what a C-STORE brings as an instance, still encoded, valid during the call.

        Returns:
            ``Success``, or ``Failure`` with ``MISSING_REQUIRED_VALUE`` where the request
            announced no data set.
        """
        return Instance(
            sop_class_uid=self.message.sop_class_uid,
            sop_instance_uid=self.message.sop_instance_uid,
            transfer_syntax_uid=self.context.transfer_syntax,
            encoded=self._announced(),
        )

    def _announced(self) -> ByteSource:
        data = self.exchange.data
        if data is None:
            raise PacsException(
                ErrorCode.MISSING_REQUIRED_VALUE, "the request announced no data set"
            )
        return data


def _copied(fields: Mapping[str, Any]) -> dict[str, Any]:
    return dict(fields)


@attrs.frozen
class Answer:
    """One response: a status, and what else the operation's response may carry."""

    status: int = Status.SUCCESS
    """The status; a Pending one may be followed by others."""
    comment: str = ""
    """Error Comment; made to fit its 64 characters."""
    dataset: DatasetLike | None = None
    """The data set of the response; encoded as the presentation context wants it."""
    fields: Mapping[str, Any] = attrs.field(factory=dict, converter=_copied, hash=False)
    """Further attributes of the response's command set, by their name in the class of the
    response: ``{"affected_sop_instance_uid": "1.2.3"}`` for an N-CREATE."""


HandlerAnswer: TypeAlias = Answer | int | Result[Any, Any] | Iterator[Answer | DatasetLike] | None
"""What a handler may return.

- ``None``: Success.
- A status.
- An :class:`Answer`.
- A ``Result``: ``Success`` with an :class:`Answer`, or with anything else for the status
  Success; ``Failure`` with a ``PacsError``, whose code has its status.
- An iterator, which a generator function is: each data set is sent as a Pending response, each
  :class:`Answer` as it says; Success follows at the end. The peer's cancel is heard between two.
"""

Handler: TypeAlias = Callable[[ServiceRequest[_RequestT]], HandlerAnswer]
"""A function that carries out one operation."""


class FunctionService:
    """Performs SOP classes with functions, one an operation.

    ::

        worklist = FunctionService(["1.2.840.10008.5.1.4.31"])

        @worklist.handles(CFindRQ)
        def find(request: ServiceRequest[CFindRQ]) -> Iterator[DicomDataset]:
            keys = request.dataset().unwrap()
            ...

    An operation without a function is answered with 0211H, unrecognized operation. What a
    function raises becomes the status of its error code, or 0110H, and an entry in the log.
    Functions run in the threads of associations, several at a time.

    Args:
        sop_classes: The UIDs of the SOP classes.
        transfer_syntaxes: The encodings of their data sets; Explicit and Implicit VR Little
            Endian by default.
        as_scu: Whether the server may also invoke them, as a C-GET does with Storage.
        extended: How extended negotiation about them is answered.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` without SOP classes or transfer syntaxes.
    """

    def __init__(
        self,
        sop_classes: Iterable[str],
        *,
        transfer_syntaxes: Iterable[str] = _UNCOMPRESSED,
        as_scu: bool = False,
        extended: ExtendedAnswer | None = None,
    ) -> None:
        if isinstance(sop_classes, str):
            sop_classes = (sop_classes,)
        syntaxes = frozenset(transfer_syntaxes)
        self._contexts = tuple(
            SupportedContext(str(uid), syntaxes, as_scp=True, as_scu=as_scu, extended=extended)
            for uid in sop_classes
        )
        if not self._contexts or not syntaxes:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                "a service needs at least one SOP class and one transfer syntax",
            )
        self._handlers: dict[type[Any], Handler[Any]] = {}

    def handles(
        self, request_type: type[_RequestT]
    ) -> Callable[[Handler[_RequestT]], Handler[_RequestT]]:
        """Have a function carry out an operation; to be used as a decorator.

        Args:
            request_type: The request that it takes: ``CStoreRQ``, ``NActionRQ`` and the like.

        Raises:
            PacsException: ``INVALID_ARGUMENT`` if that is no request, or has a function.
        """
        if request_type not in REQUEST_TYPES or request_type is UnsupportedRQ:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT, f"{request_type!r} is no class of requests"
            )
        if request_type in self._handlers:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT, f"{request_type.__name__} has a handler already"
            )

        def keep(handler: Handler[_RequestT]) -> Handler[_RequestT]:
            self._handlers[request_type] = handler
            return handler

        return keep

    @property
    def operations(self) -> tuple[type[Any], ...]:
        """The requests that have a function."""
        return tuple(self._handlers)

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """List the SOP classes."""
        return self._contexts

    def handle(self, exchange: Exchange) -> None:
        """Call the function of the operation, and answer with what it returns."""
        handler = self._handlers.get(type(exchange.request))
        if handler is None:
            exchange.respond_status(Status.UNRECOGNIZED_OPERATION)
            return
        answer = handler(ServiceRequest(exchange.request, exchange))
        if not exchange.is_answered:
            _respond(exchange, answer)
        elif answer is not None:
            raise PacsException(
                ErrorCode.PROTOCOL_MISUSE,
                "the handler answered by itself, and returned an answer as well",
            )


def _respond(exchange: Exchange, answer: HandlerAnswer) -> None:
    match answer:
        case Failure(error):
            raise PacsException.of(error)
        case Success(value):
            answer = value if isinstance(value, Answer) else None
    if isinstance(answer, Iterator):
        _respond_each(exchange, answer)
    else:
        _send(exchange, _final(answer))


def _final(answer: Any) -> Answer:
    if answer is None:
        return Answer()
    if isinstance(answer, int) and not isinstance(answer, bool):
        answer = Answer(answer)
    if not isinstance(answer, Answer):
        raise PacsException(
            ErrorCode.PROTOCOL_MISUSE,
            f"the handler returned a value of type {type(answer).__name__}, which is no answer",
        )
    return answer


def _respond_each(exchange: Exchange, answers: Iterator[Answer | DatasetLike]) -> None:
    try:
        for one in answers:
            if exchange.is_cancelled():
                exchange.respond_status(Status.CANCEL)
                return
            answer = one if isinstance(one, Answer) else Answer(Status.PENDING, dataset=one)
            _send(exchange, answer)
            if exchange.is_answered:
                return
    finally:
        if isinstance(answers, Generator):
            answers.close()
    exchange.respond_status(Status.SUCCESS)


def _send(exchange: Exchange, answer: Answer) -> None:
    response = response_to(exchange.request, answer.status, answer.comment)
    if answer.fields:
        response = attrs.evolve(response, **answer.fields)
    data: ByteSource | None = None
    if answer.dataset is not None:
        syntax = raised(transfer_syntax(exchange.context.transfer_syntax))
        data = MemoryBytes(raised(encode_dataset(answer.dataset, syntax)))
    exchange.respond(response, data)

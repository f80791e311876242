"""Several operations under way at once, where both sides agreed on it (PS3.7 D.3.3.3)."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator
from typing import Final, Generic, Protocol, TypeVar

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.dimse import (
    CStoreRSP,
    Message,
    Request,
    Response,
    StatusCategory,
    answers,
    is_response,
    status_category,
)
from pacs_sdk.network.messages import IncomingMessage

__all__ = ["Operation", "Performed", "mistake_of", "pipelined"]

_KeyT = TypeVar("_KeyT")

_MOST_OUTSTANDING: Final = 64
"""Both sides send without reading meanwhile. Responses that nobody reads yet must not fill
the buffers between them, or both would wait for the other for ever."""


@attrs.frozen
class Operation(Generic[_KeyT]):
    """A request that has one response."""

    key: _KeyT
    """What the caller calls it by."""
    context_id: int
    """The presentation context it is sent in."""
    request: Request
    """The command set; its Message ID is none that is outstanding."""
    data: ByteSource | None = None
    """The data set."""


@attrs.frozen
class Performed(Generic[_KeyT]):
    """An operation and its response."""

    operation: Operation[_KeyT]
    """What was asked."""
    response: Response
    """What was answered."""

    @property
    def mistake(self) -> str:
        """Why the response is not to be believed; empty if nothing speaks against it."""
        return mistake_of(self.response, self.operation.request)


def mistake_of(response: Response, request: Request) -> str:
    """Say why a response to a request is not to be believed; empty if nothing speaks against it.

    That to a C-STORE need not name the SOP instance, but if it names one, it has to be that which
    was sent (PS3.7 Table 9.1-1): what was done may have been done to another.
    """
    named = response.affected_sop_instance_uid if isinstance(response, CStoreRSP) else ""
    if named == request.sop_instance_uid or named.strip(" \0") in ("", request.sop_instance_uid):
        return ""
    return (
        f"the answer is for another SOP instance, {named} instead of {request.sop_instance_uid} "
        f"(its status is {response.status:04X}H)"
    )


class _Line(Protocol):
    """What messages go through: an association of either side."""

    def send(self, context_id: int, message: Message, data: ByteSource | None = None) -> None:
        """Send a message."""

    def receive(self, timeout_s: float | None) -> IncomingMessage | None:
        """Return the next message; ``None`` once the peer asked for release."""


def pipelined(
    line: _Line,
    operations: Iterable[Operation[_KeyT]],
    window: int,
    timeout_s: float | None,
    *,
    meanwhile: Callable[[], None] | None = None,
    give_up: Callable[[], None] | None = None,
) -> Generator[Performed[_KeyT], None, None]:
    """Send requests, up to ``window`` of them ahead of their responses.

    Responses are told apart by Message ID, in whatever order they come.

    Args:
        line: The association.
        operations: What to send, taken one by one as there is room.
        window: How many may be outstanding; 0, and more than 64, count as 64, so that
            their responses always fit the buffers between the two sides.
        timeout_s: How long the peer may send nothing while something is outstanding.
        meanwhile: Called each time before an answer is waited for: the peer works, and so may
            we, at what is to be sent next.
        give_up: Called when an exception passes while something is outstanding: its responses
            are still to come, and nobody waits for them.

    Yields:
        Each operation once it is answered.

    Raises:
        PacsException: What ended the association, or ``INVALID_DIMSE_MESSAGE`` for a message
            that answers none of the requests, or not with a final response.
        Exception: Why there is no next request, or why it cannot be sent; after everything that
            is outstanding was answered, so that the next operation finds no stray response.
    """
    most = min(window or _MOST_OUTSTANDING, _MOST_OUTSTANDING)
    outstanding: dict[int, Operation[_KeyT]] = {}
    try:
        yield from _exchanged(line, iter(operations), most, timeout_s, meanwhile, outstanding)
    except BaseException:
        if outstanding and give_up is not None:
            give_up()
        raise


def _exchanged(
    line: _Line,
    waiting: Iterator[Operation[_KeyT]],
    most: int,
    timeout_s: float | None,
    meanwhile: Callable[[], None] | None,
    outstanding: dict[int, Operation[_KeyT]],
) -> Generator[Performed[_KeyT], None, None]:
    is_more = True
    failure: Exception | None = None
    while True:
        while is_more and len(outstanding) < most:
            try:
                operation = _sent(line, waiting, outstanding)
            except Exception as exc:  # noqa: BLE001  # raised when the rest is answered
                failure, operation = exc, None
            if operation is None:
                is_more = False
            else:
                outstanding[operation.request.message_id] = operation
        if not outstanding:
            if failure is not None:
                raise failure
            return
        if meanwhile is not None and failure is None:
            meanwhile()
        response = _response(line.receive(timeout_s))
        yield Performed(_answered(response, outstanding), response)


def _answered(response: Response, outstanding: dict[int, Operation[_KeyT]]) -> Operation[_KeyT]:
    """Take the operation that a response ends from those that are outstanding."""
    number = response.message_id_being_responded_to
    operation = outstanding.get(number)
    if operation is None:
        raise PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE,
            f"the peer answered message {number}, which is not outstanding",
        )
    is_pending = status_category(response.status) is StatusCategory.PENDING
    if is_pending or not answers(response, operation.request):
        raise PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE,
            f"the peer answered message {number} with {type(response).__name__} and status "
            f"{response.status:04X}H; {operation.request.response_type.__name__} and a final one "
            "are what it has to be",
        )
    del outstanding[number]
    return operation


def _sent(
    line: _Line, waiting: Iterator[Operation[_KeyT]], outstanding: Container[int]
) -> Operation[_KeyT] | None:
    """Send the next request, if there is one more."""
    operation = next(waiting, None)
    if operation is None:
        return None
    number = operation.request.message_id
    if number in outstanding:
        raise PacsException(ErrorCode.PROTOCOL_MISUSE, f"message {number} is outstanding already")
    line.send(operation.context_id, operation.request, operation.data)
    return operation


def _response(incoming: IncomingMessage | None) -> Response:
    if incoming is None:
        raise PacsException(
            ErrorCode.ASSOCIATION_ABORTED, "the peer released the association early"
        )
    incoming.discard()
    message = incoming.message
    if not is_response(message):
        raise PacsException(
            ErrorCode.INVALID_DIMSE_MESSAGE,
            f"the peer sent {type(message).__name__} where responses were expected",
        )
    return message

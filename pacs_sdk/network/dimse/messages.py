"""All messages together, and those whose operation the SDK does not know."""

from __future__ import annotations

import functools
import typing
from typing import Any, ClassVar, Final, TypeAlias, TypeGuard

import attrs

from pacs_sdk.network.dimse.composite import (
    CCancelRQ,
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CFindRSP,
    CGetRQ,
    CGetRSP,
    CMoveRQ,
    CMoveRSP,
    CStoreRQ,
    CStoreRSP,
)
from pacs_sdk.network.dimse.elements import RESPONSE_BIT, CommandField
from pacs_sdk.network.dimse.normalized import (
    NActionRQ,
    NActionRSP,
    NCreateRQ,
    NCreateRSP,
    NDeleteRQ,
    NDeleteRSP,
    NEventReportRQ,
    NEventReportRSP,
    NGetRQ,
    NGetRSP,
    NSetRQ,
    NSetRSP,
)
from pacs_sdk.network.dimse.statuses import Status

__all__ = [
    "MESSAGE_TYPES",
    "REQUEST_TYPES",
    "RESPONSE_TYPES",
    "Message",
    "Request",
    "Response",
    "UnsupportedRQ",
    "UnsupportedRSP",
    "answers",
    "is_request",
    "is_response",
    "operation_name",
]


@attrs.frozen
class UnsupportedRSP:
    """The answer to an :class:`UnsupportedRQ` (PS3.7 Annex C, Unrecognized Operation)."""

    command_field: int
    message_id_being_responded_to: int
    status: int = Status.UNRECOGNIZED_OPERATION
    affected_sop_class_uid: str = ""
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()
    error_id: int | None = None


@attrs.frozen
class UnsupportedRQ:
    """A request whose operation this SDK does not know; answered with 0211H."""

    response_type: ClassVar[type[UnsupportedRSP]] = UnsupportedRSP
    command_field: int
    message_id: int
    affected_sop_class_uid: str = ""
    requested_sop_class_uid: str = ""

    @property
    def sop_class_uid(self) -> str:
        """The SOP class that the request is about, whichever way it says so."""
        return self.affected_sop_class_uid or self.requested_sop_class_uid

    @property
    def sop_instance_uid(self) -> str:
        """Always empty: what an unknown operation is about is not known."""
        return ""


Request: TypeAlias = (
    CEchoRQ
    | CStoreRQ
    | CFindRQ
    | CGetRQ
    | CMoveRQ
    | NEventReportRQ
    | NGetRQ
    | NSetRQ
    | NActionRQ
    | NCreateRQ
    | NDeleteRQ
    | UnsupportedRQ
)
"""A message that asks for an operation and carries a Message ID."""

Response: TypeAlias = (
    CEchoRSP
    | CStoreRSP
    | CFindRSP
    | CGetRSP
    | CMoveRSP
    | NEventReportRSP
    | NGetRSP
    | NSetRSP
    | NActionRSP
    | NCreateRSP
    | NDeleteRSP
    | UnsupportedRSP
)
"""A message that answers one."""

Message: TypeAlias = Request | Response | CCancelRQ
"""Any message; a C-CANCEL-RQ asks, but nothing answers it."""

REQUEST_TYPES: Final[tuple[type[Any], ...]] = typing.get_args(Request)
"""The classes of :data:`Request`."""

RESPONSE_TYPES: Final[tuple[type[Any], ...]] = typing.get_args(Response)
"""The classes of :data:`Response`."""

_REQUESTS: Final = frozenset(REQUEST_TYPES)
_RESPONSES: Final = frozenset(RESPONSE_TYPES)

MESSAGE_TYPES: Final[dict[int, type[Any]]] = {
    kind.command_field: kind
    for kind in typing.get_args(Message)
    if kind not in (UnsupportedRQ, UnsupportedRSP)
}
"""Command Field -> the class of its messages; what is missing here is not supported."""


def is_request(message: Message) -> TypeGuard[Request]:
    """Tell whether a message asks for an operation that must be answered.

    One look-up, where ``isinstance`` with :data:`Request` asks a dozen classes in turn.
    """
    return type(message) in _REQUESTS


def is_response(message: Message) -> TypeGuard[Response]:
    """Tell whether a message answers a request."""
    return type(message) in _RESPONSES


def answers(message: Message, request: Request) -> TypeGuard[Response]:
    """Tell whether a message is a response to a request: of its operation and Message ID."""
    return (
        type(message) is request.response_type
        and message.message_id_being_responded_to == request.message_id
    )


def operation_name(message: Message | type[Message]) -> str:
    """Name the operation that a message, or a class of messages, belongs to.

    Returns:
        "C-STORE", "N-ACTION" and so on, for a request and its response alike; the Command Field
        in hexadecimal for an operation that this SDK does not know.
    """
    return _operation_of(message.command_field & ~RESPONSE_BIT)


@functools.lru_cache(64)
def _operation_of(command_field: int) -> str:
    try:
        name = CommandField(command_field).name
    except ValueError:
        return f"{command_field:04X}H"
    return name.removesuffix("_RQ").replace("_", "-")

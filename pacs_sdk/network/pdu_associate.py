"""A-ASSOCIATE-RQ and A-ASSOCIATE-AC as bytes (PS3.8 9.3.2 and 9.3.3)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import attrs

from pacs_sdk.network.pdu import (
    MAX_AE_TITLE_LENGTH,
    AAssociateAC,
    AAssociateRQ,
    ContextResult,
    PresentationContextAC,
    PresentationContextRQ,
)
from pacs_sdk.network.pdu_fields import RETURNED_LENGTH
from pacs_sdk.network.pdu_items import (
    ITEM_HEADER_LENGTH,
    PADDING,
    forbidden,
    malformed,
    read_items,
    read_numbers,
    read_uid,
    write_item,
    write_uid,
)
from pacs_sdk.network.pdu_user_information import (
    MAXIMUM_LENGTH_IF_UNSTATED,
    read_user_information,
    write_user_information,
)
from pacs_sdk.network.user_information import UserInformation

__all__ = ["read_accept", "read_request", "write_accept", "write_request"]

_APPLICATION_CONTEXT: Final = 0x10
_PRESENTATION_CONTEXT_RQ: Final = 0x20
_PRESENTATION_CONTEXT_AC: Final = 0x21
_ABSTRACT_SYNTAX: Final = 0x30
_TRANSFER_SYNTAX: Final = 0x40
_USER_INFORMATION: Final = 0x50

_HEADER_LENGTH: Final = 6
_FIXED_PART: Final = struct.Struct(">H2x16s16s32x")
"""Protocol version, reserved, called and calling AE title, reserved (PS3.8 Table 9-11)."""
_VERSION: Final = struct.Struct(">H2x")
"""The same up to the AE titles: the rest of an acceptance is returned, not tested."""
_RETURNED: Final = slice(10, 10 + RETURNED_LENGTH)

_CONTEXT_RQ: Final = struct.Struct(">B3x")  # context ID (PS3.8 Table 9-13)
_CONTEXT_AC: Final = struct.Struct(">BxBx")  # context ID, result (PS3.8 Table 9-18)

_VERSION_1: Final = 0b1

_NOT_SIGNIFICANT: Final = "1.2.840.10008.1.2"
"""The transfer syntax written where a context is refused and none is given. The sub-item has
to be there but "is not significant" (PS3.8 Table 9-18); an empty one is a surprise to some."""


class _Context(Protocol):
    @property
    def context_id(self) -> int: ...


_ContextT = TypeVar("_ContextT", bound=_Context)


@attrs.frozen
class _Read:
    """The fields that both PDUs begin with."""

    protocol_version: int
    called_ae_title: str
    calling_ae_title: str


def read_request(pdu: bytes) -> AAssociateRQ:
    """Read an A-ASSOCIATE-RQ, whole and with its header.

    Raises:
        PacsException: ``INVALID_PDU`` naming the item and its byte offset.
    """
    name = "A-ASSOCIATE-RQ"
    fixed = _read_fixed_part(pdu, name)
    application_context, contexts, information = _read_variable_items(
        pdu, name, _PRESENTATION_CONTEXT_RQ, _read_proposed_context
    )
    return AAssociateRQ(
        fixed.called_ae_title,
        fixed.calling_ae_title,
        contexts,
        information,
        application_context,
        fixed.protocol_version,
        pdu[_RETURNED],
    )


def read_accept(pdu: bytes) -> AAssociateAC:
    """Read an A-ASSOCIATE-AC, whole and with its header.

    Raises:
        PacsException: ``INVALID_PDU`` naming the item and its byte offset.
    """
    name = "A-ASSOCIATE-AC"
    fixed = _read_fixed_part(pdu, name)
    application_context, contexts, information = _read_variable_items(
        pdu, name, _PRESENTATION_CONTEXT_AC, _read_answered_context
    )
    return AAssociateAC(
        fixed.called_ae_title,
        fixed.calling_ae_title,
        contexts,
        information,
        application_context,
        fixed.protocol_version,
    )


def _read_fixed_part(pdu: bytes, name: str) -> _Read:
    if len(pdu) < _HEADER_LENGTH + _FIXED_PART.size:
        raise malformed(
            name,
            0,
            f"has {len(pdu) - _HEADER_LENGTH} bytes, fewer than the {_FIXED_PART.size} "
            "of its fixed fields",
        )
    version, called, calling = _FIXED_PART.unpack_from(pdu, _HEADER_LENGTH)
    return _Read(version, _read_ae_title(called), _read_ae_title(calling))


def _read_ae_title(field: bytes) -> str:
    # What follows a NUL is what the peer's buffer held before.
    text = field.decode("latin-1").lstrip(PADDING)
    return text.split("\0", 1)[0].rstrip(PADDING)


def _read_variable_items(
    pdu: bytes,
    name: str,
    context_kind: int,
    read_context: Callable[[bytes, int, int], _ContextT],
) -> tuple[str, tuple[_ContextT, ...], UserInformation]:
    """Read application context name, presentation contexts and user information."""
    application_context = ""
    contexts: dict[int, _ContextT] = {}
    information: UserInformation | None = None
    start = _HEADER_LENGTH + _FIXED_PART.size
    for kind, begin, end in read_items(pdu, start, len(pdu), name):
        if kind == context_kind:
            context = read_context(pdu, begin, end)
            if context.context_id in contexts:
                raise malformed(
                    "presentation context item",
                    begin - ITEM_HEADER_LENGTH,
                    f"has the ID {context.context_id} of one before it",
                )
            contexts[context.context_id] = context
        elif kind == _APPLICATION_CONTEXT:
            application_context = read_uid(pdu[begin:end])
        elif kind == _USER_INFORMATION:
            information = read_user_information(pdu, begin, end)
    if information is None:
        information = UserInformation(MAXIMUM_LENGTH_IF_UNSTATED, "")
    return application_context, tuple(contexts.values()), information


def _read_syntaxes(pdu: bytes, start: int, stop: int) -> tuple[str, tuple[str, ...]]:
    """Read the abstract syntax and the transfer syntaxes of a presentation context."""
    abstract = ""
    transfer: list[str] = []
    for kind, begin, end in read_items(pdu, start, stop, "presentation context item"):
        if kind == _TRANSFER_SYNTAX:
            transfer.append(read_uid(pdu[begin:end]))
        elif kind == _ABSTRACT_SYNTAX:
            abstract = read_uid(pdu[begin:end])
    return abstract, tuple(transfer)


def _read_proposed_context(pdu: bytes, start: int, stop: int) -> PresentationContextRQ:
    (context_id,) = read_numbers(pdu, _CONTEXT_RQ, start, stop, "presentation context item")
    abstract, transfer = _read_syntaxes(pdu, start + _CONTEXT_RQ.size, stop)
    return PresentationContextRQ(context_id, abstract, transfer)


def _read_answered_context(pdu: bytes, start: int, stop: int) -> PresentationContextAC:
    context_id, code = read_numbers(pdu, _CONTEXT_AC, start, stop, "presentation context item")
    _, transfer = _read_syntaxes(pdu, start + _CONTEXT_AC.size, stop)
    try:
        result = ContextResult(code)
    except ValueError:
        result = ContextResult.NO_REASON  # a reserved code: refused, who knows why
    if result is not ContextResult.ACCEPTANCE or not transfer:
        return PresentationContextAC(context_id, result)
    return PresentationContextAC(context_id, result, transfer[0])


def write_request(request: AAssociateRQ) -> bytes:
    """Write an A-ASSOCIATE-RQ without its header.

    Raises:
        PacsException: ``INVALID_PDU``, the standard forbids to send such a value.
    """
    if not request.presentation_contexts:
        raise forbidden("A-ASSOCIATE-RQ", "proposes no presentation context")
    if request.user_information.user_identity_response is not None:
        raise forbidden("A-ASSOCIATE-RQ", "has a user identity response, which answers one")
    return b"".join(
        (
            _write_fixed_part(
                request.protocol_version,
                _checked_ae_title(request.called_ae_title, "called AE title"),
                _checked_ae_title(request.calling_ae_title, "calling AE title"),
            ),
            _write_application_context(request.application_context_name),
            *map(_write_proposed_context, request.presentation_contexts),
            _write_user_information_item(request.user_information),
        )
    )


def write_accept(accept: AAssociateAC) -> bytes:
    """Write an A-ASSOCIATE-AC without its header.

    Raises:
        PacsException: ``INVALID_PDU``, the standard forbids to send such a value.
    """
    information = accept.user_information
    if information.user_identity is not None or information.common_extended_negotiations:
        raise forbidden(
            "A-ASSOCIATE-AC",
            "has a user identity or a common extended negotiation, which only a request has",
        )
    return b"".join(
        (
            _write_returned_part(accept),
            _write_application_context(accept.application_context_name),
            *map(_write_answered_context, accept.presentation_contexts),
            _write_user_information_item(information),
        )
    )


def _checked_ae_title(title: str, item: str) -> str:
    """Check an AE title that we give (PS3.8 9.3.2, PS3.5 VR AE)."""
    if not title.strip(" ") or not (title.isascii() and title.isprintable()) or "\\" in title:
        raise forbidden(
            item,
            f"is not 1 to {MAX_AE_TITLE_LENGTH} ASCII characters without backslash: {title!r}",
        )
    return title


def _write_returned_part(accept: AAssociateAC) -> bytes:
    """Write what is the requestor's, not checked: it is returned as it came."""
    version = accept.protocol_version
    if accept.returned_fields:
        return _VERSION.pack(_checked_version(version)) + accept.returned_fields
    return _write_fixed_part(version, accept.called_ae_title, accept.calling_ae_title)


def _checked_version(version: int) -> int:
    if not version & _VERSION_1:
        raise forbidden("protocol version", f"is {version}, without bit 0 for version 1")
    return version


def _write_fixed_part(version: int, called: str, calling: str) -> bytes:
    return _FIXED_PART.pack(
        _checked_version(version),
        called.encode("latin-1").ljust(MAX_AE_TITLE_LENGTH),
        calling.encode("latin-1").ljust(MAX_AE_TITLE_LENGTH),
    )


def _write_application_context(uid: str) -> bytes:
    item = "application context name"
    return write_item(_APPLICATION_CONTEXT, write_uid(uid, item), item)


def _write_proposed_context(context: PresentationContextRQ) -> bytes:
    item = f"presentation context {context.context_id}"
    if not context.context_id & 1:
        raise forbidden(item, "has an even ID; a requestor uses odd ones, 1 to 255")
    if not context.transfer_syntaxes:
        raise forbidden(item, "offers no transfer syntax")
    content = (
        _CONTEXT_RQ.pack(context.context_id)
        + write_item(_ABSTRACT_SYNTAX, write_uid(context.abstract_syntax, item), item)
        + b"".join(
            write_item(_TRANSFER_SYNTAX, write_uid(uid, item), item)
            for uid in context.transfer_syntaxes
        )
    )
    return write_item(_PRESENTATION_CONTEXT_RQ, content, item)


def _write_answered_context(context: PresentationContextAC) -> bytes:
    item = f"presentation context {context.context_id}"
    syntax = context.transfer_syntax
    if context.result is not ContextResult.ACCEPTANCE and not syntax:
        syntax = _NOT_SIGNIFICANT
    content = _CONTEXT_AC.pack(context.context_id, context.result) + write_item(
        _TRANSFER_SYNTAX, write_uid(syntax, item), item
    )
    return write_item(_PRESENTATION_CONTEXT_AC, content, item)


def _write_user_information_item(information: UserInformation) -> bytes:
    item = "user information item"
    return write_item(_USER_INFORMATION, write_user_information(information), item)

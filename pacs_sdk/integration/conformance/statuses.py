"""Which statuses an operation may be answered with, and what makes the system send each."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.integration.conformance.document import Section, Table
from pacs_sdk.integration.conformance.facts import C_FIND, C_GET, C_MOVE, C_STORE
from pacs_sdk.network.dimse import (
    STATUS_MEANINGS,
    CommandField,
    Status,
    StatusMeaning,
)

__all__ = ["meaning_of", "status_section"]

_RETRIEVING: Final = (
    ErrorCode.RETRIEVE_FAILED,
    ErrorCode.RETRIEVE_INVALID_IDENTIFIER,
    ErrorCode.RETRIEVE_MATCHES_UNKNOWN,
    ErrorCode.RETRIEVE_SUBOPERATIONS_FAILED,
    ErrorCode.DECODE_FAILED,
)

_ERRORS: Final = {
    C_STORE: (
        ErrorCode.STORE_FAILED,
        ErrorCode.STORE_DATASET_MISMATCH,
        ErrorCode.STORE_OUT_OF_RESOURCES,
        ErrorCode.STORAGE_WRITE_FAILED,
        ErrorCode.DUPLICATE_OBJECT,
        ErrorCode.INDEX_FAILED,
        ErrorCode.MISSING_REQUIRED_VALUE,
        ErrorCode.INVALID_UID,
        ErrorCode.TRUNCATED,
        ErrorCode.DECODE_FAILED,
        ErrorCode.LIMIT_EXCEEDED,
    ),
    C_FIND: (
        ErrorCode.FIND_FAILED,
        ErrorCode.FIND_INVALID_IDENTIFIER,
        ErrorCode.INDEX_FAILED,
        ErrorCode.DECODE_FAILED,
    ),
    C_GET: _RETRIEVING,
    C_MOVE: (*_RETRIEVING, ErrorCode.MOVE_DESTINATION_UNKNOWN),
}
"""The errors that may end an operation of ours; each has its status."""

_ALWAYS: Final = {
    Status.SUCCESS: "carried out",
    Status.PROCESSING_FAILURE: "a fault of the system, which its log describes",
    Status.SOP_CLASS_NOT_SUPPORTED: "the request is about another SOP class than its context",
    Status.UNRECOGNIZED_OPERATION: "the SOP class has no such operation",
}
"""General statuses that every operation may have (PS3.7 Annex C)."""

_OF_OPERATION: Final = {
    C_FIND: {
        Status.PENDING: "one for each match",
        Status.PENDING_WITH_WARNING: "the same, but a key is not supported",
        Status.CANCEL: "the peer cancelled",
    },
    C_GET: {
        Status.PENDING: "between sub-operations, with their numbers",
        Status.CANCEL: "the peer cancelled",
        Status.SUBOPERATIONS_WITH_FAILURES: "some instances were not taken, or with a warning",
    },
    C_MOVE: {
        Status.PENDING: "between sub-operations, with their numbers",
        Status.CANCEL: "the peer cancelled",
        Status.SUBOPERATIONS_WITH_FAILURES: "some instances were not taken, or with a warning",
    },
}


def status_section(operation: str, declared: Collection[int] = ()) -> Section:
    """List the statuses of an operation.

    Args:
        operation: "C-STORE" and the like.
        declared: Further statuses that the service says it sends.
    """
    return Section(
        f"Statuses of {operation}",
        (Table(("Status", "Kind", "Meaning", "Sent when"), _rows(operation, declared)),),
    )


def _rows(operation: str, declared: Collection[int]) -> Iterator[tuple[str, ...]]:
    field = CommandField[f"{operation.replace('-', '_')}_RQ"]
    reasons: dict[int, list[str]] = {}
    for usual, reason in {**_ALWAYS, **_OF_OPERATION.get(operation, {})}.items():
        reasons.setdefault(usual, []).append(reason)
    for code in _ERRORS.get(operation, ()):
        reasons.setdefault(code.dimse_status, []).append(code.meaning)
    for status in declared:
        reasons.setdefault(status, []).append("a rule or a hook of the site asks for it")
    for status in sorted(reasons):
        meaning = meaning_of(status, field)
        yield (
            f"{status:04X}H",
            meaning.category.value,
            meaning.words,
            "; ".join(dict.fromkeys(reasons[status])),
        )


def meaning_of(status: int, field: int) -> StatusMeaning:
    """Find what a status means to an operation: its own meaning, or the general one."""
    rows = [one for one in STATUS_MEANINGS if one.first <= status <= one.last]
    own = [one for one in rows if field in one.request_fields]
    general = [one for one in rows if not one.request_fields]
    return min(own or general or rows, key=lambda one: one.last - one.first)

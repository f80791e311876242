"""Which status a retrieval that fails as a whole is answered with (PS3.4 Tables C.4-2, C.4-3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pacs_sdk.core.errors import ErrorCategory, ErrorCode, PacsException
from pacs_sdk.network.dimse import Status

__all__ = ["ending_with"]

_OF_THE_TABLES: Final = frozenset(
    (
        Status.OUT_OF_RESOURCES_MATCHES,
        Status.OUT_OF_RESOURCES_SUBOPERATIONS,
        Status.MOVE_DESTINATION_UNKNOWN,
        Status.DATA_SET_MISMATCH,
        Status.SOP_CLASS_NOT_SUPPORTED,
        Status.NOT_AUTHORISED,
        *range(0xC000, 0xD000),
    )
)
"""What a C-GET or C-MOVE may fail with."""


@contextmanager
def ending_with(code: ErrorCode) -> Iterator[None]:
    """Give what goes wrong a status that a retrieval may end with.

    An error whose own status is one of the tables keeps it, and so does one of the network:
    that has ended the association, and nobody will read the answer.

    Args:
        code: What any other error becomes: ``RETRIEVE_MATCHES_UNKNOWN`` (A701H) while
            instances are looked for, ``RETRIEVE_SUBOPERATIONS_FAILED`` (A702H) afterwards.

    Raises:
        PacsException: The error itself, or ``code`` with its words.
    """
    try:
        yield
    except PacsException as exc:
        error = exc.error
        is_ours = error.code.category is not ErrorCategory.NETWORK
        if is_ours and error.code.dimse_status not in _OF_THE_TABLES:
            raise PacsException(code, error.message, cause=error.code.name) from exc
        raise

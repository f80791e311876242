"""What the asking side is told of a C-GET or C-MOVE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Success
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import TransferSyntax, decode_dataset
from pacs_sdk.network.dimse import CGetRSP, CMoveRSP, Status
from pacs_sdk.services.scu import check_status

__all__ = ["OnProgress", "RetrieveProgress", "RetrieveReport", "report_of"]

_LIST: Final = DicomTag.of("FailedSOPInstanceUIDList")


@attrs.frozen
class RetrieveProgress:
    """The counts of a Pending response; what the peer does not tell is 0."""

    remaining: int
    """Sub-operations that are still to be performed."""
    completed: int
    """Those that succeeded."""
    failed: int
    """Those that failed."""
    warnings: int
    """Those that ended with a warning."""

    @property
    def done(self) -> int:
        """How many are over."""
        return self.completed + self.failed + self.warnings

    @property
    def total(self) -> int:
        """How many there are in all."""
        return self.remaining + self.done

    @classmethod
    def of(cls, response: CGetRSP | CMoveRSP) -> RetrieveProgress:
        """Read the counts of a response."""
        return cls(
            response.number_of_remaining_suboperations or 0,
            response.number_of_completed_suboperations or 0,
            response.number_of_failed_suboperations or 0,
            response.number_of_warning_suboperations or 0,
        )


OnProgress: TypeAlias = Callable[[RetrieveProgress], None]
"""Told of the counts as the peer sends them."""


@attrs.frozen
class RetrieveReport:
    """How a C-GET or C-MOVE ended."""

    received: int
    """Instances that came here and were kept."""
    size_bytes: int
    """The bytes of their data sets."""
    failed: int
    """Sub-operations that failed, on either side."""
    warnings: int
    """Sub-operations that ended with a warning."""
    status: int
    """The peer's final status."""
    completed: int = 0
    """Sub-operations that succeeded, as the peer counts them."""
    remaining: int = 0
    """Sub-operations that a C-CANCEL kept from being performed."""
    failed_sop_instance_uids: tuple[str, ...] = ()
    """The instances that failed, where the peer lists them."""
    comment: str = ""
    """What the peer says of it in words."""

    @property
    def is_cancelled(self) -> bool:
        """Whether it was ended by a C-CANCEL."""
        return self.status == Status.CANCEL


def report_of(
    final: CGetRSP | CMoveRSP | None,
    data: ByteSource | None,
    syntax: TransferSyntax,
    *,
    received: int,
    size_bytes: int,
    was_cancelled: bool,
) -> RetrieveReport:
    """Make the report of the final response.

    Args:
        final: The response.
        data: Its identifier.
        syntax: How that is encoded.
        received: How many instances came here.
        size_bytes: Their length.
        was_cancelled: Whether we asked for the end.

    Raises:
        PacsException: ``RETRIEVE_FAILED`` or ``MOVE_DESTINATION_UNKNOWN`` where nothing was
            done, ``CANCELLED`` where the peer cancelled by itself.
    """
    if final is None:
        raise PacsException(ErrorCode.RETRIEVE_FAILED, "the peer gave no final response")
    counts = RetrieveProgress.of(final)
    is_get = isinstance(final, CGetRSP)
    is_partial = received > 0 or counts.done > 0
    if not (is_partial or (was_cancelled and final.status == Status.CANCEL)):
        unknown = final.status == Status.MOVE_DESTINATION_UNKNOWN
        code = ErrorCode.MOVE_DESTINATION_UNKNOWN if unknown else ErrorCode.RETRIEVE_FAILED
        check_status(final, code, "C-GET" if is_get else "C-MOVE")
    return RetrieveReport(
        received=received,
        size_bytes=size_bytes,
        failed=counts.failed,
        warnings=counts.warnings,
        status=final.status,
        completed=counts.completed,
        remaining=counts.remaining,
        failed_sop_instance_uids=_failed_uids(data, syntax),
        comment=final.error_comment,
    )


def _failed_uids(data: ByteSource | None, syntax: TransferSyntax) -> tuple[str, ...]:
    """Read the list of what failed; a peer that sends something else lists nothing."""
    if data is None or not data.size:
        return ()
    match decode_dataset(data.view(), syntax):
        case Success(identifier) if _LIST in identifier:
            value = identifier.pydicom[int(_LIST)].value
            if isinstance(value, bytes):  # too long for a VR with a 16-bit length, hence UN
                return tuple(value.decode("ascii", "replace").rstrip("\0 ").split("\\"))
            return tuple(identifier.get_strings(_LIST).value_or(()))
    return ()

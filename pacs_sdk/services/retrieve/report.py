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
from pacs_sdk.network.dimse import (
    CGetRSP,
    CMoveRSP,
    Status,
    StatusCategory,
    status_category,
)
from pacs_sdk.services.scu import check_status

__all__ = ["OnProgress", "RetrieveProgress", "RetrieveReport", "Taken", "report_of"]

_LIST: Final = DicomTag.of("FailedSOPInstanceUIDList")

_COUNTS: Final = (
    "number_of_completed_suboperations",
    "number_of_failed_suboperations",
    "number_of_warning_suboperations",
)


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
class Taken:
    """What came here."""

    received: int = 0
    """Instances that were kept."""
    refused: int = 0
    """Instances that could not be kept, as the peer was told."""
    size_bytes: int = 0
    """The bytes of the data sets that were kept."""


@attrs.frozen
class RetrieveReport:
    """How a C-GET or C-MOVE ended."""

    received: int
    """Instances that came here and were kept."""
    size_bytes: int
    """The bytes of their data sets."""
    failed: int
    """Sub-operations that failed, on either side: as many as the peer counts or lists, and no
    fewer than were refused here."""
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
    missing: int = 0
    """Instances that the peer says it has sent here, and that did not come. It may know somebody
    else by the AE title of a C-MOVE."""
    is_counted: bool = True
    """Whether the peer told counts at all; it need not."""

    @property
    def is_complete(self) -> bool:
        """Whether all that was asked for came through, for all that is known on either side.

        Where the peer has nothing of it, nothing is lacking.
        """
        category = status_category(self.status)
        is_good = category is StatusCategory.SUCCESS or (
            category is StatusCategory.WARNING and self.warnings > 0
        )
        return is_good and not (self.failed or self.missing)

    @property
    def is_cancelled(self) -> bool:
        """Whether it was ended by a C-CANCEL."""
        return self.status == Status.CANCEL


def report_of(
    final: CGetRSP | CMoveRSP | None,
    data: ByteSource | None,
    syntax: TransferSyntax,
    *,
    taken: Taken | None,
    told: RetrieveProgress | None,
    was_cancelled: bool,
) -> RetrieveReport:
    """Make the report of the final response.

    Args:
        final: The response.
        data: Its identifier.
        syntax: How that is encoded.
        taken: What came here; ``None`` where it goes to somebody else.
        told: The counts of the last Pending response, if there was one.
        was_cancelled: Whether we asked for the end.

    Raises:
        PacsException: ``RETRIEVE_FAILED`` or ``MOVE_DESTINATION_UNKNOWN`` where nothing was
            done, ``CANCELLED`` where the peer cancelled by itself.
    """
    if final is None:
        raise PacsException(ErrorCode.RETRIEVE_FAILED, "the peer gave no final response")
    is_counted = told is not None or any(getattr(final, name) is not None for name in _COUNTS)
    counts = _counts(final, told)
    came = taken or Taken()
    is_partial = came.received > 0 or came.refused > 0 or counts.done > 0
    if not (is_partial or (was_cancelled and final.status == Status.CANCEL)):
        unknown = final.status == Status.MOVE_DESTINATION_UNKNOWN
        code = ErrorCode.MOVE_DESTINATION_UNKNOWN if unknown else ErrorCode.RETRIEVE_FAILED
        check_status(final, code, "C-GET" if isinstance(final, CGetRSP) else "C-MOVE")
    failed_uids = _failed_uids(data, syntax)
    sent_here = 0 if taken is None else counts.completed + counts.warnings
    return RetrieveReport(
        received=came.received,
        size_bytes=came.size_bytes,
        failed=max(counts.failed, came.refused, len(failed_uids)),
        warnings=counts.warnings,
        status=final.status,
        completed=counts.completed,
        remaining=counts.remaining,
        failed_sop_instance_uids=failed_uids,
        comment=final.error_comment,
        missing=max(0, sent_here - came.received - came.refused),
        is_counted=is_counted,
    )


def _counts(final: CGetRSP | CMoveRSP, told: RetrieveProgress | None) -> RetrieveProgress:
    """Read the counts of a final response, or what is known where it leaves them out."""
    if told is None or any(getattr(final, name) is not None for name in _COUNTS):
        return RetrieveProgress.of(final)
    if final.status == Status.SUCCESS:  # then what was still to be done has succeeded
        return attrs.evolve(told, completed=told.completed + told.remaining, remaining=0)
    return told if final.status == Status.CANCEL else attrs.evolve(told, remaining=0)


def _failed_uids(data: ByteSource | None, syntax: TransferSyntax) -> tuple[str, ...]:
    """Read the list of what failed; a peer that sends something else lists nothing."""
    if data is None or not data.size:
        return ()
    match decode_dataset(data.view(), syntax):
        case Success(identifier) if _LIST in identifier:
            value = identifier.pydicom[int(_LIST)].value
            if isinstance(value, bytes):  # too long for a VR with a 16-bit length, hence UN
                texts = value.decode("ascii", "replace").rstrip("\0 ").split("\\")
            else:
                texts = list(identifier.get_strings(_LIST).value_or(()))
            return tuple(dict.fromkeys(filter(None, texts)))
    return ()

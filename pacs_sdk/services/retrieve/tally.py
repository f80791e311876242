"""The counts of sub-operations, on the side that performs them (PS3.7 9.3.3.2, 9.3.4.2)."""

from __future__ import annotations

from typing import Final

import attrs

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.ports import Clock
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import encode_dataset, transfer_syntax
from pacs_sdk.network import Exchange
from pacs_sdk.network.dimse import (
    CGetRQ,
    CGetRSP,
    CMoveRQ,
    CMoveRSP,
    Status,
    StatusCategory,
    status_category,
)

__all__ = ["TELL_EVERY_S", "Tally"]

TELL_EVERY_S: Final = 0.05
"""How often counts are told at most, in seconds: as often as a progress bar can be seen to move."""

_SIGN_OF_LIFE_S: Final = 5.0
"""After so long the same counts are told again: who moves a large object to a slow destination,
or waits for one that is busy, must not look dead to who asked."""


@attrs.define
class Tally:
    """Counts the sub-operations of one C-GET or C-MOVE, and answers with the counts."""

    exchange: Exchange
    """Where to answer."""
    request: CGetRQ | CMoveRQ
    """What is answered."""
    clock: Clock
    """The time."""
    remaining: int
    """How many are still to be performed."""
    completed: int = 0
    """How many succeeded."""
    failed: int = 0
    """How many failed."""
    warning: int = 0
    """How many ended with a warning."""
    failed_uids: list[str] = attrs.field(factory=list)
    """The instances of those that failed."""
    reason: str = ""
    """Why the first of them did."""
    _told_at: float | None = None
    _told_remaining: int = -1

    def count(self, sop_instance_uid: str, status: int | None, reason: str = "") -> None:
        """Count a sub-operation that is over.

        Args:
            sop_instance_uid: The instance.
            status: The answer to the C-STORE; ``None`` where it could not be sent.
            reason: Why it failed, in words.
        """
        self.remaining -= 1
        category = StatusCategory.FAILURE if status is None else status_category(status)
        if category is StatusCategory.SUCCESS:
            self.completed += 1
        elif category is StatusCategory.WARNING:
            self.warning += 1
        else:
            self.failed += 1
            self.failed_uids.append(sop_instance_uid)
            self.reason = self.reason or reason

    def tell(self) -> None:
        """Send a Pending response, unless one was sent just now that says about the same.

        They are for a person who waits, and optional (PS3.4 C.4.2.3.1); to answer each of a
        thousand images a second would cost both sides more than the answers are worth.
        """
        now = self.clock.monotonic()
        if self._told_at is not None:
            is_news = self.remaining != self._told_remaining
            if now - self._told_at < (TELL_EVERY_S if is_news else _SIGN_OF_LIFE_S):
                return
        self._told_at, self._told_remaining = now, self.remaining
        self.exchange.respond(self._response(Status.PENDING))

    def finish(self, *, cancelled: bool = False) -> None:
        """Send the final response, with the list of what failed (PS3.4 C.4.2.1.4.2)."""
        status = Status.CANCEL if cancelled else self._final_status()
        failed: ByteSource | None = None
        if self.failed_uids:
            identifier = DicomDataset(FailedSOPInstanceUIDList=self.failed_uids)
            syntax = raised(transfer_syntax(self.exchange.context.transfer_syntax))
            failed = MemoryBytes(raised(encode_dataset(identifier, syntax)))
        self.exchange.respond(self._response(status), failed)

    def _response(self, status: int) -> CGetRSP | CMoveRSP:
        # Remaining ones are told of what goes on or was cancelled, and of nothing else.
        tell_remaining = status in (Status.PENDING, Status.CANCEL)
        return self.request.response_type(
            self.request.message_id,
            status,
            self.request.affected_sop_class_uid,
            number_of_remaining_suboperations=self.remaining if tell_remaining else None,
            number_of_completed_suboperations=self.completed,
            number_of_failed_suboperations=self.failed,
            number_of_warning_suboperations=self.warning,
            error_comment="" if status == Status.PENDING else self.reason,
        )

    def _final_status(self) -> int:
        """Success, warning (some failed) or failure (none came through)."""
        if not self.failed and not self.warning:
            return Status.SUCCESS
        if self.failed and not self.completed and not self.warning:
            return Status.OUT_OF_RESOURCES_SUBOPERATIONS
        return Status.SUBOPERATIONS_WITH_FAILURES

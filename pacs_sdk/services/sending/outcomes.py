"""What became of what was to be sent."""

from __future__ import annotations

from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.html_table import html_table
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.network.dimse import CStoreRQ, StatusCategory, explain_status, status_category

__all__ = ["SkippedFile", "StoreOutcome", "StoreReport"]

_MOST_ROWS: Final = 20
"""A notebook shows so many failures; the report has them all."""


@attrs.frozen
class StoreOutcome:
    """What became of one instance."""

    sop_instance_uid: str
    """The instance; empty where it could not even be opened."""
    size_bytes: int
    """How long its data set is, as it was given."""
    status: int | None
    """The peer's status, or ``None`` where it gave none."""
    comment: str = ""
    """The reason, where it failed, or the peer's Error Comment."""
    error: ErrorCode | None = None
    """Why it was not sent, or why there is no answer; ``None`` where there is a status."""
    source: str = attrs.field(default="", kw_only=True)
    """The file it was read from; empty for what was not a file."""
    transfer_syntax_uid: str = attrs.field(default="", kw_only=True)
    """The transfer syntax it was sent in; empty where it was not sent."""
    was_reencoded: bool = attrs.field(default=False, kw_only=True)
    """Whether that is not the one it was given in."""
    sent_sop_instance_uid: str = attrs.field(default="", kw_only=True)
    """What it was sent as: another UID than its own where compression has lost something."""
    offending_elements: tuple[int, ...] = attrs.field(default=(), kw_only=True)
    """The tags that the peer objects to (PS3.7 C.4.2), if it names some."""
    duration_s: float = attrs.field(default=0.0, kw_only=True)
    """From the first byte that was sent to the answer; of the last attempt."""
    attempts: int = attrs.field(default=0, kw_only=True)
    """How often it was sent."""
    stored_before: bool = attrs.field(default=False, kw_only=True)
    """Whether it was not sent because the peer acknowledged it in an earlier run."""

    @property
    def is_stored(self) -> bool:
        """Whether the peer has it, possibly with a warning."""
        return self.status is not None and status_category(self.status) in (
            StatusCategory.SUCCESS,
            StatusCategory.WARNING,
        )

    @property
    def is_warning(self) -> bool:
        """Whether the peer has it, and warns (PS3.4 B.2.3)."""
        return self.status is not None and status_category(self.status) is StatusCategory.WARNING

    @property
    def explanation(self) -> str:
        """The status or the reason, in words."""
        if self.status is None:
            return self.comment or "not sent"
        words = explain_status(self.status, CStoreRQ.command_field)
        if self.comment:
            words = f"{words}: {self.comment}"
        return f"{words} ({self.offending})" if self.offending_elements else words

    @property
    def offending(self) -> str:
        """The elements that the peer objects to, by keyword; empty if it names none."""
        tags = map(DicomTag, self.offending_elements)
        return ", ".join(tag.keyword or str(tag) for tag in tags)


@attrs.frozen
class SkippedFile:
    """A file in a folder that is no instance."""

    path: str
    """Where it is."""
    error: PacsError
    """What it is."""


@attrs.frozen
class StoreReport:
    """What became of everything that was to be sent, in the order it was given."""

    outcomes: tuple[StoreOutcome, ...]
    """One an instance."""
    skipped: tuple[SkippedFile, ...] = ()
    """Files in folders that are no instances: texts, DICOMDIRs."""
    resume_error: PacsError | None = None
    """Why the resume list is not complete; what it lacks would be sent again."""

    @property
    def stored(self) -> int:
        """How many instances the peer has."""
        return sum(outcome.is_stored for outcome in self.outcomes)

    @property
    def failures(self) -> tuple[StoreOutcome, ...]:
        """Those it does not have."""
        return tuple(outcome for outcome in self.outcomes if not outcome.is_stored)

    @property
    def warnings(self) -> tuple[StoreOutcome, ...]:
        """Those it has with a warning."""
        return tuple(outcome for outcome in self.outcomes if outcome.is_warning)

    @property
    def size_bytes(self) -> int:
        """The bytes of the data sets that were stored in this run."""
        return sum(
            outcome.size_bytes
            for outcome in self.outcomes
            if outcome.is_stored and not outcome.stored_before
        )

    def __str__(self) -> str:
        text = f"stored {self.stored} of {len(self.outcomes)} instances"
        return f"{text}, {len(self.warnings)} with a warning" if self.warnings else text

    def _repr_html_(self) -> str:
        """Show the counts in a notebook, and what was not stored as a table."""
        failures = self.failures
        shown = [
            (one.source or one.sop_instance_uid, one.explanation) for one in failures[:_MOST_ROWS]
        ]
        table = html_table(("Not stored", "Reason"), shown) if shown else ""
        left = len(failures) - _MOST_ROWS
        return f"<p>{self}</p>{table}" + (f"<p>… and {left} more</p>" if left > 0 else "")

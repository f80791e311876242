"""What recovery found after an unclean stop, and what is logged of it."""

from __future__ import annotations

from typing import Final

import attrs

from pacs_sdk.core.errors import PacsError
from pacs_sdk.core.ports import Logger

__all__ = ["FailedObject", "RecoveryReport", "report_recovery"]

_LOGGED: Final = 100
"""Objects that are named in the log; the rest is counted."""


@attrs.frozen
class FailedObject:
    """An object that could not be put right, and why."""

    storage_key: str
    """The key of the object."""
    error: PacsError
    """What is wrong with it."""


@attrs.frozen
class RecoveryReport:
    """What was found, and what was done about it."""

    unclean_stops: int = 0
    """Processes that ended without closing the archive."""
    swept_files: int = 0
    """Unfinished files of theirs that were removed from the spool."""
    restored_objects: int = 0
    """Objects of theirs that a power failure had taken, written again from their journals."""
    folders: int = 0
    """Folders that were looked at."""
    objects: int = 0
    """Objects that were looked at."""
    indexed: tuple[str, ...] = ()
    """Keys of objects that had no row, or the row of what they had replaced; they have
    their row now, or are recorded as duplicates if that is what they are kept as."""
    not_indexed: tuple[FailedObject, ...] = ()
    """Objects without a row that could not be indexed: damaged, no instances of DICOM, or
    with the UID of another instance, beside which they are recorded as duplicates then. They stay
    where they are. What could not be read for another reason than its content is tried again at the
    next start."""
    without_object: tuple[str, ...] = ()
    """Keys of rows whose object is not there."""
    rows_removed: int = 0
    """How many of these rows were removed."""
    index_missing: bool = False
    """Whether objects are stored and no index was there: ``pacs reindex`` makes it anew."""

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to tell."""
        return self == RecoveryReport(folders=self.folders, objects=self.objects)


def report_recovery(report: RecoveryReport, logger: Logger) -> None:
    """Record what recovery found; nothing where there was nothing to recover from."""
    if report.swept_files:
        logger.warning("spool-swept", files=report.swept_files)
    if report.restored_objects:
        logger.warning("objects-restored", objects=report.restored_objects)
    if report.index_missing:
        logger.error("index-missing", advice="run pacs reindex to make it from the objects")
    if not report.unclean_stops:
        return
    logger.warning(
        "unclean-stop-recovered",
        processes=report.unclean_stops,
        folders=report.folders,
        objects=report.objects,
        indexed=len(report.indexed),
        not_indexed=len(report.not_indexed),
        rows_without_object=len(report.without_object),
    )
    for failed in report.not_indexed[:_LOGGED]:
        logger.error(
            "object-not-indexed", storage_key=failed.storage_key, reason=failed.error.message
        )
    for key in report.without_object[:_LOGGED]:
        logger.error("row-without-object", storage_key=key)

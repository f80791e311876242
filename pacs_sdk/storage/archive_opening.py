"""Opening the archive in a folder: its objects, its index, and what a crash left half done."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.ports import Clock, EventBus, Logger, NullLogger
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import TagLike
from pacs_sdk.storage.archive import Archive
from pacs_sdk.storage.archive_rules import DEFAULT_RULES, ArchiveRules
from pacs_sdk.storage.index.further_attributes import FurtherAttributes
from pacs_sdk.storage.objects.backend import DuplicatePolicy, Durability
from pacs_sdk.storage.objects.layouts import StorageLayout
from pacs_sdk.storage.upkeep.archive_session import ArchiveSession

__all__ = ["open_archive"]


@edge({OSError: ErrorCode.STORAGE_READ_FAILED})
def open_archive(  # noqa: PLR0913  # all but the folder are keywords with defaults
    data_dir: Path | str,
    *,
    durability: Durability = Durability.DURABLE,
    duplicates: DuplicatePolicy = DuplicatePolicy.REJECT,
    layout: str = "uid",
    database_url: str | None = None,
    further_attributes: Iterable[TagLike] = (),
    rules: ArchiveRules = DEFAULT_RULES,
    bus: EventBus | None = None,
    logger: Logger | None = None,
    clock: Clock | None = None,
) -> Archive:
    """Open the archive in a folder; it is made if it is not there.

    If a process ended without closing it, what that left half done is put right first, and
    :attr:`Archive.recovery` tells of it.

    Args:
        data_dir: The folder: objects in ``objects``, the index in ``index.sqlite``.
        durability: Whether an instance survives a power failure once it is stored.
        duplicates: What happens to another object with a UID that is stored.
        layout: Where new objects go: ``uid``, ``date``, ``flat`` or a template
            (:class:`~pacs_sdk.storage.StorageLayout`); those that are stored stay where
            they are.
        database_url: Where the index is, if not in the folder:
            ``postgresql://user:password@host/database``, or ``sqlite:///`` and a path.
        further_attributes: What the index keeps besides its own attributes, by keyword or tag:
            ``"BodyPartThickness"``, ``"(0018,0050)"``. What was stored before has no value of
            these until :func:`~pacs_sdk.storage.reindex` is told the same.
        rules: What is done with what comes and goes, beyond keeping it.
        bus: Where ``InstanceStored`` is published; nowhere by default.
        logger: Where events are recorded; nowhere by default.
        clock: Tells the time; the system's by default.

    Returns:
        ``Success``, or ``Failure`` with ``STORAGE_WRITE_FAILED`` (the folder cannot be
        used), ``INDEX_FAILED`` (the database cannot, or is being made anew just now),
        ``STORAGE_READ_FAILED``, ``INVALID_CONFIGURATION`` (the layout, the imported
        folders, the further attributes or the URL) or ``MISSING_DEPENDENCY`` (PostgreSQL without
        its driver).
    """
    log, keys = logger or NullLogger(), StorageLayout(layout)
    folder = Path(data_dir).absolute()
    further = FurtherAttributes.of(further_attributes)
    session = ArchiveSession(
        folder, durability, log, clock, database_url=database_url, further=further
    )
    return Archive(
        session.storage,
        session.index,
        bus,
        log,
        duplicates=duplicates,
        layout=keys,
        rules=rules,
        session=session,
        clock=clock,
    )

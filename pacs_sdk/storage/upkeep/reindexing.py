"""Making an archive's index anew, from the files alone; and indexing files where they are.

The new index is made beside the old one, and takes its place at the very end: until then the
old one is as it was, whatever happens. In a file it is ``reindex.sqlite``; in PostgreSQL it has
a schema of its own. Killed, the work goes on where it was when it is started again, unless the
archive was opened in between.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, NullLogger, SystemClock
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import TagLike
from pacs_sdk.storage.index.further_attributes import FurtherAttributes
from pacs_sdk.storage.objects.backend import Durability
from pacs_sdk.storage.objects.disk import make_folders, reason_of
from pacs_sdk.storage.objects.file_storage import FileStorage
from pacs_sdk.storage.objects.imported_folders import declare_folder, declared_folders
from pacs_sdk.storage.upkeep.archive_session import OBJECTS_NAME, checked_holders, is_untouched
from pacs_sdk.storage.upkeep.index_in_file import IndexInFile
from pacs_sdk.storage.upkeep.index_in_postgres import IndexInPostgres
from pacs_sdk.storage.upkeep.index_whereabouts import (
    check_place,
    file_of,
    index_address,
    is_elsewhere,
    note_place,
)
from pacs_sdk.storage.upkeep.indexing_job import IndexingJob, ReindexProgress, ReindexReport
from pacs_sdk.storage.upkeep.new_index import IndexPlace
from pacs_sdk.storage.upkeep.reading_pool import default_processes
from pacs_sdk.storage.upkeep.sessions import Purpose, Sessions

__all__ = ["ReindexProgress", "ReindexReport", "import_folder", "reindex"]


@edge({OSError: ErrorCode.STORAGE_READ_FAILED})
def reindex(
    data_dir: Path | str,
    *,
    processes: int | None = None,
    database_url: str | None = None,
    further_attributes: Iterable[TagLike] = (),
    progress: ReindexProgress | None = None,
    logger: Logger | None = None,
    clock: Clock | None = None,
) -> ReindexReport:
    """Make the index of an archive anew, from its files and those of imported folders.

    Several processes read, so a script that calls this guards its beginning with
    ``if __name__ == "__main__":``, as :mod:`multiprocessing` asks for.

    Args:
        data_dir: The archive's folder; nobody may have the archive open.
        processes: How many processes read, this one among them; by default, one for each
            processor.
        database_url: Where the index is, as the archive is opened with; in the folder by default.
        further_attributes: What the index keeps besides its own attributes, as the archive is
            opened with; that of all files is in it then, whenever they were stored.
        progress: Is told how far the work is.
        logger: Where contradictions between instances are recorded; nowhere by default.
        clock: Tells the time of changes and duplicates; the system's by default.

    Returns:
        ``Success``, also where some files could not be indexed; or ``Failure`` with
        ``INVALID_ARGUMENT`` (no archive is there, or its index is in a database that is not
        named), ``INDEX_FAILED`` (it is open, the database cannot be written, or its user may
        not make a schema), ``STORAGE_READ_FAILED`` (a folder cannot be read; an imported one
        is not there), ``STORAGE_WRITE_FAILED``, ``INVALID_CONFIGURATION``,
        ``MISSING_DEPENDENCY`` (psycopg) or ``INTERNAL`` (a reading process died).
    """
    folder = Path(data_dir).absolute()
    imported = declared_folders(folder)
    if not (folder / OBJECTS_NAME).is_dir() or (is_untouched(folder) and not imported):
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"there is no archive in {folder}: it has no folder {OBJECTS_NAME}, or that is empty "
            "(is its disk mounted?)",
            path=str(folder),
        )
    further = FurtherAttributes.of(further_attributes)
    address = index_address(folder, database_url)
    check_place(folder, database_url)
    with _alone(folder) as sessions, contextlib.ExitStack() as opened:
        dead = sessions.dead()
        storage = FileStorage(folder / OBJECTS_NAME, Durability.RELAXED)
        opened.callback(storage.close)
        backends = (storage, *imported)
        job = IndexingJob(
            folder, processes or default_processes(), progress, clock or SystemClock(), further
        )
        file = file_of(address)
        place: IndexPlace
        if file is not None:
            place = IndexInFile(file)
        else:
            place = IndexInPostgres(address, resume=is_elsewhere(folder))
        opened.callback(place.close)
        note_place(folder, elsewhere=database_url is not None)
        report = job.rebuild(place, backends, logger or NullLogger())
        for one in dead:  # whatever they left half done, all files have been looked at
            sessions.forget(one)
    return report


@edge({OSError: ErrorCode.STORAGE_READ_FAILED})
def import_folder(  # noqa: PLR0913  # all but two are keywords with defaults
    data_dir: Path | str,
    source: Path | str,
    *,
    processes: int | None = None,
    database_url: str | None = None,
    further_attributes: Iterable[TagLike] = (),
    progress: ReindexProgress | None = None,
    logger: Logger | None = None,
    clock: Clock | None = None,
) -> ReindexReport:
    """Index the DICOM files of a folder where they are; nothing is copied or changed.

    The archive reads them there from now on, and never writes to or deletes anything in the
    folder. Files that are not DICOM, and DICOMDIRs, are ignored. To do it again adds what is
    new. Symbolic links are not followed.

    Args:
        data_dir: The archive's folder, made where it is missing; nobody may have it open.
        source: The folder.
        processes: As of :func:`reindex`; so for the others.
        database_url: Where the index is, as the archive is opened with.
        further_attributes: What the index keeps besides its own attributes.
        progress: Is told how far the work is.
        logger: Where contradictions between instances are recorded.
        clock: Tells the time of changes.

    Returns:
        As :func:`reindex`; ``INVALID_ARGUMENT`` where there is no such folder, or it overlaps
        with the archive or another imported folder.
    """
    folder = Path(data_dir).absolute()
    try:
        for one in (folder, folder / OBJECTS_NAME):
            make_folders(one, durable=True)
    except OSError as exc:
        raise PacsException(
            ErrorCode.STORAGE_WRITE_FAILED,
            f"the folder {folder} cannot be used: {reason_of(exc)}",
            path=str(folder),
        ) from exc
    further = FurtherAttributes.of(further_attributes)
    address = index_address(folder, database_url)
    check_place(folder, database_url)
    with _alone(folder):
        imported = declare_folder(folder, Path(source))
        job = IndexingJob(
            folder, processes or default_processes(), progress, clock or SystemClock(), further
        )
        report = job.add(address, imported, logger or NullLogger())
        note_place(folder, elsewhere=database_url is not None)
    return report


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[Sessions]:
    """Have the archive for this process alone."""
    sessions = Sessions(folder)
    with sessions.turn():
        checked_holders(sessions.living(), *Purpose)
        session = sessions.begin(Purpose.REINDEXING, durable=False)
    try:
        yield sessions
    finally:
        session.close()

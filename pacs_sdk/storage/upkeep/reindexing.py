"""Making an archive's index anew, from the files alone; and indexing files where they are.

The new index is a file beside the old one, ``reindex.sqlite``, and takes its place at the
very end: until then the old one is as it was, whatever happens. Killed, the work goes on
where it was when it is started again, unless the archive was opened in between.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, NullLogger, SystemClock
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import TagLike
from pacs_sdk.storage.index.further_attributes import FurtherAttributes
from pacs_sdk.storage.index.index_database import IndexDatabase, index_url
from pacs_sdk.storage.objects.backend import Durability, StorageBackend, checked_key
from pacs_sdk.storage.objects.disk import make_folders, reason_of
from pacs_sdk.storage.objects.file_storage import FileStorage
from pacs_sdk.storage.objects.imported_folders import (
    ImportedFolder,
    declare_folder,
    declared_folders,
)
from pacs_sdk.storage.upkeep.archive_session import (
    ELSEWHERE_NAME,
    INDEX_NAME,
    OBJECTS_NAME,
    checked_holders,
)
from pacs_sdk.storage.upkeep.carrying_over import carry_over, deleted_keys
from pacs_sdk.storage.upkeep.index_building import IndexBuilder, ObjectProblem, ProblemKind
from pacs_sdk.storage.upkeep.new_index import (
    begin_index,
    finish_index,
    note_position,
    replace_index,
)
from pacs_sdk.storage.upkeep.problem_file import ProblemFile
from pacs_sdk.storage.upkeep.reading_pool import FoundFile, default_processes, read_all
from pacs_sdk.storage.upkeep.sessions import REINDEX_NAME, Purpose, Sessions

__all__ = ["ReindexProgress", "ReindexReport", "import_folder", "reindex"]

_FILES_BETWEEN_POSITIONS: Final = 4096
"""How many files may be read again after the work was killed."""


class ReindexProgress(Protocol):
    """Is told how far the work is."""

    def of(self, total: int) -> None:
        """Take note of how many files there are."""

    def advance(self, count: int = 1) -> None:
        """Take note that so many files more are done."""


@attrs.frozen
class ReindexReport:
    """What indexing files came to."""

    files: int
    """How many files were read, by this run."""
    indexed: int
    """How many got their row."""
    size_bytes: int
    """How many bytes these have."""
    known: int
    """How many had their row: from a run that was interrupted, or an earlier import."""
    ignored: int
    """How many files of imported folders are no instances."""
    kept_duplicates: int
    """How many objects are kept beside an instance whose UID they have."""
    deleted: int
    """How many objects were left out: their instances are deleted, and they are removed when
    their time comes."""
    problems: tuple[ObjectProblem, ...]
    """What is wrong, in the order of keys; with what an interrupted run found."""
    problem_file: Path | None
    """Where all that is wrong is written down, one JSON object a line."""
    not_carried_over: str = ""
    """Why hashes and change feed of the old index were not taken over; empty if they were."""

    def of_kind(self, kind: ProblemKind) -> int:
        """Count the problems of a kind."""
        return sum(one.kind is kind for one in self.problems)


@edge()
def reindex(
    data_dir: Path | str,
    *,
    processes: int | None = None,
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
        further_attributes: What the index keeps besides its own attributes, as the archive is
            opened with; that of all files is in it then, whenever they were stored.
        progress: Is told how far the work is.
        logger: Where contradictions between instances are recorded; nowhere by default.
        clock: Tells the time of changes and duplicates; the system's by default.

    Returns:
        ``Success``, also where some files could not be indexed; or ``Failure`` with
        ``INVALID_ARGUMENT`` (no archive is there), ``INDEX_FAILED`` (it is open, or the
        database cannot be written), ``STORAGE_READ_FAILED`` (a folder cannot be read; an
        imported one is not there), ``STORAGE_WRITE_FAILED``, ``INVALID_CONFIGURATION`` or
        ``INTERNAL`` (a reading process died).
    """
    folder = Path(data_dir).absolute()
    if not (folder / OBJECTS_NAME).is_dir():
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"there is no archive in {folder}: it has no folder {OBJECTS_NAME}",
            path=str(folder),
        )
    further = FurtherAttributes.of(further_attributes)
    with _alone(folder) as sessions:
        dead = sessions.dead()
        storage = FileStorage(folder / OBJECTS_NAME, Durability.RELAXED)
        try:
            backends = (storage, *declared_folders(folder))
            job = _Job(
                folder,
                processes or default_processes(),
                progress,
                clock or SystemClock(),
                further,
            )
            report = job.rebuild(backends, logger or NullLogger())
        finally:
            storage.close()
        for one in dead:  # whatever they left half done, all files have been looked at
            sessions.forget(one)
    return report


@edge()
def import_folder(
    data_dir: Path | str,
    source: Path | str,
    *,
    processes: int | None = None,
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
        make_folders(folder / OBJECTS_NAME, durable=True)
    except OSError as exc:
        raise PacsException(
            ErrorCode.STORAGE_WRITE_FAILED,
            f"the folder {folder} cannot be used: {reason_of(exc)}",
            path=str(folder),
        ) from exc
    further = FurtherAttributes.of(further_attributes)
    with _alone(folder):
        imported = declare_folder(folder, Path(source))
        job = _Job(
            folder, processes or default_processes(), progress, clock or SystemClock(), further
        )
        return job.add(imported, logger or NullLogger())


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[Sessions]:
    """Have the archive for this process alone."""
    if (folder / ELSEWHERE_NAME).exists():
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"the index of {folder} is not in that folder, but in the database that the archive "
            "was last opened with; open it so again, and archive.recover(mend=True) compares it "
            "with all objects",
            path=str(folder),
        )
    sessions = Sessions(folder)
    with sessions.turn():
        checked_holders(sessions.living(), *Purpose)
        session = sessions.begin(Purpose.REINDEXING, durable=False)
    try:
        yield sessions
    finally:
        session.close()


@attrs.frozen
class _Job:
    """The files of one archive, to be indexed."""

    folder: Path
    processes: int
    progress: ReindexProgress | None
    clock: Clock
    further: FurtherAttributes

    def rebuild(self, backends: tuple[StorageBackend, ...], logger: Logger) -> ReindexReport:
        """Make the index anew and put it in the place of the old one."""
        made, place = self.folder / REINDEX_NAME, self.folder / INDEX_NAME
        problems = ProblemFile(self.folder)
        index, position = begin_index(made, logger, self.clock, self.further)
        builder = IndexBuilder(index, clock=self.clock)
        deleted = deleted_keys(place)
        if position is None:
            problems.begin()
        else:
            builder.problems.update(problems.read())
        try:
            self._count(backends)
            first = 0 if position is None else position[0]
            for number, backend in enumerate(backends[first:], first):
                after = position[1] if position is not None and number == first else ""
                files = _found_files(backend, builder, after, deleted)
                self._index_files(builder, files, number, problems)
            note_position(index, len(backends), "")
            reason = carry_over(place, made)
            finish_index(index)
        finally:
            index.close()
        replace_index(made, place)
        return _report(builder, problems, reason)

    def add(self, imported: ImportedFolder, logger: Logger) -> ReindexReport:
        """Add the files of an imported folder to the index that is there."""
        problems = ProblemFile(self.folder)
        problems.begin()
        index = IndexDatabase(
            index_url(self.folder / INDEX_NAME), logger, self.clock, further=self.further
        )
        try:
            self._count((imported,))
            builder = IndexBuilder(index, clock=self.clock)
            self._index_files(builder, _found_files(imported, builder), None, problems)
        finally:
            index.close()
        return _report(builder, problems)

    # -- inside ------------------------------------------------------------------

    def _index_files(
        self,
        builder: IndexBuilder,
        files: Iterator[FoundFile],
        number: int | None,
        problems: ProblemFile,
    ) -> None:
        """Index the files of a backend; with its number, note now and then how far it is."""
        since = 0
        tags = self.further.header_tags
        with contextlib.closing(read_all(files, self.processes, tags)) as some:
            for readings in some:
                builder.add(readings)
                since += len(readings)
                if self.progress is not None:
                    self.progress.advance(len(readings))
                if number is not None and since >= _FILES_BETWEEN_POSITIONS:
                    since = 0
                    problems.append(builder.problems)
                    note_position(builder.index, number, readings[-1].key)
        problems.append(builder.problems)

    def _count(self, backends: Iterable[StorageBackend]) -> None:
        """Tell how many files there are, if anybody wants to know."""
        if self.progress is None:
            return
        total = 0
        for backend in backends:
            root = backend.root if isinstance(backend, FileStorage | ImportedFolder) else None
            for _, folders, names in os.walk(root or self.folder):
                folders[:] = [one for one in folders if not one.startswith(".")]
                total += len(names)
        self.progress.of(total)


def _found_files(
    backend: StorageBackend,
    builder: IndexBuilder,
    after: str = "",
    deleted: Collection[str] = frozenset(),
) -> Iterator[FoundFile]:
    """Find the files of a backend; what has a name that cannot be a key is reported.

    Args:
        backend: Where they are.
        builder: Keeps account of those that are left out.
        after: The key up to which they are done.
        deleted: The keys of those that don't count.
    """
    builder.imported = isinstance(backend, ImportedFolder)
    begin = tuple(after.split("/"))
    if isinstance(backend, ImportedFolder):
        for stored in backend.list():
            if not after or tuple(stored.key.split("/")) > begin:
                below = stored.key.removeprefix(backend.prefix)
                yield FoundFile(stored.key, f"{backend.root}/{below}", stored.size_bytes)
        for path in backend.unnameable:
            builder.report(ProblemKind.UNREADABLE, path, "its name is no UTF-8 text")
        return
    root = backend.root if isinstance(backend, FileStorage) else Path()
    for stored in backend.list():
        if after and tuple(stored.key.split("/")) <= begin:
            continue
        if stored.key in deleted:
            builder.deleted += 1
            continue
        try:
            checked_key(stored.key)
        except PacsException as exc:
            key = stored.key.encode("utf-8", "backslashreplace").decode()
            builder.report(ProblemKind.UNREADABLE, key, exc.error.message)
        else:
            yield FoundFile(stored.key, f"{root}/{stored.key}", stored.size_bytes)


def _report(builder: IndexBuilder, problems: ProblemFile, reason: str = "") -> ReindexReport:
    found = sorted(builder.problems.values(), key=lambda one: (one.storage_key, one.kind))
    return ReindexReport(
        files=builder.files,
        indexed=builder.indexed,
        size_bytes=builder.size_bytes,
        known=builder.known,
        ignored=builder.ignored,
        kept_duplicates=builder.kept_duplicates,
        deleted=builder.deleted,
        problems=tuple(found),
        problem_file=problems.finish(found),
        not_carried_over=reason,
    )

"""Indexing the files of an archive: all of them into a new index, or those of one folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

import attrs
from sqlalchemy import URL

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.ports import Clock, Logger
from pacs_sdk.storage.index.further_attributes import FurtherAttributes
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.objects.backend import StorageBackend, checked_key
from pacs_sdk.storage.objects.file_storage import FileStorage
from pacs_sdk.storage.objects.imported_folders import ImportedFolder
from pacs_sdk.storage.upkeep.index_building import IndexBuilder, ObjectProblem, ProblemKind
from pacs_sdk.storage.upkeep.new_index import IndexPlace, note_position
from pacs_sdk.storage.upkeep.problem_file import ProblemFile
from pacs_sdk.storage.upkeep.reading_pool import FoundFile, read_all

__all__ = ["IndexingJob", "ReindexProgress", "ReindexReport"]

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


@attrs.frozen
class IndexingJob:
    """The files of one archive, to be indexed."""

    folder: Path
    """That of the archive."""
    processes: int
    """How many processes read, this one among them."""
    progress: ReindexProgress | None
    """Is told how far the work is."""
    clock: Clock
    """Tells the time of changes and duplicates."""
    further: FurtherAttributes
    """What the index keeps besides its own attributes."""

    def rebuild(
        self, place: IndexPlace, backends: tuple[StorageBackend, ...], logger: Logger
    ) -> ReindexReport:
        """Make the index anew and put it in the place of the old one."""
        problems = ProblemFile(self.folder)
        index, position = place.begin(logger, self.clock, self.further)
        try:
            builder = IndexBuilder(index, clock=self.clock, key_before=place.key_of)
            deleted = place.deleted_keys()
            if position is None:
                problems.begin()
            else:
                builder.problems.update(problems.read())
            self._count(backends)
            first = 0 if position is None else position[0]
            for number, backend in enumerate(backends[first:], first):
                after = position[1] if position is not None and number == first else ""
                files = _found_files(backend, builder, after, deleted)
                self._index_files(builder, files, number, problems)
            note_position(index, len(backends), "")
            reason = place.carry_over()
            place.replace(index)
        finally:
            index.close()
        return _report(builder, problems, reason)

    def add(self, address: URL, imported: ImportedFolder, logger: Logger) -> ReindexReport:
        """Add the files of an imported folder to the index that is there."""
        problems = ProblemFile(self.folder)
        problems.begin()
        index = IndexDatabase(address, logger, self.clock, further=self.further)
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

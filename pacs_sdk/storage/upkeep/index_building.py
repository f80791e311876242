"""Putting what was read from files into an index: batches, duplicates, and what is wrong."""

from __future__ import annotations

import enum
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import Clock, SystemClock
from pacs_sdk.core.results import Failure, raised
from pacs_sdk.storage.duplicates import record_duplicate
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.objects.layouts import is_duplicate_key
from pacs_sdk.storage.records import IndexEntry, InstanceIdentity
from pacs_sdk.storage.upkeep.index_rows import rows_by_uid
from pacs_sdk.storage.upkeep.reading_pool import Reading
from pacs_sdk.storage.upkeep.recovery import record_kept_duplicate

__all__ = ["IndexBuilder", "ObjectProblem", "ProblemKind", "fits_key"]

_UID_WITH_DOTS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+", re.ASCII)


class ProblemKind(enum.StrEnum):
    """What is wrong with a file."""

    UNREADABLE = "unreadable"
    """It has no row, because it cannot be read or is no instance."""
    DUPLICATE = "duplicate"
    """It has no row, because another file has the same SOP Instance UID."""
    INCOMPLETE = "incomplete"
    """It has its row, and ends before its data set does."""
    MISPLACED = "misplaced"
    """It has its row, and its name says that it is another instance."""

    @property
    def is_indexed(self) -> bool:
        """Whether queries find it all the same."""
        return self in (ProblemKind.INCOMPLETE, ProblemKind.MISPLACED)


@attrs.frozen
class ObjectProblem:
    """A file that something is wrong with."""

    kind: ProblemKind
    """What it is."""
    storage_key: str
    """The key of the file."""
    message: str
    """The same in words."""


def fits_key(key: str, identity: InstanceIdentity) -> bool:
    """Tell whether an object may have this key: the UIDs in it are the object's.

    The file is named by the SOP Instance UID; and where the two folders above are named by
    UIDs, then by those of study and series. Other layouts' folders say nothing about it.
    """
    *folders, name = key.split("/")
    if identity.sop_instance_uid not in name:
        return False
    above = folders[-2:]
    if len(above) < 2 or not all(map(_UID_WITH_DOTS.fullmatch, above)):
        return True
    return above == [identity.study_instance_uid, identity.series_instance_uid]


@attrs.define
class IndexBuilder:
    """Adds what was read to an index, and keeps account of it."""

    index: IndexDatabase
    """Where rows go."""
    imported: bool = False
    """Whether the files are of an imported folder: names say nothing, files that are no
    instances are nothing to report, and duplicates are not the archive's."""
    clock: Clock = attrs.field(factory=SystemClock)
    """Tells when a duplicate was found."""
    key_before: Callable[[str], str | None] = lambda _: None
    """Tells the key of the object that an instance had until now, by its SOP Instance UID."""
    files: int = 0
    """How many files were read."""
    indexed: int = 0
    """How many have a row from this run."""
    size_bytes: int = 0
    """How many bytes these have."""
    known: int = 0
    """How many had their row already."""
    kept_duplicates: int = 0
    """How many are duplicates that were kept beside an instance on purpose."""
    deleted: int = 0
    """How many were left out, as their instances are deleted."""
    ignored: int = 0
    """How many are no instances, and nobody said they were."""
    problems: dict[tuple[ProblemKind, str], ObjectProblem] = attrs.field(factory=dict)
    """What is wrong."""

    def add(self, readings: Sequence[Reading]) -> None:
        """Add some files.

        Raises:
            PacsException: ``INDEX_FAILED``.
        """
        self.files += len(readings)
        entries: list[IndexEntry] = []
        for one in readings:
            if one.found is not None:
                entries.append(one.found.entry)
                if one.found.incomplete is not None:
                    self.report(ProblemKind.INCOMPLETE, one.key, one.found.incomplete.message)
            elif one.error is not None:
                self._not_read(one.key, one.error)
        for group in _groups(entries):
            for entry, outcome in zip(group, self.index.add_many(group), strict=True):
                if isinstance(outcome, Failure):
                    self._refused(entry, outcome.failure())
                else:
                    self._added(entry, created=outcome.unwrap().created)

    def report(self, kind: ProblemKind, key: str, message: str) -> None:
        """Note that something is wrong with a file."""
        self.problems[kind, key] = ObjectProblem(kind, key, message)

    # -- inside ------------------------------------------------------------------

    def _added(self, entry: IndexEntry, *, created: bool) -> None:
        if created:
            self.indexed += 1
            self.size_bytes += entry.size_bytes
        else:
            self.known += 1
        if not self._fits(entry.storage_key, entry.identity):
            identity = entry.identity
            self.report(
                ProblemKind.MISPLACED,
                entry.storage_key,
                f"{entry.storage_key} holds instance {identity.sop_instance_uid} of series "
                f"{identity.series_instance_uid}, which is not what its name says",
            )

    def _fits(self, key: str, identity: InstanceIdentity) -> bool:
        return self.imported or fits_key(key, identity)

    def _not_read(self, key: str, error: PacsError) -> None:
        if self.imported and (error.code is ErrorCode.NOT_DICOM or _is_media_directory(key)):
            self.ignored += 1
        else:
            self.report(ProblemKind.UNREADABLE, key, error.message)

    def _refused(self, entry: IndexEntry, error: PacsError) -> None:
        """Decide which of two objects with one UID has the row.

        It is the one that had it before, or else the one that fits its key.
        """
        if error.code is not ErrorCode.DUPLICATE_OBJECT:
            raise PacsException.of(error)
        if is_duplicate_key(entry.storage_key):
            record_kept_duplicate(self.index, self.clock, entry)
            self.kept_duplicates += 1
            return
        uid = entry.identity.sop_instance_uid
        row = rows_by_uid(self.index, [uid])[uid]
        other = InstanceIdentity(
            row.study_instance_uid, row.series_instance_uid, uid, row.sop_class_uid
        )
        winner, loser, size_bytes = row.storage_key, entry.storage_key, entry.size_bytes
        before = self.key_before(uid)
        ranks = [
            (key == before, self._fits(key, identity))
            for key, identity in ((winner, other), (loser, entry.identity))
        ]
        if ranks[0] < ranks[1]:
            (outcome,) = self.index.add_many([entry], replace=True)
            raised(outcome)
            self._added(entry, created=True)
            self.indexed -= 1  # the row was counted for the other
            winner, loser, size_bytes = loser, winner, row.size_bytes
            self.problems.pop((ProblemKind.MISPLACED, loser), None)
        self.report(
            ProblemKind.DUPLICATE,
            loser,
            f"{loser} holds instance {uid}, which {winner} holds as well",
        )
        if not self.imported:
            record_duplicate(self.index, self.clock, uid, loser, size_bytes, "")


def _groups(entries: Iterable[IndexEntry]) -> Iterator[list[IndexEntry]]:
    """Put the first instance of each series by itself.

    It brings the rows of series and study, and those after it take the index's short way,
    which is only open where nothing else is in the transaction.
    """
    for _, of_series in itertools.groupby(entries, _series_of):
        first, *rest = of_series
        yield [first]
        if rest:
            yield rest


def _series_of(entry: IndexEntry) -> tuple[str, str]:
    return entry.identity.study_instance_uid, entry.identity.series_instance_uid


def _is_media_directory(key: str) -> bool:
    """Whether a file is a DICOMDIR, by its name (PS3.10 8.6)."""
    name = key.replace(":", "/").rpartition("/")[2]
    return name.upper().partition(".")[0] == "DICOMDIR"

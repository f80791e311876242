"""After an unclean stop: what the processes that died left half done, found and mended.

An object without its row is whole, as it has its name; it is read and indexed. A row
without its object is told of, and removed only if that was asked for. Looked at are the
folders that the dead processes had announced (:mod:`pacs_sdk.storage.upkeep.write_intents`), or
everything where someone asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
from sqlalchemy import Connection

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import Clock, SystemClock
from pacs_sdk.core.results import Failure, PacsResult, Success, raised
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.core.whole_bytes import read_whole
from pacs_sdk.storage.deleted_objects import check_kept
from pacs_sdk.storage.duplicates import record_duplicate
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.objects.backend import StorageBackend, StoredObject, checked_prefix
from pacs_sdk.storage.objects.content_hash import hash_source
from pacs_sdk.storage.objects.imported_folders import IMPORT_PREFIX
from pacs_sdk.storage.objects.layouts import DUPLICATE_MARK, is_duplicate_key
from pacs_sdk.storage.objects.object_files import not_found, reading
from pacs_sdk.storage.records import AddOutcome, IndexEntry
from pacs_sdk.storage.upkeep.index_rows import (
    InstanceRow,
    all_rows,
    batches,
    rows_by_uid,
    rows_of_series_uid,
    without_row,
)
from pacs_sdk.storage.upkeep.object_reading import ReadObject, read_object
from pacs_sdk.storage.upkeep.recovery_report import FailedObject, RecoveryReport

__all__ = ["record_kept_duplicate", "recover"]


def recover(
    backend: StorageBackend,
    index: IndexDatabase,
    folders: Iterable[str] | None,
    replaced: Iterable[str] = (),
    *,
    keep_incomplete: bool,
    mend: bool = False,
) -> RecoveryReport:
    """Compare objects and rows, and index the objects that lack their row.

    Other processes may store and delete meanwhile.

    Args:
        backend: The objects.
        index: The rows.
        folders: The folders to look at, as the beginnings of keys; ``None`` for everything.
        replaced: The keys of objects whose rows may tell of others, as long, that these replaced.
        keep_incomplete: Whether an object that is cut short was sent like that, and so is
            indexed; otherwise the machine's end may have done it.
        mend: Whether rows without their objects are removed.

    Raises:
        PacsException: ``INDEX_FAILED`` or ``STORAGE_READ_FAILED``.
    """
    work = _Recovery(backend, index, keep_incomplete=keep_incomplete)
    if folders is None:
        work.look_at_objects("")
        work.look_at_rows(row for row in all_rows(index) if not _is_imported(row))
    else:
        for folder in sorted(filter(_can_begin_keys, folders)):
            work.look_at_folder(folder)
        work.look_at_unknown_folders()
    for key in sorted(replaced):
        work.look_at_replaced(key)
    removed = work.remove_rows() if mend else 0
    return RecoveryReport(
        folders=work.folders,
        objects=work.objects,
        indexed=tuple(work.indexed),
        not_indexed=tuple(work.failed),
        without_object=tuple(row.storage_key for row in work.without_object),
        rows_removed=removed,
    )


class _Recovery:
    """One recovery under way."""

    def __init__(
        self, backend: StorageBackend, index: IndexDatabase, *, keep_incomplete: bool
    ) -> None:
        self._backend = backend
        self._index = index
        self._keep_incomplete = keep_incomplete
        self.folders = 0
        self.objects = 0
        self.indexed: list[str] = []
        self.failed: list[FailedObject] = []
        self.without_object: list[InstanceRow] = []
        self._unknown: set[str] = set()

    def look_at_folder(self, folder: str) -> None:
        """Look at the objects right in a folder, and at the rows that name it."""
        self.folders += 1
        prefix = f"{folder}/" if folder else ""
        seen = self.look_at_objects(prefix, lambda key: "/" not in key.removeprefix(prefix))
        name = folder.rpartition("/")[2]
        of_series = rows_of_series_uid(self._index, [name] if is_valid_uid(name) else [])
        inside = [row for row in of_series if row.storage_key.rpartition("/")[0] == folder]
        if inside:
            self.look_at_rows(row for row in inside if row.storage_key not in seen)
        elif seen or not _is_of_uids(folder):
            self._unknown.add(folder)

    def look_at_unknown_folders(self) -> None:
        """Look for the rows of folders that are not named by a series, among all rows."""
        if folders := self._unknown:
            rows = all_rows(self._index)
            self.look_at_rows(row for row in rows if row.storage_key.rpartition("/")[0] in folders)

    def look_at_objects(
        self, prefix: str, wanted: Callable[[str], bool] = lambda key: True
    ) -> set[str]:
        """Index the objects that lack their row; return the keys of all there are."""
        seen: set[str] = set()
        found = (one for one in self._backend.list(prefix) if wanted(one.key))
        for some in batches(found):
            self.objects += len(some)
            self._look_at(some)
            if prefix:  # of everything the keys would be too many
                seen.update(one.key for one in some)
        return seen

    def look_at_rows(self, rows: Iterable[InstanceRow]) -> None:
        """Find the rows whose object is not there."""
        self.without_object.extend(row for row in rows if self._is_gone(row))

    def look_at_replaced(self, key: str) -> None:
        """Index an object again unless its row tells of its content; others were seen to before."""
        read = self._read(key, hashed=True)
        if read is None:
            return
        uid = read.entry.identity.sop_instance_uid
        row = rows_by_uid(self._index, [uid]).get(uid)
        if row is None or row.storage_key != key:
            return
        # A relaxed archive learns hashes from what is there when it is verified, whatever the row
        # tells of otherwise.
        if read.entry.content_hash != row.content_hash or not self._keep_incomplete:
            self._index_again(read.entry, row)

    def remove_rows(self) -> int:
        """Remove the rows without an object; return how many that was."""
        removed = 0
        for row in self.without_object:
            if not self._is_gone(row):
                continue
            match self._index.remove(row.sop_instance_uid, row.pk):
                case Success(_):
                    removed += 1
                case Failure(error) if error.code is not ErrorCode.OBJECT_NOT_FOUND:
                    raise PacsException.of(error)
        return removed

    # -- inside ------------------------------------------------------------------

    def _look_at(self, found: list[StoredObject]) -> None:
        """Look at some objects, first by the UIDs that their names may hold."""
        rows = rows_by_uid(self._index, [_uid_in(one.key) for one in found])
        lacking = []
        for one in found:
            row = rows.get(_uid_in(one.key))
            if row is None or (row.storage_key, row.size_bytes) != (one.key, one.size_bytes):
                lacking.append(one)
        for_a_reason = without_row(self._index, [one.key for one in lacking])
        self._mend([one.key for one in lacking if one.key not in for_a_reason])

    def _mend(self, keys: list[str]) -> None:
        """Index objects unless their rows are right after all."""
        read = [one for key in keys if (one := self._read(key)) is not None]
        rows = rows_by_uid(self._index, [one.entry.identity.sop_instance_uid for one in read])
        new: list[IndexEntry] = []
        for one in read:
            entry = one.entry
            row = rows.get(entry.identity.sop_instance_uid)
            if row is not None and (row.storage_key, row.size_bytes) == (
                entry.storage_key,
                entry.size_bytes,
            ):
                continue
            if one.incomplete is not None and not self._keep_incomplete:
                self.failed.append(FailedObject(entry.storage_key, one.incomplete))
            elif row is None:
                new.append(entry)
            else:
                self._index_again(entry, row)
        outcomes = self._index.add_many(new, check=self._check_kept)
        for entry, outcome in zip(new, outcomes, strict=True):
            if self._is_indexed(entry, outcome):
                continue
            # Another of these, or another process, was faster.
            uid = entry.identity.sop_instance_uid
            self._index_again(entry, rows_by_uid(self._index, [uid]).get(uid))

    def _read(self, key: str, *, hashed: bool = False) -> ReadObject | None:
        try:
            source = raised(self._backend.open(key))
            if not hashed:
                return read_object(source, key, self._index.further.header_tags)
            # Of one moment: another object may be in its place when it is opened again.
            with reading(key):
                whole = MemoryBytes(read_whole(source))
            read = read_object(whole, key, self._index.further.header_tags)
            return attrs.evolve(
                read, entry=attrs.evolve(read.entry, content_hash=hash_source(whole))
            )
        except PacsException as exc:
            if exc.error.code is not ErrorCode.OBJECT_NOT_FOUND:  # deleted this moment
                self.failed.append(FailedObject(key, exc.error))
            return None

    def _index_again(self, entry: IndexEntry, row: InstanceRow | None) -> None:
        """Index an object whose instance has a row: for another object, or as it was before."""
        key = entry.storage_key
        if row is not None and row.storage_key != key and not self._is_gone(row):
            if is_duplicate_key(key):
                record_kept_duplicate(self._index, SystemClock(), entry)
                self.indexed.append(key)
            else:
                self._keep_beside(entry, row)
            return
        read = self._read(key, hashed=True)
        if read is not None:
            (outcome,) = self._index.add_many(
                [read.entry],
                replace=row is not None,
                check=self._check_unchanged,
                only=None if row is None else row.pk,
            )
            self._is_indexed(read.entry, outcome)

    def _keep_beside(self, entry: IndexEntry, row: InstanceRow) -> None:
        """Record an object whose instance has another, unless whoever stores it takes it back.

        So it goes with the instance, and does not come back when that is gone.
        """
        uid, key = row.sop_instance_uid, entry.storage_key
        try:
            record_duplicate(
                self._index,
                SystemClock(),
                uid,
                key,
                entry.size_bytes,
                entry.content_hash,
                lambda connection: self._check_kept(connection, entry),
            )
        except PacsException as exc:
            if exc.error.code is not ErrorCode.OBJECT_NOT_FOUND:
                raise
        else:
            self.failed.append(FailedObject(key, _second_object(key, row)))

    def _is_indexed(self, entry: IndexEntry, outcome: PacsResult[AddOutcome]) -> bool:
        """Take note of what came of an object; false where another one has its instance's row."""
        match outcome:
            case Success(_):
                self.indexed.append(entry.storage_key)
            case Failure(error) if error.code is ErrorCode.DUPLICATE_OBJECT:
                return False
            case Failure(error) if error.code is not ErrorCode.OBJECT_NOT_FOUND:
                raise PacsException.of(error)
        return True

    def _check_kept(self, connection: Connection, entry: IndexEntry) -> None:
        """Refuse the row of an object that was deleted since it was found."""
        check_kept(self._backend, connection, entry)

    def _check_unchanged(self, connection: Connection, entry: IndexEntry) -> None:
        """Refuse the row of an object that was deleted or replaced since it was read."""
        self._check_kept(connection, entry)
        if hash_source(raised(self._backend.open(entry.storage_key))) != entry.content_hash:
            raise not_found(entry.storage_key)

    def _is_gone(self, row: InstanceRow) -> bool:
        found = self._backend.stat(row.storage_key)
        if isinstance(found, Success):
            return False
        if found.failure().code is not ErrorCode.OBJECT_NOT_FOUND:
            raise PacsException.of(found.failure())
        now = rows_by_uid(self._index, [row.sop_instance_uid]).get(row.sop_instance_uid)
        return now is not None and now.storage_key == row.storage_key  # not deleted this moment


def _second_object(key: str, row: InstanceRow) -> PacsError:
    return PacsError(
        ErrorCode.DUPLICATE_OBJECT,
        f"{key} holds instance {row.sop_instance_uid}, which {row.storage_key} holds as well",
        {"key": key, "other": row.storage_key},
    )


def record_kept_duplicate(index: IndexDatabase, clock: Clock, entry: IndexEntry) -> None:
    """Record an object whose key says that it was kept beside an instance, and its hash.

    Raises:
        PacsException: ``INDEX_FAILED``.
    """
    key = entry.storage_key
    content_hash = key.rpartition(DUPLICATE_MARK)[2].removesuffix(".dcm")
    uid = entry.identity.sop_instance_uid
    record_duplicate(index, clock, uid, key, entry.size_bytes, content_hash)


def _uid_in(key: str) -> str:
    """Return what may be the SOP Instance UID in a key: layouts name files by it."""
    return key.rpartition("/")[2].removesuffix(".dcm")


def _is_of_uids(folder: str) -> bool:
    """Whether a folder is named by a study and a series, so that this finds its rows."""
    names = folder.split("/")[-2:]
    return len(names) == 2 and all("." in one and is_valid_uid(one) for one in names)


def _is_imported(row: InstanceRow) -> bool:
    return row.storage_key.startswith(IMPORT_PREFIX)


def _can_begin_keys(folder: str) -> bool:
    try:
        checked_prefix(f"{folder}/" if folder else "")
    except PacsException:  # a line that the machine's end has garbled
        return False
    return True

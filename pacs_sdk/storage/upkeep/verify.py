"""Whether the objects are what the index says of them, byte for byte."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.storage.index.attributes import QueryLevel
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.objects.backend import StorageBackend
from pacs_sdk.storage.objects.content_hash import hash_source
from pacs_sdk.storage.query.query import Query
from pacs_sdk.storage.upkeep.index_rows import InstanceRow, adopt_hashes, batches, rows_by_uid
from pacs_sdk.storage.upkeep.object_reading import read_object

__all__ = ["FindingKind", "ObjectFinding", "verify_objects"]

_AT_A_TIME: Final = 100
"""Objects whose hashes are kept together: a commit for each would take longer than the hash
of a small one."""

_ATTEMPTS: Final = 20
"""An instance may be replaced while it is read, but not every time."""


class FindingKind(enum.StrEnum):
    """What verifying an object came to, where there is something to tell."""

    ADOPTED = "adopted"
    """No hash was known; that of the object as it is now is kept. Nothing is wrong."""
    MISSING = "missing"
    """There is no object."""
    SIZE_DIFFERS = "size differs"
    """The object is longer or shorter than the index says."""
    CONTENT_DIFFERS = "content differs"
    """The object has the right size and another hash: its bytes have changed."""
    INCOMPLETE = "incomplete"
    """The object ends before its data set does; its size is what the index says."""
    UNREADABLE = "unreadable"
    """The object's bytes, or its header, cannot be read."""
    OTHER_INSTANCE = "other instance"
    """The header has other UIDs, or another transfer syntax, than the index says."""

    @property
    def is_fault(self) -> bool:
        """Whether a person has to do something about it."""
        return self is not FindingKind.ADOPTED


@attrs.frozen
class ObjectFinding:
    """Something to tell about an object."""

    kind: FindingKind
    """What it is."""
    sop_instance_uid: str
    """The instance."""
    storage_key: str
    """The key of its object."""
    message: str
    """The same in words."""


def verify_objects(
    backend: StorageBackend,
    index: IndexDatabase,
    query: Query | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[ObjectFinding]:
    """Verify objects one after the other; see :meth:`pacs_sdk.storage.Archive.verify`.

    Raises:
        PacsException: ``INDEX_FAILED``, here or while iterating.
    """
    wanted = query or raised(Query.of(QueryLevel.PATIENT))
    uids = (one.sop_instance_uid for one in raised(index.locations(wanted)))
    return _verified(backend, index, uids, progress or (lambda count: None))


def _verified(
    backend: StorageBackend,
    index: IndexDatabase,
    uids: Iterator[str],
    progress: Callable[[int], None],
) -> Iterator[ObjectFinding]:
    for some in batches(uids, _AT_A_TIME):
        rows = rows_by_uid(index, some)
        adopted: list[tuple[int, str]] = []
        try:
            for uid in some:
                if (row := rows.get(uid)) is not None:
                    yield from _checked(backend, index, row, adopted)
                progress(1)
        finally:  # also where nobody asks for more
            adopt_hashes(index, adopted)


def _checked(
    backend: StorageBackend, index: IndexDatabase, row: InstanceRow, adopted: list[tuple[int, str]]
) -> Iterator[ObjectFinding]:
    """Verify one object; what was replaced or deleted meanwhile is not blamed for it."""
    found = _findings(backend, row, adopted)
    for _ in range(_ATTEMPTS):
        if not any(one.kind.is_fault for one in found):
            break
        now = rows_by_uid(index, [row.sop_instance_uid]).get(row.sop_instance_uid)
        if now is None:
            return
        if now == row:
            break
        row = now
        found = _findings(backend, row, adopted)
    yield from found


def _findings(
    backend: StorageBackend, row: InstanceRow, adopted: list[tuple[int, str]]
) -> tuple[ObjectFinding, ...]:
    try:
        source = raised(backend.open(row.storage_key))
        if source.size != row.size_bytes:
            words = f"has {source.size} bytes, and {row.size_bytes} are what was stored"
            return (_finding(FindingKind.SIZE_DIFFERS, row, words),)
        content_hash = hash_source(source)
        if row.content_hash and row.content_hash != content_hash:
            words = f"has the hash {content_hash}, and {row.content_hash} is what was stored"
            return (_finding(FindingKind.CONTENT_DIFFERS, row, words),)
        faults = _faults_of_header(source, row)
    except PacsException as exc:
        missing = exc.error.code is ErrorCode.OBJECT_NOT_FOUND
        kind = FindingKind.MISSING if missing else FindingKind.UNREADABLE
        return (ObjectFinding(kind, row.sop_instance_uid, row.storage_key, exc.error.message),)
    if row.content_hash or any(one.kind is not FindingKind.INCOMPLETE for one in faults):
        return faults
    adopted.append((row.pk, content_hash))
    return (*faults, _finding(FindingKind.ADOPTED, row, f"has the hash {content_hash} from now on"))


def _faults_of_header(source: ByteSource, row: InstanceRow) -> tuple[ObjectFinding, ...]:
    read = read_object(source, row.storage_key)
    identity = read.entry.identity
    pairs = (
        ("Study Instance UID", identity.study_instance_uid, row.study_instance_uid),
        ("Series Instance UID", identity.series_instance_uid, row.series_instance_uid),
        ("SOP Instance UID", identity.sop_instance_uid, row.sop_instance_uid),
        ("SOP Class UID", identity.sop_class_uid, row.sop_class_uid),
        ("Transfer Syntax UID", read.entry.transfer_syntax_uid, row.transfer_syntax_uid),
    )
    faults = tuple(
        _finding(FindingKind.OTHER_INSTANCE, row, f"has {name} {found}, not {known}")
        for name, found, known in pairs
        if found != known
    )
    if read.incomplete is None:
        return faults
    return (
        *faults,
        ObjectFinding(
            FindingKind.INCOMPLETE, row.sop_instance_uid, row.storage_key, read.incomplete.message
        ),
    )


def _finding(kind: FindingKind, row: InstanceRow, words: str) -> ObjectFinding:
    return ObjectFinding(kind, row.sop_instance_uid, row.storage_key, f"{row.storage_key} {words}")

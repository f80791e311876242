"""Whether what is stored and what is sent are one instance, of one content, in one place."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.core.whole_bytes import read_whole
from pacs_sdk.encoding import Instance, read_source
from pacs_sdk.storage.deleted_objects import is_deleted
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.objects.backend import checked_key
from pacs_sdk.storage.objects.content_hash import hash_source
from pacs_sdk.storage.objects.object_files import reading
from pacs_sdk.storage.records import IndexEntry, InstanceIdentity, InstanceLocation
from pacs_sdk.storage.same_elements import have_same_elements

__all__ = [
    "KnownObjects",
    "check_announced",
    "entry_of",
    "is_own_key",
    "is_same_content",
    "is_same_place",
]

_COMPARED_BYTES: Final = 1 << 20

_DAMAGED: Final = frozenset(
    (
        ErrorCode.NOT_DICOM,
        ErrorCode.TRUNCATED,
        ErrorCode.INVALID_FILE_META,
        ErrorCode.MISSING_TRANSFER_SYNTAX,
        ErrorCode.DECODE_FAILED,
    )
)
"""How reading an object fails that a power failure cut short."""


def check_announced(instance: Instance, identity: InstanceIdentity) -> None:
    """Check that the data set is what it is announced as (PS3.4 B.2.3).

    Raises:
        PacsException: ``STORE_DATASET_MISMATCH``.
    """
    for name, announced, found in (
        ("SOP Instance UID", instance.sop_instance_uid, identity.sop_instance_uid),
        ("SOP Class UID", instance.sop_class_uid, identity.sop_class_uid),
    ):
        if announced != found:
            raise PacsException(
                ErrorCode.STORE_DATASET_MISMATCH,
                f"the data set has {name} {found}, but was sent as {announced[:80]}",
                attribute=name,
            )


def is_same_content(kept: Instance, instance: Instance) -> bool:
    """Compare data sets: File Meta Information differs from one version of ours to another.

    The bytes are compared, not a hash of them: files are the truth. Other bytes may still
    be the same elements, as somebody has written them anew.

    Raises:
        PacsException: The stored one cannot be read.
    """
    return _is_same_encoded(kept, instance) or have_same_elements(kept, instance)


def _is_same_encoded(kept: Instance, instance: Instance) -> bool:
    if (kept.transfer_syntax_uid, kept.size) != (instance.transfer_syntax_uid, instance.size):
        return False
    theirs = instance.encoded.view()
    with reading(kept.sop_instance_uid):
        ours = read_whole(kept.encoded)
    return all(
        bytes(ours[start : start + _COMPARED_BYTES])
        == bytes(theirs[start : start + _COMPARED_BYTES])
        for start in range(0, kept.size, _COMPARED_BYTES)
    )


def is_same_place(kept: Instance, identity: InstanceIdentity) -> bool:
    """Tell whether a stored instance is in the study and series that are told.

    Raises:
        PacsException: The stored one cannot be read.
    """
    found = InstanceIdentity.of_header(raised(kept.header()))
    return (found.study_instance_uid, found.series_instance_uid) == (
        identity.study_instance_uid,
        identity.series_instance_uid,
    )


def is_own_key(key: str) -> bool:
    """Tell whether a key is one that a backend can put an object under.

    The objects of an imported folder, which are where they are, have other keys.
    """
    try:
        checked_key(key)
    except PacsException:
        return False
    return True


def entry_of(key: str, kept: Instance, source: ByteSource, tags: Collection[int]) -> IndexEntry:
    """Make the index entry of an object that is stored.

    Args:
        key: Its key.
        kept: What it is.
        source: All of its bytes.
        tags: What the index wants to know of it.

    Raises:
        PacsException: It cannot be read.
    """
    header = raised(kept.header(tags))
    return IndexEntry(
        InstanceIdentity.of_header(header),
        header,
        kept.transfer_syntax_uid,
        key,
        source.size,
        source.size - kept.size,
        hash_source(source),
    )


class KnownObjects:
    """What the index says of objects, and what they are.

    Args:
        index: The rows.
        logger: Where damaged objects are recorded.
    """

    def __init__(self, index: IndexDatabase, logger: Logger) -> None:
        self._index = index
        self._logger = logger

    def is_deleted(self, storage_key: str) -> bool:
        """Tell whether an object is there only until its deletion cannot be undone any more."""
        with index_errors("the index could not be searched"), self._index.reading() as connection:
            return is_deleted(connection, storage_key)

    def acknowledged(self, entry: IndexEntry, source: ByteSource) -> Instance | None:
        """Open what is under the key if it is what its row says, complete or not."""
        location = self.located(entry)
        if (
            location is None
            or location.storage_key != entry.storage_key
            or location.size_bytes != source.size
        ):
            return None
        kept = location.instance(source.slice(location.data_offset))
        header = kept.header()
        if isinstance(header, Success) and (
            header.unwrap().text("SOPInstanceUID") == location.sop_instance_uid
        ):
            return kept
        return None

    def intact(self, key: str, source: ByteSource) -> Instance | None:
        """Open what is under the key; ``None`` where a power failure damaged it."""
        try:
            return raised(read_source(source, key))
        except PacsException as exc:
            if exc.error.code not in _DAMAGED:
                raise
            self._logger.warning("object-damaged", storage_key=key, reason=exc.error.message)
            return None

    def located(self, entry: IndexEntry) -> InstanceLocation | None:
        """Find where the instance lies; ``None`` if it is not indexed."""
        located = self._index.locate(entry.identity.sop_instance_uid)
        if isinstance(located, Failure) and located.failure().code is ErrorCode.OBJECT_NOT_FOUND:
            return None
        return raised(located)

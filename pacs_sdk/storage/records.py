"""What goes into the index and what comes out of it, as values."""

from __future__ import annotations

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.uids import checked_uid
from pacs_sdk.encoding import Instance, InstanceHeader

__all__ = [
    "AddOutcome",
    "ArchiveStatistics",
    "IndexEntry",
    "InstanceIdentity",
    "InstanceLocation",
    "StoredInstance",
]

_STUDY_INSTANCE_UID = int(DicomTag.of("StudyInstanceUID"))
_SERIES_INSTANCE_UID = int(DicomTag.of("SeriesInstanceUID"))
_SOP_INSTANCE_UID = int(DicomTag.of("SOPInstanceUID"))
_SOP_CLASS_UID = int(DicomTag.of("SOPClassUID"))


@attrs.frozen
class InstanceIdentity:
    """Which instance it is and where it belongs; every part is a checked UID."""

    study_instance_uid: str
    """The study."""
    series_instance_uid: str
    """The series."""
    sop_instance_uid: str
    """The instance itself."""
    sop_class_uid: str
    """What kind of object it is."""

    @classmethod
    def of_header(cls, header: InstanceHeader) -> InstanceIdentity:
        """Take the UIDs from a header.

        Raises:
            PacsException: ``MISSING_REQUIRED_VALUE`` or ``INVALID_UID``.
        """
        return cls(
            checked_uid(header.text(_STUDY_INSTANCE_UID), "Study Instance UID"),
            checked_uid(header.text(_SERIES_INSTANCE_UID), "Series Instance UID"),
            checked_uid(header.text(_SOP_INSTANCE_UID), "SOP Instance UID"),
            checked_uid(header.text(_SOP_CLASS_UID), "SOP Class UID"),
        )

    @property
    def storage_key(self) -> str:
        """The key of its object in the layout ``uid``: ``study/series/sop.dcm``."""
        return f"{self.study_instance_uid}/{self.series_instance_uid}/{self.sop_instance_uid}.dcm"


@attrs.frozen
class IndexEntry:
    """An instance to be indexed, and where its object lies."""

    identity: InstanceIdentity
    """Its UIDs."""
    header: InstanceHeader
    """Its attributes."""
    transfer_syntax_uid: str
    """How its data set is encoded."""
    storage_key: str
    """The key of its object."""
    size_bytes: int
    """How many bytes the object has."""
    data_offset: int
    """Where in the object the data set begins."""
    content_hash: str = ""
    """The hash of the object's bytes; empty where nobody knows it yet."""


@attrs.frozen
class StoredInstance:
    """An instance that is safe in the archive."""

    identity: InstanceIdentity
    """Which one, and of which study and series."""
    storage_key: str
    """The key of its object."""
    size_bytes: int
    """How many bytes the object has, File Meta Information included."""
    created: bool
    """Whether the archive has it from this call; false where it had it already."""
    kept_beside: bool = False
    """Whether another object is the instance that queries find, and this one is kept beside
    it (``KEEP_BOTH``)."""

    @classmethod
    def of(cls, entry: IndexEntry, *, created: bool) -> StoredInstance:
        """Tell of an instance that is indexed as ``entry``."""
        return cls(entry.identity, entry.storage_key, entry.size_bytes, created)


@attrs.frozen
class AddOutcome:
    """What adding an instance to the index came to."""

    created: bool
    """Whether it is a new row; false where the instance was there with the same key."""
    previous_key: str | None = None
    """The key of the object whose row was replaced."""
    is_described: bool = True
    """Whether the row tells of this object; false where it tells of one that was in its place."""
    row: int | None = None
    """The number of the row that was there with the same key."""


@attrs.frozen
class InstanceLocation:
    """What the index knows to open an instance."""

    sop_class_uid: str
    """What kind of object it is."""
    sop_instance_uid: str
    """Which one it is."""
    transfer_syntax_uid: str
    """How its data set is encoded."""
    storage_key: str
    """The key of its object."""
    size_bytes: int
    """How many bytes the object has."""
    data_offset: int
    """Where in the object the data set begins."""
    row: int
    """The number of its row; what takes its place has another."""

    def instance(self, encoded: ByteSource) -> Instance:
        """Make the instance of its encoded data set."""
        return Instance(
            self.sop_class_uid, self.sop_instance_uid, self.transfer_syntax_uid, encoded
        )


@attrs.frozen
class ArchiveStatistics:
    """How much there is."""

    patients: int
    """Patients told apart by ID and issuer; each study without an ID counts as one."""
    studies: int
    """Studies."""
    series: int
    """Series."""
    instances: int
    """Instances."""
    size_bytes: int
    """The bytes of all their objects together."""

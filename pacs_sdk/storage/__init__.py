"""Objects and the index that finds them."""

from pacs_sdk.storage.archive import Archive, StoredInstance, open_archive
from pacs_sdk.storage.attributes import QueryLevel
from pacs_sdk.storage.backend import (
    DuplicatePolicy,
    Durability,
    StorageBackend,
    StorageHealth,
    StoredObject,
)
from pacs_sdk.storage.file_storage import FileStorage
from pacs_sdk.storage.index import IndexDatabase, index_url
from pacs_sdk.storage.query import Match, Query
from pacs_sdk.storage.records import (
    AddOutcome,
    ArchiveStatistics,
    IndexEntry,
    InstanceIdentity,
    InstanceLocation,
)

__all__ = [
    "AddOutcome",
    "Archive",
    "ArchiveStatistics",
    "DuplicatePolicy",
    "Durability",
    "FileStorage",
    "IndexDatabase",
    "IndexEntry",
    "InstanceIdentity",
    "InstanceLocation",
    "Match",
    "Query",
    "QueryLevel",
    "StorageBackend",
    "StorageHealth",
    "StoredInstance",
    "StoredObject",
    "index_url",
    "open_archive",
]

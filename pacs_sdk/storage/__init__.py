"""Objects and their index: backends, the database, and the archive made of both."""

from pacs_sdk.storage.archive import Archive, StoredInstance, open_archive
from pacs_sdk.storage.attributes import ATTRIBUTES, Attribute, QueryLevel
from pacs_sdk.storage.backend import (
    DuplicatePolicy,
    Durability,
    StorageBackend,
    StorageHealth,
    StoredObject,
    checked_key,
    duplicate_error,
)
from pacs_sdk.storage.file_storage import FileStorage
from pacs_sdk.storage.index import IndexDatabase, IndexedInstance, IndexStatistics
from pacs_sdk.storage.query import Match, Query

__all__ = [
    "ATTRIBUTES",
    "Archive",
    "Attribute",
    "DuplicatePolicy",
    "Durability",
    "FileStorage",
    "IndexDatabase",
    "IndexStatistics",
    "IndexedInstance",
    "Match",
    "Query",
    "QueryLevel",
    "StorageBackend",
    "StorageHealth",
    "StoredInstance",
    "StoredObject",
    "checked_key",
    "duplicate_error",
    "open_archive",
]

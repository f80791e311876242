"""Objects and the index that finds them."""

from pacs_sdk.storage.archive import Archive, StoredInstance, open_archive
from pacs_sdk.storage.archive_rules import ArchiveRules
from pacs_sdk.storage.attributes import QueryLevel
from pacs_sdk.storage.backend import (
    DuplicatePolicy,
    Durability,
    StorageBackend,
    StorageHealth,
    StoredObject,
)
from pacs_sdk.storage.capacity import CapacityLimits
from pacs_sdk.storage.change_feed import ChangeFeed
from pacs_sdk.storage.changes import FEED_START, Change, ChangeKind, FeedPosition
from pacs_sdk.storage.coercion import Coercion, IssuerOfPatientIds
from pacs_sdk.storage.deletion import DeletedInstance, Deletion, DeletionReport
from pacs_sdk.storage.duplicates import DuplicateObject
from pacs_sdk.storage.entities import (
    EntityRecord,
    InstanceRecord,
    PatientRecord,
    SeriesRecord,
    StudyRecord,
)
from pacs_sdk.storage.explain import Explanation
from pacs_sdk.storage.file_storage import FileStorage
from pacs_sdk.storage.housekeeping import Chore, Housekeeping
from pacs_sdk.storage.index import IndexDatabase, index_url
from pacs_sdk.storage.index_building import ObjectProblem, ProblemKind
from pacs_sdk.storage.layouts import StorageLayout
from pacs_sdk.storage.query import ItemKeys, Match, MatchingOptions, Query, SortKey
from pacs_sdk.storage.records import (
    AddOutcome,
    ArchiveStatistics,
    IndexEntry,
    InstanceIdentity,
    InstanceLocation,
)
from pacs_sdk.storage.recovery import FailedObject, RecoveryReport
from pacs_sdk.storage.reindexing import ReindexProgress, ReindexReport, import_folder, reindex
from pacs_sdk.storage.settling import StudySettler
from pacs_sdk.storage.tabular import MatchTable
from pacs_sdk.storage.verify import FindingKind, ObjectFinding

__all__ = [
    "FEED_START",
    "AddOutcome",
    "Archive",
    "ArchiveRules",
    "ArchiveStatistics",
    "CapacityLimits",
    "Change",
    "ChangeFeed",
    "ChangeKind",
    "Chore",
    "Coercion",
    "DeletedInstance",
    "Deletion",
    "DeletionReport",
    "DuplicateObject",
    "DuplicatePolicy",
    "Durability",
    "EntityRecord",
    "Explanation",
    "FailedObject",
    "FeedPosition",
    "FileStorage",
    "FindingKind",
    "Housekeeping",
    "IndexDatabase",
    "IndexEntry",
    "InstanceIdentity",
    "InstanceLocation",
    "InstanceRecord",
    "IssuerOfPatientIds",
    "ItemKeys",
    "Match",
    "MatchTable",
    "MatchingOptions",
    "ObjectFinding",
    "ObjectProblem",
    "PatientRecord",
    "ProblemKind",
    "Query",
    "QueryLevel",
    "RecoveryReport",
    "ReindexProgress",
    "ReindexReport",
    "SeriesRecord",
    "SortKey",
    "StorageBackend",
    "StorageHealth",
    "StorageLayout",
    "StoredInstance",
    "StoredObject",
    "StudyRecord",
    "StudySettler",
    "import_folder",
    "index_url",
    "open_archive",
    "reindex",
]

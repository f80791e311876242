"""Objects and the index that finds them."""

from pacs_sdk.storage.archive import Archive
from pacs_sdk.storage.archive_opening import open_archive
from pacs_sdk.storage.archive_rules import ArchiveRules
from pacs_sdk.storage.capacity import CapacityLimits
from pacs_sdk.storage.coercion import Coercion, IssuerOfPatientIds
from pacs_sdk.storage.deleted_objects import DeletedInstance, DeletionReport
from pacs_sdk.storage.deletion import Deletion
from pacs_sdk.storage.duplicates import DuplicateObject
from pacs_sdk.storage.index.attributes import QueryLevel
from pacs_sdk.storage.index.change_feed import ChangeFeed
from pacs_sdk.storage.index.changes import FEED_START, Change, ChangeKind, FeedPosition
from pacs_sdk.storage.index.destination_table import DestinationRecord, DestinationTable
from pacs_sdk.storage.index.further_attributes import NO_FURTHER_ATTRIBUTES, FurtherAttributes
from pacs_sdk.storage.index.index_database import IndexDatabase, index_url
from pacs_sdk.storage.index.settling import StudySettler
from pacs_sdk.storage.objects.backend import (
    DuplicatePolicy,
    Durability,
    StorageBackend,
    StorageHealth,
    StoredObject,
)
from pacs_sdk.storage.objects.file_storage import FileStorage
from pacs_sdk.storage.objects.layouts import StorageLayout
from pacs_sdk.storage.query.entities import (
    EntityRecord,
    InstanceRecord,
    PatientRecord,
    SeriesRecord,
    StudyRecord,
)
from pacs_sdk.storage.query.explain import Explanation
from pacs_sdk.storage.query.query import ItemKeys, Match, MatchingOptions, Query, SortKey
from pacs_sdk.storage.query.tabular import MatchTable
from pacs_sdk.storage.records import (
    AddOutcome,
    ArchiveStatistics,
    IndexEntry,
    InstanceIdentity,
    InstanceLocation,
    StoredInstance,
)
from pacs_sdk.storage.upkeep.housekeeping import Chore, Housekeeping
from pacs_sdk.storage.upkeep.index_building import ObjectProblem, ProblemKind
from pacs_sdk.storage.upkeep.recovery_report import FailedObject, RecoveryReport
from pacs_sdk.storage.upkeep.reindexing import (
    ReindexProgress,
    ReindexReport,
    import_folder,
    reindex,
)
from pacs_sdk.storage.upkeep.verify import FindingKind, ObjectFinding

__all__ = [
    "FEED_START",
    "NO_FURTHER_ATTRIBUTES",
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
    "DestinationRecord",
    "DestinationTable",
    "DuplicateObject",
    "DuplicatePolicy",
    "Durability",
    "EntityRecord",
    "Explanation",
    "FailedObject",
    "FeedPosition",
    "FileStorage",
    "FindingKind",
    "FurtherAttributes",
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

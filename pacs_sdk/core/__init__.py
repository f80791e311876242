"""Values, errors, results and ports that every other layer builds on."""

from pacs_sdk.core.automatic_vr import EncodingForm, resolve_vr
from pacs_sdk.core.byte_source import (
    BinaryStream,
    ByteSource,
    FileBytes,
    MemoryBytes,
    StreamBytes,
)
from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.dataset_diff import Difference, DifferenceKind
from pacs_sdk.core.dataset_merge import ConflictPolicy, MergeConflict, OnConflict
from pacs_sdk.core.element import DicomElement
from pacs_sdk.core.errors import Detail, ErrorCategory, ErrorCode, PacsError, PacsException
from pacs_sdk.core.events import InProcessEventBus, InstanceStored, NonconformingInstance
from pacs_sdk.core.logging import LoguruLogger
from pacs_sdk.core.model_values import (
    MAX_MODEL_NESTING,
    BulkData,
    BulkDataReader,
    BulkDataReference,
    BulkDataWriter,
)
from pacs_sdk.core.path import (
    MAX_ITEM_INDEX,
    MAX_PATH_STEPS,
    DatasetPath,
    PathLike,
    PathStep,
    parse_path,
)
from pacs_sdk.core.person_name import NameGroup, PersonName, person_name
from pacs_sdk.core.ports import (
    AuditEvent,
    AuditSink,
    Clock,
    EventBus,
    Logger,
    MetricSink,
    NullAuditSink,
    NullEventBus,
    NullLogger,
    NullMetricSink,
    NullTracer,
    Span,
    Subscription,
    SystemClock,
    Tracer,
)
from pacs_sdk.core.private_block import PrivateBlock, PrivateTag
from pacs_sdk.core.results import Failure, PacsResult, Result, Success, edge, raised
from pacs_sdk.core.tags import DicomTag, TagLike, parse_tag
from pacs_sdk.core.uids import is_valid_uid, new_uid, parse_uid
from pacs_sdk.core.value_rules import FindingKind, ValueContext, ValueFault, validate_value
from pacs_sdk.core.vr import VR, VR_RULES, LengthUnit, Repertoire, VrKind, VrRule

__all__ = [
    "MAX_ITEM_INDEX",
    "MAX_MODEL_NESTING",
    "MAX_PATH_STEPS",
    "VR",
    "VR_RULES",
    "AuditEvent",
    "AuditSink",
    "BinaryStream",
    "BulkData",
    "BulkDataReader",
    "BulkDataReference",
    "BulkDataWriter",
    "ByteSource",
    "Clock",
    "ConflictPolicy",
    "DatasetLike",
    "DatasetPath",
    "Detail",
    "DicomDataset",
    "DicomElement",
    "DicomTag",
    "Difference",
    "DifferenceKind",
    "EncodingForm",
    "ErrorCategory",
    "ErrorCode",
    "EventBus",
    "Failure",
    "FileBytes",
    "FindingKind",
    "InProcessEventBus",
    "InstanceStored",
    "LengthUnit",
    "Logger",
    "LoguruLogger",
    "MemoryBytes",
    "MergeConflict",
    "MetricSink",
    "NameGroup",
    "NonconformingInstance",
    "NullAuditSink",
    "NullEventBus",
    "NullLogger",
    "NullMetricSink",
    "NullTracer",
    "OnConflict",
    "PacsError",
    "PacsException",
    "PacsResult",
    "PathLike",
    "PathStep",
    "PersonName",
    "PrivateBlock",
    "PrivateTag",
    "Repertoire",
    "Result",
    "Span",
    "StreamBytes",
    "Subscription",
    "Success",
    "SystemClock",
    "TagLike",
    "Tracer",
    "ValueContext",
    "ValueFault",
    "VrKind",
    "VrRule",
    "as_dataset",
    "edge",
    "is_valid_uid",
    "new_uid",
    "parse_path",
    "parse_tag",
    "parse_uid",
    "person_name",
    "raised",
    "resolve_vr",
    "validate_value",
]

"""SOP classes as services: verification, storage, query and retrieve, both sides."""

from pacs_sdk.services.query import QueryScp, QueryScu
from pacs_sdk.services.reencode import TranscodePolicy
from pacs_sdk.services.retrieve import (
    ConfiguredDestinations,
    Destination,
    DestinationResolver,
    InFolder,
    InMemory,
    KeepInstance,
    Moves,
    OnProgress,
    ReceiveHere,
    RetrieveProgress,
    RetrieveReport,
    RetrieveScp,
    RetrieveScu,
    first_known,
    sub_operation_pool,
)
from pacs_sdk.services.scu import ServiceUser
from pacs_sdk.services.sending import SkippedFile, StoreOutcome, StoreReport, StoreSource
from pacs_sdk.services.sop_classes import (
    DICOM_EDITION,
    InformationModel,
    ServiceClass,
    SopClass,
    SopClassSet,
    all_sop_classes,
    chosen_sop_classes,
    find_sop_class,
    sop_class_name,
    sop_class_sets,
    sop_classes_by_use,
    storage_sop_classes,
)
from pacs_sdk.services.storage_scp import StorageScp, StoreInstance
from pacs_sdk.services.storage_scu import StorageScu
from pacs_sdk.services.verification import EchoReport, VerificationScp, VerificationScu

__all__ = [
    "DICOM_EDITION",
    "ConfiguredDestinations",
    "Destination",
    "DestinationResolver",
    "EchoReport",
    "InFolder",
    "InMemory",
    "InformationModel",
    "KeepInstance",
    "Moves",
    "OnProgress",
    "QueryScp",
    "QueryScu",
    "ReceiveHere",
    "RetrieveProgress",
    "RetrieveReport",
    "RetrieveScp",
    "RetrieveScu",
    "ServiceClass",
    "ServiceUser",
    "SkippedFile",
    "SopClass",
    "SopClassSet",
    "StorageScp",
    "StorageScu",
    "StoreInstance",
    "StoreOutcome",
    "StoreReport",
    "StoreSource",
    "TranscodePolicy",
    "VerificationScp",
    "VerificationScu",
    "all_sop_classes",
    "chosen_sop_classes",
    "find_sop_class",
    "first_known",
    "sop_class_name",
    "sop_class_sets",
    "sop_classes_by_use",
    "storage_sop_classes",
    "sub_operation_pool",
]

"""SOP classes as services: verification, storage, query and retrieve, both sides."""

from pacs_sdk.services.query import QueryScp, QueryScu
from pacs_sdk.services.retrieve_scp import RetrieveScp
from pacs_sdk.services.retrieve_scu import RetrieveReport, RetrieveScu
from pacs_sdk.services.scu import ServiceUser
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
from pacs_sdk.services.storage_scu import StorageScu, StoreOutcome, StoreReport
from pacs_sdk.services.verification import EchoReport, VerificationScp, VerificationScu

__all__ = [
    "DICOM_EDITION",
    "EchoReport",
    "InformationModel",
    "QueryScp",
    "QueryScu",
    "RetrieveReport",
    "RetrieveScp",
    "RetrieveScu",
    "ServiceClass",
    "ServiceUser",
    "SopClass",
    "SopClassSet",
    "StorageScp",
    "StorageScu",
    "StoreInstance",
    "StoreOutcome",
    "StoreReport",
    "VerificationScp",
    "VerificationScu",
    "all_sop_classes",
    "chosen_sop_classes",
    "find_sop_class",
    "sop_class_name",
    "sop_class_sets",
    "sop_classes_by_use",
    "storage_sop_classes",
]

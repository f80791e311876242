"""The registry of SOP classes: what each is, and sets of them for a configuration."""

from pacs_sdk.services.sop_classes.models import (
    COMPOSITE_INSTANCE_ROOT_GET,
    COMPOSITE_INSTANCE_ROOT_MOVE,
    COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET,
    PATIENT_ROOT_FIND,
    PATIENT_ROOT_GET,
    PATIENT_ROOT_MOVE,
    PATIENT_STUDY_ONLY_FIND,
    PATIENT_STUDY_ONLY_GET,
    PATIENT_STUDY_ONLY_MOVE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    InformationModel,
)
from pacs_sdk.services.sop_classes.registry import (
    DICOM_EDITION,
    SopClass,
    all_sop_classes,
    find_sop_class,
    sop_class_name,
    sop_classes_by_use,
    storage_sop_classes,
)
from pacs_sdk.services.sop_classes.service_class import ServiceClass, service_class_of
from pacs_sdk.services.sop_classes.sets import (
    SopClassSet,
    chosen_sop_classes,
    sop_class_sets,
)

__all__ = [
    "COMPOSITE_INSTANCE_ROOT_GET",
    "COMPOSITE_INSTANCE_ROOT_MOVE",
    "COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET",
    "DICOM_EDITION",
    "PATIENT_ROOT_FIND",
    "PATIENT_ROOT_GET",
    "PATIENT_ROOT_MOVE",
    "PATIENT_STUDY_ONLY_FIND",
    "PATIENT_STUDY_ONLY_GET",
    "PATIENT_STUDY_ONLY_MOVE",
    "STUDY_ROOT_FIND",
    "STUDY_ROOT_GET",
    "STUDY_ROOT_MOVE",
    "VERIFICATION",
    "InformationModel",
    "ServiceClass",
    "SopClass",
    "SopClassSet",
    "all_sop_classes",
    "chosen_sop_classes",
    "find_sop_class",
    "service_class_of",
    "sop_class_name",
    "sop_class_sets",
    "sop_classes_by_use",
    "storage_sop_classes",
]

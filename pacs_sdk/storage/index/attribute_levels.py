"""The entity that an attribute belongs to, by the modules that have it (PS3.3 A.1.4, C.7).

An attribute is of a patient, study or series if it stands in modules of that Information
Entity alone; General Equipment and Frame of Reference are the same for all of a series
(PS3.3 A.1.2.3). What is told again in modules of images, as ``ViewPosition`` of CR series and
of DX images, may be another in each image, and so is of the instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage.index.attributes import QueryLevel

__all__ = ["LEVELS_OF_ATTRIBUTES", "level_of_attribute"]

_PATIENT: Final = (
    # Patient (C.7.1.1)
    "TypeOfPatientID",
    "PatientBirthDateInAlternativeCalendar",
    "PatientDeathDateInAlternativeCalendar",
    "PatientAlternativeCalendar",
    "QualityControlSubject",
    "StrainDescription",
    "StrainNomenclature",
    "StrainAdditionalInformation",
    "PatientSpeciesDescription",
    "PatientBreedDescription",
    "ResponsiblePerson",
    "ResponsiblePersonRole",
    "ResponsibleOrganization",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    # Clinical Trial Subject (C.7.1.3)
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "IssuerOfClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "IssuerOfClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "IssuerOfClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "IssuerOfClinicalTrialSubjectReadingID",
    "ClinicalTrialProtocolEthicsCommitteeName",
    "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
)

_STUDY: Final = (
    # General Study (C.7.2.1)
    "ConsultingPhysicianName",
    "PhysiciansOfRecord",
    "RequestingService",
    # Patient Study (C.7.2.2)
    "PatientBodyMassIndex",
    "MeasuredAPDimension",
    "MeasuredLateralDimension",
    "MedicalAlerts",
    "Allergies",
    "SmokingStatus",
    "PregnancyStatus",
    "LastMenstrualDate",
    "PatientSexNeutered",
    "ReasonForVisit",
    "AdmissionID",
    "ServiceEpisodeID",
    "ServiceEpisodeDescription",
    "PatientState",
    # Clinical Trial Study (C.7.2.3)
    "ClinicalTrialTimePointID",
    "IssuerOfClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    "LongitudinalTemporalOffsetFromEvent",
    "LongitudinalTemporalEventType",
)

_SERIES: Final = (
    # General Series (C.7.3.1)
    "AnatomicalOrientationType",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "CommentsOnThePerformedProcedureStep",
    # Clinical Trial Series (C.7.3.2)
    "ClinicalTrialCoordinatingCenterName",
    "ClinicalTrialSeriesID",
    "IssuerOfClinicalTrialSeriesID",
    "ClinicalTrialSeriesDescription",
    # General Equipment (C.7.5.1)
    "InstitutionAddress",
    "DeviceUID",
    "GantryID",
    "ManufacturerDeviceClassUID",
    "SoftwareVersions",
    "SpatialResolution",
    "DateOfManufacture",
    "DateOfInstallation",
    # Frame of Reference (C.7.4.1), Synchronization (C.7.4.2)
    "PositionReferenceIndicator",
    "SynchronizationFrameOfReferenceUID",
    "SynchronizationTrigger",
    "SynchronizationChannel",
    "AcquisitionTimeSynchronized",
    "TimeSource",
    "TimeDistributionProtocol",
    "NTPSourceAddress",
    # DX Series (C.8.11.1), CR Series (C.8.1.1)
    "PresentationIntentType",
    "CollimatorGridName",
    "PlateType",
    "PhosphorType",
    # PET Series (C.8.9.1)
    "SeriesType",
    "Units",
    "SUVType",
    "ReprojectionMethod",
    "AttenuationCorrectionMethod",
    "DecayCorrection",
    "ReconstructionMethod",
    "DetectorLinesOfResponseUsed",
    "AxialAcceptance",
    "AxialMash",
    "TransverseMash",
    "DetectorElementSize",
    "SecondaryCountsType",
    "NumberOfTimeSlices",
    "GantryDetectorSlew",
    # SC Equipment (C.8.6.1)
    "SecondaryCaptureDeviceID",
    "SecondaryCaptureDeviceManufacturer",
    "SecondaryCaptureDeviceManufacturerModelName",
    "SecondaryCaptureDeviceSoftwareVersions",
    "VideoImageFormatAcquired",
    "DigitalImageFormatAcquired",
)

LEVELS_OF_ATTRIBUTES: Final[Mapping[int, QueryLevel]] = {
    int(DicomTag.of(keyword)): level
    for level, keywords in (
        (QueryLevel.PATIENT, _PATIENT),
        (QueryLevel.STUDY, _STUDY),
        (QueryLevel.SERIES, _SERIES),
    )
    for keyword in keywords
}
"""The level of attributes above the instance that have no column of their own, by tag."""


def level_of_attribute(tag: int) -> QueryLevel:
    """Return the level that an attribute belongs to: the instance's where none above has it."""
    return LEVELS_OF_ATTRIBUTES.get(tag, QueryLevel.IMAGE)

"""The SOP classes this SDK serves, taken from pydicom's UID dictionary (PS3.6 Table A-1)."""

from __future__ import annotations

import enum
from functools import cache
from typing import Final

import attrs
from pydicom._uid_dict import UID_dictionary

__all__ = [
    "COMPOSITE_INSTANCE_ROOT_GET",
    "COMPOSITE_INSTANCE_ROOT_MOVE",
    "COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET",
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
    "SopClass",
    "sop_class_name",
    "sop_classes_by_use",
    "storage_sop_classes",
]

VERIFICATION: Final = "1.2.840.10008.1.1"
PATIENT_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.1.1"
PATIENT_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_STUDY_ONLY_FIND: Final = "1.2.840.10008.5.1.4.1.2.3.1"
PATIENT_STUDY_ONLY_MOVE: Final = "1.2.840.10008.5.1.4.1.2.3.2"
PATIENT_STUDY_ONLY_GET: Final = "1.2.840.10008.5.1.4.1.2.3.3"
COMPOSITE_INSTANCE_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.4.2"
COMPOSITE_INSTANCE_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.4.3"
COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET: Final = "1.2.840.10008.5.1.4.1.2.5.3"


class InformationModel(enum.Enum):
    """A Query/Retrieve information model (PS3.4 C.6): its FIND, MOVE and GET SOP classes."""

    PATIENT_ROOT = (PATIENT_ROOT_FIND, PATIENT_ROOT_MOVE, PATIENT_ROOT_GET)
    STUDY_ROOT = (STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET)
    PATIENT_STUDY_ONLY = (PATIENT_STUDY_ONLY_FIND, PATIENT_STUDY_ONLY_MOVE, PATIENT_STUDY_ONLY_GET)
    """Retired in 2004, and still asked for by old clients."""

    @property
    def title(self) -> str:
        """Its name in the standard."""
        return {
            InformationModel.PATIENT_ROOT: "Patient Root",
            InformationModel.STUDY_ROOT: "Study Root",
            InformationModel.PATIENT_STUDY_ONLY: "Patient/Study Only",
        }[self]

    @property
    def find(self) -> str:
        """The C-FIND SOP class."""
        return self.value[0]

    @property
    def move(self) -> str:
        """The C-MOVE SOP class."""
        return self.value[1]

    @property
    def get(self) -> str:
        """The C-GET SOP class."""
        return self.value[2]

    @property
    def levels(self) -> tuple[str, ...]:
        """The values that Query/Retrieve Level may have, the highest first."""
        return {
            InformationModel.PATIENT_ROOT: ("PATIENT", "STUDY", "SERIES", "IMAGE"),
            InformationModel.STUDY_ROOT: ("STUDY", "SERIES", "IMAGE"),
            InformationModel.PATIENT_STUDY_ONLY: ("PATIENT", "STUDY"),
        }[self]


@attrs.frozen
class SopClass:
    """A service-object pair class."""

    uid: str
    """Its UID."""
    name: str
    """Its name in PS3.6."""
    is_retired: bool
    """Whether the standard has retired it."""


_PREFIXES: Final = ("1.2.840.10008.5.1.4.1.1.", "1.2.840.10008.5.1.4.34.")
"""Where storage SOP classes of patient objects live; hardcopy and print ones don't."""

_NON_PATIENT_OBJECTS: Final = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.200.1",
        "1.2.840.10008.5.1.4.1.1.200.3",
        "1.2.840.10008.5.1.4.1.1.200.7",
        "1.2.840.10008.5.1.4.1.1.201.1",
    )
)
"""Non-Patient Object Storage (PS3.4 Annex GG): objects of no study, which an archive
ordered by study has no place for."""


@cache
def storage_sop_classes() -> tuple[SopClass, ...]:
    """List every storage SOP class of patient objects that pydicom knows, retired ones too."""
    return tuple(
        SopClass(uid, name, bool(retired))
        for uid, (name, kind, _info, retired, _keyword) in UID_dictionary.items()
        if kind == "SOP Class"
        and uid.startswith(_PREFIXES)
        and "Storage" in name
        and uid not in _NON_PATIENT_OBJECTS
    )


_COMMON_FIRST: Final = (
    "CTImageStorage",
    "MRImageStorage",
    "ComputedRadiographyImageStorage",
    "DigitalXRayImageStorageForPresentation",
    "DigitalXRayImageStorageForProcessing",
    "DigitalMammographyXRayImageStorageForPresentation",
    "DigitalMammographyXRayImageStorageForProcessing",
    "BreastTomosynthesisImageStorage",
    "UltrasoundImageStorage",
    "UltrasoundMultiFrameImageStorage",
    "SecondaryCaptureImageStorage",
    "MultiFrameGrayscaleByteSecondaryCaptureImageStorage",
    "MultiFrameGrayscaleWordSecondaryCaptureImageStorage",
    "MultiFrameTrueColorSecondaryCaptureImageStorage",
    "XRayAngiographicImageStorage",
    "XRayRadiofluoroscopicImageStorage",
    "NuclearMedicineImageStorage",
    "PositronEmissionTomographyImageStorage",
    "EnhancedCTImageStorage",
    "EnhancedMRImageStorage",
    "EnhancedMRColorImageStorage",
    "EnhancedPETImageStorage",
    "EnhancedXAImageStorage",
    "EnhancedXRFImageStorage",
    "SegmentationStorage",
    "SurfaceSegmentationStorage",
    "ParametricMapStorage",
    "BasicTextSRStorage",
    "EnhancedSRStorage",
    "ComprehensiveSRStorage",
    "Comprehensive3DSRStorage",
    "XRayRadiationDoseSRStorage",
    "MammographyCADSRStorage",
    "KeyObjectSelectionDocumentStorage",
    "GrayscaleSoftcopyPresentationStateStorage",
    "ColorSoftcopyPresentationStateStorage",
    "RTImageStorage",
    "RTDoseStorage",
    "RTStructureSetStorage",
    "RTPlanStorage",
    "RTIonPlanStorage",
    "RTBeamsTreatmentRecordStorage",
    "TwelveLeadECGWaveformStorage",
    "GeneralECGWaveformStorage",
    "EncapsulatedPDFStorage",
    "EncapsulatedCDAStorage",
    "RawDataStorage",
    "SpatialRegistrationStorage",
    "DeformableSpatialRegistrationStorage",
    "VLEndoscopicImageStorage",
    "VLMicroscopicImageStorage",
    "VLPhotographicImageStorage",
    "VLWholeSlideMicroscopyImageStorage",
    "VideoEndoscopicImageStorage",
    "VideoPhotographicImageStorage",
    "OphthalmicPhotography8BitImageStorage",
    "OphthalmicTomographyImageStorage",
)
"""What archives hold most of, by keyword."""


@cache
def sop_classes_by_use() -> tuple[SopClass, ...]:
    """List the storage SOP classes that are not retired, those in common use first.

    An association has room for 128 contexts, fewer than there are storage SOP classes:
    whoever has to choose takes the first.
    """
    rank = {keyword: number for number, keyword in enumerate(_COMMON_FIRST)}
    return tuple(
        sorted(
            (sop_class for sop_class in storage_sop_classes() if not sop_class.is_retired),
            key=lambda sop_class: rank.get(UID_dictionary[sop_class.uid][4], len(rank)),
        )
    )


def sop_class_name(uid: str) -> str:
    """Return a SOP class's name, or the UID where it has none."""
    row = UID_dictionary.get(uid)
    return row[0] if row and row[0] else uid

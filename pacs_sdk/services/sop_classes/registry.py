"""Every SOP class of the standard, made from pydicom's UID dictionary (PS3.6 Table A-1)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

import attrs
import pydicom
from pydicom._uid_dict import UID_dictionary

from pacs_sdk.services.sop_classes.iod import iod_name
from pacs_sdk.services.sop_classes.service_class import ServiceClass, service_class_of

__all__ = [
    "DICOM_EDITION",
    "SopClass",
    "all_sop_classes",
    "find_sop_class",
    "sop_class_name",
    "sop_classes_by_use",
    "storage_sop_classes",
]

DICOM_EDITION: Final[str] = pydicom.__dicom_version__
"""The edition of the standard that the SOP classes are from: "2024c"."""


@attrs.frozen
class SopClass:
    """A service-object pair class (PS3.4 6.4)."""

    uid: str
    """Its UID."""
    name: str
    """Its name in PS3.6; the UID of one whose name PS3.6 has withdrawn."""
    is_retired: bool
    """Whether the standard has retired it."""
    keyword: str = ""
    """Its keyword in PS3.6."""
    service_class: ServiceClass | None = None
    """The service class of PS3.4 that it belongs to; ``None`` where that is not known."""
    iod: str = ""
    """The information object definition of PS3.3, such as "CT Image"; empty if it has none."""
    is_meta: bool = False
    """Whether it stands for several SOP classes that are negotiated together."""
    domain: str = ""
    """Who uses it, if not medicine: "DICOS" for security, "DICONDE ASTM E2934" for testing."""

    @property
    def is_storage(self) -> bool:
        """Whether it stores objects of patients (PS3.4 B.5), which an archive can keep."""
        return self.service_class is ServiceClass.STORAGE and self.uid.startswith(_PREFIXES)


_PREFIXES: Final = ("1.2.840.10008.5.1.4.1.1.", "1.2.840.10008.5.1.4.34.")
"""Where storage SOP classes of patient objects live; hardcopy and print ones don't."""

_KINDS: Final = ("SOP Class", "Meta SOP Class")


@cache
def all_sop_classes() -> tuple[SopClass, ...]:
    """List every SOP class of the edition, retired ones and Meta SOP Classes too."""
    return tuple(_sop_class(uid, *row) for uid, row in UID_dictionary.items() if row[1] in _KINDS)


def _sop_class(uid: str, name: str, kind: str, info: str, retired: str, keyword: str) -> SopClass:
    service_class = service_class_of(uid)
    return SopClass(
        uid,
        name or uid,
        bool(retired),
        keyword,
        service_class,
        iod_name(name, keyword, service_class),
        is_meta=kind != "SOP Class",
        domain=info if info.startswith("DICO") else "",
    )


@cache
def _by_text() -> Mapping[str, SopClass]:
    known = {one.keyword: one for one in all_sop_classes() if one.keyword}
    return MappingProxyType(known | {one.uid: one for one in all_sop_classes()})


def find_sop_class(uid_or_keyword: str) -> SopClass | None:
    """Look a SOP class up.

    Args:
        uid_or_keyword: ``1.2.840.10008.5.1.4.1.1.2`` or ``CTImageStorage``.

    Returns:
        The SOP class; ``None`` for a private one, and one that the edition does not have.
    """
    return _by_text().get(uid_or_keyword)


@cache
def storage_sop_classes() -> tuple[SopClass, ...]:
    """List every storage SOP class of patient objects that has a name, retired ones too."""
    return tuple(one for one in all_sop_classes() if one.is_storage and one.keyword)


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
            key=lambda sop_class: rank.get(sop_class.keyword, len(rank)),
        )
    )


def sop_class_name(uid: str) -> str:
    """Return a SOP class's name, or the UID where it has none."""
    row = UID_dictionary.get(uid)
    return row[0] if row and row[0] else uid

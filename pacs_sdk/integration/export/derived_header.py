"""What a derived image takes over from the images it was made of (PS3.3 C.7, C.8)."""

from __future__ import annotations

import copy
import enum
from typing import Final

import pydicom

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["DerivedKind", "copied_header", "kind_for"]


class DerivedKind(enum.StrEnum):
    """What kind of image a derived series is of."""

    CT = "CT"
    """CT Image Storage (PS3.3 A.3)."""
    MR = "MR"
    """MR Image Storage (PS3.3 A.4)."""
    SC = "SC"
    """Secondary Capture Image Storage (PS3.3 A.8.1)."""

    @property
    def sop_class_uid(self) -> str:
        """Its SOP class."""
        return _SOP_CLASSES[self]


_SOP_CLASSES: Final = {
    DerivedKind.CT: "1.2.840.10008.5.1.4.1.1.2",
    DerivedKind.MR: "1.2.840.10008.5.1.4.1.1.4",
    DerivedKind.SC: "1.2.840.10008.5.1.4.1.1.7",
}

_EMPTY_IF_ABSENT: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
    "PositionReferenceIndicator",
)
"""Type 2 of patient, study and frame of reference."""

_COPIED: Final = (
    "TimezoneOffsetFromUTC",
    # patient
    "IssuerOfPatientID",
    "OtherPatientIDsSequence",
    "PatientComments",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    # study, patient study
    "StudyInstanceUID",
    "StudyDescription",
    "ProcedureCodeSequence",
    "PhysiciansOfRecord",
    "IssuerOfAccessionNumberSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientSexNeutered",
    # series
    "Laterality",
    "BodyPartExamined",
    "ProtocolName",
    "PatientPosition",
    # image
    "AcquisitionDate",
    "AcquisitionTime",
    "BurnedInAnnotation",
    "ImageLaterality",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "ContrastBolusAgent",
    "ContrastBolusRoute",
    "ContrastBolusStartTime",
    "ContrastBolusTotalDose",
)

_OF_KIND: Final[dict[DerivedKind, tuple[str, ...]]] = {
    DerivedKind.CT: (
        "KVP",
        "XRayTubeCurrent",
        "ExposureTime",
        "Exposure",
        "FilterType",
        "ConvolutionKernel",
        "DataCollectionDiameter",
        "AcquisitionNumber",
    ),
    DerivedKind.MR: (
        "ScanningSequence",
        "SequenceVariant",
        "ScanOptions",
        "MRAcquisitionType",
        "SequenceName",
        "RepetitionTime",
        "EchoTime",
        "InversionTime",
        "TriggerTime",
        "EchoNumbers",
        "EchoTrainLength",
        "NumberOfAverages",
        "ImagingFrequency",
        "ImagedNucleus",
        "MagneticFieldStrength",
        "FlipAngle",
        "AcquisitionNumber",
    ),
    DerivedKind.SC: (),
}

_EMPTY_OF_KIND: Final = {
    DerivedKind.CT: ("PatientPosition", "KVP", "AcquisitionNumber"),
    DerivedKind.MR: (
        "PatientPosition",
        "RepetitionTime",
        "ScanOptions",
        "MRAcquisitionType",
        "EchoTime",
        "EchoTrainLength",
    ),
    DerivedKind.SC: ("PatientOrientation",),
}

_NEEDED_OF_KIND: Final = {
    DerivedKind.MR: ("ScanningSequence", "SequenceVariant"),
    DerivedKind.CT: (),
    DerivedKind.SC: (),
}


def kind_for(template: DicomDataset) -> DerivedKind:
    """Return the kind of the template's images, secondary capture for all but CT and MR."""
    sop_class = template.get("SOPClassUID")
    return next((kind for kind, uid in _SOP_CLASSES.items() if uid == sop_class), DerivedKind.SC)


def copied_header(template: DicomDataset, kind: DerivedKind) -> pydicom.Dataset:
    """Make a header with what does not change: patient, study, frame of reference, technique.

    Args:
        template: An image that the derived ones are made of.
        kind: What the derived ones are.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` where the template lacks what that kind needs.
    """
    source = template.pydicom
    header = pydicom.Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"  # every text fits, whatever the template's was
    wanted = (*_EMPTY_IF_ABSENT, *_COPIED, *_OF_KIND[kind], "FrameOfReferenceUID")
    for keyword in wanted:
        if keyword in source:
            header[keyword] = copy.copy(source[keyword])
    for keyword in _NEEDED_OF_KIND[kind]:
        if not header.get(keyword):
            raise _lacking(keyword, kind)
    if not header.get("StudyInstanceUID"):
        raise _lacking("StudyInstanceUID", kind)
    if "ImageLaterality" not in header and "Laterality" not in header:
        header.Laterality = ""  # required of paired body parts, and empty where it isn't known
    for keyword in (*_EMPTY_IF_ABSENT, *_EMPTY_OF_KIND[kind]):
        if keyword not in header:
            setattr(header, keyword, "")
    return header


def _lacking(keyword: str, kind: DerivedKind) -> PacsException:
    return PacsException(
        ErrorCode.INVALID_ARGUMENT,
        f"the template has no {keyword}, which {kind} images need"
        f"{'' if keyword == 'StudyInstanceUID' else ': take kind=SC'}",
        keyword=keyword,
    )

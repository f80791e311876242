"""When attributes of type 1C and 2C in items are required; see :mod:`attribute_conditions`."""

from __future__ import annotations

from typing import Final

from pacs_sdk.services.iod_validation.condition import (
    Condition,
    absent,
    at_top,
    is_one_of,
    more_than,
    present,
    unless,
)
from pacs_sdk.services.iod_validation.item_values import text
from pacs_sdk.services.iod_validation.predicates import (
    has_spacing,
    is_acquired_frame,
    is_algorithmic,
    is_placed,
    is_within_functional_group,
)

__all__ = ["item_condition"]

_COUNTED: Final = (
    ("FractionGroupSequence", "NumberOfBeams", "ReferencedBeamSequence", "C.8.8.13"),
    (
        "FractionGroupSequence",
        "NumberOfBrachyApplicationSetups",
        "ReferencedBrachyApplicationSetupSequence",
        "C.8.8.13",
    ),
    ("BeamSequence", "NumberOfWedges", "WedgeSequence", "C.8.8.14"),
    ("BeamSequence", "NumberOfCompensators", "CompensatorSequence", "C.8.8.14"),
    ("BeamSequence", "NumberOfBoli", "ReferencedBolusSequence", "C.8.8.14"),
    ("BeamSequence", "NumberOfBlocks", "BlockSequence", "C.8.8.14"),
)
"""Sequences that are required where a number of their items is given."""
_WINDOWS: Final = ("FrameVOILUTSequence", "SoftcopyVOILUTSequence")

_IN_SEQUENCES: Final[dict[tuple[str, str], Condition]] = {
    **{
        (outer, inner): Condition(more_than(number, 0), f"{number} is more than 0", section)
        for outer, number, inner, section in _COUNTED
    },
    ("BeamLimitingDeviceSequence", "LeafPositionBoundaries"): Condition(
        is_one_of("RTBeamLimitingDeviceType", "MLCX", "MLCY"),
        "the device has leaves",
        "C.8.8.14",
    ),
    ("SegmentSequence", "TrackingID"): Condition(
        present("TrackingUID"), "there is a Tracking UID", "C.8.20.4"
    ),
    ("SegmentSequence", "TrackingUID"): Condition(
        present("TrackingID"), "there is a Tracking ID", "C.8.20.4"
    ),
    ("SegmentSequence", "SegmentAlgorithmName"): Condition(
        is_algorithmic, "the segment is not drawn by hand", "C.8.20.4"
    ),
    ("BeamSequence", "BeamLimitingDeviceSequence"): Condition(
        lambda scene: text(scene.item, "EnhancedRTBeamLimitingDeviceDefinitionFlag") != "YES",
        "its devices are not defined in the enhanced way",
        "C.8.8.14",
    ),
    ("DoseReferenceSequence", "ReferencedROINumber"): Condition(
        is_one_of("DoseReferenceStructureType", "POINT", "VOLUME"),
        "the Dose Reference Structure Type is POINT or VOLUME",
        "C.8.8.10",
    ),
    ("DoseReferenceSequence", "DoseReferencePointCoordinates"): Condition(
        is_one_of("DoseReferenceStructureType", "COORDINATES"),
        "the Dose Reference Structure Type is COORDINATES",
        "C.8.8.10",
    ),
    ("PatientSetupSequence", "PatientPosition"): unless("PatientAdditionalPosition", "C.8.8.12"),
    ("DimensionIndexSequence", "FunctionalGroupPointer"): Condition(
        is_within_functional_group, "its attribute lies in a functional group", "C.7.6.17"
    ),
    **{
        ("PixelMeasuresSequence", keyword): Condition(
            has_spacing,
            "the Volumetric Properties are VOLUME, or a segmentation has a Frame of Reference",
            "C.7.6.16.2.1",
        )
        for keyword in ("PixelSpacing", "SliceThickness")
    },
    ("PlanePositionSequence", "ImagePositionPatient"): Condition(
        is_placed,
        "the frames are ORIGINAL, or a segmentation has a Frame of Reference",
        "C.7.6.16.2.3",
    ),
    ("PlaneOrientationSequence", "ImageOrientationPatient"): Condition(
        is_placed,
        "the frames are ORIGINAL, or a segmentation has a Frame of Reference",
        "C.7.6.16.2.4",
    ),
    **{(sequence, "WindowCenter"): unless("VOILUTSequence", "C.11.2") for sequence in _WINDOWS},
    **{
        (sequence, "WindowWidth"): Condition(
            present("WindowCenter"), "there is a Window Center", "C.11.2"
        )
        for sequence in _WINDOWS
    },
    **{
        ("RealWorldValueMappingSequence", keyword): unless(other, "C.7.6.16.2.11")
        for keyword, other in (
            ("RealWorldValueFirstValueMapped", "DoubleFloatRealWorldValueFirstValueMapped"),
            ("RealWorldValueLastValueMapped", "DoubleFloatRealWorldValueLastValueMapped"),
            ("RealWorldValueIntercept", "RealWorldValueLUTData"),
            ("RealWorldValueSlope", "RealWorldValueLUTData"),
        )
    },
    ("TextObjectSequence", "AnchorPoint"): unless("BoundingBoxTopLeftHandCorner", "C.10.5"),
    **{
        ("TextObjectSequence", keyword): Condition(
            present("AnchorPoint"), "there is an Anchor Point", "C.10.5"
        )
        for keyword in ("AnchorPointAnnotationUnits", "AnchorPointVisibility")
    },
    **{
        ("TextObjectSequence", keyword): Condition(
            present("BoundingBoxTopLeftHandCorner"), "there is a bounding box", "C.10.5"
        )
        for keyword in (
            "BoundingBoxBottomRightHandCorner",
            "BoundingBoxAnnotationUnits",
            "BoundingBoxTextHorizontalJustification",
        )
    },
    ("DisplayedAreaSelectionSequence", "PresentationPixelSpacing"): Condition(
        is_one_of("PresentationSizeMode", "TRUE SIZE"), "the size is TRUE SIZE", "C.10.4"
    ),
    ("DisplayedAreaSelectionSequence", "PresentationPixelAspectRatio"): unless(
        "PresentationPixelSpacing", "C.10.4"
    ),
    ("DisplayedAreaSelectionSequence", "PresentationPixelMagnificationRatio"): Condition(
        is_one_of("PresentationSizeMode", "MAGNIFY"), "the image is magnified", "C.10.4"
    ),
    **{
        ("FrameContentSequence", keyword): Condition(
            is_acquired_frame, "the frames were acquired", "C.7.6.16.2.2"
        )
        for keyword in (
            "FrameAcquisitionDateTime",
            "FrameAcquisitionDuration",
            "FrameReferenceDateTime",
        )
    },
    ("FrameContentSequence", "DimensionIndexValues"): Condition(
        at_top(present("DimensionIndexSequence")),
        "there is a Dimension Index Sequence",
        "C.7.6.16.2.2",
    ),
    ("FrameContentSequence", "InStackPositionNumber"): Condition(
        present("StackID"), "there is a Stack ID", "C.7.6.16.2.2"
    ),
    ("ChannelDefinitionSequence", "ChannelSensitivityUnitsSequence"): Condition(
        present("ChannelSensitivity"), "there is a Channel Sensitivity", "C.10.9"
    ),
    ("ChannelDefinitionSequence", "ChannelSensitivityCorrectionFactor"): Condition(
        present("ChannelSensitivity"), "there is a Channel Sensitivity", "C.10.9"
    ),
    ("ChannelDefinitionSequence", "ChannelBaseline"): Condition(
        present("ChannelSensitivity"), "there is a Channel Sensitivity", "C.10.9"
    ),
    ("ChannelDefinitionSequence", "ChannelTimeSkew"): Condition(
        absent("ChannelSampleSkew"), "there is no Channel Sample Skew", "C.10.9"
    ),
    ("ChannelDefinitionSequence", "ChannelSampleSkew"): Condition(
        absent("ChannelTimeSkew"), "there is no Channel Time Skew", "C.10.9"
    ),
}
"""By the sequence that an attribute lies in, and its keyword."""

_IN_MACROS: Final = {
    "CodeValue": Condition(
        absent("LongCodeValue", "URNCodeValue"), "there is no other code value", "8.8"
    ),
    "CodingSchemeDesignator": Condition(
        lambda scene: scene.has("CodeValue", "LongCodeValue"), "there is a Code Value", "8.8"
    ),
    "MappingResource": Condition(
        present("ContextIdentifier"), "there is a Context Identifier", "8.8"
    ),
    "ContextGroupVersion": Condition(
        present("ContextIdentifier"), "there is a Context Identifier", "8.8"
    ),
    "ContextGroupLocalVersion": Condition(
        is_one_of("ContextGroupExtensionFlag", "Y"), "the Context Group is extended", "8.8"
    ),
    "ContextGroupExtensionCreatorUID": Condition(
        is_one_of("ContextGroupExtensionFlag", "Y"), "the Context Group is extended", "8.8"
    ),
    "UniversalEntityIDType": Condition(
        present("UniversalEntityID"), "there is a Universal Entity ID", "10.14"
    ),
}
"""By keyword, in any item: attributes of the macros that are everywhere."""


def item_condition(sequence: str, keyword: str) -> Condition | None:
    """Return the condition of an attribute in an item; ``None`` if it is not known.

    Args:
        sequence: The keyword of the sequence that it lies in.
        keyword: Its keyword.
    """
    return _IN_SEQUENCES.get((sequence, keyword)) or _IN_MACROS.get(keyword)

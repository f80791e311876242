"""When attributes of type 1C and 2C are required: those conditions that a data set can tell.

Many conditions are about the world ("if contrast media was used"), and many rare ones are not
here. An attribute whose condition is not in these tables may be absent.
"""

from __future__ import annotations

from typing import Final

from pacs_sdk.services.iod_validation.condition import (
    Condition,
    Holds,
    absent,
    at_top,
    frames_point_to,
    includes,
    is_multi_frame,
    is_one_of,
    more_than,
    present,
    valued,
)
from pacs_sdk.services.iod_validation.item_values import pointers, text, texts
from pacs_sdk.services.iod_validation.scene import Scene

__all__ = ["attribute_condition"]

_PATIENT_POSITION_CLASSES: Final = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.2",  # CT
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.4",  # MR
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.2",  # MR Spectroscopy
        "1.2.840.10008.5.1.4.1.1.4.3",  # Enhanced MR Color
    )
)
_ENHANCED: Final = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.4.1",  # MR
        "1.2.840.10008.5.1.4.1.1.130",  # PET
    )
)
_CONVERTED: Final = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
        "1.2.840.10008.5.1.4.1.1.4.4",  # MR
        "1.2.840.10008.5.1.4.1.1.128.1",  # PET
    )
)
_FROM_PLANS: Final = (
    "PLAN",
    "MULTI_PLAN",
    "PLAN_OVERVIEW",
    "FRACTION",
    "BEAM",
    "BRACHY",
    "FRACTION_SESSION",
    "BEAM_SESSION",
    "BRACHY_SESSION",
    "CONTROL_POINT",
)
_PALETTES: Final = ("Red", "Green", "Blue")


def _needs_patient_position(scene: Scene) -> bool:
    return scene.sop_class_uid in _PATIENT_POSITION_CLASSES and not scene.has(
        "PatientOrientationCodeSequence"
    )


def _needs_patient_orientation(scene: Scene) -> bool:
    return "image-plane" not in scene.mandatory_modules and not scene.has(
        "ImageOrientationPatient",
        "ImageOrientationSlide",
        "SharedFunctionalGroupsSequence",  # where enhanced images have their orientation
        "DetectorInformationSequence",  # where nuclear medicine has it
    )


def _needs_repetition_time(scene: Scene) -> bool:
    sequences = texts(scene.item, "ScanningSequence")
    is_echo_planar = "EP" in sequences
    return not is_echo_planar or "SK" in texts(scene.item, "SequenceVariant")


def _is_deidentified_somehow(scene: Scene) -> bool:
    return text(scene.item, "PatientIdentityRemoved") == "YES" and not scene.has(
        "DeidentificationMethodCodeSequence"
    )


def _is_cda(scene: Scene) -> bool:
    return scene.sop_class_uid == "1.2.840.10008.5.1.4.1.1.104.2"


def _several_frames(scene: Scene) -> bool:
    return is_multi_frame(scene.item)


def _needs_palette(colour: str) -> Holds:
    is_palette = is_one_of("PhotometricInterpretation", "PALETTE COLOR")
    is_whole = absent(f"Segmented{colour}PaletteColorLookupTableData")
    return lambda scene: is_palette(scene) and is_whole(scene)


def _is_decay_corrected(scene: Scene) -> bool:
    return text(scene.item, "DecayCorrection") not in ("", "NONE")


def _is_algorithmic(scene: Scene) -> bool:
    return text(scene.item, "SegmentAlgorithmType") != "MANUAL"


def _is_within_functional_group(scene: Scene) -> bool:
    """Whether a dimension's attribute is not at the top, so that it lies in a group."""
    return any(
        int(pointer) not in scene.top and not pointer.is_private
        for pointer in pointers(scene.item, "DimensionIndexPointer")
    )


def _is_original(scene: Scene) -> bool:
    """Whether all frames are ORIGINAL; where only some are, the Image Type says MIXED."""
    return text(scene.top, "ImageType") == "ORIGINAL"


def _is_acquired_frame(scene: Scene) -> bool:
    return scene.sop_class_uid in _ENHANCED and _is_original(scene)


def _is_not_tiled_full(scene: Scene) -> bool:
    return text(scene.item, "DimensionOrganizationType") != "TILED_FULL"


def _is_content(scene: Scene) -> bool:
    """Whether a content item is given here and not by reference (PS3.3 C.17.3.2.5)."""
    return not scene.has("ReferencedContentItemIdentifier")


def _is_below_root(scene: Scene) -> bool:
    return bool(scene.outer)


def _unless(other: str, reference: str) -> Condition:
    return Condition(absent(other), f"there is no {other}", reference)


def _of_value_type(*value_types: str) -> Condition:
    return Condition(
        is_one_of("ValueType", *value_types),
        f"the Value Type is {' or '.join(value_types)}",
        "C.17.3",
    )


def _if(holds: Holds, words: str, reference: str) -> Condition:
    return Condition(holds, words, reference)


_IMAGE_PIXEL: Final = {
    "PlanarConfiguration": _if(
        more_than("SamplesPerPixel", 1), "there is more than one sample a pixel", "C.7.6.3"
    ),
    "PixelData": _if(absent("PixelDataProviderURL"), "no Pixel Data Provider URL", "C.7.6.3"),
    "ExtendedOffsetTableLengths": _if(
        present("ExtendedOffsetTable"), "there is an Extended Offset Table", "C.7.6.3"
    ),
    **{
        f"{colour}PaletteColorLookupTableDescriptor": _if(
            is_one_of("PhotometricInterpretation", "PALETTE COLOR"),
            "the Photometric Interpretation is PALETTE COLOR",
            "C.7.6.3",
        )
        for colour in _PALETTES
    },
    **{
        f"{colour}PaletteColorLookupTableData": _if(
            _needs_palette(colour),
            "the Photometric Interpretation is PALETTE COLOR, and no table is segmented",
            "C.7.6.3",
        )
        for colour in _PALETTES
    },
}
_PALETTE_MODULE: Final = {
    f"{colour}PaletteColorLookupTableDescriptor": _if(
        is_one_of("PhotometricInterpretation", "PALETTE COLOR"),
        "the Photometric Interpretation is PALETTE COLOR",
        "C.7.9",
    )
    for colour in _PALETTES
}
_PIXELS_OF_DOSE: Final = {
    keyword: _if(present("PixelData"), "there is Pixel Data", "C.8.8.3")
    for keyword in (
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "DoseGridScaling",
    )
}
_FRACTIONAL: Final = _if(
    is_one_of("SegmentationType", "FRACTIONAL"), "the segmentation is FRACTIONAL", "C.8.20.2"
)
_GATED: Final = _if(is_one_of("SeriesType", "GATED"), "the Series Type is GATED", "C.8.9.1")
_GATED_IMAGE: Final = _if(is_one_of("SeriesType", "GATED"), "the Series Type is GATED", "C.8.9.4")
_REJECTS_BEATS: Final = _if(
    is_one_of("BeatRejectionFlag", "Y"), "the Beat Rejection Flag is Y", "C.8.9.4"
)
_LOSSY: Final = _if(
    is_one_of("LossyImageCompression", "01"), "the compression was lossy", "C.7.6.1"
)
_MOVES: Final = _if(
    is_one_of("PositionerMotion", "DYNAMIC"), "the Positioner Motion is DYNAMIC", "C.8.7.5"
)
_CONCATENATED: Final = _if(present("ConcatenationUID"), "it is part of a Concatenation", "C.7.6.16")

_ACQUIRED: Final = _if(
    lambda scene: (
        text(scene.item, "ImageType") in ("ORIGINAL", "MIXED")
        and scene.sop_class_uid not in _CONVERTED
    ),
    "the Image Type is ORIGINAL or MIXED",
    "C.8.13.2, C.8.15.2, C.8.22.3",
)
_NOT_CONVERTED: Final = _if(
    lambda scene: scene.sop_class_uid not in _CONVERTED,
    "it is no legacy converted image",
    "C.8.13.1, C.8.15.2",
)
_ENHANCED_IMAGE: Final = {
    "BurnedInAnnotation": _NOT_CONVERTED,
    "ContentQualification": _NOT_CONVERTED,
    "LossyImageCompression": _NOT_CONVERTED,
    "AcquisitionDateTime": _ACQUIRED,
    "AcquisitionDuration": _ACQUIRED,
    "LossyImageCompressionRatio": _LOSSY,
    "LossyImageCompressionMethod": _LOSSY,
}
_ENHANCED_MR: Final = {
    **_ENHANCED_IMAGE,
    **dict.fromkeys(
        (
            "KSpaceFiltering",
            "MagneticFieldStrength",
            "ResonantNucleus",
        ),
        _ACQUIRED,
    ),
    "AcquisitionContrast": _NOT_CONVERTED,
    "ApplicableSafetyStandardAgency": _NOT_CONVERTED,
    "ComplexImageComponent": _NOT_CONVERTED,
    "PresentationLUTShape": _if(
        is_one_of("PhotometricInterpretation", "MONOCHROME2"),
        "the Photometric Interpretation is MONOCHROME2",
        "C.8.13.1",
    ),
}

_CONTENT_ITEM: Final = {
    "ReferencedSOPSequence": _of_value_type("COMPOSITE", "IMAGE", "WAVEFORM"),
    "ConceptCodeSequence": _of_value_type("CODE"),
    "ContinuityOfContent": _of_value_type("CONTAINER"),
    "DateTime": _of_value_type("DATETIME"),
    "Date": _of_value_type("DATE"),
    "Time": _of_value_type("TIME"),
    "PersonName": _of_value_type("PNAME"),
    "UID": _of_value_type("UIDREF"),
    "TextValue": _of_value_type("TEXT"),
    "MeasuredValueSequence": _of_value_type("NUM"),
    "TemporalRangeType": _of_value_type("TCOORD"),
    "GraphicType": _of_value_type("SCOORD", "SCOORD3D"),
    "GraphicData": _of_value_type("SCOORD", "SCOORD3D"),
    "ReferencedFrameOfReferenceUID": _of_value_type("SCOORD3D"),
    "TabulatedValuesSequence": _of_value_type("TABLE"),
    "ValueType": _if(_is_content, "the content item is not by reference", "C.17.3"),
    "RelationshipType": _if(_is_below_root, "it is not the root content item", "C.17.3"),
    "ConceptNameCodeSequence": _of_value_type(
        "TEXT", "NUM", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME"
    ),
}
"""A content item of a structured report, by its Value Type (PS3.3 C.17.3, Table C.17.3-7)."""

_OF_MODULES: Final[dict[str, dict[str, Condition]]] = {
    "patient": {
        "ResponsiblePersonRole": _if(
            valued("ResponsiblePerson"), "there is a Responsible Person", "C.7.1.1"
        ),
        "DeidentificationMethod": _if(
            _is_deidentified_somehow,
            "the Patient Identity was Removed and no code says how",
            "C.7.1.1",
        ),
    },
    "clinical-trial-subject": {
        "ClinicalTrialSubjectID": _unless("ClinicalTrialSubjectReadingID", "C.7.1.3")
    },
    "clinical-trial-study": {
        "LongitudinalTemporalEventType": _if(
            present("LongitudinalTemporalOffsetFromEvent"),
            "there is a Longitudinal Temporal Offset from Event",
            "C.7.2.3",
        )
    },
    "general-series": {
        "PatientPosition": _if(
            _needs_patient_position,
            "it is a CT or MR image without Patient Orientation Code Sequence",
            "C.7.3.1",
        )
    },
    "general-equipment": {
        "PixelPaddingValue": _if(
            present("PixelPaddingRangeLimit", "PixelData"),
            "there is a Pixel Padding Range Limit",
            "C.7.5.1",
        )
    },
    "general-image": {
        "PatientOrientation": _if(
            _needs_patient_orientation,
            "the IOD does not require Image Orientation (Patient)",
            "C.7.6.1.1.1",
        ),
    },
    "image-pixel": _IMAGE_PIXEL,
    "palette-color-lookup-table": _PALETTE_MODULE,
    "multi-frame-dimension": {
        "DimensionIndexSequence": _if(
            _is_not_tiled_full, "the Dimension Organization Type is not TILED_FULL", "C.7.6.17"
        )
    },
    "cine": {
        keyword: _if(
            frames_point_to(keyword), "the Frame Increment Pointer points to it", "C.7.6.5"
        )
        for keyword in ("FrameTime", "FrameTimeVector")
    },
    "voi-lut": {
        "WindowCenter": _unless("VOILUTSequence", "C.11.2"),
        "WindowWidth": _if(present("WindowCenter"), "there is a Window Center", "C.11.2"),
    },
    "modality-lut": {
        "RescaleIntercept": _unless("ModalityLUTSequence", "C.11.1"),
        "RescaleSlope": _if(present("RescaleIntercept"), "there is a Rescale Intercept", "C.11.1"),
        "RescaleType": _if(present("RescaleIntercept"), "there is a Rescale Intercept", "C.11.1"),
    },
    "mr-image": {
        "RepetitionTime": _if(
            _needs_repetition_time, "the Scanning Sequence is not EP, or segmented", "C.8.3.1"
        ),
        "InversionTime": _if(
            includes("ScanningSequence", "IR"), "the Scanning Sequence has IR", "C.8.3.1"
        ),
        "TriggerTime": _if(
            includes("ScanOptions", "CG", "PPG"), "the Scan Options have heart gating", "C.8.3.1"
        ),
    },
    "pet-series": {
        "NumberOfRRIntervals": _GATED,
        "NumberOfTimeSlots": _GATED,
        "NumberOfTimeSlices": _if(
            is_one_of("SeriesType", "DYNAMIC"), "the Series Type is DYNAMIC", "C.8.9.1"
        ),
        "ReprojectionMethod": _if(
            is_one_of("SeriesType", "REPROJECTION", index=1),
            "the Series Type is REPROJECTION",
            "C.8.9.1",
        ),
    },
    "pet-image": {
        "TriggerTime": _GATED_IMAGE,
        "FrameTime": _GATED_IMAGE,
        "LowRRValue": _REJECTS_BEATS,
        "HighRRValue": _REJECTS_BEATS,
        "DecayFactor": _if(_is_decay_corrected, "the decay is corrected", "C.8.9.4"),
    },
    "enhanced-ct-image": _ENHANCED_IMAGE,
    "enhanced-mr-image": _ENHANCED_MR,
    "enhanced-pet-image": _ENHANCED_IMAGE,
    "mr-pulse-sequence": dict.fromkeys(
        (
            "EchoPlanarPulseSequence",
            "EchoPulseSequence",
            "MRAcquisitionType",
            "MultiPlanarExcitation",
            "OversamplingPhase",
            "PhaseContrast",
            "PulseSequenceName",
            "SaturationRecovery",
            "SpectrallySelectedSuppression",
            "TimeOfFlightContrast",
        ),
        _ACQUIRED,
    ),
    "sc-multi-frame-image": {
        "FrameIncrementPointer": _if(_several_frames, "there are several frames", "C.8.6.3"),
    },
    "encapsulated-document": {
        "HL7InstanceIdentifier": _if(_is_cda, "the document is a CDA document", "C.24.2")
    },
    "softcopy-presentation-lut": {
        "PresentationLUTShape": _unless("PresentationLUTSequence", "C.11.6")
    },
    "us-image": {
        "FrameIncrementPointer": _if(_several_frames, "there are several frames", "C.8.5.6"),
        "PlanarConfiguration": _IMAGE_PIXEL["PlanarConfiguration"],
    },
    "x-ray-image": {
        "FrameIncrementPointer": _if(_several_frames, "there are several frames", "C.8.7.1"),
    },
    "x-ray-acquisition": {
        "ExposureTime": _if(absent("Exposure"), "there is no Exposure", "C.8.7.2"),
        "XRayTubeCurrent": _if(absent("Exposure"), "there is no Exposure", "C.8.7.2"),
        "Exposure": _if(
            lambda scene: not (scene.has("ExposureTime") and scene.has("XRayTubeCurrent")),
            "there is no Exposure Time or no X-Ray Tube Current",
            "C.8.7.2",
        ),
    },
    "xa-positioner": {
        "PositionerMotion": _if(_several_frames, "there are several frames", "C.8.7.5"),
        "PositionerPrimaryAngleIncrement": _MOVES,
        "PositionerSecondaryAngleIncrement": _MOVES,
    },
    "rt-dose": {
        **_PIXELS_OF_DOSE,
        "GridFrameOffsetVector": _if(
            _several_frames, "the Pixel Data has several frames", "C.8.8.3"
        ),
        "ReferencedRTPlanSequence": _if(
            is_one_of("DoseSummationType", *_FROM_PLANS),
            "the Dose Summation Type is of plans or parts of plans",
            "C.8.8.3",
        ),
        "ReferencedTreatmentRecordSequence": _if(
            is_one_of("DoseSummationType", "RECORD"), "the Dose Summation Type is RECORD", "C.8.8.3"
        ),
    },
    "rt-general-plan": {
        "ReferencedStructureSetSequence": _if(
            is_one_of("RTPlanGeometry", "PATIENT"), "the RT Plan Geometry is PATIENT", "C.8.8.9"
        )
    },
    "approval": {
        keyword: _if(
            is_one_of("ApprovalStatus", "APPROVED", "REJECTED"),
            "the Approval Status is APPROVED or REJECTED",
            "C.8.8.16",
        )
        for keyword in ("ReviewDate", "ReviewTime", "ReviewerName")
    },
    "segmentation-image": {
        "SegmentationFractionalType": _FRACTIONAL,
        "MaximumFractionalValue": _FRACTIONAL,
        "LossyImageCompressionRatio": _LOSSY,
        "LossyImageCompressionMethod": _LOSSY,
    },
    "sr-document-general": {
        "VerifyingObserverSequence": _if(
            is_one_of("VerificationFlag", "VERIFIED"), "the document is VERIFIED", "C.17.2"
        )
    },
    "sr-document-content": _CONTENT_ITEM,
    "document-content": _CONTENT_ITEM,
}
"""By module, for attributes at the top; those of a content item hold in all of its tree."""

_FUNCTIONAL_GROUPS: Final = {
    "PerFrameFunctionalGroupsSequence": _if(
        _is_not_tiled_full, "the Dimension Organization Type is not TILED_FULL", "C.7.6.16"
    ),
    "InConcatenationNumber": _CONCATENATED,
    "ConcatenationFrameOffsetNumber": _CONCATENATED,
    "SOPInstanceUIDOfConcatenationSource": _CONCATENATED,
}

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

_IN_SEQUENCES: Final[dict[tuple[str, str], Condition]] = {
    **{
        (outer, inner): _if(more_than(number, 0), f"{number} is more than 0", section)
        for outer, number, inner, section in _COUNTED
    },
    ("BeamLimitingDeviceSequence", "LeafPositionBoundaries"): _if(
        is_one_of("RTBeamLimitingDeviceType", "MLCX", "MLCY"),
        "the device has leaves",
        "C.8.8.14",
    ),
    ("SegmentSequence", "TrackingID"): _if(
        present("TrackingUID"), "there is a Tracking UID", "C.8.20.4"
    ),
    ("SegmentSequence", "TrackingUID"): _if(
        present("TrackingID"), "there is a Tracking ID", "C.8.20.4"
    ),
    ("SegmentSequence", "SegmentAlgorithmName"): _if(
        _is_algorithmic, "the segment is not drawn by hand", "C.8.20.4"
    ),
    ("BeamSequence", "BeamLimitingDeviceSequence"): _if(
        lambda scene: text(scene.item, "EnhancedRTBeamLimitingDeviceDefinitionFlag") != "YES",
        "its devices are not defined in the enhanced way",
        "C.8.8.14",
    ),
    ("PatientSetupSequence", "PatientPosition"): _unless("PatientAdditionalPosition", "C.8.8.12"),
    ("DimensionIndexSequence", "FunctionalGroupPointer"): _if(
        _is_within_functional_group, "its attribute lies in a functional group", "C.7.6.17"
    ),
    **{
        ("PixelMeasuresSequence", keyword): _if(
            at_top(is_one_of("VolumetricProperties", "VOLUME")),
            "the Volumetric Properties are VOLUME",
            "C.7.6.16.2.1",
        )
        for keyword in ("PixelSpacing", "SliceThickness")
    },
    ("PlanePositionSequence", "ImagePositionPatient"): _if(
        _is_original, "the frames are ORIGINAL", "C.7.6.16.2.3"
    ),
    ("PlaneOrientationSequence", "ImageOrientationPatient"): _if(
        _is_original, "the frames are ORIGINAL", "C.7.6.16.2.4"
    ),
    **{
        ("FrameContentSequence", keyword): _if(
            _is_acquired_frame, "the frames were acquired", "C.7.6.16.2.2"
        )
        for keyword in (
            "FrameAcquisitionDateTime",
            "FrameAcquisitionDuration",
            "FrameReferenceDateTime",
        )
    },
    ("FrameContentSequence", "DimensionIndexValues"): _if(
        at_top(present("DimensionIndexSequence")),
        "there is a Dimension Index Sequence",
        "C.7.6.16.2.2",
    ),
    ("FrameContentSequence", "InStackPositionNumber"): _if(
        present("StackID"), "there is a Stack ID", "C.7.6.16.2.2"
    ),
    ("ChannelDefinitionSequence", "ChannelSensitivityUnitsSequence"): _if(
        present("ChannelSensitivity"), "there is a Channel Sensitivity", "C.10.9"
    ),
    ("ChannelDefinitionSequence", "ChannelSensitivityCorrectionFactor"): _if(
        present("ChannelSensitivity"), "there is a Channel Sensitivity", "C.10.9"
    ),
    ("ChannelDefinitionSequence", "ChannelBaseline"): _if(
        present("ChannelSensitivity"), "there is a Channel Sensitivity", "C.10.9"
    ),
    ("ChannelDefinitionSequence", "ChannelTimeSkew"): _if(
        absent("ChannelSampleSkew"), "there is no Channel Sample Skew", "C.10.9"
    ),
    ("ChannelDefinitionSequence", "ChannelSampleSkew"): _if(
        absent("ChannelTimeSkew"), "there is no Channel Time Skew", "C.10.9"
    ),
}
"""By the sequence that an attribute lies in, and its keyword."""

_IN_MACROS: Final = {
    "CodeValue": _if(
        absent("LongCodeValue", "URNCodeValue"), "there is no other code value", "8.8"
    ),
    "CodingSchemeDesignator": _if(
        lambda scene: scene.has("CodeValue", "LongCodeValue"), "there is a Code Value", "8.8"
    ),
    "MappingResource": _if(present("ContextIdentifier"), "there is a Context Identifier", "8.8"),
    "ContextGroupVersion": _if(
        present("ContextIdentifier"), "there is a Context Identifier", "8.8"
    ),
    "ContextGroupLocalVersion": _if(
        is_one_of("ContextGroupExtensionFlag", "Y"), "the Context Group is extended", "8.8"
    ),
    "ContextGroupExtensionCreatorUID": _if(
        is_one_of("ContextGroupExtensionFlag", "Y"), "the Context Group is extended", "8.8"
    ),
    "UniversalEntityIDType": _if(
        present("UniversalEntityID"), "there is a Universal Entity ID", "10.14"
    ),
}
"""By keyword, in any item: attributes of the macros that are everywhere."""


def attribute_condition(module: str, sequence: str, keyword: str) -> Condition | None:
    """Return the condition of an attribute of type 1C or 2C; ``None`` if it is not known.

    Args:
        module: The key of the module.
        sequence: The keyword of the innermost sequence that it lies in; empty at the top.
        keyword: Its keyword.
    """
    if sequence:
        found = _IN_SEQUENCES.get((sequence, keyword)) or _IN_MACROS.get(keyword)
        if found is None and keyword.startswith(_PALETTES) and "PaletteColor" in keyword:
            return _IMAGE_PIXEL.get(keyword)  # of an icon
        return found
    found = _OF_MODULES.get(module, {}).get(keyword)
    if found is None and module.endswith("multi-frame-functional-groups"):
        return _FUNCTIONAL_GROUPS.get(keyword)
    return found

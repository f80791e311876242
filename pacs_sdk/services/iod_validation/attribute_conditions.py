"""When attributes of type 1C and 2C are required: those conditions that a data set can tell.

Many conditions are about the world ("if contrast media was used"), and many rare ones are not
here. An attribute whose condition is not in these tables may be absent.
"""

from __future__ import annotations

from typing import Final

from pacs_sdk.services.iod_validation.condition import (
    Condition,
    absent,
    both,
    either,
    frames_point_to,
    includes,
    is_one_of,
    more_than,
    present,
    unless,
    valued,
)
from pacs_sdk.services.iod_validation.item_conditions import item_condition
from pacs_sdk.services.iod_validation.item_values import text
from pacs_sdk.services.iod_validation.predicates import (
    CONVERTED,
    is_below_root,
    is_cda,
    is_content,
    is_decay_corrected,
    is_deidentified_somehow,
    is_not_tiled_full,
    is_original,
    is_root,
    needs_palette,
    needs_patient_orientation,
    needs_patient_position,
    needs_repetition_time,
    several_frames,
)

__all__ = ["attribute_condition"]

_FROM_PLANS: Final = (
    "PLAN",
    "MULTI_PLAN",
    "FRACTION",
    "BEAM",
    "BRACHY",
    "FRACTION_SESSION",
    "BEAM_SESSION",
    "BRACHY_SESSION",
    "CONTROL_POINT",
)
_PALETTES: Final = ("Red", "Green", "Blue")


def _of_value_type(*value_types: str) -> Condition:
    return Condition(
        is_one_of("ValueType", *value_types),
        f"the Value Type is {' or '.join(value_types)}",
        "C.17.3",
    )


_IMAGE_PIXEL: Final = {
    "PlanarConfiguration": Condition(
        more_than("SamplesPerPixel", 1), "there is more than one sample a pixel", "C.7.6.3"
    ),
    "PixelData": Condition(absent("PixelDataProviderURL"), "no Pixel Data Provider URL", "C.7.6.3"),
    "ExtendedOffsetTableLengths": Condition(
        present("ExtendedOffsetTable"), "there is an Extended Offset Table", "C.7.6.3"
    ),
    **{
        f"{colour}PaletteColorLookupTableDescriptor": Condition(
            is_one_of("PhotometricInterpretation", "PALETTE COLOR"),
            "the Photometric Interpretation is PALETTE COLOR",
            "C.7.6.3",
        )
        for colour in _PALETTES
    },
    **{
        f"{colour}PaletteColorLookupTableData": Condition(
            needs_palette(colour),
            "the Photometric Interpretation is PALETTE COLOR, and no table is segmented",
            "C.7.6.3",
        )
        for colour in _PALETTES
    },
}
_PALETTE_MODULE: Final = {
    f"{colour}PaletteColorLookupTableDescriptor": Condition(
        is_one_of("PhotometricInterpretation", "PALETTE COLOR"),
        "the Photometric Interpretation is PALETTE COLOR",
        "C.7.9",
    )
    for colour in _PALETTES
}
_PIXELS_OF_DOSE: Final = {
    keyword: Condition(present("PixelData"), "there is Pixel Data", "C.8.8.3")
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
_FRACTIONAL: Final = Condition(
    is_one_of("SegmentationType", "FRACTIONAL"), "the segmentation is FRACTIONAL", "C.8.20.2"
)
_GATED: Final = Condition(is_one_of("SeriesType", "GATED"), "the Series Type is GATED", "C.8.9.1")
_GATED_IMAGE: Final = Condition(
    is_one_of("SeriesType", "GATED"), "the Series Type is GATED", "C.8.9.4"
)
_REJECTS_BEATS: Final = Condition(
    both(is_one_of("SeriesType", "GATED"), is_one_of("BeatRejectionFlag", "Y")),
    "the Series Type is GATED and the Beat Rejection Flag is Y",
    "C.8.9.4",
)
_LOSSY: Final = Condition(
    is_one_of("LossyImageCompression", "01"), "the compression was lossy", "C.7.6.1"
)
_MOVES: Final = Condition(
    is_one_of("PositionerMotion", "DYNAMIC"), "the Positioner Motion is DYNAMIC", "C.8.7.5"
)
_CONCATENATED: Final = Condition(
    present("ConcatenationUID"), "it is part of a Concatenation", "C.7.6.16"
)

_ACQUIRED: Final = Condition(
    lambda scene: (
        text(scene.item, "ImageType") in ("ORIGINAL", "MIXED")
        and scene.sop_class_uid not in CONVERTED
    ),
    "the Image Type is ORIGINAL or MIXED",
    "C.8.13.1, C.8.15.2",
)
_ACQUIRED_PET: Final = Condition(
    lambda scene: is_original(scene) and scene.sop_class_uid not in CONVERTED,
    "the Image Type is ORIGINAL",
    "C.8.22.3",
)
_NOT_CONVERTED: Final = Condition(
    lambda scene: scene.sop_class_uid not in CONVERTED,
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
_ENHANCED_PET: Final = {
    **_ENHANCED_IMAGE,
    "AcquisitionDateTime": _ACQUIRED_PET,
    "AcquisitionDuration": _ACQUIRED_PET,
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
    "PresentationLUTShape": Condition(
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
    "ValueType": Condition(is_content, "the content item is not by reference", "C.17.3"),
    "RelationshipType": Condition(is_below_root, "it is not the root content item", "C.17.3"),
    "ConceptNameCodeSequence": Condition(
        either(
            is_root,
            is_one_of(
                "ValueType", "TEXT", "NUM", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME"
            ),
        ),
        "it is the root content item, or the Value Type is TEXT, NUM, CODE, DATETIME, DATE, TIME, "
        "UIDREF or PNAME",
        "C.17.3",
    ),
}
"""A content item of a structured report, by its Value Type (PS3.3 C.17.3, Table C.17.3-7)."""

_OF_MODULES: Final[dict[str, dict[str, Condition]]] = {
    "patient": {
        "ResponsiblePersonRole": Condition(
            valued("ResponsiblePerson"), "there is a Responsible Person", "C.7.1.1"
        ),
        "DeidentificationMethod": Condition(
            is_deidentified_somehow,
            "the Patient Identity was Removed and no code says how",
            "C.7.1.1",
        ),
    },
    "clinical-trial-subject": {
        "ClinicalTrialSubjectID": unless("ClinicalTrialSubjectReadingID", "C.7.1.3")
    },
    "clinical-trial-study": {
        "LongitudinalTemporalEventType": Condition(
            present("LongitudinalTemporalOffsetFromEvent"),
            "there is a Longitudinal Temporal Offset from Event",
            "C.7.2.3",
        )
    },
    "general-series": {
        "PatientPosition": Condition(
            needs_patient_position,
            "it is a CT or MR image without Patient Orientation Code Sequence",
            "C.7.3.1",
        )
    },
    "general-equipment": {
        "PixelPaddingValue": Condition(
            present("PixelPaddingRangeLimit", "PixelData"),
            "there is a Pixel Padding Range Limit",
            "C.7.5.1",
        )
    },
    "general-image": {
        "PatientOrientation": Condition(
            needs_patient_orientation,
            "the IOD does not require Image Orientation (Patient)",
            "C.7.6.1.1.1",
        ),
    },
    "image-pixel": _IMAGE_PIXEL,
    "palette-color-lookup-table": _PALETTE_MODULE,
    "multi-frame-dimension": {
        "DimensionIndexSequence": Condition(
            is_not_tiled_full, "the Dimension Organization Type is not TILED_FULL", "C.7.6.17"
        )
    },
    "cine": {
        keyword: Condition(
            frames_point_to(keyword), "the Frame Increment Pointer points to it", "C.7.6.5"
        )
        for keyword in ("FrameTime", "FrameTimeVector")
    },
    "voi-lut": {
        "WindowCenter": unless("VOILUTSequence", "C.11.2"),
        "WindowWidth": Condition(present("WindowCenter"), "there is a Window Center", "C.11.2"),
    },
    "modality-lut": {
        "RescaleIntercept": unless("ModalityLUTSequence", "C.11.1"),
        "RescaleSlope": Condition(
            present("RescaleIntercept"), "there is a Rescale Intercept", "C.11.1"
        ),
        "RescaleType": Condition(
            present("RescaleIntercept"), "there is a Rescale Intercept", "C.11.1"
        ),
    },
    "mr-image": {
        "RepetitionTime": Condition(
            needs_repetition_time, "the Scanning Sequence is not EP, or segmented", "C.8.3.1"
        ),
        "InversionTime": Condition(
            includes("ScanningSequence", "IR"), "the Scanning Sequence has IR", "C.8.3.1"
        ),
        "TriggerTime": Condition(
            includes("ScanOptions", "CG", "PPG"), "the Scan Options have heart gating", "C.8.3.1"
        ),
    },
    "pet-series": {
        "NumberOfRRIntervals": _GATED,
        "NumberOfTimeSlots": _GATED,
        "NumberOfTimeSlices": Condition(
            is_one_of("SeriesType", "DYNAMIC"), "the Series Type is DYNAMIC", "C.8.9.1"
        ),
        "ReprojectionMethod": Condition(
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
        "DecayFactor": Condition(is_decay_corrected, "the decay is corrected", "C.8.9.4"),
    },
    "enhanced-ct-image": _ENHANCED_IMAGE,
    "enhanced-mr-image": _ENHANCED_MR,
    "enhanced-pet-image": _ENHANCED_PET,
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
        "FrameIncrementPointer": Condition(several_frames, "there are several frames", "C.8.6.3"),
    },
    "encapsulated-document": {
        "HL7InstanceIdentifier": Condition(is_cda, "the document is a CDA document", "C.24.2")
    },
    "softcopy-presentation-lut": {
        "PresentationLUTShape": unless("PresentationLUTSequence", "C.11.6")
    },
    "us-image": {
        "FrameIncrementPointer": Condition(several_frames, "there are several frames", "C.8.5.6"),
        "PlanarConfiguration": _IMAGE_PIXEL["PlanarConfiguration"],
    },
    "x-ray-image": {
        "FrameIncrementPointer": Condition(several_frames, "there are several frames", "C.8.7.1"),
    },
    "x-ray-acquisition": {
        "ExposureTime": Condition(absent("Exposure"), "there is no Exposure", "C.8.7.2"),
        "XRayTubeCurrent": Condition(absent("Exposure"), "there is no Exposure", "C.8.7.2"),
        "Exposure": Condition(
            lambda scene: not (scene.has("ExposureTime") and scene.has("XRayTubeCurrent")),
            "there is no Exposure Time or no X-Ray Tube Current",
            "C.8.7.2",
        ),
    },
    "xa-positioner": {
        "PositionerMotion": Condition(several_frames, "there are several frames", "C.8.7.5"),
        "PositionerPrimaryAngleIncrement": _MOVES,
        "PositionerSecondaryAngleIncrement": _MOVES,
    },
    "rt-dose": {
        **_PIXELS_OF_DOSE,
        "GridFrameOffsetVector": Condition(
            both(several_frames, frames_point_to("GridFrameOffsetVector")),
            "there are several frames and the Frame Increment Pointer points to it",
            "C.8.8.3",
        ),
        "ReferencedRTPlanSequence": Condition(
            is_one_of("DoseSummationType", *_FROM_PLANS),
            "the Dose Summation Type is of plans or parts of plans",
            "C.8.8.3",
        ),
        "ReferencedTreatmentRecordSequence": Condition(
            is_one_of("DoseSummationType", "RECORD"), "the Dose Summation Type is RECORD", "C.8.8.3"
        ),
    },
    "rt-general-plan": {
        "ReferencedStructureSetSequence": Condition(
            is_one_of("RTPlanGeometry", "PATIENT"), "the RT Plan Geometry is PATIENT", "C.8.8.9"
        )
    },
    "approval": {
        keyword: Condition(
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
        "VerifyingObserverSequence": Condition(
            is_one_of("VerificationFlag", "VERIFIED"), "the document is VERIFIED", "C.17.2"
        )
    },
    "sr-document-content": _CONTENT_ITEM,
    "document-content": _CONTENT_ITEM,
}
"""By module, for attributes at the top; those of a content item hold in all of its tree."""

_FUNCTIONAL_GROUPS: Final = {
    "PerFrameFunctionalGroupsSequence": Condition(
        is_not_tiled_full, "the Dimension Organization Type is not TILED_FULL", "C.7.6.16"
    ),
    "InConcatenationNumber": _CONCATENATED,
    "ConcatenationFrameOffsetNumber": _CONCATENATED,
    "SOPInstanceUIDOfConcatenationSource": _CONCATENATED,
}


def attribute_condition(module: str, sequence: str, keyword: str) -> Condition | None:
    """Return the condition of an attribute of type 1C or 2C; ``None`` if it is not known.

    Args:
        module: The key of the module.
        sequence: The keyword of the innermost sequence that it lies in; empty at the top.
        keyword: Its keyword.
    """
    if sequence:
        found = item_condition(sequence, keyword)
        if found is None and keyword.startswith(_PALETTES) and "PaletteColor" in keyword:
            return _IMAGE_PIXEL.get(keyword)  # of an icon
        return found
    found = _OF_MODULES.get(module, {}).get(keyword)
    if found is None and module.endswith("multi-frame-functional-groups"):
        return _FUNCTIONAL_GROUPS.get(keyword)
    return found

"""Enumerated Values and Defined Terms of the attributes that are in most objects.

The tables that this package reads have no values; these are from PS3.3, each with its section.
An Enumerated Value is the whole list, a Defined Term may be joined by others (PS3.3 1.5).
"""

from __future__ import annotations

from typing import Final

import attrs

__all__ = ["Terms", "attribute_terms"]


@attrs.frozen
class Terms:
    """What a value of an attribute may be."""

    values: frozenset[str]
    """The terms."""
    reference: str
    """The section of PS3.3."""
    is_closed: bool = True
    """Whether there are no others: Enumerated Values."""
    index: int | None = None
    """Which value they are for; ``None`` for each."""


def _enumerated(reference: str, *values: str) -> tuple[Terms, ...]:
    return (Terms(frozenset(values), reference),)


def _defined(reference: str, *values: str) -> tuple[Terms, ...]:
    return (Terms(frozenset(values), reference, is_closed=False),)


_YES_NO: Final = ("YES", "NO")
_IMAGE_TYPE: Final = (
    Terms(frozenset(("ORIGINAL", "DERIVED", "MIXED")), "C.7.6.1.1.2", index=0),
    Terms(frozenset(("PRIMARY", "SECONDARY")), "C.7.6.1.1.2", index=1),
)
_APPROVAL: Final = _enumerated("C.8.8.16", "APPROVED", "UNAPPROVED", "REJECTED")

_OF_MODULES: Final[dict[str, dict[str, tuple[Terms, ...]]]] = {
    "patient": {
        "PatientSex": _enumerated("C.7.1.1", "M", "F", "O"),
        "PatientIdentityRemoved": _enumerated("C.7.1.1", *_YES_NO),
    },
    "general-series": {
        "Laterality": _enumerated("C.7.3.1", "R", "L"),
        "PatientPosition": _defined(
            "C.7.3.1.1.2",
            *(
                f"{head}{side}"
                for head in ("HF", "FF", "LF", "RF")
                for side in ("P", "S", "DR", "DL")
            ),
            "AFDL",
            "AFDR",
            "AFP",
            "AFS",
            "PFDL",
            "PFDR",
            "PFP",
            "PFS",
            "SITTING",
        ),
    },
    "general-image": {
        "ImageType": _IMAGE_TYPE,
        "LossyImageCompression": _enumerated("C.7.6.1", "00", "01"),
        "BurnedInAnnotation": _enumerated("C.7.6.1", *_YES_NO),
        "RecognizableVisualFeatures": _enumerated("C.7.6.1", *_YES_NO),
        "QualityControlImage": _enumerated("C.7.6.1", *_YES_NO),
        "ImageLaterality": _enumerated("C.7.6.1", "R", "L", "U", "B"),
    },
    "image-pixel": {
        "PhotometricInterpretation": _defined(
            "C.7.6.3.1.2",
            "MONOCHROME1",
            "MONOCHROME2",
            "PALETTE COLOR",
            "RGB",
            "YBR_FULL",
            "YBR_FULL_422",
            "YBR_PARTIAL_420",
            "YBR_ICT",
            "YBR_RCT",
            "XYB",
        ),
        "PlanarConfiguration": _enumerated("C.7.6.3.1.3", "0", "1"),
        "PixelRepresentation": _enumerated("C.7.6.3", "0", "1"),
    },
    "voi-lut": {
        "VOILUTFunction": _defined("C.11.2", "LINEAR", "LINEAR_EXACT", "SIGMOID"),
    },
    "sc-equipment": {
        "ConversionType": _defined("C.8.6.1", "DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"),
    },
    "mr-image": {
        "ScanningSequence": _enumerated("C.8.3.1", "SE", "IR", "GR", "EP", "RM"),
        "SequenceVariant": _defined(
            "C.8.3.1", "SK", "MTC", "SS", "TRSS", "SP", "MP", "OSP", "NONE"
        ),
        "MRAcquisitionType": _enumerated("C.8.3.1", "2D", "3D"),
    },
    "pet-series": {
        "SeriesType": (
            Terms(frozenset(("STATIC", "DYNAMIC", "GATED", "WHOLE BODY")), "C.8.9.1.1.1", index=0),
            Terms(frozenset(("IMAGE", "REPROJECTION")), "C.8.9.1.1.2", index=1),
        ),
        "Units": _defined(
            "C.8.9.1.1.3",
            "CNTS",
            "NONE",
            "CM2",
            "CM2ML",
            "PCNT",
            "CPS",
            "BQML",
            "MGMINML",
            "UMOLMINML",
            "MLMING",
            "MLG",
            "1CM",
            "UMOLML",
            "PROPCNTS",
            "PROPCPS",
            "MLMINML",
            "MLML",
            "GML",
            "STDDEV",
        ),
        "CountsSource": _enumerated("C.8.9.1", "EMISSION", "TRANSMISSION"),
        "DecayCorrection": _defined("C.8.9.1", "NONE", "START", "ADMIN"),
    },
    "x-ray-image": {
        "PixelIntensityRelationship": _enumerated("C.8.7.1.1.2", "LIN", "LOG", "DISP"),
    },
    "x-ray-acquisition": {"RadiationSetting": _enumerated("C.8.7.2", "SC", "GR")},
    "xa-positioner": {"PositionerMotion": _defined("C.8.7.5", "STATIC", "DYNAMIC")},
    "rt-dose": {
        "DoseUnits": _enumerated("C.8.8.3", "GY", "RELATIVE"),
        "DoseType": _defined("C.8.8.3", "PHYSICAL", "EFFECTIVE", "ERROR"),
        "DoseSummationType": _defined(
            "C.8.8.3",
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
            "RECORD",
        ),
    },
    "rt-general-plan": {
        "RTPlanGeometry": _defined("C.8.8.9", "PATIENT", "TREATMENT_DEVICE"),
    },
    "approval": {"ApprovalStatus": _APPROVAL},
    "segmentation-image": {
        "SegmentationType": _enumerated("C.8.20.2", "BINARY", "FRACTIONAL", "LABELMAP"),
        "SegmentationFractionalType": _enumerated("C.8.20.2.3", "PROBABILITY", "OCCUPANCY"),
    },
    "sr-document-general": {
        "CompletionFlag": _enumerated("C.17.2", "PARTIAL", "COMPLETE"),
        "VerificationFlag": _enumerated("C.17.2", "UNVERIFIED", "VERIFIED"),
    },
}

_IN_SEQUENCES: Final[dict[tuple[str, str], tuple[Terms, ...]]] = {
    ("SegmentSequence", "SegmentAlgorithmType"): _enumerated(
        "C.8.20.4", "AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"
    ),
    ("ContourSequence", "ContourGeometricType"): _defined(
        "C.8.8.6.1",
        "POINT",
        "OPEN_PLANAR",
        "OPEN_NONPLANAR",
        "CLOSED_PLANAR",
        "CLOSEDPLANAR_XOR",
    ),
    ("BeamSequence", "BeamType"): _enumerated("C.8.8.14", "STATIC", "DYNAMIC"),
    ("BeamSequence", "RadiationType"): _defined(
        "C.8.8.14", "PHOTON", "ELECTRON", "NEUTRON", "PROTON"
    ),
    ("WaveformSequence", "WaveformOriginality"): _enumerated("C.10.9", "ORIGINAL", "DERIVED"),
    ("WaveformSequence", "WaveformBitsAllocated"): _enumerated("C.10.9", "8", "16", "32", "64"),
    ("WaveformSequence", "WaveformSampleInterpretation"): _enumerated(
        "C.10.9", "SB", "UB", "MB", "AB", "SS", "US", "SL", "UL", "SV", "UV"
    ),
}


def attribute_terms(module: str, sequence: str, keyword: str) -> tuple[Terms, ...]:
    """Return the terms of an attribute, none if they are not in these tables.

    Args:
        module: The key of the module.
        sequence: The keyword of the innermost sequence that it lies in; empty at the top.
        keyword: Its keyword.
    """
    if sequence:
        return _IN_SEQUENCES.get((sequence, keyword), ())
    return _OF_MODULES.get(module, {}).get(keyword, ())

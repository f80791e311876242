"""What conditions ask that takes more than one attribute to tell."""

from __future__ import annotations

from typing import Final

from pacs_sdk.services.iod_validation.condition import Holds, absent, is_multi_frame, is_one_of
from pacs_sdk.services.iod_validation.item_values import pointers, text, texts
from pacs_sdk.services.iod_validation.scene import Scene

__all__ = [
    "CONVERTED",
    "has_spacing",
    "is_acquired_frame",
    "is_algorithmic",
    "is_below_root",
    "is_cda",
    "is_content",
    "is_decay_corrected",
    "is_deidentified_somehow",
    "is_not_tiled_full",
    "is_original",
    "is_placed",
    "is_root",
    "is_within_functional_group",
    "needs_palette",
    "needs_patient_orientation",
    "needs_patient_position",
    "needs_repetition_time",
    "several_frames",
]

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
CONVERTED: Final = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
        "1.2.840.10008.5.1.4.1.1.4.4",  # MR
        "1.2.840.10008.5.1.4.1.1.128.1",  # PET
    )
)


def needs_patient_position(scene: Scene) -> bool:
    """Whether it is a CT or MR image that needs a Patient Position."""
    return scene.sop_class_uid in _PATIENT_POSITION_CLASSES and not scene.has(
        "PatientOrientationCodeSequence"
    )


def needs_patient_orientation(scene: Scene) -> bool:
    """Whether nothing else tells how the image is oriented."""
    return "image-plane" not in scene.mandatory_modules and not scene.has(
        "ImageOrientationPatient",
        "ImageOrientationSlide",
        "SharedFunctionalGroupsSequence",  # where enhanced images have their orientation
        "DetectorInformationSequence",  # where nuclear medicine has it
    )


def needs_repetition_time(scene: Scene) -> bool:
    """Whether the sequence is not a single echo planar shot."""
    sequences = texts(scene.item, "ScanningSequence")
    is_echo_planar = "EP" in sequences
    return not is_echo_planar or "SK" in texts(scene.item, "SequenceVariant")


def is_deidentified_somehow(scene: Scene) -> bool:
    """Whether the identity was removed, and no code says how."""
    return text(scene.item, "PatientIdentityRemoved") == "YES" and not scene.has(
        "DeidentificationMethodCodeSequence"
    )


def is_cda(scene: Scene) -> bool:
    """Whether it is an Encapsulated CDA document."""
    return scene.sop_class_uid == "1.2.840.10008.5.1.4.1.1.104.2"


def several_frames(scene: Scene) -> bool:
    """Whether it has more than one frame."""
    return is_multi_frame(scene.item)


def needs_palette(colour: str) -> Holds:
    """Hold for palette images whose table of that colour is not segmented."""
    is_palette = is_one_of("PhotometricInterpretation", "PALETTE COLOR")
    is_whole = absent(f"Segmented{colour}PaletteColorLookupTableData")
    return lambda scene: is_palette(scene) and is_whole(scene)


def is_decay_corrected(scene: Scene) -> bool:
    """Whether the values of a PET image are corrected for decay."""
    return text(scene.item, "DecayCorrection") not in ("", "NONE")


def is_algorithmic(scene: Scene) -> bool:
    """Whether a segment was not drawn by hand alone."""
    return text(scene.item, "SegmentAlgorithmType") != "MANUAL"


def is_within_functional_group(scene: Scene) -> bool:
    """Whether a dimension's attribute is not at the top, so that it lies in a group."""
    return any(
        int(pointer) not in scene.top and not pointer.is_private
        for pointer in pointers(scene.item, "DimensionIndexPointer")
    )


_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"


def has_spacing(scene: Scene) -> bool:
    """Whether pixels have a size: those of volumes, and of segmentations in space."""
    return text(scene.top, "VolumetricProperties") == "VOLUME" or _is_segmentation_in_space(scene)


def is_placed(scene: Scene) -> bool:
    """Whether frames have a place: ORIGINAL undistorted ones, and segmentations in space."""
    is_undistorted = text(scene.top, "VolumetricProperties") != "DISTORTED"
    return (is_original(scene) and is_undistorted) or _is_segmentation_in_space(scene)


def _is_segmentation_in_space(scene: Scene) -> bool:
    return scene.sop_class_uid == _SEGMENTATION and bool(text(scene.top, "FrameOfReferenceUID"))


def is_original(scene: Scene) -> bool:
    """Whether all frames are ORIGINAL; where only some are, the Image Type says MIXED."""
    return text(scene.top, "ImageType") == "ORIGINAL"


def is_acquired_frame(scene: Scene) -> bool:
    """Whether the frames of an enhanced CT, MR or PET image were acquired."""
    return scene.sop_class_uid in _ENHANCED and is_original(scene)


def is_not_tiled_full(scene: Scene) -> bool:
    """Whether frames are not laid out as one full tiling."""
    return text(scene.item, "DimensionOrganizationType") != "TILED_FULL"


def is_content(scene: Scene) -> bool:
    """Whether a content item is given here and not by reference (PS3.3 C.17.3.2.5)."""
    return not scene.has("ReferencedContentItemIdentifier")


def is_root(scene: Scene) -> bool:
    """Whether a content item is the root."""
    return not scene.outer


def is_below_root(scene: Scene) -> bool:
    """Whether a content item is not the root."""
    return bool(scene.outer)

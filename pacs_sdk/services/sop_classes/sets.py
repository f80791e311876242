"""Sets of storage SOP classes with a name, so that a configuration need not list UIDs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from types import MappingProxyType
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.services.sop_classes.registry import SopClass, find_sop_class, storage_sop_classes

__all__ = ["SopClassSet", "chosen_sop_classes", "sop_class_sets"]


@attrs.frozen
class SopClassSet:
    """Storage SOP classes that belong together."""

    name: str
    """What a configuration calls it; upper and lower case are the same there."""
    meaning: str
    """What is in it."""
    sop_classes: tuple[SopClass, ...]
    """The SOP classes, in the order of PS3.6."""


_IMAGES: Final = (
    "*ImageStorage *ImageStorageFor* *ImageStorageRetired *ImageStorageTrial EnhancedUSVolumeStorage "
    "SegmentationStorage LabelMapSegmentationStorage HeightMapSegmentationStorage "
    "ParametricMapStorage RTDoseStorage OphthalmicThicknessMapStorage CornealTopographyMapStorage "
    "OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage DICOS?DAITStorage"
)

_OPHTHALMIC_IMAGES: Final = "Ophthalmic*Photography* WideFieldOphthalmicPhotography*"

_PATTERNS: Final[Mapping[str, tuple[str, str]]] = {
    "all": ("every storage SOP class of patient objects", "*"),
    "all images": ("everything that has pixels: images, video, maps, segmentations, dose", _IMAGES),
    "CR": ("computed radiography", "ComputedRadiography*"),
    "CT": ("computed tomography", "CTImage* EnhancedCTImage* LegacyConvertedEnhancedCT*"),
    "DX": ("digital radiography", "DigitalXRayImage*"),
    "ECG": ("electrocardiograms", "*ECGWaveform*"),
    "ES": ("endoscopy", "VLEndoscopic* VideoEndoscopic*"),
    "GM": ("microscopy", "VLMicroscopic* VideoMicroscopic*"),
    "IO": ("intra-oral radiography", "DigitalIntraOralXRayImage*"),
    "IVOCT": ("intravascular optical coherence tomography", "IntravascularOptical*"),
    "KO": ("key object selections", "KeyObjectSelection*"),
    "MG": (
        "mammography, with tomosynthesis",
        "DigitalMammography* BreastTomosynthesis* BreastProjection*",
    ),
    "MR": (
        "magnetic resonance, with spectroscopy",
        "MRImage* EnhancedMR* MRSpectroscopy* LegacyConvertedEnhancedMR*",
    ),
    "NM": ("nuclear medicine", "NuclearMedicine*"),
    "OP": ("ophthalmic photography", _OPHTHALMIC_IMAGES),
    "OPT": (
        "ophthalmic tomography",
        "OphthalmicTomography* OphthalmicOpticalCoherenceTomography*",
    ),
    "PR": ("presentation states", "*PresentationStateStorage"),
    "PT": (
        "positron emission tomography",
        "PositronEmission* EnhancedPETImage* LegacyConvertedEnhancedPET* StandalonePETCurve*",
    ),
    "REG": ("registrations and fiducials", "*SpatialRegistration* SpatialFiducials*"),
    "RF": ("radiofluoroscopy", "XRayRadiofluoroscopic* EnhancedXRF*"),
    "RT": (
        "radiotherapy: plans, dose, structure sets, images, records, instructions",
        "RT* *RTImage* CArmPhoton* Tomotherapeutic* Robotic*",
    ),
    "SC": ("secondary capture", "*SecondaryCapture*"),
    "SEG": ("segmentations", "*SegmentationStorage"),
    "SM": (
        "slide microscopy",
        "VLWholeSlide* VLSlideCoordinates* ConfocalMicroscopy* MicroscopyBulk*",
    ),
    "SR": ("structured reports, with procedure logs", "*SRStorage *SRStorageTrial ProcedureLog*"),
    "US": ("ultrasound", "Ultrasound* EnhancedUSVolume* Photoacoustic*"),
    "XA": (
        "angiography, with three-dimensional X-ray",
        "XRayAngiographic* EnhancedXAImage* XRay3D*",
    ),
    "XC": ("photography", "VLPhotographic* VideoPhotographic* Dermoscopic*"),
    "documents": ("encapsulated documents: PDF, CDA, models for printing", "Encapsulated*"),
    "ophthalmology": (
        "images, measurements and maps of eyes",
        (
            "*Ophthalmic* Lensometry* Autorefraction* Keratometry* SubjectiveRefraction* "
            "VisualAcuity* SpectaclePrescription* Intraocular* MacularGrid* CornealTopography* "
            "Stereometric*"
        ),
    ),
    "raw data": ("raw data", "RawDataStorage"),
    "video": ("video", "Video*"),
    "visible light": (
        "photographs and microscopy in visible light",
        f"VL* Video* Dermoscopic* {_OPHTHALMIC_IMAGES} ConfocalMicroscopy*",
    ),
    "waveforms": ("waveforms of every kind, voice included", "*WaveformStorage*"),
}
"""Name -> meaning, and patterns of keywords: a new edition's SOP classes fall into place."""

_RETIRED: Final = "retired"


@cache
def sop_class_sets() -> Mapping[str, SopClassSet]:
    """Return the sets by name: "all", "all images", "CT", "MR", "SR", "RT", "retired" and more.

    Sets overlap, and each holds retired SOP classes as well: old studies are full of them.
    """
    found = {
        name: SopClassSet(name, meaning, _matching(patterns.split()))
        for name, (meaning, patterns) in _PATTERNS.items()
    }
    retired = tuple(one for one in storage_sop_classes() if one.is_retired)
    found[_RETIRED] = SopClassSet(_RETIRED, "what the standard has retired", retired)
    return MappingProxyType(found)


def _matching(patterns: Iterable[str]) -> tuple[SopClass, ...]:
    patterns = tuple(patterns)
    return tuple(
        one
        for one in storage_sop_classes()
        if any(fnmatchcase(one.keyword, pattern) for pattern in patterns)
    )


@edge()
def chosen_sop_classes(choice: Iterable[str]) -> tuple[str, ...]:
    """Turn what a configuration says into SOP Class UIDs.

    Args:
        choice: Names of sets (``CT``, ``all images``), keywords (``CTImageStorage``) and UIDs,
            private ones too. What begins with ``!`` is taken out of what stands before it:
            ``["all", "!retired"]``.

    Returns:
        ``Success`` with the UIDs, each once, or ``Failure`` with ``INVALID_CONFIGURATION``
        for a name that is none, a SOP class that is not one of Storage of patient objects, or
        a choice that leaves nothing.
    """
    chosen: dict[str, None] = {}
    for text in choice:
        name = text.strip()
        if name.startswith("!"):
            for uid in _uids_of(name[1:].strip()):
                chosen.pop(uid, None)
        else:
            chosen.update(dict.fromkeys(_uids_of(name)))
    if not chosen:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION, "the choice of SOP classes leaves none to accept"
        )
    return tuple(chosen)


def _uids_of(name: str) -> tuple[str, ...]:
    known = _sets_by_folded_name().get(name.casefold())
    if known is not None:
        return tuple(one.uid for one in known.sop_classes)
    sop_class = find_sop_class(name)
    if sop_class is not None and not sop_class.is_storage:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{sop_class.name} is no storage SOP class of patient objects",
            sop_class_uid=sop_class.uid,
        )
    if sop_class is not None:
        return (sop_class.uid,)
    if is_valid_uid(name) and "." in name:
        return (name,)
    near = difflib.get_close_matches(name, [*sop_class_sets(), *_keywords()], n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else "give a set such as CT, a keyword, or a UID"
    raise PacsException(
        ErrorCode.INVALID_CONFIGURATION, f"{name!r} names no storage SOP classes; {hint}", name=name
    )


@cache
def _sets_by_folded_name() -> Mapping[str, SopClassSet]:
    return {name.casefold(): one for name, one in sop_class_sets().items()}


def _keywords() -> Iterable[str]:
    return (one.keyword for one in storage_sop_classes())

"""Multi-frame Functional Groups and Dimensions (PS3.3 C.7.6.16, C.7.6.17)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from pydicom.dataset import Dataset

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.services.iod_validation.item_values import (
    described,
    integer,
    is_present,
    items_of,
    pointers,
    tag_of,
    text,
    texts,
)
from pacs_sdk.services.iod_validation.report import IodFinding, Severity
from pacs_sdk.services.iod_validation.subject import TOP, Subject

__all__ = ["check_functional_groups"]

_SECTION: Final = "C.7.6.16"
_SHARED: Final = "SharedFunctionalGroupsSequence"
_PER_FRAME: Final = "PerFrameFunctionalGroupsSequence"
_GEOMETRY: Final = ("PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence")
_MANDATORY: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "1.2.840.10008.5.1.4.1.1.2.1": (
        "A.38.1.4",
        (
            *_GEOMETRY,
            "FrameAnatomySequence",
            "CTImageFrameTypeSequence",
            "PixelValueTransformationSequence",
        ),
    ),
    "1.2.840.10008.5.1.4.1.1.4.1": (
        "A.36.2.4",
        (*_GEOMETRY, "FrameAnatomySequence", "MRImageFrameTypeSequence"),
    ),
    "1.2.840.10008.5.1.4.1.1.130": (
        "A.56.4",
        (*_GEOMETRY, "PETFrameTypeSequence", "PixelValueTransformationSequence"),
    ),
    "1.2.840.10008.5.1.4.1.1.13.1.3": (
        "A.55.4",
        (*_GEOMETRY, "XRay3DFrameTypeSequence", "PixelValueTransformationSequence"),
    ),
    "1.2.840.10008.5.1.4.1.1.30": (
        "A.75.4",
        (
            "PixelMeasuresSequence",
            "RealWorldValueMappingSequence",
            "ParametricMapFrameTypeSequence",
        ),
    ),
}
"""SOP class → the section, and the functional groups with usage M there."""

_WITHOUT_FRAME_CONTENT: Final = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.77.1.6",  # VL Whole Slide Microscopy: user option (A.32.8.4)
        "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte Secondary Capture (A.8.3.4)
        "1.2.840.10008.5.1.4.1.1.7.3",  # Multi-frame Grayscale Word Secondary Capture (A.8.4.4)
        "1.2.840.10008.5.1.4.1.1.7.4",  # Multi-frame True Color Secondary Capture (A.8.5.4)
    )
)
"""The SOP classes whose frames need no Frame Content; it is mandatory in all others."""

_CT_RECONSTRUCTION: Final = "CTReconstructionSequence"
"""Not of projections, which are taken at a constant angle (A.38.1.4)."""

_OF_ACQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "1.2.840.10008.5.1.4.1.1.2.1": (
        "CTAcquisitionTypeSequence",
        "CTAcquisitionDetailsSequence",
        "CTTableDynamicsSequence",
        "CTPositionSequence",
        "CTGeometrySequence",
        _CT_RECONSTRUCTION,
        "CTExposureSequence",
        "CTXRayDetailsSequence",
    ),
    "1.2.840.10008.5.1.4.1.1.4.1": (
        "MRTimingAndRelatedParametersSequence",
        "MREchoSequence",
        "MRModifierSequence",
        "MRImagingModifierSequence",
        "MRReceiveCoilSequence",
        "MRTransmitCoilSequence",
        "MRAveragesSequence",
    ),
}
"""SOP class → the functional groups that ORIGINAL and MIXED images have, in the same sections."""


def check_functional_groups(subject: Subject) -> Iterator[IodFinding]:
    """Check that there is a set of groups for each frame, and each group once."""
    dataset = subject.dataset
    shared = items_of(dataset, _SHARED)
    per_frame = items_of(dataset, _PER_FRAME)
    frames = integer(dataset, "NumberOfFrames")
    if len(shared) > 1:
        yield TOP.broken(_SHARED, f"{len(shared)} items; there is one", _SECTION)
    if per_frame and frames is not None and len(per_frame) != frames:
        yield TOP.broken(_PER_FRAME, f"{len(per_frame)} items for {frames} frames", _SECTION)
    if not per_frame:
        return
    yield from _once(shared, per_frame)
    yield from _for_each_frame(subject, shared, per_frame)
    yield from _dimensions(dataset, per_frame)


def _groups(item: Dataset) -> set[int]:
    return {int(tag) for tag in item.keys() if not int(tag) >> 16 & 1}  # noqa: SIM118


def _once(shared: Sequence[Dataset], per_frame: Sequence[Dataset]) -> Iterator[IodFinding]:
    """A group is for all frames, or in each: never both (C.7.6.16.1.1)."""
    for_all = _groups(shared[0]) if shared else set()
    frames_with = Counter(tag for item in per_frame for tag in _groups(item))
    for tag in sorted(for_all & frames_with.keys()):
        yield TOP.broken(
            _PER_FRAME, f"{described(tag)} is both shared and in single frames", "C.7.6.16.1.1"
        )
    for tag in sorted(frames_with.keys() - for_all):
        keyword = DicomTag(tag).keyword
        missing = len(per_frame) - frames_with[tag]
        if missing and keyword and keyword != "FrameContentSequence":
            first = next(index for index, item in enumerate(per_frame) if tag not in item)
            yield TOP.item(_PER_FRAME, first).missing(
                keyword,
                f"{described(tag)} is in other frames, and not in {missing}",
                "C.7.6.16.1.2",
                Severity.WARNING,  # some conditional groups depend on the frame
            )


def _for_each_frame(
    subject: Subject, shared: Sequence[Dataset], per_frame: Sequence[Dataset]
) -> Iterator[IodFinding]:
    """Mandatory groups are shared or in the frames; Frame Content is in every frame."""
    for index, item in enumerate(per_frame):
        if subject.sop_class_uid in _WITHOUT_FRAME_CONTENT:
            break
        if not is_present(item, "FrameContentSequence"):
            place = TOP.item(_PER_FRAME, index)
            yield place.missing("FrameContentSequence", "a frame has no content", "C.7.6.16.2.2")
    section, mandatory = _MANDATORY.get(subject.sop_class_uid, ("", ()))
    if text(subject.dataset, "ImageType") in ("ORIGINAL", "MIXED"):
        mandatory += _OF_ACQUIRED.get(subject.sop_class_uid, ())
    for keyword in mandatory:
        if keyword == _CT_RECONSTRUCTION and _is_at_constant_angle((*shared, *per_frame)):
            continue
        if not any(is_present(item, keyword) for item in (*shared[:1], *per_frame)):
            yield TOP.item(_SHARED, 0).missing(
                keyword,
                f"the mandatory functional group {described(tag_of(keyword))} is neither shared "
                "nor in a frame",
                section,
            )


def _is_at_constant_angle(groups: Sequence[Dataset]) -> bool:
    return any(
        text(one, "AcquisitionType") == "CONSTANT_ANGLE"
        for item in groups
        for one in items_of(item, "CTAcquisitionTypeSequence")[:1]
    )


def _dimensions(dataset: Dataset, per_frame: Sequence[Dataset]) -> Iterator[IodFinding]:
    """Each frame has a value for each dimension (C.7.6.17)."""
    indices = items_of(dataset, "DimensionIndexSequence")
    if not indices:
        return
    organizations = {
        text(one, "DimensionOrganizationUID")
        for one in items_of(dataset, "DimensionOrganizationSequence")
    }
    for number, one in enumerate(indices):
        uid = text(one, "DimensionOrganizationUID")
        if uid and organizations and uid not in organizations:
            yield TOP.item("DimensionIndexSequence", number).broken(
                "DimensionOrganizationUID",
                "no item of the Dimension Organization Sequence has this UID",
                "C.7.6.17",
            )
    for frame, item in enumerate(per_frame):
        for content in items_of(item, "FrameContentSequence")[:1]:
            values = texts(content, "DimensionIndexValues")
            if values and len(values) != len(indices):
                place = TOP.item(_PER_FRAME, frame).item("FrameContentSequence", 0)
                yield place.broken(
                    "DimensionIndexValues",
                    f"{len(values)} values for {len(indices)} dimensions",
                    "C.7.6.16.2.2",
                )
    yield from _pointers(indices, per_frame)


def _pointers(indices: Sequence[Dataset], per_frame: Sequence[Dataset]) -> Iterator[IodFinding]:
    """What a dimension points to is in the functional group that it names (C.7.6.17.1)."""
    named = {int(group) for one in indices for group in pointers(one, "FunctionalGroupPointer")[:1]}
    inside: dict[int, set[int]] = defaultdict(set)
    """Group → what its items in the frames have."""
    for item in per_frame:
        for tag in named & _groups(item):
            for inner in items_of(item, tag)[:1]:
                inside[tag].update(map(int, inner.keys()))
    for number, one in enumerate(indices):
        groups, attributes = (
            pointers(one, "FunctionalGroupPointer"),
            pointers(one, "DimensionIndexPointer"),
        )
        if not groups or not attributes:
            continue
        group, pointer = groups[0], attributes[0]
        if group.is_private or pointer.is_private:
            continue
        if int(group) in inside and int(pointer) not in inside[int(group)]:
            place = TOP.item("DimensionIndexSequence", number)
            yield place.broken(
                "DimensionIndexPointer",
                f"no frame has {described(int(pointer))} in {described(int(group))}",
                "C.7.6.17.1",
                Severity.WARNING,
            )

"""Reading DICOM Segmentations (PS3.3 A.51, C.8.20)."""

from __future__ import annotations

import math
from typing import Final

from pydicom.uid import UID

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.pixels import ImageSource
from pacs_sdk.encoding.rendering.attributes import functional_group, items, number, text, whole
from pacs_sdk.integration.itk.geometry import axes_defect_of
from pacs_sdk.integration.modality.opened import name_of, opened
from pacs_sdk.integration.segmentation.frame_groups import FrameGroups
from pacs_sdk.integration.segmentation.grid import (
    Grid,
    Plane,
    frame_of_reference_of,
    geometry_of,
    grid_of_planes,
    place_plane,
)
from pacs_sdk.integration.segmentation.segment import CodedConcept, Segment, SegmentationType
from pacs_sdk.integration.segmentation.segmentation import PlacedFrame, Segmentation

__all__ = ["load_segmentation"]

SEGMENTATION_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_SEGMENTATION_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.66.7"
_DEFAULT_MAX_BYTES: Final = 16 << 30


@edge(VALUE_ERRORS)
def load_segmentation(
    source: ImageSource,
    reference: Grid | None = None,
    *,
    crop: bool = False,
    max_volume_bytes: int = _DEFAULT_MAX_BYTES,
) -> Segmentation:
    """Read a segmentation and lay its segments onto the grid of a volume.

    BINARY, FRACTIONAL and LABELMAP segmentations, frames in any order. Places without a
    frame are background. Nothing is resampled: every pixel has to be a voxel of the grid,
    whose axes may be turned or mirrored against the segmentation's by right angles.

    Args:
        source: A path, an instance or a data set.
        reference: The volume that was segmented, or another with its lattice. Without one
            the masks get the smallest grid that holds all frames.
        crop: Cut off what lies outside the reference, instead of refusing it.
        max_volume_bytes: The most memory that one mask or label map may take.

    Returns:
        ``Success``; or ``Failure`` with ``SERIES_NOT_LOADABLE`` for an object that is no
        segmentation in patient coordinates or contradicts itself, ``INVALID_ARGUMENT`` for a
        reference whose grid its pixels are not on, or what reading gives.
    """
    dataset, pixels = opened(source)
    name = name_of(source, dataset)
    kind = _kind(dataset, name)
    segments = _segments(dataset, name)
    planes, numbers_ = _frames(dataset, kind, name)
    known = {one.number for one in segments}
    for index, segment in enumerate(numbers_):
        if segment is not None and segment not in known:
            raise _refuse(name, f"frame {index + 1} refers to segment {segment}, which it has not")
    if reference is None:
        geometry = grid_of_planes(planes, *_stated_steps(dataset), name)
    else:
        geometry = geometry_of(reference)
        _check_reference(dataset, reference, name)
    frames = tuple(
        PlacedFrame(index, segment, place_plane(plane, geometry, f"frame {index + 1} of {name}"))
        for index, (plane, segment) in enumerate(zip(planes, numbers_, strict=True))
    )
    _check_places(frames, name)
    most = whole(dataset, "MaximumFractionalValue") or 1
    return Segmentation(
        source=pixels,
        kind=kind,
        geometry=geometry,
        segments=segments,
        frames=frames,
        maximum_fractional_value=most,
        frame_of_reference_uid=text(dataset, "FrameOfReferenceUID"),
        series_instance_uids=tuple(
            text(item, "SeriesInstanceUID") for item in items(dataset, "ReferencedSeriesSequence")
        ),
        crop=crop,
        max_volume_bytes=max_volume_bytes,
    )


def _refuse(name: str, words: str) -> PacsException:
    return PacsException(ErrorCode.SERIES_NOT_LOADABLE, f"{name}: {words}", path=name)


def _kind(dataset: DicomDataset, name: str) -> SegmentationType:
    sop_class = text(dataset, "SOPClassUID")
    if sop_class not in (SEGMENTATION_STORAGE, LABEL_MAP_SEGMENTATION_STORAGE):
        kind = UID(sop_class).name or "data set without SOPClassUID (0008,0016)"
        raise _refuse(name, f"it is a {kind}, no Segmentation")
    stated = text(dataset, "SegmentationType")
    if stated not in SegmentationType.__members__:
        raise _refuse(name, f"SegmentationType (0062,0001) is {stated!r}")
    if len(items(dataset, "SegmentSequence")) == 0:
        raise _refuse(name, "SegmentSequence (0062,0002) is missing: it has no segment")
    return SegmentationType(stated)


def _segments(dataset: DicomDataset, name: str) -> tuple[Segment, ...]:
    label_map = text(dataset, "SegmentationType") == SegmentationType.LABELMAP
    background = whole(dataset, "PixelPaddingValue") or 0 if label_map else 0
    found: dict[int, Segment] = {}
    for item in items(dataset, "SegmentSequence"):
        number = whole(item, "SegmentNumber")
        if number is None or number < 0 or number in found:
            raise _refuse(name, f"SegmentNumber (0062,0004) {number} is missing or there twice")
        if number == background:  # of a label map, which may describe it (PS3.3 C.8.20.2)
            continue
        if number == 0:
            raise _refuse(
                name,
                f"SegmentNumber (0062,0004) is 0, and PixelPaddingValue (0028,0120) {background} "
                "is the background; here 0 stands for no segment",
            )
        found[number] = Segment(
            number=number,
            label=text(item, "SegmentLabel"),
            category=_concept(item, "SegmentedPropertyCategoryCodeSequence"),
            property_type=_concept(item, "SegmentedPropertyTypeCodeSequence"),
            algorithm_type=text(item, "SegmentAlgorithmType"),
            algorithm_name=text(item, "SegmentAlgorithmName"),
            tracking_id=text(item, "TrackingID"),
            tracking_uid=text(item, "TrackingUID"),
        )
    if not found:
        raise _refuse(name, "SegmentSequence (0062,0002) describes the background only")
    return tuple(found[number] for number in sorted(found))


def _concept(item: DicomDataset, keyword: str) -> CodedConcept | None:
    for code in items(item, keyword)[:1]:
        return CodedConcept(
            text(code, "CodeValue") or text(code, "LongCodeValue"),
            text(code, "CodingSchemeDesignator"),
            text(code, "CodeMeaning"),
        )
    return None


def _frames(
    dataset: DicomDataset, kind: SegmentationType, name: str
) -> tuple[list[Plane], list[int | None]]:
    """Return the plane of each frame, and the segment it is of."""
    count = whole(dataset, "NumberOfFrames") or 1
    groups = FrameGroups.of(dataset)
    if len(groups) != count:
        raise _refuse(
            name,
            f"NumberOfFrames (0028,0008) is {count}, PerFrameFunctionalGroupsSequence "
            f"(5200,9230) has {len(groups)} items",
        )
    rows, columns = whole(dataset, "Rows") or 0, whole(dataset, "Columns") or 0
    planes: list[Plane] = []
    segments: list[int | None] = []
    for frame in range(count):
        planes.append(_plane(groups, frame, (rows, columns), name))
        if kind is SegmentationType.LABELMAP:
            segments.append(None)
            continue
        found = groups.numbers(frame, "SegmentIdentificationSequence", "ReferencedSegmentNumber")
        if len(found) != 1:
            raise _refuse(name, f"frame {frame + 1} has no ReferencedSegmentNumber (0062,000B)")
        segments.append(int(found[0]))
    return planes, segments


def _plane(groups: FrameGroups, frame: int, size: tuple[int, int], name: str) -> Plane:
    position, orientation, spacing = (
        _numbers(groups, frame, place, name)
        for place in (
            ("PlanePositionSequence", "ImagePositionPatient", 3),
            ("PlaneOrientationSequence", "ImageOrientationPatient", 6),
            ("PixelMeasuresSequence", "PixelSpacing", 2),
        )
    )
    defect = axes_defect_of(orientation)
    if defect or min(spacing) <= 0:
        raise _refuse(name, f"frame {frame + 1}: {defect or 'PixelSpacing is not above 0 mm'}")
    x, y, z = position
    between_rows, between_columns = spacing
    return Plane((x, y, z), orientation, (between_rows, between_columns), *size)


def _numbers(
    groups: FrameGroups, frame: int, place: tuple[str, str, int], name: str
) -> tuple[float, ...]:
    macro, keyword, count = place
    found = groups.numbers(frame, macro, keyword)
    if len(found) != count or not all(map(math.isfinite, found)):
        raise _refuse(
            name, f"frame {frame + 1} has no {keyword} in {macro}: it has no place in the patient"
        )
    return found


def _stated_steps(dataset: DicomDataset) -> tuple[float | None, float | None]:
    """Return Spacing Between Slices and Slice Thickness."""
    group = functional_group(dataset, 0, "PixelMeasuresSequence")
    if group is None:
        return None, None
    return number(group, "SpacingBetweenSlices"), number(group, "SliceThickness")


def _check_reference(dataset: DicomDataset, reference: Grid, name: str) -> None:
    """Refuse a reference in another coordinate system, where both say which theirs is."""
    own = text(dataset, "FrameOfReferenceUID")
    other = frame_of_reference_of(reference)
    if own and other and own != other:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"{name} is in frame of reference {own}, the reference volume in {other}",
        )


def _check_places(frames: tuple[PlacedFrame, ...], name: str) -> None:
    seen: dict[tuple[object, ...], int] = {}
    for frame in frames:
        other = seen.setdefault((frame.segment, frame.placement), frame.number)
        if other != frame.number:
            raise _refuse(
                name,
                f"frames {other + 1} and {frame.number + 1} are of one segment at one place, "
                "such as two time points",
            )

"""Writing masks as DICOM Segmentations, through highdicom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs
import numpy as np
import pydicom
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.core.uids import IMPLEMENTATION_VERSION_NAME, new_uid
from pacs_sdk.encoding.instance import Instance, instance_from_dataset
from pacs_sdk.encoding.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.integration.itk.geometry import VolumeGeometry
from pacs_sdk.integration.itk.loaded import LoadedVolume
from pacs_sdk.integration.segmentation.grid import Grid, geometry_of
from pacs_sdk.integration.segmentation.segment import CodedConcept, Segment, SegmentationType

__all__ = ["SegmentationInfo", "masks_to_segmentation"]

_TISSUE: Final = CodedConcept("85756007", "SCT", "Tissue")
_MAXIMUM_FRACTIONAL_VALUE: Final = 255
_REQUIRED: Final = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Type 2 attributes that highdicom takes over, and that images out of an anonymizer may lack."""


@attrs.frozen
class SegmentationInfo:
    """What a new segmentation says about itself."""

    series_description: str = "Segmentation"
    """Series Description."""
    series_number: int = 1001
    """Series Number."""
    content_label: str = "SEGMENTATION"
    """Content Label: capital letters, digits, space and underscore, at most 16."""
    content_creator_name: str | None = None
    """Content Creator's Name."""
    manufacturer: str = "pacs_sdk"
    """Manufacturer of what made the masks."""
    manufacturer_model_name: str = "pacs_sdk"
    """Its model."""
    software_versions: str = IMPLEMENTATION_VERSION_NAME
    """Its version."""
    device_serial_number: str = "0"
    """Its serial number."""
    algorithm_family: CodedConcept | None = None
    """Algorithm Family (PS3.16 CID 7162) of what made segments that are not MANUAL."""


@edge()
def masks_to_segmentation(
    masks: NDArray[Any],
    segments: Sequence[Segment],
    source: LoadedVolume,
    *,
    kind: SegmentationType | str = SegmentationType.BINARY,
    grid: Grid | None = None,
    info: SegmentationInfo | None = None,
) -> Instance:
    """Make a DICOM Segmentation of masks, which refers to the images that were segmented.

    It is in the study of the source and in a new series. Slices without any voxel of a
    segment get no frame. A frame names the image that it lies on if the slices of the grid are
    all images of the source; otherwise, as after filling or resampling, the series is named.

    Args:
        masks: Segment numbers (slices, rows, columns), 0 being background; or one mask a
            segment, (segments, slices, rows, columns): of booleans, or with FRACTIONAL of
            real numbers from 0 to 1.
        segments: What is segmented, by number, from 1 on without a gap. Without a category
            or property type a segment is tissue.
        source: The series that was segmented, as :func:`load_series` gives it.
        kind: BINARY, FRACTIONAL (of probabilities) or LABELMAP.
        grid: The grid of the masks, if it is not that of the source.
        info: What the segmentation says about itself.

    Returns:
        ``Success`` with the segmentation, Explicit VR Little Endian; or ``Failure`` with
        ``INVALID_ARGUMENT`` for masks that fit neither the grid nor the segments, empty
        ones, or a source whose slices come from no instance; ``MISSING_DEPENDENCY``
        without highdicom.
    """
    highdicom = _highdicom()
    kind = _checked_kind(kind)
    info = info or SegmentationInfo()
    geometry = source.geometry if grid is None else geometry_of(grid)
    numbers = [one.number for one in segments]
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise _refuse(f"segments are numbered 1, 2 and so on; these are {numbers}")
    array = _checked_masks(masks, geometry, len(numbers), kind)
    try:
        dataset = highdicom.seg.Segmentation(
            source_images=list(_source_images(source)),
            pixel_array=_volume(highdicom, array, geometry, source),
            segmentation_type=kind.value,
            segment_descriptions=[_description(highdicom, one, info) for one in segments],
            series_instance_uid=new_uid(),
            series_number=info.series_number,
            sop_instance_uid=new_uid(),
            instance_number=1,
            manufacturer=info.manufacturer,
            manufacturer_model_name=info.manufacturer_model_name,
            software_versions=info.software_versions,
            device_serial_number=info.device_serial_number,
            max_fractional_value=_MAXIMUM_FRACTIONAL_VALUE,
            content_label=info.content_label,
            content_creator_name=info.content_creator_name,
            series_description=info.series_description,
        )
    except (ValueError, TypeError, AttributeError) as exc:  # how highdicom refuses its input
        raise _refuse(f"highdicom makes no segmentation of this: {exc}") from None
    dataset.SpecificCharacterSet = "ISO_IR 192"  # every text fits, whatever the source's was
    return raised(instance_from_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN))


def _highdicom() -> Any:
    try:
        import highdicom
    except ImportError:
        raise PacsException(
            ErrorCode.MISSING_DEPENDENCY,
            "highdicom is not installed: pip install 'pacs-sdk[seg]'",
            package="highdicom",
        ) from None
    return highdicom


def _refuse(words: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_ARGUMENT, words)


def _checked_kind(kind: SegmentationType | str) -> SegmentationType:
    try:
        return SegmentationType(kind)
    except ValueError:
        raise _refuse(f"{kind!r} is none of {', '.join(SegmentationType)}") from None


def _checked_masks(
    masks: NDArray[Any], geometry: VolumeGeometry, count: int, kind: SegmentationType
) -> NDArray[Any]:
    """Return the masks as highdicom takes them: (slices, rows, columns[, segments])."""
    grid = geometry.size[::-1]
    if masks.shape not in (grid, (count, *grid)):
        raise _refuse(
            f"masks of shape {masks.shape} are neither segment numbers on the grid, {grid}, nor "
            f"{count} masks of it, {(count, *grid)}"
        )
    if masks.dtype.kind == "f" and kind is not SegmentationType.FRACTIONAL:
        raise _refuse(f"real numbers can be FRACTIONAL only, not {kind}")
    if masks.size == 0 or not np.isfinite(masks).all() or masks.min() < 0:
        raise _refuse("masks have numbers of at least 0, and at least one")
    stacked = masks.ndim == 4 or masks.dtype.kind == "f"
    if masks.max() > (1 if stacked else count):
        raise _refuse("a mask holds 0 to 1" if stacked else f"there are segments 1 to {count} only")
    if not masks.any():
        raise _refuse("the masks are empty: there is nothing to store")
    if masks.ndim == 4:
        array: NDArray[Any] = np.moveaxis(masks, 0, -1)
    else:
        array = masks[..., np.newaxis] if masks.dtype.kind == "f" else masks
    if masks.dtype.kind == "f":
        return array
    return array.astype(np.uint8 if count < 256 else np.uint16)


def _volume(
    highdicom: Any, array: NDArray[Any], geometry: VolumeGeometry, source: LoadedVolume
) -> Any:
    """Make highdicom's volume, whose axes are those of the array: slice, row, column."""
    affine = geometry.affine[:, [2, 1, 0, 3]]
    channels = None
    if array.ndim == 4:
        channels = {"SegmentNumber": list(range(1, array.shape[3] + 1))}
    return highdicom.Volume(
        array,
        affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=source.metadata.frame_of_reference_uid or None,
        channels=channels,
    )


def _source_images(source: LoadedVolume) -> Iterator[pydicom.Dataset]:
    """Yield what highdicom needs of each image: the common attributes, its UID and place."""
    first = source.metadata.dataset.pydicom
    seen: set[str] = set()
    for one in source.metadata.slices:
        if not one.sop_instance_uid or one.sop_instance_uid in seen:
            continue
        seen.add(one.sop_instance_uid)
        image = pydicom.Dataset()
        image.update(first)  # elements are shared, but for those that are replaced
        for keyword in _REQUIRED:
            if keyword not in image:
                setattr(image, keyword, "")
        if one.sop_instance_uid != first.SOPInstanceUID:
            image.add_new("SOPInstanceUID", "UI", one.sop_instance_uid)
            image.add_new("ImagePositionPatient", "DS", list(one.position))
        if "PerFrameFunctionalGroupsSequence" in image:
            image.add_new(
                "SharedFunctionalGroupsSequence", "SQ", [_shared_groups(image, one.frame)]
            )
        yield image
    if not seen:
        raise _refuse("no slice of the source comes from an instance")


def _shared_groups(image: pydicom.Dataset, frame: int) -> pydicom.Dataset:
    """Return the shared functional groups with the grid that highdicom looks for among them.

    Images may state it for each frame instead; all frames of a volume have the same.
    """
    groups = pydicom.Dataset()
    for item in image.get("SharedFunctionalGroupsSequence") or ():
        groups.update(item)
    own = image.PerFrameFunctionalGroupsSequence[frame]
    for macro in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        if macro not in groups and macro in own:
            groups[macro] = own[macro]
    return groups


def _description(highdicom: Any, segment: Segment, info: SegmentationInfo) -> Any:
    if not segment.label:
        raise _refuse(f"segment {segment.number} has no label, which it needs (PS3.3 C.8.20.2)")
    algorithm = segment.algorithm_type or "MANUAL"
    identification = None
    if algorithm != "MANUAL":
        if not segment.algorithm_name or info.algorithm_family is None:
            raise _refuse(
                f"segment {segment.number} is {algorithm}: that needs its algorithm_name, and "
                "algorithm_family in the info (PS3.3 C.8.20.2)"
            )
        identification = highdicom.AlgorithmIdentificationSequence(
            name=segment.algorithm_name,
            family=_code(highdicom, info.algorithm_family),
            version=info.software_versions,
        )
    tracked = bool(segment.tracking_id and segment.tracking_uid)
    return highdicom.seg.SegmentDescription(
        segment_number=segment.number,
        segment_label=segment.label,
        segmented_property_category=_code(highdicom, segment.category or _TISSUE),
        segmented_property_type=_code(highdicom, segment.property_type or _TISSUE),
        algorithm_type=algorithm,
        algorithm_identification=identification,
        tracking_id=segment.tracking_id if tracked else None,
        tracking_uid=segment.tracking_uid if tracked else None,
    )


def _code(highdicom: Any, concept: CodedConcept) -> Any:
    return highdicom.sr.CodedConcept(concept.value, concept.scheme, concept.meaning)

"""One object to volumes, whatever kind of image it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding.datasets.writer import syntax_of
from pacs_sdk.encoding.instance import Instance, instance_from_dataset
from pacs_sdk.encoding.pixels import ImageSource
from pacs_sdk.encoding.rendering.attributes import functional_group, text, whole
from pacs_sdk.integration.itk.load import load_volume
from pacs_sdk.integration.itk.loaded import LoadedVolume
from pacs_sdk.integration.itk.study import scan_series
from pacs_sdk.integration.modality.cine import cine_of
from pacs_sdk.integration.modality.dose import RT_DOSE_STORAGE, dose_of
from pacs_sdk.integration.modality.nuclear import NM_IMAGE_STORAGE, nuclear_of
from pacs_sdk.integration.modality.object_volume import ObjectVolume, unloadable
from pacs_sdk.integration.modality.opened import name_of, opened

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["dataset_to_image", "dataset_to_volumes"]

_SEGMENTATIONS: Final = (
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.66.7",
)


@edge(VALUE_ERRORS)
def dataset_to_volumes(source: ImageSource) -> tuple[ObjectVolume, ...]:
    """Make all volumes that one DICOM object holds.

    - RT Dose: the grid in Gy, as :func:`load_dose`.
    - Nuclear Medicine: one volume for each energy window and detector, as
      :func:`load_nuclear_medicine`.
    - Images with a place in the patient, single-frame or enhanced multi-frame: the volumes of
      :func:`scan_series`, such as one for each orientation.
    - Everything else (ultrasound, angiography, pictures): a slice a frame, 4-D with a time for
      each where there are several; grey in the unit of the Modality LUT, colour as red, green
      and blue. ``in_patient`` is false.

    Args:
        source: A path, an instance or a data set.

    Returns:
        ``Success``, or ``Failure`` with ``SERIES_NOT_LOADABLE`` for what is no image, or a
        segmentation, whose masks :func:`load_segmentation` gives; what these functions
        give; or what reading and decoding give.
    """
    return _volumes(source)


@edge(VALUE_ERRORS)
def dataset_to_image(source: ImageSource, index: int | None = None) -> SimpleITK.Image:
    """Make a SimpleITK image of one DICOM object.

    Args:
        source: A path, an instance or a data set.
        index: Which volume of :func:`dataset_to_volumes`, from 0, where there are several.

    Returns:
        ``Success`` with an image in LPS mm, 4-D for several times, of vectors for colour; or
        ``Failure`` as :func:`dataset_to_volumes`, with ``INVALID_ARGUMENT`` where a choice is
        needed or there is no such volume, or ``MISSING_DEPENDENCY`` without SimpleITK.
    """
    volumes = _volumes(source)
    chosen = 0 if index is None and len(volumes) == 1 else index
    if chosen is None or not -len(volumes) <= chosen < len(volumes):
        there = "; ".join(f"{number} {one.name}" for number, one in enumerate(volumes))
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT, f"choose a volume with index=, there are {there}"
        )
    return raised(volumes[chosen].to_simple_itk())


def _volumes(source: ImageSource) -> tuple[ObjectVolume, ...]:
    dataset, pixels = opened(source)
    name = name_of(source, dataset)
    sop_class = text(dataset, "SOPClassUID")
    if sop_class == RT_DOSE_STORAGE:
        return (dose_of(dataset, pixels, name),)
    if sop_class == NM_IMAGE_STORAGE:
        return nuclear_of(dataset, pixels, name)
    if sop_class in _SEGMENTATIONS:
        raise unloadable(name, "it is a segmentation: load_segmentation gives its masks")
    of_one_frame = (whole(dataset, "NumberOfFrames") or 1) == 1
    if functional_group(dataset, 0, "PlanePositionSequence") or (
        of_one_frame and text(dataset, "ImagePositionPatient")  # of several it says but one's
    ):
        return _in_patient(dataset, pixels)
    return (cine_of(dataset, pixels, name),)


def _in_patient(dataset: DicomDataset, pixels: ImageSource) -> tuple[ObjectVolume, ...]:
    """Load an image with a place in the patient, as a series of its own."""
    if isinstance(pixels, Instance):
        instance = pixels
    else:
        instance = raised(instance_from_dataset(dataset, syntax_of(dataset.pydicom)))
    found = raised(scan_series(instance)).volumes
    if not found:  # which has no reason to give: loading it has
        return (_of_loaded(raised(load_volume(instance)), dataset, ""),)
    return tuple(_of_loaded(raised(one.load_volume()), dataset, one.difference) for one in found)


def _of_loaded(volume: LoadedVolume, dataset: DicomDataset, difference: str) -> ObjectVolume:
    report = volume.report
    return ObjectVolume(
        volume.array,
        volume.geometry,
        axis=volume.axis,
        name=" ".join(filter(None, (report.modality, report.description, difference))),
        unit=report.value_unit,
        frames=tuple(one.frame for one in volume.sources),
        sop_instance_uid=volume.sources[0].sop_instance_uid,
        dataset=dataset,
        notes=report.notes,
    )

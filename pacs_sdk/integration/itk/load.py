"""Loading a series: the public functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.integration.itk.fill import (
    DEFAULT_MAX_VOLUME_BYTES,
    Allocator,
    FilledVolume,
    fill_volume,
)
from pacs_sdk.integration.itk.geometry import VolumeGeometry
from pacs_sdk.integration.itk.image_slice import ImageSlice, not_loadable, slice_of
from pacs_sdk.integration.itk.loaded import ImageOnce, LoadedSeries, LoadedVolume, SliceSource
from pacs_sdk.integration.itk.report import SeriesReport, Skipped
from pacs_sdk.integration.itk.series_scan import (
    FoundObject,
    SeriesSource,
    choose_series,
    find_objects,
)
from pacs_sdk.integration.itk.sitk_image import image_with_memory, simple_itk
from pacs_sdk.integration.itk.slice_metadata import metadata_of
from pacs_sdk.integration.itk.stack import SliceStack, stack_slices

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["DEFAULT_SPACING_TOLERANCE", "load_series", "load_volume"]

DEFAULT_SPACING_TOLERANCE = 0.01
"""How far a step between slices may differ from the median step, relatively. Scanners round
positions and tables are not perfectly even; a hundredth is nothing a voxel could show."""

_LOADING_ERRORS = {
    FileNotFoundError: ErrorCode.FILE_NOT_FOUND,
    OSError: ErrorCode.FILE_READ_FAILED,
}


@attrs.frozen
class _Request:
    """The arguments of loading, together."""

    series_instance_uid: str | None
    strict: bool
    spacing_tolerance: float
    max_volume_bytes: int


@edge(_LOADING_ERRORS)
def load_series(
    source: SeriesSource,
    *,
    series_instance_uid: str | None = None,
    strict: bool = True,
    spacing_tolerance: float = DEFAULT_SPACING_TOLERANCE,
    max_volume_bytes: int = DEFAULT_MAX_VOLUME_BYTES,
) -> LoadedSeries:
    """Load an ordinary series as a SimpleITK image: exactly, or with the reason why not.

    Slices are ordered by Image Position (Patient) along their normal, never by name or
    Instance Number. Values are stored value × Rescale Slope + Rescale Intercept: ``int16``
    or ``int32`` where slope and intercept are whole numbers in every slice, else ``float32``
    (``float64`` where more than 24 bits are stored).

    Args:
        source: A folder (with all folders in it) or file; an instance; paths, file
            contents and instances in any order; or an archive.
        series_instance_uid: Which series, where the source has several.
        strict: Whether a DICOM object that cannot be read, or an object of the series that
            cannot be a slice, is an error. If not, it is skipped with the reason in the
            report. Files in a folder that are not DICOM never matter.
        spacing_tolerance: How far a step between slices may differ from the median step,
            relatively.
        max_volume_bytes: The most memory the volume may take.

    Returns:
        ``Success`` with image, array, the instance of each slice, and a report; or
        ``Failure`` with ``SERIES_NOT_LOADABLE`` naming file and tag (several series,
        missing slices, irregular spacing, gantry tilt, different orientations, sizes or
        frames of reference, different images at one place, colour, multi-frame,
        MONOCHROME1, not an image), ``PIXEL_DATA_FAILED``, ``LIMIT_EXCEEDED``,
        ``MISSING_DEPENDENCY`` without SimpleITK, ``INVALID_ARGUMENT``, or what reading the
        files or the archive gives.
    """
    simple_itk()
    request = _Request(series_instance_uid, strict, spacing_tolerance, max_volume_bytes)
    images: list[SimpleITK.Image] = []

    def allocator(geometry: VolumeGeometry) -> Allocator:
        def allocate(dtype: np.dtype[Any]) -> NDArray[Any]:
            images.clear()  # an image of a type that turned out too narrow
            image, array = image_with_memory(geometry, dtype)
            images.append(image)
            return array

        return allocate

    volume = _load(source, request, allocator)
    return LoadedSeries(
        volume.array,
        volume.geometry,
        sources=volume.sources,
        report=volume.report,
        metadata=volume.metadata,
        image=ImageOnce(images[0]),
    )


@edge(_LOADING_ERRORS)
def load_volume(
    source: SeriesSource,
    *,
    series_instance_uid: str | None = None,
    strict: bool = True,
    spacing_tolerance: float = DEFAULT_SPACING_TOLERANCE,
    max_volume_bytes: int = DEFAULT_MAX_VOLUME_BYTES,
) -> LoadedVolume:
    """Load an ordinary series as a NumPy array with its geometry, without SimpleITK.

    Args and rules are those of :func:`load_series`.

    Returns:
        ``Success`` with array, geometry, the instance of each slice, and a report; or
        ``Failure`` as :func:`load_series`, never with ``MISSING_DEPENDENCY``.
    """
    request = _Request(series_instance_uid, strict, spacing_tolerance, max_volume_bytes)

    def allocator(geometry: VolumeGeometry) -> Allocator:
        return lambda dtype: np.empty(geometry.size[::-1], dtype)

    return _load(source, request, allocator)


def _load(
    source: SeriesSource, request: _Request, allocator: Callable[[VolumeGeometry], Allocator]
) -> LoadedVolume:
    found, skipped = find_objects(source, request.series_instance_uid, strict=request.strict)
    series, others = choose_series(found, request.series_instance_uid)
    slices, unusable = _slices(series.objects, strict=request.strict)
    stack = stack_slices(slices, request.spacing_tolerance)
    _check_linear(stack.slices[0])
    filled = fill_volume(stack.slices, allocator(stack.geometry), request.max_volume_bytes)
    filled.array.flags.writeable = False
    report = _report(series.series_instance_uid, stack, filled, (*skipped, *others, *unusable))
    return LoadedVolume(
        filled.array,
        stack.geometry,
        sources=tuple(SliceSource(one.name, one.sop_instance_uid) for one in stack.slices),
        report=report,
        metadata=metadata_of(stack.slices),
    )


def _slices(
    objects: tuple[FoundObject, ...], *, strict: bool
) -> tuple[list[ImageSlice], list[Skipped]]:
    slices: list[ImageSlice] = []
    skipped: list[Skipped] = []
    for found in objects:
        try:
            slices.append(slice_of(found))
        except PacsException as exc:
            if strict:
                raise
            skipped.append(Skipped(found.name, exc.error.message.removeprefix(f"{found.name}: ")))
            last = exc
    if not slices:
        raise last
    return slices, skipped


def _check_linear(first: ImageSlice) -> None:
    """Refuse a Modality LUT, which a scan over headers does not see (PS3.3 C.11.1.1)."""
    if first.text("RescaleSlope"):
        return
    if "ModalityLUTSequence" in raised(first.instance.dataset()):
        raise not_loadable(
            first.name,
            "ModalityLUTSequence",
            "maps its values by a table; only slope and intercept are applied",
        )


def _report(
    series_instance_uid: str, stack: SliceStack, filled: FilledVolume, skipped: tuple[Skipped, ...]
) -> SeriesReport:
    first = stack.slices[0]
    modality = first.text("Modality")
    unit = first.text("RescaleType") or first.text("Units")
    if modality == "CT" and not unit and first.text("RescaleSlope"):
        unit = "HU"  # what Rescale Type means in a CT image where it is absent (PS3.3 C.8.2.1)
    padding = first.text("PixelPaddingValue")
    notes = stack.notes
    if padding:
        notes += (f"PixelPaddingValue (0028,0120) is {padding} as stored; it was kept, rescaled",)
    return SeriesReport(
        series_instance_uid=series_instance_uid,
        modality=modality,
        description=first.text("SeriesDescription"),
        geometry=stack.geometry,
        sort_key="ImagePositionPatient (0020,0032) along the normal of the slices",
        spacing=stack.spacing,
        rescale=filled.rescale,
        value_type=filled.array.dtype.name,
        value_range=filled.value_range,
        value_unit=unit,
        duplicates=stack.duplicates,
        skipped=skipped,
        notes=notes,
    )

"""A volume as a derived DICOM series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.valuerep import format_number_as_ds

from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, SystemClock
from pacs_sdk.core.results import edge, raised
from pacs_sdk.core.uids import IMPLEMENTATION_VERSION_NAME, new_uid
from pacs_sdk.encoding.instance import Instance, instance_from_dataset
from pacs_sdk.encoding.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.integration.export.derived_header import DerivedKind, copied_header, kind_for
from pacs_sdk.integration.export.source_images import SourceImages
from pacs_sdk.integration.export.stored_values import StoredValues, stored_values_of
from pacs_sdk.integration.itk.geometry import VolumeGeometry
from pacs_sdk.integration.itk.loaded import LoadedVolume
from pacs_sdk.integration.itk.sitk_image import simple_itk
from pacs_sdk.integration.itk.volume import Volume
from pacs_sdk.integration.segmentation.grid import ImageGrid, geometry_of

__all__ = ["DerivedSeries", "SeriesInfo", "image_to_series"]

_CT_WINDOW: Final = (40.0, 400.0)


@attrs.frozen
class SeriesInfo:
    """What a derived series says about itself."""

    derivation_description: str = "Processed volume"
    """Derivation Description (0008,2111): how it was made, in words."""
    series_description: str = ""
    """Series Description; by default that of the template, and "derived"."""
    series_number: int | None = None
    """Series Number; by default that of the template and 1000."""
    manufacturer: str = "pacs_sdk"
    """Manufacturer of what made it."""
    manufacturer_model_name: str = "pacs_sdk"
    """Its model."""
    software_versions: str = IMPLEMENTATION_VERSION_NAME
    """Its version."""
    rescale_type: str = ""
    """Rescale Type: what the values are; by default HU for CT, else US (unspecified)."""


@attrs.frozen(eq=False)
class DerivedSeries:
    """A series of single-frame images, and how exact it is."""

    instances: tuple[Instance, ...]
    """One image a slice, first slice first; Explicit VR Little Endian."""
    series_instance_uid: str
    """The new series."""
    kind: DerivedKind
    """What its images are."""
    rescale_slope: float
    """Rescale Slope of all images."""
    rescale_intercept: float
    """Rescale Intercept of all images."""
    largest_error: float
    """How far the farthest value is from what the images store; 0 where all are exact."""


@edge(VALUE_ERRORS)
def image_to_series(
    image: Volume | ImageGrid,
    template: LoadedVolume | DatasetLike,
    *,
    kind: DerivedKind | str | None = None,
    info: SeriesInfo | None = None,
    clock: Clock | None = None,
) -> DerivedSeries:
    """Make a derived DICOM series of a volume.

    Patient, study, frame of reference and technique are those of the template; series and
    instance UIDs are new; Image Type begins with DERIVED; each image refers to the images of
    the template that it lies among (Source Image Sequence, PS3.3 C.7.6.1.1.4). Whole numbers
    of 16 bits are stored as they are, and so is what the template's slope and intercept give
    exactly; other values are spread over 16 bits, with Rescale Slope and Intercept.

    Args:
        image: The volume: an array with its geometry, or a ``SimpleITK.Image``, of grey values
            or 8-bit colour, which becomes secondary capture. It may have another grid than
            the template, in the same patient coordinates.
        template: The series it was made of, as :func:`load_series` gives it, or an image of it.
        kind: CT, MR or SC; by default that of the template's images, and secondary capture
            for all but CT and MR.
        info: What the series says about itself.
        clock: Where its dates and times come from.

    Returns:
        ``Success``; or ``Failure`` with ``INVALID_ARGUMENT`` for an image of another shape or
        with values that are no finite numbers, or a template that lacks what is needed.
    """
    volume = _volume(image)
    header = (
        template.metadata.dataset if isinstance(template, LoadedVolume) else (as_dataset(template))
    )
    colour = volume.samples == 3
    chosen = _kind(kind, kind_for(header), colour=colour)
    made = copied_header(header, chosen)
    uid = new_uid()
    _set_series(made, header.pydicom, (chosen, uid), info or SeriesInfo(), clock or SystemClock())
    slope, intercept = _known_rescale(template)
    if colour:
        stored = StoredValues(volume.array, "1", "0", 0.0)
    else:
        stored = stored_values_of(volume.array, (slope, intercept))
    _set_pixels(made, stored, colour=colour)
    _set_values(made, stored, volume, (chosen, (info or SeriesInfo()).rescale_type))
    _set_plane(made, volume.geometry, chosen)
    sources = SourceImages.of(template)
    return DerivedSeries(
        instances=tuple(_images(made, stored.array, volume.geometry, sources)),
        series_instance_uid=uid,
        kind=chosen,
        rescale_slope=float(stored.slope),
        rescale_intercept=float(stored.intercept),
        largest_error=stored.largest_error,
    )


def _volume(image: Volume | ImageGrid) -> Volume:
    if not isinstance(image, Volume):
        geometry = geometry_of(image)
        image = Volume(simple_itk().GetArrayFromImage(image), geometry)
    if image.axis is not None:
        raise _refuse("a 4-D array is several series: take one volume of it with at()")
    if image.samples > 1 and (image.samples != 3 or image.array.dtype != np.uint8):
        raise _refuse(
            f"colour is three samples of 8 bits, not {image.samples} of {image.array.dtype}"
        )
    return image


def _refuse(words: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_ARGUMENT, words)


def _kind(wanted: DerivedKind | str | None, usual: DerivedKind, *, colour: bool) -> DerivedKind:
    if wanted is None:
        return DerivedKind.SC if colour else usual
    try:
        kind = DerivedKind(wanted)
    except ValueError:
        raise _refuse(f"{wanted!r} is none of {', '.join(DerivedKind)}") from None
    if colour and kind is not DerivedKind.SC:
        raise _refuse(f"colour can be secondary capture only, not {kind}")
    return kind


def _known_rescale(template: LoadedVolume | DatasetLike) -> tuple[float, float]:
    if isinstance(template, LoadedVolume) and template.metadata.slices:
        first = template.metadata.slices[0]
        return first.slope, first.intercept
    return 1.0, 0.0


# -- attributes of all images ----------------------------------------------------------


def _set_series(
    made: pydicom.Dataset,
    template: pydicom.Dataset,
    series: tuple[DerivedKind, str],
    info: SeriesInfo,
    clock: Clock,
) -> None:
    kind, uid = series
    now = clock.now()
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S.%f")
    said = f"{template.get('SeriesDescription') or ''} derived".strip()
    number = info.series_number
    if number is None:
        number = int(template.get("SeriesNumber") or 0) + 1000
    values: dict[str, object] = {
        "SOPClassUID": kind.sop_class_uid,
        "Modality": kind.value if kind is not DerivedKind.SC else template.get("Modality") or "OT",
        "SeriesInstanceUID": uid,
        "SeriesNumber": number,
        "SeriesDescription": (info.series_description or said)[:64],
        "SeriesDate": date,
        "SeriesTime": time,
        "ContentDate": date,
        "ContentTime": time,
        "InstanceCreationDate": date,
        "InstanceCreationTime": time,
        "Manufacturer": info.manufacturer,
        "ManufacturerModelName": info.manufacturer_model_name,
        "SoftwareVersions": info.software_versions,
        "ImageType": ["DERIVED", "SECONDARY", _IMAGE_TYPES[kind]],
        "DerivationDescription": info.derivation_description,
    }
    if kind is DerivedKind.SC:
        values["ConversionType"] = "WSD"
    for keyword, value in values.items():
        setattr(made, keyword, value)


_IMAGE_TYPES: Final = {DerivedKind.CT: "AXIAL", DerivedKind.MR: "OTHER", DerivedKind.SC: "OTHER"}
"""Value 3 of Image Type (PS3.3 C.8.2.1.1.1, C.8.3.1.1.1)."""


def _set_pixels(made: pydicom.Dataset, stored: StoredValues, *, colour: bool) -> None:
    bits = stored.array.dtype.itemsize * 8
    made.SamplesPerPixel = 3 if colour else 1
    made.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = bits
    made.HighBit = bits - 1
    made.PixelRepresentation = int(stored.array.dtype.kind == "i")
    made.Rows, made.Columns = stored.array.shape[1:3]


def _set_values(
    made: pydicom.Dataset, stored: StoredValues, volume: Volume, what: tuple[DerivedKind, str]
) -> None:
    """Set the Modality LUT, where the kind has one or it is needed, and a window."""
    kind, rescale_type = what
    if volume.samples > 1:
        return
    if kind is DerivedKind.CT or stored.is_rescaled:
        made.RescaleSlope, made.RescaleIntercept = stored.slope, stored.intercept
        made.RescaleType = rescale_type or ("HU" if kind is DerivedKind.CT else "US")
    if kind is DerivedKind.CT:
        centre, width = _CT_WINDOW
    else:
        low, high = float(volume.array.min()), float(volume.array.max())
        centre, width = (low + high) / 2, max(high - low, 1.0)
    made.WindowCenter = format_number_as_ds(centre)
    made.WindowWidth = format_number_as_ds(width)


def _set_plane(made: pydicom.Dataset, geometry: VolumeGeometry, kind: DerivedKind) -> None:
    between_columns, between_rows, between_slices = geometry.spacing
    direction = np.asarray(geometry.direction).reshape(3, 3)
    made.PixelSpacing = _decimals((between_rows, between_columns))
    made.ImageOrientationPatient = _decimals((*direction[:, 0], *direction[:, 1]))
    made.SliceThickness = _decimals((between_slices,))[0]
    if kind is not DerivedKind.CT or geometry.size[2] == 1:
        made.SpacingBetweenSlices = made.SliceThickness


def _decimals(numbers: tuple[float, ...]) -> list[str]:
    """Write numbers as DS, at most 16 characters each (PS3.5 6.2)."""
    return [format_number_as_ds(float(number)) for number in numbers]


# -- each image ----------------------------------------------------------------------


def _images(
    made: pydicom.Dataset,
    stored: NDArray[Any],
    geometry: VolumeGeometry,
    sources: SourceImages,
) -> Iterator[Instance]:
    for index, plane in enumerate(stored):
        made.SOPInstanceUID = new_uid()
        made.InstanceNumber = index + 1
        made.ImagePositionPatient = _decimals(geometry.point_of((0, 0, index)))
        references = sources.references(geometry, index)
        if references:
            made.SourceImageSequence = references
        data = plane.astype(plane.dtype.newbyteorder("<"), copy=False).tobytes()
        made.PixelData = data + b"\0" * (len(data) % 2)
        made["PixelData"].VR = "OW"
        yield raised(instance_from_dataset(made, EXPLICIT_VR_LITTLE_ENDIAN))

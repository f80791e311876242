"""SimpleITK images whose memory NumPy can fill."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.integration.itk.geometry import VolumeGeometry

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["image_of", "image_with_memory", "simple_itk"]

_PIXEL_TYPES: Final = {
    "int8": "Int8",
    "uint8": "UInt8",
    "int16": "Int16",
    "uint16": "UInt16",
    "int32": "Int32",
    "uint32": "UInt32",
    "int64": "Int64",
    "uint64": "UInt64",
    "float32": "Float32",
    "float64": "Float64",
    "bool": "UInt8",
}


def simple_itk() -> Any:
    """Import SimpleITK, which is an optional dependency.

    Raises:
        PacsException: ``MISSING_DEPENDENCY`` with the command that installs it.

    Returns:
        The module, untyped: its own annotations cover only a part of it.
    """
    try:
        import SimpleITK as sitk  # noqa: N813  # the name everyone knows it by
    except ImportError:
        raise PacsException(
            ErrorCode.MISSING_DEPENDENCY,
            "SimpleITK is not installed: pip install 'pacs-sdk[itk]', "
            "or take load_volume, which gives a NumPy array",
            package="SimpleITK",
        ) from None
    return sitk


def image_of(
    array: NDArray[Any], geometry: VolumeGeometry, four_dimensional: bool, samples: int
) -> SimpleITK.Image:
    """Copy an array into a new image.

    Args:
        array: The values: ([volumes,] slices, rows, columns[, samples]).
        geometry: Where they lie.
        four_dimensional: Whether there is an axis of volumes.
        samples: How many numbers a voxel has.

    Raises:
        PacsException: ``MISSING_DEPENDENCY``, ``INVALID_ARGUMENT`` or ``LIMIT_EXCEEDED``.
    """
    volumes = array.shape[0] if four_dimensional else None
    try:
        image, memory = image_with_memory(geometry, array.dtype, volumes, samples)
    except MemoryError:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"there is no memory for an image of {array.nbytes} bytes",
        ) from None
    memory[...] = array
    return image


def image_with_memory(
    geometry: VolumeGeometry, dtype: np.dtype[Any], volumes: int | None = None, samples: int = 1
) -> tuple[SimpleITK.Image, NDArray[Any]]:
    """Make an image and an array over the same memory, so that no volume is copied.

    Args:
        geometry: The grid.
        dtype: The type of the values; a boolean becomes ``uint8``.
        volumes: How many volumes a 4-D image has; ``None`` makes a 3-D one.
        samples: How many numbers a voxel has; more than 1 make an image of vectors.

    Returns:
        The image, and a writable array ([volumes,] slices, rows, columns[, samples]) over
        its pixels, which keeps the image alive.

    Raises:
        MemoryError: There is no room for it.
        PacsException: ``MISSING_DEPENDENCY``, or ``INVALID_ARGUMENT`` for a type it has not.
    """
    sitk = simple_itk()
    if dtype.name not in _PIXEL_TYPES:
        raise PacsException(ErrorCode.INVALID_ARGUMENT, f"SimpleITK has no images of {dtype}")
    name = _PIXEL_TYPES[dtype.name]
    place = geometry.in_dimensions(3 if volumes is None else 4, volumes or 1)
    pixel_type = getattr(sitk, f"sitkVector{name}" if samples > 1 else f"sitk{name}")
    try:
        image = sitk.Image(list(place.size), pixel_type, *([samples] if samples > 1 else []))
    except RuntimeError as exc:  # what SimpleITK makes of ITK's failure to allocate
        raise MemoryError(str(exc)) from None
    image.SetOrigin(place.origin)
    image.SetSpacing(place.spacing)
    image.SetDirection(tuple(np.ravel(place.direction).tolist()))
    view = sitk.GetArrayViewFromImage(image)
    # The view is read-only and doesn't keep the image; the same memory through ctypes is
    # writable, and an attribute of the ctypes object holds on to the image.
    memory = (ctypes.c_char * view.nbytes).from_address(view.ctypes.data)
    memory.image = image
    return image, np.frombuffer(memory, view.dtype).reshape(view.shape)

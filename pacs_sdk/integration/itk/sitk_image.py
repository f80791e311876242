"""SimpleITK images whose memory NumPy can fill."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.integration.itk.geometry import VolumeGeometry

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["image_with_memory", "simple_itk"]


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


def image_with_memory(
    geometry: VolumeGeometry, dtype: np.dtype[Any]
) -> tuple[SimpleITK.Image, NDArray[Any]]:
    """Make an image and an array over the same memory, so that no volume is copied.

    Args:
        geometry: The grid.
        dtype: ``int16``, ``int32``, ``float32`` or ``float64``.

    Returns:
        The image, and a writable array (slices, rows, columns) over its pixels, which
        keeps the image alive.

    Raises:
        MemoryError: There is no room for it.
    """
    sitk = simple_itk()
    pixel_types = {
        "int16": sitk.sitkInt16,
        "int32": sitk.sitkInt32,
        "float32": sitk.sitkFloat32,
        "float64": sitk.sitkFloat64,
    }
    try:
        image = sitk.Image(list(geometry.size), pixel_types[dtype.name])
    except RuntimeError as exc:  # what SimpleITK makes of ITK's failure to allocate
        raise MemoryError(str(exc)) from None
    image.SetOrigin(geometry.origin)
    image.SetSpacing(geometry.spacing)
    image.SetDirection(geometry.direction)
    view = sitk.GetArrayViewFromImage(image)
    # The view is read-only and doesn't keep the image; the same memory through ctypes is
    # writable, and an attribute of the ctypes object holds on to the image.
    memory = (ctypes.c_char * view.nbytes).from_address(view.ctypes.data)
    memory.image = image
    return image, np.frombuffer(memory, dtype).reshape(view.shape)

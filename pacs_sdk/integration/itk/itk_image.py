"""Images of ITK's own Python package, ``itk``."""

from __future__ import annotations

import importlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.integration.itk.geometry import VolumeGeometry

__all__ = ["itk_image_of"]

_PIXEL_TYPES: Final = ("uint8", "int16", "uint16", "float32", "float64")
"""What ITK's wheels wrap for three and four dimensions."""


def itk_image_of(
    array: NDArray[Any], geometry: VolumeGeometry, four_dimensional: bool, samples: int
) -> Any:
    """Make an ``itk.Image``.

    Args:
        array: The values: ([volumes,] slices, rows, columns[, samples]).
        geometry: Where they lie.
        four_dimensional: Whether there is an axis of volumes.
        samples: How many numbers a voxel has.

    Returns:
        The image. Its memory is the array's where ITK has the type; other whole numbers
        become ``float32`` or, where that is not exact, ``float64``.

    Raises:
        PacsException: ``MISSING_DEPENDENCY`` or ``INVALID_ARGUMENT``.
    """
    itk = _itk()
    values = _of_wrapped_type(array)
    try:
        image = itk.image_view_from_array(values, is_vector=samples > 1)
    except (KeyError, RuntimeError, TypeError) as exc:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"ITK has no image for {array.dtype} of shape {array.shape}: {exc}",
        ) from None
    place = geometry.in_dimensions(4 if four_dimensional else 3)
    image.SetOrigin(list(place.origin))
    image.SetSpacing(list(place.spacing))
    image.SetDirection(itk.matrix_from_array(np.array(place.direction)))
    return image


def _of_wrapped_type(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.name in _PIXEL_TYPES:
        return array
    single = array.astype(np.float32)
    return single if np.array_equal(single, array) else array.astype(np.float64)


def _itk() -> Any:
    """Import ITK's package, which is an optional dependency and has no types."""
    try:
        return importlib.import_module("itk")
    except ImportError:
        raise PacsException(
            ErrorCode.MISSING_DEPENDENCY,
            "ITK's Python package is not installed: pip install 'pacs-sdk[itk-core]'",
            package="itk-core",
        ) from None

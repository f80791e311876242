"""From stored values of a CT image to Hounsfield units."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.rendering.attributes import number, text

__all__ = ["apply_hounsfield", "check_hounsfield"]

_LARGEST_WHOLE: Final = 1 << 15
"""Slope and intercept below this keep 16-bit values within 32 bits."""


@edge(VALUE_ERRORS)
def apply_hounsfield(stored: NDArray[Any], dataset: DatasetLike) -> NDArray[Any]:
    """Turn stored values of a CT image into Hounsfield units (PS3.3 C.8.2.1).

    :func:`load_series` does this by itself; this is for arrays that came from elsewhere, such
    as ``pixel_array`` of pydicom.

    Args:
        stored: Stored values of any shape.
        dataset: The header of the image: Modality, Rescale Type, Slope and Intercept.

    Returns:
        ``Success`` with stored × slope + intercept: ``int16`` where slope and intercept are
        whole numbers and all values fit, else ``int32``, or ``float32`` for fractions; or
        ``Failure`` with ``INVALID_ARGUMENT`` for values of another kind,
        ``MISSING_REQUIRED_VALUE`` where slope or intercept is missing,
        ``VALUE_CONVERSION_FAILED`` where they are absurd.
    """
    header = as_dataset(dataset)
    check_hounsfield(text(header, "Modality"), text(header, "RescaleType"))
    numbers = []
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        found = number(header, keyword)
        if found is None or not np.isfinite(found) or (found == 0 and keyword == "RescaleSlope"):
            raise PacsException(
                ErrorCode.MISSING_REQUIRED_VALUE,
                f"{keyword} is {'missing' if found is None else found}, without which there are "
                "no Hounsfield units",
                keyword=keyword,
            )
        numbers.append(found)
    slope, intercept = numbers
    with np.errstate(over="ignore"):
        values = stored.astype(np.float64) * slope + intercept
    whole = max(abs(slope), abs(intercept)) < _LARGEST_WHOLE
    if not (whole and slope.is_integer() and intercept.is_integer() and stored.dtype.kind in "iu"):
        if values.size and np.abs(values).max() > float(np.finfo(np.float32).max):
            raise PacsException(
                ErrorCode.VALUE_CONVERSION_FAILED,
                f"RescaleSlope {slope:g} and RescaleIntercept {intercept:g} make no Hounsfield units",
            )
        return values.astype(np.float32)
    limits = np.iinfo(np.int16)
    fits = not values.size or (values.min() >= limits.min and values.max() <= limits.max)
    return values.astype(np.int16 if fits else np.int32)


def check_hounsfield(modality: str, rescale_type: str) -> None:
    """Refuse values that are no Hounsfield units; an absent Rescale Type means HU in CT.

    Raises:
        PacsException: ``INVALID_ARGUMENT``.
    """
    if modality != "CT" or rescale_type not in ("", "HU"):
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"Modality {modality!r} with Rescale Type {rescale_type!r} has no Hounsfield units",
        )

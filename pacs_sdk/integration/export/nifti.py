"""Volumes as NIfTI files, through nibabel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.integration.export.files import replacing, unusable_path
from pacs_sdk.integration.export.time_step import time_step_s
from pacs_sdk.integration.itk.geometry import VolumeGeometry
from pacs_sdk.integration.itk.volume import Volume
from pacs_sdk.integration.modality.object_volume import ObjectVolume

__all__ = ["nifti_affine", "write_nifti"]

_ENDINGS: Final = (".nii.gz", ".nii")
_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From LPS to RAS: x and y change their sign."""
_SCANNER: Final = 1
"""qform and sform code: coordinates of the scanner (NIFTI_XFORM_SCANNER_ANAT)."""
_UNKNOWN: Final = 0


@edge({OSError: ErrorCode.FILE_WRITE_FAILED})
def write_nifti(volume: Volume, path: str | os.PathLike[str]) -> Path:
    """Write a volume as NIfTI-1, in the order of voxels that ``dcm2niix`` writes.

    The affine leads from (i, j, k) to RAS millimetres, in qform and sform. Rows run from the
    bottom to the top, as most programs that read NIfTI expect, so j is the last row minus the
    row; i is the column and k the slice.

    Args:
        volume: What to write; a 4-D array gets a fourth axis, whose spacing is the time between
            volumes in seconds where that is known (acquisition times, or Repetition Time), else
            1. Colour of 8 bits becomes RGB24, booleans ``uint8``.
        path: Where to, ending with ``.nii`` or ``.nii.gz``. A file that is there is replaced
            when the new one is complete.

    Returns:
        ``Success`` with the path; or ``Failure`` with ``INVALID_ARGUMENT`` for another ending
        or values that NIfTI has no type for, ``FILE_WRITE_FAILED``, or
        ``MISSING_DEPENDENCY`` without nibabel.
    """
    nibabel = _nibabel()
    place = Path(path)
    ending = next((one for one in _ENDINGS if place.name.lower().endswith(one)), None)
    if ending is None:
        raise unusable_path(place, "a NIfTI file ends with .nii or .nii.gz")
    affine = nifti_affine(volume.geometry)
    data = _in_nifti_order(volume)
    image = nibabel.Nifti1Image(data, affine, dtype=data.dtype)
    placed = not isinstance(volume, ObjectVolume) or volume.in_patient
    image.set_qform(affine, _SCANNER if placed else _UNKNOWN)
    image.set_sform(affine, _SCANNER if placed else _UNKNOWN)
    step_s = time_step_s(volume)
    if step_s is not None:
        image.header.set_zooms((*volume.geometry.spacing, step_s))
    image.header.set_xyzt_units("mm", "unknown" if step_s is None else "sec")
    with replacing(place, ending) as part:
        nibabel.save(image, part)
    return place


def nifti_affine(geometry: VolumeGeometry) -> NDArray[np.float64]:
    """Return the 4 × 4 matrix from (i, j, k) of :func:`write_nifti` to RAS mm."""
    flip = np.eye(4)
    flip[1, 1], flip[1, 3] = -1, geometry.size[1] - 1
    affine: NDArray[np.float64] = _RAS @ geometry.affine @ flip
    return affine


def _in_nifti_order(volume: Volume) -> NDArray[Any]:
    """Return the values as (i, j, k[, volume]), the rows from the bottom up."""
    array = volume.array
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    if volume.samples > 1:
        if volume.samples != 3 or array.dtype != np.uint8:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"NIfTI has colour of three samples of 8 bits, not {volume.samples} of {array.dtype}",
            )
        fields = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
        array = np.ascontiguousarray(array).view(fields)[..., 0]
    elif array.dtype.kind not in "iuf" or array.dtype.itemsize > 8 or array.dtype == np.float16:
        raise PacsException(ErrorCode.INVALID_ARGUMENT, f"NIfTI has no type for {array.dtype}")
    data: NDArray[Any] = array.T[:, ::-1]
    return data


def _nibabel() -> Any:
    try:
        import nibabel
    except ImportError:
        raise PacsException(
            ErrorCode.MISSING_DEPENDENCY,
            "nibabel is not installed: pip install 'pacs-sdk[nifti]'",
            package="nibabel",
        ) from None
    return nibabel

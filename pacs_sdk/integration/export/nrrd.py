"""Volumes as NRRD or MetaImage files, through SimpleITK."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.integration.export.files import replacing, unusable_path
from pacs_sdk.integration.itk.sitk_image import simple_itk
from pacs_sdk.integration.itk.volume import Volume

__all__ = ["write_nrrd"]

_ENDINGS: Final = (".nrrd", ".mha")


@edge({OSError: ErrorCode.FILE_WRITE_FAILED})
def write_nrrd(volume: Volume, path: str | os.PathLike[str], *, compressed: bool = True) -> Path:
    """Write a volume as NRRD (``.nrrd``) or MetaImage (``.mha``), its geometry in LPS mm.

    Args:
        volume: What to write; a 4-D array gets a fourth axis with spacing 1.
        path: Where to. A file that is there is replaced when the new one is complete.
        compressed: Whether the values are deflated.

    Returns:
        ``Success`` with the path; or ``Failure`` with ``INVALID_ARGUMENT`` for another
        ending, ``FILE_WRITE_FAILED``, ``LIMIT_EXCEEDED``, or ``MISSING_DEPENDENCY`` without
        SimpleITK.
    """
    sitk = simple_itk()
    place = Path(path)
    ending = place.suffix.lower()
    if ending not in _ENDINGS:
        raise unusable_path(place, "an NRRD file ends with .nrrd, a MetaImage with .mha")
    image = raised(volume.to_simple_itk())
    with replacing(place, ending) as part:
        try:
            sitk.WriteImage(image, str(part), compressed)
        except RuntimeError as exc:  # SimpleITK has no other
            raise PacsException(
                ErrorCode.FILE_WRITE_FAILED, f"{place} cannot be written: {exc}", path=str(place)
            ) from None
    return place

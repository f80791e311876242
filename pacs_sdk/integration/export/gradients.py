"""Diffusion gradients beside a NIfTI file: ``.bval`` and ``.bvec``, as FSL reads them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.integration.export.files import replacing
from pacs_sdk.integration.itk.loaded import LoadedVolume

__all__ = ["write_gradients"]


@edge({OSError: ErrorCode.FILE_WRITE_FAILED})
def write_gradients(volume: LoadedVolume, path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write the b-values and directions of a diffusion series beside its NIfTI file.

    The directions are along the axes of the image that :func:`write_nifti` writes (i, j, k), as
    FSL and ``dcm2niix`` have them; images without a direction, such as b = 0 or an average over
    all directions, have zeros.

    Args:
        volume: A 4-D series, in the order of its volumes.
        path: The NIfTI file; its ending is replaced by ``.bval`` and ``.bvec``.

    Returns:
        ``Success`` with the two paths; or ``Failure`` with ``INVALID_ARGUMENT`` for a volume
        without b-values, or several of one b-value whose directions are not said (GE's are not
        read), or ``FILE_WRITE_FAILED``.
    """
    place = Path(path)
    stem = place.name.removesuffix(".gz").removesuffix(".nii")
    count = volume.volume_count
    slices = volume.metadata.slices
    firsts = [slices[number * len(slices) // count] for number in range(count)]
    b_values = [one.b_value for one in firsts]
    if None in b_values:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"{b_values.count(None)} of {count} volumes have no Diffusion b-value (0018,9087)",
        )
    unsaid = Counter(one.b_value for one in firsts if one.b_value and one.gradient is None)
    for b_value, times in unsaid.items():
        if times > 1:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{times} volumes have the b-value {b_value:g}, but no DiffusionGradientOrientation "
                "(0018,9089): their directions are not known",
            )
    directions = _in_image(volume, [one.gradient or (0.0, 0.0, 0.0) for one in firsts])
    values = place.with_name(f"{stem}.bval")
    vectors = place.with_name(f"{stem}.bvec")
    with replacing(values, ".bval") as part:
        part.write_text(" ".join(f"{value:g}" for value in b_values) + "\n", "ascii")
    with replacing(vectors, ".bvec") as part:
        lines = (" ".join(f"{number + 0.0:.9g}" for number in row) for row in directions.T)
        part.write_text("\n".join(lines) + "\n", "ascii")
    return values, vectors


def _in_image(
    volume: LoadedVolume, gradients: list[tuple[float, float, float]]
) -> NDArray[np.float64]:
    """Turn directions of the patient into those of columns, rows upwards, and slices."""
    matrix = np.asarray(volume.geometry.direction).reshape(3, 3)
    turned: NDArray[np.float64] = np.asarray(gradients, np.float64) @ matrix * (1, -1, 1)
    # FSL reads a right-handed image (of positive determinant) with its first axis mirrored;
    # with rows upwards ours is left-handed, unless the slices run against their normal.
    if np.linalg.det(matrix) < 0:
        turned[:, 0] *= -1
    return turned

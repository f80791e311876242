"""What the tests of series that are no plain stack have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom

from pacs_sdk.core import ErrorCode, PacsError
from pacs_sdk.integration.itk import LoadedVolume, load_volume
from tests.integration.made_series import in_memory, made_slice


def loaded(datasets: list[pydicom.Dataset], **options: Any) -> LoadedVolume:
    """Load what must be loadable."""
    return load_volume(in_memory(datasets), **options).unwrap()


def refusal(datasets: list[pydicom.Dataset], **options: Any) -> PacsError:
    """Load what must be refused as no one volume."""
    error = load_volume(in_memory(datasets), **options).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    return error


def flat(number: int, value: int, z: float | None = None, **changes: Any) -> pydicom.Dataset:
    """Make a slice of one value, at a place of its own."""
    if z is not None:
        changes["ImagePositionPatient"] = ["-10", "20", f"{z:.15g}"]
    return made_slice(number, np.full((3, 4), value, np.int16), **changes)


def first_voxels(volume: LoadedVolume) -> list[float]:
    """Return the first voxel of each slice."""
    return [float(plane.flat[0]) for plane in volume.array]


def gappy() -> list[pydicom.Dataset]:
    """Slices 0, 1, 2, 5 and 6 of seven."""
    return [made_slice(number) for number in (0, 1, 2, 5, 6)]


def tilted(count: int = 6, shift: float = 0.75) -> list[pydicom.Dataset]:
    """A ramp along y, each slice shifted by so much: what a gantry tilt does."""
    datasets = []
    for number in range(count):
        y = 20 + shift * number
        rows = np.arange(8)[:, np.newaxis] * 0.5 + y  # the value is the position in mm
        values = np.repeat(rows * 100, 4, axis=1).round().astype(np.int16)
        position = ["-10", f"{y:g}", f"{2.5 * number:g}"]
        datasets.append(
            made_slice(number, values, ImagePositionPatient=position, GantryDetectorTilt="0")
        )
    return datasets


def echoes(times: tuple[str, ...] = ("4.6", "9.2"), **changes: Any) -> list[pydicom.Dataset]:
    """Two echoes of three places, the slices mixed."""
    return [
        flat(
            10 * index + number,
            1000 * index + number,
            2.5 * number,
            EchoTime=time,
            **changes,
        )
        for number in range(3)
        for index, time in enumerate(times)
    ]

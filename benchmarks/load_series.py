"""Series to volumes: load_series against SimpleITK, pydicom and a plain read of the bytes.

The series is a phantom with noise, 500 slices of 512 x 512; compressed by our own encoders it
has fewer. Peak memory is that of a program of its own, over what it had before it loaded.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK
from numpy.typing import NDArray

from benchmarks.harness import Comparison, Contestant, scaled
from pacs_sdk.core.uids import new_uid
from pacs_sdk.encoding import instance_from_dataset, transcode, transfer_syntax, write_file
from pacs_sdk.integration.itk import load_series, load_volume
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom

__all__ = ["comparisons"]

_SLICES = scaled(500)
_COMPRESSED = {
    "JPEGLSLossless": scaled(100),
    "JPEG2000Lossless": scaled(40),
    "HTJ2KLossless": scaled(100),
}
_SIDE = 512

_PEAK = """
import sys
from pathlib import Path
import SimpleITK
from pacs_sdk.integration.itk import load_series

def kilobytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

SimpleITK.Image([2, 2, 2], SimpleITK.sitkInt16)
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = kilobytes("VmRSS:")
series = load_series(sys.argv[1], image_memory=sys.argv[2]).unwrap()
image = series.image if sys.argv[2] == "shared" else None
print((kilobytes("VmHWM:") - before) * 1024 / series.array.nbytes)
"""
"""Prints the memory at the peak as a multiple of the volume."""


def comparisons() -> Iterator[Comparison]:
    """Compare for native slices and for three ways to compress them."""
    yield _native(_series(_SLICES, ""))
    for keyword, count in _COMPRESSED.items():
        yield _compressed(_series(count, keyword), keyword)


def _native(folder: Path) -> Comparison:
    peaks = ", ".join(f"{memory} {_peak(folder, memory):.2f}" for memory in ("on_demand", "shared"))
    return Comparison(
        f"load a series of {_SIDE} x {_SIDE}, native; peak memory in volumes: {peaks}",
        "slices",
        _count(folder),
        (
            Contestant("pacs_sdk load_series", lambda: load_series(folder).unwrap()),
            Contestant(
                "the same, and its SimpleITK image", lambda: load_series(folder).unwrap().image
            ),
            Contestant(
                "pacs_sdk load_series, shared memory",
                lambda: load_series(folder, image_memory="shared").unwrap().image,
            ),
            Contestant("SimpleITK ImageSeriesReader", lambda: _by_simple_itk(folder)),
            Contestant("pydicom, stacked and rescaled", lambda: _by_pydicom(folder)),
            Contestant("a plain read of the files", lambda: _plain(folder)),
        ),
        unit_bytes=_SIDE * _SIDE * 2,
    )


def _compressed(folder: Path, keyword: str) -> Comparison:
    ours = Contestant("pacs_sdk load_series", lambda: load_series(folder).unwrap())
    contestants = [ours, Contestant("pydicom, stacked and rescaled", lambda: _by_pydicom(folder))]
    if _simple_itk_reads(folder):
        contestants.insert(
            1, Contestant("SimpleITK ImageSeriesReader", lambda: _by_simple_itk(folder))
        )
    return Comparison(
        f"load a series of {_SIDE} x {_SIDE}, {keyword}",
        "slices",
        _count(folder),
        tuple(contestants),
        unit_bytes=_SIDE * _SIDE * 2,
    )


def _simple_itk_reads(folder: Path) -> bool:
    """Whether SimpleITK's GDCM has the codec: HTJ2K it has not."""
    try:
        theirs = SimpleITK.GetArrayFromImage(_by_simple_itk(folder))
        return np.array_equal(theirs, load_volume(folder).unwrap().array)
    except RuntimeError:
        return False


def _by_simple_itk(folder: Path) -> Any:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def _by_pydicom(folder: Path) -> NDArray[np.int16]:
    slices = [pydicom.dcmread(path) for path in folder.iterdir()]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    planes = [one.pixel_array * one.RescaleSlope + one.RescaleIntercept for one in slices]
    return np.stack(planes).astype(np.int16)


def _plain(folder: Path) -> None:
    for path in folder.iterdir():
        path.read_bytes()


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def _peak(folder: Path, memory: str) -> float:
    command = [sys.executable, "-c", _PEAK, str(folder), memory]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


# -- the series -----------------------------------------------------------------------------


@functools.cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pacs-bench-series-")


@functools.cache
def _series(slices: int, keyword: str) -> Path:
    """Write the slices of a noisy phantom into a folder that lasts as long as the program."""
    folder = Path(_kept().name) / (keyword or "native")
    folder.mkdir()
    spec = PhantomSpec(slices=slices, rows=_SIDE, columns=_SIDE, rescale_slope=1.0, shuffle_seed=3)
    noise = np.random.default_rng(1)
    series = new_uid()
    for number, instance in enumerate(make_phantom(spec).unwrap().instances):
        dataset = instance.dataset().unwrap().pydicom
        plane = np.frombuffer(dataset.PixelData, "<i2").reshape(_SIDE, _SIDE)
        noisy_plane = plane + noise.integers(-12, 12, plane.shape, np.int16)
        dataset.PixelData = noisy_plane.astype("<i2").tobytes()
        dataset.SeriesInstanceUID = series
        noisy = instance_from_dataset(dataset).unwrap()
        if keyword:
            noisy = transcode(noisy, transfer_syntax(keyword).unwrap()).unwrap()
        write_file(noisy, folder / f"{number:04}.dcm").unwrap()
    return folder

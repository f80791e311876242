"""From a CT slice or a mammogram to 8 bits, against pydicom's own functions."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from benchmarks.harness import Comparison, Contestant
from pacs_sdk.encoding import instance_from_dataset
from pacs_sdk.encoding.rendering import Window, apply_window, modality_values, render_frame

__all__ = ["comparisons"]


def _image(sop_class_uid: str, rows: int, columns: int, bits_stored: int) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class_uid, "1.2.3"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored = 16, bits_stored
    dataset.HighBit = bits_stored - 1
    dataset.WindowCenter, dataset.WindowWidth = 1 << bits_stored - 1, 1 << bits_stored - 2
    values = np.random.default_rng(7).integers(0, 1 << bits_stored, (rows, columns))
    dataset.PixelData = values.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    return dataset


def _ct() -> Dataset:
    dataset = _image("1.2.840.10008.5.1.4.1.1.2", 512, 512, 12)
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    return dataset


def comparisons() -> tuple[Comparison, ...]:
    """Compare for a CT slice, with its steps alone, and for a large mammogram."""
    mammogram = _image("1.2.840.10008.5.1.4.1.1.1.2", 4000, 3000, 14)
    return (
        _comparison("a CT slice of 512 × 512", _ct(), 10),
        _steps(_ct()),
        _comparison("a mammogram of 4000 × 3000", mammogram, 1),
    )


def _comparison(what: str, dataset: Dataset, repeats: int) -> Comparison:
    instance = instance_from_dataset(dataset).unwrap()

    def ours() -> None:
        render_frame(instance).unwrap()

    def ours_from_dataset() -> None:
        render_frame(dataset).unwrap()

    def with_pydicom() -> None:
        shown = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
        low, high = shown.min(), shown.max()
        ((shown - low) / (high - low) * 255).astype(np.uint8)
        del dataset._pixel_array  # it would not decode again
        dataset._pixel_id = {}

    return Comparison(
        f"render {what}",
        "frames",
        repeats,
        (
            Contestant("pacs_sdk render_frame of an instance", _times(repeats, ours)),
            Contestant("pacs_sdk render_frame of a data set", _times(repeats, ours_from_dataset)),
            Contestant("pydicom modality, VOI and NumPy", _times(repeats, with_pydicom)),
        ),
    )


def _steps(dataset: Dataset) -> Comparison:
    instance = instance_from_dataset(dataset).unwrap()
    values = modality_values(instance).unwrap()
    frame = render_frame(instance).unwrap()
    return Comparison(
        "the steps of a CT slice, each alone",
        "frames",
        1,
        (
            Contestant("render_frame", functools.partial(render_frame, instance)),
            Contestant("modality_values", functools.partial(modality_values, instance)),
            Contestant("apply_window", functools.partial(apply_window, values, Window(40, 400))),
            Contestant("RenderedFrame.png", frame.png),
            Contestant("RenderedFrame.jpeg", frame.jpeg),
        ),
    )


def _times(count: int, run: Callable[[], None]) -> Callable[[], None]:
    def several() -> None:
        for _ in range(count):
            run()

    return several

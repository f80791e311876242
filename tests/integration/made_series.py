"""Small CT series with made-up contents, for the tests of loading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray

from pacs_sdk.encoding import (
    Instance,
    TransferSyntax,
    ValidationMode,
    instance_from_dataset,
    write_file,
)
from pacs_sdk.encoding.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN

__all__ = ["ROWS_COLUMNS", "in_files", "in_memory", "made_slice", "made_slices"]

ROWS_COLUMNS = (3, 4)
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


def made_slice(
    number: int, values: NDArray[np.generic] | None = None, **changes: object
) -> pydicom.Dataset:
    """Make slice ``number`` of an axial series with 2.5 mm steps.

    Its values count up from 100 × number unless they are given; signed 16-bit, no
    rescaling. ``changes`` set attributes by keyword; ``None`` takes one away.
    """
    if values is None:
        values = np.arange(12, dtype=np.int16).reshape(ROWS_COLUMNS) + np.int16(100 * number)
    dataset = pydicom.Dataset()
    attributes: dict[str, object] = {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPClassUID": CT_IMAGE_STORAGE,
        "SOPInstanceUID": f"1.2.3.4.{number + 1}",
        "Modality": "CT",
        "SeriesDescription": "Made <up>",
        "SliceThickness": "2.5",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "InstanceNumber": number + 1,
        "ImagePositionPatient": ["-10", "20", str(-5 + 2.5 * number)],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "FrameOfReferenceUID": "1.2.3.9",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "PixelSpacing": ["0.5", "0.625"],
        "BitsAllocated": values.dtype.itemsize * 8,
        "BitsStored": values.dtype.itemsize * 8,
        "HighBit": values.dtype.itemsize * 8 - 1,
        "PixelRepresentation": int(values.dtype.kind == "i"),
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "PixelData": values.astype(values.dtype.newbyteorder("<")).tobytes(),
    } | changes
    for keyword, value in attributes.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OW"
    return dataset


def made_slices(count: int, **changes: object) -> list[pydicom.Dataset]:
    """Make a regular series; ``changes`` apply to every slice."""
    return [made_slice(number, **changes) for number in range(count)]  # type: ignore[arg-type]


def in_memory(
    datasets: Sequence[pydicom.Dataset], syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN
) -> list[Instance]:
    """Encode data sets as instances."""
    lenient = ValidationMode.LENIENT  # some series are wrong on purpose
    return [
        instance_from_dataset(dataset, syntax, validation=lenient).unwrap() for dataset in datasets
    ]


def in_files(instances: Sequence[Instance], folder: Path) -> list[Path]:
    """Write instances as ``0.dcm``, ``1.dcm`` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_file(instance, folder / f"{number}.dcm").unwrap()
        for number, instance in enumerate(instances)
    ]

"""Small objects of several modalities, for the tests of loading them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pydicom
from numpy.typing import NDArray

from pacs_sdk.integration.itk import VolumeGeometry
from tests.integration.segmentation.made_seg import dataset_with, plane_groups

__all__ = ["made_cine", "made_dose", "made_enhanced", "made_nm"]


def _with_pixels(pixels: NDArray[np.generic], **attributes: object) -> pydicom.Dataset:
    """Make an image of frames (frames, rows, columns[, 3])."""
    samples = pixels.shape[3] if pixels.ndim == 4 else 1
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    bits = pixels.dtype.itemsize * 8
    values: dict[str, object] = {
        "SOPInstanceUID": "1.2.3.77.1",
        "SeriesInstanceUID": "1.2.3.77",
        "StudyInstanceUID": "1.2.3",
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "RGB" if samples == 3 else "MONOCHROME2",
        "NumberOfFrames": pixels.shape[0],
        "Rows": pixels.shape[1],
        "Columns": pixels.shape[2],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelData": data + b"\0" * (len(data) % 2),
    } | attributes
    if samples == 3:
        values["PlanarConfiguration"] = 0
    dataset = dataset_with(**{key: value for key, value in values.items() if value is not None})
    dataset["PixelData"].VR = "OW"
    return dataset


def made_dose(pixels: NDArray[np.generic], **changes: object) -> pydicom.Dataset:
    """Make an RT Dose with 2.5 mm between frames; scaling 0.002 Gy."""
    attributes: dict[str, object] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2",
        "Modality": "RTDOSE",
        "DoseUnits": "GY",
        "DoseType": "PHYSICAL",
        "DoseSummationType": "PLAN",
        "DoseGridScaling": "0.002",
        "ImagePositionPatient": ["-10", "20", "-5"],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "PixelSpacing": ["2", "3"],
        "GridFrameOffsetVector": [f"{2.5 * frame:g}" for frame in range(pixels.shape[0])],
    }
    return _with_pixels(pixels, **attributes | changes)


def made_nm(pixels: NDArray[np.generic], **changes: object) -> pydicom.Dataset:
    """Make a Nuclear Medicine image."""
    attributes: dict[str, object] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.20",
        "Modality": "NM",
        "PixelSpacing": ["4", "4"],
    }
    return _with_pixels(pixels, **attributes | changes)


def made_cine(pixels: NDArray[np.generic], **changes: object) -> pydicom.Dataset:
    """Make an ultrasound loop."""
    attributes: dict[str, object] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.3.1",
        "Modality": "US",
    }
    return _with_pixels(pixels, **attributes | changes)


def made_enhanced(
    pixels: NDArray[np.generic], places: Sequence[tuple[VolumeGeometry, int]], **changes: object
) -> pydicom.Dataset:
    """Make an enhanced CT image, each frame on a slice of a grid."""
    attributes: dict[str, object] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2.1",
        "Modality": "CT",
        "SeriesDescription": "enhanced",
        "FrameOfReferenceUID": "1.2.3.9",
        "SeriesNumber": 4,
        "SharedFunctionalGroupsSequence": [
            dataset_with(
                PixelValueTransformationSequence=[
                    dataset_with(RescaleSlope="1", RescaleIntercept="-1024", RescaleType="HU")
                ]
            )
        ],
        "PerFrameFunctionalGroupsSequence": [
            dataset_with(**plane_groups(grid, plane)) for grid, plane in places
        ],
    }
    return _with_pixels(pixels, **attributes | changes)

"""Small segmentations, written element by element, for the tests of reading them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, Instance, instance_from_dataset
from pacs_sdk.integration.itk import VolumeGeometry

__all__ = ["GRID", "Frame", "dataset_with", "made_seg", "plane_groups"]

GRID = VolumeGeometry(
    size=(4, 3, 5),
    origin=(-10.0, 20.0, -5.0),
    spacing=(0.625, 0.5, 2.5),
    direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
)
"""The grid of the volume that is segmented: 5 axial slices of 3 rows and 4 columns."""

Frame = tuple[int | None, int, NDArray[Any]]
"""Segment (none in a label map), slice, pixels."""


def dataset_with(**values: object) -> pydicom.Dataset:
    """Make a data set of keywords and values."""
    dataset = pydicom.Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def plane_groups(grid: VolumeGeometry, plane: int) -> dict[str, object]:
    """Make the functional groups that say where slice ``plane`` of a grid lies."""
    direction = np.asarray(grid.direction).reshape(3, 3)
    axes = [*direction[:, 0], *direction[:, 1]]
    return {
        "PlanePositionSequence": [
            dataset_with(
                ImagePositionPatient=[f"{part:.10g}" for part in grid.point_of((0, 0, plane))]
            )
        ],
        "PlaneOrientationSequence": [
            dataset_with(ImageOrientationPatient=[f"{part:.10g}" for part in axes])
        ],
        "PixelMeasuresSequence": [
            dataset_with(
                PixelSpacing=[f"{grid.spacing[1]:.10g}", f"{grid.spacing[0]:.10g}"],
                SliceThickness=f"{grid.spacing[2]:.10g}",
                SpacingBetweenSlices=f"{grid.spacing[2]:.10g}",
            )
        ],
    }


def made_seg(
    frames: Sequence[Frame],
    kind: str = "BINARY",
    grid: VolumeGeometry = GRID,
    labels: Sequence[str] = ("liver", "kidney"),
    **changes: object,
) -> Instance:
    """Make a segmentation with the given frames, in the given order."""
    pixels = np.stack([one for _, _, one in frames]).astype(np.uint8)
    bits = 1 if kind == "BINARY" else 8
    # Bits of all frames follow each other without a gap, the lowest first (PS3.5 8.1.1).
    data = np.packbits(pixels.ravel(), bitorder="little") if bits == 1 else pixels.ravel()
    groups = []
    for segment, plane, _ in frames:
        values = plane_groups(grid, plane)
        if segment is not None:
            values["SegmentIdentificationSequence"] = [
                dataset_with(ReferencedSegmentNumber=segment)
            ]
        groups.append(dataset_with(**values))
    attributes: dict[str, object] = {
        "SOPClassUID": f"1.2.840.10008.5.1.4.1.1.66.{7 if kind == 'LABELMAP' else 4}",
        "SOPInstanceUID": "1.2.3.66.1",
        "Modality": "SEG",
        "FrameOfReferenceUID": "1.2.3.9",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "NumberOfFrames": len(frames),
        "Rows": pixels.shape[1],
        "Columns": pixels.shape[2],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "SegmentationType": kind,
        "SegmentSequence": [
            dataset_with(
                SegmentNumber=number,
                SegmentLabel=label,
                SegmentAlgorithmType="MANUAL",
                SegmentedPropertyTypeCodeSequence=[
                    dataset_with(CodeValue="1", CodingSchemeDesignator="99X", CodeMeaning=label)
                ],
            )
            for number, label in enumerate(labels, 1)
        ],
        "ReferencedSeriesSequence": [dataset_with(SeriesInstanceUID="1.2.3.4")],
        "PerFrameFunctionalGroupsSequence": groups,
        "PixelData": data.tobytes() + b"\0" * (data.size % 2),
    } | changes
    if kind == "FRACTIONAL":
        attributes = {"MaximumFractionalValue": 200} | attributes
    dataset = dataset_with(**{key: value for key, value in attributes.items() if value is not None})
    dataset["PixelData"].VR = "OB"
    return instance_from_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()

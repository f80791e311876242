"""Segmentations: DICOM SEG and RT Structure Sets as masks on the grid of a volume."""

from pacs_sdk.integration.segmentation.grid import Grid, HasGeometry, ImageGrid
from pacs_sdk.integration.segmentation.seg_reader import load_segmentation
from pacs_sdk.integration.segmentation.seg_writer import (
    SegmentationInfo,
    masks_to_segmentation,
)
from pacs_sdk.integration.segmentation.segment import CodedConcept, Segment, SegmentationType
from pacs_sdk.integration.segmentation.segmentation import Segmentation
from pacs_sdk.integration.segmentation.structure_reader import load_structure_set
from pacs_sdk.integration.segmentation.structure_set import (
    Contour,
    RegionMask,
    RegionOfInterest,
    StructureSet,
)

__all__ = [
    "CodedConcept",
    "Contour",
    "Grid",
    "HasGeometry",
    "ImageGrid",
    "RegionMask",
    "RegionOfInterest",
    "Segment",
    "Segmentation",
    "SegmentationInfo",
    "SegmentationType",
    "StructureSet",
    "load_segmentation",
    "load_structure_set",
    "masks_to_segmentation",
]

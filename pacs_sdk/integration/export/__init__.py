"""From volumes to files: derived DICOM series, NIfTI with gradients, NRRD."""

from pacs_sdk.integration.export.derived_header import DerivedKind
from pacs_sdk.integration.export.dicom_series import DerivedSeries, SeriesInfo, image_to_series
from pacs_sdk.integration.export.gradients import write_gradients
from pacs_sdk.integration.export.nifti import nifti_affine, write_nifti
from pacs_sdk.integration.export.nrrd import write_nrrd

__all__ = [
    "DerivedKind",
    "DerivedSeries",
    "SeriesInfo",
    "image_to_series",
    "nifti_affine",
    "write_gradients",
    "write_nifti",
    "write_nrrd",
]

"""From DICOM series to volumes: SimpleITK images and NumPy arrays.

SimpleITK is needed by :func:`load_series` only, and imported when that is called.
"""

from pacs_sdk.integration.itk.geometry import PointMm, SpacingStatistics, VolumeGeometry
from pacs_sdk.integration.itk.load import load_series, load_volume
from pacs_sdk.integration.itk.loaded import LoadedSeries, LoadedVolume
from pacs_sdk.integration.itk.report import SeriesReport, Skipped
from pacs_sdk.integration.itk.series_scan import InstanceArchive, SeriesSource

__all__ = [
    "InstanceArchive",
    "LoadedSeries",
    "LoadedVolume",
    "PointMm",
    "SeriesReport",
    "SeriesSource",
    "Skipped",
    "SpacingStatistics",
    "VolumeGeometry",
    "load_series",
    "load_volume",
]

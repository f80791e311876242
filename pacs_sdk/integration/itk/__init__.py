"""From DICOM series to volumes: SimpleITK images and NumPy arrays.

SimpleITK is needed by :func:`load_series` only, and imported when that is called.
"""

from pacs_sdk.integration.itk.geometry import PointMm, SpacingStatistics, VolumeGeometry
from pacs_sdk.integration.itk.load import load_series, load_volume
from pacs_sdk.integration.itk.loaded import LoadedSeries, LoadedVolume, SliceSource
from pacs_sdk.integration.itk.metadata import SeriesMetadata, SliceMetadata
from pacs_sdk.integration.itk.report import Gap, SeriesReport, Skipped
from pacs_sdk.integration.itk.series_scan import InstanceArchive, SeriesSource
from pacs_sdk.integration.itk.volume import Volume, VolumeAxis

__all__ = [
    "Gap",
    "InstanceArchive",
    "LoadedSeries",
    "LoadedVolume",
    "PointMm",
    "SeriesMetadata",
    "SeriesReport",
    "SeriesSource",
    "Skipped",
    "SliceMetadata",
    "SliceSource",
    "SpacingStatistics",
    "Volume",
    "VolumeAxis",
    "VolumeGeometry",
    "load_series",
    "load_volume",
]

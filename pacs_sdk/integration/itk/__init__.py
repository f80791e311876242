"""From DICOM series to volumes: NumPy arrays, SimpleITK and ITK images.

SimpleITK is needed by :func:`load_series`, and imported when that is called;
:func:`load_volume` does without.
"""

from pacs_sdk.integration.itk.geometry import (
    GridPlacement,
    PointMm,
    SpacingStatistics,
    VolumeGeometry,
)
from pacs_sdk.integration.itk.load import load_series, load_volume
from pacs_sdk.integration.itk.loaded import LoadedSeries, LoadedVolume, SliceSource
from pacs_sdk.integration.itk.metadata import SeriesMetadata, SliceMetadata
from pacs_sdk.integration.itk.options import LoadOptions, LoadSettings
from pacs_sdk.integration.itk.remote import RemoteSeries
from pacs_sdk.integration.itk.report import Gap, SeriesReport, Skipped
from pacs_sdk.integration.itk.sources import InstanceArchive, SeriesSource
from pacs_sdk.integration.itk.study import (
    LoadableVolume,
    LoadedStudy,
    SeriesScan,
    load_study,
    scan_series,
)
from pacs_sdk.integration.itk.volume import Volume, VolumeAxis

__all__ = [
    "Gap",
    "GridPlacement",
    "InstanceArchive",
    "LoadOptions",
    "LoadSettings",
    "LoadableVolume",
    "LoadedSeries",
    "LoadedStudy",
    "LoadedVolume",
    "PointMm",
    "RemoteSeries",
    "SeriesMetadata",
    "SeriesReport",
    "SeriesScan",
    "SeriesSource",
    "Skipped",
    "SliceMetadata",
    "SliceSource",
    "SpacingStatistics",
    "Volume",
    "VolumeAxis",
    "VolumeGeometry",
    "load_series",
    "load_study",
    "load_volume",
    "scan_series",
]

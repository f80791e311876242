"""Loading a series: the public functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Unpack

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.integration.itk.assemble import VolumeMemory, assemble, numpy_memory
from pacs_sdk.integration.itk.choose import choose_series, choose_volume
from pacs_sdk.integration.itk.geometry import VolumeGeometry
from pacs_sdk.integration.itk.grouping import read_slices, volumes_of
from pacs_sdk.integration.itk.loaded import ImageOnce, LoadedSeries, LoadedVolume
from pacs_sdk.integration.itk.options import LoadOptions, LoadSettings
from pacs_sdk.integration.itk.sitk_image import image_with_memory, simple_itk
from pacs_sdk.integration.itk.sources import SeriesSource, find_objects

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["LOADING_ERRORS", "SharedMemory", "load_series", "load_volume", "series_of"]

LOADING_ERRORS: Final[dict[type[Exception], ErrorCode]] = {
    FileNotFoundError: ErrorCode.FILE_NOT_FOUND,
    OSError: ErrorCode.FILE_READ_FAILED,
    MemoryError: ErrorCode.LIMIT_EXCEEDED,
}
"""What reading a source, and making room for a volume, raises."""


@edge(LOADING_ERRORS)
def load_series(
    source: SeriesSource, options: LoadOptions | None = None, **settings: Unpack[LoadSettings]
) -> LoadedSeries:
    """Load a series as an array and a SimpleITK image: exactly, or with the reason why not.

    Slices are ordered by Image Position (Patient) along their normal, never by name or
    Instance Number. Values are stored value × Rescale Slope + Rescale Intercept: ``int16``
    or ``int32`` where slope and intercept are whole numbers in every slice, else ``float32``
    (``float64`` where more than 24 bits are stored); colour is red, green and blue, ``uint8``.
    Where several images lie at each place, an attribute such as Echo Time makes a 4-D array.

    Args:
        source: A folder (with all folders in it) or file; an instance; paths, file
            contents and instances in any order; an archive, with ``series_instance_uid`` or
            ``query``; or a :class:`RemoteSeries` of a peer.
        options: What becomes of a series that is no plain stack.
        **settings: The fields of :class:`LoadOptions`, instead of or on top of ``options``.

    Returns:
        ``Success`` with image, array, the instance of each slice, metadata and a report; or
        ``Failure`` with ``SERIES_NOT_LOADABLE`` naming file and tag (several series or
        volumes, missing slices, irregular spacing, gantry tilt, different images at one
        place, multi-frame, not an image), ``PIXEL_DATA_FAILED``, ``LIMIT_EXCEEDED``,
        ``MISSING_DEPENDENCY`` without SimpleITK, ``INVALID_ARGUMENT``, or what reading the
        files, the archive or the peer gives.
    """
    simple_itk()
    chosen = _chosen(options, settings)
    shared = SharedMemory() if chosen.image_memory == "shared" else None
    return series_of(_load(source, chosen, shared or numpy_memory), shared)


@edge(LOADING_ERRORS)
def load_volume(
    source: SeriesSource, options: LoadOptions | None = None, **settings: Unpack[LoadSettings]
) -> LoadedVolume:
    """Load a series as a NumPy array with its geometry, without SimpleITK.

    Args and rules are those of :func:`load_series`.

    Returns:
        ``Success`` with array, geometry, the instance of each slice, metadata and a report;
        or ``Failure`` as :func:`load_series`, never with ``MISSING_DEPENDENCY``.
    """
    return _load(source, _chosen(options, settings), numpy_memory)


class SharedMemory:
    """Room for a volume in SimpleITK's memory."""

    def __init__(self) -> None:
        self.image: SimpleITK.Image | None = None

    def __call__(
        self, geometry: VolumeGeometry, dtype: np.dtype[Any], volumes: int | None, samples: int
    ) -> NDArray[Any]:
        """Make an image and return an array over its memory.

        Raises:
            MemoryError: There is none.
        """
        self.image = None  # one of a type that turned out too narrow is let go first
        self.image, array = image_with_memory(geometry, dtype, volumes, samples)
        return array


def series_of(volume: LoadedVolume, shared: SharedMemory | None = None) -> LoadedSeries:
    """Give a volume its SimpleITK image, which is made when it is first asked for.

    Args:
        volume: The volume.
        shared: Where its memory is from, if it is SimpleITK's.
    """
    fields = {field.name: getattr(volume, field.name) for field in attrs.fields(LoadedVolume)}
    return LoadedSeries(**fields, image=ImageOnce(None if shared is None else shared.image))


def _chosen(options: LoadOptions | None, settings: LoadSettings) -> LoadOptions:
    return attrs.evolve(options or LoadOptions(), **settings)


def _load(source: SeriesSource, options: LoadOptions, memory: VolumeMemory) -> LoadedVolume:
    found, skipped = find_objects(
        source,
        series_instance_uid=options.series_instance_uid,
        query=options.query,
        strict=options.strict,
    )
    series, others = choose_series(found, options.series_instance_uid)
    slices, unusable = read_slices(series.objects, options)
    if not slices:
        raise PacsException(
            ErrorCode.SERIES_NOT_LOADABLE,
            f"none of the {len(unusable)} objects of the series can be a slice; "
            f"{unusable[0].name}: {unusable[0].reason}",
            path=unusable[0].name,
        )
    volume, left_out = choose_volume(volumes_of(slices), options)
    return assemble(volume, (*skipped, *others, *unusable, *left_out), options, memory)

"""What loading a series gives."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import attrs
from numpy.typing import NDArray

from pacs_sdk.core.results import raised
from pacs_sdk.integration.itk.metadata import SeriesMetadata
from pacs_sdk.integration.itk.report import SeriesReport
from pacs_sdk.integration.itk.volume import Volume
from pacs_sdk.integration.windows import Window, usual_window

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["ImageOnce", "LoadedSeries", "LoadedVolume", "SliceSource"]


@attrs.frozen
class SliceSource:
    """Where a slice came from."""

    name: str
    """The file, or the SOP Instance UID of an object in memory."""
    sop_instance_uid: str
    """The instance; empty for a slice that was made up to fill a gap."""
    frame: int = 0
    """The frame of the instance, from 0; of a mosaic the tile."""


@attrs.frozen(eq=False, repr=False)
class LoadedVolume(Volume):
    """A series as one volume in patient coordinates, or several of one grid."""

    sources: tuple[SliceSource, ...] = attrs.field(kw_only=True)
    """Where each slice came from: first slice first, of a 4-D array volume by volume. After
    resampling the nearest of the slices that one was made of; a slice in a gap is made up."""
    report: SeriesReport = attrs.field(kw_only=True)
    """What was seen in the series and done to it."""
    metadata: SeriesMetadata = attrs.field(kw_only=True)
    """What its attributes say."""
    mask: NDArray[Any] | None = attrs.field(default=None, kw_only=True)
    """With ``padding="mask"``: true where a voxel is no padding and has no part of any, of the
    array's shape."""

    @property
    def sop_instance_uids(self) -> tuple[str, ...]:
        """The instance of each slice, in the order of :attr:`sources`."""
        return tuple(source.sop_instance_uid for source in self.sources)

    def _usual_window(self, array: NDArray[Any]) -> Window:
        usual = usual_window(self.report.modality, self.report.value_unit)
        if usual is not None and self.samples == 1:
            return usual
        return super()._usual_window(array)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.report.modality}: {self._facts()}>"


class ImageOnce:
    """An image that is made when it is first asked for."""

    __slots__ = ("_image", "_lock")

    def __init__(self, image: SimpleITK.Image | None = None) -> None:
        self._image = image
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[ImageOnce], tuple[()]]:
        """Let a series go to another process, where its image is made again."""
        return ImageOnce, ()

    def of(self, volume: Volume) -> SimpleITK.Image:
        """Return the image, made of the volume the first time.

        Raises:
            PacsException: What :meth:`Volume.to_simple_itk` gives.
        """
        with self._lock:
            if self._image is None:
                self._image = raised(volume.to_simple_itk())
            return self._image


@attrs.frozen(eq=False, repr=False)
class LoadedSeries(LoadedVolume):
    """A series as an array and a SimpleITK image."""

    _image: ImageOnce = attrs.field(factory=ImageOnce, kw_only=True)

    @property
    def image(self) -> SimpleITK.Image:
        """The volume with its geometry in LPS mm: the same image every time.

        It is a copy made when it is first asked for; with ``image_memory="shared"`` it is
        what was loaded, and the array lies over its memory.

        Raises:
            PacsException: ``LIMIT_EXCEEDED`` where there is no memory for the copy.
        """
        return self._image.of(self)

"""What loading a series gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.results import edge, raised
from pacs_sdk.integration.itk.geometry import VolumeGeometry, oriented_to_patient
from pacs_sdk.integration.itk.report import SeriesReport
from pacs_sdk.integration.preview import Window, orthogonal_preview

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["LoadedSeries", "LoadedVolume"]

_CT_WINDOW: Window = (40.0, 400.0)
"""Soft tissue: what a radiologist looks at first."""

_SAMPLE_STEP = 4
"""Every how many voxels of each axis the values are sampled for a window."""


@attrs.frozen(eq=False, repr=False)
class LoadedVolume:
    """A series as one volume in patient coordinates."""

    array: NDArray[Any]
    """The values, (slices, rows, columns); not writable."""
    geometry: VolumeGeometry
    """Where the voxels lie: origin, spacing and direction in LPS mm."""
    sop_instance_uids: tuple[str, ...]
    """The instance that each slice came from, first slice first."""
    report: SeriesReport
    """What was seen in the series and done to it."""

    @edge()
    def preview(self, window: Window | None = None) -> bytes:
        """Draw the central axial, coronal and sagittal planes.

        The volume is turned to the patient's axes first, without resampling; see
        :func:`pacs_sdk.integration.preview.orthogonal_preview`.

        Args:
            window: Centre and width of the values shown. By default soft tissue
                (40, 400) for CT, and 1 % to 99 % of the values for anything else.

        Returns:
            ``Success`` with a PNG file, or ``Failure`` with ``INVALID_ARGUMENT``.
        """
        array, spacing = oriented_to_patient(self.array, self.geometry)
        return raised(orthogonal_preview(array, spacing, window or self._usual_window()))

    def _usual_window(self) -> Window:
        if self.report.modality == "CT":
            return _CT_WINDOW
        sampled = self.array[::_SAMPLE_STEP, ::_SAMPLE_STEP, ::_SAMPLE_STEP]
        low, high = (float(value) for value in np.percentile(sampled, (1, 99)))
        return (low + high) / 2, max(high - low, 1e-6 * max(abs(high), 1.0)) + 1.0

    def _repr_png_(self) -> bytes | None:
        """Show the preview in a notebook."""
        return self.preview().value_or(None)

    def __repr__(self) -> str:
        size = " × ".join(str(count) for count in self.geometry.size)
        spacing = " × ".join(f"{step:.4g}" for step in self.geometry.spacing)
        return (
            f"<{type(self).__name__} {self.report.modality}: {size} voxels of {spacing} mm, "
            f"{self.array.dtype}>"
        )


@attrs.frozen(eq=False, repr=False)
class LoadedSeries(LoadedVolume):
    """A series as a SimpleITK image, with the volume's array over the same memory.

    The array keeps the image alive. As with SimpleITK's own array views, changing the
    image in place may or may not show in the array; copy one of them to be sure.
    """

    image: SimpleITK.Image
    """The volume with its geometry in LPS mm."""

"""A volume: values on a grid in the patient. It needs neither SimpleITK nor ITK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.integration.itk.geometry import VolumeGeometry, oriented_to_patient
from pacs_sdk.integration.itk.itk_image import itk_image_of
from pacs_sdk.integration.itk.sitk_image import image_of
from pacs_sdk.integration.preview import montage_preview, orthogonal_preview
from pacs_sdk.integration.windows import Window, named_window

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["Volume", "VolumeAxis"]

_LUMINANCE = (0.299, 0.587, 0.114)
"""What red, green and blue add to the brightness of a preview (PS3.3 C.7.6.3.1.2)."""

_SAMPLE_STEP = 4
"""Every how many voxels of each axis the values are sampled for a window."""


@attrs.frozen
class VolumeAxis:
    """What tells the volumes of a 4-D array apart: time, echo, diffusion weighting."""

    keywords: tuple[str, ...]
    """The attributes that differ, such as ``("EchoTime",)``, by keyword (PS3.6)."""
    values: tuple[tuple[str, ...], ...]
    """One entry a volume, in the order of the array's first axis: the text of each of the
    attributes."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def labels(self) -> tuple[str, ...]:
        """What to call each volume: ``"EchoTime=4.6"``."""
        return tuple(
            ", ".join(f"{key}={text}" for key, text in zip(self.keywords, texts, strict=True))
            for texts in self.values
        )

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Return the values of one of its attributes as numbers, NaN where there is none.

        Raises:
            ValueError: It is none of :attr:`keywords`.
        """
        place = self.keywords.index(keyword)
        return tuple(_number(texts[place]) for texts in self.values)


@attrs.frozen(eq=False, repr=False)
class Volume:
    """Values on a regular grid in patient coordinates.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` where the shape of the array is not that of the
            geometry and the axis.
    """

    array: NDArray[Any]
    """The values: (slices, rows, columns), in front of these one axis where :attr:`axis` says
    what it is, and behind them the samples of a colour (red, green, blue)."""
    geometry: VolumeGeometry
    """Where the voxels lie: origin, spacing and direction in LPS mm."""
    axis: VolumeAxis | None = attrs.field(default=None, kw_only=True)
    """What tells the volumes of a 4-D array apart; ``None`` for a single volume."""

    def __attrs_post_init__(self) -> None:
        grid = self.geometry.size[::-1]
        leading = () if self.axis is None else (len(self.axis),)
        shape = self.array.shape
        if shape[: len(leading) + 3] != leading + grid or len(shape) > len(leading) + 4:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"an array of shape {shape} is no volume of {leading + grid}, with or without "
                "samples of a colour behind",
            )

    @property
    def samples(self) -> int:
        """How many numbers a voxel has: 1, or 3 for a colour."""
        volume_axes = 3 if self.axis is None else 4
        return int(self.array.shape[volume_axes]) if self.array.ndim > volume_axes else 1

    @property
    def volume_count(self) -> int:
        """How many volumes it has: 1, or the length of :attr:`axis`."""
        return 1 if self.axis is None else len(self.axis)

    @edge()
    def at(self, index: int) -> Volume:
        """Return one volume of a 4-D array, without copying.

        Args:
            index: Which one, from 0, in the order of :attr:`axis`; -1 is the last.

        Returns:
            ``Success``, or ``Failure`` with ``INVALID_ARGUMENT`` where there is none.
        """
        if not -self.volume_count <= index < self.volume_count:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"there is no volume {index}, there are {self.volume_count}",
            )
        return Volume(self.array if self.axis is None else self.array[index], self.geometry)

    @edge()
    def to_simple_itk(self) -> SimpleITK.Image:
        """Copy it into a SimpleITK image: 3-D or 4-D, of vectors where it is in colour.

        A fourth axis has spacing 1 and origin 0.

        Returns:
            ``Success``, or ``Failure`` with ``MISSING_DEPENDENCY``, ``LIMIT_EXCEEDED`` where
            there is no memory, or ``INVALID_ARGUMENT`` for a type that SimpleITK has not.
        """
        return image_of(self.array, self.geometry, self.axis is not None, self.samples)

    @edge()
    def to_itk(self) -> Any:
        """Make an ``itk.Image`` of it that shares the array's memory where ITK can.

        Returns:
            ``Success``, or ``Failure`` with ``MISSING_DEPENDENCY`` without ITK's Python
            package, or ``INVALID_ARGUMENT`` for a type that ITK has not.
        """
        return itk_image_of(self.array, self.geometry, self.axis is not None, self.samples)

    @edge()
    def preview(
        self, window: Window | str | None = None, layout: Literal["planes", "montage"] = "planes"
    ) -> bytes:
        """Draw the volume, of a 4-D array its first.

        It is turned to the patient's axes first, without resampling; see
        :func:`pacs_sdk.integration.preview.orthogonal_preview` and ``montage_preview``.

        Args:
            window: Centre and width of the values shown, or a name of
                :data:`pacs_sdk.integration.windows.WINDOW_PRESETS`. By default what is usual
                for the modality where that is known, else 1 % to 99 % of the values.
            layout: The central axial, coronal and sagittal planes, or axial slices in rows.

        Returns:
            ``Success`` with a PNG file, or ``Failure`` with ``INVALID_ARGUMENT``.
        """
        array = self._grey(self.array if self.axis is None else self.array[0])
        chosen = named_window(window) if isinstance(window, str) else window
        turned, spacing = oriented_to_patient(array, self.geometry)
        draw = montage_preview if layout == "montage" else orthogonal_preview
        return raised(draw(turned, spacing, chosen or self._usual_window(array)))

    def _grey(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return what a preview shows of values: of a colour its brightness, of a mask 0 and 1."""
        if array.dtype.kind == "b":
            return array.astype(np.uint8)
        return array[..., :3] @ np.array(_LUMINANCE) if self.samples > 1 else array

    def _usual_window(self, array: NDArray[Any]) -> Window:
        sampled = array[::_SAMPLE_STEP, ::_SAMPLE_STEP, ::_SAMPLE_STEP]
        finite = sampled[np.isfinite(sampled)]
        if not finite.size:  # no number among them, and so nothing to see
            finite = np.zeros(1)
        low, high = (float(value) for value in np.percentile(finite, (1, 99)))
        # So that low is black and high is white by the LINEAR function (PS3.3 C.11.2.1.2.1).
        return (low + high) / 2 + 0.5, max(high - low, 1e-6 * max(abs(high), 1.0)) + 1.0

    def _repr_png_(self) -> bytes | None:
        """Show the preview in a notebook."""
        return self.preview().value_or(None)

    def _facts(self) -> str:
        """Size, spacing and type in a few words."""
        size = " × ".join(str(count) for count in self.geometry.size)
        spacing = " × ".join(f"{step:.4g}" for step in self.geometry.spacing)
        several = "" if self.axis is None else f"{self.volume_count} volumes of "
        colour = "" if self.samples == 1 else f", {self.samples} samples"
        return f"{several}{size} voxels of {spacing} mm, {self.array.dtype}{colour}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._facts()}>"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")

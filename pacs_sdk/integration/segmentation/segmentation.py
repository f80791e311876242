"""A segmentation whose masks are on the grid of a volume."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.html_table import html_table
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding.pixels import ImageSource, decode_frames
from pacs_sdk.integration.itk.geometry import VolumeGeometry
from pacs_sdk.integration.itk.sitk_image import image_of
from pacs_sdk.integration.segmentation.grid import Placement
from pacs_sdk.integration.segmentation.segment import Segment, SegmentationType

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["PlacedFrame", "Segmentation"]

_FRAMES_AT_ONCE: Final = 32

_Convert: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]
"""From the stored values of a frame to those of the result."""


@attrs.frozen
class PlacedFrame:
    """A frame and where it belongs."""

    number: int
    """From 0."""
    segment: int | None
    """Referenced Segment Number; ``None`` in a label map, whose pixels say it."""
    placement: Placement
    """Its voxels."""


@attrs.frozen(eq=False, repr=False)
class Segmentation:
    """Segments on the grid of a volume; their frames are decoded when they are asked for."""

    source: ImageSource
    """Where the frames are read from."""
    kind: SegmentationType
    """What they hold."""
    geometry: VolumeGeometry
    """The grid of all masks: that of the reference, else the segmentation's own."""
    segments: tuple[Segment, ...]
    """What is segmented, by number."""
    frames: tuple[PlacedFrame, ...]
    """Where each frame belongs."""
    maximum_fractional_value: int = 1
    """What stands for 1 in a FRACTIONAL segmentation."""
    frame_of_reference_uid: str = ""
    """The coordinate system."""
    series_instance_uids: tuple[str, ...] = ()
    """The series that was segmented."""
    crop: bool = False
    """Whether what lies outside the grid is cut off; otherwise it is an error."""
    max_volume_bytes: int = 16 << 30
    """The most memory a result may take."""

    def segment(self, which: int | str) -> Segment:
        """Return a segment by its number or label.

        Raises:
            PacsException: ``INVALID_ARGUMENT`` with the segments there are.
        """
        found = [one for one in self.segments if which in (one.number, one.label)]
        if len(found) != 1:
            there = ", ".join(f"{one.number} {one.label!r}" for one in self.segments[:20])
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"there {'is no segment' if not found else 'are several segments'} {which!r}; "
                f"the segments are {there}",
            )
        return found[0]

    @edge()
    def mask(self, which: int | str, threshold: float = 0.5) -> NDArray[np.bool_]:
        """Return where a segment is.

        Args:
            which: Its number or label.
            threshold: From which fraction on a voxel of a FRACTIONAL segmentation belongs
                to it, above 0 to 1.

        Returns:
            ``Success`` with an array (slices, rows, columns), voxels without a frame being
            background; or ``Failure`` with ``INVALID_ARGUMENT``, also for a segment that
            reaches outside the grid (``crop=True`` cuts it off), ``LIMIT_EXCEEDED``, or what
            decoding gives.
        """
        number = self.segment(which).number
        if self.kind is SegmentationType.FRACTIONAL:
            if not 0 < threshold <= 1:
                raise PacsException(
                    ErrorCode.INVALID_ARGUMENT, f"a threshold is above 0 to 1, not {threshold}"
                )
            least = threshold * self.maximum_fractional_value
            return self._filled(
                number, np.dtype(bool), lambda pixels: self._checked(pixels) >= least
            )
        if self.kind is SegmentationType.LABELMAP:
            return self._filled(number, np.dtype(bool), lambda pixels: pixels == number)
        return self._filled(number, np.dtype(bool), lambda pixels: pixels != 0)

    @edge()
    def fraction(self, which: int | str) -> NDArray[np.float32]:
        """Return the probability or occupied part of a segment in each voxel, 0 to 1.

        Returns:
            ``Success`` with an array (slices, rows, columns); of a segmentation that is not
            FRACTIONAL it is 0 or 1. ``Failure`` as :meth:`mask`.
        """
        if self.kind is not SegmentationType.FRACTIONAL:
            return raised(self.mask(which)).astype(np.float32)
        number, most = self.segment(which).number, self.maximum_fractional_value
        return self._filled(
            number,
            np.dtype(np.float32),
            lambda pixels: self._checked(pixels).astype(np.float32) / most,
        )

    @edge()
    def label_map(
        self, *, threshold: float = 0.5, on_overlap: Literal["error", "last"] = "error"
    ) -> NDArray[Any]:
        """Return the number of the segment in each voxel, 0 where there is none.

        Args:
            threshold: As of :meth:`mask`.
            on_overlap: What to do where two segments share a voxel, which one number cannot
                say: refuse, or take the segment with the larger number.

        Returns:
            ``Success`` with an array (slices, rows, columns) of uint8, or uint16 where
            numbers need it; or ``Failure`` with ``SERIES_NOT_LOADABLE`` naming two segments
            that overlap, or as :meth:`mask`.
        """
        numbers = sorted(one.number for one in self.segments)
        dtype = np.dtype(np.uint8 if numbers[-1] < 256 else np.uint16)
        if self.kind is SegmentationType.LABELMAP:
            known = np.array(numbers)  # what is not described, such as padding, is background
            return self._filled(None, dtype, lambda pixels: pixels * np.isin(pixels, known))
        labels = self._empty(dtype)
        for number in numbers:
            mask = raised(self.mask(number, threshold))
            if on_overlap == "error" and (labels[mask] != 0).any():
                other = int(labels[mask].max())
                raise PacsException(
                    ErrorCode.SERIES_NOT_LOADABLE,
                    f"segments {other} and {number} overlap: take a mask of each, or "
                    "on_overlap='last'",
                    segments=(str(other), str(number)),
                )
            labels[mask] = number
        return labels

    @edge()
    def image(self, which: int | str | None = None) -> SimpleITK.Image:
        """Return the mask of a segment, or the label map, as a SimpleITK image.

        Returns:
            ``Success`` with an image of unsigned integers in LPS mm; or ``Failure`` as
            :meth:`mask` and :meth:`label_map`, or ``MISSING_DEPENDENCY``.
        """
        array = raised(self.label_map() if which is None else self.mask(which))
        return image_of(array, self.geometry, four_dimensional=False, samples=1)

    # -- inside ----------------------------------------------------------------------

    def _empty(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        columns, rows, slices = self.geometry.size
        needed = columns * rows * slices * dtype.itemsize
        if needed > self.max_volume_bytes:
            raise PacsException(
                ErrorCode.LIMIT_EXCEEDED,
                f"a volume of {slices} slices of {rows} × {columns} takes {needed} bytes, the "
                f"limit is {self.max_volume_bytes} (max_volume_bytes=)",
                limit=self.max_volume_bytes,
            )
        return np.zeros((slices, rows, columns), dtype)

    def _checked(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return the pixels of a FRACTIONAL frame, which are no fractions above the maximum."""
        most = self.maximum_fractional_value
        if pixels.max() > most:
            raise PacsException(
                ErrorCode.SERIES_NOT_LOADABLE,
                f"a pixel is {pixels.max()}, above MaximumFractionalValue (0062,000E) {most}",
                tag="(0062,000E)",
            )
        return pixels

    def _filled(self, number: int | None, dtype: np.dtype[Any], convert: _Convert) -> NDArray[Any]:
        volume = self._empty(dtype)
        outside = 0
        for frame, pixels in self._decoded(number):
            outside += frame.placement.put(convert(pixels), volume)
        if outside and not self.crop:
            what = "the label map" if number is None else f"segment {number}"
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{outside} voxels of {what} lie outside the reference volume; crop=True "
                "cuts them off",
                voxels=outside,
            )
        return volume

    def _decoded(self, number: int | None) -> Iterator[tuple[PlacedFrame, NDArray[Any]]]:
        """Decode the frames that can hold a segment, or those of a label map, some at a time."""
        wanted = [frame for frame in self.frames if frame.segment in (None, number)]
        for some in _batched(wanted, _FRAMES_AT_ONCE):
            pixels = raised(decode_frames(self.source, frames=[frame.number for frame in some]))
            yield from zip(some, pixels, strict=True)

    def __repr__(self) -> str:
        size = " × ".join(str(count) for count in self.geometry.size)
        return (
            f"<Segmentation {self.kind}: {len(self.segments)} segments in {len(self.frames)} "
            f"frames, on {size} voxels>"
        )

    def _repr_html_(self) -> str:
        """Show the segments as a table in a notebook."""
        return html_table(
            ("Number", "Label", "Property", "Algorithm"),
            (
                (one.number, one.label, one.property_type or "", one.algorithm_type)
                for one in self.segments
            ),
        )


def _batched(frames: Iterable[PlacedFrame], count: int) -> Iterator[list[PlacedFrame]]:
    left = iter(frames)
    while some := list(itertools.islice(left, count)):
        yield some

"""The Modality LUT: from stored values to a unit (PS3.3 C.11.1, C.7.6.16.2.9)."""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.codecs.description import pixel_failure
from pacs_sdk.encoding.pixel_data.frames import MAX_DECODED_BYTES
from pacs_sdk.encoding.pixel_data.pixel_layout import FrameChoice
from pacs_sdk.encoding.pixels import ImageSource
from pacs_sdk.encoding.rendering.attributes import functional_group, items, number, text
from pacs_sdk.encoding.rendering.image import RenderedImage, open_image
from pacs_sdk.encoding.rendering.lookup import LookupTable, read_table

__all__ = ["ModalityTransform", "modality_transform", "modality_values"]

_EXACT: Final = 1 << 31
"""Whole numbers below this are given as int32."""


@attrs.frozen(eq=False)
class ModalityTransform:
    """Rescale Slope and Intercept, or a table."""

    slope: float = 1.0
    """Rescale Slope (0028,1053)."""
    intercept: float = 0.0
    """Rescale Intercept (0028,1052)."""
    table: LookupTable | None = None
    """The item of the Modality LUT Sequence (0028,3000), which stands in their place."""
    unit: str = ""
    """Rescale Type or Modality LUT Type: ``HU``, ``OD``, ``US`` (unspecified) and others."""

    @property
    def is_identity(self) -> bool:
        """Whether values stay as they are stored."""
        return self.table is None and self.slope == 1.0 and self.intercept == 0.0

    def apply(self, stored: np.ndarray) -> np.ndarray:
        """Return the value for each stored value: as stored, the entry of the table, or float64."""
        if self.table is not None:
            return self.table.apply(stored)
        if self.is_identity:
            return stored
        values = stored.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # beyond float64 is infinite
            if self.slope != 1.0:
                values *= self.slope
            values += self.intercept
        return values

    def limits(self, low: float, high: float) -> tuple[float, float]:
        """Return the least and the greatest output for stored values of a range."""
        if self.table is not None:
            ends = self.table.apply(np.array([low, high])).tolist()
            first = self.table.first
            within = slice(max(int(low) - first, 0), max(int(high) - first + 1, 0))
            outputs = [*ends, *self.table.entries[within].tolist()]
        else:
            outputs = [low * self.slope + self.intercept, high * self.slope + self.intercept]
        return min(outputs), max(outputs)

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        if self.table is not None:
            return f"modality {self.table}{unit}"
        return f"rescale × {self.slope:g} {self.intercept:+g}{unit}"


def modality_transform(image: RenderedImage, frame: int) -> ModalityTransform:
    """Find what holds for a frame: its functional group, else the attributes of the image.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` for a table that is none or a slope that is 0;
            ``VALUE_CONVERSION_FAILED`` for a number that is none.
    """
    group = functional_group(image.dataset, frame, "PixelValueTransformationSequence")
    source = image.dataset if group is None else group
    tables = () if group is not None else items(source, "ModalityLUTSequence")
    if tables:
        little, signed = image.syntax.little_endian, image.layout.frame.signed
        table = read_table(tables[0], little, signed=signed)
        return ModalityTransform(table=table, unit=text(tables[0], "ModalityLUTType"))
    slope, intercept = number(source, "RescaleSlope"), number(source, "RescaleIntercept")
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    if slope == 0.0 or not np.isfinite([slope, intercept]).all():
        raise pixel_failure(f"Rescale Slope {slope} and Intercept {intercept} make no values")
    return ModalityTransform(slope, intercept, unit=text(source, "RescaleType"))


@edge()
def modality_values(source: ImageSource, frames: FrameChoice = None) -> np.ndarray:
    """Decode frames and apply the Modality LUT: Hounsfield units of a CT, Bq/ml of a PET.

    Args:
        source: A path, an instance, or a data set of an image with one sample a pixel.
        frames: Which frames, as in :func:`decode_frames`. Each has the slope and intercept
            of its own functional group, if it has one (PS3.3 C.7.6.16.2.9).

    Returns:
        ``Success`` with an array (frames, rows, columns) in the unit that Rescale Type or
        Modality LUT Type names: int32 where every value is a whole number that fits,
        float64 otherwise; or ``Failure`` with the codes of :func:`decode_frames`,
        ``INVALID_ARGUMENT`` for colour, or ``VALUE_CONVERSION_FAILED``.
    """
    image = open_image(source)
    if image.layout.frame.samples != 1:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT, "colour has no Modality LUT; decode_frames gives it"
        )
    wanted = image.layout.chosen(frames)
    plane = (image.layout.frame.rows, image.layout.frame.columns)
    needed = len(wanted) * plane[0] * plane[1] * 8
    if needed > MAX_DECODED_BYTES:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"the values would take {needed} bytes, the limit is {MAX_DECODED_BYTES}",
            limit=MAX_DECODED_BYTES,
        )
    out: np.ndarray = np.empty((0, *plane), np.int32)
    for place, frame in enumerate(wanted):
        stored = image.values(image.cells(frame))
        found = _whole_if_exact(modality_transform(image, frame), stored)
        if place == 0:  # there is a frame at least, so the others are worth the memory
            out = np.empty((len(wanted), *plane), np.int32)
        if out.dtype == np.int32 and found.dtype.kind == "f":
            out = out.astype(np.float64)
        out[place] = found
    return out


def _whole_if_exact(transform: ModalityTransform, stored: np.ndarray) -> np.ndarray:
    if transform.table is not None:
        return transform.table.apply(stored)
    slope, intercept = transform.slope, transform.intercept
    if stored.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        ends = transform.limits(int(stored.min()), int(stored.max()))
        if max(abs(one) for one in (*ends, slope, intercept)) < _EXACT:
            whole: np.ndarray = stored.astype(np.int64) * int(slope) + int(intercept)
            return whole
    return transform.apply(stored).astype(np.float64)

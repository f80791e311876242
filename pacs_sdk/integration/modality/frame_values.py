"""The values of frames: as they are stored, or what the Modality LUT makes of them."""

from __future__ import annotations

from typing import Any, Final

from numpy.typing import NDArray

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.results import raised
from pacs_sdk.encoding.pixel_data.pixel_layout import FrameChoice
from pacs_sdk.encoding.pixels import ImageSource, decode_frames
from pacs_sdk.encoding.rendering import modality_values
from pacs_sdk.encoding.rendering.attributes import functional_group, whole

__all__ = ["frame_values", "has_modality_lut"]

_MODALITY_LUT: Final = ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence")


def frame_values(
    dataset: DicomDataset, pixels: ImageSource, frames: FrameChoice = None
) -> NDArray[Any]:
    """Decode frames: (frames, rows, columns[, 3]).

    Where there is one sample a pixel the Modality LUT is applied (PS3.3 C.11.1), and what the
    cells have beside Bits Stored is left out.

    Args:
        dataset: The attributes of the image.
        pixels: What its pixels can be decoded from.
        frames: Which frames, as in :func:`decode_frames`.

    Raises:
        PacsException: What decoding gives; ``PIXEL_DATA_FAILED`` for a slope of 0.
    """
    if whole(dataset, "SamplesPerPixel") == 1 and (
        has_modality_lut(dataset) or _has_unused_bits(dataset)
    ):
        return raised(modality_values(pixels, frames))
    return raised(decode_frames(pixels, frames=frames))


def has_modality_lut(dataset: DicomDataset) -> bool:
    """Whether slope and intercept or a table are stated, in the image or for its frames."""
    return (
        any(keyword in dataset for keyword in _MODALITY_LUT)
        or functional_group(dataset, 0, "PixelValueTransformationSequence") is not None
    )


def _has_unused_bits(dataset: DicomDataset) -> bool:
    """Whether values differ from the cells that hold them, which are larger."""
    return whole(dataset, "BitsStored") != whole(dataset, "BitsAllocated")

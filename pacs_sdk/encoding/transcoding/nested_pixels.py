"""Pixel Data in the items of sequences, of icons mostly (PS3.3 C.7.6.1.1.6).

In an encapsulated transfer syntax they may be native or compressed the same way as the
image's own (PS3.5 A.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.encoding.codecs.registry import CodecRegistry
from pacs_sdk.encoding.datasets.elements import UNDEFINED_LENGTH
from pacs_sdk.encoding.pixel_data.frames import frames_of_dataset
from pacs_sdk.encoding.pixel_data.pixel_layout import FrameOptions
from pacs_sdk.encoding.pixel_data.stored_frames import native_bytes
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["decompress_nested"]

_PIXEL_DATA: Final = BaseTag(0x7FE00010)
_OF_ENCAPSULATION: Final = (BaseTag(0x7FE00001), BaseTag(0x7FE00002), BaseTag(0x7FE00003))
"""Extended Offset Table, its Lengths, Encapsulated Pixel Data Value Total Length."""


def decompress_nested(
    dataset: DicomDataset, syntax: TransferSyntax, codecs: CodecRegistry | None
) -> None:
    """Make compressed Pixel Data in items of sequences native, in place.

    Args:
        dataset: A data set that was read in ``syntax``.
        syntax: How the Pixel Data is compressed.
        codecs: What decodes it.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` or ``LIMIT_EXCEEDED`` where an item's pixels
            cannot be decoded.
    """
    for item in list(_items(dataset.pydicom)):
        if _is_compressed(item):
            _decompress(item, syntax, codecs)


def _items(dataset: Dataset) -> Iterator[Dataset]:
    for tag in list(dataset.keys()):
        element = stored_element(dataset, tag)
        if element.VR == "SQ":
            for item in dataset[tag].value:
                yield item
                yield from _items(item)


def _is_compressed(item: Dataset) -> bool:
    element = stored_element(item, _PIXEL_DATA) if _PIXEL_DATA in item else None
    if isinstance(element, RawDataElement):
        return element.length == UNDEFINED_LENGTH
    return isinstance(element, DataElement) and bool(element.is_undefined_length)


def _decompress(item: Dataset, syntax: TransferSyntax, codecs: CodecRegistry | None) -> None:
    options = FrameOptions(threads=1, codecs=codecs, cells=True)
    try:
        frames = raised(frames_of_dataset(DicomDataset(item), syntax, options))
    except PacsException as exc:
        error = exc.error
        raise PacsException(
            error.code, f"an icon in a sequence: {error.message}", **error.details
        ) from None
    bits = int(item.BitsAllocated)
    value = b"".join(bytes(part) for part in native_bytes(frames, bits, little=True))
    item[_PIXEL_DATA] = DataElement(
        _PIXEL_DATA, "OW" if bits > 8 else "OB", value + b"\0" * (len(value) % 2)
    )
    if frames.ndim == 4:
        if str(item.get("PhotometricInterpretation", "")).startswith(("YBR", "XYB")):
            item.PhotometricInterpretation = "RGB"
        item.PlanarConfiguration = 0
    for tag in _OF_ENCAPSULATION:
        if tag in item:
            del item[tag]

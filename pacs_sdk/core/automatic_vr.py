"""The VR of an attribute, by the dictionary and what the data set says around it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, Protocol

import pydicom
from pydicom.datadict import private_dictionary_VR
from pydicom.errors import BytesLengthException

from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import DicomTag, TagLike
from pacs_sdk.core.vr import VR

__all__ = ["UNREADABLE", "EncodingForm", "resolve_vr"]

_PIXEL_DATA: Final = 0x7FE00010
_LUT_DATA: Final = 0x00283006
_LUT_DESCRIPTOR: Final = 0x00283002
_PIXEL_REPRESENTATION: Final = 0x00280103
_BITS_ALLOCATED: Final = 0x00280100
_WAVEFORM_BITS_ALLOCATED: Final = 0x54001004
_WAVEFORM_GROUP: Final = 0x5400
_OVERLAY_GROUPS: Final = range(0x6000, 0x6100)
_WIDEST_BYTE: Final = 8

UNREADABLE: Final = (
    BytesLengthException,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
)
"""What pydicom raises for values that don't fit their VR."""


class EncodingForm(Protocol):
    """What of a transfer syntax decides a VR; ``TransferSyntax`` has it."""

    @property
    def explicit_vr(self) -> bool:
        """Whether each element header carries its VR (PS3.5 7.1.2)."""

    @property
    def encapsulated(self) -> bool:
        """Whether Pixel Data is a sequence of fragments (PS3.5 A.4)."""


@edge()
def resolve_vr(
    tag: TagLike,
    dataset: DatasetLike,
    syntax: EncodingForm,
    ancestors: Sequence[DatasetLike] = (),
) -> VR:
    """Tell the VR that an attribute has in a data set.

    Where the dictionary leaves a choice (PS3.5 Annex A):

    - ``US or SS``: SS where Pixel Representation is 1, in this data set or the nearest
      one around it that has it, else US (PS3.3 C.7.6.3.1, C.11.1.1.1).
    - Pixel Data: OB in an encapsulated syntax, OW in Implicit VR; else OB for up to 8 bits
      allocated and OW for more, or where Bits Allocated is absent.
    - Waveform Data and its like: the same by Waveform Bits Allocated.
    - Overlay Data and palettes: OW.
    - LUT Data: US where the descriptor counts one entry, else OW.

    Private attributes have the VR of pydicom's private dictionary; private creators are
    LO, group lengths UL, and what nobody knows is UN.

    Args:
        tag: The attribute; it need not be in the data set.
        dataset: The data set or item it is in, or shall be in.
        syntax: How that is or shall be encoded.
        ancestors: The data sets around an item, the nearest first.

    Returns:
        ``Success`` with the VR, or ``Failure`` with ``INVALID_TAG``, or with
        ``INVALID_VR`` for delimiters, which have none.
    """
    number = DicomTag.of(tag)
    around = tuple(as_dataset(one).pydicom for one in (dataset, *ancestors))
    plain = _plain_vr(number, around[0])
    match plain:
        case "US or SS":
            signed = _number(around, _PIXEL_REPRESENTATION) == 1
            return VR.SS if signed else VR.US
        case "OB or OW":
            return _bytes_or_words(number, around, syntax)
        case "US or OW":
            return _vr_of_lut_data(around)
        case "US or SS or OW":  # the retired Gray Lookup Table Data: as other palettes
            return VR.OW
    if plain not in VR.__members__:
        raise PacsException(ErrorCode.INVALID_VR, f"{number} has no VR", tag=str(number))
    return VR(plain)


def _plain_vr(tag: DicomTag, dataset: pydicom.Dataset) -> str:
    """Return what the dictionaries say, which may leave a choice."""
    if tag.element == 0 and tag.group != 0xFFFE:
        return VR.UL  # group length (PS3.5 7.2)
    if not tag.is_private:
        return tag.dictionary_vr
    if 0x10 <= tag.element <= 0xFF:
        return VR.LO  # private creator (PS3.5 7.8.1)
    creator = _value(dataset, tag.group << 16 | tag.element >> 8)
    try:
        found = private_dictionary_VR(int(tag), str(creator or ""))
    except KeyError:
        return VR.UN
    return found if found in VR.__members__ else VR.UN


def _bytes_or_words(tag: DicomTag, around: tuple[pydicom.Dataset, ...], syntax: EncodingForm) -> VR:
    if tag == _PIXEL_DATA and syntax.encapsulated:
        return VR.OB
    if not syntax.explicit_vr or tag.group in _OVERLAY_GROUPS:
        return VR.OW
    decides = _WAVEFORM_BITS_ALLOCATED if tag.group == _WAVEFORM_GROUP else _BITS_ALLOCATED
    bits = _number(around, decides)
    return VR.OB if bits is not None and 0 < bits <= _WIDEST_BYTE else VR.OW


def _vr_of_lut_data(around: tuple[pydicom.Dataset, ...]) -> VR:
    descriptor = _value(around[0], _LUT_DESCRIPTOR)
    entries = descriptor[0] if isinstance(descriptor, Sequence) and descriptor else None
    return VR.US if entries == 1 else VR.OW


def _number(around: tuple[pydicom.Dataset, ...], tag: int) -> int | None:
    """Return a number from the nearest data set that has it."""
    for dataset in around:
        value = _value(dataset, tag)
        if isinstance(value, int):
            return value
    return None


def _value(dataset: pydicom.Dataset, tag: int) -> Any:
    """Return a value, or ``None`` where it is absent or damaged."""
    if tag not in dataset:
        return None
    try:
        return dataset[tag].value
    except UNREADABLE:
        return None

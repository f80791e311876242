"""The VR of an attribute, by the dictionary and what the data set says around it."""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from typing import Any, Final, Protocol

import attrs
from pydicom.datadict import private_dictionary_VR
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.uid import UID

from pacs_sdk.core.element import HoldsDataset, plain_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.private_block import creator_of
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import DicomTag, TagLike
from pacs_sdk.core.vr import VR

__all__ = [
    "UNREADABLE",
    "EncodingForm",
    "fixed_vr",
    "form_of",
    "private_vr",
    "resolve_vr",
    "vr_for_value",
    "vr_in",
]

_PIXEL_DATA: Final = 0x7FE00010
_LUT_DESCRIPTOR: Final = 0x00283002
_PIXEL_REPRESENTATION: Final = 0x00280103
_BITS_ALLOCATED: Final = 0x00280100
_WAVEFORM_BITS_ALLOCATED: Final = 0x54001004
_WAVEFORM_GROUP: Final = 0x5400
_OVERLAY_GROUPS: Final = range(0x6000, 0x6100)
_CURVE_GROUPS: Final = range(0x5000, 0x5100)
_CURVE_DATA: Final = 0x3000
_AUDIO_SAMPLE_FORMAT: Final = 0x2002
_AUDIO_OF_8_BITS: Final = 1
_WIDEST_BYTE: Final = 8

UNREADABLE: Final = (
    AttributeError,  # pydicom: nothing decides an ambiguous VR
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


@attrs.frozen
class _Form:
    explicit_vr: bool
    encapsulated: bool


def form_of(dataset: Dataset) -> EncodingForm:
    """Tell how a data set is encoded: by its file meta, then by how it was read.

    One that was made in memory is in Explicit VR and not encapsulated.
    """
    meta = getattr(dataset, "file_meta", None)
    uid = UID(str((meta is not None and meta.get("TransferSyntaxUID")) or ""))
    if uid.is_transfer_syntax and not uid.is_private:
        return _Form(not uid.is_implicit_VR, uid.is_encapsulated)
    return _Form(dataset.original_encoding[0] is not True, encapsulated=False)


@edge()
def resolve_vr(
    tag: TagLike,
    dataset: Dataset | HoldsDataset,
    syntax: EncodingForm,
    ancestors: Sequence[Dataset | HoldsDataset] = (),
) -> VR:
    """Tell the VR that an attribute has in a data set.

    Where the dictionary leaves a choice (PS3.5 Annex A):

    - ``US or SS``: SS where Pixel Representation is 1, in this data set or the nearest
      one around it that has it, else US (PS3.3 C.7.6.3.1, C.11.1.1.1).
    - Pixel Data: OB in an encapsulated syntax, but for the native icons that an item may
      hold there (PS3.5 A.4); OW in Implicit VR; else OB for up to 8 bits allocated and OW
      for more, or where Bits Allocated is absent.
    - Waveform Data and its like: the same by Waveform Bits Allocated (PS3.5 8.3).
    - Overlay Data and palettes: OW.
    - LUT Data: US where the descriptor counts one entry, else OW.
    - The retired Curve Data is OB, and Audio Sample Data OB where its format says 8 bits,
      else OW (PS3.5-2004 Annex A, PS3.3-2004 C.10.3).

    Private attributes have the VR of pydicom's private dictionary, by their creator;
    private creators are LO, group lengths UL, and what nobody knows is UN.

    Args:
        tag: The attribute; it need not be in the data set.
        dataset: The data set or item it is in, or shall be in.
        syntax: How that is or shall be encoded.
        ancestors: The data sets around an item, the nearest first.

    Returns:
        ``Success`` with the VR, or ``Failure`` with ``INVALID_TAG``, or with
        ``INVALID_VR`` for delimiters, which have none.
    """
    around = tuple(plain_dataset(one) for one in (dataset, *ancestors))
    return vr_in(int(DicomTag.of(tag)), around, syntax)


def vr_in(tag: int, around: Sequence[Dataset], syntax: EncodingForm) -> VR:
    """Tell a VR as :func:`resolve_vr` does, for callers that ask for many.

    Args:
        tag: The attribute.
        around: The data set it is in, then those around that, the nearest first.
        syntax: How they are encoded.

    Raises:
        PacsException: ``INVALID_VR`` for delimiters.
    """
    fixed = fixed_vr(tag)
    if fixed is not None:
        return fixed
    match _plain_vr(tag):
        case "US or SS":
            return VR.SS if _number(around, _PIXEL_REPRESENTATION) == 1 else VR.US
        case "OB or OW":
            return _bytes_or_words(DicomTag(tag), around, syntax)
        case "US or OW":
            return _vr_of_lut_data(around)
        case "US or SS or OW":  # the retired Gray Lookup Table Data: as other palettes
            return VR.OW
        case "private":
            return private_vr(tag, _creator(around[0], DicomTag(tag)))
    number = DicomTag(tag)
    raise PacsException(ErrorCode.INVALID_VR, f"{number} has no VR", tag=str(number))


def vr_for_value(tag: DicomTag, value: object, around: Sequence[Dataset]) -> VR:
    """Tell the VR of an attribute that is about to be set.

    As :func:`vr_in`, but where the data sets leave a choice the value makes it: bytes are
    words and numbers are numbers for LUT Data and its like, and negative numbers are SS
    where no Pixel Representation says otherwise.
    """
    fixed = fixed_vr(int(tag))
    if fixed is not None:
        return fixed
    vr = vr_in(tag, around, form_of(around[-1]))
    plain = _plain_vr(tag)
    if not plain.startswith("US or "):
        return vr
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    numbers = [one for one in values if isinstance(one, int)]
    if isinstance(value, bytes | bytearray) or not numbers:
        return VR.OW if plain.endswith("OW") else vr
    representation = _number(around, _PIXEL_REPRESENTATION)
    signed = min(numbers) < 0 if representation is None else representation == 1
    return VR.SS if signed and "SS" in plain else VR.US


@functools.lru_cache(maxsize=1 << 14)  # as many as the dictionary and its repeating groups
def fixed_vr(tag: int) -> VR | None:
    """Return the VR that an attribute has in every data set; ``None`` where that varies."""
    return VR.__members__.get(_plain_vr(tag))


def _plain_vr(tag: int) -> str:
    """Return what the dictionary says, which may leave a choice."""
    number = DicomTag(tag)
    if number.element == 0 and number.group != 0xFFFE:
        return VR.UL  # group length (PS3.5 7.2)
    if not number.is_private:
        return number.dictionary_vr
    if 0x10 <= number.element <= 0xFF:
        return VR.LO  # private creator (PS3.5 7.8.1)
    return "private" if number.element > 0xFF else VR.UN


_LONGEST_CREATOR: Final = 128
"""Characters of a private creator: LO has 64 (PS3.5 6.2), and a vendor 65. What is longer is in no
dictionary, and not remembered."""


def private_vr(tag: int, creator: str) -> VR:
    """Return the VR that pydicom's private dictionary has; UN where it has none."""
    return _known_private_vr(tag, creator) if 0 < len(creator) <= _LONGEST_CREATOR else VR.UN


@functools.lru_cache(maxsize=1 << 14)  # a few vendors' worth, in the blocks they use
def _known_private_vr(tag: int, creator: str) -> VR:
    try:
        return VR.__members__.get(private_dictionary_VR(tag, creator), VR.UN)
    except KeyError:
        return VR.UN


def _creator(dataset: Dataset, tag: DicomTag) -> str:
    try:
        return creator_of(dataset, tag)
    except UNREADABLE:
        return ""


def _bytes_or_words(tag: DicomTag, around: Sequence[Dataset], syntax: EncodingForm) -> VR:
    if tag == _PIXEL_DATA and syntax.encapsulated and len(around) == 1:
        return VR.OB
    if tag.group in _CURVE_GROUPS:
        if tag.element == _CURVE_DATA:
            return VR.OB
        sample_format = _value(around[0], tag.group << 16 | _AUDIO_SAMPLE_FORMAT)
        return VR.OB if sample_format == _AUDIO_OF_8_BITS else VR.OW
    if not syntax.explicit_vr or tag.group in _OVERLAY_GROUPS:
        return VR.OW
    decides = _WAVEFORM_BITS_ALLOCATED if tag.group == _WAVEFORM_GROUP else _BITS_ALLOCATED
    bits = _number(around, decides)
    return VR.OB if bits is not None and 0 < bits <= _WIDEST_BYTE else VR.OW


def _vr_of_lut_data(around: Sequence[Dataset]) -> VR:
    descriptor = _value(around[0], _LUT_DESCRIPTOR)
    entries = descriptor[0] if isinstance(descriptor, Sequence) and descriptor else None
    return VR.US if entries == 1 else VR.OW


def _number(around: Sequence[Dataset], tag: int) -> int | None:
    """Return a number from the nearest data set that has it."""
    for dataset in around:
        value = _value(dataset, tag)
        if isinstance(value, int):
            return value
    return None


def _value(dataset: Dataset, tag: int) -> Any:
    """Return a value, or ``None`` where it is absent or damaged."""
    if tag not in dataset:
        return None
    try:
        return dataset[tag].value
    except UNREADABLE:
        return None

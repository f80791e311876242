"""Encoding of data sets (PS3.5 Chapter 7)."""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

import numpy as np
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.vr import VR, VrKind
from pacs_sdk.encoding.deflated import deflate
from pacs_sdk.encoding.elements import UNDEFINED_LENGTH
from pacs_sdk.encoding.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    known_transfer_syntax,
)

__all__ = ["encode_dataset", "syntax_of"]

_WRITE_ERRORS: Final = (
    AttributeError,  # pydicom: an ambiguous VR that depends on an absent attribute
    BytesLengthException,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
    RecursionError,
)
"""What pydicom's writer raises for values that don't fit their VR."""

_PIXEL_DATA: Final = 0x7FE00010
_NOT_DATA_SET: Final = (0x0000, 0x0002)
"""Command elements and file meta, which pydicom users sometimes keep in a data set."""

_Element: TypeAlias = DataElement | RawDataElement

_WORD_BYTES: Final = {
    str(vr): vr.rule.width for vr in VR if vr.kind is VrKind.BYTES and vr.rule.width > 1
}
"""VRs whose values are words that depend on the byte order, and their width."""


@edge()
def encode_dataset(dataset: DatasetLike, syntax: TransferSyntax) -> bytes:
    """Encode a data set; group 0002 is left out.

    Args:
        dataset: What to encode. Pixel Data must already be compressed for an
            encapsulated syntax and native for any other.
        syntax: How to encode it.

    Returns:
        ``Success`` with the bytes, an even number, or ``Failure`` with
        ``ENCODE_FAILED``.
    """
    source = as_dataset(dataset).pydicom
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = not syntax.explicit_vr
    buffer.is_little_endian = syntax.little_endian
    try:
        prepared = _prepared(source, syntax.little_endian, assumed_little=_claims_little(source))
        _fit_pixel_data(prepared, syntax)
        write_dataset(buffer, prepared)
    except _WRITE_ERRORS as exc:
        words = str(exc).partition("\n")[0]  # pydicom appends a whole traceback
        raise PacsException(
            ErrorCode.ENCODE_FAILED, f"the data set cannot be encoded: {words or repr(exc)}"
        ) from None
    encoded = buffer.getvalue()
    return deflate(encoded) if syntax.deflated else encoded


def _fit_pixel_data(dataset: Dataset, syntax: TransferSyntax) -> None:
    """Refuse compressed pixels in a native syntax and native ones in a compressed syntax.

    Fragments that were just assigned get the undefined length they need (PS3.5 A.4).
    """
    element = dataset.get_item(_PIXEL_DATA) if _PIXEL_DATA in dataset else None
    if element is None or not element.value:
        return
    if isinstance(element, RawDataElement):
        compressed = element.length == UNDEFINED_LENGTH
    else:
        compressed = bool(element.is_undefined_length)
        if syntax.encapsulated and not compressed and _are_fragments(element.value):
            compressed = True
            dataset[_PIXEL_DATA] = DataElement(
                element.tag, "OB", element.value, is_undefined_length=True
            )
    if compressed != syntax.encapsulated:
        state = "compressed" if compressed else "not compressed"
        raise PacsException(
            ErrorCode.ENCODE_FAILED,
            f"the Pixel Data is {state}, which {syntax.name} cannot hold; "
            "transcode it, or choose the syntax it has",
            transfer_syntax=syntax.uid,
        )


def _are_fragments(value: object) -> bool:
    return isinstance(value, bytes) and value[:4] == b"\xfe\xff\x00\xe0"


def _prepared(dataset: Dataset, little: bool, assumed_little: bool) -> Dataset:
    """Copy a data set shallowly, its words in the wanted byte order.

    The caller's data set stays as it is, although pydicom's writer resolves ambiguous
    VRs in place. It also writes words (OW and its like) in the order they have, so they
    are swapped here: from the order the data set was read in, or else the assumed one.
    """
    tags = [tag for tag in dataset.keys() if tag.group not in _NOT_DATA_SET]  # noqa: SIM118
    elements: dict[BaseTag, _Element] = {  # not decoded, as by []
        tag: dataset.get_item(tag) for tag in tags
    }
    copy = _like(dataset, elements)
    read_little = copy.original_encoding[1]
    was_little = assumed_little if read_little is None else read_little
    if was_little == little:
        return copy
    return _like(copy, {tag: _swapped(copy, one, little) for tag, one in elements.items()})


def _claims_little(dataset: Dataset) -> bool:
    """Whether words of a data set made in memory are little endian: if no meta says big."""
    meta = getattr(dataset, "file_meta", None)
    return meta is None or meta.get("TransferSyntaxUID") != EXPLICIT_VR_BIG_ENDIAN.uid


def _like(dataset: Dataset, elements: dict[BaseTag, _Element]) -> Dataset:
    """Make a data set of these elements with the encoding of another."""
    made = Dataset(elements, parent_encoding=dataset._parent_encoding)
    made.is_undefined_length_sequence_item = dataset.is_undefined_length_sequence_item
    implicit, little = _original_encoding(dataset, elements)
    made.set_original_encoding(implicit, little, dataset.original_character_set)
    return made


def _original_encoding(
    dataset: Dataset, elements: dict[BaseTag, _Element]
) -> tuple[bool | None, bool | None]:
    """Tell how a data set was encoded: by what was read, or else by what pydicom says.

    pydicom reads Implicit VR where a file says Explicit, and then repeats what it says.
    """
    for element in elements.values():
        if isinstance(element, RawDataElement):
            return element.is_implicit_VR, element.is_little_endian
    return dataset.original_encoding


def _swapped(dataset: Dataset, element: _Element, little: bool) -> _Element:
    if element.VR is None:  # read as implicit VR: let pydicom look the VR up
        element = dataset[element.tag]
    if element.VR == "SQ":
        decoded = dataset[element.tag]
        items = Sequence([_prepared(item, little, not little) for item in decoded.value])
        return DataElement(
            decoded.tag, "SQ", items, is_undefined_length=bool(decoded.is_undefined_length)
        )
    width = _WORD_BYTES.get(str(element.VR))
    if width is None or not element.value:
        return element
    words = np.frombuffer(element.value, dtype=f"u{width}").byteswap().tobytes()
    if isinstance(element, RawDataElement):
        return element._replace(value=words)
    return DataElement(element.tag, element.VR, words)


def syntax_of(dataset: Dataset) -> TransferSyntax:
    """Tell the transfer syntax of a data set that pydicom or we have read.

    Its file meta decides, then how it was read; one made in memory is Explicit VR Little
    Endian.

    Raises:
        PacsException: ``UNSUPPORTED_TRANSFER_SYNTAX``.
    """
    meta = getattr(dataset, "file_meta", None)
    named = "" if meta is None else str(meta.get("TransferSyntaxUID", "") or "")
    if named:
        return known_transfer_syntax(named)
    match dataset.original_encoding:
        case (True, True):
            return IMPLICIT_VR_LITTLE_ENDIAN
        case (_, False):
            return EXPLICIT_VR_BIG_ENDIAN
    return EXPLICIT_VR_LITTLE_ENDIAN

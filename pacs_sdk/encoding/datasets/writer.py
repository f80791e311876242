"""Encoding of data sets (PS3.5 Chapter 7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from typing_extensions import Buffer

from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.encoding.datasets.deflated import deflate
from pacs_sdk.encoding.datasets.element_writer import ElementWriter, Scope
from pacs_sdk.encoding.datasets.elements import UNDEFINED_LENGTH
from pacs_sdk.encoding.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    known_transfer_syntax,
)

__all__ = ["encode_dataset", "encoded_parts", "encoded_pieces", "syntax_of"]

_PIXEL_DATA: Final = 0x7FE00010


@edge()
def encode_dataset(dataset: DatasetLike, syntax: TransferSyntax) -> bytes:
    """Encode a data set; file meta and group lengths are left out.

    Elements that are as they were read keep their bytes; lengths of sequences and items stay
    defined or undefined as they were. Text is written in the Specific Character Set that the
    data set has now.

    Args:
        dataset: What to encode. Pixel Data must already be compressed for an
            encapsulated syntax and native for any other.
        syntax: How to encode it.

    Returns:
        ``Success`` with the bytes, or ``Failure`` with ``ENCODE_FAILED`` naming the element,
        or ``LIMIT_EXCEEDED`` for one longer than a length can say.
    """
    encoded = b"".join(encoded_pieces(as_dataset(dataset).pydicom, syntax))
    return deflate(encoded) if syntax.deflated else encoded


def encoded_pieces(dataset: Dataset, syntax: TransferSyntax) -> Iterator[Buffer]:
    """Encode a data set piece by piece, not deflated; large values are not copied.

    Raises:
        PacsException: The failures of :func:`encode_dataset`.
    """
    _check_pixel_data(dataset, syntax)
    scope = Scope.of(dataset, None, _claims_little(dataset))
    return ElementWriter(syntax).pieces(dataset, scope)


def encoded_parts(
    dataset: Dataset, syntax: TransferSyntax, *parts: range
) -> tuple[Iterator[Buffer], ...]:
    """Encode parts of a data set, each piece by piece, not deflated.

    Args:
        dataset: What to encode.
        syntax: How.
        *parts: The tags of each part.

    Raises:
        PacsException: ``ENCODE_FAILED`` or ``LIMIT_EXCEEDED``.
    """
    scope = Scope.of(dataset, None, _claims_little(dataset))
    writer = ElementWriter(syntax)
    return tuple(writer.pieces(dataset, scope, tags) for tags in parts)


def _check_pixel_data(dataset: Dataset, syntax: TransferSyntax) -> None:
    """Refuse compressed pixels in a native syntax and native ones in a compressed syntax.

    Fragments that were just assigned count as compressed: they get the undefined length
    they need (PS3.5 A.4).
    """
    element = stored_element(dataset, _PIXEL_DATA) if _PIXEL_DATA in dataset else None
    if element is None or not element.value:
        return
    if isinstance(element, RawDataElement):
        compressed = element.length == UNDEFINED_LENGTH
    else:
        compressed = bool(element.is_undefined_length)
        if syntax.encapsulated and _are_fragments(element.value):
            compressed = True
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


def _claims_little(dataset: Dataset) -> bool:
    """Whether words of a data set made in memory are little endian: if no meta says big."""
    meta = getattr(dataset, "file_meta", None)
    return meta is None or meta.get("TransferSyntaxUID") != EXPLICIT_VR_BIG_ENDIAN.uid


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

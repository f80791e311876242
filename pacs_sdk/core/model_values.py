"""What the JSON and the XML form of a data set have in common: values and bulk data."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs
import numpy as np
from pydicom import config
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from pacs_sdk.core.automatic_vr import form_of, vr_for_value, vr_in
from pacs_sdk.core.element import element_of_vr, read_element
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.path import DatasetPath
from pacs_sdk.core.settable import decimal_text
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR, VrKind

__all__ = [
    "MAX_MODEL_NESTING",
    "BulkData",
    "BulkDataReader",
    "BulkDataReference",
    "BulkDataWriter",
    "binary_value",
    "bulk_element",
    "check_nesting",
    "concrete_element",
    "left_out",
    "model_element",
    "number_value",
    "word_bytes",
]

MAX_MODEL_NESTING: Final = 64
"""How deep sequences may be nested in the JSON or XML form of a data set."""


@attrs.frozen
class BulkData:
    """A binary value that is about to be written in line."""

    path: DatasetPath
    """Where the element lies."""
    vr: VR
    """Its VR."""
    data: bytes
    """The value, little endian."""


@attrs.frozen
class BulkDataReference:
    """A value that was left elsewhere."""

    path: DatasetPath
    """Where the element lies."""
    vr: VR
    """Its VR."""
    uri: str
    """Where the value is; it comes from whoever wrote the text, so mind what you open."""


BulkDataWriter: TypeAlias = Callable[[BulkData], str | None]
"""Keeps a binary value elsewhere and returns its URI, or ``None`` to write it in line."""

BulkDataReader: TypeAlias = Callable[[BulkDataReference], bytes]
"""Fetches a value, little endian, that was left elsewhere."""

SINGLE_TEXT: Final = frozenset((VR.LT, VR.ST, VR.UT, VR.UR))
_PIXEL_DATA: Final = 0x7FE00010
_INTEGERS: Final = {
    VR.SS: range(-(1 << 15), 1 << 15),
    VR.US: range(1 << 16),
    VR.SL: range(-(1 << 31), 1 << 31),
    VR.UL: range(1 << 32),
    VR.SV: range(-(1 << 63), 1 << 63),
    VR.UV: range(1 << 64),
    VR.IS: range(-(1 << 31), 1 << 31),
}
_LARGEST_FL: Final = float(np.finfo(np.float32).max)


def check_nesting(depth: int) -> None:
    """Refuse sequences nested deeper than :data:`MAX_MODEL_NESTING`."""
    if depth >= MAX_MODEL_NESTING:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED, f"sequences are nested deeper than {MAX_MODEL_NESTING}"
        )


def left_out(tag: DicomTag) -> bool:
    """Whether neither form has it: group lengths, command and file meta elements."""
    return tag.element == 0 or tag.group in (0x0000, 0x0002)


def concrete_element(around: tuple[Dataset, ...], tag: DicomTag) -> tuple[VR, DataElement]:
    """Return an element and its VR, decided by its data set where the dictionary leaves it open.

    Args:
        around: The data set that it is in, then those around that, the nearest first.
        tag: Which element.
    """
    dataset = around[0]
    element = stored_element(dataset, int(tag))
    named = str(element.VR or tag.dictionary_vr)
    if named in VR.__members__:
        read = read_element(dataset, tag)
        return VR(read.VR), read
    if isinstance(element, RawDataElement):
        vr = vr_in(int(tag), around, form_of(around[-1]))
        return vr, convert_raw_data_element(element._replace(VR=str(vr)))
    vr = vr_for_value(tag, element.value, around)
    if isinstance(element.value, bytes) and vr.kind is VrKind.NUMBER:
        little_endian = dataset.original_encoding[1] is not False
        length = len(element.value)
        raw = RawDataElement(Tag(int(tag)), str(vr), length, element.value, 0, False, little_endian)
        return vr, convert_raw_data_element(raw)
    return vr, DataElement(int(tag), str(vr), element.value, validation_mode=config.IGNORE)


def word_bytes(dataset: Dataset, tag: int, vr: VR) -> int:
    """Return how many bytes are swapped together where the byte order changes (PS3.5 7.3).

    Pixels of more than 16 bits are numbers of their own width, as everybody reads them, though
    their VR, OW, has words of 16.
    """
    if tag == _PIXEL_DATA and vr is VR.OW:
        bits = dataset.get("BitsAllocated")
        if bits in (32, 64):
            return int(bits) // 8
    return vr.rule.swap_width or 1


def binary_value(dataset: Dataset, tag: int, vr: VR, value: Any) -> bytes:
    """Return a binary value in little endian byte order, which both forms prescribe."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"a {vr} holds bytes, not {type(value).__name__}")
    data = bytes(value)
    width = word_bytes(dataset, tag, vr)
    big_endian = getattr(dataset, "original_encoding", (None, None))[1] is False
    if not big_endian or width == 1 or len(data) % width:
        return data
    return np.frombuffer(data, f">u{width}").byteswap().tobytes()


def number_value(vr: VR, value: Any) -> int | float | str:
    """Return a number as a VR of numbers, DS and IS included, can hold it.

    Args:
        vr: The VR.
        value: An int, a float, or its text.

    Returns:
        An int, a float, or for DS and IS the text, which keeps what a float would lose;
        text that is no number is kept as well, as a reader of bytes keeps it.

    Raises:
        ValueError: It is no number, or is outside the range of the VR.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{vr} needs a number")  # data, not our mistake
    if vr in (VR.DS, VR.IS) and isinstance(value, str):
        return value  # kept as others wrote it, even where it is no number
    if vr is VR.DS and not isinstance(value, str):
        if not math.isfinite(value):
            raise ValueError("a DS has no infinity and no NaN")
        return decimal_text(value)
    if vr in _INTEGERS:
        number = int(value)
        if number not in _INTEGERS[vr] or (isinstance(value, float) and number != value):
            raise ValueError(f"{str(value)[:40]} is outside the range of {vr}")
        return str(number) if vr is VR.IS else number
    real = float(value)
    if vr is VR.FL and math.isfinite(real) and abs(real) > _LARGEST_FL:
        raise ValueError(f"{real} is outside the range of FL")
    return real


def model_element(tag: DicomTag, vr: VR, values: list[Any]) -> DataElement:
    """Make an element from its values, as they are: reading is lenient (PS3.5 6.2)."""
    value: Any = values
    if vr is VR.SQ:
        return DataElement(int(tag), "SQ", Sequence(values))
    if len(values) > 1 and (vr in SINGLE_TEXT or vr.kind is VrKind.BYTES):
        raise ValueError(f"a {vr} has one value, not {len(values)}")
    if len(values) <= 1:
        empty = b"" if vr.kind is VrKind.BYTES else None if vr.kind is not VrKind.TEXT else ""
        value = values[0] if values else empty
    try:
        return element_of_vr(tag, vr, value)
    except (ValueError, OverflowError):
        if vr not in (VR.DS, VR.IS):
            raise
        # Text that is no number: kept, as a reader of bytes keeps it.
        return DataElement(int(tag), str(vr), value, already_converted=True)


def bulk_element(
    path: DatasetPath, tag: DicomTag, vr: VR, uri: str, reader: BulkDataReader | None
) -> DataElement:
    """Fetch a value that was left elsewhere.

    Raises:
        PacsException: ``MISSING_REQUIRED_VALUE`` where nobody can fetch it,
            ``DECODE_FAILED`` for a sequence.
    """
    if vr is VR.SQ:
        raise PacsException(ErrorCode.DECODE_FAILED, f"{path} is a sequence, not bulk data")
    if reader is None:
        raise PacsException(
            ErrorCode.MISSING_REQUIRED_VALUE,
            f"the value of {path} is elsewhere, at {uri[:200]}: give a function that fetches it",
            path=str(path),
            uri=uri,
        )
    data = reader(BulkDataReference(path, vr, uri))
    if vr.kind is VrKind.BYTES:
        return model_element(tag, vr, [data] if data else [])
    raw = RawDataElement(Tag(int(tag)), str(vr), len(data), data, 0, False, True)
    return convert_raw_data_element(raw, encoding="utf8")

"""What the JSON and the XML form of a data set have in common: values and bulk data."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

import attrs
import numpy as np
from pydicom import config
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr_element
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.valuerep import format_number_as_ds

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.path import DatasetPath
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
_WORD_BYTES: Final = {VR.OW: 2, VR.OF: 4, VR.OL: 4, VR.OD: 8, VR.OV: 8}
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


def concrete_element(dataset: Dataset, tag: DicomTag) -> tuple[VR, DataElement]:
    """Return an element and its VR, decided by its data set where the dictionary leaves it open.

    Raises:
        PacsException: ``ENCODE_FAILED`` where nothing decides it.
    """
    try:
        element = dataset[int(tag)]
    except AttributeError:  # what decides its VR is absent; pydicom has it ready all the same
        element = dataset[int(tag)]
    if element.VR not in VR.__members__:
        little_endian = getattr(dataset, "original_encoding", (None, None))[1] is not False
        with contextlib.suppress(AttributeError):  # what decides it is absent
            decided = correct_ambiguous_vr_element(copy.copy(element), dataset, little_endian)
            element = cast("DataElement", decided)  # one that isn't raw comes back so
    if element.VR in VR.__members__:
        return VR(element.VR), element
    if isinstance(element.value, bytes):
        return (VR.OW if "OW" in element.VR else VR.UN), element
    raise PacsException(ErrorCode.ENCODE_FAILED, f"nothing decides the VR of {tag!r}, {element.VR}")


def binary_value(dataset: Dataset, vr: VR, value: Any) -> bytes:
    """Return a binary value in little endian byte order, which both forms prescribe."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"a {vr} holds bytes, not {type(value).__name__}")
    data = bytes(value)
    width = _WORD_BYTES.get(vr, 1)
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
        An int, a float, or for DS and IS the text, which keeps what a float would lose.

    Raises:
        ValueError: It is no number, or is outside the range of the VR.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{vr} needs a number")  # data, not our mistake
    if vr is VR.DS:
        return _decimal_text(value)
    if vr in _INTEGERS:
        number = int(value)
        if number not in _INTEGERS[vr] or (isinstance(value, float) and number != value):
            raise ValueError(f"{str(value)[:40]} is outside the range of {vr}")
        return str(number) if vr is VR.IS else number
    real = float(value)
    if vr is VR.FL and math.isfinite(real) and abs(real) > _LARGEST_FL:
        raise ValueError(f"{real} is outside the range of FL")
    return real


def _decimal_text(value: int | float | str) -> str:
    if not math.isfinite(float(value)):
        raise ValueError("a DS has no infinity and no NaN")
    if isinstance(value, str):
        return value
    text = repr(value)
    return text if len(text) <= 16 else format_number_as_ds(float(value))


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
    return DataElement(int(tag), str(vr), value, validation_mode=config.IGNORE)


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

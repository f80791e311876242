"""Targets that take an encoded data set or a file."""

from __future__ import annotations

from typing import Final

from fuzz.expectations import Broken, value_of
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    INDEX_TAGS,
    InstanceHeader,
    ValidationMode,
    decode_dataset,
    encode_dataset,
    read_bytes,
    scan_header,
    validate_dataset,
)

__all__ = ["NATIVE", "part10", "reader", "scanner"]

NATIVE: Final = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)
"""The first byte of an input chooses among these, by its remainder."""

_PIXEL_DATA_GROUP: Final = 0x7FE00000


def reader(data: bytes) -> None:
    """Decode a data set, look at every value, encode it, and decode that."""
    syntax = NATIVE[(data[0] if data else 0) % len(NATIVE)]
    dataset = value_of(decode_dataset(data[1:], syntax))
    if dataset is None:
        return
    _looked_at(dataset)
    encoded = value_of(encode_dataset(dataset, syntax))
    if encoded is None:
        return
    again = value_of(decode_dataset(encoded, syntax))
    if again is None:
        raise Broken("what was encoded cannot be decoded")


def _looked_at(dataset: DicomDataset) -> None:
    if not all(isinstance(cell, str) for row in dataset.rows() for cell in row):
        raise Broken("a row that is not text")
    value_of(validate_dataset(dataset, ValidationMode.LENIENT))
    value_of(dataset.to_json())
    value_of(dataset.to_xml())


def scanner(data: bytes) -> None:
    """Scan a header and read each attribute; where what was scanned decodes, both agree."""
    syntax = NATIVE[(data[0] if data else 0) % len(NATIVE)]
    header = value_of(scan_header(data[1:], syntax))
    if header is None:
        return
    _read_header(header)
    if syntax.deflated:
        return
    dataset = value_of(decode_dataset(data[1 : 1 + header.stop_offset], syntax))
    if dataset is None:
        return
    if max(dataset.pydicom.keys(), default=0) >= _PIXEL_DATA_GROUP:
        return  # out of order: what follows pixels and is damaged the reader leaves out
    for tag, value in header.raw.items():
        element = dataset.pydicom.get_item(tag)
        if (getattr(element, "value", None) or b"") != value:
            raise Broken(f"the scanner finds {value!r} in {tag:08X}, the reader {element}")


def _read_header(header: InstanceHeader) -> None:
    for tag in INDEX_TAGS:
        header.text(tag)
        header.texts(tag)
        header.integer(tag)
        header.floats(tag)


def part10(data: bytes) -> None:
    """Open a file; take its header, its data set and its frames."""
    instance = value_of(read_bytes(data))
    if instance is None:
        return
    header = value_of(instance.header())
    if header is not None:
        _read_header(header)
    dataset = value_of(instance.dataset())
    if dataset is not None:
        _looked_at(dataset)
    value_of(instance.frames())

"""DICOM files put together by hand from PS3.10 7.1, for the tests of reading and writing them."""

from __future__ import annotations

import struct

import pytest

from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, part10_header
from tests.encoding.dataset_vectors import VECTORS, Vector

__all__ = [
    "CT_IMAGE",
    "EXPLICIT",
    "SOP_CLASS",
    "SOP_INSTANCE",
    "SYNTAX",
    "file_of",
    "identifiers",
    "meta_element",
    "vectors",
    "with_meta",
]

vectors = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.syntax.name)
"""Runs a test with each layout."""

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = EXPLICIT_VR_LITTLE_ENDIAN


def identifiers(vector: Vector) -> bytes:
    """Lay out SOP Class UID and SOP Instance UID in a vector's syntax."""
    order = "<" if vector.syntax.little_endian else ">"
    elements = []
    for element, uid in ((0x0016, CT_IMAGE.encode() + b"\0"), (0x0018, b"1.2.3\0")):
        elements.append(struct.pack(f"{order}HH", 0x0008, element))
        form = "2sH" if vector.syntax.explicit_vr else "I"
        length = (b"UI", len(uid)) if vector.syntax.explicit_vr else (len(uid),)
        elements.append(struct.pack(order + form, *length) + uid)
    return b"".join(elements)


def file_of(vector: Vector = VECTORS[1]) -> bytes:
    """Make a file of a vector."""
    return part10_header(CT_IMAGE, "1.2.3", vector.syntax.uid) + vector.data


def meta_element(element: int, vr: bytes, value: bytes) -> bytes:
    """Lay out an element of group 0002 with a 16-bit length."""
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def with_meta(*elements: bytes, data: bytes = VECTORS[1].data) -> bytes:
    """Make a file with these meta elements, without group length."""
    return bytes(128) + b"DICM" + b"".join(elements) + data


SYNTAX = meta_element(0x0010, b"UI", b"1.2.840.10008.1.2.1\0")
SOP_CLASS = meta_element(0x0002, b"UI", CT_IMAGE.encode() + b"\0")
SOP_INSTANCE = meta_element(0x0003, b"UI", b"1.2.3\0")

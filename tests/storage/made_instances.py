"""Small instances for tests of the archive, made by name or byte by byte."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping

import pydicom
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    TransferSyntax,
    ValidationMode,
    instance_from_dataset,
)

__all__ = ["CT", "encoded_instance", "made_instance"]

CT = "1.2.840.10008.5.1.4.1.1.2"
"""CT Image Storage."""

_numbers = itertools.count(1)


def made_instance(
    syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN, /, **elements: object
) -> Instance:
    """Make an instance of study 1.2, series 1.2.3, with a UID of its own, never 1.2.3.0.

    Args:
        syntax: How it is encoded.
        **elements: Other values by keyword; ``None`` leaves an element out. Values are
            not validated, as a careless modality doesn't.
    """
    values: dict[str, object] = {
        "SOPClassUID": CT,
        "SOPInstanceUID": f"1.2.3.{next(_numbers)}",
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.3",
        "PatientID": "P1",
        "PatientName": "Doe^John",
        "Modality": "CT",
    }
    dataset = pydicom.Dataset()
    for keyword, value in (values | elements).items():
        if value is not None:
            tag = tag_for_keyword(keyword)
            assert tag is not None
            vr = dictionary_VR(tag)
            dataset[tag] = DataElement(tag, vr, value, validation_mode=IGNORE)
    return instance_from_dataset(dataset, syntax, validation=ValidationMode.LENIENT).unwrap()


def encoded_instance(values: Mapping[str, bytes]) -> Instance:
    """Make an instance of elements whose bytes are given, in Explicit VR Little Endian.

    Args:
        values: Undecoded values by keyword; odd ones are padded with a space. The four
            UIDs that an archive needs have those of :func:`made_instance` otherwise.
    """
    known = {
        "SOPClassUID": CT.encode(),
        "SOPInstanceUID": f"1.2.3.{next(_numbers)}".encode(),
        "StudyInstanceUID": b"1.2",
        "SeriesInstanceUID": b"1.2.3",
    } | dict(values)
    encoded = b"".join(
        struct.pack(
            "<HH2sH",
            tag.group,
            tag.element,
            tag.dictionary_vr.encode(),
            len(padded := value + b" " * (len(value) % 2)),
        )
        + padded
        for tag, value in sorted((DicomTag.of(keyword), value) for keyword, value in known.items())
    )
    uid = known["SOPInstanceUID"].decode()
    return Instance(CT, uid, EXPLICIT_VR_LITTLE_ENDIAN.uid, MemoryBytes(encoded))

"""Made-up index entries: headers as a scanner would deliver them."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path
from typing import Any

from pacs_sdk.core.ports import Logger
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, InstanceHeader
from pacs_sdk.storage import IndexDatabase, IndexEntry, InstanceIdentity, Match, Query
from tests.storage.databases import address_of

__all__ = ["CT", "MR", "add", "find", "make_entry", "make_header", "open_index", "uids"]

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"

_numbers = itertools.count(1)


def make_header(**elements: str | int | bytes) -> InstanceHeader:
    """Encode elements in UTF-8 (ISO_IR 192); a number is a US, bytes are taken as they are."""
    raw = {int(DicomTag.of("SpecificCharacterSet")): b"ISO_IR 192"}
    for keyword, value in elements.items():
        match value:
            case int():
                encoded = struct.pack("<H", value)
            case str():
                encoded = value.encode()
            case bytes():
                encoded = value
        raw[int(DicomTag.of(keyword))] = encoded
    return InstanceHeader(raw, little_endian=True, stop_offset=0)


def make_entry(**elements: str | int | bytes) -> IndexEntry:
    """Make an entry of study 1.1, series 1.1.1, with a new SOP Instance UID, unless told."""
    header = make_header(
        **{
            "StudyInstanceUID": "1.1",
            "SeriesInstanceUID": "1.1.1",
            "SOPInstanceUID": f"9.{next(_numbers)}",
            "SOPClassUID": CT,
            "PatientID": "P1",
            **elements,
        }
    )
    identity = InstanceIdentity.of_header(header)
    return IndexEntry(
        identity, header, EXPLICIT_VR_LITTLE_ENDIAN.uid, identity.storage_key, 1000, 300
    )


def open_index(folder: Path, logger: Logger | None = None) -> IndexDatabase:
    """Open the index of a folder, in the kind of database that the test runs on."""
    return IndexDatabase(address_of(folder), logger)


def add(index: IndexDatabase, **elements: str | int | bytes) -> IndexEntry:
    """Add a new entry, and return it."""
    entry = make_entry(**elements)
    index.add(entry).unwrap()
    return entry


def find(index: IndexDatabase, level: str, **keys: Any) -> list[Match]:
    """Search, with all that the index can tell."""
    return list(index.find(Query.of(level, **keys).unwrap()).unwrap())


def uids(index: IndexDatabase, level: str, **keys: Any) -> list[str]:
    """Search, and return the unique keys of what was found."""
    unique = {
        "PATIENT": "PatientID",
        "STUDY": "StudyInstanceUID",
        "SERIES": "SeriesInstanceUID",
        "IMAGE": "SOPInstanceUID",
    }[level]
    return [match.get(unique) for match in find(index, level, **keys)]

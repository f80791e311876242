"""Reading the attributes that the index keeps: our scanner against pydicom."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
import pydicom.data

from benchmarks.harness import Comparison, Contestant
from pacs_sdk.encoding import INDEX_TAGS, read_bytes, read_file, scan_header

__all__ = ["comparisons"]

_REPEATS = 300
_TAGS = sorted(INDEX_TAGS)


def _ct_file() -> Path:
    """Return the CT slice that ships inside pydicom, explicit VR little endian."""
    found = pydicom.data.get_testdata_file("CT_small.dcm", download=False)
    if not isinstance(found, str):
        raise FileNotFoundError("pydicom was installed without its test files")
    return Path(found)


def comparisons() -> tuple[Comparison, ...]:
    """Compare the scan alone, and the whole way from a file to the values as text."""
    path = _ct_file()
    return _scan(path.read_bytes()), _file_to_text(path)


def _scan(part10: bytes) -> Comparison:
    instance = read_bytes(part10).unwrap()
    encoded, syntax = instance.encoded.view(), instance.syntax

    def ours() -> None:
        for _ in range(_REPEATS):
            scan_header(encoded, syntax).unwrap()

    def ours_with_file_meta() -> None:
        for _ in range(_REPEATS):
            read_bytes(part10).unwrap().header().unwrap()

    def pydicom_whole_header() -> None:
        for _ in range(_REPEATS):
            pydicom.dcmread(BytesIO(part10), stop_before_pixels=True)

    def pydicom_same_tags() -> None:
        for _ in range(_REPEATS):
            pydicom.dcmread(BytesIO(part10), stop_before_pixels=True, specific_tags=[*_TAGS])

    return Comparison(
        "find the index attributes of a CT in memory",
        "headers",
        _REPEATS,
        (
            Contestant("pacs_sdk read_bytes and scan", ours_with_file_meta),
            Contestant("pacs_sdk scan_header alone, as after C-STORE", ours),
            Contestant("pydicom stop_before_pixels", pydicom_whole_header),
            Contestant("pydicom the same tags only", pydicom_same_tags),
        ),
    )


def _file_to_text(path: Path) -> Comparison:
    def ours() -> None:
        for _ in range(_REPEATS):
            header = read_file(path).unwrap().header().unwrap()
            for tag in _TAGS:
                header.text(tag)

    def with_pydicom() -> None:
        for _ in range(_REPEATS):
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            for tag in _TAGS:
                if tag in dataset:
                    str(dataset[tag].value)

    return Comparison(
        "read a CT file and give the index attributes as text",
        "files",
        _REPEATS,
        (Contestant("pacs_sdk read_file", ours), Contestant("pydicom dcmread", with_pydicom)),
    )

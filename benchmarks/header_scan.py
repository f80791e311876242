"""Reading the attributes that the index keeps: our scanner against pydicom and dicomsdl."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import dicomsdl
import pydicom
import pydicom.data

from benchmarks.harness import Comparison, Contestant, scaled
from benchmarks.made_files import segmentation
from pacs_sdk.encoding import (
    INDEX_TAGS,
    InstanceHeader,
    read_bytes,
    read_file,
    read_file_header,
    scan_header,
)

__all__ = ["comparisons"]

_REPEATS = scaled(300)
_FRAMES = scaled(12_000)
_TAGS = sorted(INDEX_TAGS)


def _ct_file() -> Path:
    """Return the CT slice that ships inside pydicom, explicit VR little endian."""
    found = pydicom.data.get_testdata_file("CT_small.dcm", download=False)
    if not isinstance(found, str):
        raise FileNotFoundError("pydicom was installed without its test files")
    return Path(found)


def comparisons() -> tuple[Comparison, ...]:
    """Compare the scan alone, the whole way from a file to the values as text, and a SEG."""
    path = _ct_file()
    return (
        _scan(path.read_bytes()),
        _file_to_text(path),
        _segmentation(undefined=True),
        _segmentation(undefined=False),
    )


def _sdl_text(path: str) -> None:
    dataset = dicomsdl.open(path)
    for tag in _TAGS:
        dataset.getDataElement(f"{tag:08x}").value()


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


def _texts(header: InstanceHeader) -> None:
    for tag in _TAGS:
        header.text(tag)


def _pydicom_texts(path: Path) -> None:
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    for tag in _TAGS:
        if tag in dataset:
            str(dataset[tag].value)


def _repeated(work: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(_REPEATS):
            work()

    return run


def _file_to_text(path: Path) -> Comparison:
    return Comparison(
        "read a CT file and give the index attributes as text",
        "files",
        _REPEATS,
        (
            Contestant(
                "pacs_sdk read_file_header",
                _repeated(lambda: _texts(read_file_header(path).unwrap())),
            ),
            Contestant(
                "pacs_sdk read_file, checked to its end",
                _repeated(lambda: _texts(read_file(path).unwrap().header().unwrap())),
            ),
            Contestant("pydicom dcmread", _repeated(lambda: _pydicom_texts(path))),
            Contestant("dicomsdl open", _repeated(lambda: _sdl_text(str(path)))),
        ),
    )


def _segmentation(*, undefined: bool) -> Comparison:
    file = tempfile.NamedTemporaryFile(suffix=".dcm")  # noqa: SIM115  # removed at the end of the run
    file.write(segmentation(_FRAMES, undefined=undefined))
    file.flush()

    def ours() -> None:
        _texts(read_file_header(file.name).unwrap())

    def ours_checked() -> None:
        _texts(read_file(file.name).unwrap().header().unwrap())

    def with_pydicom() -> None:
        pydicom.dcmread(file.name, stop_before_pixels=True)

    def with_pydicom_tags() -> None:
        pydicom.dcmread(file.name, stop_before_pixels=True, specific_tags=[*_TAGS])

    lengths = "undefined" if undefined else "known"
    return Comparison(
        f"the index attributes of a segmentation of {_FRAMES:,} frames, lengths {lengths}",
        "files",
        1,
        (
            Contestant("pacs_sdk read_file_header", ours),
            Contestant("pacs_sdk read_file, checked to its end", ours_checked),
            Contestant("pydicom stop_before_pixels", with_pydicom),
            Contestant("pydicom the same tags only", with_pydicom_tags),
            Contestant("dicomsdl open", lambda: _sdl_text(file.name)),
        ),
    )

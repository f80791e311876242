"""Whole data sets, usable as pydicom's: read, looked at, written; against pydicom."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom
import pydicom.data
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from benchmarks.harness import Comparison, Contestant, scaled
from benchmarks.made_files import segmentation
from pacs_sdk.encoding import encode_dataset, read_bytes

__all__ = ["comparisons"]

_REPEATS = scaled(60)
_FILES = ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm")
_FRAMES = scaled(12_000)


def comparisons() -> tuple[Comparison, ...]:
    """Compare three files of pydicom's, and a segmentation of 12,000 frames."""
    made: list[Comparison] = []
    for name in _FILES:
        data = (Path(pydicom.data.__file__).parent / "test_files" / name).read_bytes()
        made += [_read(name, data), _touched(name, data), _written(name, data)]
    for undefined in (True, False):
        made.append(_first_frame(segmentation(_FRAMES, undefined=undefined), undefined))
    return tuple(made)


def _ours(data: bytes) -> Dataset:
    return read_bytes(data).unwrap().dataset().unwrap().pydicom


def _theirs(data: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(data))


def _repeated(work: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(_REPEATS):
            work()

    return run


def _touch(dataset: Dataset) -> None:
    for element in dataset.iterall():
        element.value  # noqa: B018  # decodes it


def _read(name: str, data: bytes) -> Comparison:
    return Comparison(
        f"read {name}, values left for later",
        "data sets",
        _REPEATS,
        (
            Contestant("pacs_sdk read_bytes and dataset", _repeated(lambda: _ours(data))),
            Contestant("pydicom dcmread", _repeated(lambda: _theirs(data))),
        ),
    )


def _touched(name: str, data: bytes) -> Comparison:
    return Comparison(
        f"read {name} and look at every value, items included",
        "data sets",
        _REPEATS,
        (
            Contestant("pacs_sdk", _repeated(lambda: _touch(_ours(data)))),
            Contestant("pydicom", _repeated(lambda: _touch(_theirs(data)))),
        ),
    )


def _written(name: str, data: bytes) -> Comparison:
    ours, theirs = _ours(data), _theirs(data)
    syntax = read_bytes(data).unwrap().syntax

    def with_pydicom() -> None:
        buffer = DicomBytesIO()
        buffer.is_implicit_VR = not syntax.explicit_vr
        buffer.is_little_endian = syntax.little_endian
        write_dataset(buffer, theirs)

    return Comparison(
        f"write {name} as it was read",
        "data sets",
        _REPEATS,
        (
            Contestant("pacs_sdk", _repeated(lambda: encode_dataset(ours, syntax).unwrap())),
            Contestant("pydicom", _repeated(with_pydicom)),
        ),
    )


def _first_frame(data: bytes, undefined: bool) -> Comparison:
    def position(dataset: Dataset) -> object:
        groups = dataset.PerFrameFunctionalGroupsSequence
        return groups[0].PlanePositionSequence[0].ImagePositionPatient

    lengths = "undefined" if undefined else "known"
    return Comparison(
        f"open a segmentation of {_FRAMES:,} frames, lengths {lengths}, and ask where one lies",
        "files",
        1,
        (
            Contestant("pacs_sdk", lambda: position(_ours(data))),
            Contestant("pydicom", lambda: position(_theirs(data))),
        ),
    )

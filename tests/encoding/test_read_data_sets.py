"""Data sets as our reader makes them: compared, copied, pickled, and read by many threads."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.encoding.datasets.reader import decode_dataset
from pacs_sdk.encoding.datasets.writer import encode_dataset
from pacs_sdk.encoding.files.part10 import read_file
from pacs_sdk.encoding.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from tests.encoding.shipped import ROOT

SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
NAMES = ("CT_small.dcm", "rtplan.dcm", "ExplVR_BigEnd.dcm", "examples_palette.dcm")


def read(name: str) -> DicomDataset:
    """Read one of the files that pydicom ships, nothing decoded yet."""
    return read_file(ROOT / name).unwrap().dataset().unwrap()


@pytest.mark.parametrize("name", NAMES)
def test_equal_in_every_syntax(name: str) -> None:
    """Data sets that say the same are equal, whether implicit, explicit or big endian."""
    original = read(name)
    for syntax in SYNTAXES:
        data = encode_dataset(original, syntax).unwrap()
        decoded = decode_dataset(data, syntax).unwrap()
        assert original == decoded
        assert original.diff(decoded).unwrap() == ()
        assert original.to_json() == decoded.to_json() or name == "ExplVR_BigEnd.dcm"
    decoded["PatientID"] = "another"
    assert original != decoded


def test_words_are_written_little_endian() -> None:
    """InlineBinary of words is the same whatever order they were read in, in items too."""
    item = DicomDataset(WaveformBitsAllocated=16)
    item.set("WaveformData", bytes(range(8))).unwrap()
    original = DicomDataset(WaveformSequence=[item], PixelData=bytes(range(8)))
    for syntax in SYNTAXES:
        data = encode_dataset(original, syntax).unwrap()
        decoded = decode_dataset(data, syntax).unwrap()
        assert decoded.to_json() == original.to_json()
        assert decoded.to_xml() == original.to_xml()
        assert decoded == original


@pytest.mark.parametrize("bits", [32, 64])
def test_wide_pixels_are_written_little_endian(bits: int) -> None:
    """Pixels of more than 16 bits are turned round whole, as the encoder does it."""
    original = DicomDataset(BitsAllocated=bits, PixelData=bytes(range(16)))
    for syntax in SYNTAXES:
        decoded = decode_dataset(encode_dataset(original, syntax).unwrap(), syntax).unwrap()
        assert decoded.to_json() == original.to_json()
        assert decoded.to_xml() == original.to_xml()
        assert decoded == original


@pytest.mark.parametrize("name", NAMES)
def test_pickled_and_copied(name: str) -> None:
    """A data set that was read is whole after pickling and copying, decoded or not."""
    dataset = read(name)
    assert pickle.loads(pickle.dumps(dataset)) == dataset  # noqa: S301  # our own bytes
    copied = dataset.copy()
    assert [copied[tag] for tag in copied] == [dataset[tag] for tag in dataset]
    assert pickle.loads(pickle.dumps(dataset)) == copied  # noqa: S301
    del copied["PatientName"]
    assert "PatientName" in dataset


@pytest.mark.parametrize("name", NAMES)
def test_many_readers(name: str) -> None:
    """Threads that read one data set, which decodes it as they go, all see the same."""
    expected = [str(value) for value in map(read(name).get, read(name))]
    threads = 4
    for _ in range(5):
        dataset, start = read(name), Barrier(threads)

        def values(shared: DicomDataset = dataset, together: Barrier = start) -> list[str]:
            together.wait(timeout=10)
            return [str(shared.get(tag)) for tag in shared]

        with ThreadPoolExecutor(threads) as pool:
            found = [pool.submit(values) for _ in range(threads)]
            assert all(one.result(timeout=30) == expected for one in found)

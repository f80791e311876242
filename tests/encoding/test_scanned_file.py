"""A file is opened and read up to its pixels in one step, as read_file would open it."""

from __future__ import annotations

import os
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from pacs_sdk.core import ErrorCode
from pacs_sdk.encoding import INDEX_TAGS, read_file
from pacs_sdk.encoding.files.scanned_file import ScannedFile, scan_file

BEFORE_PIXELS = 0x7FDFFFFF
TAGS = INDEX_TAGS | {BEFORE_PIXELS}
NAMES = (
    "CT_small.dcm",  # explicit little endian, native
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",  # compressed
    "image_dfl.dcm",  # deflated
    "rtplan.dcm",  # no pixels
    "JPEG2000.dcm",
)


def shipped(name: str) -> Path:
    """Return a file that pydicom's wheel brings along."""
    found = get_testdata_file(name, download=False)
    assert isinstance(found, str), f"pydicom does not ship {name}"
    return Path(found)


def scanned(path: Path) -> ScannedFile:
    """Scan what must be readable."""
    return scan_file(path, TAGS).unwrap()


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_what_read_file_and_header_give(name: str) -> None:
    """The same identifiers, place in the file and attributes, whatever the encoding."""
    path = shipped(name)
    found, instance = scanned(path), read_file(path).unwrap()
    assert found.instance == instance
    header = instance.header(TAGS).unwrap()
    assert dict(found.header.raw) == dict(header.raw)
    assert found.header.stop_offset == header.stop_offset


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_implicit.dcm"])
def test_the_uids_are_those_of_the_data_set(name: str, tmp_path: Path) -> None:
    """What is left in the meta of the file it was made of says nothing of it."""
    dataset = pydicom.dcmread(shipped(name))
    dataset.SOPInstanceUID, dataset.SOPClassUID = "1.2.3", "1.2.4"
    dataset.save_as(tmp_path / "copy.dcm")
    assert pydicom.dcmread(tmp_path / "copy.dcm").file_meta.MediaStorageSOPInstanceUID != "1.2.3"
    found = scan_file(tmp_path / "copy.dcm", frozenset((BEFORE_PIXELS,))).unwrap()
    assert found.instance == read_file(tmp_path / "copy.dcm").unwrap()
    assert (found.instance.sop_instance_uid, found.instance.sop_class_uid) == ("1.2.3", "1.2.4")


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_implicit.dcm"])
def test_native_pixels_are_located(name: str) -> None:
    """Offset and length are those of the value of Pixel Data in the data set."""
    path = shipped(name)
    found = scanned(path)
    assert found.pixels is not None
    begin, length = found.pixels
    pixels = bytes(found.instance.encoded.slice(begin, length).view())
    assert pixels == pydicom.dcmread(path).PixelData


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "rtplan.dcm", "image_dfl.dcm"])
def test_other_pixels_are_not(name: str) -> None:
    """Compressed, absent or deflated ones have no place that could be read from."""
    assert scanned(shipped(name)).pixels is None


@pytest.mark.parametrize("kept", [0, 100, 410, 10_000])
def test_what_is_cut_off_is_refused_as_by_read_file(kept: int, tmp_path: Path) -> None:
    """Empty, inside the preamble, the header or the pixels: the same code and words."""
    path = tmp_path / "cut.dcm"
    path.write_bytes(shipped("CT_small.dcm").read_bytes()[:kept])
    assert scan_file(path, TAGS).failure() == read_file(path).failure()


def test_a_header_longer_than_the_first_read_is_found(tmp_path: Path) -> None:
    """A private element of 100 KB before the pixels."""
    dataset = pydicom.dcmread(shipped("CT_small.dcm"))
    block = dataset.private_block(0x0043, "LONG", create=True)
    block.add_new(0x01, "OB", bytes(100_000))
    path = tmp_path / "long.dcm"
    dataset.save_as(path)
    assert scanned(path).header.text("Rows") == "128"


def test_what_is_no_file(tmp_path: Path) -> None:
    """Nothing there, a folder, a name with a NUL, a pipe that nobody writes into."""
    assert scan_file(tmp_path / "none", TAGS).failure().code is ErrorCode.FILE_NOT_FOUND
    assert scan_file(tmp_path, TAGS).failure().code is ErrorCode.FILE_READ_FAILED
    assert scan_file(Path("a\0b"), TAGS).failure().code is ErrorCode.FILE_NOT_FOUND
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert scan_file(tmp_path / "pipe", TAGS).failure().code is ErrorCode.FILE_READ_FAILED

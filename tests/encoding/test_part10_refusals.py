"""Files that are refused, each with the words and the code for what is wrong."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure
from pacs_sdk.encoding import (
    part10_header,
    read_bytes,
    read_file,
)
from tests.encoding.dataset_vectors import VECTORS, Vector
from tests.encoding.part10_files import (
    CT_IMAGE,
    EXPLICIT,
    SOP_CLASS,
    SOP_INSTANCE,
    SYNTAX,
    file_of,
    identifiers,
    meta_element,
    vectors,
    with_meta,
)
from tests.encoding.shipped import path_of


def failure(data: bytes) -> PacsError:
    """Read a file that must be refused."""
    return read_bytes(data).failure()


def test_missing_file(tmp_path: Path) -> None:
    """A path that leads nowhere is named."""
    for path in (tmp_path / "none.dcm", tmp_path / "none" / "x", Path("a\0b")):
        error = read_file(path).failure()
        assert error.code is ErrorCode.FILE_NOT_FOUND
        assert error.message == f"there is no file {path}"
    (tmp_path / "file").write_bytes(b"")
    assert read_file(tmp_path / "file" / "x").failure().code is ErrorCode.FILE_NOT_FOUND


def test_folder(tmp_path: Path) -> None:
    """A folder is refused with a word for it."""
    error = read_file(tmp_path).failure()
    assert error.code is ErrorCode.FILE_READ_FAILED
    assert error.message == f"{tmp_path} is a folder, not a file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_pipe(tmp_path: Path) -> None:
    """A named pipe is refused and not waited for."""
    os.mkfifo(tmp_path / "pipe")
    error = read_file(tmp_path / "pipe").failure()
    assert error.code is ErrorCode.FILE_READ_FAILED
    assert "pipe" in error.message


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read gives the system's reason."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "image.dcm"
    path.write_bytes(file_of())
    monkeypatch.setattr(os, "open", refuse)
    error = read_file(path).failure()
    assert error.code is ErrorCode.FILE_READ_FAILED
    assert "Permission denied" in error.message


@pytest.mark.parametrize(
    "data",
    [
        b"Dear Doctor, " * 20,
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        bytes(500),
        b"\xff" * 500,
        b"\x08\x00",
        b"\x08\x00\x00\x00" + b"\xff" * 300,
        b"\x02\x00" * 300,
    ],
)
def test_not_dicom(data: bytes, tmp_path: Path) -> None:
    """Other files are refused, named, and shown by their first bytes."""
    path = tmp_path / "letter.txt"
    path.write_bytes(data)
    error = read_file(path).failure()
    assert error.code is ErrorCode.NOT_DICOM
    assert error.message.startswith(f"{path}: it is not DICOM")
    assert repr(data[:8]) in error.message
    assert error.details == {"path": str(path)}


def test_empty_file() -> None:
    """An empty file is refused with a word for it."""
    error = failure(b"")
    assert (error.code, error.message) == (ErrorCode.NOT_DICOM, "the data: it is empty")


@vectors
def test_every_cut_of_a_file(vector: Vector) -> None:
    """Cut anywhere, a file is refused; only between two elements it looks complete."""
    data = file_of(vector)
    start = len(data) - len(vector.data)
    codes = {length: read_bytes(data[:length]) for length in range(len(data))}
    whole = [length for length, result in codes.items() if not isinstance(result, Failure)]
    assert all(length > start for length in whole)
    assert len(whole) <= 12  # six ends of elements; in big endian, with a zero behind
    for length in range(140, len(data)):
        if length not in whole:
            error = codes[length].failure()
            assert error.code is ErrorCode.TRUNCATED, (length, error)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm"])
def test_cut_in_the_middle_of_pixel_data(name: str) -> None:
    """A real file that ends inside its Pixel Data is truncated, native or compressed."""
    data = path_of(name).read_bytes()
    for kept in (len(data) - 200, len(data) * 3 // 4, len(data) // 2):
        error = failure(data[:kept])
        assert error.code is ErrorCode.TRUNCATED
        assert "(7FE0,0010)" in error.message or "(FFFE,E000)" in error.message


@pytest.mark.parametrize("fragment_bytes", [4, 100_000])
def test_cut_after_an_extended_offset_table(fragment_bytes: int) -> None:
    """A table before Pixel Data doesn't make up for its end (PS3.3 C.7.6.3.1.8)."""
    table = b"".join(
        struct.pack("<HH2sHIQ", 0x7FE0, element, b"OV", 0, 8, value)
        for element, value in ((1, 0), (2, fragment_bytes))
    )
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    items = b"\xfe\xff\x00\xe0" + bytes(4) + b"\xfe\xff\x00\xe0"
    items += struct.pack("<I", fragment_bytes) + bytes(fragment_bytes)
    rle = part10_header(CT_IMAGE, "1.2.3", "1.2.840.10008.1.2.5")
    data = rle + identifiers(VECTORS[1]) + table + pixels + items
    assert not isinstance(read_bytes(data + b"\xfe\xff\xdd\xe0\0\0\0\0"), Failure)
    for kept in (len(data) + 4, len(data), len(data) - 2, len(data) - len(items) - 4):
        error = failure((data + b"\xfe\xff\xdd\xe0\0\0\0\0")[:kept])
        assert error.code is ErrorCode.TRUNCATED


def test_cut_in_the_meta() -> None:
    """A file that ends inside its File Meta Information says so."""
    error = failure(file_of()[:200])
    assert error.code is ErrorCode.TRUNCATED
    assert "inside the File Meta Information" in error.message


def test_meta_and_nothing_else() -> None:
    """A file that ends with its File Meta Information has lost its data set."""
    header = part10_header(CT_IMAGE, "1.2.3", EXPLICIT.uid)
    assert failure(header).code is ErrorCode.TRUNCATED
    assert "no data set" in failure(header).message


def test_meta_too_long() -> None:
    """File Meta Information of more than 64 KiB is refused."""
    private = b"\x02\x00\x02\x01" + b"OB\0\0" + struct.pack("<I", 70_000) + bytes(70_000)
    error = failure(with_meta(SOP_CLASS, SOP_INSTANCE, SYNTAX, private))
    assert error.code is ErrorCode.INVALID_FILE_META
    assert "65536" in error.message


@pytest.mark.parametrize("uid", [b"1.2.840.113619.5.2\0\0", b"nonsense"])
def test_unknown_transfer_syntax(uid: bytes) -> None:
    """A private or unknown transfer syntax is named."""
    error = failure(with_meta(SOP_CLASS, SOP_INSTANCE, meta_element(0x0010, b"UI", uid)))
    assert error.code is ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX
    assert uid.strip(b"\0").decode() in error.message


def test_compressed_pixels_without_a_syntax() -> None:
    """Compressed pixels can't be told apart by looking: the syntax must be given."""
    fragments = b"\xfe\xff\x00\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)
    pixels = b"\xe0\x7f\x10\x00" + b"OB\0\0" + b"\xff\xff\xff\xff" + fragments
    data = with_meta(SOP_CLASS, SOP_INSTANCE, data=identifiers(VECTORS[1]) + pixels)
    assert failure(data).code is ErrorCode.MISSING_TRANSFER_SYNTAX


def test_nothing_tells_the_syntax() -> None:
    """Without transfer syntax, a data set that doesn't begin with group 0008 isn't guessed."""
    data = with_meta(SOP_CLASS, SOP_INSTANCE, data=VECTORS[1].data[10:])
    assert failure(data).code is ErrorCode.MISSING_TRANSFER_SYNTAX


@pytest.mark.parametrize(
    ("meta", "name"), [((SOP_INSTANCE, SYNTAX), "SOP Class"), ((SOP_CLASS, SYNTAX), "SOP Instance")]
)
def test_missing_uids(meta: tuple[bytes, ...], name: str) -> None:
    """An instance needs both UIDs, from the file meta or from the data set."""
    error = failure(with_meta(*meta))
    assert error.code is ErrorCode.MISSING_REQUIRED_VALUE
    assert f"{name} UID is missing" in error.message


def test_nonsense_for_a_uid() -> None:
    """What is no UID doesn't become one: it would name files and rows later."""
    wrong = meta_element(0x0003, b"UI", b"../../../etc/pass\0")
    assert failure(with_meta(SOP_CLASS, wrong, SYNTAX)).code is ErrorCode.INVALID_UID

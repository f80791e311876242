"""Reading DICOM files that are right, or nearly: preamble, file meta, data set."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    part10_header,
    read_bytes,
    read_file,
    read_file_header,
    read_source,
)
from pacs_sdk.encoding.datasets.deflated import inflate
from pacs_sdk.encoding.instance import HEAD_BYTES
from tests.encoding.dataset_vectors import VECTORS, Vector
from tests.encoding.part10_files import (
    CT_IMAGE,
    SOP_CLASS,
    SOP_INSTANCE,
    SYNTAX,
    file_of,
    identifiers,
    meta_element,
    vectors,
    with_meta,
)


@vectors
def test_read(vector: Vector, tmp_path: Path) -> None:
    """A file gives an instance whose data set is the bytes after the file meta."""
    path = tmp_path / "image.dcm"
    path.write_bytes(file_of(vector))
    for instance in (
        raised(read_file(path)),
        raised(read_file(str(path))),
        raised(read_bytes(path.read_bytes())),
        raised(read_source(FileBytes.of(path), "it")),
        raised(read_source(MemoryBytes(bytearray(path.read_bytes())), "it")),
    ):
        assert (instance.sop_class_uid, instance.sop_instance_uid) == (CT_IMAGE, "1.2.3")
        assert instance.syntax is vector.syntax
        assert instance.encoded.view() == vector.data
        assert instance.size == len(vector.data)


def test_only_the_header_is_read(tmp_path: Path) -> None:
    """A file of 1 GiB with native pixels is opened by its first bytes."""
    size = 1 << 30
    pixels = b"\xe0\x7f\x10\x00" + b"OB\0\0" + struct.pack("<I", size)
    path = tmp_path / "large.dcm"
    with path.open("wb") as file:
        file.write(with_meta(SOP_CLASS, SOP_INSTANCE, SYNTAX, data=pixels))
        file.truncate(file.tell() + size)  # sparse: takes no room
    assert raised(read_file(path)).size == 12 + size
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    assert read_file(path).failure().code is ErrorCode.TRUNCATED


def test_meta_without_group_length() -> None:
    """The elements tell where File Meta Information ends, group length or not."""
    instance = raised(read_bytes(with_meta(SOP_CLASS, SOP_INSTANCE, SYNTAX)))
    assert instance.encoded.view() == VECTORS[1].data


@pytest.mark.parametrize("length", [0, 4, 1000, 0xFFFFFFFF])
def test_meta_with_wrong_group_length(length: int) -> None:
    """A wrong group length, which many writers leave behind, misleads nobody."""
    group_length = meta_element(0x0000, b"UL", struct.pack("<I", length))
    data = with_meta(group_length, SOP_CLASS, SOP_INSTANCE, SYNTAX)
    assert raised(read_bytes(data)).encoded.view() == VECTORS[1].data


@pytest.mark.parametrize("preamble", [b"DICM", b""])
def test_without_preamble(preamble: bytes) -> None:
    """Files that begin with the prefix or with the file meta at once are read."""
    meta = file_of()[132:]
    assert raised(read_bytes(preamble + meta)).encoded.view() == VECTORS[1].data


@vectors
def test_bare_data_set(vector: Vector) -> None:
    """A data set without file meta is read if it begins with group 0008 and has its UIDs."""
    data = identifiers(vector) + vector.data
    instance = raised(read_bytes(data))
    assert instance.syntax is vector.syntax
    assert instance.sop_instance_uid == "1.2.3"
    assert instance.encoded.view() == data


@vectors
def test_uids_from_the_data_set(vector: Vector) -> None:
    """Where file meta has no UIDs, or no valid ones, the data set's count."""
    syntax = meta_element(0x0010, b"UI", vector.syntax.uid.encode())
    wrong = meta_element(0x0003, b"UI", b"nonsense")
    for meta in ((syntax,), (wrong, syntax)):
        instance = raised(read_bytes(with_meta(*meta, data=identifiers(vector) + vector.data)))
        assert (instance.sop_class_uid, instance.sop_instance_uid) == (CT_IMAGE, "1.2.3")


@vectors
def test_uids_of_another_instance_in_the_meta(vector: Vector) -> None:
    """What a copy was made of counts for nothing: the data set says which instance it is."""
    syntax = meta_element(0x0010, b"UI", vector.syntax.uid.encode())
    stale = meta_element(0x0002, b"UI", b"1.9.9\0") + meta_element(0x0003, b"UI", b"1.9.8\0")
    order = "<" if vector.syntax.little_endian else ">"
    sequence = struct.pack(f"{order}HH", 0x0008, 0x0006)  # Language Code Sequence, no items
    sequence += b"SQ\0\0" if vector.syntax.explicit_vr else b""
    sequence += struct.pack(f"{order}IHHI", 0xFFFFFFFF, 0xFFFE, 0xE0DD, 0)
    for before in (b"", sequence):
        data = before + identifiers(vector) + vector.data
        instance = raised(read_bytes(with_meta(stale, syntax, data=data)))
        assert (instance.sop_class_uid, instance.sop_instance_uid) == (CT_IMAGE, "1.2.3")


@vectors
def test_transfer_syntax_by_the_data_set(vector: Vector) -> None:
    """A missing transfer syntax is told from the first element of a native data set."""
    data = with_meta(SOP_CLASS, SOP_INSTANCE, data=identifiers(vector) + vector.data)
    assert raised(read_bytes(data)).syntax is vector.syntax


@vectors
def test_trailing_bytes_are_tolerated(vector: Vector) -> None:
    """Padding and rubbish after Pixel Data are no reason to refuse a file."""
    for rubbish in (b"\0", bytes(1000), b"rubbish" * 100):
        assert raised(read_bytes(file_of(vector) + rubbish)).syntax is vector.syntax


def test_deflated_data_that_looks_like_meta() -> None:
    """A deflate stream may begin like an element of group 0002; group length tells better."""
    data = VECTORS[1].data
    stream = b"".join(  # RFC 1951 3.2.3
        (
            b"\x02\x00",  # bits: a fixed Huffman block that ends at once, a stored block
            struct.pack("<HH", 20, 20 ^ 0xFFFF) + data[:20],  # its LEN, NLEN and bytes
            b"\x01",  # the last block, stored
            struct.pack("<HH", len(data) - 20, (len(data) - 20) ^ 0xFFFF) + data[20:],
        )
    )
    assert inflate(stream) == data
    meta = SOP_CLASS + SOP_INSTANCE + meta_element(0x0010, b"UI", b"1.2.840.10008.1.2.1.99")
    group_length = meta_element(0x0000, b"UL", struct.pack("<I", len(meta)))
    instance = raised(read_bytes(with_meta(group_length, meta, data=stream)))
    assert raised(instance.header()).text("PatientName") == "Doe^Jon"


# -- the header of a file alone -------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.syntax.name)
def test_header_of_a_file(vector: Vector, tmp_path: Path) -> None:
    """The attributes of a file are those of the instance in it, whatever the syntax."""
    path = tmp_path / "one.dcm"
    path.write_bytes(file_of(vector))
    header = raised(read_file_header(path))
    assert header.text("PatientName") == "Doe^Jon"
    assert header.raw == raised(raised(read_file(path)).header()).raw


def test_header_of_a_file_that_is_cut(tmp_path: Path) -> None:
    """What comes after the last wanted attribute may be missing; what comes before may not."""
    vector = VECTORS[1]
    path = tmp_path / "one.dcm"
    path.write_bytes(file_of(vector)[:-2])
    assert raised(read_file_header(path)).text("Modality") == "CT"
    path.write_bytes(file_of(vector)[: -len(vector.data) + 9])
    assert read_file_header(path).failure().code is ErrorCode.TRUNCATED


def test_header_longer_than_the_head(tmp_path: Path) -> None:
    """A header that takes more than is read at once is read whole."""
    filler = b"\x09\x00\x01\x10OB\0\0" + struct.pack("<I", HEAD_BYTES) + bytes(HEAD_BYTES)
    name = b"\x10\x00\x20\x00LO\x04\x00P-1 "
    path = tmp_path / "one.dcm"
    path.write_bytes(part10_header("1.2", "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN.uid) + filler + name)
    assert raised(read_file_header(path)).text("PatientID") == "P-1"


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, ErrorCode.FILE_NOT_FOUND), (b"no DICOM at all", ErrorCode.NOT_DICOM)],
)
def test_header_of_no_dicom_file(tmp_path: Path, content: bytes | None, code: ErrorCode) -> None:
    """Failures are those of ``read_file``, and name the file."""
    path = tmp_path / "one.dcm"
    if content is not None:
        path.write_bytes(content)
    error = read_file_header(path).failure()
    assert error.code is code
    assert error == read_file(path).failure() or content is None
    assert read_file_header(tmp_path).failure().code is ErrorCode.FILE_READ_FAILED
    assert read_file_header("a\0b").failure().code is ErrorCode.FILE_NOT_FOUND

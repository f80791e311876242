"""DICOM files: preamble, File Meta Information, data set; reading and writing them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.core.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    part10_header,
    read_bytes,
    read_file,
    read_source,
)
from tests.encoding.dataset_vectors import VECTORS, Vector

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = EXPLICIT_VR_LITTLE_ENDIAN
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"

vectors = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.syntax.name)


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


def failure(data: bytes) -> PacsError:
    """Read a file that must be refused."""
    return read_bytes(data).failure()


# -- the header that is written --------------------------------------------------------------


def test_header_field_by_field() -> None:
    """Preamble, prefix and File Meta Information as PS3.10 7.1 lays them out."""
    implementation = IMPLEMENTATION_CLASS_UID.encode()
    version = IMPLEMENTATION_VERSION_NAME.encode()
    meta = b"".join(
        (
            b"\x02\x00\x01\x00" + b"OB" + b"\0\0" + b"\x02\0\0\0" + b"\x00\x01",  # version
            b"\x02\x00\x02\x00" + b"UI" + b"\x1a\x00" + CT_IMAGE.encode() + b"\0",
            b"\x02\x00\x03\x00" + b"UI" + b"\x06\x00" + b"1.2.3\0",
            b"\x02\x00\x10\x00" + b"UI" + b"\x14\x00" + b"1.2.840.10008.1.2.1\0",
            b"\x02\x00\x12\x00" + b"UI" + b"\x2c\x00" + implementation,
            b"\x02\x00\x13\x00" + b"SH" + b"\x0c\x00" + version,
            b"\x02\x00\x16\x00" + b"AE" + b"\x06\x00" + b"STORE ",
        )
    )
    group_length = b"\x02\x00\x00\x00" + b"UL" + b"\x04\x00" + struct.pack("<I", len(meta))
    expected = bytes(128) + b"DICM" + group_length + meta
    assert part10_header(CT_IMAGE, "1.2.3", EXPLICIT.uid, "STORE") == expected


def test_header_without_source() -> None:
    """Source AE Title is left out where nobody sent it, and cut to 16 characters."""
    assert b"\x02\x00\x16\x00" not in part10_header(CT_IMAGE, "1.2.3", EXPLICIT.uid, "  ")
    assert part10_header(CT_IMAGE, "1.2.3", EXPLICIT.uid, "A" * 20).endswith(b"\x10\0" + b"A" * 16)


@pytest.mark.parametrize(
    ("uids", "code"),
    [
        (("", "1.2.3", EXPLICIT.uid), ErrorCode.MISSING_REQUIRED_VALUE),
        ((CT_IMAGE, "../../etc", EXPLICIT.uid), ErrorCode.INVALID_UID),
        ((CT_IMAGE, "1.2.3", "1" * 65), ErrorCode.INVALID_UID),
    ],
)
def test_header_of_wrong_uids(uids: tuple[str, str, str], code: ErrorCode) -> None:
    """Nothing but UIDs gets into a header."""
    with pytest.raises(PacsException) as caught:
        part10_header(*uids)
    assert caught.value.error.code is code


# -- reading what is right ---------------------------------------------------------------------


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
    """A file of 1 TiB with native pixels is opened by its first bytes."""
    size = (1 << 32) - 16
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
    if length == 0:  # says that there is no meta: the only one that is believed
        return
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
    stream = b""
    for level in range(10):  # find a stream beginning 02 00 by what it holds: stored blocks
        stream = zlib.compress(VECTORS[1].data, level=level, wbits=-15)
    meta = SOP_CLASS + SOP_INSTANCE + meta_element(0x0010, b"UI", b"1.2.840.10008.1.2.1.99")
    group_length = meta_element(0x0000, b"UL", struct.pack("<I", len(meta)))
    instance = raised(read_bytes(with_meta(group_length, meta, data=stream)))
    assert raised(instance.header()).text("PatientName") == "Doe^Jon"

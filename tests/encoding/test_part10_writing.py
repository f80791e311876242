"""Writing DICOM files: the header field by field, the data set as it is, all or nothing."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.core.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    TransferSyntax,
    decode_dataset,
    part10_header,
    read_bytes,
    read_file,
    write_file,
)
from tests.encoding.dataset_vectors import VECTORS, Vector
from tests.encoding.part10_files import (
    CT_IMAGE,
    EXPLICIT,
    file_of,
    identifiers,
    vectors,
)


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


@vectors
def test_written_instance(vector: Vector, tmp_path: Path) -> None:
    """An instance is written with its bytes as they are, nothing else left in the folder."""
    instance = Instance(CT_IMAGE, "1.2.3", vector.syntax.uid, MemoryBytes(vector.data))
    path = raised(write_file(instance, tmp_path / "image.dcm", source_ae_title="STORE"))
    expected = part10_header(CT_IMAGE, "1.2.3", vector.syntax.uid, "STORE") + vector.data
    assert path.read_bytes() == expected
    assert list(tmp_path.iterdir()) == [path]
    assert pydicom.dcmread(path).file_meta.SourceApplicationEntityTitle == "STORE"


@pytest.mark.parametrize("syntax", [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT, EXPLICIT_VR_BIG_ENDIAN])
def test_written_data_set_keeps_its_syntax(syntax: TransferSyntax, tmp_path: Path) -> None:
    """A data set is written in the syntax it was read in."""
    vector = next(vector for vector in VECTORS if vector.syntax is syntax)
    dataset = raised(decode_dataset(identifiers(vector) + vector.data, syntax))
    for source in (dataset, dataset.pydicom):
        written = raised(read_file(raised(write_file(source, tmp_path / "image.dcm"))))
        assert written.syntax is syntax
        assert written.encoded.view() == identifiers(vector) + vector.data


def test_written_new_data_set(tmp_path: Path) -> None:
    """A data set made in memory is written as Explicit VR Little Endian, its meta made."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT_IMAGE, "1.2.3"
    path = raised(write_file(dataset, str(tmp_path / "image.dcm")))
    meta = pydicom.dcmread(path).file_meta
    assert meta.TransferSyntaxUID == EXPLICIT.uid
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (CT_IMAGE, "1.2.3")


@pytest.mark.parametrize(("uid", "code"), [("", "MISSING_REQUIRED_VALUE"), ("x", "INVALID_UID")])
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_data_set_without_uids(uid: str, code: str, tmp_path: Path) -> None:
    """A data set without valid UIDs is not written."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT_IMAGE, uid
    assert write_file(dataset, tmp_path / "image.dcm").failure().code.name == code
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_replaced_or_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is replaced as a whole; where that fails, the old one stays and nothing more."""
    path = tmp_path / "image.dcm"
    path.write_bytes(b"old")
    instance = raised(read_bytes(file_of()))

    def no_room(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        error = write_file(instance, path).failure()
    assert error.code is ErrorCode.FILE_WRITE_FAILED
    assert "No space left on device" in error.message
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    raised(write_file(instance, path))
    assert raised(read_file(path)).sop_instance_uid == "1.2.3"


def test_no_folder_to_write_to(tmp_path: Path) -> None:
    """A missing folder is named, not the temporary file in it."""
    error = write_file(raised(read_bytes(file_of())), tmp_path / "none" / "x.dcm").failure()
    assert error.code is ErrorCode.FILE_WRITE_FAILED
    assert error.message == f"there is no folder {tmp_path / 'none'}"


def test_source_that_vanished(tmp_path: Path) -> None:
    """Writing an instance whose file is gone is a failure to read, and writes nothing."""
    source = tmp_path / "source.dcm"
    source.write_bytes(file_of())
    instance = raised(read_file(source))
    source.unlink()
    error = write_file(instance, tmp_path / "copy.dcm").failure()
    assert error.code is ErrorCode.FILE_READ_FAILED
    assert list(tmp_path.iterdir()) == []

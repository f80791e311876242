"""The instance: identifiers, the encoded data set, and what is made of it on demand."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from pacs_sdk.core.byte_source import FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Success, raised
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    TransferSyntax,
    ValidationMode,
    encode_dataset,
    instance_from_dataset,
    read_file,
    write_file,
)
from pacs_sdk.encoding.instance import HEAD_BYTES
from pacs_sdk.testing import RecordingLogger
from tests.encoding.dataset_vectors import VECTORS, Vector
from tests.encoding.shipped import path_of

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = EXPLICIT_VR_LITTLE_ENDIAN


class WatchedBytes:
    """A source that remembers how it was looked at."""

    def __init__(self, data: bytes) -> None:
        self._bytes = MemoryBytes(data)
        self.looks: list[str] = []

    @property
    def size(self) -> int:
        return self._bytes.size

    def head(self, limit: int) -> memoryview:
        self.looks.append(f"head {limit}")
        return self._bytes.head(limit)

    def view(self) -> memoryview:
        self.looks.append("view")
        return self._bytes.view()

    def slice(self, offset: int, length: int | None = None) -> MemoryBytes:
        return self._bytes.slice(offset, length)


def instance(data: bytes, syntax: TransferSyntax = EXPLICIT) -> Instance:
    """Make an instance of a data set in memory."""
    return Instance(CT_IMAGE, "1.2.3", syntax.uid, MemoryBytes(data))


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """Lay out an Explicit VR Little Endian element."""
    form = "<HH2sHI" if vr in (b"OB", b"UN") else "<HH2sH"
    length = (0, len(value)) if vr in (b"OB", b"UN") else (len(value),)
    return struct.pack(form, tag >> 16, tag & 0xFFFF, vr, *length) + value


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.syntax.name)
def test_header_and_data_set(vector: Vector) -> None:
    """Header and data set come from the same bytes, in each layout."""
    it = instance(vector.data, vector.syntax)
    assert (it.syntax, it.size) == (vector.syntax, len(vector.data))
    assert raised(it.header()).text("PatientName") == "Doe^Jon"
    dataset = raised(it.dataset())
    assert dataset["PatientName"] == "Doe^Jon"
    meta = dataset.pydicom.file_meta
    assert meta.TransferSyntaxUID == vector.syntax.uid
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (CT_IMAGE, "1.2.3")


def test_header_needs_the_head_only() -> None:
    """Of a large instance 64 KiB are looked at for its header."""
    source = WatchedBytes(
        element(0x00100020, b"LO", b"42") + element(0x7FE00010, b"OB", bytes(2 * HEAD_BYTES))
    )
    it = Instance(CT_IMAGE, "1.2.3", EXPLICIT.uid, source)
    assert raised(it.header()).text("PatientID") == "42"
    assert source.looks == [f"head {HEAD_BYTES}"]


def test_header_beyond_the_head() -> None:
    """Where a long element comes before a wanted one, the whole is scanned."""
    source = WatchedBytes(
        element(0x00091001, b"UN", bytes(HEAD_BYTES)) + element(0x00100020, b"LO", b"42")
    )
    it = Instance(CT_IMAGE, "1.2.3", EXPLICIT.uid, source)
    assert raised(it.header()).text("PatientID") == "42"
    assert source.looks == [f"head {HEAD_BYTES}", "view"]


def test_head_that_ends_in_a_private_element() -> None:
    """A head that ends inside a private element, of any VR, is too short and no end."""
    private = b"".join(element(0x00091000 + number, b"LO", b"x" * 60) for number in range(1000))
    for shift in range(0, 68, 2):
        data = element(0x00080060, b"CS", b"C" * shift) + private
        it = instance(data + element(0x00100020, b"LO", b"42"))
        assert raised(it.header()).text("PatientID") == "42"


def test_header_of_a_truncated_instance() -> None:
    """Scanning the whole doesn't hide that the bytes end too early."""
    whole = element(0x00091001, b"UN", bytes(2 * HEAD_BYTES)) + element(0x00100020, b"LO", b"42")
    assert instance(whole[:-1]).header().failure().code is ErrorCode.TRUNCATED


def test_damage_in_the_head() -> None:
    """Damage that isn't an early end is reported at once; the rest is not looked at."""
    sequence = b"\x08\x00\x40\x11" + b"SQ\0\0" + b"\xff\xff\xff\xff" + b"no item here"
    source = WatchedBytes(sequence + bytes(2 * HEAD_BYTES))
    error = Instance(CT_IMAGE, "1.2.3", EXPLICIT.uid, source).header().failure()
    assert error.code is ErrorCode.DECODE_FAILED
    assert source.looks == [f"head {HEAD_BYTES}"]


def test_large_file_is_mapped(tmp_path: Path) -> None:
    """A header beyond the head of a large file comes from a memory map."""
    path = tmp_path / "large"
    path.write_bytes(element(0x00091001, b"UN", bytes(3 << 20)) + element(0x00100020, b"LO", b"42"))
    it = Instance(CT_IMAGE, "1.2.3", EXPLICIT.uid, FileBytes.of(path))
    assert raised(it.header()).text("PatientID") == "42"
    assert raised(it.dataset())["PatientID"] == "42"


def test_deflated() -> None:
    """A deflated instance gives header and data set like others."""
    syntax = DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    dataset = raised(instance(VECTORS[1].data).dataset())
    it = instance(raised(encode_dataset(dataset, syntax)), syntax)
    assert raised(it.header()) == raised(instance(VECTORS[1].data).header())
    assert raised(it.dataset()) == dataset


def test_own_tags() -> None:
    """A header has the attributes that were asked for."""
    header = raised(instance(VECTORS[1].data).header({0x0018602C}))
    assert set(header.raw) == {0x0018602C}


def test_file_that_vanished(tmp_path: Path) -> None:
    """An instance whose file is gone gives failures, each with the path."""
    path = tmp_path / "image.dcm"
    path.write_bytes(path_of("CT_small.dcm").read_bytes())
    it = raised(read_file(path))
    path.unlink()
    for error in (it.header().failure(), it.dataset().failure(), it.frames().failure()):
        assert error.code is ErrorCode.FILE_NOT_FOUND
        assert str(path) in error.message


def test_file_that_became_shorter(tmp_path: Path) -> None:
    """An instance whose file was cut off since is truncated."""
    path = tmp_path / "image.dcm"
    path.write_bytes(path_of("CT_small.dcm").read_bytes())
    it = raised(read_file(path))
    path.write_bytes(path.read_bytes()[:600])
    assert it.dataset().failure().code is ErrorCode.TRUNCATED
    assert it.header().failure().code is ErrorCode.TRUNCATED


def test_unknown_syntax() -> None:
    """An instance in a private transfer syntax can be carried, not looked into."""
    it = Instance(CT_IMAGE, "1.2.3", "1.2.840.113619.5.2", MemoryBytes(b"anything"))
    with pytest.raises(PacsException):
        it.syntax  # noqa: B018  # it raises
    for error in (it.header().failure(), it.dataset().failure(), it.frames().failure()):
        assert error.code is ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX


def test_frames() -> None:
    """Frames are those that decode_frames gives."""
    frames = raised(raised(read_file(path_of("CT_small.dcm"))).frames())
    assert frames.shape == (1, 128, 128)
    assert frames.dtype == np.int16


def test_shown_in_words() -> None:
    """Printed or in a notebook, an instance says what it is, and escapes what it shows."""
    it = instance(VECTORS[1].data)
    size = f"{len(VECTORS[1].data)} bytes"
    assert repr(it) == f"<Instance 1.2.3: CT Image Storage; Explicit VR Little Endian; {size}>"
    html = it._repr_html_()
    assert "<th>SOP Class</th><td>CT Image Storage</td>" in html
    odd = Instance("<b>", "<i>", "<u>", MemoryBytes(b""))
    assert "<b>" not in odd._repr_html_()
    assert "<i>" not in odd._repr_html_()


def test_instance_is_a_value() -> None:
    """Instances with the same identifiers and the same bytes' place are equal and hash so."""
    source = MemoryBytes(b"")
    one, two = (Instance(CT_IMAGE, "1.2.3", EXPLICIT.uid, source) for _ in range(2))
    assert one == two
    assert len({one, two}) == 1


# -- from a data set ------------------------------------------------------------------------


def test_from_data_set() -> None:
    """A data set becomes an instance with its UIDs, in the syntax asked for."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.PatientID = CT_IMAGE, "1.2.3", "42"
    for vector in VECTORS:
        it = raised(instance_from_dataset(dataset, vector.syntax))
        assert (it.sop_class_uid, it.sop_instance_uid) == (CT_IMAGE, "1.2.3")
        assert it.syntax is vector.syntax
        assert raised(it.header()).text("PatientID") == "42"
    assert raised(instance_from_dataset(dataset)).syntax is EXPLICIT


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize(
    ("sop_class", "sop_instance", "code"),
    [
        ("", "1.2.3", ErrorCode.MISSING_REQUIRED_VALUE),
        (CT_IMAGE, "", ErrorCode.MISSING_REQUIRED_VALUE),
        (CT_IMAGE, "1.2.x", ErrorCode.INVALID_UID),
        (CT_IMAGE, ["1.2", "1.3"], ErrorCode.INVALID_UID),
    ],
)
def test_from_data_set_without_uids(
    sop_class: str, sop_instance: str | list[str], code: ErrorCode
) -> None:
    """Without valid UIDs there is no instance."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, sop_instance
    assert instance_from_dataset(dataset).failure().code is code


# -- validation ---------------------------------------------------------------------------


def careless() -> Dataset:
    """Make a data set with a Modality that no CS can be."""
    dataset = Dataset()
    dataset.SOPClassUID = CT_IMAGE
    dataset.SOPInstanceUID = "1.2.3"
    dataset.add(DataElement(0x00080060, "CS", "ct scan, of the head", validation_mode=IGNORE))
    return dataset


def test_writing_is_strict(tmp_path: Path) -> None:
    """A value that breaks the rules of its VR is refused by name, in memory and to a file."""
    for result in (
        instance_from_dataset(careless()),
        write_file(careless(), tmp_path / "x.dcm"),
    ):
        error = result.failure()
        assert error.code is ErrorCode.INVALID_VALUE
        assert "Modality" in error.message
    assert list(tmp_path.iterdir()) == []


def test_writing_may_warn_or_be_lenient(tmp_path: Path) -> None:
    """Told to warn, findings are logged and the value is written; lenient, it just is."""
    logger = RecordingLogger()
    path = raised(
        write_file(careless(), tmp_path / "x.dcm", validation=ValidationMode.WARN, logger=logger)
    )
    assert {entry.event for entry in logger.entries} == {"invalid value"}
    assert raised(raised(read_file(path)).dataset())["Modality"] == "ct scan, of the head"
    assert isinstance(instance_from_dataset(careless(), validation=ValidationMode.LENIENT), Success)


def test_what_others_wrote_is_passed_on(tmp_path: Path) -> None:
    """What is wrong in a file that was read doesn't stop a change of something else."""
    path = raised(write_file(careless(), tmp_path / "x.dcm", validation=ValidationMode.LENIENT))
    dataset = raised(raised(read_file(path)).dataset())
    assert dataset["Modality"]  # it was looked at, and stays what it was
    dataset["PatientID"] = "P1"
    again = raised(instance_from_dataset(dataset))
    assert raised(again.dataset())["PatientID"] == "P1"
    dataset["Modality"] = "not a modality, either"
    assert instance_from_dataset(dataset).failure().code is ErrorCode.INVALID_VALUE


def test_reading_is_lenient_unless_told_otherwise() -> None:
    """Strict, a value that breaks the rules is a failure; by default nobody minds."""
    instance = raised(instance_from_dataset(careless(), validation=ValidationMode.LENIENT))
    assert isinstance(instance.dataset(), Success)
    error = instance.dataset(validation=ValidationMode.STRICT).failure()
    assert error.code is ErrorCode.INVALID_VALUE

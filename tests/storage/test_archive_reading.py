"""What comes back from the archive: each instance byte for byte, in reading order."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    read_file,
    transfer_syntax,
)
from pacs_sdk.storage import Query, open_archive
from tests.storage.archive_parts import Parts, content, failure, values
from tests.storage.databases import Database
from tests.storage.made_instances import CT, made_instance

DEFLATED = transfer_syntax("DeflatedExplicitVRLittleEndian").unwrap()


@pytest.mark.parametrize(
    "syntax",
    [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, DEFLATED],
    ids=lambda syntax: str(syntax.keyword),
)
def test_an_instance_comes_back_byte_for_byte(parts: Parts, syntax: TransferSyntax) -> None:
    """The data set is not changed in any transfer syntax, and its header can be read."""
    sent = made_instance(syntax, PatientComments="x" * 60_000, ImageComments="y" * 60_000)
    stored = parts.archive.store(sent).unwrap()
    assert stored.created
    assert stored.identity.sop_instance_uid == sent.sop_instance_uid
    opened = parts.archive.open(sent.sop_instance_uid).unwrap()
    assert (opened.sop_class_uid, opened.transfer_syntax_uid) == (CT, syntax.uid)
    assert content(opened) == content(sent)
    assert opened.header().unwrap().text("PatientName") == "Doe^John"


def test_an_object_is_a_dicom_file(parts: Parts) -> None:
    """Another program reads the object as the Part 10 file that it is."""
    sent = made_instance(InstanceNumber=7)
    stored = parts.archive.store(sent).unwrap()
    data = bytes(parts.backend.open(stored.storage_key).unwrap().view())
    assert stored.size_bytes == len(data)
    read = pydicom.dcmread(io.BytesIO(data))
    assert read.file_meta.MediaStorageSOPInstanceUID == sent.sop_instance_uid
    assert (read.InstanceNumber, read.PatientName) == (7, "Doe^John")


def test_everything_is_there_after_a_restart(tmp_path: Path, database: Database) -> None:
    """An archive in a folder that is opened again finds and opens what was stored."""
    sent = made_instance()
    with open_archive(tmp_path / "pacs", database_url=database.url).unwrap() as archive:
        archive.store(sent).unwrap()
    with open_archive(tmp_path / "pacs", database_url=database.url).unwrap() as archive:
        assert values(archive, "STUDY", "PatientName") == ["Doe^John"]
        assert content(archive.open(sent.sop_instance_uid).unwrap()) == content(sent)
        assert not archive.store(sent).unwrap().created
    path = tmp_path / "pacs/objects/1.2/1.2.3" / f"{sent.sop_instance_uid}.dcm"
    assert content(read_file(path).unwrap()) == content(sent)


def test_instances_come_in_reading_order(parts: Parts) -> None:
    """Below a study: by series number, then instance number, then UID."""
    for series, number, uid in (
        ("2", 1, "9.4"),
        ("1", 10, "9.3"),
        ("1", 9, "9.2"),
        ("1", 9, "9.1"),
    ):
        parts.archive.store(
            made_instance(
                SeriesInstanceUID=f"1.2.{series}",
                SeriesNumber=series,
                InstanceNumber=number,
                SOPInstanceUID=uid,
            )
        ).unwrap()
    below = parts.archive.instances(Query.of("STUDY", StudyInstanceUID="1.2").unwrap()).unwrap()
    assert [one.sop_instance_uid for one in below] == ["9.1", "9.2", "9.3", "9.4"]


@pytest.mark.parametrize("uid", ["9.9.9", "", "no uid", "1.2/../3", "\ud800", "1" * 1000])
def test_what_is_not_stored_is_not_found(parts: Parts, uid: str) -> None:
    """Whatever is asked for, the answer is OBJECT_NOT_FOUND."""
    parts.archive.store(made_instance()).unwrap()
    assert failure(parts.archive.open(uid)).code is ErrorCode.OBJECT_NOT_FOUND

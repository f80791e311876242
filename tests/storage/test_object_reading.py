"""Reading an object for the index: the quick way says what the thorough one does."""

from __future__ import annotations

import random
from pathlib import Path

import pydicom.data
import pytest

from pacs_sdk.core.byte_source import FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    INDEX_TAGS,
    Instance,
    TransferSyntax,
    part10_header,
    transfer_syntax,
)
from pacs_sdk.storage.upkeep import object_reading
from pacs_sdk.storage.upkeep.object_reading import ReadObject, read_object
from tests.storage.made_instances import made_instance

FILES = sorted(
    path
    for path in (Path(pydicom.data.__file__).parent / "test_files").rglob("*")
    if path.is_file() and path.stat().st_size < 1 << 20
)
DEFLATED = transfer_syntax("DeflatedExplicitVRLittleEndian").unwrap()


def read(content: bytes) -> ReadObject | ErrorCode:
    """Read an object in memory; return what it is, or what is wrong with it."""
    try:
        return read_object(MemoryBytes(content), "key")
    except PacsException as exc:
        return exc.error.code


def thoroughly(content: bytes, monkeypatch: pytest.MonkeyPatch) -> ReadObject | ErrorCode:
    """Read it without the quick way."""
    with monkeypatch.context() as patched:
        patched.setattr(object_reading, "_read_quickly", lambda *_: None)
        return read(content)


def whole(instance: Instance) -> bytes:
    """Return an instance as an object of the archive."""
    meta = part10_header(
        instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
    )
    return meta + bytes(instance.encoded.view())


def test_the_quick_way_reads_as_the_thorough_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file that ships inside pydicom, as it is and cut short at some places."""
    chosen = random.Random(1)
    quick = 0
    for path in FILES:
        content = path.read_bytes()
        ends = [len(content), *(chosen.randrange(len(content) + 1) for _ in range(4))]
        for end in ends:
            part = content[:end]
            assert read(part) == thoroughly(part, monkeypatch), (path.name, end)
            quick += object_reading._read_quickly(part[:65536], end, INDEX_TAGS) is not None
    assert quick > 50


@pytest.mark.parametrize(
    "syntax",
    [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, DEFLATED],
    ids=lambda syntax: str(syntax.keyword),
)
def test_where_the_data_set_begins_is_told(syntax: TransferSyntax) -> None:
    """The archive opens an object at that place, without reading its meta again."""
    instance = made_instance(syntax)
    content = whole(instance)
    entry = read_object(MemoryBytes(content), "key").entry
    assert content[entry.data_offset :] == bytes(instance.encoded.view())
    assert entry.transfer_syntax_uid == syntax.uid
    assert entry.size_bytes == len(content)


def test_damage_in_the_meta_never_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any byte may be any other: an error of ours, or what the thorough way says."""
    content = whole(made_instance())
    chosen = random.Random(2)
    for _ in range(1500):
        damaged = bytearray(content)
        damaged[chosen.randrange(128, 400)] = chosen.randrange(256)
        assert read(bytes(damaged)) == thoroughly(bytes(damaged), monkeypatch)
    for end in range(0, 400, 3):
        assert read(content[:end]) == thoroughly(content[:end], monkeypatch)


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    """It is told, and nothing else happens."""
    path = tmp_path / "object.dcm"
    path.write_bytes(whole(made_instance()))
    source = FileBytes.of(path)
    path.write_bytes(b"")
    with pytest.raises(PacsException) as caught:
        read_object(source, "key")
    assert caught.value.error.code is ErrorCode.TRUNCATED

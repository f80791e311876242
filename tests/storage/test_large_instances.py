"""Large instances: the disk begins with them while they are looked at, if they are to be flushed."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import select

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import Instance
from pacs_sdk.storage import Archive, Durability, ingest, open_archive
from pacs_sdk.storage.early_look import Description
from pacs_sdk.storage.index.tables import instances as instance_rows
from pacs_sdk.storage.ingest import Ingest
from pacs_sdk.storage.objects import disk, received
from pacs_sdk.storage.objects.content_hash import hash_parts
from pacs_sdk.storage.objects.received import ReceivedObject
from pacs_sdk.storage.objects.spool import Spool
from pacs_sdk.storage.objects.spool_files import SpoolFiles
from tests.storage.made_instances import made_instance

META = b"what an object begins with"


@pytest.fixture(name="archive", params=list(Durability))
def _archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """Open an archive; nothing is left in its spool at the end."""
    with raised(open_archive(tmp_path, durability=request.param)) as opened:
        yield opened
        assert spooled(tmp_path) == []


def is_durable(request: pytest.FixtureRequest) -> bool:
    """Tell with what the archive of a test was opened."""
    return bool(request.node.callspec.params["archive"] is Durability.DURABLE)


def spooled(folder: Path) -> list[int]:
    """List how long the files are that have no names yet; empty ones wait for the next object."""
    sizes = [path.stat().st_size for path in folder.rglob("*.part") if path.is_file()]
    return [size for size in sizes if size]


def large(**elements: object) -> Instance:
    """Make an instance of 300 KB."""
    pixels = bytes(range(256)) * 1172
    return made_instance(PixelData=pixels, Rows=500, Columns=300, BitsAllocated=16, **elements)


def test_it_is_written_before_it_is_looked_at(
    archive: Archive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """All of it; where nothing is flushed there is nothing to be gained."""
    real, seen = Ingest._described, list[list[int]]()

    def described(itself: Ingest, instance: Instance) -> Description:
        seen.append(spooled(tmp_path))
        return real(itself, instance)

    monkeypatch.setattr(Ingest, "_described", described)
    instance = large()
    stored = raised(archive.store(instance))
    assert stored.created
    assert seen == [[stored.size_bytes] if is_durable(request) else []]
    small = made_instance()
    monkeypatch.setattr(ingest, "written_ahead", lambda *_: pytest.fail("it was begun"))
    assert raised(archive.store(small)).created
    assert seen[1:] == [[]]
    for one in (instance, small):
        assert raised(archive.open(one.sop_instance_uid)).encoded.view() == one.encoded.view()


def test_its_row_has_the_hash_of_its_object(archive: Archive, tmp_path: Path) -> None:
    """As if it had been hashed before."""
    instance = large()
    stored = raised(archive.store(instance))
    archive._index.settle()
    with archive._index.writing() as connection:
        (hashed,) = connection.execute(select(instance_rows.c.content_hash)).scalars()
    (path,) = tmp_path.rglob("*.dcm")
    assert hashed == hash_parts([path.read_bytes()])
    assert stored.size_bytes == path.stat().st_size


def test_what_is_known_is_not_written_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that repeats an instance costs no writing, and another content is refused."""
    instance = large()
    assert raised(archive.store(instance)).created
    archive._index.settle()

    def never(*_: object) -> NoReturn:
        pytest.fail("it was begun")

    monkeypatch.setattr(ingest, "written_ahead", never)
    assert not raised(archive.store(instance)).created
    other = large(SOPInstanceUID=instance.sop_instance_uid, PatientID="P2")
    assert archive.store(other).failure().code is ErrorCode.DUPLICATE_OBJECT


@pytest.mark.parametrize("missing", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_what_is_refused_leaves_nothing(archive: Archive, tmp_path: Path, missing: str) -> None:
    """It is looked at when it is written already."""
    refused = archive.store(large(**{missing: None}))
    assert refused.failure().code is ErrorCode.MISSING_REQUIRED_VALUE
    assert list(tmp_path.rglob("*.dcm")) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, ""), KeyboardInterrupt()])
def test_what_cannot_be_written_before_is_written_as_others_are(
    archive: Archive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    error: BaseException,
) -> None:
    """An error is met again there, and told; who is interrupted leaves no file."""
    real = ReceivedObject._write

    def fails(one: ReceivedObject, pieces: Sequence[memoryview], length: int) -> None:
        real(one, pieces, length)
        raise error

    monkeypatch.setattr(ReceivedObject, "_write", fails)
    instance = large()
    if is_durable(request) and isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            archive.store(instance)
    else:
        assert raised(archive.store(instance)).created
    assert spooled(tmp_path) == []


def test_what_cannot_be_finished_before_is_written_as_others_are(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of it may not fit: that is an error of the disk, not of who brought it."""

    def full(_: ReceivedObject) -> NoReturn:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(ReceivedObject, "finish", full)
    assert raised(archive.store(large())).created
    assert spooled(tmp_path) == []


# -- what the disk is told -------------------------------------------------------------------------


def test_the_disk_begins_with_whole_pages_before_they_are_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, in order, when there are many; never what is not written yet."""
    asked: list[tuple[int, int]] = []
    hashed_before: list[bool] = []
    found = ReceivedObject(SpoolFiles(Spool(tmp_path / "spool")), META)
    begun = found.content_hash

    def write_back(descriptor: int, start: int, end: int) -> None:
        assert end <= found.path.stat().st_size
        asked.append((start, end))
        hashed_before.append(found.content_hash != begun)

    monkeypatch.setattr(received, "write_back", write_back)
    for length in (200_000, 40_000, 100_000, 300_000, 10):
        found.write(memoryview(bytes(length)))
    found.finish()
    found.discard()
    ends = [(len(META) + size) // 4096 * 4096 for size in (200_000, 340_000, 640_000)]
    assert asked == list(zip([0, *ends], ends, strict=False))
    assert hashed_before == [False, True, True]


def test_the_disk_is_left_alone_where_nothing_is_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever chose that has no time for it."""
    asked: list[object] = []
    monkeypatch.setattr(received, "write_back", lambda *one: asked.append(one))
    found = ReceivedObject(SpoolFiles(Spool(tmp_path / "spool")), META, durable=False)
    found.write(memoryview(bytes(500_000)))
    found.discard()
    assert asked == []
    assert not found.is_durable


def test_the_system_is_asked_where_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``sync_file_range`` with ``SYNC_FILE_RANGE_WRITE``: a begin and a length."""
    asked: list[tuple[int, ...]] = []
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(20_000))
        file.flush()
        disk.write_back(file.fileno(), 4096, 16_384)
        with monkeypatch.context() as patch:
            patch.setattr(disk, "_sync_file_range", lambda *one: asked.append(one))
            disk.write_back(7, 4096, 16_384)
            patch.setattr(disk, "_sync_file_range", None)
            disk.write_back(7, 4096, 16_384)
    assert asked == [(7, 4096, 12_288, 2)]
    assert (tmp_path / "file").read_bytes() == bytes(20_000)

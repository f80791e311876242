"""What is written while it arrives: every byte, one name, nothing left when it is refused."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, Instance, part10_header, read_file
from pacs_sdk.storage import Archive, DuplicatePolicy, Durability, FileStorage, open_archive
from pacs_sdk.storage.objects.content_hash import hash_parts
from pacs_sdk.storage.objects.received import ReceivedBytes, ReceivedObject
from pacs_sdk.storage.objects.spool import Spool
from pacs_sdk.storage.objects.spool_files import SpoolFiles
from tests.storage.made_instances import CT, made_instance

META = b"what an object begins with"
SYNTAX = EXPLICIT_VR_LITTLE_ENDIAN.uid


def spooled(root: Path) -> list[Path]:
    """List what was begun in spools below a folder; an empty file waits for the next object."""
    return [path for path in root.rglob("*.part") if path.is_file() and path.stat().st_size]


@pytest.fixture(name="storage", params=list(Durability))
def _storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileStorage]:
    """Make a storage; nothing is left in its spool at the end."""
    storage = FileStorage(tmp_path, request.param)
    yield storage
    assert spooled(tmp_path) == []
    storage.close()


def received(storage: FileStorage, data: bytes) -> ReceivedObject:
    """Receive an object in one piece."""
    found = storage.receive(META)
    found.write(memoryview(data))
    found.finish()
    return found


_sizes = st.sampled_from([0, 1, 2, 1000, 5000, 32_767, 32_768, 65_536, 70_000])
_some_pieces = st.lists(st.tuples(_sizes, st.integers(0, 255)), max_size=8)


@given(st.lists(_some_pieces, max_size=4), st.booleans())
def test_every_byte_is_written_however_it_is_cut(
    groups: list[list[tuple[int, int]]], together: bool
) -> None:
    """Short pieces are collected, long ones go out as they are; their order stays.

    There is a file for what does not fit into 32 KiB, and it alone from 64 KiB on.
    """
    written = [[memoryview(bytes([value]) * length) for length, value in group] for group in groups]
    with tempfile.TemporaryDirectory() as folder:
        found = ReceivedObject(SpoolFiles(Spool(Path(folder, "spool"))), META)
        data = b"".join(piece for group in written for piece in group)
        for group in written:
            if together:
                found.write_pieces(group)
            else:
                for piece in group:
                    found.write(piece)
        source = found.finish()
        parts = found.kept_parts()
        assert (parts is None) == (len(data) > 65_536)
        assert bool(found.name and found.path.exists()) == (len(data) > 32_768)
        assert parts is None or b"".join(parts) == META + data
        assert not found.name or found.path.read_bytes() == META + data
        assert (source.size, found.whole_size) == (len(data), len(META) + len(data))
        assert found.content_hash == hash_parts([META, data])
        assert bytes(source.view()) == data
        for limit in (0, 1, 1 << 17, 1 << 18):
            assert bytes(source.head(limit)) == data[:limit]
        assert bytes(source.slice(1, 3).view()) == data[1:4]
        found.discard()
        found.discard()  # which does no harm
        assert spooled(Path(folder)) == []


def test_it_gets_its_name_without_being_written_again(storage: FileStorage) -> None:
    """The spool file itself becomes the object."""
    found = received(storage, b"data" * 50_000)
    inode = found.path.stat().st_ino
    stored = raised(storage.put_received("1/2/3.dcm", found))
    assert (stored.created, stored.size_bytes) == (True, len(META) + 200_000)
    found.discard()
    target = storage.root / "1/2/3.dcm"
    assert target.stat().st_ino == inode
    assert target.read_bytes() == META + b"data" * 50_000


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (DuplicatePolicy.REJECT, b"first"),
        (DuplicatePolicy.IGNORE, b"first"),
        (DuplicatePolicy.REPLACE, b"other"),
        (DuplicatePolicy.KEEP_BOTH, b"first"),
    ],
)
def test_the_name_may_be_taken(storage: FileStorage, policy: DuplicatePolicy, kept: bytes) -> None:
    """The same policies hold as for what is put in one go; the same content is no duplicate."""
    key = "1/2/3.dcm"
    for data, created in ((b"first", True), (b"first", False)):
        found = received(storage, data)
        assert raised(storage.put_received(key, found)).created is created
        found.discard()
    found = received(storage, b"other")
    result = storage.put_received(key, found, policy=policy)
    found.discard()
    if policy in (DuplicatePolicy.REJECT, DuplicatePolicy.KEEP_BOTH):
        assert result.failure().code is ErrorCode.DUPLICATE_OBJECT
    else:
        assert raised(result).created is (policy is DuplicatePolicy.REPLACE)
    assert (storage.root / key).read_bytes() == META + kept


def test_what_cannot_be_kept_says_why(tmp_path: Path) -> None:
    """The spool folder is gone: what is large fails while it arrives, what is small when put."""
    storage = FileStorage(tmp_path / "root")
    storage.close()
    with pytest.raises(PacsException, match="not be kept: the folder is not there") as caught:
        received(storage, bytes(65_537))
    assert caught.value.error.code is ErrorCode.STORAGE_WRITE_FAILED
    error = storage.put_received("1/2/3.dcm", received(storage, bytes(32_768))).failure()
    assert error.code is ErrorCode.STORAGE_WRITE_FAILED
    assert "not there any more" in error.message


def test_nothing_is_taken_after_it_was_discarded(storage: FileStorage) -> None:
    """No file is made that nobody would remove."""
    for size in (1000, 100_000):
        found = received(storage, bytes(size))
        found.discard()
        with pytest.raises(ValueError, match="discarded"):
            found.write(memoryview(bytes(100_000)))


# -- system calls that take less than they are given, or nothing -----------------------------------


@pytest.mark.parametrize("accepted", [1, 10, len(META), len(META) + 1, 32_768])
def test_short_writes_are_continued(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch, accepted: int
) -> None:
    """A system call may take a part of what it is given; nothing is lost or doubled."""
    real_write = os.write
    monkeypatch.setattr(
        os, "writev", lambda number, parts: real_write(number, b"".join(parts)[:accepted])
    )
    monkeypatch.setattr(os, "write", lambda number, data: real_write(number, data[:20_000]))
    data = bytes(range(256)) * 200
    found = received(storage, data)
    found.write_pieces([memoryview(data)] * 3)
    assert found.path.read_bytes() == META + data * 4
    found.discard()


def test_what_came_together_is_written_at_once(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One system call, also for the 17 fragments of 16 KB that one read brings."""
    found = storage.receive(META)
    calls: list[int] = []
    real_writev = os.writev

    def counted(number: int, parts: Sequence[memoryview]) -> int:
        calls.append(len(parts))
        return real_writev(number, parts)

    monkeypatch.setattr(os, "writev", counted)
    monkeypatch.setattr(os, "write", failing(errno.EIO))
    found.write_pieces([memoryview(bytes(16_378))] * 17)
    assert calls == [18]  # and what an object begins with
    found.discard()


def test_it_works_without_gathering_writes(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has no ``writev``."""
    monkeypatch.delattr(os, "writev")
    data = b"data" * 20_000
    found = received(storage, data)
    assert found.path.read_bytes() == META + data
    found.discard()


def failing(code: int) -> Callable[..., NoReturn]:
    """Make a function of ``os`` that fails."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("function", ["write", "writev"])
def test_a_disk_that_fills_up_while_it_arrives_leaves_nothing(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """The writer gets the error; after ``discard`` there is no file."""
    found, piece = storage.receive(META), memoryview(bytes(70_000))
    if function == "write":  # what comes first goes out together with the beginning
        found.write(piece)
    with monkeypatch.context() as patch:
        patch.setattr(os, function, failing(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left"):
            found.write(piece)
    found.discard()
    assert spooled(storage.root) == []


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        ("link", errno.ENOSPC, "the disk is full"),
        ("link", errno.EIO, "input/output error"),
        ("mkdir", errno.EACCES, "permission denied"),
        ("mkdir", errno.EROFS, "read-only"),
        ("readlink", errno.EACCES, "permission denied"),
    ],
)
def test_a_name_that_cannot_be_given_is_a_typed_error(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch, function: str, code: int, words: str
) -> None:
    """The object is not stored (A700H), and may be stored once that is mended."""
    found = received(storage, b"data" * 20_000)
    with monkeypatch.context() as patch:
        patch.setattr(os, function, failing(code))
        error = storage.put_received("1/2/3.dcm", found).failure()
    assert (error.code, error.code.dimse_status) == (ErrorCode.STORAGE_WRITE_FAILED, 0xA700)
    assert words in error.message
    assert [one.key for one in storage.list()] == []
    assert raised(storage.put_received("1/2/3.dcm", found)).created
    found.discard()


def test_a_link_does_not_lead_out_of_the_root(storage: FileStorage, tmp_path: Path) -> None:
    """A folder that becomes a symbolic link is refused, also after it was used as a folder."""
    first = received(storage, b"data")
    raised(storage.put_received("1/2/3.dcm", first))
    first.discard()
    outside = tmp_path / "elsewhere"
    (storage.root / "1").rename(outside)
    (storage.root / "1").symlink_to(outside)
    other = received(storage, b"data")
    error = storage.put_received("1/2/4.dcm", other).failure()
    other.discard()
    assert "symbolic link" in error.message
    assert [path.name for path in outside.rglob("*.dcm")] == ["3.dcm"]


def test_what_takes_the_place_of_an_object_is_refused(storage: FileStorage) -> None:
    """A folder or a link under the object's name is an error in words, and stays."""
    (storage.root / "1/2/3.dcm").mkdir(parents=True)
    (storage.root / "1/2/4.dcm").symlink_to("nowhere")
    for key in ("1/2/3.dcm", "1/2/4.dcm"):
        for policy in (DuplicatePolicy.REJECT, DuplicatePolicy.IGNORE):
            found = received(storage, b"data")
            error = storage.put_received(key, found, policy=policy).failure()
            found.discard()
            assert error.code is ErrorCode.STORAGE_WRITE_FAILED
            assert "a folder lies" in error.message
    assert (storage.root / "1/2/4.dcm").is_symlink()


def test_a_folder_that_is_removed_meanwhile_is_made_again(storage: FileStorage) -> None:
    """Another process deleted its last object just now; the next one is stored all the same."""
    for number in range(3):
        found = received(storage, b"data")
        assert raised(storage.put_received("1/2/3.dcm", found)).created
        found.discard()
        (storage.root / "1/2/3.dcm").unlink()
        (storage.root / "1/2").rmdir()
        if number:
            (storage.root / "1").rmdir()


# -- archives --------------------------------------------------------------------------------------


def receive(archive: Archive, instance: Instance, sop_instance_uid: str = "") -> Instance:
    """Let an instance arrive in an archive, in pieces of 1,000 bytes."""
    uid = sop_instance_uid or instance.sop_instance_uid
    sink = archive.receive(instance.sop_class_uid, uid, instance.transfer_syntax_uid)
    assert sink is not None
    data = instance.encoded.view()
    for start in range(0, len(data), 1000):
        sink.write(data[start : start + 1000])
    return Instance(instance.sop_class_uid, uid, instance.transfer_syntax_uid, sink.finish())


def test_an_instance_that_arrives_is_archived_as_it_came(tmp_path: Path) -> None:
    """It is found, and its file is one of the standard."""
    instance = made_instance()
    with raised(open_archive(tmp_path)) as archive:
        arrived = receive(archive, instance)
        stored = raised(archive.store(arrived))
        assert stored.created
        assert isinstance(arrived.encoded, ReceivedBytes)
        arrived.encoded.received.discard()
        again = raised(archive.open(instance.sop_instance_uid))
        assert bytes(again.encoded.view()) == bytes(instance.encoded.view())
        path = tmp_path / "objects" / stored.storage_key
        assert raised(read_file(path)).sop_instance_uid == instance.sop_instance_uid
        assert spooled(tmp_path) == []


def test_an_instance_that_is_not_what_was_announced_leaves_nothing(tmp_path: Path) -> None:
    """The spool file goes with the failure."""
    with raised(open_archive(tmp_path)) as archive:
        arrived = receive(archive, made_instance(), "1.2.3.4.5")
        error = archive.store(arrived).failure()
        assert error.code is ErrorCode.STORE_DATASET_MISMATCH
        assert isinstance(arrived.encoded, ReceivedBytes)
        arrived.encoded.received.discard()
        assert spooled(tmp_path) == []
        assert list((tmp_path / "objects").rglob("*.dcm")) == []


def test_the_meta_is_that_of_the_announcement(tmp_path: Path) -> None:
    """Preamble and File Meta Information come before the first byte of the data set."""
    with raised(open_archive(tmp_path)) as archive:
        sink = archive.receive(CT, "1.2.3", SYNTAX)
        assert sink is not None
        assert sink.meta == part10_header(CT, "1.2.3", SYNTAX)
        sink.discard()

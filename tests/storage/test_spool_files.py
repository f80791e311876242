"""Files of the spool that are there before they are needed: each is used once, none is left."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from pacs_sdk.core.results import raised
from pacs_sdk.storage import Durability, FileStorage, open_archive
from pacs_sdk.storage.objects import spool_files
from pacs_sdk.storage.objects.backend import NewObject
from pacs_sdk.storage.objects.disk import new_file
from pacs_sdk.storage.objects.received import ReceivedObject
from pacs_sdk.storage.objects.spool import Spool
from pacs_sdk.storage.objects.spool_files import _MOST_READY, SpoolFiles
from tests.storage.made_instances import made_instance

META = b"what an object begins with"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """Make a spool."""
    made = Spool(tmp_path / ".spool")
    yield made
    made.close()


@pytest.fixture
def files(spool: Spool) -> Iterator[SpoolFiles]:
    """Make what makes files."""
    made = SpoolFiles(spool)
    yield made
    made.close()


def names_in(spool: Spool) -> set[str]:
    """List the files of a spool."""
    return {entry.path for entry in os.scandir(spool.folder)}


def taken(files: SpoolFiles) -> str:
    """Take a file and close it; give its name."""
    name, descriptor = files.take()
    os.close(descriptor)
    return name


def test_a_file_is_new_and_can_be_written(spool: Spool, files: SpoolFiles) -> None:
    """Whether it was ready or is made now."""
    names = set()
    for _ in range(3):
        name, descriptor = files.take()
        assert os.fstat(descriptor).st_size == 0
        os.write(descriptor, b"x")
        os.close(descriptor)
        assert Path(name).read_bytes() == b"x"
        names.add(name)
        files.make_ready()
    assert len(names) == 3
    assert len(names_in(spool)) == 4


def test_the_next_one_is_made_after_one_was_taken(spool: Spool, files: SpoolFiles) -> None:
    """Whoever takes nothing has no file made, and one that is ready is not made again."""
    files.make_ready()
    assert names_in(spool) == set()
    first = taken(files)
    for _ in range(3):
        files.make_ready()
    (following,) = names_in(spool) - {first}
    assert taken(files) == following


def test_as_many_are_ready_as_were_needed_at_a_time(spool: Spool, files: SpoolFiles) -> None:
    """But not more than some."""
    for needed in (3, 3 * _MOST_READY):
        used = {taken(files) for _ in range(needed)}
        for _ in range(needed):
            files.make_ready()
        ready = names_in(spool) - used
        assert len(ready) == min(needed, _MOST_READY)
        for name in used:
            Path(name).unlink()


def test_no_file_is_given_twice(files: SpoolFiles) -> None:
    """Many threads take and make them at once."""
    begin = threading.Barrier(4)

    def work(_: int) -> list[str]:
        begin.wait(10)
        names = []
        for _ in range(100):
            names.append(taken(files))
            files.make_ready()
        return names

    with ThreadPoolExecutor(4) as pool:
        names = [name for found in pool.map(work, range(4)) for name in found]
    assert len(set(names)) == 400


def test_nothing_is_left_when_it_is_closed(spool: Spool, files: SpoolFiles) -> None:
    """Nor made ready afterwards; but who needs a file still gets one."""
    used = taken(files)
    files.make_ready()
    assert len(names_in(spool)) == 2
    files.close()
    files.close()
    assert names_in(spool) == {used}
    late = taken(files)
    files.make_ready()
    assert names_in(spool) == {used, late}


def test_one_that_is_made_while_it_is_closed_is_removed(
    spool: Spool, files: SpoolFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its descriptor, too."""
    used = taken(files)
    opened: list[int] = []
    real = new_file

    def slow(path: str) -> int:
        opened.append(real(path))
        files.close()
        return opened[0]

    monkeypatch.setattr(spool_files, "new_file", slow)
    files.make_ready()
    assert names_in(spool) == {used}
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(opened[0])


def test_what_cannot_be_made_ready_is_told_when_it_is_needed(
    files: SpoolFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens before."""

    def full(path: str) -> NoReturn:
        raise OSError(errno.ENOSPC, "")

    taken(files)
    with monkeypatch.context() as patch:
        patch.setattr(spool_files, "new_file", full)
        files.make_ready()
        with pytest.raises(OSError, match=str(errno.ENOSPC)):
            files.take()
    taken(files)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_forked_child_leaves_its_parents_file_alone(spool: Spool, files: SpoolFiles) -> None:
    """Else both would write to it."""
    first = taken(files)
    files.make_ready()
    (ready,) = names_in(spool) - {first}
    child = os.fork()
    if not child:  # no assertion leaves the child
        is_other = taken(files) != ready
        files.make_ready()
        files.close()
        os._exit(0 if is_other and Path(ready).exists() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert taken(files) == ready


# -- in a storage ----------------------------------------------------------------------------------


def received(storage: FileStorage, size: int) -> ReceivedObject:
    """Receive an object."""
    found = storage.receive(META)
    found.write(memoryview(bytes(size)))
    found.finish()
    return found


@pytest.mark.parametrize("durability", Durability)
@pytest.mark.parametrize("size", [10, 200_000])
def test_the_next_object_gets_the_file_that_was_made_after_the_answer(
    tmp_path: Path, durability: Durability, size: int
) -> None:
    """A large one while it arrives, a small one when it is stored."""
    storage = FileStorage(tmp_path, durability)
    first = received(storage, size)
    raised(storage.put_received("1/2/0", first))
    assert not storage._files._ready
    first.discard()
    if durability is Durability.DURABLE and size == 10:
        assert not storage._files._ready  # it has no journal yet, and writes and flushes alone
    else:
        ((name, descriptor),) = storage._files._ready
        inode = os.fstat(descriptor).st_ino
        second = received(storage, size)
        raised(storage.put_received("1/2/1", second))
        second.discard()
        assert (tmp_path / "1/2/1").stat().st_ino == inode
        assert not Path(name).exists()
    storage.close()
    assert list((tmp_path / ".spool").iterdir()) == []


def test_whoever_stores_without_receiving_has_no_file_made_ready(tmp_path: Path) -> None:
    """A program that stores one object after another has no time in between."""
    storage = FileStorage(tmp_path, Durability.RELAXED)
    for number in range(3):
        assert storage.put_small([NewObject(f"1/2/{number}", [b"x"])]) == [True]
    assert not storage._files._ready
    storage.close()


def test_an_object_that_is_given_up_leaves_no_more_than_the_next_file(tmp_path: Path) -> None:
    """And that is not counted as unfinished when the process dies."""
    storage = FileStorage(tmp_path)
    given_up = received(storage, 200_000)
    given_up.discard()
    assert [path.stat().st_size for path in tmp_path.rglob("*.part")] == [0]
    descriptor = storage._spool._descriptor
    assert descriptor is not None
    os.close(descriptor)  # as the end of the process does
    storage._spool._descriptor = None
    again = FileStorage(tmp_path)
    assert again.swept == 0
    assert list(tmp_path.rglob("*.part")) == []
    again.close()
    storage.close()


def test_an_archive_that_received_leaves_nothing(tmp_path: Path) -> None:
    """When it is closed."""
    with raised(open_archive(tmp_path)) as archive:
        storage = archive._backend
        assert isinstance(storage, FileStorage)
        for _ in range(3):
            one = made_instance(EncapsulatedDocument=bytes(100_000))
            found = archive.receive(
                one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax_uid
            )
            assert found is not None
            found.write(one.encoded.view())
            found.discard()
        ((_, descriptor),) = storage._files._ready
    assert list(tmp_path.rglob("*.part")) == []
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(descriptor)

"""What only files do: syncing in the right order, crashes, several processes, bad disks."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from returns.result import Failure, Success

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import PacsResult
from pacs_sdk.storage import DuplicatePolicy, Durability, FileStorage
from pacs_sdk.storage.objects import file_storage, object_names
from tests.storage.processes import killed_processes, run_together

KEY = "1.2/1.3/1.4.dcm"
REJECT, REPLACE, IGNORE, KEEP_BOTH = DuplicatePolicy


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Name a folder that is not there yet."""
    return tmp_path / "data" / "objects"


@pytest.fixture
def storage(root: Path) -> Iterator[FileStorage]:
    """Open a durable storage."""
    opened = FileStorage(root)
    yield opened
    opened.close()


def files_below(folder: Path) -> set[str]:
    """Name all files below a folder but the lock of the spool, and the journal."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".lock", ".journal")
    }


def failure(result: PacsResult[Any]) -> PacsError:
    """Return the error of a failure."""
    assert isinstance(result, Failure), result
    error: PacsError = result.failure()
    return error


def content(storage: FileStorage, key: str = KEY) -> bytes:
    """Read an object as a whole."""
    return bytes(storage.open(key).unwrap().view())


# -- layout --------------------------------------------------------------------------------


def test_an_object_lies_where_its_key_says(storage: FileStorage, root: Path) -> None:
    """A person finds study/series/instance in the folder; nothing else is left there."""
    storage.put(KEY, [b"object"]).unwrap()
    assert (root / "1.2" / "1.3" / "1.4.dcm").read_bytes() == b"object"
    assert files_below(root) == {KEY}


def test_a_delete_removes_the_folders_it_empties(storage: FileStorage, root: Path) -> None:
    """Folders go with their last object; the root stays."""
    storage.put("1/2/a", [b"x"]).unwrap()
    storage.put("1/3/b", [b"x"]).unwrap()
    storage.delete("1/2/a").unwrap()
    assert not (root / "1/2").exists()
    assert (root / "1/3").is_dir()
    storage.delete("1/3/b").unwrap()
    assert not (root / "1").exists()
    assert root.is_dir()


def test_an_object_that_is_read_stays_readable_when_it_is_replaced(storage: FileStorage) -> None:
    """A map of the old file is the old object, whatever happens to the name."""
    old, new = b"o" * 3_000_000, b"n" * 10
    storage.put(KEY, [old]).unwrap()
    view = storage.open(KEY).unwrap().view()
    storage.put(KEY, [new], policy=REPLACE).unwrap()
    assert view == old
    storage.delete(KEY).unwrap()
    assert view == old


def test_bytes_that_went_away_are_a_typed_error(storage: FileStorage, root: Path) -> None:
    """An object deleted or cut behind our back says so when it is read, not before."""
    storage.put(KEY, [b"object"]).unwrap()
    source = storage.open(KEY).unwrap()
    os.truncate(root / KEY, 3)
    with pytest.raises(PacsException) as shortened:
        source.view()
    assert shortened.value.error.code is ErrorCode.TRUNCATED
    (root / KEY).unlink()
    with pytest.raises(PacsException) as gone:
        source.head(2)
    assert gone.value.error.code is ErrorCode.OBJECT_NOT_FOUND


def test_foreign_files_are_no_objects(storage: FileStorage, root: Path) -> None:
    """Hidden files, links and pipes in the folder are neither listed nor opened."""
    storage.put(KEY, [b"object"]).unwrap()
    (root / "1.2" / ".DS_Store").write_bytes(b"x")
    (root / "1.2" / "link").symlink_to(root / KEY)
    (root / "1.2" / "loop").symlink_to(root)
    (root / "1.2" / "dangling").symlink_to(root / "nowhere")
    os.mkfifo(root / "1.2" / "pipe")
    assert [one.key for one in storage.list()] == [KEY]
    for name in ("link", "loop", "dangling", "pipe"):
        assert failure(storage.open(f"1.2/{name}")).code is ErrorCode.OBJECT_NOT_FOUND
        put = storage.put(f"1.2/{name}", [b"y"])
        assert failure(put).code is ErrorCode.STORAGE_WRITE_FAILED
    assert (root / KEY).read_bytes() == b"object"


@pytest.mark.parametrize("operation", ["put", "open", "stat", "delete"])
def test_a_link_does_not_lead_out_of_the_root(
    storage: FileStorage, root: Path, tmp_path: Path, operation: str
) -> None:
    """A folder that is a symbolic link is refused, so nothing outside is read or written."""
    outside = tmp_path / "outside"
    (outside / "1.3").mkdir(parents=True)
    (outside / "1.3" / "1.4.dcm").write_bytes(b"secret")
    (root / "1.2").symlink_to(outside)
    arguments = (KEY, [b"x"]) if operation == "put" else (KEY,)
    error = failure(getattr(storage, operation)(*arguments))
    assert "symbolic link" in error.message
    assert files_below(outside) == {"1.3/1.4.dcm"}
    assert (outside / "1.3" / "1.4.dcm").read_bytes() == b"secret"


@pytest.mark.parametrize("step", ["holds_exactly", "sync_path"])
def test_an_object_that_is_deleted_while_it_is_compared_is_in_nobodys_way(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Its folders may be gone with it; the new one is written as if it had not been there."""
    storage.put(KEY, [b"the object"]).unwrap()
    real, todo = getattr(file_storage, step), [storage.delete]

    def late(*arguments: Any) -> Any:
        if todo:
            todo.pop()(KEY).unwrap()
        return real(*arguments)

    monkeypatch.setattr(file_storage, step, late)
    assert storage.put(KEY, [b"the object"]).unwrap().created
    assert content(storage) == b"the object"


def test_a_key_above_another_is_refused_in_words(storage: FileStorage, root: Path) -> None:
    """A folder cannot be an object as well; that is an error, not a loop or a loss."""
    storage.put(KEY, [b"object"]).unwrap()
    for policy in DuplicatePolicy:
        above = failure(storage.put("1.2/1.3", [b"x"], policy=policy))
        below = failure(storage.put(f"{KEY}/5", [b"x"], policy=policy))
        assert {above.code, below.code} == {ErrorCode.STORAGE_WRITE_FAILED}
    assert files_below(root) == {KEY}


# -- durability ----------------------------------------------------------------------------


class Recorder:
    """Records what reaches the file system, by the names of files below a folder."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.steps: list[tuple[str, str]] = []
        self._folder = folder
        for name in ("link", "rename", "replace", "mkdir", "unlink", "rmdir"):
            patch.setattr(os, name, self._recording(name, getattr(os, name)))
        real_fsync = os.fsync

        def fsync(descriptor: int) -> None:
            real_fsync(descriptor)
            self._record("fsync", f"/proc/self/fd/{descriptor}")

        patch.setattr(os, "fsync", fsync)

    def _recording(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **keywords: Any) -> Any:
            result = real(path, *arguments, **keywords)
            target = arguments[0] if name in ("link", "rename", "replace") else path
            self._record(name, target)
            return result

        return call

    def _record(self, name: str, path: Any) -> None:
        place = str(Path(path).readlink() if str(path).startswith("/proc") else path)
        inside = place.removeprefix(str(self._folder)).lstrip("/")
        is_spool = ".spool/" in inside
        self.steps.append((name, inside[: inside.index(".spool/") + 6] if is_spool else inside))


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names come from /proc")


@needs_proc
def test_a_success_comes_after_file_and_names_are_on_the_disk(
    storage: FileStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are synced before the name is given, and every name up to the root after."""
    recorder = Recorder(monkeypatch, root)
    storage.put(KEY, [b"object"]).unwrap()
    assert recorder.steps == [
        ("fsync", ".spool"),  # the file, still unnamed
        ("mkdir", "1.2"),
        ("mkdir", "1.2/1.3"),
        ("link", KEY),
        ("unlink", ".spool"),
        ("fsync", "1.2/1.3"),  # the file's name
        ("fsync", "1.2"),  # the series' name
        ("fsync", ""),  # the study's name
    ]


@needs_proc
def test_a_second_object_of_a_series_costs_two_syncs(
    storage: FileStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders that were synced once are not synced again; the file and its name are."""
    storage.put(KEY, [b"object"]).unwrap()
    recorder = Recorder(monkeypatch, root)
    storage.put("1.2/1.3/1.5.dcm", [b"object"]).unwrap()
    assert [step for step in recorder.steps if step[0] == "fsync"] == [
        ("fsync", ".spool"),
        ("fsync", "1.2/1.3"),
    ]


@needs_proc
def test_a_folder_made_again_is_synced_again(
    storage: FileStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was remembered of a folder does not hold for another one of its name."""
    storage.put(KEY, [b"object"]).unwrap()
    (root / KEY).unlink()  # as another process would
    (root / "1.2/1.3").rmdir()
    recorder = Recorder(monkeypatch, root)
    storage.put(KEY, [b"object"]).unwrap()
    assert ("fsync", "1.2") in recorder.steps


@needs_proc
@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_an_object_found_in_place_is_synced_before_it_is_acknowledged(
    root: Path, monkeypatch: pytest.MonkeyPatch, policy: DuplicatePolicy
) -> None:
    """A crash may have left it unsynced, or its first writer may still be at it."""
    relaxed = FileStorage(root, Durability.RELAXED)
    relaxed.put(KEY, [b"object"]).unwrap()
    relaxed.close()
    durable = FileStorage(root)
    recorder = Recorder(monkeypatch, root)
    assert not durable.put(KEY, [b"object"], policy=policy).unwrap().created
    assert recorder.steps == [
        ("fsync", KEY),
        ("fsync", "1.2/1.3"),
        ("fsync", "1.2"),
        ("fsync", ""),
    ]
    durable.close()


@needs_proc
def test_a_replacement_and_a_deletion_are_synced(
    storage: FileStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file is synced before it takes the name; a deletion before it is answered."""
    storage.put(KEY, [b"object"]).unwrap()
    recorder = Recorder(monkeypatch, root)
    storage.put(KEY, [b"another"], policy=REPLACE).unwrap()
    assert recorder.steps == [("fsync", ".spool"), ("replace", KEY), ("fsync", "1.2/1.3")]
    recorder.steps.clear()
    storage.delete(KEY).unwrap()
    assert recorder.steps[:2] == [("unlink", KEY), ("fsync", "1.2/1.3")]


@needs_proc
def test_relaxed_never_waits_for_the_disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is synced, from the making of the folder to the deletion of an object."""
    recorder = Recorder(monkeypatch, root)
    storage = FileStorage(root, Durability.RELAXED)
    storage.put(KEY, [b"object"]).unwrap()
    storage.put(KEY, [b"object"]).unwrap()
    storage.put(KEY, [b"another"], policy=REPLACE).unwrap()
    storage.delete(KEY).unwrap()
    storage.close()
    assert [step for step in recorder.steps if step[0] == "fsync"] == []


def test_a_file_system_that_cannot_sync_folders_is_good_enough(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network shares refuse to sync a folder, and keep its names safe by themselves."""
    real_fsync = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert storage.put(KEY, [b"object"]).unwrap().created
    storage.delete(KEY).unwrap()


@needs_proc
def test_the_name_of_a_new_root_is_durable(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders made above the objects are synced like those below."""
    recorder = Recorder(monkeypatch, tmp_path)
    FileStorage(root).close()
    assert [step for step in recorder.steps if step[0] == "fsync"] == [
        ("fsync", ""),
        ("fsync", "data"),
    ]


# -- faults --------------------------------------------------------------------------------


def failing(code: int, after: int = 0) -> Callable[..., Any]:
    """Make a function of ``os`` that fails, after some calls that don't."""
    calls = iter(range(after))

    def fail(*_: object, **__: object) -> Any:
        if next(calls, None) is None:
            raise OSError(code, os.strerror(code))
        return None

    return fail


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        ("write", errno.ENOSPC, "the disk is full"),
        ("write", errno.EDQUOT, "quota"),
        ("write", errno.EIO, "input/output error"),
        ("fsync", errno.EIO, "input/output error"),
        ("fsync", errno.ENOSPC, "the disk is full"),
        ("link", errno.ENOSPC, "the disk is full"),
        ("mkdir", errno.EROFS, "read-only"),
        ("mkdir", errno.EACCES, "permission denied"),
        ("open", errno.EACCES, "permission denied"),
    ],
)
def test_a_disk_that_fails_is_a_typed_error_and_leaves_nothing(
    storage: FileStorage,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    code: int,
    words: str,
) -> None:
    """Wherever the disk fails, the put is STORAGE_WRITE_FAILED (A700H) with the reason."""
    with monkeypatch.context() as patch:
        patch.setattr(os, function, failing(code))
        error = failure(storage.put(KEY, [b"object"]))
    assert error.code is ErrorCode.STORAGE_WRITE_FAILED
    assert error.code.dimse_status == 0xA700
    assert words in error.message
    assert files_below(root) == set()
    assert storage.put(KEY, [b"object"]).unwrap().created  # once there is room again


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(
    storage: FileStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of an object never appears, neither under its name nor in the spool."""
    real_write = os.write

    def write(descriptor: int, data: memoryview) -> int:
        if len(data) < 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_write(descriptor, data[:1000])  # a short write is no error

    monkeypatch.setattr(os, "write", write)
    error = failure(storage.put(KEY, [b"x" * 3500]))
    assert "the disk is full" in error.message
    assert files_below(root) == set()


def test_short_writes_are_continued(storage: FileStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system call may take less than it is given; nothing is lost or doubled."""
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real_write(descriptor, data[:7]))
    monkeypatch.setattr(
        os, "writev", lambda descriptor, parts: real_write(descriptor, b"".join(parts)[:53])
    )
    storage.put(KEY, [b"0123456789" * 5, b"abc"]).unwrap()
    assert content(storage) == b"0123456789" * 5 + b"abc"


def test_a_sync_of_the_name_that_fails_is_not_acknowledged(
    storage: FileStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object may be there, but nobody was promised that; a resend puts it right."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO, after=1))
        assert failure(storage.put(KEY, [b"object"])).code is ErrorCode.STORAGE_WRITE_FAILED
    assert not storage.put(KEY, [b"object"]).unwrap().created
    assert files_below(root) == {KEY}


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions don't stop the superuser"
)
def test_a_read_only_folder_is_told_in_words(storage: FileStorage, root: Path) -> None:
    """Without permission to write nothing is stored, and health says so."""
    storage.put(KEY, [b"object"]).unwrap()
    spool = next(path for path in (root / ".spool").iterdir() if path.is_dir())
    for folder in (root, spool):
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert "permission denied" in failure(storage.put("2/3/4", [b"x"])).message
        assert not storage.health().unwrap().writable
        assert content(storage) == b"object"
    finally:
        for folder in (root, spool):
            folder.chmod(stat.S_IRWXU)


def test_health_says_when_nothing_can_be_written(
    storage: FileStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is not writable; the trial leaves nothing in the spool."""
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    assert not storage.health().unwrap().writable
    assert files_below(root) == set()


def test_a_folder_that_vanished_is_not_made_again(storage: FileStorage, root: Path) -> None:
    """An unmounted disk must not be replaced by a folder beneath its mount point."""
    storage.put(KEY, [b"object"]).unwrap()
    away = root.rename(root.with_name("away"))
    error = failure(storage.put("1.2/1.3/1.5.dcm", [b"x"]))
    assert error.code is ErrorCode.STORAGE_WRITE_FAILED
    assert "mounted" in error.message
    for failed in (storage.open(KEY), storage.stat(KEY), storage.delete(KEY), storage.health()):
        assert failure(failed).code is ErrorCode.STORAGE_READ_FAILED
    with pytest.raises(PacsException, match="is its disk mounted") as caught:
        list(storage.list())
    assert caught.value.error.code is ErrorCode.STORAGE_READ_FAILED
    assert not root.exists()
    away.rename(root)
    storage.put("1.2/1.3/1.5.dcm", [b"x"]).unwrap()


def test_an_empty_mount_point_is_not_filled(storage: FileStorage, root: Path) -> None:
    """Where the disk was unmounted and its mount point is left, nothing is stored."""
    away = root.rename(root.with_name("away"))
    root.mkdir()
    assert failure(storage.put(KEY, [b"x"])).code is ErrorCode.STORAGE_WRITE_FAILED
    assert not storage.health().unwrap().writable
    assert list(root.iterdir()) == []
    root.rmdir()
    away.rename(root)


def test_a_root_that_is_a_file_is_refused_in_words(tmp_path: Path) -> None:
    """Opening a storage where a file lies names the path and the reason."""
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(PacsException) as caught:
            FileStorage(root)
        assert caught.value.error.code is ErrorCode.STORAGE_WRITE_FAILED
        assert str(root) in caught.value.error.message


@pytest.mark.skipif(sys.platform == "win32", reason="locks work differently there")
def test_a_file_system_without_locks_is_refused_in_words(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without locks the spool cannot be shared safely, and trying would never end."""
    import fcntl

    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    with pytest.raises(PacsException) as caught:
        FileStorage(root)
    assert "no locks" in caught.value.error.message
    assert list((root / ".spool").iterdir()) == []


# -- file systems without hard links ---------------------------------------------------------


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the file system is a memory card."""
    monkeypatch.setattr(os, "link", failing(errno.EPERM))


@pytest.mark.usefixtures("no_links")
def test_without_hard_links_a_taken_name_is_still_taken(storage: FileStorage) -> None:
    """A rename under a lock stands in for the link, with the same answers."""
    assert storage.put(KEY, [b"first"]).unwrap().created
    assert failure(storage.put(KEY, [b"other"])).code is ErrorCode.DUPLICATE_OBJECT
    assert not storage.put(KEY, [b"other"], policy=IGNORE).unwrap().created
    assert content(storage) == b"first"
    assert storage.put(KEY, [b"other"], policy=REPLACE).unwrap().created
    assert [one.key for one in storage.list()] == [KEY]


# -- crashes and other processes -------------------------------------------------------------

DIES = """
import os, pathlib, signal
from pacs_sdk.storage.objects.file_storage import FileStorage

def die(root, function, call):
    storage = FileStorage(pathlib.Path(root))
    real, left = getattr(os, function), [call]
    def counting(*arguments, **keywords):
        left[0] -= 1
        if left[0] == 0:
            if function == "write":
                real(arguments[0], arguments[1][:100])  # half is on the disk
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **keywords)
    setattr(os, function, counting)
    storage.put("1.2/1.3/1.4.dcm", [b"object" * 50])
"""


MOMENTS = {
    "while-writing": ("write", 1),
    "before-syncing": ("fsync", 1),
    "before-naming": ("link", 2),  # the first finds that there is no folder yet
    "after-naming": ("fsync", 2),
}


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kill a process at each moment; give the folder of the storages that they leave."""
    folder = tmp_path_factory.mktemp("crashed")
    for moment in MOMENTS:  # so that syncing begins with the object
        FileStorage(folder / moment).close()
    killed_processes(DIES, [(folder / moment, *when) for moment, when in MOMENTS.items()])
    return folder


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_process_leaves_a_whole_object_or_none(crashed: Path, moment: str) -> None:
    """After SIGKILL at any step the object is whole or absent, and the spool is swept."""
    root, is_there = crashed / moment, moment == "after-naming"
    storage = FileStorage(root)
    assert files_below(root) == ({KEY} if is_there else set())
    assert storage.swept == (0 if is_there else 1)
    assert storage.put(KEY, [b"object" * 50]).unwrap().created is not is_there
    assert content(storage) == b"object" * 50
    storage.close()
    assert list((root / ".spool").iterdir()) == []


def test_the_sweep_spares_what_others_are_writing(
    storage: FileStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second storage on the folder, here or in another process, leaves the first alone."""
    real_write = os.write
    swept = []

    def write(descriptor: int, data: memoryview) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", real_write)
            second = FileStorage(root)
            swept.append(second.swept)
            second.close()
            swept.extend(run_together(OPENS, [(root,)]))
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    storage.put(KEY, [b"object"]).unwrap()
    assert swept == [0, 0]
    assert content(storage) == b"object"


OPENS = """
import pathlib
from pacs_sdk.storage.objects.file_storage import FileStorage

def run(root):
    storage = FileStorage(pathlib.Path(root))
    storage.close()
    return storage.swept
"""

PUTS = """
import pathlib
from returns.result import Success
from pacs_sdk.storage.objects.file_storage import FileStorage

def run(root, letter):
    storage = FileStorage(pathlib.Path(root))
    created, refused = [], []
    for number in range(60):
        match storage.put(f"1/2/{number}", [letter.encode() * 3000]):
            case Success(stored):
                created.append(number)
                assert stored.created
            case failed:
                assert failed.failure().code.name == "DUPLICATE_OBJECT", failed
                refused.append(number)
    storage.close()
    return created, refused
"""


@pytest.mark.slow
def test_two_processes_never_both_store_under_a_key(root: Path) -> None:
    """Of two processes that put other bytes under the same keys each key has one winner."""
    answers = run_together(PUTS, [(root, "a"), (root, "b")])
    (created_a, refused_a), (created_b, refused_b) = answers
    assert sorted(created_a + created_b) == list(range(60))
    assert (refused_a, refused_b) == (created_b, created_a)
    storage = FileStorage(root)
    for created, letter in ((created_a, b"a"), (created_b, b"b")):
        for number in created:
            assert content(storage, f"1/2/{number}") == letter * 3000
    storage.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.slow
def test_a_forked_child_does_not_meet_its_parent_in_the_spool(root: Path) -> None:
    """A child that inherits an open storage may go on using it beside its parent."""
    assert run_together(FORKS, [(root,)]) == [40]
    assert len(files_below(root)) == 40


FORKS = """
import os, pathlib
from pacs_sdk.storage.objects.file_storage import FileStorage

def run(root):
    storage = FileStorage(pathlib.Path(root))
    child = os.fork()
    name = "parent" if child else "child"
    for number in range(20):
        storage.put(f"1/{name}/{number}", [b"x" * 1000]).unwrap()
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    return len(list(storage.list()))
"""


def test_success_and_failure_are_results(storage: FileStorage) -> None:
    """No operation lets an exception out, whatever is asked of it."""
    for result in (
        storage.put("..", []),
        storage.open(".."),
        storage.stat("x"),
        storage.delete("x"),
    ):
        assert isinstance(result, Failure)
    assert isinstance(storage.health(), Success)


def test_what_cannot_be_looked_at_in_a_listing_is_an_error_in_words(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a disk that fails in between: whoever lists is told which object it was."""
    storage.put(KEY, [b"object"]).unwrap()

    def fails(_: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(object_names, "size_of_file", fails)
    with pytest.raises(PacsException, match=KEY) as caught:
        list(storage.list())
    assert caught.value.error.code is ErrorCode.STORAGE_READ_FAILED

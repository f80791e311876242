"""What data sets under way share: a quota of disk and of memory, and a folder that is swept."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.byte_source import FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.network.sink import SpoolingSink
from pacs_sdk.network.spool_area import SpoolArea, SpoolStatistics, SweepReport
from pacs_sdk.testing import RecordingLogger
from tests.network.helpers import open_descriptors

NOTHING = SpoolStatistics(memory_bytes=0, disk_bytes=0, files=0, early_spills=0, refusals=0)
ORPHAN = "pacs-receive-4711-0123abcd-0123456789abcdef"
"""What a spool file of another process is called."""


def failure_of(sink: SpoolingSink, piece: bytes) -> PacsError:
    """Write what must be refused; return the error."""
    with pytest.raises(PacsException) as raising:
        sink.write(memoryview(piece))
    return raising.value.error


def spooled(area: SpoolArea, data: bytes) -> SpoolingSink:
    """Put a data set into a spool file."""
    sink = area.open_sink(threshold_bytes=0)
    sink.write(memoryview(data))
    return sink


def files(area: SpoolArea) -> list[Path]:
    """List what lies in the folder."""
    return sorted(area.directory.iterdir())


def mode(path: Path) -> int:
    """Tell who may do what."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def area(tmp_path: Path) -> SpoolArea:
    """Make an area in a folder that isn't there yet."""
    return SpoolArea(tmp_path / "spool")


# -- the folder ------------------------------------------------------------------------------


@pytest.mark.parametrize("swept", [True, False])
def test_the_folder_and_its_files_are_for_their_owner_only(area: SpoolArea, swept: bool) -> None:
    """Patient data on disk is not for other users; the folder is made when it is first needed."""
    if swept:
        assert raised(area.sweep()) == SweepReport(0, 0, 0)
    sink = spooled(area, b"x")
    assert mode(area.directory) == 0o700
    (path,) = files(area)
    assert mode(path) == 0o600
    assert path.name.startswith(f"pacs-receive-{os.getpid()}-")
    sink.discard()


def test_the_default_folder_is_one_of_the_user_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same one after a restart, so that orphans are found."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    area = SpoolArea()
    assert area.directory == tmp_path / f"pacs-spool-{os.geteuid()}"
    raised(area.sweep())
    assert area.directory.is_dir()


def test_a_folder_of_spool_files_that_others_may_read_is_closed_to_them(area: SpoolArea) -> None:
    """One that somebody made by hand for this purpose."""
    area.directory.mkdir(0o755)
    (area.directory / ORPHAN).touch()
    raised(area.sweep())
    assert mode(area.directory) == 0o700


@pytest.mark.parametrize("kind", ["other files", "temporary files of all users"])
def test_a_shared_folder_with_another_purpose_is_refused(area: SpoolArea, kind: str) -> None:
    """To close it would harm whoever uses it; it stays as it is."""
    area.directory.mkdir()
    if kind == "other files":
        area.directory.chmod(0o755)
        (area.directory / "letter.txt").touch()
    else:
        area.directory.chmod(0o1777)
    before = mode(area.directory)
    error = area.sweep().failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert "not for spool files alone" in error.message
    assert error.details["folder"] == str(area.directory)
    assert mode(area.directory) == before


def test_a_private_folder_may_hold_other_files(area: SpoolArea) -> None:
    """They are left alone."""
    area.directory.mkdir(0o700)
    (area.directory / "letter.txt").write_text("Dear Sir")
    raised(area.sweep())
    assert (area.directory / "letter.txt").read_text() == "Dear Sir"


def _link_to_folder(path: Path) -> None:
    target = path.with_name("target")
    target.mkdir(0o700)
    (target / ORPHAN).touch()
    path.symlink_to(target)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_link_to_folder, "symbolic link"),
        (Path.touch, "Not a directory"),
        (lambda path: path.parent.rmdir(), "No such file or directory"),
    ],
    ids=["link", "file", "no parent"],
)
def test_a_path_that_is_no_folder_is_refused(tmp_path: Path, make: object, words: str) -> None:
    """At the sweep as a configuration error, and for a data set as one of resources."""
    area = SpoolArea(tmp_path / "parent" / "spool")
    area.directory.parent.mkdir()
    assert callable(make)
    make(area.directory)
    before = sorted(tmp_path.rglob("*"))
    error = area.sweep().failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert words in error.message
    error = failure_of(area.open_sink(threshold_bytes=0), b"x")
    assert error.code is ErrorCode.STORE_OUT_OF_RESOURCES
    assert words in error.message
    assert area.statistics() == NOTHING
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_refused(area: SpoolArea) -> None:
    """Whoever made it first in the temporary folder could read along."""
    area.directory.mkdir(0o700)
    os.chown(area.directory, 65534, -1)
    assert "belongs to user 65534" in area.sweep().failure().message


def test_a_folder_that_was_cleaned_away_is_made_again(area: SpoolArea) -> None:
    """As happens to what lies unused in a temporary folder for days."""
    raised(area.sweep())
    area.directory.rmdir()
    sink = spooled(area, b"data")
    assert mode(area.directory) == 0o700
    assert bytes(sink.finish().view()) == b"data"
    sink.discard()


@pytest.mark.parametrize("quotas", [(-1, 0), (0, -1)])
def test_a_negative_quota_is_refused(tmp_path: Path, quotas: tuple[int, int]) -> None:
    """When the area is made."""
    with pytest.raises(PacsException) as raising:
        SpoolArea(tmp_path, quotas[0], memory_quota_bytes=quotas[1])
    assert raising.value.error.code is ErrorCode.INVALID_CONFIGURATION


# -- quotas ----------------------------------------------------------------------------------


def test_spool_files_share_a_quota(tmp_path: Path) -> None:
    """The one that would pass it fails and frees what it held; the others go on."""
    area = SpoolArea(tmp_path / "spool", 10)
    first, second = spooled(area, b"12345"), spooled(area, b"1234")
    assert area.statistics() == attrs.evolve(NOTHING, disk_bytes=9, files=2)
    error = failure_of(second, b"56")
    assert error.code is ErrorCode.STORE_OUT_OF_RESOURCES
    assert error.code.dimse_status == 0xA700
    assert "the 10 bytes allowed (2 hold 9 now)" in error.message
    assert error.details == {"folder": str(area.directory), "quota_bytes": 10, "held_bytes": 9}
    assert area.statistics() == attrs.evolve(NOTHING, disk_bytes=5, files=1, refusals=1)
    first.write(memoryview(b"67890"))
    assert bytes(first.finish().view()) == b"1234567890"
    first.discard()
    second.discard()
    assert area.statistics() == attrs.evolve(NOTHING, refusals=1)
    assert files(area) == []


def test_a_data_set_that_leaves_memory_counts_whole(tmp_path: Path) -> None:
    """What it had in memory is reserved before the file is made."""
    area = SpoolArea(tmp_path / "spool", 5)
    sink = area.open_sink(threshold_bytes=4)
    sink.write(memoryview(b"1234"))
    assert "0 hold 0 now" in failure_of(sink, b"56").message
    assert area.statistics() == attrs.evolve(NOTHING, refusals=1)
    assert not area.directory.exists()


def test_sinks_share_a_budget_of_memory(tmp_path: Path) -> None:
    """Beyond it a data set goes to disk, and back in memory goes the next once there is room."""
    area = SpoolArea(tmp_path / "spool", memory_quota_bytes=8)
    first, second = area.open_sink(), area.open_sink()
    first.write(memoryview(b"12345678"))
    second.write(memoryview(b"1"))
    assert area.statistics() == SpoolStatistics(8, 1, 1, early_spills=1, refusals=0)
    assert isinstance(first.finish(), MemoryBytes)
    assert isinstance(second.finish(), FileBytes)
    first.discard()
    third = area.open_sink()
    third.write(memoryview(b"12345678"))
    assert isinstance(third.finish(), MemoryBytes)
    second.discard()
    third.discard()
    assert area.statistics() == attrs.evolve(NOTHING, early_spills=1)


def test_hundreds_of_data_sets_stay_within_both_budgets(tmp_path: Path) -> None:
    """Each kept or refused; the sum of what is held is never above what is allowed."""
    area = SpoolArea(tmp_path / "spool", 300 << 10, memory_quota_bytes=1 << 20)
    sinks = [area.open_sink() for _ in range(300)]
    refused = 0
    for sink in sinks:
        try:
            sink.write(memoryview(bytes(8 << 10)))
        except PacsException:
            refused += 1
        held = area.statistics()
        assert held.memory_bytes <= 1 << 20
        assert held.disk_bytes <= 300 << 10
    # Four sinks take a step of memory (256 KiB) each, 37 files fill the disk.
    assert refused == 300 - 4 - 37
    for sink in sinks:
        sink.discard()
    assert area.statistics() == attrs.evolve(NOTHING, early_spills=296, refusals=refused)


def test_threads_never_pass_the_quota_together(tmp_path: Path) -> None:
    """Eight threads, room for four: what is on disk never exceeds it, and nothing leaks."""
    quota, piece = 40_000, bytes(1_000)
    area = SpoolArea(tmp_path / "spool", quota)
    raised(area.sweep())
    gate = threading.Barrier(8)
    kept, excess, wrong = [], [], []

    def receive() -> None:
        for _ in range(20):
            gate.wait(10)
            sink = area.open_sink(threshold_bytes=0)
            try:
                for _ in range(10):
                    sink.write(memoryview(piece))
                    held = area.statistics().disk_bytes
                    excess.extend([held] if held > quota else [])
                kept.append(sink.finish().size)
            except PacsException as exc:
                wrong.extend(
                    [] if exc.error.code is ErrorCode.STORE_OUT_OF_RESOURCES else [exc.error]
                )
            gate.wait(10)  # all are held at the same time
            sink.discard()

    threads = [threading.Thread(target=receive) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert (excess, wrong) == ([], [])
    assert 0 < len(kept) <= 20 * 4
    assert area.statistics() == attrs.evolve(NOTHING, refusals=160 - len(kept))
    assert files(area) == []


# -- sweeping --------------------------------------------------------------------------------

_RECEIVER = """
import sys
from pathlib import Path
from pacs_sdk.network.spool_area import SpoolArea

sinks = [SpoolArea(Path(sys.argv[1])).open_sink(threshold_bytes=0) for _ in range(2)]
for sink in sinks:
    sink.write(memoryview(b"12345"))
sinks[0].finish()
print("written", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(area: SpoolArea) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds two spool files: one still written to, one finished."""
    with subprocess.Popen(
        [sys.executable, "-c", _RECEIVER, str(area.directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "written\n"
            yield process
        finally:
            process.kill()


def test_a_sweep_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    """Its files stay as long as it lives, and go after that, with a word in the log."""
    logger = RecordingLogger()
    area = SpoolArea(tmp_path / "spool", logger=logger)
    ours = spooled(area, b"our own")
    with another_process(area) as process:
        theirs = [path for path in files(area) if f"-{process.pid}-" in path.name]
        assert len(theirs) == 2
        assert raised(area.sweep()) == SweepReport(0, 0, held_files=3)
        assert len(files(area)) == 3
        assert logger.entries == ()
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert len(files(area)) == 3  # as the kill left them
        assert raised(area.sweep()) == SweepReport(2, 10, held_files=1)
    assert [path for path in theirs if path.exists()] == []
    assert logger.named("spool-swept", files=2, bytes=10, folder=str(area.directory))
    assert bytes(ours.finish().view()) == b"our own"
    ours.discard()
    assert files(area) == []


def test_a_sweep_leaves_files_of_another_area_of_this_process(tmp_path: Path) -> None:
    """Two servers in one process may share a folder."""
    first, second = SpoolArea(tmp_path / "spool"), SpoolArea(tmp_path / "spool")
    sink = spooled(first, b"data")
    assert raised(second.sweep()) == SweepReport(0, 0, held_files=1)
    assert bytes(sink.finish().view()) == b"data"
    sink.discard()


@pytest.mark.parametrize(
    "name",
    [
        "letter.txt",
        "pacs-receive-",
        "pacs-receive-abcd1234",
        f"{ORPHAN}.bak",
        f" {ORPHAN}",
        f"{ORPHAN}\n",
        ORPHAN.upper(),
    ],
)
def test_a_sweep_leaves_files_with_other_names(area: SpoolArea, name: str) -> None:
    """Only what is named as a spool file to the last character is one."""
    area.directory.mkdir(0o700)
    (area.directory / name).write_text("keep me")
    assert raised(area.sweep()) == SweepReport(0, 0, 0)
    assert (area.directory / name).read_text() == "keep me"


@pytest.mark.parametrize("kind", ["link to file", "link to nothing", "folder", "pipe"])
def test_a_sweep_leaves_what_is_no_file(area: SpoolArea, kind: str) -> None:
    """Neither it nor what it points to is touched, and a named pipe makes nobody wait."""
    area.directory.mkdir(0o700)
    target = area.directory.parent / "precious"
    target.write_text("keep me")
    path = area.directory / ORPHAN
    if kind == "link to file":
        path.symlink_to(target)
    elif kind == "link to nothing":
        path.symlink_to(target.with_name("missing"))
    elif kind == "folder":
        path.mkdir()
        (path / ORPHAN).touch()
    else:
        os.mkfifo(path)
    before = path.lstat()
    assert raised(area.sweep()) == SweepReport(0, 0, 0)
    assert path.lstat() == before
    assert target.read_text() == "keep me"


def test_a_sweep_goes_on_after_a_file_that_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded, with the reason; the others are removed."""
    logger = RecordingLogger()
    area = SpoolArea(tmp_path / "spool", logger=logger)
    area.directory.mkdir(0o700)
    stubborn = area.directory / ORPHAN
    stubborn.touch()
    (area.directory / ORPHAN.replace("4711", "4712")).write_bytes(b"12")
    unlink = Path.unlink

    def refuse_one(path: Path, missing_ok: bool = False) -> None:
        if path == stubborn:
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse_one)
    assert raised(area.sweep()) == SweepReport(1, 2, 0)
    (entry,) = logger.named("spool-file-not-removed", path=str(stubborn))
    assert "not permitted" in str(entry.fields["reason"])
    assert files(area) == [stubborn]


def test_a_file_that_is_swept_before_it_is_locked_is_made_again(
    area: SpoolArea, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment between the making of a file and its lock costs no data set."""
    raised(area.sweep())
    real_open, made = os.open, []

    def open_and_sweep(path: Path, flags: int, *permissions: int) -> int:
        descriptor = real_open(path, flags, *permissions)
        if flags & os.O_CREAT:
            made.append(path)
            if len(made) == 1:
                assert raised(SpoolArea(area.directory).sweep()) == SweepReport(1, 0, 0)
        return descriptor

    monkeypatch.setattr(os, "open", open_and_sweep)
    before = open_descriptors()
    sink = spooled(area, b"data")
    assert len(made) == 2
    assert files(area) == [made[1]]
    assert bytes(sink.finish().view()) == b"data"
    sink.discard()
    assert open_descriptors() == before


def test_a_file_system_without_locks_is_refused(
    area: SpoolArea, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There a sweep would take the files of living processes for orphans."""

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert "No locks available" in area.sweep().failure().message


# -- a full disk -----------------------------------------------------------------------------


def test_a_disk_that_takes_no_more_is_a_typed_error_and_leaves_no_file(area: SpoolArea) -> None:
    """Simulated by the limit of a file's length, which ends a write half-way as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = open_descriptors()
    sink, other = spooled(area, bytes(1000)), spooled(area, b"other")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        error = failure_of(sink, bytes(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.code is ErrorCode.STORE_OUT_OF_RESOURCES
    assert "the data set cannot be kept: File too large" in error.message
    assert area.statistics() == attrs.evolve(NOTHING, disk_bytes=5, files=1)
    assert len(files(area)) == 1
    assert bytes(other.finish().view()) == b"other"
    other.discard()
    assert files(area) == []
    assert open_descriptors() == before


def test_a_file_that_cannot_be_removed_is_recorded_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discarding never fails; the sweep of the next start finds the file unlocked."""
    logger = RecordingLogger()
    area = SpoolArea(tmp_path / "spool", logger=logger)
    sink = spooled(area, b"data")
    with monkeypatch.context() as patch:

        def refuse(*_: object, **__: object) -> None:
            raise OSError(30, "Read-only file system")

        patch.setattr(Path, "unlink", refuse)
        sink.discard()
    assert logger.named("spool-file-not-removed")
    assert area.statistics() == NOTHING
    assert raised(area.sweep()) == SweepReport(1, 4, 0)


# -- what hardly ever happens ----------------------------------------------------------------


def test_a_file_that_cannot_be_locked_is_removed(
    area: SpoolArea, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unlocked one would be taken for an orphan while it is written."""
    raised(area.sweep())
    before = open_descriptors()

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    error = failure_of(area.open_sink(threshold_bytes=0), b"x")
    assert "No locks available" in error.message
    assert files(area) == []
    assert open_descriptors() == before
    assert area.statistics() == NOTHING


def test_making_a_file_is_given_up_after_some_attempts(
    area: SpoolArea, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program that locks each new file must not keep us busy for ever."""
    raised(area.sweep())
    before = open_descriptors()

    def always_held(*_: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", always_held)
    error = failure_of(area.open_sink(threshold_bytes=0), b"x")
    assert error.code is ErrorCode.STORE_OUT_OF_RESOURCES
    assert "other processes remove each spool file" in error.message
    assert open_descriptors() == before


def test_a_folder_that_vanishes_again_and_again_is_an_error(
    area: SpoolArea, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made again once for a file, not for ever."""
    raised(area.sweep())
    real_open = os.open

    def vanish(path: Path, flags: int, *permissions: int) -> int:
        if flags & os.O_CREAT:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return real_open(path, flags, *permissions)

    monkeypatch.setattr(os, "open", vanish)
    error = failure_of(area.open_sink(threshold_bytes=0), b"x")
    assert "No such file or directory" in error.message
    assert str(error.details["path"]).startswith(str(area.directory))


@pytest.mark.parametrize("is_taken_again", [True, False])
def test_a_sweep_that_comes_second_removes_nothing(
    area: SpoolArea, monkeypatch: pytest.MonkeyPatch, is_taken_again: bool
) -> None:
    """Another one removes the orphan, and perhaps a new file gets its name, before the lock."""
    area.directory.mkdir(0o700)
    orphan = area.directory / ORPHAN
    orphan.write_bytes(b"old")
    real_flock = fcntl.flock

    def be_late(descriptor: int, operation: int) -> None:
        real_flock(descriptor, operation)
        if operation & fcntl.LOCK_EX:
            orphan.rename(orphan.with_name("elsewhere"))
            if is_taken_again:
                orphan.write_bytes(b"new")

    monkeypatch.setattr(fcntl, "flock", be_late)
    assert raised(area.sweep()) == SweepReport(0, 0, 0)
    assert orphan.exists() == is_taken_again


def test_a_folder_that_cannot_be_listed_is_an_error(
    area: SpoolArea, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In words, naming the folder."""

    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "iterdir", fail)
    error = area.sweep().failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert f"{area.directory} cannot be used: Input/output error" in error.message

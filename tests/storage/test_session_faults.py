"""Sessions where the system fails, and where a process forks while it has the archive open."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure, PacsResult
from pacs_sdk.storage import open_archive, reindex
from pacs_sdk.storage.objects.file_locks import try_lock
from pacs_sdk.storage.upkeep import index_whereabouts, sessions, shared_promises
from pacs_sdk.storage.upkeep.index_whereabouts import is_elsewhere, note_place
from pacs_sdk.storage.upkeep.sessions import SESSIONS_NAME, Purpose, Sessions
from tests.storage.made_instances import made_instance
from tests.storage.quiet_archives import found, open_quiet

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
"""A test that forks; nothing of what Python warns of is done in the child."""


def names_in(folder: Path) -> set[str]:
    """Name the files of the sessions, each by what follows its session's identifier."""
    return {one.name[32:] or one.name for one in (folder / SESSIONS_NAME).iterdir()}


def full(*_: object) -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# -- beginning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["write_pieces", "sync_folder"])
def test_a_session_that_cannot_begin_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Else its lock would be held, by nobody who could be stopped, as long as the process lives."""
    found = Sessions(tmp_path)
    with found.turn():
        with monkeypatch.context() as patched:
            patched.setattr(sessions, step, full)
            with pytest.raises(PacsException, match="the disk is full") as caught:
                found.begin(Purpose.SERVING, durable=True)
        assert caught.value.error.code is ErrorCode.STORAGE_WRITE_FAILED
        assert (found.living(), found.dead()) == ((), ())
        assert names_in(tmp_path) == {"turn.lock"}


def test_what_a_session_says_of_itself_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little of it the system takes at a time: half of it would say nothing."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:5]))
    found = Sessions(tmp_path)
    with found.turn():
        session = found.begin(Purpose.REINDEXING, durable=False)
        assert [one.purpose for one in found.living()] == [Purpose.REINDEXING]
        session.close()


def test_an_archive_that_cannot_be_shared_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room for its numbers: that is told when it is opened, and no file of it stays."""
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    failed = open_archive(tmp_path).failure()
    assert failed.code is ErrorCode.STORAGE_WRITE_FAILED
    assert "the disk is full" in failed.message
    assert names_in(tmp_path) == {"turn.lock"}


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="nobody can ask for the room")
def test_there_is_room_for_the_numbers_that_processes_share(tmp_path: Path) -> None:
    """They are set in memory: on a disk that is full by then, the system would end the process."""
    open_archive(tmp_path).unwrap().close()
    shared_promises.SharedPromises(tmp_path / SESSIONS_NAME / "s", lambda _: None)
    for name in ("s.rows", "last-find"):
        assert (tmp_path / SESSIONS_NAME / name).stat().st_blocks > 0


# -- names that have to last -----------------------------------------------------------------------


@pytest.mark.parametrize("durable", [True, False])
def test_the_folder_of_the_sessions_has_a_lasting_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    """Whoever has made it; a relaxed archive waits for no disk."""
    synced: list[Path] = []
    monkeypatch.setattr(sessions, "sync_folder", synced.append)
    found = Sessions(tmp_path)
    with found.turn():
        found.begin(Purpose.SERVING, durable=durable).close()
    assert synced == ([tmp_path / SESSIONS_NAME, tmp_path] if durable else [])


def test_where_the_index_is_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would be kept from looking for it in the folder; synced when it changes."""
    synced: list[Path] = []
    monkeypatch.setattr(index_whereabouts, "sync_folder", synced.append)
    for elsewhere, times in ((False, 0), (True, 1), (True, 1), (False, 2)):
        note_place(tmp_path, elsewhere=elsewhere)
        assert is_elsewhere(tmp_path) is elsewhere
        assert synced == [tmp_path] * times


# -- a session that lives --------------------------------------------------------------------------


def test_what_a_living_session_announces_is_read_while_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may remove an old file, and have begun another, after its files were listed."""
    folder = tmp_path / SESSIONS_NAME
    found = Sessions(tmp_path)
    (folder / "s.1").write_text("1.2/3\n")
    (folder / "s.2").write_text("1.2/4\n")
    real = Path.read_text

    def changing(path: Path, *arguments: str, **named: str) -> str:
        monkeypatch.setattr(Path, "read_text", real)
        (folder / "s.1").unlink()
        (folder / "s.3").write_text("1.2/5\n")
        return path.read_text(*arguments, **named)

    monkeypatch.setattr(Path, "read_text", changing)
    assert found.announced("s").folders == {"1.2/4", "1.2/5"}


# -- forks -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def living_child() -> Iterator[None]:
    """Fork a child that lives meanwhile."""
    waits, ends = os.pipe()
    child = os.fork()
    if not child:
        os.close(ends)
        os.read(waits, 1)  # until the parent closes the other end
        os._exit(0)
    try:
        yield
    finally:
        os.close(ends)
        os.close(waits)
        os.waitpid(child, 0)


def is_turn_free(folder: Path) -> bool:
    """Tell whether nobody has the turn; this process may have it by another descriptor."""
    descriptor = os.open(folder / SESSIONS_NAME / "turn.lock", os.O_RDWR)
    try:
        return try_lock(descriptor)
    finally:
        os.close(descriptor)


@forks
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_that_closes_the_archive_leaves_it_to_its_parent(tmp_path: Path) -> None:
    """As it does at the end of a ``with`` block: files, rows and numbers stay as they are."""
    with open_quiet(tmp_path) as archive:
        sent = made_instance()
        archive.store(sent).unwrap()
        before = names_in(tmp_path)
        child = os.fork()
        if not child:  # no assertion leaves the child
            try:
                archive.close()
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert names_in(tmp_path) == before == {".lock", ".rows", ".1", "turn.lock", "last-find"}
        session = archive._session
        assert session is not None
        assert session._promises is not None
        assert list(session._promises._mine) == [1, 0, 0]
        assert found(archive) == [sent.sop_instance_uid]
        assert list(session._promises._mine) == [1, 1, 0]
    assert names_in(tmp_path) == {"turn.lock", "last-find"}


@forks
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_was_forked_meanwhile_does_not_keep_the_turn(tmp_path: Path) -> None:
    """Its parent gives it back for both, however long the child lives."""
    with contextlib.ExitStack() as child:
        with Sessions(tmp_path).turn():
            child.enter_context(living_child())
        assert is_turn_free(tmp_path)


@forks
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_was_forked_meanwhile_does_not_keep_a_dead_session_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock is held while it is asked whether it is free."""
    found = Sessions(tmp_path)
    with found.turn():
        found.begin(Purpose.SERVING, durable=False).abandon()
        with contextlib.ExitStack() as child, monkeypatch.context() as patched:

            def forking(descriptor: int) -> bool:
                taken = try_lock(descriptor)
                child.enter_context(living_child())
                return taken

            patched.setattr(sessions, "try_lock", forking)
            assert found.living() == ()
            patched.undo()
            assert len(found.dead()) == 1


@forks
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_was_forked_within_a_turn_does_not_end_it(tmp_path: Path) -> None:
    """It comes to the end of the same block; the turn is its parent's."""
    with contextlib.ExitStack() as turn:
        turn.enter_context(Sessions(tmp_path).turn())
        child = os.fork()
        if not child:
            try:
                turn.close()
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert not is_turn_free(tmp_path)


@pytest.mark.parametrize("name", ["objects", "index.sqlite"])
@pytest.mark.parametrize("opening", [open_archive, functools.partial(reindex, processes=1)])
def test_what_may_not_be_looked_at_is_an_error_in_words(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    opening: Callable[[Path], PacsResult[object]],
) -> None:
    """As where somebody else's program has made the folder its own."""
    open_archive(tmp_path).unwrap().close()
    look, scan = os.stat, os.scandir

    def refused(function: Callable[..., Any]) -> Callable[..., Any]:
        def looked(path: Any, *args: Any, **kwargs: Any) -> Any:
            if path == tmp_path / name:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return function(path, *args, **kwargs)

        return looked

    monkeypatch.setattr(os, "stat", refused(look))
    monkeypatch.setattr(os, "scandir", refused(scan))
    result = opening(tmp_path)
    assert isinstance(result, Failure)
    assert result.failure().code is ErrorCode.STORAGE_READ_FAILED
    assert str(tmp_path / name) in result.failure().message

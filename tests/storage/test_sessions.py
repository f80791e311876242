"""Sessions: who has an archive open, who died with it open, and what it was doing."""

from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage import open_archive
from pacs_sdk.storage.upkeep.sessions import SESSIONS_NAME, Purpose, Sessions
from pacs_sdk.storage.upkeep.write_intents import WriteIntents
from tests.storage.processes import killed_processes

pytestmark = pytest.mark.slow  # most start a process and kill it

DIES_OPEN = """
import os, pathlib, signal
from pacs_sdk.storage.upkeep.sessions import Purpose, Sessions
from pacs_sdk.storage.upkeep.write_intents import WriteIntents

def die(folder, purpose, keys):
    sessions = Sessions(pathlib.Path(folder))
    with sessions.turn():
        session = sessions.begin(Purpose(purpose), durable=False)
    intents = WriteIntents(session.intents_prefix, durable=False, settle=lambda: None)
    for key in keys:
        intents.note(key)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_who_has_it_open_is_told_with_what_for(tmp_path: Path) -> None:
    """A session lives until it is closed, and names its process."""
    sessions = Sessions(tmp_path)
    with sessions.turn():
        assert sessions.living() == ()
        first = sessions.begin(Purpose.SERVING, durable=True)
        second = sessions.begin(Purpose.REINDEXING, durable=False)
        assert {(one.process_id, one.purpose) for one in sessions.living()} == {
            (os.getpid(), Purpose.SERVING),
            (os.getpid(), Purpose.REINDEXING),
        }
        first.close()
        second.close()
        second.close()
        assert sessions.living() == ()
        assert sessions.dead() == ()


def test_only_a_process_that_ended_without_closing_is_dead(tmp_path: Path) -> None:
    """Its purpose and the folders it announced are found, and forgotten when asked."""
    killed_processes(DIES_OPEN, [(tmp_path, "serving", ["1.2/3/4.dcm", "1.2/3/5.dcm", "x.dcm"])])
    sessions = Sessions(tmp_path)
    with sessions.turn():
        alive = sessions.begin(Purpose.SERVING, durable=True)
        (dead,) = sessions.dead()
        assert (dead.purpose, dead.durable) == (Purpose.SERVING, False)
        assert dead.folders == {"1.2/3", ""}
        sessions.forget(dead)
        assert sessions.dead() == ()
        assert len(sessions.living()) == 1
        alive.close()
    assert [path.name for path in (tmp_path / SESSIONS_NAME).iterdir()] == ["turn.lock"]


def test_a_line_that_was_cut_short_announces_nothing(tmp_path: Path) -> None:
    """What it would have announced was not begun; whole lines count, whatever they hold."""
    killed_processes(DIES_OPEN, [(tmp_path, "serving", ["1.2/3/4.dcm"])])
    (intents,) = (tmp_path / SESSIONS_NAME).glob("*.1")
    with intents.open("ab") as file:
        file.write(b"\xff\0 garbage\n1.2/9")
    sessions = Sessions(tmp_path)
    with sessions.turn():
        (dead,) = sessions.dead()
    assert "1.2/3" in dead.folders
    assert "1.2/9" not in dead.folders
    assert len(dead.folders) == 2


def test_a_session_that_says_nothing_of_itself_is_one_all_the_same(tmp_path: Path) -> None:
    """A process may be killed before it wrote a word; garbage counts as that."""
    killed_processes(DIES_OPEN, [(tmp_path, "serving", []), (tmp_path, "serving", [])])
    first, second = (
        one for one in (tmp_path / SESSIONS_NAME).glob("*.lock") if one.name != "turn.lock"
    )
    first.write_bytes(b"")
    second.write_bytes(b'{"purpose": "world domination"}')
    sessions = Sessions(tmp_path)
    with sessions.turn():
        assert [one.purpose for one in sessions.dead()] == [Purpose.SERVING] * 2


def test_turns_are_taken_one_after_the_other(tmp_path: Path) -> None:
    """Whoever opens the archive waits for another who is opening it."""
    order: list[str] = []
    entered = threading.Event()

    def other() -> None:
        entered.set()
        with Sessions(tmp_path).turn():
            order.append("other")

    with Sessions(tmp_path).turn():
        thread = threading.Thread(target=other)
        thread.start()
        assert entered.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "other"]


def test_a_folder_that_cannot_be_used_is_an_error_in_words(tmp_path: Path) -> None:
    """The error names the folder."""
    (tmp_path / SESSIONS_NAME).write_text("a file")
    with pytest.raises(PacsException, match="sessions") as caught:
        Sessions(tmp_path)
    assert caught.value.error.code is ErrorCode.STORAGE_WRITE_FAILED
    assert open_archive(tmp_path).failure().code is ErrorCode.STORAGE_WRITE_FAILED


# -- write intents ---------------------------------------------------------------------------


class Intents:
    """Write intents with few folders in a file, and a count of how often rows were made sure."""

    def __init__(self, folder: Path, *, durable: bool = False, at_most: int = 2) -> None:
        self.folder = folder
        self.settled = 0
        self.fails = False
        self.intents = WriteIntents(
            folder / "s", durable=durable, settle=self._settle, at_most=at_most
        )

    def _settle(self) -> None:
        if self.fails:
            raise OSError("the disk is on fire")
        self.settled += 1

    def files(self) -> dict[str, list[str]]:
        """Read what is written."""
        return {path.name: path.read_text().split() for path in sorted(self.folder.iterdir())}


@pytest.mark.parametrize("durable", [True, False])
def test_a_folder_is_written_down_once(tmp_path: Path, durable: bool) -> None:
    """However many objects go there; and before ``note`` returns."""
    made = Intents(tmp_path, durable=durable)
    for number in range(100):
        made.intents.note(f"1/2/{number}.dcm")
        assert made.files() == {"s.1": ["1/2"]}
    made.intents.close()
    assert made.files() == {}


def test_an_old_file_goes_when_all_that_was_being_stored_is_in_the_index(tmp_path: Path) -> None:
    """An operation that began with an old file keeps it, and those after it."""
    made = Intents(tmp_path)
    slow = made.intents.storing()
    slow.__enter__()
    for study in "abcde":
        with made.intents.storing():
            made.intents.note(f"{study}/1.dcm")
    assert made.files() == {"s.1": ["a", "b"], "s.2": ["c", "d"], "s.3": ["e"]}
    assert made.settled == 0
    slow.__exit__(None, None, None)
    with made.intents.storing():
        made.intents.note("f/1.dcm")
    assert made.files() == {"s.3": ["e", "f"]}
    assert made.settled == 1


def test_a_file_stays_where_the_rows_cannot_be_made_sure_of(tmp_path: Path) -> None:
    """Storing goes on; closing says what is wrong, and leaves everything to recovery."""
    made = Intents(tmp_path)
    made.fails = True
    for study in "abc":
        with made.intents.storing():
            made.intents.note(f"{study}/1.dcm")
    assert made.files() == {"s.1": ["a", "b"], "s.2": ["c"]}
    with pytest.raises(OSError, match="fire"):
        made.intents.close()
    assert made.files() == {"s.1": ["a", "b"], "s.2": ["c"]}
    made.fails = False
    made.intents.close()
    assert made.files() == {}


def test_many_threads_write_every_folder_down(tmp_path: Path) -> None:
    """No folder is lost between threads, and no file is left."""
    made = Intents(tmp_path, durable=True, at_most=10_000)

    def work(first: int) -> None:
        for number in range(40):
            with made.intents.storing():
                made.intents.note(f"{first + number}/1.dcm")

    threads = [threading.Thread(target=work, args=(100 * one,)) for one in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (folders,) = made.files().values()
    assert sorted(map(int, folders)) == [
        100 * one + number for one in range(8) for number in range(40)
    ]
    made.intents.close()


def test_what_cannot_be_announced_is_not_stored(tmp_path: Path) -> None:
    """A full or missing disk is an error of the store, before anything is written."""
    made = Intents(tmp_path / "gone")
    with pytest.raises(PacsException) as caught:
        made.intents.note("1/2/3.dcm")
    assert caught.value.error.code is ErrorCode.STORAGE_WRITE_FAILED


def test_whoever_waits_for_a_sync_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system tells it to one only; what comes later goes to another file."""
    made = Intents(tmp_path, durable=True, at_most=10)
    made.intents.note("a/1.dcm")
    real, begun, go_on = os.fsync, threading.Event(), threading.Event()

    def fail_once(_: int) -> None:
        begun.set()
        assert go_on.wait(30)
        monkeypatch.setattr(os, "fsync", real)
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(os, "fsync", fail_once)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(made.intents.note, "b/1.dcm")
        assert begun.wait(30)
        second = pool.submit(made.intents.note, "c/1.dcm")
        while made.files() != {"s.1": ["a", "b", "c"]}:  # it has come, and waits for the first
            assert not second.done()
        go_on.set()
        for one in (first, second):
            with pytest.raises(PacsException, match="input/output error"):
                one.result(30)
    made.intents.note("c/1.dcm")
    assert made.files() == {"s.2": ["c"]}  # nothing that the old one has is being stored

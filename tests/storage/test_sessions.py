"""Sessions: who has an archive open, who died with it open, and what it was doing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage import open_archive
from pacs_sdk.storage.upkeep.sessions import SESSIONS_NAME, Purpose, Sessions
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

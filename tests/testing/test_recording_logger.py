from __future__ import annotations

import threading

import pytest

from pacs_sdk.core import Logger
from pacs_sdk.testing import LogEntry, RecordingLogger


def test_it_is_a_logger() -> None:
    """It implements the port, so it can stand wherever a logger is taken."""
    assert isinstance(RecordingLogger(), Logger)


def test_every_entry_is_kept_in_order() -> None:
    """Level, event and fields are as they were given."""
    logger = RecordingLogger()
    logger.debug("first")
    logger.info("second", port=104)
    logger.warning("third", reason="slow")
    logger.error("fourth")
    assert logger.entries == (
        LogEntry("debug", "first"),
        LogEntry("info", "second", {"port": 104}),
        LogEntry("warning", "third", {"reason": "slow"}),
        LogEntry("error", "fourth"),
    )
    assert logger.events == ("first", "second", "third", "fourth")
    assert repr(logger) == "<RecordingLogger of 4 entries>"


def test_bound_loggers_share_the_record() -> None:
    """A bound logger adds its fields and writes to the same record; an entry's own win."""
    logger = RecordingLogger()
    association = logger.bind(peer="A", port=1)
    deeper = association.bind(port=2)
    deeper.info("x", port=3)
    association.info("y")
    logger.info("z")
    assert [entry.fields for entry in logger.entries] == [
        {"peer": "A", "port": 3},
        {"peer": "A", "port": 1},
        {},
    ]
    assert deeper.entries == logger.entries


def test_entries_can_be_picked() -> None:
    """By event and by facts, or by how important they are."""
    logger = RecordingLogger()
    for number in range(3):
        logger.info("stored", number=number, even=number % 2 == 0)
    logger.error("failed", reason=None)
    assert [entry.fields["number"] for entry in logger.named("stored", even=True)] == [0, 2]
    assert logger.named("stored", no_such_fact=None) == ()
    assert len(logger.named("failed", reason=None)) == 1
    assert [entry.event for entry in logger.at_least("warning")] == ["failed"]
    assert len(logger.at_least("debug")) == 4
    logger.clear()
    assert logger.entries == ()


def test_waiting_for_what_another_thread_logs() -> None:
    """``wait_for`` returns as soon as the event with these facts is there."""
    logger = RecordingLogger()
    waiting = threading.Event()

    def work() -> None:
        waiting.wait(10)
        logger.info("stored", uid="1.1")
        logger.bind(uid="1.2").info("stored")

    worker = threading.Thread(target=work)
    worker.start()
    waiting.set()
    entry = logger.wait_for("stored", uid="1.2")
    worker.join()
    assert entry == LogEntry("info", "stored", {"uid": "1.2"})
    assert logger.wait_for("stored", timeout_s=0).fields == {"uid": "1.1"}


def test_an_event_that_never_comes() -> None:
    """The error names what was waited for and what came instead."""
    logger = RecordingLogger()
    with pytest.raises(TimeoutError, match=r"no 'stored'.*nothing"):
        logger.wait_for("stored", timeout_s=0)
    logger.info("association-accepted")
    with pytest.raises(TimeoutError, match=r"no 'stored' \{'uid': '1'\}.*association-accepted"):
        logger.wait_for("stored", timeout_s=0.01, uid="1")


def test_entries_of_many_threads_are_all_kept() -> None:
    """Threads may log at the same time."""
    logger = RecordingLogger()

    def work(number: int) -> None:
        for count in range(100):
            logger.bind(number=number).info("x", count=count)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(logger.entries) == 800
    for number in range(8):
        counts = [entry.fields["count"] for entry in logger.named("x", number=number)]
        assert counts == list(range(100))

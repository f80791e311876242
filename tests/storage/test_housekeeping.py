"""What an archive does by itself now and then."""

from __future__ import annotations

import threading

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success
from pacs_sdk.storage.upkeep.housekeeping import Chore, Housekeeping
from pacs_sdk.testing import RecordingLogger


def test_chores_are_done_again_and_again_until_the_end() -> None:
    """In a thread of its own; closing waits for what is being done."""
    times = threading.Semaphore(0)

    def do() -> PacsResult[object]:
        times.release()
        return Success(None)

    with Housekeeping([Chore("count", do)], interval_s=0.001) as keeping:
        for _ in range(3):
            assert times.acquire(timeout=10)
    keeping.close()
    assert not any(one.name == "pacs-housekeeping" for one in threading.enumerate())


def test_what_fails_is_logged_and_hinders_nothing() -> None:
    """Neither a failure nor a defect keeps the other chores from being done."""
    logger = RecordingLogger()
    done: list[str] = []

    def fail() -> PacsResult[object]:
        return Failure(PacsError(ErrorCode.INDEX_FAILED, "the disk is full"))

    def break_down() -> PacsResult[object]:
        raise ZeroDivisionError("oops")

    def work() -> PacsResult[object]:
        done.append("work")
        return Success(None)

    chores = [Chore("a", fail), Chore("b", break_down), Chore("c", work)]
    Housekeeping(chores, logger=logger).do_all()
    assert done == ["work"]
    (failed,) = logger.named("chore-failed")
    (broke,) = logger.named("chore-broke")
    assert failed.has({"chore": "a", "reason": "the disk is full"})
    assert broke.has({"chore": "b"})


def test_starting_and_closing_twice() -> None:
    """There is one thread, and closing what never began is no harm."""
    keeping = Housekeeping([], interval_s=1000)
    keeping.close()
    started = Housekeeping([], interval_s=1000).start()
    thread = started._thread
    assert started.start()._thread is thread
    started.close()
    started.close()


@pytest.mark.parametrize("interval_s", [0, -1])
def test_it_has_to_rest(interval_s: float) -> None:
    """Without a rest it would do nothing else."""
    with pytest.raises(PacsException) as caught:
        Housekeeping([], interval_s)
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION

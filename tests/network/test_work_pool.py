"""The pool of the asyncio server: few threads, in order, and none that keeps a program alive."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from pacs_sdk.network.asyncio.work_pool import WorkPool


def test_a_job_gives_its_result_or_its_exception() -> None:
    """As any executor does, with positional and keyword arguments."""

    def divided(number: int, *, by: int) -> float:
        return number / by

    pool = WorkPool(1, "test")
    assert pool.submit(divided, 6, by=2).result(10) == 3
    with pytest.raises(ZeroDivisionError):
        pool.submit(divided, 6, by=0).result(10)
    with pytest.raises(SystemExit):
        pool.submit(sys.exit, 1).result(10)
    assert pool.submit(divided, 4, by=2).result(10) == 2
    pool.shutdown()


def test_one_thread_serves_one_job_after_the_other() -> None:
    """A thread that has finished is taken before another is started."""
    pool = WorkPool(8, "test")
    names = {pool.submit(lambda: threading.current_thread().name).result(10) for _ in range(20)}
    pool.shutdown()
    assert len(names) <= 2  # the first may not be back yet when the second job comes
    assert "test_0" in names


def test_as_many_jobs_at_a_time_as_threads() -> None:
    """Three meet in three threads; a fourth has to wait for one of them."""
    pool = WorkPool(3, "test")
    meeting, go_on = threading.Barrier(4), threading.Event()
    order: list[str] = []

    def meet() -> None:
        meeting.wait(10)
        go_on.wait(10)
        order.append("met")

    met = [pool.submit(meet) for _ in range(3)]
    fourth = pool.submit(order.append, "fourth")
    meeting.wait(10)
    assert not fourth.done()
    go_on.set()
    for future in (*met, fourth):
        future.result(10)
    pool.shutdown()
    assert "fourth" in order[1:]


def test_a_pool_tells_whether_a_thread_is_wanted() -> None:
    """Only while a job waits and no further thread may be started."""
    pool = WorkPool(2, "test")
    meeting, go_on = threading.Barrier(3), threading.Event()

    def meet() -> None:
        meeting.wait(10)
        go_on.wait(10)

    assert not pool.is_wanted
    met = [pool.submit(meet) for _ in range(2)]
    meeting.wait(10)
    assert not pool.is_wanted
    third = pool.submit(int)
    assert pool.is_wanted
    go_on.set()
    for future in (*met, third):
        future.result(10)
    pool.shutdown()
    assert not pool.is_wanted


def test_a_thread_that_waits_for_somebody_else_lends_its_place() -> None:
    """Another one carries out what was given before and meanwhile; whoever is too many then ends."""
    pool = WorkPool(1, "test")
    begun, lend, go_on = (threading.Event() for _ in range(3))

    def wait() -> threading.Thread:
        begun.set()
        assert lend.wait(10)
        with pool.lent():
            assert go_on.wait(10)
        return threading.current_thread()

    waiting = pool.submit(wait)
    assert begun.wait(10)
    before = pool.submit(threading.current_thread)
    assert pool.is_wanted
    lend.set()
    other = before.result(10)
    assert pool.submit(threading.current_thread).result(10) is other
    assert not pool.is_wanted
    go_on.set()
    back = waiting.result(10)
    back.join(10)
    assert not back.is_alive()
    assert pool.submit(threading.current_thread).result(10) is other
    pool.shutdown()


def test_a_place_is_lent_although_there_is_no_thread_to_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The job waits as it would have without."""

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pool = WorkPool(1, "test")
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> bool:
        begun.set()
        assert go_on.wait(10)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            with pool.lent():
                return True

    waiting = pool.submit(wait)
    assert begun.wait(10)
    second = pool.submit(int)
    go_on.set()
    assert waiting.result(10)
    assert second.result(10) == 0
    pool.shutdown()


def test_a_shutdown_lets_waiting_jobs_finish_and_takes_no_more() -> None:
    """What was given is done; what comes later is refused."""
    pool = WorkPool(1, "test")
    begun, go_on = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        go_on.wait(10)

    pool.submit(first)
    waiting = pool.submit(lambda: 7)
    assert begun.wait(10)
    pool.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(int)
    go_on.set()
    assert waiting.result(10) == 7
    pool.shutdown()


def test_a_shutdown_may_leave_waiting_jobs_undone() -> None:
    """They are cancelled, and the thread ends."""
    pool = WorkPool(1, "test")
    begun, go_on = threading.Event(), threading.Event()

    def first() -> bool:
        begun.set()
        return go_on.wait(10)

    running, waiting = pool.submit(first), pool.submit(int)
    assert begun.wait(10)
    pool.shutdown(wait=False, cancel_futures=True)
    go_on.set()
    assert running.result(10)
    with pytest.raises(CancelledError):
        waiting.result(10)
    pool.shutdown()
    assert not pool.is_wanted


def test_no_thread_to_be_had_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job is not left waiting for nobody."""

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pool = WorkPool(2, "test")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="can't start"):
            pool.submit(int)
    assert pool.submit(int).result(10) == 0
    pool.shutdown()


PROGRAM = """
import threading
from pacs_sdk.network import BackgroundServer, DicomServer, FunctionService, Peer, ServerConfig
from pacs_sdk.network import ClientTimeouts, asyncio, server_base, threaded
from pacs_sdk.network.dimse import CEchoRQ
from pacs_sdk.services import VerificationScu

begun = threading.Event()
service = FunctionService(["1.2.840.10008.1.1"])

@service.handles(CEchoRQ)
def echo(request):
    begun.set()
    threading.Event().wait()

threaded.server.LAST_WAIT_S = asyncio.loop_server.LAST_WAIT_S = 0.05
for kind in (DicomServer, BackgroundServer):
    begun.clear()
    server = kind(ServerConfig(port=0), [service]).start().unwrap()
    peer = Peer(server.host, server.port)
    scu = VerificationScu(timeouts=ClientTimeouts(dimse_s=0.1))
    assert scu.check(peer).unwrap().state == "timed-out"
    assert begun.is_set()
    server.stop(0.05)
print("ended")
"""


@pytest.mark.slow
def test_a_program_ends_although_a_handler_never_does() -> None:
    """With either driver: no thread of a server keeps the interpreter alive."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ended\n"

"""Worker processes on one port: all serve, the crashed are replaced, none is left behind."""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.network import worker_process
from pacs_sdk.network.shared_port import reserve_port
from pacs_sdk.network.worker_process import WorkerContext
from pacs_sdk.network.workers import RestartPolicy, StartWorker, WorkerGroup, WorkerGroupConfig
from pacs_sdk.testing import FakeClock, RecordingLogger

ROOT: Final = Path(__file__).parents[2]
WAIT_S: Final = 30.0
"""Far longer than anything here takes."""


class HurriedClock(FakeClock):
    """A clock that can be made to jump by so many seconds each time somebody looks at it."""

    step_s = 0.0

    def monotonic(self) -> float:
        """Return the time before the jump."""
        now = super().monotonic()
        self.advance(self.step_s)
        return now


# -- what the workers do ---------------------------------------------------------------------


@contextmanager
def listening(context: WorkerContext) -> Iterator[socket.socket]:
    """Listen as a worker has to."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((context.host, context.port))
        listener.listen()
        yield listener


def answering(context: WorkerContext) -> None:
    """Tell everybody the process number; to ``exit``, end without a word."""

    def answer(listener: socket.socket) -> None:
        while True:
            connected, _ = listener.accept()
            with connected:
                if connected.recv(4) == b"exit":
                    os._exit(3)
                connected.sendall(str(os.getpid()).encode())

    with listening(context) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        context.ready()
        context.wait_for_stop()


def finishing(context: WorkerContext) -> None:
    """Take one request, and answer it when told to stop."""
    with listening(context) as listener:
        context.ready()
        connected, _ = listener.accept()
        with connected:
            connected.sendall(b"begun")
            left_s = context.wait_for_stop()
            connected.sendall(f"finished within {left_s:g} s".encode())


def never_ending(context: WorkerContext) -> None:
    """Be told to stop and go on."""
    context.ready()
    context.wait_for_stop()
    threading.Event().wait()


def never_ready(context: WorkerContext) -> None:
    """Do nothing but wait for the end."""
    context.wait_for_stop()


def failing(context: WorkerContext) -> None:
    """Fail as the second worker, in words."""
    if context.number == 2:
        raise PacsException(ErrorCode.INDEX_FAILED, "the index is locked", path="index.sqlite")
    answering(context)


def raising(context: WorkerContext) -> None:
    """Fail with an exception that nobody named."""
    raise ValueError(f"worker {context.number} has a bug")


def returning(context: WorkerContext) -> None:
    """Return, although nothing has been done."""


def holding(lock: object, context: WorkerContext) -> None:
    """Be bound to something that belongs to one process."""


def exiting(context: WorkerContext) -> None:
    """End the process on the spot."""
    os._exit(7)


# -- what the tests do -----------------------------------------------------------------------


def group_of(
    count: int,
    start_worker: StartWorker = answering,
    *,
    clock: FakeClock | None = None,
    logger: RecordingLogger | None = None,
    port: int = 0,
) -> WorkerGroup:
    """Describe a group."""
    config = WorkerGroupConfig(count=count, port=port, start_timeout_s=60.0)
    return WorkerGroup(start_worker, config, logger=logger, clock=clock)


def ask(group: WorkerGroup, what: bytes = b"pid?") -> bytes:
    """Say something to whichever worker gets the connection; return its answer."""
    with socket.create_connection((group.host, group.port), WAIT_S) as connected:
        connected.sendall(what)
        return connected.recv(100)


def assert_answered_by(group: WorkerGroup, *pids: int) -> None:
    """Connect until each of these processes has answered, and no other."""
    missing = set(pids)
    for _ in range(500):  # each connection goes to one of them by chance
        answered = int(ask(group))
        assert answered in pids
        missing.discard(answered)
        if not missing:
            return
    pytest.fail(f"{missing} never answered")


def assert_nothing_is_left(group: WorkerGroup) -> None:
    """Check that no process runs and that the port is free for somebody who won't share it."""
    assert multiprocessing.active_children() == []
    assert group.pids == ()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((group.host, group.port))
        other.listen()


# -- serving ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_all_workers_serve_one_port_until_the_stop() -> None:
    """Every worker gets connections of the same port; after the stop none is there."""
    logger = RecordingLogger()
    group = group_of(3, logger=logger)
    with group:
        assert group.is_running
        assert len(set(group.pids)) == 3
        assert os.getpid() not in group.pids
        assert_answered_by(group, *group.pids)
        ready = logger.named("worker-ready")
        assert {entry.fields["pid"] for entry in ready} == set(group.pids)
        assert {entry.fields["worker"] for entry in ready} == {1, 2, 3}
    assert not group.is_running
    assert_nothing_is_left(group)
    assert logger.events[-1] == "workers-stopped"
    assert logger.at_least("warning") == ()


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_service_goes_on() -> None:
    """The other worker answers at once, the new one as soon as it is ready."""
    logger = RecordingLogger()
    with group_of(2, logger=logger) as group:
        killed, other = group.pids
        logger.clear()
        os.kill(killed, signal.SIGKILL)
        ended = logger.wait_for("worker-ended", timeout_s=WAIT_S)
        assert ended.level == "error"
        assert ended.fields["reason"] == "it ended unasked: SIGKILL"
        assert ended.fields["restart_in_s"] == 0.0
        assert int(ask(group)) in {other, *group.pids}
        new = logger.wait_for("worker-ready", timeout_s=WAIT_S, worker=1).fields["pid"]
        assert new not in (killed, other)
        assert group.pids == (new, other)
        assert_answered_by(group, *group.pids)
    assert_nothing_is_left(group)


@pytest.mark.slow
def test_a_worker_that_crashes_again_and_again_has_to_wait() -> None:
    """The first crash is repaired at once, the next ones later and later, until it is well."""
    logger, clock = RecordingLogger(), FakeClock()
    with group_of(1, logger=logger, clock=clock) as group:
        for crashes, delay_s, lived_s in ((1, 0.0, 0.0), (2, 0.5, 59.0), (1, 0.0, 60.0)):
            clock.advance(lived_s)
            logger.clear()
            assert ask(group, b"exit") == b""
            ended = logger.wait_for("worker-ended", timeout_s=WAIT_S)
            assert ended.fields["reason"] == "it ended unasked: exit code 3"
            assert (ended.fields["crashes"], ended.fields["restart_in_s"]) == (crashes, delay_s)
            clock.advance(delay_s)
            logger.wait_for("worker-ready", timeout_s=WAIT_S)
            assert_answered_by(group, *group.pids)


@pytest.mark.slow
def test_a_worker_knows_its_signals() -> None:
    """Ctrl-C is for the group, whose terminal sends it to all; SIGTERM ends one, gracefully."""
    logger = RecordingLogger()
    with group_of(1, logger=logger) as group:
        (first,) = group.pids
        os.kill(first, signal.SIGINT)
        assert_answered_by(group, first)
        logger.clear()
        os.kill(first, signal.SIGTERM)
        ended = logger.wait_for("worker-ended", timeout_s=WAIT_S)
        assert ended.fields["reason"] == "it ended unasked: exit code 0"
        logger.wait_for("worker-ready", timeout_s=WAIT_S)
        assert group.pids != (first,)


def test_the_waits_double_up_to_a_limit() -> None:
    """One crash is no reason to wait; many can't make the wait longer than allowed."""
    policy = RestartPolicy(first_delay_s=0.5, max_delay_s=3.0)
    assert [policy.delay_s(n) for n in range(1, 7)] == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]
    assert policy.delay_s(10_000) == 3.0


# -- stopping --------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_a_worker_has_begun_it_finishes() -> None:
    """It learns how long it may take; the stop waits for it, and is not held up by others."""
    group = group_of(1, finishing).start().unwrap()
    with socket.create_connection((group.host, group.port), WAIT_S) as connected:
        assert connected.recv(100) == b"begun"
        group.stop(12.5)
        assert connected.recv(100) == b"finished within 12.5 s"
    assert_nothing_is_left(group)
    group.stop()


@pytest.mark.slow
def test_a_worker_that_does_not_stop_is_killed() -> None:
    """The stop does not hang; what was killed is logged with its process number."""
    logger, clock = RecordingLogger(), HurriedClock()
    group = group_of(1, never_ending, logger=logger, clock=clock).start().unwrap()
    (pid,) = group.pids
    clock.step_s = 100.0
    group.stop()
    (killed,) = logger.named("worker-killed")
    assert killed.fields["pid"] == pid
    assert logger.named("workers-stopped", killed=1)
    assert_nothing_is_left(group)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, None], ids=["killed", "ended"])
def test_workers_do_not_outlive_the_program(number: signal.Signals | None) -> None:
    """Killed, it leaves workers that notice by themselves; when it ends, it stops the group.

    The workers have inherited its stdout, so that ends only when the last of them has.
    """
    program = """
import sys
from tests.network.test_workers import group_of
group = group_of(2).start().unwrap()
print(group.port, *group.pids, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        port, *pids = map(int, running.stdout.readline().split())
        assert len(pids) == 2
        socket.create_connection(("127.0.0.1", port), WAIT_S).close()
        if number is not None:
            running.send_signal(number)
        rest, _ = running.communicate(timeout=WAIT_S)  # closes stdin
        assert rest == ""
        assert running.returncode == (0 if number is None else -number)
    with pytest.raises(ConnectionRefusedError):  # noqa: PT012  # see the comment
        for _ in range(10_000):  # a process that ends closes stdout first, its port just after
            socket.create_connection(("127.0.0.1", port), WAIT_S).close()


def test_an_abandoned_worker_that_hangs_ends_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would kill it, and it would keep the port from the group's successor."""
    exits: list[int] = []
    exited = threading.Event()

    def exit_process(code: int) -> None:
        exits.append(code)
        exited.set()

    monkeypatch.setattr(worker_process, "DEFAULT_STOP_S", 0.0)
    monkeypatch.setattr(worker_process, "EXIT_GRACE_S", 0.0)
    monkeypatch.setattr(os, "_exit", exit_process)
    groups_end, workers_end = multiprocessing.Pipe()
    read_end, write_end = os.pipe()
    context = WorkerContext(1, "127.0.0.1", 104, workers_end)
    context.watch_in_background(read_end)
    assert not context.is_stopping
    groups_end.close()
    assert context.wait_for_stop() == 0.0
    assert exited.wait(WAIT_S)
    assert exits == [1]
    context.ready()  # speaking to nobody is no error
    workers_end.close()
    os.close(read_end)
    os.close(write_end)


# -- failing to start ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start_worker", "code", "message"),
    [
        (failing, ErrorCode.INDEX_FAILED, "worker 2 did not start: the index is locked"),
        (raising, ErrorCode.INTERNAL, "did not start: ValueError: worker "),
        (returning, ErrorCode.INTERNAL, "did not start: the worker returned before it was ready"),
        (exiting, ErrorCode.INTERNAL, "it ended before it was ready: exit code 7"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_worker_that_cannot_start_fails_the_group(
    start_worker: StartWorker, code: ErrorCode, message: str
) -> None:
    """The failure has the worker's code and words; the workers that had started are stopped."""
    group = group_of(2, start_worker)
    failure = group.start().failure()
    assert failure.code is code
    assert message in failure.message
    if start_worker is failing:
        assert failure.details == {"path": "index.sqlite"}
    assert not group.is_running
    assert_nothing_is_left(group)


@pytest.mark.slow
def test_a_worker_that_is_never_ready_is_not_waited_for_forever() -> None:
    """It is killed at its deadline, and the start fails."""
    clock = HurriedClock()
    clock.step_s = 100.0
    group = group_of(1, never_ready, clock=clock)
    failure = group.start().failure()
    assert failure.code is ErrorCode.INTERNAL
    assert failure.message.endswith("it was not ready after 60 s and was killed")
    assert_nothing_is_left(group)


@pytest.mark.slow
def test_a_group_is_started_once_and_its_port_is_its_own() -> None:
    """A second start, of the same group or of another on its port, changes nothing."""
    with group_of(1) as group:
        assert group.start().failure().code is ErrorCode.PROTOCOL_MISUSE
        failure = group_of(1, port=group.port).start().failure()
        assert failure.code is ErrorCode.PORT_UNAVAILABLE
        assert f"127.0.0.1 port {group.port}: Address already in use" in failure.message
        assert_answered_by(group, *group.pids)


def test_a_function_that_cannot_travel_is_refused() -> None:
    """A function within a function can't be handed to another process; that is said at once."""

    def local(context: WorkerContext) -> None:
        """Never run."""

    for start_worker in (local, functools.partial(holding, threading.Lock())):
        failure = group_of(1, start_worker).start().failure()
        assert failure.code is ErrorCode.INVALID_ARGUMENT
        assert "cannot be handed to another process" in failure.message


def test_an_impossible_configuration_is_refused() -> None:
    """No workers, and waits of no time between crashes, are configuration errors."""
    with pytest.raises(PacsException, match="0 workers can serve nobody") as caught:
        WorkerGroupConfig(count=0)
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION
    for first_s, longest_s in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(PacsException, match="first_delay_s must be above 0"):
            RestartPolicy(first_delay_s=first_s, max_delay_s=longest_s)


# -- the port --------------------------------------------------------------------------------


def test_a_reserved_port_is_shared_with_those_who_share_only() -> None:
    """Servers that share it may listen, others may not, whether or not anybody listens yet."""

    def bind(port: int, *options: int) -> socket.socket:
        bound = socket.socket()
        try:
            for option in options:
                bound.setsockopt(socket.SOL_SOCKET, option, 1)
            bound.bind(("127.0.0.1", port))
        except BaseException:
            bound.close()
            raise
        return bound

    with reserve_port("127.0.0.1", 0) as reserved:
        port = reserved.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), WAIT_S)
        for _ in range(2):
            with pytest.raises(OSError, match="Address already in use"):
                bind(port, socket.SO_REUSEADDR)
            with pytest.raises(PacsException, match="Address already in use"):
                reserve_port("127.0.0.1", port)
            with (
                bind(port, socket.SO_REUSEADDR, socket.SO_REUSEPORT) as one,
                bind(port, socket.SO_REUSEPORT) as two,
            ):
                one.listen()
                two.listen()
                with socket.create_connection(("127.0.0.1", port), WAIT_S):
                    pass


@pytest.mark.parametrize(("host", "port"), [("nowhere.invalid", 0), ("127.0.0.1", 70_000)])
def test_an_address_that_cannot_be_is_refused_in_words(host: str, port: int) -> None:
    """Bad configuration is a failure, not an exception."""
    failure = WorkerGroup(answering, WorkerGroupConfig(host=host, port=port)).start().failure()
    assert failure.code is ErrorCode.PORT_UNAVAILABLE
    assert f"cannot listen on {host} port {port}" in failure.message


def test_a_system_without_shared_ports_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a way out: one process."""
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    failure = group_of(2).start().failure()
    assert failure.code is ErrorCode.OPERATION_NOT_SUPPORTED
    assert "SO_REUSEPORT" in failure.message


def test_an_error_survives_the_way_between_processes() -> None:
    """Code, words and facts of a worker's error are those its group reports."""
    error = PacsError(ErrorCode.INDEX_FAILED, "locked", {"path": "index.sqlite", "tries": 3})
    assert pickle.loads(pickle.dumps(error)) == error  # noqa: S301  # made in this line

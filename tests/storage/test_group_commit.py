"""One transaction for what several threads want to write at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from pacs_sdk.storage import group_commit
from pacs_sdk.storage.group_commit import GroupCommit, Pending


@attrs.define
class Recorder:
    """Writes numbers by doubling them; waits where a test wants it to."""

    groups: list[tuple[int, ...]] = attrs.field(factory=list)
    entered: threading.Event = attrs.field(factory=threading.Event)
    go_on: threading.Event = attrs.field(factory=threading.Event)

    def write(self, group: Sequence[Pending[int, int]]) -> None:
        """Record a group; the first waits until it may go on."""
        first = not self.groups
        self.groups.append(tuple(one.task for one in group))
        if first:
            self.entered.set()
            assert self.go_on.wait(10)
        for one in group:
            if one.task < 0:
                one.fail(ValueError("negative"))
            else:
                one.succeed(2 * one.task)


def waiting(commit: GroupCommit[int, int], count: int) -> bool:
    """Tell whether so many tasks wait."""
    return len(commit._queue) == count


def test_one_alone_is_written_at_once() -> None:
    """Nobody waits for company."""
    recorder = Recorder()
    recorder.go_on.set()
    commit = GroupCommit(recorder.write)
    assert [commit.run(1), commit.run(2)] == [2, 4]
    assert recorder.groups == [(1,), (2,)]


@pytest.mark.parametrize(
    ("at_most", "groups"), [(10, [(0,), (1, 2, 3)]), (2, [(0,), (1, 2), (3,)])]
)
def test_those_who_come_meanwhile_are_one_group(
    at_most: int, groups: list[tuple[int, ...]]
) -> None:
    """They are written together, in their order, by one of them; a long queue in parts."""
    recorder = Recorder()
    commit = GroupCommit(recorder.write, at_most)
    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(commit.run, 0)]
        assert recorder.entered.wait(10)
        for number in (1, 2, 3):
            results.append(pool.submit(commit.run, number))
            while not waiting(commit, number):
                pass
        recorder.go_on.set()
        assert [result.result(10) for result in results] == [0, 2, 4, 6]
    assert recorder.groups == groups


@attrs.define
class Gathered:
    """A group commit whose time a test tells, and what others bring while its leader waits."""

    took: float = 0.0
    waits: list[float] = attrs.field(factory=list)
    groups: list[int] = attrs.field(factory=list)
    coming: list[int] = attrs.field(factory=list)
    now: float = 0.0

    def write(self, group: Sequence[Pending[int, int]]) -> None:
        """Take the time that is told."""
        self.groups.append(len(group))
        self.now += self.took
        for one in group:
            one.succeed(one.task)

    def commit(self, pool: ThreadPoolExecutor) -> GroupCommit[int, int]:
        """Make it; what is coming comes whenever somebody waits."""

        def sleep(seconds: float) -> None:
            self.waits.append(seconds)
            waiting = len(made._queue)
            for number, task in enumerate(self.coming, 1):
                pool.submit(made.run, task)
                while len(made._queue) < waiting + number:
                    pass

        made = GroupCommit(self.write, gathering=0.1, timer=lambda: self.now, sleep=sleep)
        return made


@pytest.mark.parametrize(
    ("took", "waits"), [(0.02, [0.002]), (9.0, [0.005]), (0.0009, [])], ids=["slow", "held", "fast"]
)
def test_company_is_waited_for_where_a_group_takes_long(took: float, waits: list[float]) -> None:
    """For a tenth of what the last one took, and 5 ms at most; not where that is next to nothing."""
    with ThreadPoolExecutor(8) as pool:
        gathered = Gathered(took)
        commit = gathered.commit(pool)
        commit.run(1)
        commit.run(2)
        assert gathered.waits == []  # nobody was there
        commit._wait_s = 1.0
        gathered.coming = [3, 4, 5]
        assert commit.run(6) == 6
        gathered.waits.clear()
        assert commit.run(7) == 7
        assert gathered.waits == pytest.approx(waits)
        assert gathered.groups == [1, 1, 4, 4 if waits else 1]
        gathered.coming = []
        commit.run(8)
        gathered.waits.clear()
        commit.run(9)
        assert gathered.waits == []  # they have gone


def test_each_has_its_own_failure() -> None:
    """What is wrong with one task is raised to the thread that brought it, and to no other."""
    recorder = Recorder()
    recorder.go_on.set()
    commit = GroupCommit(recorder.write)
    with pytest.raises(ValueError, match="negative"):
        commit.run(-1)
    assert commit.run(4) == 8


def test_a_writer_that_breaks_leaves_nobody_waiting() -> None:
    """Each of the group fails with what it raised; the next group is written."""
    recorder = Recorder()
    broken = threading.Event()

    def write(group: Sequence[Pending[int, int]]) -> None:
        recorder.write(group)
        if len(group) > 1:
            for one in group:
                one._finished = False
            broken.set()
            raise OSError("gone")

    commit = GroupCommit(write, at_most=2)
    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(commit.run, 0)]
        assert recorder.entered.wait(10)
        for number in (1, 2, 3):
            results.append(pool.submit(commit.run, number))
            while not waiting(commit, number):
                pass
        recorder.go_on.set()
        assert results[0].result(10) == 0
        for failed in results[1:3]:
            with pytest.raises(OSError, match="gone"):
                failed.result(10)
        assert results[3].result(10) == 6
    assert broken.is_set()


def test_a_thread_that_is_interrupted_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C while waiting: its task is withdrawn, and who comes after it is written."""
    recorder = Recorder()
    commit = GroupCommit(recorder.write, at_most=1)
    interrupted = threading.Event()

    class Interrupted:
        """Promoted to lead, and interrupted at that moment."""

        def __init__(self) -> None:
            self._event = threading.Event()

        def acquire(self) -> None:
            self._event.wait()
            interrupted.set()
            raise KeyboardInterrupt

        def release(self) -> None:
            self._event.set()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(commit.run, 0)
        assert recorder.entered.wait(10)
        with monkeypatch.context() as patched:
            patched.setattr(group_commit, "_held_lock", Interrupted)
            second = pool.submit(commit.run, 1)
            while not waiting(commit, 1):
                pass
        third = pool.submit(commit.run, 2)
        while not waiting(commit, 2):
            pass
        recorder.go_on.set()
        assert first.result(10) == 0
        assert third.result(10) == 4
        with pytest.raises(KeyboardInterrupt):
            second.result(10)
    assert interrupted.is_set()
    assert recorder.groups == [(0,), (2,)]


def test_many_threads_lose_nothing() -> None:
    """Every task is written exactly once, and each thread gets its own outcome."""
    written: list[int] = []

    def write(group: Sequence[Pending[int, int]]) -> None:
        for one in group:
            written.append(one.task)
            one.succeed(-one.task)

    commit = GroupCommit(write, at_most=3)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(commit.run, range(1, 2001))) == [-one for one in range(1, 2001)]
    assert sorted(written) == list(range(1, 2001))

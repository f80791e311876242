"""Frames in several threads: each once, by whoever is free, and nothing goes on after an error."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.encoding.pixel_data.parallel import decode_each


@given(st.integers(0, 40), st.integers(1, 5))
def test_each_frame_once(frames: int, threads: int) -> None:
    """However many frames and threads there are."""
    done: Counter[int] = Counter()
    decode_each(lambda index: done.update([index]), frames, threads)
    assert done == Counter(range(frames))


def test_neighbours_belong_to_one_thread() -> None:
    """Two threads begin far from each other, so that they write to pages of their own."""
    together = threading.Barrier(2, timeout=30)
    first: dict[str, int] = {}

    def decode(index: int) -> None:
        name = threading.current_thread().name
        if name not in first:
            first[name] = index
            together.wait()

    decode_each(decode, 8, 2)
    assert sorted(first.values()) == [0, 4]


def test_who_is_done_helps() -> None:
    """A thread whose run is over takes frames of another that is held up."""
    others_done = threading.Event()
    done: list[int] = []

    def decode(index: int) -> None:
        if index == 0:
            assert others_done.wait(30)
        done.append(index)
        if len(done) == 7:
            others_done.set()

    decode_each(decode, 8, 2)
    assert sorted(done) == list(range(8))
    assert done[-1] == 0


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_an_error_ends_the_work(threads: int, problem: type[BaseException]) -> None:
    """What is raised reaches the caller once all threads have ended."""
    before = threading.active_count()

    def decode(index: int) -> None:
        if index % 5 == 3:
            raise problem(index)

    with pytest.raises(problem):
        decode_each(decode, 1000, threads)
    assert threading.active_count() == before


def test_an_error_of_another_thread_stops_the_caller() -> None:
    """The caller's own run is left when a helper fails."""
    helper: list[threading.Thread] = []
    both = threading.Barrier(2, timeout=30)
    seen: list[int] = []

    def decode(index: int) -> None:
        if index >= 50:
            helper.append(threading.current_thread())
            both.wait()
            raise LookupError(index)
        both.wait()
        helper[0].join(30)
        seen.append(index)

    with pytest.raises(LookupError, match="50"):
        decode_each(decode, 100, 2)
    assert seen == [0]

"""Work on many frames in several threads; the decoders let go of the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import chain, pairwise
from threading import Thread
from typing import Final

__all__ = ["MAX_THREADS", "decode_each"]

MAX_THREADS: Final = 32
"""More threads than this only add to the memory that decoders take."""


def decode_each(decode: Callable[[int], None], frames: int, threads: int | None) -> None:
    """Call ``decode`` with 0 to ``frames - 1``.

    Args:
        decode: Decodes one frame and keeps the result.
        frames: How many there are.
        threads: How many may run at once; the number of processors where it isn't given.

    Raises:
        BaseException: What one of the calls raised, of several that of the lowest number
            among those that ran; calls that had not begun are left out.
    """
    allowed = _processors() if threads is None else threads
    workers = max(1, min(allowed, frames, MAX_THREADS))
    if workers == 1:
        for index in range(frames):
            decode(index)
        return
    # Each thread has a run of frames of its own, and helps with the others' when it is done.
    # If they took turns, two would touch the same new page of memory at a time, and the
    # system would clear it twice: pages have 2 MiB where the array is large.
    bounds = [frames * part // workers for part in range(workers + 1)]
    runs = [iter(range(*ends)) for ends in pairwise(bounds)]
    failures: dict[int, BaseException] = {}

    def work(number: int) -> None:
        for index in chain(*runs[number:], *runs[:number]):
            if failures:
                return
            try:
                decode(index)
            except BaseException as exc:  # noqa: BLE001  # raised again in the caller's thread
                failures[index] = exc

    helpers = [
        Thread(target=work, args=(number,), name=f"pacs-decode-{number}")
        for number in range(1, workers)
    ]
    try:
        for helper in helpers:
            helper.start()
        work(0)
        _join(helpers)
    except BaseException as exc:  # noqa: BLE001  # Ctrl-C: the helpers stop, then it is raised
        failures[-1] = exc
        _join(helpers)
    if failures:
        raise failures[min(failures)]


def _join(helpers: list[Thread]) -> None:
    for helper in helpers:
        if helper.ident is not None:  # it was started
            helper.join()


def _processors() -> int:
    """Count the processors this process may use, or all where the system can't say."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1

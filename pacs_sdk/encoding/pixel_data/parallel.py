"""Work on many frames in several threads; the decoders let go of the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import count
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
    numbers = count()
    failures: dict[int, BaseException] = {}

    def work() -> None:
        while not failures and (index := next(numbers)) < frames:
            try:
                decode(index)
            except BaseException as exc:  # noqa: BLE001  # raised again in the caller's thread
                failures[index] = exc

    with ThreadPoolExecutor(workers, thread_name_prefix="pacs-decode") as pool:
        try:
            wait([pool.submit(work) for _ in range(workers)])
        except BaseException as exc:  # noqa: BLE001  # Ctrl-C: the workers stop, then it is raised
            failures[-1] = exc
    if failures:
        raise failures[min(failures)]


def _processors() -> int:
    """Count the processors this process may use, or all where the system can't say."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1

"""Storing through ``Archive.store``: against the disk's own rate, with one writer and with eight.

The bare rate is that of writing a file of the same size and flushing it (``fsync``), one after
another: no name is made durable, nothing is indexed. What is stored is in memory, as what comes
by the network is. Each measurement has a process of its own, as an archive has that serves, so
that nobody has the memory and the threads of those before. The rate of a full index is that of adding
rows to one of a million instances. Give the folder the disk that is to be measured (``TMPDIR``).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from unittest import mock

from benchmarks.harness import Figure, scaled
from benchmarks.index_queries import fill_index
from benchmarks.own_process import MadeInstances, in_own_process
from pacs_sdk.encoding import Instance
from pacs_sdk.storage import (
    Durability,
    IndexDatabase,
    IndexEntry,
    InstanceIdentity,
    index_url,
    open_archive,
)
from pacs_sdk.storage.objects.block_writer import DirectWriter

__all__ = ["figures", "in_turns"]

_T = TypeVar("_T")

_DURABLE = 2000
_RELAXED = 4000
_SMALL_SIDE = 68
_WRITERS = 8
_SLOWER_S = 0.002
_EMPTY_FILES = 200
_SLOW_EMPTY_FILES = 20_000
"""Empty files a second; a quiet ext4 makes over 100,000, but 3,000 after many were removed."""
_BARE = "a file written and flushed, one after another"
_ROUNDS = 6
_FULL = (1_000, 100_000)
"""Studies in an index of 10,000 and of 1,000,000 instances."""


def figures() -> Iterator[Figure]:
    """Measure in turns, six rounds; each begins with an empty archive.

    Nothing is removed before the end: ext4 makes new files slowly for minutes after others were.
    """
    with tempfile.TemporaryDirectory() as folder:
        yield from _empty_files(Path(folder))
        yield from _against_the_disk(Path(folder))
        yield from _against_a_slower_disk(Path(folder))
        yield from _relaxed(Path(folder))
    yield from _full_index()


def _empty_files(folder: Path) -> Iterator[Figure]:
    """Tell whether the other figures are worth anything here."""
    place = _new(folder)
    begin = time.perf_counter()
    for number in range(_EMPTY_FILES):
        os.close(os.open(f"{place}/{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    rate = _EMPTY_FILES / (time.perf_counter() - begin)
    slow = "; files were removed a moment ago? See speed.md" if rate < _SLOW_EMPTY_FILES else ""
    yield Figure(f"an empty file made{slow}", f"{rate:,.0f} /s")


def _against_the_disk(folder: Path) -> Iterator[Figure]:
    for what, side, count in (("10 KB", _SMALL_SIDE, _DURABLE), ("525 KB", 512, _DURABLE // 20)):
        images = MadeInstances(scaled(count), side)
        contestants = {
            _BARE: in_own_process(_bare_rate, folder, images),
            "the steps of an atomic put alone: spool, flush, link, flush the folder": in_own_process(
                _steps_rate, folder, images, 1
            ),
            f"the same steps alone, in {_WRITERS} threads": in_own_process(
                _steps_rate, folder, images, _WRITERS
            ),
            **_durable(folder, images),
            f"durable, {_WRITERS} writers on one processor": in_own_process(
                _bound_rate, folder, images
            ),
        }
        yield from _against_the_first(what, contestants)


def _against_a_slower_disk(folder: Path) -> Iterator[Figure]:
    """Let every flush take as much longer as it does on a disk that is not in a data centre."""
    images = MadeInstances(scaled(_DURABLE // 4), _SMALL_SIDE, around=_slower_flushes)
    yield from _against_the_first(
        f"10 KB, each flush made {_SLOWER_S * 1000:g} ms longer",
        {_BARE: in_own_process(_bare_rate, folder, images), **_durable(folder, images)},
    )


def _durable(folder: Path, images: MadeInstances) -> dict[str, Callable[[], float]]:
    return {
        f"durable, {name}": in_own_process(_rate, folder, images, Durability.DURABLE, writers)
        for name, writers in (("one writer", 1), (f"{_WRITERS} writers", _WRITERS))
    }


def _against_the_first(
    what: str, contestants: Mapping[str, Callable[[], float]]
) -> Iterator[Figure]:
    """Tell rates, and how many times that of the first one they are."""
    rates = in_turns(contestants)
    bare = next(iter(rates.values()))
    for name, rate in rates.items():
        yield Figure(f"{what}: {name}", f"{rate:,.0f} /s ({rate / bare:.2f} ×)")


def _relaxed(folder: Path) -> Iterator[Figure]:
    images = MadeInstances(scaled(_RELAXED), _SMALL_SIDE)
    contestants = {
        "relaxed, 1 writer": in_own_process(_rate, folder, images, Durability.RELAXED, 1),
        f"relaxed, {_WRITERS} writers": in_own_process(
            _rate, folder, images, Durability.RELAXED, _WRITERS
        ),
    }
    for name, measured in in_turns(contestants).items():
        yield Figure(name, f"{measured:,.0f} /s")


def in_turns(contestants: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """Measure each once a round, and return the medians.

    Every round begins with another one and goes the other way round: where a disk is fast until
    so much was written, that is not always the luck of the same.
    """
    names = list(contestants)
    rates: dict[str, list[float]] = {name: [] for name in names}
    for number in range(_ROUNDS):
        order = names[::-1] if number % 2 else names
        first = order.index(names[number % len(names)])
        for name in order[first:] + order[:first]:
            rates[name].append(contestants[name]())
    return {name: statistics.median(measured) for name, measured in rates.items()}


def _full_index() -> Iterator[Figure]:
    """Add rows to a small and to a large index, in turns."""
    entries = _entries(scaled(_RELAXED))
    with tempfile.TemporaryDirectory() as folder:
        indexes = []
        for studies in _FULL:
            index = IndexDatabase(index_url(Path(folder) / f"{studies}.sqlite"))
            with index.writing() as connection:
                fill_index(connection, scaled(studies))
            indexes.append(index)
        rates: list[list[float]] = [[] for _ in indexes]
        for index, measured in itertools.islice(
            itertools.cycle(zip(indexes, rates, strict=True)), _ROUNDS * len(indexes)
        ):
            begin = time.perf_counter()
            for entry in entries:
                index.add(entry).unwrap()
            measured.append(len(entries) / (time.perf_counter() - begin))
            for entry in entries:
                index.remove(entry.identity.sop_instance_uid).unwrap()
        for studies, measured in zip(_FULL, rates, strict=True):
            ratio = statistics.median(measured) / statistics.median(rates[0])
            yield Figure(
                f"rows added to an index of {scaled(studies) * 10:,} instances",
                f"{statistics.median(measured):,.0f} /s ({ratio:.2f} ×)",
            )
        for index in indexes:
            index.close()


def _entries(count: int) -> list[IndexEntry]:
    entries = []
    for instance in MadeInstances(count, _SMALL_SIDE).in_memory():
        header = instance.header().unwrap()
        identity = InstanceIdentity.of_header(header)
        key = identity.storage_key
        syntax = instance.transfer_syntax_uid
        entries.append(IndexEntry(identity, header, syntax, key, instance.size + 300, 300))
    return entries


def _new(folder: Path) -> Path:
    """Make a folder, when the disk has nothing left to do for those who were measured before."""
    if hasattr(os, "sync"):
        os.sync()
    return Path(tempfile.mkdtemp(dir=folder))


def _bare_rate(folder: Path, instances: Sequence[Instance]) -> float:
    folder = _new(folder)
    begin = time.perf_counter()
    for number, instance in enumerate(instances):
        descriptor = os.open(f"{folder}/{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, instance.encoded.view())
        os.fsync(descriptor)
        os.close(descriptor)
    return len(instances) / (time.perf_counter() - begin)


def _steps_rate(folder: Path, instances: Sequence[Instance], threads: int) -> float:
    folder = _new(folder)
    spool, place = folder / "spool", folder / "place"
    spool.mkdir()
    place.mkdir()

    def put(number: int) -> None:
        spooled = f"{spool}/{number}"
        descriptor = os.open(spooled, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, instances[number].encoded.view())
        os.fsync(descriptor)
        os.close(descriptor)
        os.link(spooled, f"{place}/{number}")
        os.unlink(spooled)  # noqa: PTH108  # as the storage does it
        descriptor = os.open(place, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    begin = time.perf_counter()
    if threads == 1:
        for number in range(len(instances)):
            put(number)
    else:
        _in_threads(put, range(len(instances)), threads)
    return len(instances) / (time.perf_counter() - begin)


def _rate(
    folder: Path, instances: Sequence[Instance], durability: Durability, writers: int
) -> float:
    with open_archive(_new(folder), durability=durability).unwrap() as archive:
        begin = time.perf_counter()
        if writers == 1:
            for instance in instances:
                archive.store(instance).unwrap()
        else:
            _in_threads(lambda instance: archive.store(instance).unwrap(), instances, writers)
        return len(instances) / (time.perf_counter() - begin)


def _bound_rate(folder: Path, instances: Sequence[Instance]) -> float:
    with _one_processor():
        return _rate(folder, instances, Durability.DURABLE, _WRITERS)


def _in_threads(work: Callable[[_T], object], items: Sequence[_T], threads: int) -> None:
    """Give each thread its part of the items; a failure of one is raised."""

    def take(number: int) -> None:
        for item in items[number::threads]:
            work(item)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(take, range(threads)))


@contextlib.contextmanager
def _slower_flushes() -> Iterator[None]:
    def slower(flush: Callable[[_T], None]) -> Callable[[_T], None]:
        def flushed(what: _T) -> None:
            flush(what)
            time.sleep(_SLOWER_S)

        return flushed

    with (
        mock.patch.object(os, "fsync", slower(os.fsync)),
        mock.patch.object(os, "fdatasync", slower(os.fdatasync)),
        mock.patch.object(DirectWriter, "wait", slower(DirectWriter.wait)),
    ):
        yield


@contextlib.contextmanager
def _one_processor() -> Iterator[None]:
    """Bind threads that are made meanwhile to one processor, where the system can."""
    if sys.platform != "linux":
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)

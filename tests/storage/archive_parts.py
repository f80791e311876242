"""What the tests of the archive share: its parts, looks into it, jobs at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from returns.result import Failure

from pacs_sdk.core.errors import PacsError
from pacs_sdk.core.events import InProcessEventBus, InstanceStored
from pacs_sdk.core.results import PacsResult
from pacs_sdk.encoding import Instance
from pacs_sdk.storage import Archive, DuplicatePolicy, Query
from pacs_sdk.testing import MemoryStorage, RecordingLogger
from tests.storage.entries import open_index

__all__ = [
    "IGNORE",
    "REJECT",
    "REPLACE",
    "Parts",
    "content",
    "failure",
    "together",
    "values",
]

REJECT, REPLACE, IGNORE, KEEP_BOTH = DuplicatePolicy


class Parts:
    """An archive in memory and a scratch folder, with access to what it is made of."""

    def __init__(self, folder: Path, duplicates: DuplicatePolicy = REJECT) -> None:
        self.logger = RecordingLogger()
        self.backend = MemoryStorage()
        self.bus = InProcessEventBus(self.logger)
        self.events: list[InstanceStored] = []
        self.bus.subscribe(InstanceStored, self.events.append)
        self.index = open_index(folder, self.logger)
        self.archive = self.with_policy(duplicates)

    def with_policy(self, duplicates: DuplicatePolicy) -> Archive:
        """Give an archive over the same parts with another policy."""
        return Archive(self.backend, self.index, self.bus, self.logger, duplicates=duplicates)

    @property
    def keys(self) -> list[str]:
        """The keys of all objects."""
        return [one.key for one in self.backend.list()]

    def numbers(self) -> tuple[int, int, int, int]:
        """Count patients, studies, series and instances in the index."""
        found = self.archive.statistics().unwrap()
        return found.patients, found.studies, found.series, found.instances


def failure(result: PacsResult[Any]) -> PacsError:
    """Return the error of a failure."""
    assert isinstance(result, Failure), result
    error: PacsError = result.failure()
    return error


def values(archive: Archive, level: str, keyword: str, **keys: Any) -> list[str]:
    """Search and take one attribute of each match."""
    matches = archive.find(Query.of(level, **keys).unwrap()).unwrap()
    return [match.get(keyword) for match in matches]


def content(instance: Instance) -> bytes:
    """Read an instance's data set."""
    return bytes(instance.encoded.view())


def together(jobs: list[Callable[[], Any]]) -> list[Any]:
    """Run jobs in as many threads, all released at the same moment."""
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> Any:
        start.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))

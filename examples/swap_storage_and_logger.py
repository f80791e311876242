"""Storage and logger swapped in a test: a PACS that keeps everything in memory, and fails on demand.

``pytest swap_storage_and_logger.py``. Every part of a PACS is a provider of its container; a
test puts its own in the place of any of them.
"""

# ruff: noqa: S101  # assert is how a test speaks

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from dependency_injector import providers

from pacs_sdk import Pacs, PacsConfig
from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.container import PacsContainer
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from pacs_sdk.services import StorageScu, VerificationScu
from pacs_sdk.testing import MemoryStorage, RecordingLogger


# The first lines: the container with two parts of the test's own.
@pytest.fixture
def pacs(
    pacs_config: PacsConfig, memory: MemoryStorage, recording_logger: RecordingLogger
) -> Iterator[Pacs]:
    """Run a PACS whose objects are in memory, and whose log is a list."""
    container = PacsContainer(config=providers.Object(pacs_config))
    container.storage.backend.override(providers.Object(memory))
    container.core.logger.override(providers.Object(recording_logger))
    with Pacs(container) as running:
        yield running


@pytest.fixture
def memory() -> MemoryStorage:
    """Keep what is stored."""
    return MemoryStorage()


IMAGES = make_phantom(PhantomSpec(slices=3, rows=16, columns=16)).unwrap().instances


def test_what_is_sent_is_in_memory(pacs: Pacs, memory: MemoryStorage) -> None:
    """No file is written: the storage of the test has every object."""
    assert StorageScu().store(pacs.peer, IMAGES).unwrap().stored == 3
    assert len(list(memory.list())) == 3


def test_a_full_disk_is_told_and_logged(
    pacs: Pacs, memory: MemoryStorage, recording_logger: RecordingLogger
) -> None:
    """The sender gets status A700H and the reason; the log names the message that failed."""
    memory.fail_with(ErrorCode.STORAGE_WRITE_FAILED, "the disk is full")
    report = StorageScu(ae_title="SCANNER").store(pacs.peer, IMAGES[:1]).unwrap()
    assert [(one.status, one.comment) for one in report.failures] == [(0xA700, "the disk is full")]
    entry = recording_logger.wait_for("request-failed", operation="C-STORE")
    assert entry.fields["calling_ae_title"] == "SCANNER"
    VerificationScu().echo(pacs.peer).unwrap()


if __name__ == "__main__":
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    raise SystemExit(subprocess.call(command))

"""The pytest plugin: fixtures that give a real server on a free port, and doubles.

It is active wherever the SDK and pytest are installed. What the fixtures need is imported
when they are used, so that test runs that use none of them don't pay for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pacs_sdk.integration.added_services import ServiceSource
    from pacs_sdk.integration.config import PacsConfig
    from pacs_sdk.integration.pacs import Pacs
    from pacs_sdk.testing.fake_clock import FakeClock
    from pacs_sdk.testing.recording_logger import RecordingLogger

__all__ = ["fake_clock", "pacs_config", "pacs_server", "pacs_services", "recording_logger"]


@pytest.fixture
def recording_logger() -> RecordingLogger:
    """A logger that keeps every entry; ``pacs_server`` writes to it."""
    from pacs_sdk.testing.recording_logger import RecordingLogger

    return RecordingLogger()


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that stands still until the test advances it."""
    from pacs_sdk.testing.fake_clock import FakeClock

    return FakeClock()


@pytest.fixture
def pacs_config(tmp_path_factory: pytest.TempPathFactory) -> PacsConfig:
    """How ``pacs_server`` is configured; define a fixture of this name to change it.

    A free loopback port, an archive in a temporary folder of its own, and no waiting for
    the disk, which a folder that is thrown away doesn't need.
    """
    from pacs_sdk.integration.config import PacsConfig, StorageConfig
    from pacs_sdk.network import ServerConfig
    from pacs_sdk.storage import Durability

    return PacsConfig(
        server=ServerConfig(port=0),
        storage=StorageConfig(
            data_dir=tmp_path_factory.mktemp("pacs"), durability=Durability.RELAXED
        ),
    )


@pytest.fixture
def pacs_services() -> Sequence[ServiceSource]:
    """Services that ``pacs_server`` has besides its own; define a fixture of this name to add some.

    What one of them performs, those of the PACS do not: a peer that refuses, warns, answers
    nonsense or never answers is a function (:class:`~pacs_sdk.network.FunctionService`).
    """
    return ()


@pytest.fixture
def pacs_server(
    pacs_config: PacsConfig,
    pacs_services: Sequence[ServiceSource],
    recording_logger: RecordingLogger,
) -> Iterator[Pacs]:
    """A running PACS on a free port, stopped after the test.

    ``pacs_server.peer`` is its address for a service user, ``pacs_server.archive`` what
    it holds. Associations that the test left open are ended.
    """
    from pacs_sdk.integration.pacs import Pacs

    described = Pacs.configured(pacs_config, logger=recording_logger, services=pacs_services)
    with described as running:
        yield running

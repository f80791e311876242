from __future__ import annotations

from unittest.mock import Mock

import pytest

from pacs_sdk.core import LoguruLogger
from pacs_sdk.core.guarded_logger import GuardedLogger, guarded
from pacs_sdk.core.ports import Logger, NullLogger
from pacs_sdk.testing import RecordingLogger

METHODS = ("debug", "info", "warning", "error")


class Broken(Logger):
    """Fails at everything."""

    def bind(self, **fields: object) -> Logger:
        raise RuntimeError("no context")

    def debug(self, event: str, **fields: object) -> None:
        raise OSError(28, "No space left on device")

    info = warning = error = debug


@pytest.mark.parametrize("method", METHODS)
def test_what_a_logger_raises_is_told_by_a_warning(method: str) -> None:
    """Whoever logs goes on, and somebody hears that entries are lost."""
    with pytest.warns(RuntimeWarning, match=r"entries are lost: OSError.*No space left"):
        getattr(guarded(Broken()), method)("event", size=1)


def test_a_logger_that_cannot_be_bound_is_used_unbound() -> None:
    """Its entries lack the context; that is better than no entries."""
    logger = guarded(Broken())
    with pytest.warns(RuntimeWarning, match="no context"):
        assert logger.bind(association=1) is logger


def test_a_mock_that_raises_is_guarded_like_any_other() -> None:
    """It says of everything that it is so, and is not believed."""
    logger = guarded(Mock(**{"info.side_effect": RuntimeError("as the test wants")}))
    with pytest.warns(RuntimeWarning, match="as the test wants"):
        logger.info("event")


def test_entries_and_context_are_passed_on() -> None:
    """The other logger gets each as it was given."""
    inner = RecordingLogger()
    logger = GuardedLogger(inner).bind(association=1)
    for method in METHODS:
        getattr(logger, method)(f"of-{method}", size=2)
    assert isinstance(logger, GuardedLogger)
    assert [(entry.level, entry.event, entry.fields) for entry in inner.entries] == [
        (method, f"of-{method}", {"association": 1, "size": 2}) for method in METHODS
    ]


@pytest.mark.parametrize(
    "logger", [NullLogger(), LoguruLogger(), RecordingLogger(), GuardedLogger(Broken())]
)
def test_one_that_never_raises_is_not_wrapped(logger: Logger) -> None:
    """So it costs nothing, and the place that an entry comes from is found where it was."""
    assert guarded(logger) is logger

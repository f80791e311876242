"""Doubles and pytest fixtures for testing software that speaks DICOM.

The names are loaded when first used: the pytest plugin lives in this package, and a
test run that uses none of it must not import a database.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pacs_sdk.testing.fake_clock import FakeClock
    from pacs_sdk.testing.memory_storage import MemoryStorage
    from pacs_sdk.testing.recording_logger import LogEntry, LogLevel, RecordingLogger

__all__ = ["FakeClock", "LogEntry", "LogLevel", "MemoryStorage", "RecordingLogger"]

_HOMES: Final = {
    "FakeClock": "pacs_sdk.testing.fake_clock",
    "LogEntry": "pacs_sdk.testing.recording_logger",
    "LogLevel": "pacs_sdk.testing.recording_logger",
    "MemoryStorage": "pacs_sdk.testing.memory_storage",
    "RecordingLogger": "pacs_sdk.testing.recording_logger",
}


def __getattr__(name: str) -> Any:
    """Load a public name from the module where it lives (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

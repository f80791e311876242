"""The loguru adapter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import loguru
import pytest

from pacs_sdk.core.logging import LoguruLogger
from pacs_sdk.core.ports import Logger

if TYPE_CHECKING:
    from loguru import Message, Record


@pytest.fixture
def records() -> Iterator[list[Record]]:
    """What loguru was given, every level."""
    kept: list[Record] = []

    def keep(message: Message) -> None:
        kept.append(message.record)

    handler = loguru.logger.add(keep, level=0, format="{message}")
    yield kept
    loguru.logger.remove(handler)


def test_levels(records: list[Record]) -> None:
    """Each method records at its level, the event as message, the fields beside it."""
    logger = LoguruLogger()
    logger.debug("state-entered", state="Sta6")
    logger.info("association-accepted", peer="MODALITY")
    logger.warning("queue-is-long", length=90)
    logger.error("store-failed", reason="disk full")
    assert [(record["level"].name, record["message"]) for record in records] == [
        ("DEBUG", "state-entered"),
        ("INFO", "association-accepted"),
        ("WARNING", "queue-is-long"),
        ("ERROR", "store-failed"),
    ]
    assert [record["extra"] for record in records] == [
        {"state": "Sta6"},
        {"peer": "MODALITY"},
        {"length": 90},
        {"reason": "disk full"},
    ]


def test_bind(records: list[Record]) -> None:
    """Bound fields are in every entry of the new logger and in none of the old."""
    logger = LoguruLogger()
    bound = logger.bind(association=7).bind(peer="MODALITY")
    bound.info("echo", number=1)
    logger.info("echo")
    assert records[0]["extra"] == {"association": 7, "peer": "MODALITY", "number": 1}
    assert records[1]["extra"] == {}


def test_caller_is_named(records: list[Record]) -> None:
    """An entry names the function that logged, not the adapter."""
    logger = LoguruLogger()
    for log in (logger.debug, logger.info, logger.warning, logger.error):
        log("event")
    assert {record["function"] for record in records} == {"test_caller_is_named"}
    assert {record["file"].name for record in records} == {"test_logging.py"}


def test_braces_are_text(records: list[Record]) -> None:
    """Text with braces is not taken for a format."""
    LoguruLogger().info("odd {name}", value="{oops}")
    LoguruLogger().info("odd {}")
    LoguruLogger().bind(node="A").info("odd {}")
    assert [record["message"] for record in records] == ["odd {name}", "odd {}", "odd {}"]
    assert records[0]["extra"] == {"value": "{oops}"}


def test_fields_may_have_any_name(records: list[Record]) -> None:
    """Also those that a record has itself, and that of a bound one, which is replaced."""
    LoguruLogger().bind(number=1).info("event", number=2, level="x", message="y", record="z")
    assert records[0]["message"] == "event"
    assert records[0]["extra"] == {"number": 2, "level": "x", "message": "y", "record": "z"}


def test_own_logger(records: list[Record]) -> None:
    """A loguru logger that the application prepared is used as it is."""
    LoguruLogger(loguru.logger.bind(node="A")).info("started")
    assert records[0]["extra"] == {"node": "A"}


def test_it_is_a_logger() -> None:
    """The adapter fits the port."""
    assert isinstance(LoguruLogger(), Logger)

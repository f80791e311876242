"""The log of ``pacs serve``: one line an entry on stderr, by loguru."""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING

from pacs_sdk.cli.errors import printable

if TYPE_CHECKING:
    import loguru

    from pacs_sdk.core.ports import Logger

__all__ = ["Verbosity", "stderr_logger"]


class Verbosity(enum.StrEnum):
    """How important an entry must be to be written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def stderr_logger(verbosity: Verbosity) -> Logger:
    """Send loguru's entries to stderr, as one line each, and return the port's adapter."""
    from loguru import logger

    from pacs_sdk.core.logging import LoguruLogger

    logger.remove()
    # Without loguru's diagnosis, which would print the values of variables: patient data.
    logger.add(_write, level=verbosity.value.upper(), backtrace=False, diagnose=False)
    return LoguruLogger(logger)


def _write(message: loguru.Message) -> None:
    record = message.record
    facts = "".join(f" {name}={_shown(value)}" for name, value in record["extra"].items())
    sys.stderr.write(
        f"{record['time']:YYYY-MM-DDTHH:mm:ss.SSSZ} {record['level'].name:<7} "
        f"{printable(record['message'])}{facts}\n"
    )


def _shown(value: object) -> str:
    """Write a value so that it stays one word: an AE title may have spaces, or worse."""
    text = printable(str(value))
    return repr(text) if " " in text or not text else text

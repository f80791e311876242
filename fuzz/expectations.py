"""What a target may end with: a value, or a ``PacsError`` with words, soon and in little memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, PacsResult, Success

__all__ = ["MAX_CPU_S", "MAX_GROWTH_BYTES", "Broken", "bounded", "value_of"]

_T = TypeVar("_T")

MAX_CPU_S: Final = 2.0
"""What one input of at most 16 KiB may take. Instrumented code takes several times what it
otherwise does; without, a tenth of this is much."""

MAX_GROWTH_BYTES: Final = 200 << 20
"""How much one input may raise the process's memory."""

_MAX_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024


class Broken(Exception):  # said of the promise, not of an input
    """The code under test did not keep its promise."""


def value_of(result: PacsResult[_T]) -> _T | None:
    """Return the value, or ``None`` for an error.

    Raises:
        Broken: It is neither, or an error without words or for a bug of ours.
    """
    match result:
        case Success(value):
            return value  # type: ignore[no-any-return]  # the pattern loses the type
        case Failure(PacsError(code=ErrorCode() as code, message=str(words))):
            if code is ErrorCode.INTERNAL or not words.strip():
                raise Broken(f"an error that says nothing: {code.name} {words!r}")
            return None
    raise Broken(f"neither a value nor a PacsError: {result!r}")


def bounded(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Make a target that also fails when an input takes too long or too much memory."""

    def run_bounded(data: bytes) -> None:
        cpu, memory = time.process_time(), _most_memory()
        run(data)
        took, grown = time.process_time() - cpu, _most_memory() - memory
        if took > MAX_CPU_S:
            raise Broken(f"{len(data)} bytes took {took:.1f} s of CPU")
        if grown > MAX_GROWTH_BYTES:
            raise Broken(f"{len(data)} bytes took {grown >> 20} MiB of memory")

    return run_bounded


def _most_memory() -> int:
    """Return the largest resident set this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAX_RSS_UNIT

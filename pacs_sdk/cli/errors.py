"""Failures as a person meets them: one line that says what happened and what to do."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

import typer

__all__ = [
    "TRACEBACK_VARIABLE",
    "CommandFailed",
    "describe",
    "in_words",
    "print_error",
    "printable",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")

TRACEBACK_VARIABLE: Final = "PACS_TRACEBACK"
"""Set to 1, an unexpected error shows where it happened."""

_ADVICE: Final = {
    "ASSOCIATION_REJECTED": "check --aec and --aet against what the peer is configured for",
    "DUPLICATE_OBJECT": "the stored one was kept; give a changed image a new SOP Instance UID",
    "FILE_READ_FAILED": "check that it is a file that you may read",
    "FILE_WRITE_FAILED": "check the folder's permissions and the space on the disk",
    "FILE_NOT_FOUND": "check the path",
    "INVALID_CONFIGURATION": "correct the file, the PACS_… variable or the option",
    "MISSING_REQUIRED_VALUE": "export the object again, or complete it",
    "NETWORK_TIMEOUT": "check that the peer is well, or give it longer with --timeout",
    "NOT_DICOM": "check that it is the right file",
    "PRESENTATION_CONTEXT_REFUSED": "ask which SOP classes the peer is configured for",
    "STORAGE_WRITE_FAILED": "check the data folder's permissions and the space on the disk",
    "INDEX_FAILED": "check the index: the folder's permissions and the space on its disk, or "
    "the database server",
    "TRUNCATED": "copy or export the file again",
}
"""What to do, by error code, where the message itself doesn't say."""


_OFTEN_WITH_ADVICE: Final = frozenset(("INDEX_FAILED", "INVALID_CONFIGURATION"))
"""Where a semicolon in the message is followed by advice for this very case, which is better."""


class CommandFailed(Exception):
    """The command could not do what was asked; the text says why and what to do."""


def printable(text: str) -> str:
    """Make a text safe for one line of a terminal.

    Values come from files and peers: a control character could move the cursor, and a
    line break would make two entries of one.
    """
    return "".join(one if one.isprintable() else " " for one in " ".join(text.split()))


def describe(error: object) -> str:
    """Say in one line what went wrong and what to do about it.

    Args:
        error: A ``PacsError``, or any exception.
    """
    # Imported here, because `pacs --help` should not wait for the SDK to load.
    from pacs_sdk.core.errors import PacsError, PacsException

    if isinstance(error, PacsException):
        error = error.error
    match error:
        case PacsError():
            has_advice = error.code.name in _OFTEN_WITH_ADVICE and "; " in error.message
            advice = "" if has_advice else _ADVICE.get(error.code.name, "")
            return printable(f"{error.message}; {advice}" if advice else error.message)
        case CommandFailed():
            return printable(str(error))
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return printable(f"{where}{error.strerror or error}")
    return printable(
        f"unexpected {type(error).__name__}: {error}; please report it "
        f"({TRACEBACK_VARIABLE}=1 shows where it happened)"
    )


def print_error(line: str) -> None:
    """Write one line to stderr, named as the program's; it may have names of files in it."""
    typer.echo(f"pacs: {printable(line)}", err=True)


def in_words(command: Callable[_P, _T]) -> Callable[_P, _T]:
    """Make a command report what it raises in one line, and never as a traceback."""

    @functools.wraps(command)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
            raise  # typer ends the program in the right way
        except Exception as exc:  # noqa: BLE001  # the last frontier: nobody above can do better
            if os.environ.get(TRACEBACK_VARIABLE) == "1":
                sys.excepthook(type(exc), exc, exc.__traceback__)
            print_error(describe(exc))
            raise typer.Exit(1) from None

    return guarded

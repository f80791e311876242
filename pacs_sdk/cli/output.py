"""What commands print: tables and progress for a person, plain lines for a program.

Results go to stdout; notes, progress and errors to stderr.
"""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import typer

from pacs_sdk.cli.errors import print_error, printable

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.progress import Progress

__all__ = [
    "ProgressBar",
    "bar",
    "is_terminal",
    "json_text",
    "note_each",
    "rate",
    "seconds",
    "size",
    "table",
]

_MOST_NOTES = 20
"""A folder of a million text files must not print a million lines."""

_CELLS_OF_A_COLUMN = 5
"""A line, two blanks, and a character, which may be a wide one."""


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a person reads this; FORCE_COLOR and the like don't make a file one."""
    return stream.isatty()


def json_text(model: Any) -> str:
    """Write what is plain as JSON that is valid in the encoding of stdout.

    JSON is UTF-8 (RFC 8259 8.1). Where stdout is something else it is ASCII, which is the same in
    both: what such a stream lacks would be escaped as Python does, and that is no JSON.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # it may be closed
    is_utf8 = codecs.lookup(encoding).name == "utf-8"
    return json.dumps(model, ensure_ascii=not is_utf8, indent=2, allow_nan=False)


def note_each(lines: Sequence[str]) -> None:
    """Write lines to stderr; of very many the first, and how many more there are."""
    for line in lines[:_MOST_NOTES]:
        print_error(line)
    if len(lines) > _MOST_NOTES:
        print_error(f"… and {len(lines) - _MOST_NOTES} more")


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str | None = None,
    *,
    always: bool = False,
) -> None:
    """Print rows: a table on a terminal; otherwise tab-separated lines without a heading.

    Args:
        columns: The heading of each column; after ``>`` it is aligned to the right.
        rows: The cells; what they hold is shown as it is, control characters aside.
        title: What stands above the table.
        always: Print the table even where there is no terminal.
    """
    if not (is_terminal(sys.stdout) or always):
        for row in rows:
            typer.echo("\t".join(printable(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    heading = None if title is None else Text(printable(title))  # brackets in it are no markup
    shown = Table(title=heading, title_justify="left", title_style="bold")
    for name in columns:
        justify: JustifyMethod = "right" if name.startswith(">") else "left"
        shown.add_column(name.removeprefix(">"), overflow="fold", justify=justify)
    for row in rows:
        shown.add_row(*(Text(printable(cell)) for cell in row))
    console = Console()
    # In fewer cells than a character of each column needs, columns would come out empty.
    console.width = max(console.width, len(columns) * _CELLS_OF_A_COLUMN + 1)
    console.print(shown)


class ProgressBar(Protocol):
    """What a command tells of its progress."""

    def advance(self, count: int = 1) -> None:
        """Count what was done."""

    def of(self, total: int) -> None:
        """Say how much there is to do."""


class _NoBar:
    def advance(self, count: int = 1) -> None:
        """Show nothing."""

    def of(self, total: int) -> None:
        """Show nothing."""


class _RichBar:
    def __init__(self, progress: Progress, what: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total)

    def advance(self, count: int = 1) -> None:
        """Move the bar."""
        self._progress.advance(self._task, count)

    def of(self, total: int) -> None:
        """Set the bar's end."""
        self._progress.update(self._task, total=total)


@contextmanager
def bar(what: str, total: int | None = None) -> Iterator[ProgressBar]:
    """Show a progress bar on stderr if that is a terminal; it goes away at the end."""
    if not is_terminal(sys.stderr):
        yield _NoBar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _RichBar(progress, what, total)


def size(count: int) -> str:
    """Write a number of bytes in the unit that suits it (1 MB = 1,000,000 bytes)."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"


def seconds(duration_s: float) -> str:
    """Write a duration in s, or in ms where that is easier to read."""
    return f"{duration_s:.2f} s" if duration_s >= 1 else f"{duration_s * 1000:.1f} ms"


def rate(count: int, duration_s: float) -> str:
    """Write bytes in a time as MB/s."""
    return f"{count / 1e6 / max(duration_s, 1e-9):.1f} MB/s"

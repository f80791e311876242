"""The reference page of the ``pacs`` program, made from what its commands say of themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from typer.testing import CliRunner

from pacs_sdk.cli.app import COMMANDS, app

__all__ = ["write_page"]

_PLAIN = {"COLUMNS": "88", "NO_COLOR": "1", "TERM": "dumb", "FORCE_COLOR": None}
"""A terminal that fits a page and has no colours."""


def write_page(source: Path) -> None:
    """Write ``reference/commands.md`` with a section for each command."""
    path = source / "reference" / "commands.md"
    text = "\n".join(_page())
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def _page() -> Iterator[str]:
    yield "# The pacs program\n"
    yield "The program comes with the extra `cli`: `pip install '.[cli]'` in a checkout.\n"
    yield _help_of([])
    for command in COMMANDS:
        name = command.__name__
        yield f"## pacs {name}\n"
        yield _help_of([name])


def _help_of(command: Sequence[str]) -> str:
    shown = CliRunner().invoke(app, [*command, "--help"], prog_name="pacs", env=_PLAIN)
    if shown.exit_code != 0:
        raise RuntimeError(f"pacs {' '.join(command)} --help failed: {shown.output}")
    lines = [line.rstrip() for line in shown.output.strip("\n").splitlines()]
    return "\n".join(("```text", *lines, "```\n"))

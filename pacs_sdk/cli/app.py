"""The commands of ``pacs``, put together."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Final

import typer

from pacs_sdk.cli.conformance import conformance
from pacs_sdk.cli.demo import demo
from pacs_sdk.cli.dump import dump
from pacs_sdk.cli.echo import echo
from pacs_sdk.cli.errors import in_words
from pacs_sdk.cli.find import find
from pacs_sdk.cli.get import get
from pacs_sdk.cli.move import move
from pacs_sdk.cli.query import query
from pacs_sdk.cli.reindex import reindex
from pacs_sdk.cli.render import render
from pacs_sdk.cli.serve import serve
from pacs_sdk.cli.store import store
from pacs_sdk.cli.transcode import transcode
from pacs_sdk.cli.validate import validate
from pacs_sdk.cli.volume import volume

__all__ = ["COMMANDS", "app"]

app = typer.Typer(
    name="pacs",
    help="A DICOM archive and its clients. Every command has its own --help.",
    epilog="Exit codes: 0 done, 1 the operation failed (the reason is on stderr), 2 bad usage.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _help_of(command: Callable[..., None]) -> str:
    """Take the docstring as help, its lines joined to paragraphs for any width of terminal."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


COMMANDS: Final[tuple[Callable[..., None], ...]] = (
    serve,
    echo,
    store,
    query,
    find,
    get,
    move,
    dump,
    render,
    volume,
    transcode,
    validate,
    reindex,
    conformance,
    demo,
)

for command in COMMANDS:
    app.command(help=_help_of(command))(in_words(command))


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"pacs-sdk {version('pacs-sdk')}")
        raise typer.Exit


@app.callback()
def _pacs(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Accept options that stand before the command."""

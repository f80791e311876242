"""``pacs reindex``: make an archive's index anew from its files, or index a folder in place."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pacs_sdk.cli.errors import print_error, printable
from pacs_sdk.cli.logs import Verbosity, stderr_logger
from pacs_sdk.cli.output import bar, is_terminal, note_each, seconds, size, table

if TYPE_CHECKING:
    from pacs_sdk.storage import ReindexReport

__all__ = ["reindex"]


def reindex(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The archive's folder.")],
    import_folder: Annotated[
        Path | None,
        typer.Option(
            "--import",
            metavar="FOLDER",
            help="Add the DICOM files of this folder, which stay where they are, "
            "instead of making the index anew.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many processes read files.",
            show_default="one a processor",
            min=1,
            max=256,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            help="The settings that the archive is served with: where its index is, and which "
            "further attributes it keeps.",
        ),
    ] = None,
    log_level: Annotated[
        Verbosity, typer.Option(help="What is logged to stderr.", case_sensitive=False)
    ] = Verbosity.ERROR,
) -> None:
    """Make the index of an archive anew, from its files alone.

    The archive must not be open meanwhile. The old index stays until the new one is complete;
    killed, the work goes on where it was when it is started again.

    The setting storage.database_url, in the file of --config or in the environment, says where
    an index is that is in PostgreSQL. What storage.further_attributes names is read from all
    files, too.

    With --import, the files of a folder are indexed where they are. The archive only reads
    them, and never changes or deletes anything in that folder.

    Exit code 1 if a file could not be read, is cut short, has a name that says otherwise than
    its content, or has the UID of another; the rest is indexed all the same. Each such file
    stays where it is and is listed in DIR/reindex-problems.jsonl.
    """
    from pacs_sdk import storage
    from pacs_sdk.core.results import raised
    from pacs_sdk.integration.config import PacsConfig

    settings = raised(PacsConfig.layered(toml=config)).storage
    begin = time.monotonic()
    logger = stderr_logger(log_level)
    with bar("Indexing") as shown:
        progress = shown if is_terminal(sys.stderr) else None
        if import_folder is None:
            result = storage.reindex(
                data,
                processes=processes,
                database_url=settings.database_url,
                further_attributes=settings.further_attributes,
                progress=progress,
                logger=logger,
            )
        else:
            result = storage.import_folder(
                data,
                import_folder,
                processes=processes,
                database_url=settings.database_url,
                further_attributes=settings.further_attributes,
                progress=progress,
                logger=logger,
            )
    _report(raised(result), time.monotonic() - begin)


def _report(report: ReindexReport, duration_s: float) -> None:
    kinds = Counter(one.kind.value for one in report.problems)
    counts = [
        ("files read", report.files),
        ("indexed", report.indexed),
        ("indexed before", report.known),
        ("no instances", report.ignored),
        ("kept duplicates", report.kept_duplicates),
        ("deleted", report.deleted),
        *sorted(kinds.items()),
    ]
    rows = [(what, str(count)) for what, count in counts if count or what == "files read"]
    table(("Files", ">Count"), rows)
    rate = report.files / max(duration_s, 1e-9)
    typer.echo(
        f"indexed {report.indexed} instances, {size(report.size_bytes)}, "
        f"in {seconds(duration_s)} ({rate:,.0f} files/s)"
    )
    if report.not_carried_over:
        print_error(
            "hashes and the change feed begin anew, as there is no old index to take them from: "
            f"{printable(report.not_carried_over)}"
        )
    if report.problems:
        note_each([f"{one.kind.value}: {printable(one.message)}" for one in report.problems])
        print_error(f"all of these are listed in {report.problem_file}")
        raise typer.Exit(1)

"""``pacs validate``: hold files against the IODs of their SOP classes."""

from __future__ import annotations

import enum
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pacs_sdk.cli.errors import CommandFailed
from pacs_sdk.cli.files import find_instances, with_path
from pacs_sdk.cli.output import bar, is_terminal, json_text, note_each, table

if TYPE_CHECKING:
    from pacs_sdk.services.iod_validation import Severity as Shown
    from pacs_sdk.services.iod_validation import ValidationReport

__all__ = ["Severity", "validate"]


class Severity(enum.StrEnum):
    """How bad a finding is, as it is typed."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


def validate(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH…", help="DICOM files, and folders to take all of."),
    ],
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a JSON array with one report a file."),
    ] = False,
    severity: Annotated[
        Severity,
        typer.Option(
            metavar="SEVERITY",
            help="The least that is shown: error, warning or note.",
            case_sensitive=False,
        ),
    ] = Severity.WARNING,
) -> None:
    """Validate DICOM files against the standard: the IOD of their SOP class, and all values.

    Checked are required attributes (types 1, 1C, 2, 2C) of every module, enumerated values,
    the values themselves, and what tables cannot say, such as the length of Pixel Data.

    A file with findings gets a table on a terminal; otherwise each finding is one line of
    tab-separated values: file, severity, where, type, what is wrong.

    Exit code 1 if a file has errors or cannot be read. A file of a SOP class without table,
    such as a private one, is counted apart: its values were checked, its attributes not.
    """
    from pacs_sdk.core.results import Failure, Success
    from pacs_sdk.services.iod_validation import IodValidator, Outcome
    from pacs_sdk.services.iod_validation import Severity as Shown

    with bar("Looking for files") as progress:
        found = find_instances(paths, progress)
    if not found.files and not found.broken:
        raise CommandFailed("there is nothing to validate; name DICOM files or folders of them")
    validator = IodValidator()
    outcomes: Counter[Outcome] = Counter()
    printed = _Json() if as_json else _Tables()
    with bar("Validating", len(found.files)) as progress:
        for path, instance in found.files:
            match validator.validate(instance):
                case Success(report):
                    outcomes[report.outcome] += 1
                    printed.show(path, report, Shown(severity.value))
                case Failure(error):
                    found.broken.append(with_path(path, error))
            progress.advance()
    printed.end(
        {
            "conform": outcomes[Outcome.CONFORMS],
            "with errors": outcomes[Outcome.ERRORS],
            "without table": outcomes[Outcome.NOT_CHECKED],
            "unreadable": len(found.broken),
            "skipped": len(found.ignored),
        }
    )
    note_each(found.broken)
    if found.broken or outcomes[Outcome.ERRORS]:
        raise typer.Exit(1)


class _Tables:
    """A line a finding, or on a terminal a table a file; a summary at the end.

    What goes to a terminal waits for the end, because the progress bar is there till then.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[str, list[tuple[str, ...]]]] = []

    def show(self, path: Path, report: ValidationReport, least: Shown) -> None:
        cells: list[tuple[str, ...]] = [
            (
                str(one.severity),
                str(one.path),
                str(one.type or ""),
                f"{one.words} ({one.reference})" if one.reference else one.words,
            )
            for one in report.at_least(least)
        ]
        if not cells:
            return
        if is_terminal(sys.stdout):
            self._waiting.append((f"{path}: {report}", cells))
        else:
            table((), ((str(path), *row) for row in cells))

    def end(self, counts: Mapping[str, int]) -> None:
        for title, cells in self._waiting:
            table(("Severity", "Where", "Type", "What"), cells, title=title)
        files = sum(counts.values())
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        typer.echo(f"{files} file{'' if files == 1 else 's'}: {told}")


class _Json:
    """A JSON array, written object by object: a folder may have a million files."""

    def __init__(self) -> None:
        self._before = "["
        self._waiting: list[str] = []

    def show(self, path: Path, report: ValidationReport, least: Shown) -> None:
        findings = [one.as_dict() for one in report.at_least(least)]
        shown = {"file": str(path), **report.as_dict(), "findings": findings}
        text = self._before + json_text(shown)
        self._before = ",\n"
        if is_terminal(sys.stdout):
            self._waiting.append(text)
        else:
            typer.echo(text, nl=False)

    def end(self, _counts: Mapping[str, int]) -> None:
        typer.echo("".join(self._waiting) + ("[]" if self._before == "[" else "]"))

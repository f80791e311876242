"""``pacs transcode``: write DICOM files in another transfer syntax."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer

from pacs_sdk.cli.errors import CommandFailed
from pacs_sdk.cli.files import Found, find_instances, with_path
from pacs_sdk.cli.output import ProgressBar, bar, note_each, size, table

if TYPE_CHECKING:
    from pacs_sdk.encoding import EncodeOptions, Instance, TransferSyntax

__all__ = ["transcode"]

_MOST_ROWS = 100
"""Of a folder with more files the table would be all there is on the screen."""


@attrs.frozen
class _Written:
    """One file that was written."""

    path: Path
    """Where it is."""
    before: Instance
    """What it was made of."""
    after: Instance
    """What it is."""


def transcode(  # noqa: PLR0913, PLR0917  # each is an argument of the command line
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="A DICOM file, or a folder with all in it.")
    ],
    destination: Annotated[
        Path, typer.Argument(metavar="OUT", help="The file to write, or for a folder a folder.")
    ],
    to: Annotated[
        str,
        typer.Option(metavar="KEYWORD|UID", help="The transfer syntax wanted."),
    ],
    quality: Annotated[
        int | None,
        typer.Option(
            metavar="1-100",
            help="For JPEG Baseline and Extended: 100 is best, and largest.",
            min=1,
            max=100,
        ),
    ] = None,
    max_error: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="For near-lossless JPEG-LS: how far a value may be off; 0 loses nothing.",
            min=0,
            max=255,
        ),
    ] = None,
    compression_ratio: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="For JPEG 2000 and HTJ2K that may lose something: how many times smaller; "
            "1 loses nothing.",
            min=1,
            max=1000,
        ),
    ] = None,
    distance: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="For JPEG XL that may lose something: 1 is hardly visible, 0 loses nothing.",
            min=0,
            max=25,
        ),
    ] = None,
    keep_uid: Annotated[
        bool,
        typer.Option(
            "--keep-uid",
            help="Keep the SOP Instance UID of an image that is compressed with loss. "
            "The standard asks for a new one.",
        ),
    ] = False,
) -> None:
    """Write DICOM files in another transfer syntax: compressed, decompressed, re-encoded.

    Whether that loses something is up to the transfer syntax: JPEGLSLossless, JPEG2000Lossless,
    RLELossless and the like keep every bit; JPEGBaseline8Bit and those whose name doesn't say
    lossless don't have to. What has lost something gets a new SOP Instance UID.

    Of a folder, the files keep their names and places in the folder OUT; what is not DICOM, and
    DICOMDIRs, are skipped with a note. Exit code 1 if anything could not be written; everything
    else is written all the same.
    """
    from pacs_sdk.core.results import raised
    from pacs_sdk.encoding import transfer_syntax

    syntax = raised(transfer_syntax(to))
    options = _options(
        quality=quality,
        max_error=max_error,
        compression_ratio=compression_ratio,
        distance=distance,
    )
    if source.is_dir() and destination.is_file():
        raise CommandFailed(f"{destination} is a file, and a folder is to be written; name another")
    with bar("Reading") as progress:
        found = find_instances([source], progress)
    note_each(found.ignored)
    with bar("Transcoding", len(found.files)) as progress:
        written, failures = _all(
            found, source, destination, _Task(syntax, options, keep_uid), progress
        )
    _report(written, [*found.broken, *failures])


@attrs.frozen
class _Task:
    """What is to be done with each file."""

    syntax: TransferSyntax
    """The transfer syntax wanted."""
    options: EncodeOptions
    """How frames are compressed."""
    keep_uid: bool
    """Whether what has lost something keeps its SOP Instance UID."""


def _options(**given: Any) -> EncodeOptions:
    """Take the options that were given; what the others are is the SDK's choice."""
    from pacs_sdk.encoding import EncodeOptions

    return EncodeOptions(**{name: one for name, one in given.items() if one is not None})


def _all(
    found: Found, source: Path, destination: Path, task: _Task, progress: ProgressBar
) -> tuple[list[_Written], list[str]]:
    """Transcode every file; what cannot be is described."""
    from pacs_sdk.core.errors import PacsException

    written: list[_Written] = []
    failures: list[str] = []
    for path, instance in found.files:
        try:
            place = _place(path, source, destination)
            written.append(_one(instance, place, task))
        except PacsException as exc:
            failures.append(with_path(path, exc.error))
        progress.advance()
    return written, failures


def _place(path: Path, source: Path, destination: Path) -> Path:
    """Tell where a file is to be written; folders on the way are made."""
    from pacs_sdk.core.errors import ErrorCode, PacsException

    if not source.is_dir():
        return destination / path.name if destination.is_dir() else destination
    place = destination / path.relative_to(source)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise PacsException(
            ErrorCode.FILE_WRITE_FAILED, f"the folder {place.parent} cannot be made: {exc.strerror}"
        ) from None
    return place


def _one(instance: Instance, place: Path, task: _Task) -> _Written:
    from pacs_sdk.core.results import raised
    from pacs_sdk.encoding import transcode, write_file

    made = raised(
        transcode(
            instance, task.syntax, options=task.options, new_sop_instance_uid=not task.keep_uid
        )
    )
    return _Written(raised(write_file(made, place)), instance, made)


def _report(written: Sequence[_Written], failures: Sequence[str]) -> None:
    total = len(written) + len(failures)
    if not total:
        raise CommandFailed("there is nothing to transcode; name a DICOM file or a folder of them")
    rows = [
        (
            str(one.path),
            one.before.syntax.keyword,
            one.after.syntax.keyword,
            size(one.before.size),
            size(one.after.size),
        )
        for one in written[:_MOST_ROWS]
    ]
    if rows:
        table(("File", "From", "To", ">Before", ">After"), rows)
    before = sum(one.before.size for one in written)
    after = sum(one.after.size for one in written)
    typer.echo(
        f"transcoded {len(written)} of {total} instances, {size(before)} became {size(after)}"
    )
    if failures:
        note_each(failures)
        raise typer.Exit(1)

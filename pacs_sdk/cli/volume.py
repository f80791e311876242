"""``pacs volume``: what volumes a folder holds, and one of them as picture or file."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pacs_sdk.cli.errors import CommandFailed, print_error
from pacs_sdk.cli.output import ProgressBar, bar, note_each, table

if TYPE_CHECKING:
    from pacs_sdk.integration.itk import LoadableVolume, LoadedVolume, SeriesScan
    from pacs_sdk.integration.windows import Window

__all__ = ["volume"]

_COLUMNS: Final = (
    ">series",
    ">volume",
    "modality",
    "description",
    "size",
    "plane",
    "4-D",
    "differs in",
    "problem",
    "SeriesInstanceUID",
)


class Layout(enum.StrEnum):
    """What a picture shows."""

    PLANES = "planes"
    MONTAGE = "montage"


def volume(  # noqa: PLR0913, PLR0917  # each is an argument of the command line
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder with all in it, or a DICOM file.")
    ],
    series: Annotated[
        str | None,
        typer.Option(metavar="UID", help="The Series Instance UID of the volume to take."),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("--volume", metavar="N", help="Which volume of that series, from 0."),
    ] = None,
    preview: Annotated[
        Path,
        typer.Option(metavar="OUT", help="The picture of the volume to write: .png."),
    ] = Path("preview.png"),
    no_preview: Annotated[bool, typer.Option("--no-preview", help="Write no picture.")] = False,
    layout: Annotated[
        Layout, typer.Option(help="Three central planes, or axial slices in rows.")
    ] = Layout.PLANES,
    window: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|C,W",
            help="A window's name, such as lung, or center and width, such as 40,400; "
            "by default what is usual for the modality.",
        ),
    ] = None,
    nifti: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write it as NIfTI: .nii or .nii.gz.")
    ] = None,
    nrrd: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write it as NRRD (.nrrd) or .mha.")
    ] = None,
    lenient: Annotated[
        bool,
        typer.Option(
            "--lenient",
            help="Leave out files that cannot be read, and name them, where a volume lacks them.",
        ),
    ] = False,
) -> None:
    """List the volumes that a folder of DICOM files holds, and look at one.

    The list is made of headers alone. If there is one volume, or one was chosen with --series
    and --volume, it is loaded, its report is printed, and a picture is written, on request
    NIfTI and NRRD too. Of several without a choice only the list is printed.
    """
    chosen_window = _window(window)
    scan = _scanned(folder, series, strict=not lenient)
    table(_COLUMNS, ((*one.cells(), one.series_instance_uid) for one in scan))
    note_each([f"skipped {one.name}: {one.reason}" for one in scan.skipped])
    taken = _taken(scan, series, number)
    if taken is None:
        if nifti or nrrd:
            raise CommandFailed("there are several volumes: choose one with --series and --volume")
        print_error("several volumes: choose one with --series and --volume to look at it")
        return
    from pacs_sdk.core.results import raised

    with bar("Loading"):
        loaded = raised(taken.load_volume())
    typer.echo(str(loaded.report))
    if not no_preview:
        preview.write_bytes(raised(loaded.preview(chosen_window, layout.value)))
        typer.echo(f"wrote {preview}")
    _write(loaded, nifti, nrrd)


def _scanned(folder: Path, series: str | None, *, strict: bool) -> SeriesScan:
    """Read the headers, with a bar of the files."""
    from pacs_sdk.core.results import raised
    from pacs_sdk.integration.itk import scan_series
    from pacs_sdk.integration.itk.sources import files_in

    if not folder.exists():
        raise CommandFailed(f"there is no {folder}: check the path")
    unlisted: list[OSError] = []
    files = list(files_in(folder, unlisted))
    unread = [f"{one.filename} cannot be listed: {one.strerror}" for one in unlisted]
    if unread and strict:
        raise CommandFailed(f"{unread[0]}; --lenient leaves it out")
    note_each([f"skipped {one}" for one in unread])
    with bar("Reading", len(files)) as progress:
        counted = _counted(files, progress)
        scan = raised(scan_series(counted, series_instance_uid=series, strict=strict))
    if not len(scan):
        note_each([f"skipped {one.name}: {one.reason}" for one in scan.skipped])
        where = f" of series {series}" if series else ""
        raise CommandFailed(f"{folder} holds no volume{where}")
    return scan


def _counted(files: list[Path], progress: ProgressBar) -> Iterator[Path]:
    for file in files:
        yield file
        progress.advance()


def _taken(scan: SeriesScan, series: str | None, number: int | None) -> LoadableVolume | None:
    """Return the volume that was chosen, or the only one."""
    fitting = [one for one in scan if number in (None, one.number)]
    if not fitting:
        raise CommandFailed(
            f"there is no volume {number}; there are {', '.join(str(one.number) for one in scan)}"
        )
    if len(fitting) == 1:
        return fitting[0]
    usable = [one for one in fitting if not one.problem]
    return usable[0] if len(usable) == 1 and series is None and number is None else None


def _window(said: str | None) -> Window | None:
    from pacs_sdk.core.errors import PacsException
    from pacs_sdk.integration.windows import named_window

    if said is None:
        return None
    if "," in said:
        try:
            center, width = (float(part) for part in said.split(","))
        except ValueError:
            raise typer.BadParameter(
                f"{said!r} is not a center and a width, such as 40,400", param_hint="--window"
            ) from None
        return center, width
    try:
        return named_window(said)
    except PacsException as exc:
        raise typer.BadParameter(exc.error.message, param_hint="--window") from None


def _write(loaded: LoadedVolume, nifti: Path | None, nrrd: Path | None) -> None:
    from pacs_sdk.core.results import raised
    from pacs_sdk.integration.export import write_nifti, write_nrrd

    if nifti is not None:
        typer.echo(f"wrote {raised(write_nifti(loaded, nifti))}")
    if nrrd is not None:
        typer.echo(f"wrote {raised(write_nrrd(loaded, nrrd))}")

"""``pacs dump``: show what is in a DICOM file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pacs_sdk.cli.errors import CommandFailed, printable
from pacs_sdk.cli.output import json_text

if TYPE_CHECKING:
    from pacs_sdk.core.dataset import DicomDataset

__all__ = ["dump"]


def dump(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A DICOM file.")],
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the DICOM JSON model (PS3.18 Annex F), with all binary values."
        ),
    ] = False,
) -> None:
    """List the elements of a DICOM file: tag, VR, keyword, value.

    Items of sequences are indented; long values are cut, binary ones give their length.
    """
    from pacs_sdk.core.dataset import DicomDataset
    from pacs_sdk.core.results import raised
    from pacs_sdk.encoding import read_file

    dataset = raised(raised(read_file(file)).dataset())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of values that are shown as they are
        if as_json:
            text = _json(dataset, file)
        else:
            text = "\n".join((*_lines(DicomDataset(dataset.pydicom.file_meta)), *_lines(dataset)))
    typer.echo(text)


def _lines(dataset: DicomDataset) -> list[str]:
    rows = list(dataset.rows())
    width = max((len(name) for _, _, name, _ in rows), default=0)
    return [
        f"{tag} {vr:<2} {name:<{width}} {printable(value)}".rstrip()
        for tag, vr, name, value in rows
    ]


def _json(dataset: DicomDataset, file: Path) -> str:
    from pacs_sdk.core.results import Failure, Success

    match dataset.to_json_model():
        case Success(model):
            return json_text(model)
        case Failure(error):
            raise CommandFailed(
                f"{file}: {error.message}; correct the file, or list it without --json"
            )
    raise TypeError("expected a Result")

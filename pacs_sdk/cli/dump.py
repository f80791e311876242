"""``pacs dump``: show what is in a DICOM file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pacs_sdk.cli.errors import CommandFailed, printable

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
    try:
        if as_json:
            typer.echo(_json(dataset))
            return
        lines = [*_lines(DicomDataset(dataset.pydicom.file_meta)), *_lines(dataset)]
    except (TypeError, ValueError, OverflowError, NotImplementedError) as exc:
        # pydicom converts a value when it is asked for, and some values are no values.
        raise CommandFailed(f"{file}: a value in it is invalid: {exc}; correct the file") from exc
    typer.echo("\n".join(lines))


def _lines(dataset: DicomDataset) -> list[str]:
    rows = list(dataset.rows())
    width = max((len(name) for _, _, name, _ in rows), default=0)
    return [
        f"{tag} {vr:<2} {name:<{width}} {printable(value)}".rstrip()
        for tag, vr, name, value in rows
    ]


def _json(dataset: DicomDataset) -> str:
    model = _finite(dataset.pydicom.to_json_dict())
    return json.dumps(model, ensure_ascii=False, indent=2, allow_nan=False)


def _finite(model: Any) -> Any:
    """Write numbers that JSON does not have as text: NaN, Infinity, -Infinity."""
    match model:
        case dict():
            return {name: _finite(value) for name, value in model.items()}
        case list():
            return [_finite(value) for value in model]
        case float() if not math.isfinite(model):
            return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(model)]
    return model

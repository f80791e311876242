"""``pacs dump``: show what is in a DICOM file."""

from __future__ import annotations

import json
import math
import warnings
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
    model: dict[str, Any] = {}
    for tag in dataset:
        try:
            # pydicom converts a value when it is asked for, and some are invalid.
            one = dataset.pydicom[int(tag)].to_json_dict(None, 0)  # all bytes inline
        except (TypeError, ValueError, OverflowError, NotImplementedError) as exc:
            raise CommandFailed(
                f"{file}: the value of {tag} {tag.keyword} is invalid: {exc}; correct the file, "
                "or list it without --json"
            ) from exc
        model[f"{int(tag):08X}"] = _finite(one)
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

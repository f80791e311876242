"""What `pacs find` and `pacs query` print: a table, lines, JSON or CSV."""

from __future__ import annotations

import csv
import math
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from pacs_sdk.cli.errors import print_error
from pacs_sdk.cli.output import json_text, table

if TYPE_CHECKING:
    from pacs_sdk.core.dataset import DicomDataset
    from pacs_sdk.core.tags import DicomTag

    Column: TypeAlias = DicomTag | tuple[DicomTag, DicomTag]

__all__ = ["AsCsv", "AsJson", "Fuzzy", "Limit", "check_one_format", "print_matches"]

_BEGIN_FORMULAS: Final = ("=", "+", "-", "@", "\t")
_CONTROL: Final = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f]")
"""All but tabs and line feeds, which CSV can hold."""

AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print a JSON array with one {keyword: value} a match.")
]
AsCsv: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--csv", help="Print CSV with a heading, for a spreadsheet; formulas become text."
    ),
]
Limit: TypeAlias = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", help="Stop the query after N matches.", min=1),
]
Fuzzy: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--fuzzy", help="Match names by words and sounds, if the peer agrees to (negotiated)."
    ),
]


def check_one_format(*, as_json: bool, as_csv: bool) -> None:
    """Refuse two formats at once.

    Raises:
        typer.BadParameter: Both are wanted.
    """
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv", param_hint="--csv")


def print_matches(
    matches: Sequence[DicomDataset],
    columns: Sequence[Column],
    headings: Sequence[str] | None = None,
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Print matches.

    Args:
        matches: The matches.
        columns: What a table, a line and CSV have of them: attributes, or such of the items of
            a sequence; JSON has all.
        headings: What a table calls the columns, if not by their keywords; dates, times and
            lists are then written for people, too.
        as_json: Whether it is JSON.
        as_csv: Whether it is CSV.
    """
    keywords = [_title(column) for column in columns]
    if as_json:
        typer.echo(json_text([_as_json(one) for one in matches]))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(keywords)
        writer.writerows(map(_for_spreadsheet, _cells(one, columns)) for one in matches)
    else:
        count = f"{len(matches)} match{'' if len(matches) == 1 else 'es'}"
        cells = _cells if headings is None else _for_people
        table(headings or keywords, (cells(one, columns) for one in matches), title=count)
        if not matches:
            print_error("no match")


def _title(column: Column) -> str:
    tags = column if isinstance(column, tuple) else (column,)
    return ".".join(tag.keyword or str(tag) for tag in tags)


def _cells(match: DicomDataset, columns: Sequence[Column]) -> list[str]:
    return ["\\".join(_texts(match, column)) for column in columns]


def _for_spreadsheet(cell: str) -> str:
    """Write a cell so that it is text or a number to a spreadsheet, and never a formula.

    Values come from peers: ``=HYPERLINK(…)`` as a patient's name would be carried out. An
    apostrophe in front says that it is text. Control characters are for terminals.
    """
    text = _CONTROL.sub(" ", cell)
    is_formula = text.lstrip(" ").startswith(_BEGIN_FORMULAS) and not _is_numbers(text)
    return f"'{text}" if is_formula else text


def _is_numbers(text: str) -> bool:
    try:
        return all(math.isfinite(float(one)) for one in text.split("\\"))
    except ValueError:
        return False


def _for_people(match: DicomDataset, columns: Sequence[Column]) -> list[str]:
    cells: list[str] = []
    for column in columns:
        vr = (column[-1] if isinstance(column, tuple) else column).dictionary_vr
        cells.append(", ".join(_readable(text, vr) for text in _texts(match, column)))
    return cells


def _texts(match: DicomDataset, column: Column) -> Sequence[str]:
    from pacs_sdk.core.dataset import DicomDataset

    if not isinstance(column, tuple):
        return match.get_strings(column).value_or(())
    sequence, tag = column
    items = match.pydicom[int(sequence)].value or () if sequence in match else ()
    return [text for one in items for text in DicomDataset(one).get_strings(tag).value_or(())]


def _readable(text: str, vr: str) -> str:
    """Write a date and a time with their separators, if it is one."""
    if vr == "DA" and len(text) == 8 and text.isdecimal():
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    if vr == "TM" and text[:6].isdecimal() and len(text) >= 6:
        return f"{text[:2]}:{text[2:4]}:{text[4:6]}"
    return text


def _as_json(match: DicomDataset) -> dict[str, Any]:
    """Turn a match into plain values; bytes are left out."""
    from pacs_sdk.core.dataset import DicomDataset
    from pacs_sdk.core.vr import VR, VrKind

    values: dict[str, Any] = {}
    for tag in match:
        element = match.pydicom[int(tag)]
        vr = VR(element.VR)
        if vr.kind is VrKind.BYTES:
            continue
        name = tag.keyword or str(tag)
        if vr is VR.SQ:
            values[name] = [_as_json(DicomDataset(item)) for item in element.value or ()]
            continue
        texts = match.get_strings(tag).value_or(())
        plain = [_plain(text, vr) for text in texts]
        values[name] = plain if len(plain) > 1 else next(iter(plain), None)
    return values


def _plain(text: str, vr: str) -> str | int | float:
    """Make a number of a number's text, as far as it is one."""
    try:
        if vr in ("IS", "SL", "SS", "SV", "UL", "US", "UV"):
            return int(text)
        if vr in ("DS", "FD", "FL") and math.isfinite(float(text)):  # JSON has no others
            return float(text)
    except ValueError:
        pass
    return text

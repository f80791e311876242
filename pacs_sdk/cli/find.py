"""``pacs find``: ask a peer what it has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pacs_sdk.cli.errors import print_error
from pacs_sdk.cli.options import (
    CalledAe,
    CallingAe,
    Host,
    Keys,
    Level,
    Port,
    Timeout,
    peer,
    timeouts,
)
from pacs_sdk.cli.output import bar, table
from pacs_sdk.cli.tls_options import TlsOptions, with_tls_options

if TYPE_CHECKING:
    from pacs_sdk.core.dataset import DicomDataset
    from pacs_sdk.core.tags import DicomTag

__all__ = ["find"]


@with_tls_options
def find(  # noqa: PLR0913, PLR0917  # each is an argument of the command line
    host: Host,
    port: Port,
    level: Annotated[
        Level,
        typer.Option(
            metavar="LEVEL",
            help="What to look for: PATIENT, STUDY, SERIES or IMAGE.",
            case_sensitive=False,
        ),
    ] = Level.STUDY,
    key: Keys = [],  # noqa: B006  # typer reads the default and never shares it
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a JSON array with one {keyword: value} a match."),
    ] = False,
    aec: CalledAe = "ANY-SCP",
    aet: CallingAe = "PACS_SCU",
    timeout: Timeout = 30.0,
    *,
    tls: TlsOptions,
) -> None:
    """Ask a peer which patients, studies, series or images it has (C-FIND).

    A key without a value is returned; if there is none such, the usual ones of the level
    are. Values may have wildcards (Doe*), ranges (20240101-20241231) and, for UIDs,
    lists (repeat the key).

    A terminal gets a table; otherwise each match is one line of tab-separated values, in
    the order of the keys, without a heading. In JSON a value is a string or number, a
    list where there are several, and null where it is empty.
    """
    from pacs_sdk.cli.keys import RETURN_KEYS, identifier, parse_keys
    from pacs_sdk.core.results import raised
    from pacs_sdk.core.tags import DicomTag
    from pacs_sdk.services import QueryScu

    keys = parse_keys(key)
    if all(keys.values()):
        usual = {DicomTag.of(name): "" for name in RETURN_KEYS[level]}
        keys = usual | keys
    question = identifier(level, keys)
    scu = QueryScu(ae_title=aet, timeouts=timeouts(timeout))
    with bar("Searching"):
        matches = raised(scu.find(peer(host, port, aec, tls), question))
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in matches], ensure_ascii=False, indent=2))
        return
    table(
        [tag.keyword or str(tag) for tag in keys],
        (_cells(one, tuple(keys)) for one in matches),
        title=f"{len(matches)} match{'' if len(matches) == 1 else 'es'}",
    )
    if not matches:
        print_error("no match")


def _cells(match: DicomDataset, tags: Sequence[DicomTag]) -> list[str]:
    return [match.get_string(tag).value_or("") for tag in tags]


def _as_json(match: DicomDataset) -> dict[str, Any]:
    """Turn a match into plain values; nested data sets and bytes are left out."""
    from pacs_sdk.core.vr import VR, VrKind

    values: dict[str, Any] = {}
    for tag in match:
        vr = VR(match.pydicom[int(tag)].VR)
        if vr.kind in (VrKind.BYTES, VrKind.SEQUENCE):
            continue
        texts = match.get_strings(tag).value_or(())
        plain = [_plain(text, vr) for text in texts]
        values[tag.keyword or str(tag)] = plain if len(plain) > 1 else next(iter(plain), None)
    return values


def _plain(text: str, vr: str) -> str | int | float:
    """Make a number of a number's text, as far as it is one."""
    try:
        if vr in ("IS", "SL", "SS", "SV", "UL", "US", "UV"):
            return int(text)
        if vr in ("DS", "FD", "FL"):
            return float(text)
    except ValueError:
        pass
    return text

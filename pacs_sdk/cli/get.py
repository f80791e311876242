"""``pacs get``: fetch instances from a peer into a folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pacs_sdk.cli.errors import CommandFailed
from pacs_sdk.cli.options import (
    CalledAe,
    CallingAe,
    Host,
    Keys,
    Port,
    Timeout,
    peer,
    timeouts,
)
from pacs_sdk.cli.output import bar
from pacs_sdk.cli.retrieval import (
    Follower,
    RetrieveLevel,
    check_final_status,
    model_of,
    note_failures,
    retrieve_level,
    tell_received,
)
from pacs_sdk.cli.tls_options import TlsOptions, with_tls_options

if TYPE_CHECKING:
    from pacs_sdk.services import InFolder, RetrieveReport

__all__ = ["get"]


@with_tls_options
def get(  # noqa: PLR0913, PLR0917  # each is an argument of the command line
    host: Host,
    port: Port,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write to.")],
    key: Keys,
    level: RetrieveLevel = None,
    aec: CalledAe = "ANY-SCP",
    aet: CallingAe = "PACS_SCU",
    timeout: Timeout = 120.0,
    *,
    tls: TlsOptions,
) -> None:
    """Fetch a patient, study, series or image from a peer (C-GET).

    Keys are unique keys: PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID;
    repeat one for several. Files are written to DIR/STUDY/SERIES/INSTANCE.dcm. Exit code
    1 if anything was missing or could not be kept.
    """
    from pacs_sdk.cli.keys import identifier, parse_keys
    from pacs_sdk.core.results import raised
    from pacs_sdk.services import InFolder, RetrieveScu

    keys = parse_keys(key)
    at = retrieve_level(keys, level)
    folder = InFolder(out)
    scu = RetrieveScu(ae_title=aet, timeouts=timeouts(timeout))
    begin = time.monotonic()
    with bar("Receiving") as progress:
        report = raised(
            scu.get(
                peer(host, port, aec, tls),
                identifier(at, keys),
                folder.keep,
                model=model_of(at, keys),
                on_progress=Follower(progress).follow,
            )
        )
    _report(report, folder, time.monotonic() - begin)


def _report(report: RetrieveReport, folder: InFolder, duration_s: float) -> None:
    if report.received:
        tell_received(report, folder, duration_s)
    note_failures(folder)
    elsewhere = report.failed - len(folder.failures)
    if elsewhere > 0:
        raise CommandFailed(
            f"{elsewhere} instances could not be sent by the peer; its log says why"
        )
    if folder.failures:
        raise typer.Exit(1)
    check_final_status(report, "C-GET")
    if report.missing:
        raise CommandFailed(
            f"{report.missing} instances that the peer says it sent did not come; its log says why"
        )
    if not report.received:
        raise CommandFailed("the peer has nothing of that; check the keys with `pacs find`")

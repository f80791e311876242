"""``pacs move``: have a peer send instances to somebody, or here."""

from __future__ import annotations

import enum
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

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
    valid_ae_title,
)
from pacs_sdk.cli.output import bar, note_each
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

__all__ = ["move"]

_MAX_PORT: Final = 65535


class ReceiveTls(enum.StrEnum):
    """How TLS is spoken with who sends here."""

    SERVER = "server"
    """With our certificate, whoever it is."""
    MUTUAL = "mutual"
    """It must have a certificate, too."""


@with_tls_options
def move(  # noqa: PLR0913, PLR0917  # each is an argument of the command line
    host: Host,
    port: Port,
    dest: Annotated[
        str,
        typer.Option(
            metavar="AE",
            help="The AE title of who gets the instances; the peer must know where that is.",
            callback=valid_ae_title,
        ),
    ],
    key: Keys,
    level: RetrieveLevel = None,
    receive: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            help="Be the destination: listen on this port meanwhile, and write to --out.",
            min=1,
            max=_MAX_PORT,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder to write to.", show_default=False),
    ] = None,
    listen: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="With --receive, the address to listen on; 0.0.0.0 for all.",
            show_default="that by which the peer is reached",
        ),
    ] = "",
    receive_tls: Annotated[
        ReceiveTls | None,
        typer.Option(
            help="With --receive, be sent to over TLS, with --cert-file and --key-file: by "
            "anybody (server), or by who has a certificate that --ca-file trusts (mutual).",
            show_default="in clear",
        ),
    ] = None,
    aec: CalledAe = "ANY-SCP",
    aet: CallingAe = "PACS_SCU",
    timeout: Timeout = 120.0,
    *,
    tls: TlsOptions,
) -> None:
    """Have a peer send a patient, study, series or image to somebody (C-MOVE).

    Keys are unique keys: PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID;
    repeat one for several. With --receive it is sent here, in clear unless --receive-tls is
    given, and files are written to DIR/STUDY/SERIES/INSTANCE.dcm. Exit code 1 if anything was not sent or could not be kept.
    """
    from pacs_sdk.cli.keys import identifier, parse_keys
    from pacs_sdk.core.results import raised
    from pacs_sdk.services import InFolder, ReceiveHere, RetrieveScu

    if (receive is None) != (out is None):
        given, missing = ("--receive", "--out") if out is None else ("--out", "--receive")
        raise typer.BadParameter(f"it goes with {missing}", param_hint=given)
    if receive_tls is not None and receive is None:
        raise typer.BadParameter("it goes with --receive", param_hint="--receive-tls")
    secure = None
    if receive_tls is not None:
        secure = tls.listening("--receive-tls", mutual=receive_tls is ReceiveTls.MUTUAL)
    keys = parse_keys(key)
    at = retrieve_level(keys, level)
    folder = None if out is None else InFolder(out)
    here = None if folder is None else ReceiveHere(folder.keep, receive or 0, listen, secure)
    scu = RetrieveScu(ae_title=aet, timeouts=timeouts(timeout))
    begin = time.monotonic()
    with bar("Moving") as progress:
        report = raised(
            scu.move(
                peer(host, port, aec, tls),
                identifier(at, keys),
                dest,
                receive=here,
                model=model_of(at, keys),
                on_progress=Follower(progress).follow,
            )
        )
    _report(report, dest, folder, time.monotonic() - begin)


def _report(
    report: RetrieveReport, destination: str, folder: InFolder | None, duration_s: float
) -> None:
    sent = report.completed + report.warnings
    if folder is None:
        if sent:
            typer.echo(f"{sent} instances were sent to {destination}")
    elif report.received:
        tell_received(report, folder, duration_s)
    kept_out = 0 if folder is None else len(folder.failures)
    if folder is not None:
        note_failures(folder)
    if report.failed > kept_out:
        _note_failed(report.failed_sop_instance_uids)
        comment = f": {report.comment}" if report.comment else "; the peer's log says why"
        raise CommandFailed(f"{report.failed} instances were not taken by {destination}{comment}")
    if kept_out:
        raise typer.Exit(1)
    check_final_status(report, "C-MOVE")
    if report.missing:
        raise CommandFailed(
            f"{report.missing} instances that the peer says it sent to {destination} did not come "
            "here; check which host and port it knows by that name"
        )
    if not report.is_counted:
        if not report.received:
            typer.echo(f"all was sent to {destination}, says the peer, which does not count it")
    elif not (report.received or sent):
        raise CommandFailed("the peer has nothing of that; check the keys with `pacs find`")


def _note_failed(uids: Sequence[str]) -> None:
    note_each([f"not sent: {uid}" for uid in uids])

"""``pacs store``: send files and folders to a peer."""

from __future__ import annotations

import enum
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pacs_sdk.cli.errors import CommandFailed, describe, print_error
from pacs_sdk.cli.files import skipped, with_path
from pacs_sdk.cli.options import CalledAe, CallingAe, Host, Port, Timeout, peer, timeouts
from pacs_sdk.cli.output import bar, is_terminal, json_text, note_each, rate, seconds, size, table
from pacs_sdk.cli.tls_options import TlsOptions, with_tls_options

if TYPE_CHECKING:
    from pacs_sdk.services import StoreOutcome, StoreReport

__all__ = ["store"]

_MAX_PARALLEL = 32
"""More associations than this do not make one sender faster; a server allows about 20."""

_MAX_RETRIES = 100
_MOST_ROWS = 50
"""A table of failures that is longer says nothing more."""


class Transcode(enum.StrEnum):
    """Whether an image may be re-encoded for a peer that refuses its transfer syntax."""

    AUTO = "auto"
    NEVER = "never"
    LOSSY = "lossy"


@with_tls_options
def store(  # noqa: PLR0913, PLR0917  # each is an argument of the command line
    host: Host,
    port: Port,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", help="DICOM files, and folders with all in them."),
    ],
    aec: CalledAe = "ANY-SCP",
    aet: CallingAe = "PACS_SCU",
    parallel: Annotated[
        int,
        typer.Option(
            metavar="N", help="How many associations send at once.", min=1, max=_MAX_PARALLEL
        ),
    ] = 1,
    window: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="How many images each of them sends ahead of the answers, if the peer agrees.",
            min=1,
            max=64,
        ),
    ] = 1,
    transcode: Annotated[
        Transcode,
        typer.Option(
            help="Whether an image may be re-encoded when the peer refuses its transfer syntax: "
            "without loss (auto), not at all (never), or with loss where nothing else is left "
            "(lossy; it gets a new SOP Instance UID)."
        ),
    ] = Transcode.AUTO,
    transfer_syntax: Annotated[
        list[str],
        typer.Option(
            metavar="KEYWORD|UID",
            help="Send in this transfer syntax, re-encoded, if the peer takes it; the first of "
            "several that it takes.",
        ),
    ] = [],  # noqa: B006  # typer reads the default and never shares it
    retries: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="How often what failed for a reason that may pass is tried again.",
            min=0,
            max=_MAX_RETRIES,
        ),
    ] = 0,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Record in FILE what the peer acknowledged, and skip what is in it already.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object with what became of each file.")
    ] = False,
    timeout: Timeout = 30.0,
    *,
    tls: TlsOptions,
) -> None:
    """Send DICOM files to a peer (C-STORE).

    Files in folders that are not DICOM, and DICOMDIRs, are skipped with a note. Exit
    code 1 if anything was not stored; everything else is sent all the same.
    """
    from pacs_sdk.core.results import raised
    from pacs_sdk.encoding.files.folders import files_below
    from pacs_sdk.network import RetryPolicy
    from pacs_sdk.services import StorageScu, TranscodePolicy

    scu = StorageScu(
        ae_title=aet,
        timeouts=timeouts(timeout),
        transcode=TranscodePolicy(transcode.value),
        transfer_syntaxes=tuple(transfer_syntax),
        parallel=parallel,
        window=window,
        retry=RetryPolicy(attempts=retries + 1),
    )
    to = peer(host, port, aec, tls)
    if not any(True for _ in files_below(paths)):
        raise CommandFailed("there is nothing to send; name DICOM files or folders that hold some")
    begin = time.monotonic()
    with bar("Sending") as progress:
        if is_terminal(sys.stderr):
            progress.of(sum(1 for _ in files_below(paths)))
        report = raised(scu.store(to, paths, lambda _: progress.advance(), resume=resume))
    duration_s = time.monotonic() - begin
    note_each([skipped(one.path, one.error) for one in report.skipped])
    if as_json:
        typer.echo(json_text(_as_json(report, duration_s)))
    else:
        typer.echo(_summary(report, duration_s))
    _tell_failures(report, as_json=as_json)


# -- reporting -------------------------------------------------------------------------------


def _summary(report: StoreReport, duration_s: float) -> str:
    before = sum(outcome.stored_before for outcome in report.outcomes)
    transcoded = sum(one.is_stored and one.was_reencoded for one in report.outcomes)
    sent = report.stored - before
    speed = (
        f"{size(report.size_bytes)} in {seconds(duration_s)} "
        f"({rate(report.size_bytes, duration_s)})"
    )
    parts = (
        f"stored {report.stored} of {len(report.outcomes)} instances",
        speed if sent else "",
        f"{before} of them in an earlier run" if before else "",
        f"{transcoded} re-encoded" if transcoded else "",
        f"{len(report.warnings)} with a warning" if report.warnings else "",
        f"{len(report.skipped)} files skipped" if report.skipped else "",
    )
    return ", ".join(filter(None, parts))


def _tell_failures(report: StoreReport, *, as_json: bool) -> None:
    failures = report.failures
    if failures and is_terminal(sys.stdout) and not as_json:
        rows = [(_name(one), _status(one), _reason(one)) for one in failures[:_MOST_ROWS]]
        left = len(failures) - len(rows)
        title = f"Not stored, the first {len(rows)} of {len(failures)}" if left else "Not stored"
        table(("File", "Status", "Reason"), rows, title=title)
    else:
        note_each([_line(outcome) for outcome in failures])
    if report.resume_error is not None:
        print_error(describe(report.resume_error))
    if failures or report.resume_error is not None:
        raise typer.Exit(1)


def _name(outcome: StoreOutcome) -> str:
    return outcome.source or outcome.sop_instance_uid


def _status(outcome: StoreOutcome) -> str:
    return "not sent" if outcome.status is None else f"{outcome.status:04X}H"


def _reason(outcome: StoreOutcome) -> str:
    from pacs_sdk.core.errors import PacsError
    from pacs_sdk.network.dimse import CStoreRQ, explain_status

    if outcome.status is None:
        if outcome.error is None:
            return outcome.comment
        return describe(PacsError(outcome.error, outcome.comment))
    words = outcome.comment or explain_status(outcome.status, CStoreRQ.command_field)
    return f"{words} ({outcome.offending})" if outcome.offending else words


def _line(outcome: StoreOutcome) -> str:
    from pacs_sdk.core.errors import PacsError

    if outcome.status is None:
        if outcome.error is None:
            return f"{_name(outcome)}: {outcome.comment}"
        return with_path(_name(outcome), PacsError(outcome.error, outcome.comment))
    comment = f": {outcome.comment}" if outcome.comment else ""
    comment += f" ({outcome.offending})" if outcome.offending else ""
    return f"{_name(outcome)}: the peer refused it with status {outcome.status:04X}H{comment}"


def _as_json(report: StoreReport, duration_s: float) -> dict[str, Any]:
    return {
        "stored": report.stored,
        "failed": len(report.failures),
        "bytes": report.size_bytes,
        "seconds": round(duration_s, 3),
        "instances": [_outcome_as_json(outcome) for outcome in report.outcomes],
        "skipped": [{"file": one.path, "reason": one.error.message} for one in report.skipped],
    }


def _outcome_as_json(outcome: StoreOutcome) -> dict[str, Any]:
    from pacs_sdk.core.tags import DicomTag

    return {
        "file": outcome.source,
        "sop_instance_uid": outcome.sop_instance_uid or None,
        "stored": outcome.is_stored,
        "status": None if outcome.status is None else f"{outcome.status:04X}",
        "error": None if outcome.error is None else outcome.error.name,
        "comment": outcome.comment,
        "offending_elements": [str(DicomTag(tag)) for tag in outcome.offending_elements],
        "transfer_syntax_uid": outcome.transfer_syntax_uid or None,
        "sent_sop_instance_uid": outcome.sent_sop_instance_uid or None,
        "bytes": outcome.size_bytes,
        "seconds": round(outcome.duration_s, 6),
        "attempts": outcome.attempts,
        "stored_before": outcome.stored_before,
    }

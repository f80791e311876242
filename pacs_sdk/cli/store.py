"""``pacs store``: send files and folders to a peer."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pacs_sdk.cli.errors import CommandFailed, describe
from pacs_sdk.cli.files import Found, find_instances
from pacs_sdk.cli.options import CalledAe, CallingAe, Host, Port, Timeout, peer, timeouts
from pacs_sdk.cli.output import ProgressBar, bar, note_each, rate, seconds, size
from pacs_sdk.cli.tls_options import TlsOptions, with_tls_options

if TYPE_CHECKING:
    from pacs_sdk.core.errors import PacsError
    from pacs_sdk.core.results import PacsResult
    from pacs_sdk.encoding import Instance
    from pacs_sdk.network import Peer
    from pacs_sdk.services import StorageScu, StoreOutcome, StoreReport

__all__ = ["store"]

_MAX_PARALLEL = 32
"""More associations than this do not make one sender faster; a server allows about 20."""


class Transcode(enum.StrEnum):
    """Whether an image may be re-encoded for a peer that refuses its transfer syntax."""

    AUTO = "auto"
    NEVER = "never"


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
    transcode: Annotated[
        Transcode,
        typer.Option(
            help="Whether an uncompressed image may be re-encoded, without loss, "
            "when the peer refuses its transfer syntax."
        ),
    ] = Transcode.AUTO,
    timeout: Timeout = 30.0,
    *,
    tls: TlsOptions,
) -> None:
    """Send DICOM files to a peer (C-STORE).

    Files in folders that are not DICOM, and DICOMDIRs, are skipped with a note. Exit
    code 1 if anything was not stored; everything else is sent all the same.
    """
    from pacs_sdk.services import StorageScu

    to = peer(host, port, aec, tls)
    with bar("Reading") as progress:
        found = find_instances(paths, progress)
    note_each(found.ignored)
    scu = StorageScu(
        ae_title=aet, timeouts=timeouts(timeout), transcode=transcode is Transcode.AUTO
    )
    begin = time.monotonic()
    outcomes: list[StoreOutcome] = []
    if found.files:
        with bar("Sending", len(found.files)) as progress:
            outcomes = _send(scu, to, found, parallel, progress)
    _report(found, outcomes, time.monotonic() - begin)


# -- sending ---------------------------------------------------------------------------------


def _send(
    scu: StorageScu, to: Peer, found: Found, parallel: int, progress: ProgressBar
) -> list[StoreOutcome]:
    """Send everything over one or several associations; outcomes in the order of the files.

    Raises:
        PacsException: Nothing could be sent, over any association.
    """
    from pacs_sdk.core.results import raised

    instances = [instance for _, instance in found.files]
    if parallel == 1 or len(instances) == 1:
        report = raised(scu.store(to, instances, lambda _: progress.advance()))
        return list(report.outcomes)
    return _send_parallel(scu, to, instances, min(parallel, len(instances)), progress)


def _send_parallel(
    scu: StorageScu, to: Peer, instances: Sequence[Instance], parallel: int, progress: ProgressBar
) -> list[StoreOutcome]:
    from pacs_sdk.core.errors import PacsException
    from pacs_sdk.core.results import Failure, Success
    from pacs_sdk.services import StoreOutcome

    def send(share: range, sent: Future[PacsResult[StoreReport]]) -> None:
        mine = [instances[number] for number in share]
        try:
            sent.set_result(scu.store(to, mine, lambda _: progress.advance()))
        except Exception as exc:  # noqa: BLE001  # raised again where the result is taken
            sent.set_exception(exc)

    # Every n-th: neighbours are of a size, so each association has as much to send.
    shares = [range(first, len(instances), parallel) for first in range(parallel)]
    sending: list[Future[PacsResult[StoreReport]]] = [Future() for _ in shares]
    for share, sent in zip(shares, sending, strict=True):
        # Daemons, so that Ctrl-C need not wait for a peer.
        threading.Thread(target=send, args=(share, sent), daemon=True).start()
    outcomes: dict[int, StoreOutcome] = {}
    refused: list[PacsError] = []
    for share, sent in zip(shares, sending, strict=True):
        match sent.result():
            case Success(report):
                outcomes |= zip(share, report.outcomes, strict=True)
            case Failure(error):
                refused.append(error)
                for number in share:
                    one = instances[number]
                    outcomes[number] = StoreOutcome(
                        one.sop_instance_uid, one.size, None, describe(error)
                    )
    if len(refused) == parallel:
        raise PacsException.of(refused[0])
    return [outcomes[number] for number in range(len(instances))]


# -- reporting -------------------------------------------------------------------------------


def _report(found: Found, outcomes: Sequence[StoreOutcome], duration_s: float) -> None:
    stored = [outcome for outcome in outcomes if outcome.is_stored]
    total = len(outcomes) + len(found.broken)
    failures = [
        *found.broken,
        *(
            f"{path}: {_reason(outcome)}"
            for (path, _), outcome in zip(found.files, outcomes, strict=True)
            if not outcome.is_stored
        ),
    ]
    if not total:
        raise CommandFailed("there is nothing to send; name DICOM files or folders that hold some")
    sent_bytes = sum(outcome.size_bytes for outcome in stored)
    warned = sum(outcome.status != 0 for outcome in stored)
    speed = f"{size(sent_bytes)} in {seconds(duration_s)} ({rate(sent_bytes, duration_s)})"
    typer.echo(
        f"stored {len(stored)} of {total} instances"
        + (f", {speed}" if stored else "")
        + (f", {warned} with a warning" if warned else "")
        + (f", {len(found.ignored)} files skipped" if found.ignored else "")
    )
    if failures:
        note_each(failures)
        raise typer.Exit(1)


def _reason(outcome: StoreOutcome) -> str:
    if outcome.status is None:
        return outcome.comment or "not sent"
    comment = f": {outcome.comment}" if outcome.comment else ""
    return f"the peer refused it with status {outcome.status:04X}H{comment}"

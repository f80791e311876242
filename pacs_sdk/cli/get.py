"""``pacs get``: fetch instances from a peer into a folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import attrs
import typer

from pacs_sdk.cli.errors import CommandFailed, describe
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
from pacs_sdk.cli.output import ProgressBar, bar, note_each, rate, seconds, size
from pacs_sdk.cli.tls_options import TlsOptions, with_tls_options

if TYPE_CHECKING:
    from pacs_sdk.core.results import PacsResult
    from pacs_sdk.core.tags import DicomTag
    from pacs_sdk.encoding import Instance
    from pacs_sdk.network.dimse import CGetRSP
    from pacs_sdk.services import RetrieveReport

__all__ = ["FolderWriter", "get"]


@attrs.define
class FolderWriter:
    """Writes each instance to ``<folder>/<study>/<series>/<instance>.dcm``.

    The data set is written byte for byte as it came.
    """

    folder: Path
    """Where to; folders are made as needed."""
    failures: list[str] = attrs.field(factory=list)
    """What could not be kept, each with the reason."""

    def keep(self, instance: Instance) -> PacsResult[Path]:
        """Write one instance.

        Returns:
            ``Success`` with the file, or ``Failure`` with ``MISSING_REQUIRED_VALUE`` or
            ``INVALID_UID`` (a UID that cannot name a file), ``FILE_WRITE_FAILED``, or
            what reading the header gives.
        """
        from pacs_sdk.core.errors import ErrorCode
        from pacs_sdk.core.results import Failure, edge

        written = edge({OSError: ErrorCode.FILE_WRITE_FAILED})(self._write)(instance)
        match written:
            case Failure(error):
                self.failures.append(f"{instance.sop_instance_uid}: {describe(error)}")
        return written

    def _write(self, instance: Instance) -> Path:
        from pacs_sdk.core.results import raised
        from pacs_sdk.core.uids import checked_uid
        from pacs_sdk.encoding import write_file

        header = raised(instance.header())
        # UIDs come from the peer: nothing but digits and dots may become a path.
        study = checked_uid(header.text("StudyInstanceUID"), "Study Instance UID")
        series = checked_uid(header.text("SeriesInstanceUID"), "Series Instance UID")
        name = checked_uid(instance.sop_instance_uid, "SOP Instance UID")
        place = self.folder / study / series / f"{name}.dcm"
        place.parent.mkdir(parents=True, exist_ok=True)
        return raised(write_file(instance, place))


@with_tls_options
def get(  # noqa: PLR0913, PLR0917  # each is an argument of the command line
    host: Host,
    port: Port,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write to.")],
    key: Keys,
    level: Annotated[
        Level | None,
        typer.Option(
            metavar="LEVEL",
            help="PATIENT, STUDY, SERIES or IMAGE; by default that of the most specific key.",
            case_sensitive=False,
            show_default=False,
        ),
    ] = None,
    aec: CalledAe = "ANY-SCP",
    aet: CallingAe = "PACS_SCU",
    timeout: Timeout = 30.0,
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
    from pacs_sdk.services import InformationModel, RetrieveScu

    keys = parse_keys(key)
    at = _level(keys, level)
    writer = FolderWriter(out)
    scu = RetrieveScu(ae_title=aet, timeouts=timeouts(timeout))
    begin = time.monotonic()
    with bar("Receiving") as progress:
        report = raised(
            scu.get(
                peer(host, port, aec, tls),
                identifier(at, keys),
                writer.keep,
                model=InformationModel["PATIENT_ROOT" if at is Level.PATIENT else "STUDY_ROOT"],
                on_progress=_Follower(progress).follow,
            )
        )
    _report(report, writer, time.monotonic() - begin)


def _level(keys: dict[DicomTag, str], chosen: Level | None) -> Level:
    """Check the keys, and take the level from the most specific one unless it is given."""
    from pacs_sdk.cli.keys import UNIQUE_KEYS

    given = {tag.keyword for tag, value in keys.items() if value}
    foreign = {tag.keyword or str(tag) for tag in keys} - set(UNIQUE_KEYS.values())
    if foreign:
        raise typer.BadParameter(
            f"{', '.join(sorted(foreign))}: a C-GET names what it wants by unique keys "
            f"({', '.join(UNIQUE_KEYS.values())}); look them up with `pacs find`",
            param_hint="-k",
        )
    levels = [level for level, keyword in UNIQUE_KEYS.items() if keyword in given]
    if not levels or (chosen is not None and chosen not in levels):
        wanted = UNIQUE_KEYS[chosen] if chosen else " or ".join(UNIQUE_KEYS.values())
        raise typer.BadParameter(f"say what to fetch: give {wanted} a value", param_hint="-k")
    return chosen or levels[-1]


@attrs.define
class _Follower:
    """Turns the counts of Pending responses into steps of a progress bar."""

    progress: ProgressBar
    done: int = 0

    def follow(self, response: CGetRSP) -> None:
        """Move the bar to where the peer says it is."""
        done = sum(
            count or 0
            for count in (
                response.number_of_completed_suboperations,
                response.number_of_failed_suboperations,
                response.number_of_warning_suboperations,
            )
        )
        self.progress.of(done + (response.number_of_remaining_suboperations or 0))
        self.progress.advance(done - self.done)
        self.done = done


def _report(report: RetrieveReport, writer: FolderWriter, duration_s: float) -> None:
    from pacs_sdk.network.dimse import StatusCategory, status_category

    if report.received:
        typer.echo(
            f"received {report.received} instances, {size(report.size_bytes)} in "
            f"{seconds(duration_s)} ({rate(report.size_bytes, duration_s)}), in {writer.folder}"
        )
    note_each(writer.failures)
    elsewhere = report.failed - len(writer.failures)
    if elsewhere > 0:
        raise CommandFailed(
            f"{elsewhere} instances could not be sent by the peer; its log says why"
        )
    if writer.failures:
        raise typer.Exit(1)
    if status_category(report.status) in (StatusCategory.FAILURE, StatusCategory.CANCEL):
        raise CommandFailed(f"the peer ended the C-GET with status {report.status:04X}H")
    if not report.received:
        raise CommandFailed("the peer has nothing of that; check the keys with `pacs find`")

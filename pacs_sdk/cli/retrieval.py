"""What ``pacs get`` and ``pacs move`` have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, TypeAlias

import attrs
import typer

from pacs_sdk.cli.errors import CommandFailed, describe
from pacs_sdk.cli.options import Level
from pacs_sdk.cli.output import ProgressBar, note_each, rate, seconds, size

if TYPE_CHECKING:
    from pacs_sdk.core.tags import DicomTag
    from pacs_sdk.services import InFolder, InformationModel, RetrieveProgress, RetrieveReport

__all__ = [
    "Follower",
    "RetrieveLevel",
    "check_final_status",
    "model_of",
    "note_failures",
    "retrieve_level",
    "tell_received",
]

RetrieveLevel: TypeAlias = Annotated[
    Level | None,
    typer.Option(
        "--level",
        metavar="LEVEL",
        help="PATIENT, STUDY, SERIES or IMAGE; by default that of the most specific key.",
        case_sensitive=False,
        show_default=False,
    ),
]


def retrieve_level(keys: Mapping[DicomTag, str], chosen: Level | None) -> Level:
    """Check the keys, and take the level from the most specific one unless it is given.

    Raises:
        typer.BadParameter: They are no keys of a retrieval, or not those of the level.
    """
    from pacs_sdk.cli.keys import UNIQUE_KEYS

    given = {tag.keyword for tag, value in keys.items() if value}
    foreign = {tag.keyword or str(tag) for tag in keys} - set(UNIQUE_KEYS.values())
    if foreign:
        raise typer.BadParameter(
            f"{', '.join(sorted(foreign))}: a retrieval names what it wants by unique keys "
            f"({', '.join(UNIQUE_KEYS.values())}); look them up with `pacs find`",
            param_hint="-k",
        )
    levels = [level for level, keyword in UNIQUE_KEYS.items() if keyword in given]
    if not levels or (chosen is not None and chosen not in levels):
        wanted = UNIQUE_KEYS[chosen] if chosen else " or ".join(UNIQUE_KEYS.values())
        raise typer.BadParameter(f"say what to fetch: give {wanted} a value", param_hint="-k")
    if chosen is not None and chosen is not levels[-1]:
        raise typer.BadParameter(
            f"{UNIQUE_KEYS[levels[-1]]} says less than a whole {chosen.value.lower()}; leave it "
            "or --level out",
            param_hint="-k",
        )
    return chosen or levels[-1]


def model_of(level: Level, keys: Mapping[DicomTag, str]) -> InformationModel:
    """Choose the information model: Patient Root where a patient is named."""
    from pacs_sdk.services import InformationModel

    names_patient = any(tag.keyword == "PatientID" and value for tag, value in keys.items())
    by_patient = level is Level.PATIENT or names_patient
    return InformationModel.PATIENT_ROOT if by_patient else InformationModel.STUDY_ROOT


@attrs.define
class Follower:
    """Turns the counts of Pending responses into steps of a progress bar."""

    progress: ProgressBar
    done: int = 0

    def follow(self, counts: RetrieveProgress) -> None:
        """Move the bar to where the peer says it is."""
        self.progress.of(counts.total)
        self.progress.advance(counts.done - self.done)
        self.done = counts.done


def tell_received(report: RetrieveReport, folder: InFolder, duration_s: float) -> None:
    """Say what was written."""
    typer.echo(
        f"received {report.received} instances, {size(report.size_bytes)} in "
        f"{seconds(duration_s)} ({rate(report.size_bytes, duration_s)}), in {folder.folder}"
    )


def note_failures(folder: InFolder) -> None:
    """Say what could not be written."""
    note_each([f"{uid}: {describe(error)}" for uid, error in folder.failures])


def check_final_status(report: RetrieveReport, operation: str) -> None:
    """Fail where the peer says that the retrieval failed, was cancelled, or left something out.

    Raises:
        CommandFailed: With the status, and the peer's own words.
    """
    from pacs_sdk.network.dimse import StatusCategory, status_category

    category = status_category(report.status)
    is_partial = category is StatusCategory.WARNING and not report.warnings
    if is_partial or category in (StatusCategory.FAILURE, StatusCategory.CANCEL):
        comment = f": {report.comment}" if report.comment else ""
        if is_partial and not comment:
            comment = ", which stands for failures or warnings that it does not count"
        raise CommandFailed(
            f"the peer ended the {operation} with status {report.status:04X}H{comment}"
        )

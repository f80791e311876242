"""``pacs query``: look something up in an archive, in the words that people use."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pacs_sdk.cli.errors import print_error
from pacs_sdk.cli.matches import AsCsv, AsJson, Fuzzy, Limit, check_one_format, print_matches
from pacs_sdk.cli.options import CalledAe, CallingAe, Host, Level, Port, Timeout, peer, timeouts
from pacs_sdk.cli.output import bar
from pacs_sdk.cli.tls_options import TlsOptions, with_tls_options

if TYPE_CHECKING:
    from pacs_sdk.core.dataset import DicomDataset

__all__ = ["COLUMNS", "day_of", "query"]

COLUMNS: Final[Mapping[Level, Mapping[str, str]]] = {
    Level.PATIENT: {
        "PatientName": "Patient",
        "PatientID": "ID",
        "PatientBirthDate": "Born",
        "PatientSex": "Sex",
        "NumberOfPatientRelatedStudies": ">Studies",
    },
    Level.STUDY: {
        "StudyDate": "Date",
        "PatientName": "Patient",
        "PatientID": "ID",
        "ModalitiesInStudy": "Mod.",
        "StudyDescription": "Description",
        "AccessionNumber": "Accession",
        "NumberOfStudyRelatedSeries": ">Series",
        "NumberOfStudyRelatedInstances": ">Images",
        "StudyInstanceUID": "Study UID",
    },
    Level.SERIES: {
        "SeriesNumber": ">No.",
        "Modality": "Modality",
        "SeriesDate": "Date",
        "SeriesDescription": "Description",
        "BodyPartExamined": "Body part",
        "NumberOfSeriesRelatedInstances": ">Images",
        "SeriesInstanceUID": "Series UID",
    },
    Level.IMAGE: {
        "InstanceNumber": ">No.",
        "SOPClassUID": "SOP Class UID",
        "Rows": ">Rows",
        "Columns": ">Columns",
        "NumberOfFrames": ">Frames",
        "SOPInstanceUID": "SOP UID",
    },
}
"""What each level shows, with its heading."""

_DAYS_AGO: Final = re.compile(r"(\d{1,5})d", re.ASCII)
_LONGEST_RANGE_D: Final = 36_525


def day_of(text: str, today: dt.date) -> dt.date:
    """Read a day as people write it.

    Args:
        text: ``2025-01-31``, ``20250131``, ``today``, ``yesterday``, or ``7d`` for seven days
            ago.
        today: What day it is.

    Raises:
        typer.BadParameter: It is none of these.
    """
    word = text.strip().lower()
    if word in ("today", "yesterday"):
        return today - dt.timedelta(days=word == "yesterday")
    ago = _DAYS_AGO.fullmatch(word)
    if ago and int(ago[1]) <= _LONGEST_RANGE_D:
        return today - dt.timedelta(days=int(ago[1]))
    try:
        return dt.date.fromisoformat(word)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no day: write 2025-01-31, today, yesterday, or 7d for a week ago"
        ) from None


@with_tls_options
def query(  # noqa: PLR0913, PLR0917  # each is an argument of the command line
    host: Host,
    port: Port,
    patient: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The patient's name; Doe finds all names that begin so, Doe^John that one, and "
            "* stands for anything.",
        ),
    ] = None,
    patient_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The Patient ID.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DAY",
            help="The first day of the study: 2025-01-31, today, yesterday, 7d for a week ago.",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DAY", help="The last day of the study.")
    ] = None,
    modality: Annotated[
        list[str] | None,
        typer.Option(metavar="CT", help="The modality, such as CT or MR. Repeatable: any of them."),
    ] = None,
    accession: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="The Accession Number.")
    ] = None,
    description: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Words of the study's or series' description."),
    ] = None,
    study: Annotated[
        str | None, typer.Option(metavar="UID", help="The Study Instance UID.")
    ] = None,
    series: Annotated[
        str | None, typer.Option(metavar="UID", help="The Series Instance UID.")
    ] = None,
    level: Annotated[
        Level,
        typer.Option(
            metavar="LEVEL",
            help="What to list: patient, study, series or image.",
            case_sensitive=False,
        ),
    ] = Level.STUDY,
    limit: Limit = None,
    fuzzy: Fuzzy = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    aec: CalledAe = "ANY-SCP",
    aet: CallingAe = "PACS_SCU",
    timeout: Timeout = 30.0,
    *,
    tls: TlsOptions,
) -> None:
    """Look up patients, studies, series or images of an archive, newest first.

    For instance: pacs query HOST PORT --patient Doe --since 2025-01-01 --modality CT

    Prints a table, or lines of tab-separated values where there is no terminal.
    `pacs find` asks for any attribute, and by any.
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    from pacs_sdk.cli.keys import identifier
    from pacs_sdk.core.results import raised
    from pacs_sdk.core.tags import DicomTag
    from pacs_sdk.services import FindNegotiation, QueryScu

    wanted = {
        "PatientName": _name_key(patient, fuzzy=fuzzy),
        "PatientID": patient_id or "",
        "StudyDate": _days(since, until),
        "AccessionNumber": accession or "",
        "StudyInstanceUID": study or "",
        "SeriesInstanceUID": series or "",
        _DESCRIPTIONS.get(level, "StudyDescription"): _words(description),
        _MODALITIES.get(level, "ModalitiesInStudy"): "\\".join(modality or ()).upper(),
    }
    returned = (*COLUMNS[level], *(("StudyTime",) if level is Level.STUDY else ()))
    keys = dict.fromkeys(returned, "") | {name: text for name, text in wanted.items() if text}
    question = identifier(level, {DicomTag.of(name): text for name, text in keys.items()})
    scu = QueryScu(ae_title=aet, timeouts=timeouts(timeout))
    with bar("Searching"):
        found = raised(
            scu.find(
                peer(host, port, aec, tls),
                question,
                limit=limit,
                negotiation=FindNegotiation(fuzzy=fuzzy),
            )
        )
    matches = sorted(_of_modality(found, level, modality or ()), key=_newest_first(level))
    if len(matches) < len(found):
        print_error(f"left out {len(found) - len(matches)} matches of other modalities")
    columns = [DicomTag.of(name) for name in COLUMNS[level]]
    headings = tuple(COLUMNS[level].values())
    print_matches(matches, columns, headings, as_json=as_json, as_csv=as_csv)


_DESCRIPTIONS: Final = {Level.SERIES: "SeriesDescription"}
_MODALITIES: Final = {Level.SERIES: "Modality"}


def _name_key(name: str | None, *, fuzzy: bool) -> str:
    """Let a family name find those who have it: a key without wild card is the whole name."""
    if not name or fuzzy or set(name) & set("*?^="):
        return name or ""
    return f"{name}*"


def _words(text: str | None) -> str:
    if not text or set(text) & set("*?"):
        return text or ""
    return f"*{text}*"


def _days(since: str | None, until: str | None) -> str:
    """Make a range of dates (PS3.4 C.2.2.2.5)."""
    today = dt.datetime.now().astimezone().date()
    first = None if since is None else day_of(since, today)
    last = None if until is None else day_of(until, today)
    if first is None and last is None:
        return ""
    if first is not None and last is not None and first > last:
        raise typer.BadParameter(f"{since} is after {until}", param_hint="--since")
    return "-".join("" if day is None else f"{day:%Y%m%d}" for day in (first, last))


def _of_modality(
    found: Sequence[DicomDataset], level: Level, modalities: Sequence[str]
) -> list[DicomDataset]:
    """Keep what is of the modalities: many archives return it, and don't match it."""
    wanted = {one.upper() for one in modalities}
    if not wanted or any(set(one) & set("*?") for one in wanted):
        return list(found)
    keyword = _MODALITIES.get(level, "ModalitiesInStudy")
    texts = [set(match.get_strings(keyword).value_or(())) for match in found]
    return [match for match, has in zip(found, texts, strict=True) if not has or has & wanted]


def _newest_first(level: Level) -> Callable[[DicomDataset], tuple[object, ...]]:
    """Order studies by date, the newest first; series and images by number; patients by name."""

    def key(match: DicomDataset) -> tuple[object, ...]:
        def text(keyword: str) -> str:
            return match.get_string(keyword).value_or("")

        if level is Level.STUDY:
            moment = f"{text('StudyDate'):8}{text('StudyTime')}"
            return (tuple(-ord(one) for one in moment),)
        if level is Level.PATIENT:
            return (text("PatientName").casefold(), text("PatientID"))
        number = text("SeriesNumber" if level is Level.SERIES else "InstanceNumber")
        return (int(number) if number.lstrip("+-").isdecimal() else 0,)

    return key

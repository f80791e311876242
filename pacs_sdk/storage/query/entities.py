"""Records of what the index knows of a patient, study, series or instance."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage.index.attributes import QueryLevel

__all__ = [
    "EntityRecord",
    "InstanceRecord",
    "PatientRecord",
    "SeriesRecord",
    "StudyRecord",
    "as_date",
    "as_number",
    "as_time",
    "record_of",
]


_NUMBER: Final = re.compile(r" *[+-]?[0-9]{1,18} *")


def as_date(text: str) -> dt.date | None:
    """Read a date (DA) as the index keeps it; a day that doesn't exist gives ``None``."""
    if len(text) != 8 or not text.isdecimal():
        return None
    try:
        return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def as_time(text: str) -> dt.time | None:
    """Read a time (TM) as the index keeps it; what it doesn't say is zero.

    A leap second becomes the second before it, which is the last that Python knows.
    """
    digits, _, fraction = text.partition(".")
    if not digits.isdecimal() or (fraction and not fraction.isdecimal()):
        return None
    padded = f"{digits:0<6}"
    try:
        return dt.time(
            int(padded[:2]),
            int(padded[2:4]),
            min(int(padded[4:6]), 59),
            int(f"{fraction:0<6}"[:6]) if fraction else 0,
        )
    except ValueError:
        return None


def as_number(text: str) -> int | None:
    """Read a whole number; what is none, or has more than 18 digits, gives ``None``."""
    # Tables have columns of 64 bits, and what a careless sender writes as IS is of any length.
    return int(text) if _NUMBER.fullmatch(text) else None


def _values(text: str) -> tuple[str, ...]:
    return tuple(value for value in text.split("\\") if value)


@attrs.frozen
class PatientRecord:
    """What the index knows of a patient."""

    patient_id: str
    """Patient ID (0010,0020)."""
    issuer_of_patient_id: str
    """Issuer of Patient ID (0010,0021): who gave the ID."""
    patient_name: str
    """Patient's Name (0010,0010), as it was written."""
    patient_birth_date: dt.date | None
    """Patient's Birth Date (0010,0030)."""
    patient_sex: str
    """Patient's Sex (0010,0040): M, F, O or empty."""
    number_of_studies: int | None
    """How many studies there are."""
    number_of_instances: int | None
    """How many instances there are."""


@attrs.frozen
class StudyRecord:
    """What the index knows of a study."""

    study_instance_uid: str
    """Study Instance UID (0020,000D)."""
    patient_id: str
    """Patient ID (0010,0020)."""
    patient_name: str
    """Patient's Name (0010,0010)."""
    study_date: dt.date | None
    """Study Date (0008,0020)."""
    study_time: dt.time | None
    """Study Time (0008,0030)."""
    accession_number: str
    """Accession Number (0008,0050)."""
    study_id: str
    """Study ID (0020,0010)."""
    study_description: str
    """Study Description (0008,1030)."""
    referring_physician_name: str
    """Referring Physician's Name (0008,0090)."""
    modalities_in_study: tuple[str, ...]
    """Modalities in Study (0008,0061)."""
    number_of_series: int | None
    """How many series there are."""
    number_of_instances: int | None
    """How many instances there are."""


@attrs.frozen
class SeriesRecord:
    """What the index knows of a series."""

    study_instance_uid: str
    """Study Instance UID (0020,000D)."""
    series_instance_uid: str
    """Series Instance UID (0020,000E)."""
    modality: str
    """Modality (0008,0060)."""
    series_number: int | None
    """Series Number (0020,0011)."""
    series_description: str
    """Series Description (0008,103E)."""
    series_date: dt.date | None
    """Series Date (0008,0021)."""
    series_time: dt.time | None
    """Series Time (0008,0031)."""
    body_part_examined: str
    """Body Part Examined (0018,0015)."""
    number_of_instances: int | None
    """How many instances there are."""


@attrs.frozen
class InstanceRecord:
    """What the index knows of an instance."""

    study_instance_uid: str
    """Study Instance UID (0020,000D)."""
    series_instance_uid: str
    """Series Instance UID (0020,000E)."""
    sop_instance_uid: str
    """SOP Instance UID (0008,0018)."""
    sop_class_uid: str
    """SOP Class UID (0008,0016)."""
    instance_number: int | None
    """Instance Number (0020,0013)."""
    number_of_frames: int | None
    """Number of Frames (0028,0008)."""
    rows: int | None
    """Rows (0028,0010)."""
    columns: int | None
    """Columns (0028,0011)."""
    transfer_syntax_uid: str
    """How its object is encoded."""


EntityRecord: TypeAlias = PatientRecord | StudyRecord | SeriesRecord | InstanceRecord
"""What a match is as a record, by its level."""

_RECORDS: Final[Mapping[QueryLevel, type[EntityRecord]]] = {
    QueryLevel.PATIENT: PatientRecord,
    QueryLevel.STUDY: StudyRecord,
    QueryLevel.SERIES: SeriesRecord,
    QueryLevel.IMAGE: InstanceRecord,
}


_SOURCES: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "patient_id": ("PatientID", str),
    "issuer_of_patient_id": ("IssuerOfPatientID", str),
    "patient_name": ("PatientName", str),
    "patient_birth_date": ("PatientBirthDate", as_date),
    "patient_sex": ("PatientSex", str),
    "number_of_studies": ("NumberOfPatientRelatedStudies", as_number),
    "study_instance_uid": ("StudyInstanceUID", str),
    "study_date": ("StudyDate", as_date),
    "study_time": ("StudyTime", as_time),
    "accession_number": ("AccessionNumber", str),
    "study_id": ("StudyID", str),
    "study_description": ("StudyDescription", str),
    "referring_physician_name": ("ReferringPhysicianName", str),
    "modalities_in_study": ("ModalitiesInStudy", _values),
    "number_of_series": ("NumberOfStudyRelatedSeries", as_number),
    "series_instance_uid": ("SeriesInstanceUID", str),
    "modality": ("Modality", str),
    "series_number": ("SeriesNumber", as_number),
    "series_description": ("SeriesDescription", str),
    "series_date": ("SeriesDate", as_date),
    "series_time": ("SeriesTime", as_time),
    "body_part_examined": ("BodyPartExamined", str),
    "sop_instance_uid": ("SOPInstanceUID", str),
    "sop_class_uid": ("SOPClassUID", str),
    "instance_number": ("InstanceNumber", as_number),
    "number_of_frames": ("NumberOfFrames", as_number),
    "rows": ("Rows", as_number),
    "columns": ("Columns", as_number),
    "transfer_syntax_uid": ("AvailableTransferSyntaxUID", str),
}
"""Keyword and reader of each field."""

_INSTANCES_OF: Final[Mapping[QueryLevel, str]] = {
    QueryLevel.PATIENT: "NumberOfPatientRelatedInstances",
    QueryLevel.STUDY: "NumberOfStudyRelatedInstances",
    QueryLevel.SERIES: "NumberOfSeriesRelatedInstances",
}


def record_of(level: QueryLevel, values: Mapping[int, str]) -> EntityRecord:
    """Make the record of a level of values by tag.

    Args:
        level: What kind of entity it is.
        values: Its values as text; what is not there is taken for empty.
    """
    made = _RECORDS[level]
    fields: dict[str, Any] = {}
    for field in attrs.fields(made):
        keyword, read = _SOURCES.get(field.name) or (_INSTANCES_OF[level], as_number)
        fields[field.name] = read(values.get(int(DicomTag.of(keyword)), ""))
    return made(**fields)

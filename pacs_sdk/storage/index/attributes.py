"""What the index keeps of an instance: one table of attributes, each at its level.

The columns, the matching keys of a query and the values of a match all come from
:data:`ATTRIBUTES`. The levels are those of the Patient Root model (PS3.4 C.6.1.1); the
Study Root model (C.6.2.1) merely has no PATIENT level.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

import attrs

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR

__all__ = [
    "ATTRIBUTES",
    "COMPUTED_ATTRIBUTES",
    "REQUEST_ATTRIBUTES",
    "REQUEST_ATTRIBUTES_SEQUENCE",
    "TIMES_OF_DATES",
    "AttributeKind",
    "ComputedAttribute",
    "ComputedKind",
    "IndexedAttribute",
    "QueryLevel",
    "attributes_of",
]


class QueryLevel(enum.StrEnum):
    """The levels of a query, top down (PS3.4 C.6.1.1)."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"

    @property
    def depth(self) -> int:
        """0 for PATIENT down to 3 for IMAGE."""
        return _DEPTHS[self]


_DEPTHS: Final = {level: depth for depth, level in enumerate(QueryLevel)}


class AttributeKind(enum.Enum):
    """How an attribute is stored and matched."""

    TEXT = "text"
    """Text; wildcards, case counts."""
    UID = "uid"
    """A UID; lists of UIDs."""
    NAME = "name"
    """A person name; wildcards, neither case nor accents count, component groups apart."""
    DATE = "date"
    """A date; ranges."""
    TIME = "time"
    """A time of day; ranges, precision apart."""
    NUMBER = "number"
    """A whole number."""
    DECIMAL = "decimal"
    """A number of any kind, however it is written."""
    DATE_TIME = "date-time"
    """A date and time in one (DT); ranges, precision apart."""


@attrs.frozen
class IndexedAttribute:
    """An attribute that the index keeps."""

    keyword: str
    """The keyword of PS3.6."""
    level: QueryLevel
    """The entity it belongs to."""
    column: str
    """The name of its column in that entity's table."""
    kind: AttributeKind = AttributeKind.TEXT
    """How it is stored and matched."""
    multiple: bool = False
    """Whether it may have several values, each of which is matched."""
    further: bool = False
    """Whether a site added it: its columns are members of the JSON object of their row then."""
    tag: int = attrs.field(init=False)
    """Its tag."""

    @tag.default
    def _tag_of_keyword(self) -> int:
        return int(DicomTag.of(self.keyword))

    @property
    def vr(self) -> VR:
        """The VR of PS3.6; of several (``US or SS``) the first."""
        return VR(DicomTag(self.tag).dictionary_vr[:2])

    @property
    def normal_column(self) -> str:
        """The column of a number or a date and time in the form that is compared."""
        return f"{self.column}_normal"

    @property
    def group_columns(self) -> tuple[str, str, str]:
        """The columns of a single name's component groups, folded."""
        return (
            f"{self.column}_alphabetic",
            f"{self.column}_ideographic",
            f"{self.column}_phonetic",
        )

    @property
    def words_column(self) -> str:
        """The column of a single name's words, each with a space before and after it."""
        return f"{self.column}_words"

    @property
    def sounds_column(self) -> str:
        """The column of how its words sound, likewise."""
        return f"{self.column}_sounds"

    @property
    def folded_column(self) -> str:
        """The column of all groups of several names, each between backslashes."""
        return f"{self.column}_folded"

    @property
    def name_columns(self) -> tuple[str, ...]:
        """The columns that a person name is searched in, besides its own."""
        if self.multiple:
            return (self.folded_column,)
        return (*self.group_columns, self.words_column, self.sounds_column)

    @property
    def search_columns(self) -> tuple[str, ...]:
        """The columns that it is searched in, where these are others than its own."""
        match self.kind:
            case AttributeKind.NAME:
                return self.name_columns
            case AttributeKind.DECIMAL | AttributeKind.DATE_TIME:
                return (self.normal_column,)
        return ()


_P, _S, _R, _I = QueryLevel
_UID, _NAME, _DATE, _TIME, _NUMBER = (
    AttributeKind.UID,
    AttributeKind.NAME,
    AttributeKind.DATE,
    AttributeKind.TIME,
    AttributeKind.NUMBER,
)

_ALL: Final = (
    IndexedAttribute("PatientID", _P, "patient_id"),
    IndexedAttribute("IssuerOfPatientID", _P, "issuer_of_patient_id"),
    IndexedAttribute("PatientName", _P, "patient_name", _NAME),
    IndexedAttribute("PatientBirthDate", _P, "patient_birth_date", _DATE),
    IndexedAttribute("PatientSex", _P, "patient_sex"),
    IndexedAttribute("PatientBirthTime", _P, "patient_birth_time", _TIME),
    IndexedAttribute("OtherPatientIDs", _P, "other_patient_ids", multiple=True),
    IndexedAttribute("OtherPatientNames", _P, "other_patient_names", _NAME, multiple=True),
    IndexedAttribute("EthnicGroup", _P, "ethnic_group"),
    IndexedAttribute("PatientComments", _P, "patient_comments"),
    IndexedAttribute("StudyInstanceUID", _S, "study_instance_uid", _UID),
    IndexedAttribute("StudyDate", _S, "study_date", _DATE),
    IndexedAttribute("StudyTime", _S, "study_time", _TIME),
    IndexedAttribute("AccessionNumber", _S, "accession_number"),
    IndexedAttribute("StudyID", _S, "study_id"),
    IndexedAttribute("StudyDescription", _S, "study_description"),
    IndexedAttribute("ReferringPhysicianName", _S, "referring_physician_name", _NAME),
    IndexedAttribute(
        "NameOfPhysiciansReadingStudy", _S, "name_of_physicians_reading_study", _NAME, multiple=True
    ),
    IndexedAttribute(
        "AdmittingDiagnosesDescription", _S, "admitting_diagnoses_description", multiple=True
    ),
    IndexedAttribute("PatientAge", _S, "patient_age"),
    IndexedAttribute("PatientSize", _S, "patient_size"),
    IndexedAttribute("PatientWeight", _S, "patient_weight"),
    IndexedAttribute("Occupation", _S, "occupation"),
    IndexedAttribute("AdditionalPatientHistory", _S, "additional_patient_history"),
    IndexedAttribute("SeriesInstanceUID", _R, "series_instance_uid", _UID),
    IndexedAttribute("Modality", _R, "modality"),
    IndexedAttribute("SeriesNumber", _R, "series_number", _NUMBER),
    IndexedAttribute("SeriesDescription", _R, "series_description"),
    IndexedAttribute("SeriesDate", _R, "series_date", _DATE),
    IndexedAttribute("SeriesTime", _R, "series_time", _TIME),
    IndexedAttribute("BodyPartExamined", _R, "body_part_examined"),
    IndexedAttribute("ProtocolName", _R, "protocol_name"),
    IndexedAttribute(
        "PerformedProcedureStepStartDate", _R, "performed_procedure_step_start_date", _DATE
    ),
    IndexedAttribute(
        "PerformedProcedureStepStartTime", _R, "performed_procedure_step_start_time", _TIME
    ),
    IndexedAttribute("PerformedProcedureStepID", _R, "performed_procedure_step_id"),
    IndexedAttribute(
        "PerformedProcedureStepDescription", _R, "performed_procedure_step_description"
    ),
    IndexedAttribute(
        "PerformingPhysicianName", _R, "performing_physician_name", _NAME, multiple=True
    ),
    IndexedAttribute("OperatorsName", _R, "operators_name", _NAME, multiple=True),
    IndexedAttribute("Laterality", _R, "laterality"),
    IndexedAttribute("FrameOfReferenceUID", _R, "frame_of_reference_uid", _UID),
    IndexedAttribute("InstitutionalDepartmentName", _R, "institutional_department_name"),
    IndexedAttribute("DeviceSerialNumber", _R, "device_serial_number"),
    IndexedAttribute("StationName", _R, "station_name"),
    IndexedAttribute("InstitutionName", _R, "institution_name"),
    IndexedAttribute("Manufacturer", _R, "manufacturer"),
    IndexedAttribute("ManufacturerModelName", _R, "manufacturer_model_name"),
    IndexedAttribute("TimezoneOffsetFromUTC", _R, "timezone_offset_from_utc"),
    IndexedAttribute("SOPInstanceUID", _I, "sop_instance_uid", _UID),
    IndexedAttribute("SOPClassUID", _I, "sop_class_uid", _UID),
    IndexedAttribute("InstanceNumber", _I, "instance_number", _NUMBER),
    IndexedAttribute("ContentDate", _I, "content_date", _DATE),
    IndexedAttribute("ContentTime", _I, "content_time", _TIME),
    IndexedAttribute("NumberOfFrames", _I, "number_of_frames", _NUMBER),
    IndexedAttribute("Rows", _I, "rows", _NUMBER),
    IndexedAttribute("Columns", _I, "columns", _NUMBER),
    IndexedAttribute("BitsAllocated", _I, "bits_allocated", _NUMBER),
    IndexedAttribute("AvailableTransferSyntaxUID", _I, "transfer_syntax_uid", _UID),
)

ATTRIBUTES: Final[Mapping[int, IndexedAttribute]] = {one.tag: one for one in _ALL}
"""Every attribute that has a column, by tag."""


_BY_KEYWORD: Final = {one.keyword: one for one in _ALL}

TIMES_OF_DATES: Final[Mapping[int, IndexedAttribute]] = {
    _BY_KEYWORD[f"{name}Date"].tag: _BY_KEYWORD[f"{name}Time"]
    for name in ("PatientBirth", "Study", "Series", "PerformedProcedureStepStart", "Content")
}
"""The time that belongs to a date, by the date's tag (PS3.4 C.2.2.2.5)."""

REQUEST_ATTRIBUTES_SEQUENCE: Final = int(DicomTag.of("RequestAttributesSequence"))
"""The sequence that links a series to what was requested (PS3.3 C.7.3.1)."""

REQUEST_ATTRIBUTES: Final[Mapping[int, IndexedAttribute]] = {
    one.tag: one
    for one in (
        IndexedAttribute("AccessionNumber", _R, "accession_number"),
        IndexedAttribute("StudyInstanceUID", _R, "study_instance_uid", _UID),
        IndexedAttribute("RequestedProcedureDescription", _R, "requested_procedure_description"),
        IndexedAttribute(
            "ScheduledProcedureStepDescription", _R, "scheduled_procedure_step_description"
        ),
        IndexedAttribute("ScheduledProcedureStepID", _R, "scheduled_procedure_step_id"),
        IndexedAttribute("RequestedProcedureID", _R, "requested_procedure_id"),
    )
}
"""The attributes of an item of it that have a column (PS3.18 Table 10.6.1-5), by tag."""


_OF_LEVELS: Final = {
    level: tuple(one for one in _ALL if one.level is level) for level in QueryLevel
}


def attributes_of(level: QueryLevel) -> tuple[IndexedAttribute, ...]:
    """Return the attributes of one level that have a column."""
    return _OF_LEVELS[level]


class ComputedKind(enum.Enum):
    """What a computed attribute says about an entity."""

    COUNT = "count"
    """How many entities of a lower level it has."""
    VALUES = "values"
    """Which values an attribute of a lower level takes in it."""
    CONSTANT = "constant"
    """The same for every entity."""


@attrs.frozen
class ComputedAttribute:
    """An attribute that is worked out when it is asked for."""

    keyword: str
    """The keyword of PS3.6."""
    level: QueryLevel
    """The entity it belongs to."""
    kind: ComputedKind
    """What it says."""
    below: QueryLevel
    """The level that is counted, or whose attribute is collected."""
    column: str = ""
    """The column that is collected; for a constant, the constant itself."""
    tag: int = attrs.field(init=False)
    """Its tag."""

    @tag.default
    def _tag_of_keyword(self) -> int:
        return int(DicomTag.of(self.keyword))


_COUNT = ComputedKind.COUNT

COMPUTED_ATTRIBUTES: Final[Mapping[int, ComputedAttribute]] = {
    one.tag: one
    for one in (
        ComputedAttribute("NumberOfPatientRelatedStudies", _P, _COUNT, _S),
        ComputedAttribute("NumberOfPatientRelatedSeries", _P, _COUNT, _R),
        ComputedAttribute("NumberOfPatientRelatedInstances", _P, _COUNT, _I),
        ComputedAttribute("NumberOfStudyRelatedSeries", _S, _COUNT, _R),
        ComputedAttribute("NumberOfStudyRelatedInstances", _S, _COUNT, _I),
        ComputedAttribute("NumberOfSeriesRelatedInstances", _R, _COUNT, _I),
        ComputedAttribute("ModalitiesInStudy", _S, ComputedKind.VALUES, _R, "modality"),
        ComputedAttribute("SOPClassesInStudy", _S, ComputedKind.VALUES, _I, "sop_class_uid"),
        ComputedAttribute("InstanceAvailability", _P, ComputedKind.CONSTANT, _P, "ONLINE"),
    )
}
"""Every attribute that is worked out (PS3.4 C.3.4, C.4.1.1.3.2), by tag."""

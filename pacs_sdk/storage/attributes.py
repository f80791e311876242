"""The attributes the index keeps, each with its level: the one list that tables,
matching and answers are made from.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag

_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

__all__ = ["ATTRIBUTES", "Attribute", "Matching", "QueryLevel", "Source", "attribute"]


class QueryLevel(enum.StrEnum):
    """Query/Retrieve Level (0008,0052), PS3.4 C.6."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"

    @property
    def depth(self) -> int:
        """0 for PATIENT to 3 for IMAGE."""
        return list(QueryLevel).index(self)


class Matching(enum.Enum):
    """How a key of this kind is matched (PS3.4 C.2.2.2)."""

    TEXT = "text"
    """Single value or wildcard, case-sensitive."""
    NAME = "name"
    """Single value or wildcard, ignoring case (PS3.4 C.2.2.2.1 leaves that to us)."""
    UID = "uid"
    """A single UID or a list."""
    DATE = "date"
    """Single value or range."""
    TIME = "time"
    """Single value or range."""
    NUMBER = "number"
    """A single number, whatever its spelling."""


class Source(enum.Enum):
    """Where an attribute's value comes from."""

    HEADER = "header"
    """The data set of an instance."""
    COUNT = "count"
    """Counted over what is stored when it is asked for."""
    LIST = "list"
    """The distinct values of a lower level, collected when asked for."""
    INSTANCE = "instance"
    """What the archive knows of the object, such as its transfer syntax."""


@attrs.frozen
class Attribute:
    """One attribute at its level."""

    keyword: str
    """Its keyword in PS3.6."""
    level: QueryLevel
    """The level it describes."""
    matching: Matching = Matching.TEXT
    """How it is matched."""
    source: Source = Source.HEADER
    """Where its value comes from."""

    @property
    def tag(self) -> int:
        """Its tag."""
        return int(DicomTag.of(self.keyword))

    @property
    def column(self) -> str:
        """The name of its column: the keyword in snake case."""
        return _WORD_START.sub("_", self.keyword).lower()


_PATIENT, _STUDY, _SERIES, _IMAGE = QueryLevel
_NAME, _UID, _DATE, _TIME, _NUMBER = (
    Matching.NAME, Matching.UID, Matching.DATE, Matching.TIME, Matching.NUMBER,
)  # fmt: skip

_ALL: Final = (
    Attribute("PatientID", _PATIENT),
    Attribute("IssuerOfPatientID", _PATIENT),
    Attribute("PatientName", _PATIENT, _NAME),
    Attribute("PatientBirthDate", _PATIENT, _DATE),
    Attribute("PatientSex", _PATIENT),
    Attribute("NumberOfPatientRelatedStudies", _PATIENT, _NUMBER, Source.COUNT),
    Attribute("NumberOfPatientRelatedSeries", _PATIENT, _NUMBER, Source.COUNT),
    Attribute("NumberOfPatientRelatedInstances", _PATIENT, _NUMBER, Source.COUNT),
    Attribute("StudyInstanceUID", _STUDY, _UID),
    Attribute("StudyDate", _STUDY, _DATE),
    Attribute("StudyTime", _STUDY, _TIME),
    Attribute("AccessionNumber", _STUDY),
    Attribute("StudyID", _STUDY),
    Attribute("StudyDescription", _STUDY),
    Attribute("ReferringPhysicianName", _STUDY, _NAME),
    Attribute("TimezoneOffsetFromUTC", _STUDY),
    Attribute("ModalitiesInStudy", _STUDY, Matching.TEXT, Source.LIST),
    Attribute("SOPClassesInStudy", _STUDY, _UID, Source.LIST),
    Attribute("NumberOfStudyRelatedSeries", _STUDY, _NUMBER, Source.COUNT),
    Attribute("NumberOfStudyRelatedInstances", _STUDY, _NUMBER, Source.COUNT),
    Attribute("SeriesInstanceUID", _SERIES, _UID),
    Attribute("Modality", _SERIES),
    Attribute("SeriesNumber", _SERIES, _NUMBER),
    Attribute("SeriesDescription", _SERIES),
    Attribute("SeriesDate", _SERIES, _DATE),
    Attribute("SeriesTime", _SERIES, _TIME),
    Attribute("BodyPartExamined", _SERIES),
    Attribute("ProtocolName", _SERIES),
    Attribute("StationName", _SERIES),
    Attribute("InstitutionName", _SERIES),
    Attribute("Manufacturer", _SERIES),
    Attribute("ManufacturerModelName", _SERIES),
    Attribute("PerformedProcedureStepStartDate", _SERIES, _DATE),
    Attribute("PerformedProcedureStepStartTime", _SERIES, _TIME),
    Attribute("NumberOfSeriesRelatedInstances", _SERIES, _NUMBER, Source.COUNT),
    Attribute("SOPInstanceUID", _IMAGE, _UID),
    Attribute("SOPClassUID", _IMAGE, _UID),
    Attribute("InstanceNumber", _IMAGE, _NUMBER),
    Attribute("ContentDate", _IMAGE, _DATE),
    Attribute("ContentTime", _IMAGE, _TIME),
    Attribute("NumberOfFrames", _IMAGE, _NUMBER),
    Attribute("Rows", _IMAGE, _NUMBER),
    Attribute("Columns", _IMAGE, _NUMBER),
    Attribute("BitsAllocated", _IMAGE, _NUMBER),
    Attribute("AvailableTransferSyntaxUID", _IMAGE, _UID, Source.INSTANCE),
)

ATTRIBUTES: Final[Mapping[int, Attribute]] = {one.tag: one for one in _ALL}
"""The attributes by tag."""


def attribute(keyword: str) -> Attribute:
    """Return an attribute by keyword; a bug of ours if it is not kept."""
    try:
        return ATTRIBUTES[int(DicomTag.of(keyword))]
    except KeyError:
        raise PacsException(ErrorCode.INTERNAL, f"{keyword} is not in the index") from None

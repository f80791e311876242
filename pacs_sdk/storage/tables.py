"""The tables of the index, made from the list of attributes.

Migrations are the truth about a database; a test holds these tables against them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, String, Table, UniqueConstraint
from sqlalchemy.types import TypeEngine

from pacs_sdk.storage.attributes import ATTRIBUTES, Attribute, Matching, QueryLevel, Source
from pacs_sdk.storage.values import folded_name, full_time

__all__ = [
    "INSTANCES",
    "METADATA",
    "PATIENTS",
    "SEARCH_FORM",
    "SERIES",
    "STUDIES",
    "TABLES",
    "search_column",
]

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_UNIQUE: Final = frozenset(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))

_NOT_INDEXED: Final = frozenset(
    ("PatientSex", "TimezoneOffsetFromUTC", "Rows", "Columns", "BitsAllocated", "NumberOfFrames")
)
"""Matched only together with something more selective, if at all."""


SEARCH_FORM: Final[Mapping[Matching, Callable[[str], str]]] = MappingProxyType(
    {Matching.NAME: folded_name, Matching.TIME: full_time}
)
"""Kinds whose values are searched in another form than they are returned in."""


def search_column(one: Attribute) -> str:
    """Return the column that is searched for an attribute."""
    return f"{one.column}_search" if one.matching in SEARCH_FORM else one.column


def _type(one: Attribute) -> TypeEngine[Any]:
    return Integer() if one.matching is Matching.NUMBER else String()


def _columns(level: QueryLevel) -> list[Column[Any]]:
    """Make a column for each attribute of a level that comes from the header."""
    columns: list[Column[Any]] = []
    for one in ATTRIBUTES.values():
        if one.level is not level or one.source is not Source.HEADER:
            continue
        is_number = one.matching is Matching.NUMBER
        columns.append(
            Column(
                one.column,
                _type(one),
                nullable=is_number,
                unique=one.keyword in _UNIQUE,
                index=one.keyword not in _UNIQUE | _NOT_INDEXED and one.matching not in SEARCH_FORM,
            )
        )
        if one.matching in SEARCH_FORM:
            columns.append(Column(search_column(one), String, nullable=False, index=True))
    return columns


PATIENTS: Final = Table(
    "patients",
    METADATA,
    Column("id", Integer, primary_key=True),
    *_columns(QueryLevel.PATIENT),
    UniqueConstraint("patient_id", "issuer_of_patient_id"),
)

STUDIES: Final = Table(
    "studies",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("patient", ForeignKey(PATIENTS.c.id), nullable=False, index=True),
    *_columns(QueryLevel.STUDY),
)

SERIES: Final = Table(
    "series",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("study", ForeignKey(STUDIES.c.id), nullable=False),
    *_columns(QueryLevel.SERIES),
    Index(None, "study", "modality"),  # ModalitiesInStudy is read from the index alone
)

INSTANCES: Final = Table(
    "instances",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("series", ForeignKey(SERIES.c.id), nullable=False),
    *_columns(QueryLevel.IMAGE),
    Column("transfer_syntax_uid", String, nullable=False),
    Column("storage_key", String, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Index(None, "series", "sop_class_uid"),
)

TABLES: Final[Mapping[QueryLevel, Table]] = MappingProxyType(
    {
        QueryLevel.PATIENT: PATIENTS,
        QueryLevel.STUDY: STUDIES,
        QueryLevel.SERIES: SERIES,
        QueryLevel.IMAGE: INSTANCES,
    }
)
"""The table of each level."""

"""Matching as SQL: PS3.4 C.2.2.2 over the tables of the index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, distinct, exists, false, func, or_, select
from sqlalchemy.sql import FromClause

from pacs_sdk.storage.attributes import ATTRIBUTES, Attribute, Matching, QueryLevel, Source
from pacs_sdk.storage.query import Query
from pacs_sdk.storage.tables import (
    INSTANCES,
    PATIENTS,
    SEARCH_FORM,
    SERIES,
    STUDIES,
    TABLES,
    search_column,
)
from pacs_sdk.storage.values import date_bounds, time_bounds

__all__ = ["conditions", "joined", "returned", "select_instances", "select_matches"]

_WILDCARDS: Final = frozenset("*?")


def joined(level: QueryLevel) -> FromClause:
    """Join a level's table with all above it."""
    tables: FromClause = PATIENTS
    if level.depth >= QueryLevel.STUDY.depth:
        tables = tables.join(STUDIES, STUDIES.c.patient == PATIENTS.c.id)
    if level.depth >= QueryLevel.SERIES.depth:
        tables = tables.join(SERIES, SERIES.c.study == STUDIES.c.id)
    if level.depth >= QueryLevel.IMAGE.depth:
        tables = tables.join(INSTANCES, INSTANCES.c.series == SERIES.c.id)
    return tables


def returned(query: Query) -> tuple[Attribute, ...]:
    """List the attributes that a match can give of those a query asks for."""
    known = [one for one in ATTRIBUTES.values() if one.level.depth <= query.level.depth]
    if not query.return_keys:
        return tuple(known)
    asked = frozenset(query.return_keys)
    return tuple(one for one in known if one.tag in asked)


def select_matches(query: Query) -> Select[Any]:
    """Build the statement whose rows are a query's matches, one column an attribute.

    The columns are those of :func:`returned`, in that order, after the row's own id.
    """
    table = TABLES[query.level]
    columns = [_selected(one) for one in returned(query)]
    return (
        select(table.c.id, *columns)
        .select_from(joined(query.level))
        .where(*conditions(query))
        .order_by(table.c.id)
    )


def select_instances(query: Query) -> Select[Any]:
    """Build the statement for all instances below what a query matches, in reading order."""
    return (
        select(
            INSTANCES.c.sop_class_uid,
            INSTANCES.c.sop_instance_uid,
            INSTANCES.c.transfer_syntax_uid,
            INSTANCES.c.storage_key,
        )
        .select_from(joined(QueryLevel.IMAGE))
        .where(*conditions(query))
        .order_by(
            STUDIES.c.id,
            SERIES.c.series_number,
            SERIES.c.id,
            INSTANCES.c.instance_number,
            INSTANCES.c.sop_instance_uid,
        )
    )


def conditions(query: Query) -> list[ColumnElement[bool]]:
    """Turn the matching keys into conditions.

    Keys that the index does not keep, and keys of a level below the query's, match
    everything: PS3.4 C.2.2.1.3 lets an SCP ignore optional keys it does not support.

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER`` for an impossible date or time.
    """
    found = []
    for tag, text in query.matching.items():
        one = ATTRIBUTES.get(tag)
        if one is not None and one.level.depth <= query.level.depth and text.strip("*"):
            condition = _condition(one, text)
            if condition is not None:
                found.append(condition)
    return found


def _condition(one: Attribute, text: str) -> ColumnElement[bool] | None:
    match one.source:
        case Source.HEADER:
            column = TABLES[one.level].c[search_column(one)]
            return _COMPARED[one.matching](column, text, one)
        case Source.LIST:
            return _in_list(one, text)
        case _:
            return None


def _in_list(one: Attribute, text: str) -> ColumnElement[bool]:
    """Match a study that has any series, or instance, with one of the values."""
    if one.keyword == "ModalitiesInStudy":
        return exists().where(SERIES.c.study == STUDIES.c.id, _any(SERIES.c.modality, text, one))
    return (
        exists()
        .where(SERIES.c.study == STUDIES.c.id)
        .where(INSTANCES.c.series == SERIES.c.id)
        .where(_any(INSTANCES.c.sop_class_uid, text, one))
    )


def _any(column: ColumnElement[Any], text: str, one: Attribute) -> ColumnElement[bool]:
    """Match one of several values, each with wildcards."""
    form = SEARCH_FORM.get(one.matching, str)
    values = [form(value.strip()) for value in text.split("\\")]
    plain = [value for value in values if not _WILDCARDS & set(value)]
    patterns = [value for value in values if _WILDCARDS & set(value)]
    choices: list[ColumnElement[bool]] = [
        column.op("GLOB", is_comparison=True)(_glob(pattern)) for pattern in patterns
    ]
    if plain:
        choices.append(column.in_(plain) if len(plain) > 1 else column == plain[0])
    return or_(*choices)


def _glob(pattern: str) -> str:
    """Write a DICOM pattern as an SQLite one, where ``[`` would begin a set."""
    return pattern.replace("[", "[[]")


def _uid(column: ColumnElement[Any], text: str, one: Attribute) -> ColumnElement[bool]:
    return column.in_([value.strip("\0 ") for value in text.split("\\")])


def _number(column: ColumnElement[Any], text: str, one: Attribute) -> ColumnElement[bool]:
    try:
        return column == int(text)
    except ValueError:  # not a number, so no number equals it
        return false()


def _date(column: ColumnElement[Any], text: str, one: Attribute) -> ColumnElement[bool]:
    return _between(column, *date_bounds(text, one.keyword))


def _time(column: ColumnElement[Any], text: str, one: Attribute) -> ColumnElement[bool]:
    return _between(column, *time_bounds(text, one.keyword))


def _between(
    column: ColumnElement[Any], first: str | None, last: str | None
) -> ColumnElement[bool]:
    """Match from first to last; a row without a value is in no range."""
    return and_(
        column >= first if first is not None else column > "",
        column <= last if last is not None else column > "",
    )


_COMPARED: Final = {
    Matching.TEXT: _any,
    Matching.NAME: _any,
    Matching.UID: _uid,
    Matching.DATE: _date,
    Matching.TIME: _time,
    Matching.NUMBER: _number,
}


def _selected(one: Attribute) -> ColumnElement[Any]:
    match one.source:
        case Source.HEADER:
            return TABLES[one.level].c[one.column]
        case Source.INSTANCE:
            return INSTANCES.c.transfer_syntax_uid
        case _:
            return _COMPUTED[one.keyword].label(one.column)


_series_of_study = SERIES.alias()
_studies_of_patient = STUDIES.alias()
_instances = INSTANCES.alias()


def _count_of(statement: Select[Any]) -> ColumnElement[Any]:
    return statement.scalar_subquery()


# Counted when asked for: nothing on the way of an arriving image has to be kept right.
_COMPUTED: Final[Mapping[str, ColumnElement[Any]]] = {
    "NumberOfPatientRelatedStudies": _count_of(
        select(func.count())
        .select_from(_studies_of_patient)
        .where(_studies_of_patient.c.patient == PATIENTS.c.id)
        .correlate(PATIENTS)
    ),
    "NumberOfPatientRelatedSeries": _count_of(
        select(func.count())
        .select_from(
            _studies_of_patient.join(
                _series_of_study, _series_of_study.c.study == _studies_of_patient.c.id
            )
        )
        .where(_studies_of_patient.c.patient == PATIENTS.c.id)
        .correlate(PATIENTS)
    ),
    "NumberOfPatientRelatedInstances": _count_of(
        select(func.count())
        .select_from(
            _studies_of_patient.join(
                _series_of_study, _series_of_study.c.study == _studies_of_patient.c.id
            ).join(_instances, _instances.c.series == _series_of_study.c.id)
        )
        .where(_studies_of_patient.c.patient == PATIENTS.c.id)
        .correlate(PATIENTS)
    ),
    "NumberOfStudyRelatedSeries": _count_of(
        select(func.count())
        .select_from(_series_of_study)
        .where(_series_of_study.c.study == STUDIES.c.id)
        .correlate(STUDIES)
    ),
    "NumberOfStudyRelatedInstances": _count_of(
        select(func.count())
        .select_from(
            _series_of_study.join(_instances, _instances.c.series == _series_of_study.c.id)
        )
        .where(_series_of_study.c.study == STUDIES.c.id)
        .correlate(STUDIES)
    ),
    "NumberOfSeriesRelatedInstances": _count_of(
        select(func.count())
        .select_from(_instances)
        .where(_instances.c.series == SERIES.c.id)
        .correlate(SERIES)
    ),
    "ModalitiesInStudy": _count_of(
        select(func.group_concat(distinct(_series_of_study.c.modality)))
        .where(_series_of_study.c.study == STUDIES.c.id)
        .correlate(STUDIES)
    ),
    "SOPClassesInStudy": _count_of(
        select(func.group_concat(distinct(_instances.c.sop_class_uid)))
        .select_from(
            _series_of_study.join(_instances, _instances.c.series == _series_of_study.c.id)
        )
        .where(_series_of_study.c.study == STUDIES.c.id)
        .correlate(STUDIES)
    ),
}

"""What is worked out of the entities below: how many there are, and which values they have.

A study list asks for the number of series, the number of instances and the modalities of a
hundred studies. These come from one statement, for each goes to the database and back.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import BigInteger, Connection, FromClause, Select, cast, func, select

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage.index.attributes import (
    COMPUTED_ATTRIBUTES,
    ComputedAttribute,
    ComputedKind,
    QueryLevel,
)
from pacs_sdk.storage.index.tables import PARENT_COLUMNS, TABLES, instances, series
from pacs_sdk.storage.query.matching import join_up
from pacs_sdk.storage.query.number_lists import is_among

__all__ = ["Texts", "work_out"]

Texts: TypeAlias = Mapping[int, str]
"""The value of an attribute, by the number of the entity's row."""

_MODALITIES, _SERIES, _INSTANCES = (
    int(DicomTag.of(keyword))
    for keyword in (
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    )
)
_OF_STUDIES: Final = frozenset((_MODALITIES, _SERIES, _INSTANCES))
"""What one look at the series of studies tells."""


def work_out(connection: Connection, wanted: Mapping[int, Collection[int]]) -> dict[int, Texts]:
    """Work out computed attributes of some entities.

    Args:
        connection: Where their rows are.
        wanted: The numbers of the entities' rows, by the attribute's tag.
    """
    together = _OF_STUDIES.intersection(wanted)
    found: dict[int, Texts] = {}
    if len(together) > 1:
        found |= _of_studies(connection, together, wanted[min(together)])
    for tag, owners in wanted.items():
        if tag not in found:
            found[tag] = _of_one(connection, tag, owners)
    return found


def _of_one(connection: Connection, tag: int, owners: Collection[int]) -> Texts:
    result = connection.execute(_STATEMENTS[tag], {"owners": owners})
    texts = _joined(tuple(row) for row in result)
    if COMPUTED_ATTRIBUTES[tag].kind is ComputedKind.COUNT:
        return dict.fromkeys(owners, "0") | texts
    return texts


def _of_studies(
    connection: Connection, tags: frozenset[int], owners: Collection[int]
) -> dict[int, Texts]:
    """Work out several attributes of studies, which all have the same owners."""
    statement = _studies_statement(_INSTANCES in tags)
    rows: Sequence[Any] = connection.execute(statement, {"owners": owners}).all()
    found: dict[int, Texts] = {_MODALITIES: _joined((row[0], row[1]) for row in rows)}
    for place, tag in enumerate((_SERIES, _INSTANCES), 2):
        if tag in tags:
            counts = dict.fromkeys(owners, 0)
            for row in rows:
                counts[row[0]] += row[place]
            found[tag] = {owner: str(count) for owner, count in counts.items()}
    return {tag: texts for tag, texts in found.items() if tag in tags}


def _joined(rows: Iterable[tuple[Any, ...]]) -> dict[int, str]:
    values: dict[int, list[str]] = {}
    for owner, value in rows:
        if value != "":
            values.setdefault(owner, []).append(str(value))
    return {owner: "\\".join(several) for owner, several in values.items()}


# -- statements --------------------------------------------------------------------------


@functools.cache
def _studies_statement(with_instances: bool) -> Select[Any]:
    columns: list[Any] = [series.c.study_fk, series.c.modality, func.count()]
    if with_instances:
        in_series = select(func.count()).where(instances.c.series_fk == series.c.pk)
        total = func.sum(in_series.correlate(series).scalar_subquery())
        columns.append(cast(total, BigInteger))
    key = (series.c.study_fk, series.c.modality)
    return select(*columns).where(is_among(key[0], "owners")).group_by(*key).order_by(*key)


def _computed_statement(computed: ComputedAttribute) -> Select[Any]:
    """Count, or collect the values of, what is below some entities (PS3.4 C.3.4)."""
    child = tuple(QueryLevel)[computed.level.depth + 1]
    owner = PARENT_COLUMNS[child]
    below: FromClause = join_up(computed.below, child)
    within = is_among(owner, "owners")
    if computed.kind is ComputedKind.COUNT:
        return select(owner, func.count()).select_from(below).where(within).group_by(owner)
    value = TABLES[computed.below].c[computed.column]
    return select(owner, value).select_from(below).where(within).distinct().order_by(owner, value)


_STATEMENTS: Final[Mapping[int, Select[Any]]] = {
    tag: _computed_statement(computed)
    for tag, computed in COMPUTED_ATTRIBUTES.items()
    if computed.kind is not ComputedKind.CONSTANT
}

"""Where instances contradict each other about their patient, study or series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from sqlalchemy import Connection, bindparam, delete, exists, select

from pacs_sdk.storage.index.attributes import QueryLevel
from pacs_sdk.storage.index.portable_sql import insert_or_leave
from pacs_sdk.storage.index.tables import attribute_conflicts, instances, series
from pacs_sdk.storage.index.values import ColumnValue

__all__ = [
    "Difference",
    "all_say_so",
    "forget_differences",
    "forget_patient_differences",
    "record_differences",
]


@attrs.frozen
class Difference:
    """An attribute that two instances have differently."""

    keyword: str
    """Which one."""
    kept: ColumnValue
    """What the index keeps."""
    found: ColumnValue
    """What the later instance has."""


def record_differences(
    connection: Connection,
    at_ms: int,
    sop_instance_uid: str,
    level: QueryLevel,
    differing: Sequence[Difference],
) -> None:
    """Record how an instance differs from a row; its values go nowhere but there.

    Args:
        connection: In a transaction that writes.
        at_ms: When it was found.
        sop_instance_uid: The instance.
        level: Which row above it.
        differing: In what.
    """
    statement = insert_or_leave(
        connection, attribute_conflicts, ("sop_instance_uid", "level", "keyword")
    )
    connection.execute(
        statement,
        [
            {
                "at_ms": at_ms,
                "sop_instance_uid": sop_instance_uid,
                "level": level.value,
                "keyword": one.keyword,
                "kept": str(one.kept),
                "found": str(one.found),
            }
            for one in differing
        ],
    )


def forget_differences(connection: Connection, sop_instance_uid: str) -> None:
    """Forget what an instance said that is gone."""
    connection.execute(_FORGET, {"uid": sop_instance_uid})


def forget_patient_differences(connection: Connection, study_pk: int) -> None:
    """Forget how the instances of a study differ from its patient, as it gets another."""
    connection.execute(_FORGET_PATIENT, {"study": study_pk})


def all_say_so(connection: Connection, study_pk: int, differing: Sequence[Difference]) -> bool:
    """Tell whether each instance of a study differs from its patient in this, and likewise.

    Args:
        connection: In a transaction that keeps others from adding to the study.
        study_pk: The number of the study.
        differing: In what another instance differs.
    """
    return not any(
        connection.execute(
            _SOME_OTHER, {"study": study_pk, "keyword": one.keyword, "found": str(one.found)}
        ).scalar_one()
        for one in differing
    )


# -- statements --------------------------------------------------------------------------

_FORGET: Final = delete(attribute_conflicts).where(
    attribute_conflicts.c.sop_instance_uid == bindparam("uid")
)
_OF_STUDY: Final = instances.join(series, instances.c.series_fk == series.c.pk)
_FORGET_PATIENT: Final = delete(attribute_conflicts).where(
    attribute_conflicts.c.level == QueryLevel.PATIENT.value,
    attribute_conflicts.c.sop_instance_uid.in_(
        select(instances.c.sop_instance_uid)
        .select_from(_OF_STUDY)
        .where(series.c.study_fk == bindparam("study"))
    ),
)
_SAYS_SO: Final = exists().where(
    attribute_conflicts.c.sop_instance_uid == instances.c.sop_instance_uid,
    attribute_conflicts.c.level == QueryLevel.PATIENT.value,
    attribute_conflicts.c.keyword == bindparam("keyword"),
    attribute_conflicts.c.found == bindparam("found"),
)
_SOME_OTHER: Final = select(
    exists().select_from(_OF_STUDY).where(series.c.study_fk == bindparam("study"), ~_SAYS_SO)
)

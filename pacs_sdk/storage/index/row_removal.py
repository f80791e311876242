"""Removing instances, and the rows above them that are empty then, while others write.

The order of locks is that of :mod:`pacs_sdk.storage.index.upsert`: whoever removes anything locks
the patient first, then the study, then the series, so that nobody is adding to them.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
from sqlalchemy import Connection, bindparam, delete, exists, select

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage.index.tables import instances, patients, series, studies

__all__ = ["RemovedInstance", "remove_childless_patient", "remove_instance"]

_ATTEMPTS: Final = 20
"""An instance may be moved between finding and locking where it is, but not every time."""


@attrs.frozen
class RemovedInstance:
    """An instance that was indexed until now."""

    storage_key: str
    """The key of its object."""
    study_instance_uid: str
    """The study it was in."""
    series_instance_uid: str
    """The series it was in."""
    pruned: bool
    """Whether its series went with it, and perhaps more."""


def remove_instance(
    connection: Connection, sop_instance_uid: str, row: int | None = None
) -> RemovedInstance | None:
    """Remove an instance, and its series, study and patient where they are empty without it.

    The three are locked before it is decided that they are empty, from the patient down:
    an instance that another node is adding to them is waited for, and keeps them.

    Args:
        connection: In a transaction that writes.
        sop_instance_uid: Which one.
        row: The number of its row, where it shall not be removed if that is another by now.

    Returns:
        What was removed, or ``None`` if it isn't indexed.

    Raises:
        PacsException: ``INDEX_FAILED``: others move it all the time.
    """
    for _ in range(_ATTEMPTS):
        found = connection.execute(_PATH, {"uid": sop_instance_uid}).one_or_none()
        if found is None or row not in (None, found.pk):
            return None
        above = {"patient": found.patient_pk, "study": found.study_pk, "series": found.series_pk}
        if not all(connection.execute(one, above).first() is not None for one in _LOCK):
            continue  # another node removed it, or gave the study to another patient
        removed = connection.execute(
            _DELETE, {"row": found.pk, "series": found.series_pk, "key": found.storage_key}
        )
        if removed.rowcount == 1:
            pruned = _prune(connection, found)
            return RemovedInstance(
                found.storage_key, found.study_instance_uid, found.series_instance_uid, pruned
            )
    raise PacsException(ErrorCode.INDEX_FAILED, "other processes move the instance all the time")


def remove_childless_patient(connection: Connection, pk: int) -> None:
    """Remove a patient whose study turned out to be another one's.

    Args:
        connection: In the transaction that has made it, or has locked it.
        pk: The number of the patient.
    """
    connection.execute(_PRUNE[-1], {"row": pk})


# -- statements --------------------------------------------------------------------------

_LOCK: Final = tuple(
    select(table.c.pk).where(*conditions).with_for_update()
    for table, *conditions in (
        (patients, patients.c.pk == bindparam("patient")),
        (
            studies,
            studies.c.pk == bindparam("study"),
            studies.c.patient_fk == bindparam("patient"),
        ),
        (series, series.c.pk == bindparam("series")),
    )
)
"""Each locks a row above the instance, if it is still there, and of the one before."""

_PATH: Final = (
    select(
        instances.c.pk,
        instances.c.storage_key,
        series.c.pk.label("series_pk"),
        series.c.series_instance_uid,
        studies.c.pk.label("study_pk"),
        studies.c.study_instance_uid,
        studies.c.patient_fk.label("patient_pk"),
    )
    .select_from(
        instances.join(series, instances.c.series_fk == series.c.pk).join(
            studies, series.c.study_fk == studies.c.pk
        )
    )
    .where(instances.c.sop_instance_uid == bindparam("uid"))
)
_DELETE: Final = delete(instances).where(
    instances.c.pk == bindparam("row"),
    instances.c.series_fk == bindparam("series"),
    instances.c.storage_key == bindparam("key"),
)
_PRUNE: Final = tuple(
    delete(table).where(table.c.pk == bindparam("row"), ~exists().where(child == table.c.pk))
    for table, child in (
        (series, instances.c.series_fk),
        (studies, series.c.study_fk),
        (patients, studies.c.patient_fk),
    )
)
"""Each removes a row that has no child, from below."""


def _prune(connection: Connection, found: Any) -> bool:
    """Remove what is empty, from below; tell whether the series was."""
    rows = (found.series_pk, found.study_pk, found.patient_pk)
    for level, (statement, pk) in enumerate(zip(_PRUNE, rows, strict=True)):
        if connection.execute(statement, {"row": pk}).rowcount == 0:
            return level > 0
    return True

"""The information models: which levels each has, and what names an entity (PS3.4 C.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.services.sop_classes import InformationModel
from pacs_sdk.storage import Query, QueryLevel

__all__ = [
    "UNIQUE_KEYS",
    "check_hierarchy",
    "check_level",
    "missing_unique_keys",
    "model_of",
]

UNIQUE_KEYS: Final[Mapping[QueryLevel, str]] = {
    QueryLevel.PATIENT: "PatientID",
    QueryLevel.STUDY: "StudyInstanceUID",
    QueryLevel.SERIES: "SeriesInstanceUID",
    QueryLevel.IMAGE: "SOPInstanceUID",
}
"""The keyword of the unique key of each level (PS3.4 C.6.1.1)."""

_QUERY_RETRIEVE_LEVEL: Final = 0x00080052


def model_of(find_sop_class_uid: str) -> InformationModel:
    """Return the model that a FIND SOP class belongs to.

    Raises:
        PacsException: ``SOP_CLASS_NOT_SUPPORTED`` for any other SOP class.
    """
    for model in InformationModel:
        if model.find == find_sop_class_uid:
            return model
    raise PacsException(
        ErrorCode.SOP_CLASS_NOT_SUPPORTED,
        f"{find_sop_class_uid} is no C-FIND of a Query/Retrieve information model",
    )


def check_level(model: InformationModel, level: QueryLevel) -> None:
    """Check that a model has a level.

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER``.
    """
    if level.value not in model.levels:
        raise PacsException(
            ErrorCode.FIND_INVALID_IDENTIFIER,
            f"the {model.title} model has no {level.value} level",
            tag=str(DicomTag(_QUERY_RETRIEVE_LEVEL)),
        )


def missing_unique_keys(
    model: InformationModel, level: QueryLevel, matching: Mapping[int, str]
) -> tuple[str, ...]:
    """Name the unique keys of the levels above that have no single value.

    A hierarchical search needs them all (PS3.4 C.4.1.3.1.1).

    Args:
        model: The information model.
        level: The level that is searched.
        matching: The matching keys by tag, as text.
    """
    above = [one for one in map(QueryLevel, model.levels) if one.depth < level.depth]
    return tuple(
        UNIQUE_KEYS[one]
        for one in above
        if not _is_single(matching.get(int(DicomTag.of(UNIQUE_KEYS[one])), ""))
    )


def check_hierarchy(model: InformationModel, query: Query) -> None:
    """Check that a query names all that is above what it looks for (PS3.4 C.4.1.3.1.1).

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER`` naming the key that is missing.
    """
    missing = missing_unique_keys(model, query.level, query.matching)
    if missing:
        raise PacsException(
            ErrorCode.FIND_INVALID_IDENTIFIER,
            f"{query.level.value} level: give one {missing[0]}, or negotiate relational queries",
            tag=str(DicomTag.of(missing[0])),
        )


def _is_single(text: str) -> bool:
    return bool(text.strip()) and not set(text) & set("\\*?")

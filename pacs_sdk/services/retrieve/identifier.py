"""What a C-GET or C-MOVE asks for (PS3.4 C.4.2.1.4.1, C.4.3.1.3.1)."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.services.query import UNIQUE_KEYS
from pacs_sdk.services.retrieve.classes import RetrieveClass
from pacs_sdk.storage import Query

__all__ = ["RELATIONAL", "is_relational", "lacks_upper_keys", "retrieve_query"]

RELATIONAL: Final = b"\1"
"""Application information that says: relational retrieval (PS3.4 C.5.2.1, C.5.3.1)."""

_KEYS: Final = {level.value: keyword for level, keyword in UNIQUE_KEYS.items()}
_TAGS: Final = {level: int(DicomTag.of(keyword)) for level, keyword in _KEYS.items()}
_ISSUER: Final = "IssuerOfPatientID"
_ISSUER_TAG: Final = int(DicomTag.of(_ISSUER))

_LIKE_A_UID: Final = re.compile(r"[0-9.]{1,64}")
"""Not all that archives hold keep to the rules for UIDs; this is what cannot be a wildcard."""


def is_relational(agreed: bytes | None) -> bool:
    """Tell whether the answer to extended negotiation says so."""
    return bool(agreed) and agreed is not None and agreed[0] == 1


def retrieve_query(
    identifier: DicomDataset, sop_class: RetrieveClass, *, relational: bool = False
) -> Query:
    """Check an identifier and make the query of it that finds the instances.

    It names what is wanted by the unique key of the level: for UIDs one or several values,
    for a Patient ID one. Every level above has one value, unless relational retrieval was
    negotiated. An Issuer of Patient ID tells which of the patients with an ID is meant. Of other
    attributes nothing depends, and they are left aside; but keys of levels below would say that
    less is wanted, which the standard has no room for.

    Args:
        identifier: The identifier of the request.
        sop_class: What was asked for by it.
        relational: Whether keys of the levels above may be missing.

    Returns:
        The query, at the level of the identifier.

    Raises:
        PacsException: ``RETRIEVE_INVALID_IDENTIFIER`` (A900H).
    """
    level = str(identifier.get("QueryRetrieveLevel", "")).strip()
    if level not in sop_class.levels:
        _refuse(
            f"the {sop_class.title} model has no {level[:16]!r} level; there is "
            + ", ".join(sop_class.levels)
        )
    asked = raised(Query.from_identifier(identifier))
    levels = list(_KEYS)
    depth = levels.index(level)
    for below in levels[depth + 1 :]:
        if asked.matching.get(_TAGS[below]):
            _refuse(f"{_KEYS[below]} has no place in a retrieval at {level} level")
    matching = {}
    for above in levels[: depth + 1]:
        text = asked.matching.get(_TAGS[above], "")
        is_needed = above == level or (
            sop_class.has_hierarchy and above in sop_class.levels and not relational
        )
        if text:
            _check_value(above, text, is_list=above == level)
            matching[_TAGS[above]] = text
        elif is_needed:
            _refuse(f"a retrieval at {level} level must name {_KEYS[above]}")
    issuer = asked.matching.get(_ISSUER_TAG, "")
    if issuer and _TAGS["PATIENT"] in matching:
        _check_single(_ISSUER, issuer)
        matching[_ISSUER_TAG] = issuer
    return Query(asked.level, matching)


def lacks_upper_keys(identifier: DicomDataset, levels: tuple[str, ...]) -> bool:
    """Tell whether an identifier is one of relational retrieval.

    Args:
        identifier: What is wanted.
        levels: The levels of the model, the highest first.
    """
    level = str(identifier.get("QueryRetrieveLevel", "")).strip()
    above = levels[: levels.index(level)] if level in levels else ()
    return any(not identifier.get(_KEYS[one]) for one in above)


def _check_value(level: str, text: str, *, is_list: bool) -> None:
    keyword = _KEYS[level]
    if level == "PATIENT":
        _check_single(keyword, text)
        return
    values = text.split("\\")
    if len(values) > 1 and not is_list:
        _refuse(f"{keyword} must be one value: only the key of the level itself may be a list")
    for value in values:
        if not _LIKE_A_UID.fullmatch(value.strip()):
            _refuse(f"{keyword} is {value[:64]!r}, which is no UID")


def _check_single(keyword: str, text: str) -> None:
    if any(sign in text for sign in "*?\\"):
        _refuse(f"{keyword} must be one value without wildcards in a retrieval")


def _refuse(reason: str) -> NoReturn:
    raise PacsException(ErrorCode.RETRIEVE_INVALID_IDENTIFIER, reason)

"""Queries and their matches, independent of any database (PS3.4 C.2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from pydicom.multival import MultiValue

from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import DicomTag, TagLike
from pacs_sdk.storage.attributes import QueryLevel

__all__ = ["Match", "Query"]

_LEVEL = int(DicomTag.of("QueryRetrieveLevel"))
_NOT_KEYS = frozenset(
    (_LEVEL, int(DicomTag.of("SpecificCharacterSet")), int(DicomTag.of("RetrieveAETitle")))
)


@attrs.frozen
class Query:
    """What is looked for, and what shall come back."""

    level: QueryLevel
    """The level of the entities that are looked for."""
    matching: Mapping[int, str] = attrs.field(factory=dict, hash=False)
    """Matching keys by tag, as DICOM text; several values are joined by a backslash."""
    return_keys: tuple[int, ...] = ()
    """Tags that a match shall give; empty for all the index keeps at the level and above."""

    @classmethod
    @edge()
    def from_identifier(cls, dataset: DatasetLike) -> Query:
        """Read the identifier of a C-FIND or C-GET request (PS3.4 C.4.1.1.3).

        Args:
            dataset: Query/Retrieve Level, keys with a value to match, and empty ones to
                be returned. Sequences are returned empty and not matched.

        Returns:
            ``Success``, or ``Failure`` with ``FIND_INVALID_IDENTIFIER`` when the level is
            missing or unknown.
        """
        identifier = as_dataset(dataset)
        level = _level(str(identifier.get(_LEVEL, "")))
        matching, keys = {}, []
        for tag in identifier:
            if int(tag) in _NOT_KEYS or tag.element == 0:
                continue
            keys.append(int(tag))
            text = _text(identifier.get(tag, ""))
            if text:
                matching[int(tag)] = text
        return cls(level, matching, tuple(keys))

    @classmethod
    @edge()
    def of(cls, level: QueryLevel | str, **keys: object) -> Query:
        """Build a query in Python: ``Query.of("STUDY", PatientName="Doe*")``.

        Args:
            level: The level.
            **keys: Matching keys by keyword; a list is a list of UIDs.

        Returns:
            ``Success``, or ``Failure`` with ``FIND_INVALID_IDENTIFIER`` or ``INVALID_TAG``.
        """
        matching = {
            int(DicomTag.of(keyword)): text
            for keyword, value in keys.items()
            if (text := _text(value))
        }
        return cls(_level(str(level)), matching)


@attrs.frozen
class Match:
    """One entity that fits a query."""

    level: QueryLevel
    """Its level."""
    values: Mapping[int, str] = attrs.field(hash=False)
    """Its attributes by tag, as DICOM text; empty where nothing is known."""

    def get(self, tag: TagLike, default: str = "") -> str:
        """Return an attribute as text, or the default where it is unknown or empty."""
        return self.values.get(int(DicomTag.of(tag))) or default

    def dataset(self) -> DicomDataset:
        """Return the attributes as a data set, those without a value empty.

        Specific Character Set says UTF-8 where a value needs it (PS3.5 6.1.2.3).
        """
        found = DicomDataset()
        for tag, text in self.values.items():
            vr = DicomTag(tag).dictionary_vr
            if vr == "SQ":
                found.pydicom.add_new(tag, vr, [])
            elif vr == "UN" or " " in vr:  # private, unknown, or a choice: nothing we could hold
                continue
            else:
                found.pydicom.add_new(tag, vr, _value(vr, text))
        if not all(text.isascii() for text in self.values.values()):
            found["SpecificCharacterSet"] = "ISO_IR 192"
        return found


def _level(text: str) -> QueryLevel:
    try:
        return QueryLevel(text)
    except ValueError:
        raise PacsException(
            ErrorCode.FIND_INVALID_IDENTIFIER,
            f"Query/Retrieve Level is {text[:32]!r}; it must be PATIENT, STUDY, SERIES or IMAGE",
        ) from None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple | MultiValue):
        if any(isinstance(one, DicomDataset) for one in value):  # a sequence: not matched
            return ""
        return "\\".join(str(one) for one in value)
    if isinstance(value, bytes):
        return ""
    return str(value).strip()


def _value(vr: str, text: str) -> object:
    if not text:
        return None
    if vr in ("US", "UL", "SS", "SL"):
        return int(text)
    return text.split("\\") if "\\" in text else text

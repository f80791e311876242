"""The keys of C-FIND, from the index's own table (PS3.4 C.6.1.1, C.6.2.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.integration.conformance.document import Paragraph, Section, Table
from pacs_sdk.services.query import UNIQUE_KEYS
from pacs_sdk.storage import FurtherAttributes, QueryLevel
from pacs_sdk.storage.index.attributes import (
    COMPUTED_ATTRIBUTES,
    REQUEST_ATTRIBUTES,
    REQUEST_ATTRIBUTES_SEQUENCE,
    AttributeKind,
    ComputedAttribute,
    ComputedKind,
    IndexedAttribute,
    attributes_of,
)

__all__ = ["key_section"]

_REQUIRED: Final = frozenset(
    (
        "PatientName",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "StudyID",
        "Modality",
        "SeriesNumber",
        "InstanceNumber",
    )
)
"""The required keys of the Query/Retrieve information models (PS3.4 C.6.1.1, C.6.2.1)."""

_MATCHING: Final = {
    AttributeKind.TEXT: "single value, wild card, universal",
    AttributeKind.UID: "single value, list of UIDs, universal",
    AttributeKind.NAME: "single value, wild card, universal; fuzzy where negotiated",
    AttributeKind.DATE: "single value, range, universal",
    AttributeKind.TIME: "single value, range, universal",
    AttributeKind.NUMBER: "single value, universal",
    AttributeKind.DECIMAL: "single value, universal",
    AttributeKind.DATE_TIME: "single value, range, universal",
}

_MATCHING_COMPUTED: Final = {
    ComputedKind.COUNT: "returned",
    ComputedKind.VALUES: "single value, wild card, universal",
    ComputedKind.CONSTANT: "returned",
}

_COLUMNS: Final = ("Attribute", "Tag", "VR", "Type", "Matching")


def key_section(further: FurtherAttributes) -> Section:
    """List the keys of each level, with their types: U unique, R required, O optional.

    Args:
        further: What the site has added to the index.
    """
    return Section(
        "Keys",
        (
            Paragraph(
                "U is a unique key of its level, R a required one, O an optional one. A key that "
                "is not listed comes back empty, and the matches have the status FF01H."
            ),
        ),
        tuple(
            Section(f"{level.value} Level", (Table(_COLUMNS, _rows(level, further)),))
            for level in QueryLevel
        ),
    )


def _rows(level: QueryLevel, further: FurtherAttributes) -> Iterator[tuple[str, ...]]:
    for attribute in (*attributes_of(level), *further.of_level(level)):
        yield _row(attribute.keyword, attribute.tag, _kind_of(attribute, level), _how(attribute))
    for computed in COMPUTED_ATTRIBUTES.values():
        if computed.level is level:
            yield _row(computed.keyword, computed.tag, "O", _computed(computed))
    if level is QueryLevel.SERIES:
        sequence = DicomTag(REQUEST_ATTRIBUTES_SEQUENCE)
        yield _row(sequence.keyword, int(sequence), "O", "sequence: one item may hold the next")
        for attribute in REQUEST_ATTRIBUTES.values():
            yield _row(f"> {attribute.keyword}", attribute.tag, "O", _how(attribute))


def _kind_of(attribute: IndexedAttribute, level: QueryLevel) -> str:
    if UNIQUE_KEYS[level] == attribute.keyword:
        return "U"
    return "R" if attribute.keyword in _REQUIRED else "O"


def _how(attribute: IndexedAttribute) -> str:
    return f"{_MATCHING[attribute.kind]}{'; any of its values' if attribute.multiple else ''}"


def _computed(attribute: ComputedAttribute) -> str:
    return f"{_MATCHING_COMPUTED[attribute.kind]}; worked out when it is asked for"


def _row(name: str, tag: int, kind: str, matching: str) -> tuple[str, ...]:
    known = DicomTag(tag)
    return name, str(known), known.dictionary_vr[:2], kind, matching

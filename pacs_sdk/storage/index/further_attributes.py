"""Attributes that a site adds to those of the index: in one column of JSON at each level.

The members of the JSON object are named as columns would be, and hold what these would hold;
what has no value has no member. So they are matched by the same conditions as columns, only
that no index helps to find them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

import attrs
from pydicom.datadict import dictionary_VM
from sqlalchemy import ColumnElement, FromClause, String, cast, func

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag, TagLike
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import INDEX_TAGS, InstanceHeader
from pacs_sdk.storage.index.attribute_levels import level_of_attribute
from pacs_sdk.storage.index.attributes import (
    ATTRIBUTES,
    COMPUTED_ATTRIBUTES,
    AttributeKind,
    IndexedAttribute,
    QueryLevel,
)
from pacs_sdk.storage.index.values import (
    MAX_LONG_TEXT_CHARACTERS,
    bounded_text,
    name_values,
    normal_date,
    normal_moment,
    normal_number,
    normal_time,
)

__all__ = [
    "FURTHER_COLUMN",
    "MAX_FURTHER_ATTRIBUTES",
    "NO_FURTHER_ATTRIBUTES",
    "FurtherAttributes",
    "further_values",
    "text_in",
]

FURTHER_COLUMN: Final = "further_attributes"
"""The column of JSON."""

MAX_FURTHER_ATTRIBUTES: Final = 100
"""How many there may be: each costs every image that has it."""

_KINDS: Final[Mapping[VR, AttributeKind]] = {
    **dict.fromkeys(
        (VR.AE, VR.AS, VR.CS, VR.LO, VR.LT, VR.SH, VR.ST, VR.UC, VR.UR, VR.UT),
        AttributeKind.TEXT,
    ),
    **dict.fromkeys(
        (VR.DS, VR.FD, VR.FL, VR.IS, VR.SL, VR.SS, VR.SV, VR.UL, VR.US, VR.UV),
        AttributeKind.DECIMAL,
    ),
    VR.UI: AttributeKind.UID,
    VR.PN: AttributeKind.NAME,
    VR.DA: AttributeKind.DATE,
    VR.TM: AttributeKind.TIME,
    VR.DT: AttributeKind.DATE_TIME,
}
"""How values are kept and matched; the VRs that are not here are sequences and bulk data."""

_RANGES: Final = frozenset((AttributeKind.DATE, AttributeKind.TIME, AttributeKind.DATE_TIME))

_PIXEL_REPRESENTATION: Final = 0x00280103
_FIRST_GROUP: Final = 0x0008
_LAST_GROUP: Final = 0x7FE0

_TEXT: Final = String().with_variant(String(collation="C"), "postgresql")
"""Texts in JSON are compared by code point, too."""


@attrs.frozen
class FurtherAttributes:
    """The attributes that a site adds; :meth:`of` makes them of keywords and tags."""

    attributes: tuple[IndexedAttribute, ...] = ()
    """Which, each at its level."""
    by_tag: Mapping[int, IndexedAttribute] = attrs.field(init=False, eq=False, repr=False)
    """The same by tag."""
    header_tags: frozenset[int] = attrs.field(init=False, eq=False, repr=False)
    """What has to be read of an instance to index it, these and all others."""

    @by_tag.default
    def _by_their_tags(self) -> dict[int, IndexedAttribute]:
        return {one.tag: one for one in self.attributes}

    @header_tags.default
    def _tags_to_read(self) -> frozenset[int]:
        if not self.attributes:
            return INDEX_TAGS
        return INDEX_TAGS | {one.tag for one in self.attributes} | {_PIXEL_REPRESENTATION}

    @classmethod
    def of(cls, wanted: Iterable[TagLike]) -> Self:
        """Look attributes up in the data dictionary (PS3.6).

        Each belongs to the entity whose modules have it (PS3.3 C.7), and to the instance
        where that is none above. What the index has a column for anyway is left out.

        Args:
            wanted: Keywords or tags: ``"BodyPartThickness"``, ``"(0018,0050)"``.

        Raises:
            PacsException: ``INVALID_CONFIGURATION`` for what is in no dictionary, a sequence
                or bulk data, a date or time of several values, and for too many.
        """
        found = {one.tag: one for one in map(_attribute_of, wanted)}
        known = ATTRIBUTES.keys() | COMPUTED_ATTRIBUTES.keys()
        kept = tuple(found[tag] for tag in sorted(found) if tag not in known)
        if len(kept) > MAX_FURTHER_ATTRIBUTES:
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION,
                f"{len(kept)} further attributes; {MAX_FURTHER_ATTRIBUTES} are the most",
            )
        return cls(kept)

    def of_level(self, level: QueryLevel) -> tuple[IndexedAttribute, ...]:
        """Return those of one level."""
        return tuple(one for one in self.attributes if one.level is level)

    def __bool__(self) -> bool:
        return bool(self.attributes)


NO_FURTHER_ATTRIBUTES: Final = FurtherAttributes()
"""None: what an archive has unless it is told otherwise."""


def _attribute_of(wanted: TagLike) -> IndexedAttribute:
    try:
        tag = DicomTag.of(wanted)
    except PacsException as exc:
        raise _refused(wanted, exc.error.message) from exc
    keyword = tag.keyword
    if not keyword or int(DicomTag.of(keyword)) != tag:
        raise _refused(wanted, "the data dictionary has no such attribute")
    if not _FIRST_GROUP <= tag.group < _LAST_GROUP:
        raise _refused(wanted, "it is no attribute of the header")
    vrs = [VR.__members__.get(name, VR.UN) for name in tag.dictionary_vr.split(" or ")]
    if not all(vr in _KINDS for vr in vrs):
        raise _refused(wanted, f"values of VR {tag.dictionary_vr} cannot be matched")
    kind, multiple = _KINDS[vrs[0]], dictionary_VM(int(tag)) != "1"
    if multiple and kind in _RANGES:
        raise _refused(wanted, "a date or time that has several values cannot be matched")
    return IndexedAttribute(
        keyword, level_of_attribute(tag), f"{tag:08X}", kind, multiple, further=True
    )


def _refused(wanted: TagLike, reason: str) -> PacsException:
    return PacsException(
        ErrorCode.INVALID_CONFIGURATION,
        f"{str(wanted)[:80]!r} cannot be a further attribute of the index: {reason}",
    )


def further_values(
    header: InstanceHeader, attributes: Iterable[IndexedAttribute]
) -> dict[str, str]:
    """Take the members of the JSON object from an instance's header, those that have a value."""
    found: dict[str, str] = {}
    for attribute in attributes:
        text = bounded_text(header.text(attribute.tag), MAX_LONG_TEXT_CHARACTERS)
        match attribute.kind:
            case AttributeKind.DATE:
                text = normal_date(text)
            case AttributeKind.TIME:
                text = normal_time(text)
            case AttributeKind.DATE_TIME:
                found[attribute.normal_column] = normal_moment(text)
            case AttributeKind.DECIMAL:
                numbers = [normal_number(one, attribute.vr) for one in text.split("\\")]
                found[attribute.normal_column] = "\\".join(numbers)
            case AttributeKind.NAME:
                found.update(name_values(attribute, bounded_text(text)))
            case _ if attribute.multiple:
                text = "\\".join(one.strip(" ") for one in text.split("\\"))
        found[attribute.column] = text
    return {name: value for name, value in found.items() if value}


def text_in(table: FromClause, attribute: IndexedAttribute, name: str) -> ColumnElement[Any]:
    """Return a column of an attribute as SQL, wherever it is kept.

    Args:
        table: The table of its level, or an alias of it.
        attribute: The attribute.
        name: The column: the attribute's own, or one that it is searched in.
    """
    if not attribute.further:
        return table.c[name]
    member = table.c[FURTHER_COLUMN][name].as_string()
    return cast(func.coalesce(member, ""), _TEXT)

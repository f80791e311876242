"""A query and what it finds, as values (PS3.4 C.4.1)."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs
import pydicom
from pydicom import config as pydicom_config
from pydicom.dataelem import DataElement, RawDataElement

from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import DicomTag, TagLike
from pacs_sdk.core.vr import VR, VrKind
from pacs_sdk.encoding import InstanceHeader
from pacs_sdk.storage.attributes import (
    ATTRIBUTES,
    COMPUTED_ATTRIBUTES,
    ComputedKind,
    IndexedAttribute,
    QueryLevel,
)
from pacs_sdk.storage.keys import Matcher, parse_key

__all__ = ["Match", "Query", "QueryLevel"]

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_QUERY_RETRIEVE_LEVEL: Final = 0x00080052
_TIMEZONE_OFFSET: Final = 0x00080201

_NO_KEYS: Final = frozenset(
    int(DicomTag.of(keyword))
    for keyword in (
        "SpecificCharacterSet",
        "QueryRetrieveLevel",
        "QueryRetrieveView",
        "RetrieveAETitle",
    )
)
"""What an identifier says about itself, besides the keys (PS3.4 C.4.1.1.3.1)."""

_UTF_8: Final = "ISO_IR 192"


def _collected_attribute(column: str) -> IndexedAttribute:
    return next(one for one in ATTRIBUTES.values() if one.column == column)


_MATCHING_KEYS: Final[Mapping[int, IndexedAttribute]] = {
    **{tag: one for tag, one in ATTRIBUTES.items() if tag != _TIMEZONE_OFFSET},
    **{
        tag: attrs.evolve(_collected_attribute(one.column), keyword=one.keyword)
        for tag, one in COMPUTED_ATTRIBUTES.items()
        if one.kind is ComputedKind.VALUES
    },
}
"""What can be matched, each with how its key is understood."""


@attrs.frozen
class Query:
    """What to look for: a level, matching keys, and what a match shall tell.

    A key of a level above is matched on the entity that contains what is looked for,
    one of a level below asks that something below has it. A matching key that the index
    doesn't have matches everything (PS3.4 C.2.2.1.3).

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER`` for a key that cannot be understood.
            :meth:`of` and :meth:`from_identifier` return a ``Result`` instead.
    """

    level: QueryLevel
    """What kind of entity is looked for."""
    matching: Mapping[int, str] = attrs.field(factory=dict, hash=False)
    """Matching keys by tag, as DICOM text, values joined by a backslash."""
    return_keys: tuple[int, ...] = ()
    """The tags of what a match has; nothing is added by itself."""
    matchers: Mapping[int, tuple[Matcher, ...]] = attrs.field(
        init=False, eq=False, repr=False, hash=False
    )
    """What the matching keys mean, by tag: alternatives, none for a universal match."""

    @matchers.default
    def _parsed_keys(self) -> dict[int, tuple[Matcher, ...]]:
        return {
            tag: parse_key(attribute, text)
            for tag, text in self.matching.items()
            if (attribute := _MATCHING_KEYS.get(tag)) is not None
        }

    @property
    def unsupported_keys(self) -> tuple[int, ...]:
        """Matching keys that the index doesn't have and that therefore match everything.

        A C-FIND answer tells by status FF01H that there were some (PS3.4 C.4.1.1.4).
        """
        return tuple(
            tag
            for tag, text in self.matching.items()
            if text and tag not in _MATCHING_KEYS and tag != _TIMEZONE_OFFSET
        )

    @classmethod
    @edge()
    def from_identifier(cls, identifier: DatasetLike) -> Query:
        """Read the identifier of a C-FIND, C-GET or C-MOVE request.

        Each element is a return key, and a matching key where it has a value.

        Args:
            identifier: It must have Query/Retrieve Level (0008,0052).

        Returns:
            ``Success``, or ``Failure`` with ``FIND_INVALID_IDENTIFIER``: no or an
            unknown level, or a key that cannot be understood, such as a bad date.
        """
        dataset = as_dataset(identifier).pydicom
        texts = dict(_texts_of(dataset))
        level = texts.get(_QUERY_RETRIEVE_LEVEL, "").strip()
        if level not in QueryLevel.__members__:
            raise PacsException(
                ErrorCode.FIND_INVALID_IDENTIFIER,
                f"Query/Retrieve Level is {level[:16]!r}; it must be PATIENT, STUDY, SERIES or "
                "IMAGE",
                tag=str(DicomTag(_QUERY_RETRIEVE_LEVEL)),
            )
        keys = {tag: text for tag, text in texts.items() if tag not in _NO_KEYS}
        matching = {tag: text for tag, text in keys.items() if text}
        return cls(QueryLevel(level), matching, tuple(keys))

    @classmethod
    @edge()
    def of(
        cls,
        level: QueryLevel | str,
        *,
        return_keys: Iterable[TagLike] | None = None,
        **keys: object,
    ) -> Query:
        """Build a query from keywords: ``Query.of("STUDY", PatientName="doe*")``.

        Args:
            level: What kind of entity is looked for.
            return_keys: What a match shall tell; by default all that the index has of
                this level and those above it.
            **keys: Matching keys; a list stands for several values. An empty text matches
                everything, an empty list is refused.

        Returns:
            ``Success``, or ``Failure`` with ``FIND_INVALID_IDENTIFIER``, or with
            ``INVALID_TAG`` or ``INVALID_ARGUMENT`` for a keyword that doesn't exist or
            that the index cannot search by.
        """
        if str(level) not in QueryLevel.__members__:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{level!r} is no query level; there are PATIENT, STUDY, SERIES and IMAGE",
            )
        wanted = QueryLevel(level)
        for keyword, value in keys.items():
            if isinstance(value, list | tuple) and not value:
                raise PacsException(
                    ErrorCode.INVALID_ARGUMENT,
                    f"{keyword} is an empty list: as a key that would match everything; "
                    "leave it out, or don't search",
                )
        matching = {int(DicomTag.of(keyword)): _text_of(value) for keyword, value in keys.items()}
        for tag, text in matching.items():
            if text and tag not in _MATCHING_KEYS:
                raise PacsException(
                    ErrorCode.INVALID_ARGUMENT,
                    f"{DicomTag(tag).keyword} is not in the index, so it cannot be searched by",
                    tag=str(DicomTag(tag)),
                )
        if return_keys is None:
            returned = dict.fromkeys((*_told_by_default(wanted), *matching))
        else:
            returned = dict.fromkeys(int(DicomTag.of(tag)) for tag in return_keys)
        return cls(wanted, matching, tuple(returned))


def _told_by_default(level: QueryLevel) -> Iterator[int]:
    for tag, attribute in ATTRIBUTES.items():
        if attribute.level.depth <= level.depth:
            yield tag
    for tag, computed in COMPUTED_ATTRIBUTES.items():
        if computed.level is level and computed.kind is not ComputedKind.CONSTANT:
            yield tag


def _texts_of(dataset: pydicom.Dataset) -> Iterator[tuple[int, str]]:
    """Yield the elements of an identifier as text.

    Not through pydicom's values: it warns of, or refuses, much that is a good matching
    key but no good value, such as ``1.2.*`` for a UID.
    """
    raw: dict[int, bytes] = {}
    little_endian = True
    for tag in sorted(map(int, dataset.keys())):
        if not tag & 0xFFFF:  # a group length, which is no attribute
            continue
        element = stored_element(dataset, tag)
        if isinstance(element, RawDataElement):
            raw[tag] = element.value or b""
            little_endian = element.is_little_endian
            if element.VR != VR.SQ:
                header = InstanceHeader(raw, little_endian, 0)
                yield tag, header.text(tag)
                continue
            yield tag, ""
        elif element.VR == VR.SQ:
            yield tag, ""
        else:
            text = _text_of(element.value)
            if tag == _SPECIFIC_CHARACTER_SET:
                raw[tag] = text.encode("ascii", "replace")
            yield tag, text


def _text_of(value: object) -> str:
    if value is None or isinstance(value, bytes | bytearray):
        return ""
    if isinstance(value, list | tuple | pydicom.multival.MultiValue):
        return "\\".join(str(one) for one in value)
    return str(value)


@attrs.frozen
class Match:
    """One entity that a query found."""

    level: QueryLevel
    """What kind of entity it is."""
    values: Mapping[int, str] = attrs.field(hash=False)
    """Every return key by tag, as text; empty where there is no value."""

    def get(self, tag: TagLike, default: str = "") -> str:
        """Return a value as text, or the default where it is empty or wasn't asked for."""
        return self.values.get(int(DicomTag.of(tag)), "") or default

    def dataset(self) -> DicomDataset:
        """Return it as a data set: the return keys, of zero length where there is no value.

        Specific Character Set is UTF-8 where a value goes beyond ASCII (PS3.4 C.4.1.1.3.2).
        """
        dataset = pydicom.Dataset()
        for tag, text in self.values.items():
            dataset[tag] = _element(tag, text)
        if not all(text.isascii() for text in self.values.values()):
            dataset[_SPECIFIC_CHARACTER_SET] = _element(_SPECIFIC_CHARACTER_SET, _UTF_8)
        return DicomDataset(dataset)

    def _repr_html_(self) -> str:
        """Show what it tells as a table in a notebook."""
        rows = "".join(
            f"<tr><th>{html.escape(DicomTag(tag).keyword or str(DicomTag(tag)))}</th>"
            f"<td>{html.escape(text)}</td></tr>"
            for tag, text in self.values.items()
            if text
        )
        return f"<table>{rows}</table>"


def _element(tag: int, text: str) -> DataElement:
    """Make an element; what others once stored is not judged on its way out."""
    vr = VR.__members__.get(DicomTag(tag).dictionary_vr[:2], VR.UN)
    value: object = text or None
    if vr is VR.SQ:
        value = []
    elif text and vr.kind is VrKind.NUMBER:
        value = int(text)
    return DataElement(tag, vr.value, value, validation_mode=pydicom_config.IGNORE)

"""A query, as a value (PS3.4 C.4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import attrs

from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import DicomTag, TagLike
from pacs_sdk.encoding import CharacterSetPolicy
from pacs_sdk.encoding.charsets import DEFAULT_POLICY
from pacs_sdk.storage.index.attributes import (
    ATTRIBUTES,
    COMPUTED_ATTRIBUTES,
    REQUEST_ATTRIBUTES,
    REQUEST_ATTRIBUTES_SEQUENCE,
    TIMES_OF_DATES,
    ComputedKind,
    IndexedAttribute,
    QueryLevel,
)
from pacs_sdk.storage.index.further_attributes import (
    NO_FURTHER_ATTRIBUTES,
    FurtherAttributes,
)
from pacs_sdk.storage.query.identifier import ItemKeys, identifier_keys
from pacs_sdk.storage.query.keys import DEFAULT_OPTIONS, check_size, parse_key
from pacs_sdk.storage.query.keywords import keys_of_keywords
from pacs_sdk.storage.query.match import Match
from pacs_sdk.storage.query.matchers import Matcher, MatchingOptions
from pacs_sdk.storage.query.paging import (
    Place,
    SortKey,
    checked_count,
    order_of,
    place_of_token,
    sort_keys,
)
from pacs_sdk.storage.query.temporal_keys import parse_moments

__all__ = ["ItemKeys", "Match", "MatchingOptions", "Query", "QueryLevel", "SortKey"]

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


def _collected_attribute(column: str) -> IndexedAttribute:
    return next(one for one in ATTRIBUTES.values() if one.column == column)


_MATCHING_KEYS: Final[Mapping[int, IndexedAttribute]] = {
    **{tag: one for tag, one in ATTRIBUTES.items() if tag != _TIMEZONE_OFFSET},
    **{
        tag: attrs.evolve(_collected_attribute(one.column), keyword=one.keyword, multiple=True)
        for tag, one in COMPUTED_ATTRIBUTES.items()
        if one.kind is ComputedKind.VALUES
    },
}
"""What can be matched, each with how its key is understood."""

_MATCHED_ITEMS: Final = {REQUEST_ATTRIBUTES_SEQUENCE: REQUEST_ATTRIBUTES}
"""What can be matched in the items of sequences."""


@attrs.frozen
class Query:
    """What to look for: a level, matching keys, and what a match shall tell.

    A key of a level above is matched on the entity that contains what is looked for,
    one of a level below asks that something below has it. A matching key that the index
    doesn't have matches everything (PS3.4 C.2.2.1.3).

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER`` for a key that cannot be understood,
            ``INVALID_ARGUMENT`` for an order, limit, offset or token that cannot be.
            :meth:`of` and :meth:`from_identifier` return a ``Result`` instead.
    """

    level: QueryLevel
    """What kind of entity is looked for."""
    matching: Mapping[int, str] = attrs.field(factory=dict, hash=False)
    """Matching keys by tag, as DICOM text, values joined by a backslash."""
    return_keys: tuple[int, ...] = ()
    """The tags of what a match has; nothing is added by itself."""
    items: Mapping[int, ItemKeys] = attrs.field(factory=dict, hash=False)
    """The keys in the items of sequences, by the sequence's tag."""
    options: MatchingOptions = DEFAULT_OPTIONS
    """Which further kinds of matching were asked for."""
    sort: tuple[SortKey, ...] = ()
    """What the matches are ordered by; what is equal in all of it, and everything by
    default, comes in the order of arrival or of numbers (see ``IndexDatabase.find``)."""
    limit: int | None = None
    """How many matches there are at most."""
    offset: int = 0
    """How many of the first matches are left out."""
    after: str = ""
    """The token of the match that the page before ended with (``Match.after``)."""
    further: FurtherAttributes = NO_FURTHER_ATTRIBUTES
    """What an archive keeps besides (``Archive.further_attributes``), and can be matched, too.
    An archive that is searched understands a query with its own."""
    matchers: Mapping[int, tuple[Matcher, ...]] = attrs.field(
        init=False, eq=False, repr=False, hash=False
    )
    """What the matching keys mean, by tag: alternatives, none for a universal match."""
    item_matchers: Mapping[int, Mapping[int, tuple[Matcher, ...]]] = attrs.field(
        init=False, eq=False, repr=False, hash=False
    )
    """What the keys in items mean, by the sequence's tag; only where there are some."""
    place: Place | None = attrs.field(init=False, eq=False, repr=False)
    """Where the matches begin, if the query continues a page."""

    order: int = attrs.field(init=False, eq=False, repr=False)
    """A check sum of level and order, which the tokens of its matches have."""

    @order.default
    def _order_of_matches(self) -> int:
        return order_of(self.level, self.sort)

    @matchers.default
    def _parsed_keys(self) -> dict[int, tuple[Matcher, ...]]:
        parsed = dict(self._parsed_moments()) if self.options.combined_datetime else {}
        for tag, text in self.matching.items():
            attribute = _MATCHING_KEYS.get(tag) or self.further.by_tag.get(tag)
            if attribute is not None and tag not in parsed:
                parsed[tag] = parse_key(attribute, text, self.options)
        return parsed

    def _parsed_moments(self) -> Iterator[tuple[int, tuple[Matcher, ...]]]:
        for tag, time in TIMES_OF_DATES.items():
            if tag in self.matching and time.tag in self.matching:
                texts = self.matching[tag], self.matching[time.tag]
                moments = parse_moments(ATTRIBUTES[tag], texts[0], time, texts[1])
                if moments is not None:
                    yield tag, (moments,)
                    yield time.tag, ()

    @item_matchers.default
    def _parsed_items(self) -> dict[int, dict[int, tuple[Matcher, ...]]]:
        parsed: dict[int, dict[int, tuple[Matcher, ...]]] = {}
        for sequence, keys in self.items.items():
            known = _MATCHED_ITEMS.get(sequence, {})
            found = {
                tag: matchers
                for tag, text in keys.matching.items()
                if tag in known and (matchers := parse_key(known[tag], text, self.options))
            }
            if found:
                parsed[sequence] = found
        return parsed

    @place.default
    def _checked_place(self) -> Place | None:
        checked_count("offset", self.offset)
        if self.limit is not None:
            checked_count("limit", self.limit)
        sort_keys(self.level, self.sort)
        return place_of_token(self.level, self.sort, self.after) if self.after else None

    def __attrs_post_init__(self) -> None:
        of_items = (one for known in self.item_matchers.values() for one in known.values())
        check_size(chain.from_iterable(chain(self.matchers.values(), of_items)))

    @property
    def unsupported_keys(self) -> tuple[int, ...]:
        """Matching keys that the index doesn't have and that therefore match everything.

        A C-FIND answer tells by status FF01H that there were some (PS3.4 C.4.1.1.4).
        """
        unknown = [
            tag
            for tag, text in self.matching.items()
            if text and not self._is_known(tag) and tag != _TIMEZONE_OFFSET
        ]
        unknown.extend(
            sequence
            for sequence, keys in self.items.items()
            if keys.matching.keys() - _MATCHED_ITEMS.get(sequence, {}).keys()
        )
        return tuple(unknown)

    @property
    def untold_keys(self) -> tuple[int, ...]:
        """Return keys that the index doesn't have: a match has nothing in them, whatever is stored.

        A C-FIND answer tells by the same status that there were some.
        """
        return tuple(
            tag
            for tag in self.return_keys
            if not self._is_known(tag)
            and tag not in COMPUTED_ATTRIBUTES
            and tag not in _MATCHED_ITEMS
            and tag != _TIMEZONE_OFFSET
        )

    def _is_known(self, tag: int) -> bool:
        return tag in _MATCHING_KEYS or tag in self.further.by_tag

    @classmethod
    @edge()
    def from_identifier(
        cls,
        identifier: DatasetLike,
        options: MatchingOptions = DEFAULT_OPTIONS,
        policy: CharacterSetPolicy = DEFAULT_POLICY,
        further: FurtherAttributes = NO_FURTHER_ATTRIBUTES,
    ) -> Query:
        """Read the identifier of a C-FIND, C-GET or C-MOVE request.

        Each element is a return key, and a matching key where it has a value.

        Args:
            identifier: It must have Query/Retrieve Level (0008,0052).
            options: What was agreed by extended negotiation.
            policy: How its text is read.
            further: ``Archive.further_attributes``, so that :attr:`unsupported_keys` tells
                what this archive cannot match.

        Returns:
            ``Success``, or ``Failure`` with ``FIND_INVALID_IDENTIFIER``: no or an
            unknown level, or a key that cannot be understood, such as a bad date.
        """
        texts, items = identifier_keys(as_dataset(identifier).pydicom, policy)
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
        return cls(QueryLevel(level), matching, tuple(keys), items, options, further=further)

    @classmethod
    @edge()
    def of(  # noqa: PLR0913  # each is something that a person names
        cls,
        level: QueryLevel | str,
        *,
        return_keys: Iterable[TagLike] | None = None,
        fuzzy: bool = False,
        options: MatchingOptions = DEFAULT_OPTIONS,
        sort: TagLike | Sequence[TagLike | SortKey] = (),
        limit: int | None = None,
        offset: int = 0,
        after: str = "",
        further: FurtherAttributes = NO_FURTHER_ATTRIBUTES,
        **keys: Any,
    ) -> Query:
        """Build a query from keywords: ``Query.of("STUDY", PatientName="doe*")``.

        Args:
            level: What kind of entity is looked for.
            return_keys: What a match shall tell; by default all that the index has of
                this level and those above it.
            fuzzy: Whether names match by words and their sounds; short for the option.
            options: Which further kinds of matching are wanted.
            sort: What to order by, such as ``("-StudyDate", "PatientName")``.
            limit: How many matches at most.
            offset: How many to leave out first.
            after: Where to continue: ``Match.after`` of the last match of a page.
            further: ``Archive.further_attributes``, to search by these, too.
            **keys: Matching keys; a list stands for several values, and a mapping for the
                item of a sequence. An empty text matches everything, an empty list is
                refused.

        Returns:
            ``Success``, or ``Failure`` with ``FIND_INVALID_IDENTIFIER``, or with
            ``INVALID_TAG`` or ``INVALID_ARGUMENT`` for a keyword that doesn't exist or
            that the index cannot search by, and for an order, limit, offset or token that
            cannot be.
        """
        if str(level) not in QueryLevel.__members__:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{level!r} is no query level; there are PATIENT, STUDY, SERIES and IMAGE",
            )
        wanted = QueryLevel(level)
        matching, items = keys_of_keywords(keys)
        _check_known(matching, items, further)
        if return_keys is None:
            told = (*_told_by_default(wanted, further), *matching, *items)
            returned = dict.fromkeys(told)
        else:
            returned = dict.fromkeys(int(DicomTag.of(tag)) for tag in return_keys)
        order = (sort,) if isinstance(sort, str | int | DicomTag) else sort
        return cls(
            wanted,
            matching,
            tuple(returned),
            items,
            attrs.evolve(options, fuzzy=True) if fuzzy else options,
            sort_keys(wanted, [*order]),
            limit,
            offset,
            after,
            further,
        )


def _check_known(
    matching: Mapping[int, str], items: Mapping[int, ItemKeys], further: FurtherAttributes
) -> None:
    matched = _MATCHING_KEYS.keys() | further.by_tag.keys()
    unknown = [tag for tag, text in matching.items() if text and tag not in matched]
    for sequence, keys in items.items():
        known = _MATCHED_ITEMS.get(sequence, {})
        unknown.extend(tag for tag in keys.matching if tag not in known)
    if unknown:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"{DicomTag(unknown[0]).keyword or DicomTag(unknown[0])} is not in the index there, "
            "so it cannot be searched by",
            tag=str(DicomTag(unknown[0])),
        )


def _told_by_default(level: QueryLevel, further: FurtherAttributes) -> Iterator[int]:
    for tag, attribute in (*ATTRIBUTES.items(), *further.by_tag.items()):
        if attribute.level.depth <= level.depth:
            yield tag
    for tag, computed in COMPUTED_ATTRIBUTES.items():
        if computed.level is level and computed.kind is not ComputedKind.CONSTANT:
            yield tag
    if level is QueryLevel.SERIES:
        yield REQUEST_ATTRIBUTES_SEQUENCE

r"""Matching keys of a query: what their text means (PS3.4 C.2.2.2).

======================  ==========================================================
key                     matches
======================  ==========================================================
empty, or ``*``         everything (universal matching); ``*`` for text and names only
text                    the same text, case included; for names case does not count
``*`` and ``?``         any characters, any one character (text and names only)
UID, or a list of them  any of them
``20240101``            that date; ``a-b``, ``a-``, ``-b`` a range with its ends
``1030``                that time, however precisely written; ranges as with dates
number                  that number, however written
``202403``              (DT) any moment of that time; ranges as with dates
``CT\MR``                any of them; the standard leaves it open without negotiation. Of ST, LT,
                        UT and UR that text: a backslash is a character there (PS3.5 6.2)
======================  ==========================================================

Options (:class:`~pacs_sdk.storage.query.matchers.MatchingOptions`) give more:

======================  ==========================================================
``""``                  what has no value (``empty_values``)
``CT\MR``                what has both (``multiple_values``)
a name                  names with words that begin or sound so (``fuzzy``)
======================  ==========================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR
from pacs_sdk.storage.index.attributes import AttributeKind, IndexedAttribute
from pacs_sdk.storage.index.names import (
    ANY_CHARACTER,
    ANY_CHARACTERS,
    folded_name,
    folded_pattern,
    name_words,
)
from pacs_sdk.storage.index.values import (
    MAX_TEXT_CHARACTERS,
    bounded_number,
    normal_number,
)
from pacs_sdk.storage.query.identifier import SINGLE_TEXTS
from pacs_sdk.storage.query.matchers import (
    AllOf,
    Empty,
    Exact,
    FuzzyName,
    Matcher,
    MatchingOptions,
    Wildcard,
)
from pacs_sdk.storage.query.temporal_keys import RANGES, invalid_key

__all__ = [
    "DEFAULT_OPTIONS",
    "EMPTY_VALUE",
    "MAX_ALTERNATIVES",
    "MAX_FUZZY_WORDS",
    "MAX_LISTED_UIDS",
    "MAX_VALUES_IN_ALL",
    "check_size",
    "parse_key",
]

MAX_FUZZY_WORDS: Final = 20
"""Words of a key that is matched fuzzily, each with three conditions; a name has ten at most."""

DEFAULT_OPTIONS: Final = MatchingOptions()
"""What holds where nobody asked for more."""

EMPTY_VALUE: Final = '""'
"""Two quotation marks stand for no value (PS3.4 C.2.2.2.7)."""

_MULTIPLE_VRS: Final = frozenset(("AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"))
"""The VRs that Multiple Value Matching is defined for (PS3.4 C.2.2.2.8)."""

MAX_LISTED_UIDS: Final = 10_000
"""UIDs in one key: SQLite takes 32,766 parameters a statement, PostgreSQL 65,535."""

MAX_ALTERNATIVES: Final = 100
"""Values of any other key; each becomes an alternative, nested no deeper than SQLite's
limit of 1,000."""

MAX_VALUES_IN_ALL: Final = 2 * MAX_LISTED_UIDS
"""Values of all keys of a query, which are parameters of one statement."""

_VALUES_OF_PATTERN: Final = 50
"""What a pattern, a range or fuzzy words count for: each is several conditions."""

_NUMBER: Final = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_STARS: Final = re.compile(r"\*+")
_WILD_CARDS: Final = str.maketrans({"*": " ", "?": " ", ANY_CHARACTERS: "*", ANY_CHARACTER: "?"})
"""Of a folded pattern; a star that folding has made of another character ends a word."""


def parse_key(
    attribute: IndexedAttribute, text: str, options: MatchingOptions = DEFAULT_OPTIONS
) -> tuple[Matcher, ...]:
    """Tell what a matching key means.

    Args:
        attribute: What is matched.
        text: The key's value, several values joined by a backslash where the VR has several.
        options: Which further kinds of matching were asked for.

    Returns:
        The alternatives, any of which may match; none at all for universal matching.

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER``.
    """
    if not text.strip(" \0"):
        return ()
    if not _is_unicode(text):
        raise invalid_key(attribute, text, "not a text")
    if options.empty_values and text.strip(" \0") == EMPTY_VALUE:
        return (Empty(),)
    values = _values(attribute, text)
    if any("\0" in value for value in values):  # no value has it, and PostgreSQL takes none
        raise invalid_key(attribute, text, "a NUL within a value")
    if attribute.kind is AttributeKind.UID:
        return (_uids(attribute, text, values),)
    given = [value for value in values if value]
    if not given or len(given) > MAX_ALTERNATIVES:
        raise invalid_key(attribute, text, f"has {len(given)} values, not 1 to {MAX_ALTERNATIVES}")
    match attribute.kind:
        case AttributeKind.NUMBER:
            return (Exact(tuple(_number(attribute, value) for value in given)),)
        case AttributeKind.DECIMAL:
            return (Exact(tuple(_decimal(attribute, value) for value in given)),)
        case AttributeKind.DATE | AttributeKind.TIME | AttributeKind.DATE_TIME:
            parse = RANGES[attribute.kind]
            return tuple(parse(attribute, value) for value in given)
    if attribute.vr is VR.DS:  # in a column as it is written, and compared by what it is
        given = [one if _has_wild_card(one) else _decimal(attribute, one) for one in given]
    return _texts(attribute, given, options)


def check_size(alternatives: Iterable[Matcher]) -> None:
    """Check that what is asked for by all keys of a query can be asked for at once.

    Args:
        alternatives: Those of all keys.

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER``.
    """
    total = sum(
        len(one.values) if isinstance(one, Exact) else _VALUES_OF_PATTERN for one in alternatives
    )
    if total > MAX_VALUES_IN_ALL:
        raise PacsException(
            ErrorCode.FIND_INVALID_IDENTIFIER,
            f"the keys have too many values: {total}, where a pattern or a range counts for "
            f"{_VALUES_OF_PATTERN}; {MAX_VALUES_IN_ALL} in all keys are the most",
        )


def _values(attribute: IndexedAttribute, text: str) -> list[str]:
    if attribute.vr in SINGLE_TEXTS:
        return [text.rstrip(" \0")]
    return [value.strip(" \0") for value in text.split("\\")]


def _has_wild_card(text: str) -> bool:
    return "*" in text or "?" in text


def _uids(attribute: IndexedAttribute, text: str, values: list[str]) -> Matcher:
    if not all(values):
        raise invalid_key(attribute, text, "a list of UIDs with an empty one among them")
    if len(values) > MAX_LISTED_UIDS:
        raise invalid_key(attribute, text, f"{len(values)} UIDs; {MAX_LISTED_UIDS} are the most")
    return Exact(tuple(dict.fromkeys(values)))


def _decimal(attribute: IndexedAttribute, text: str) -> str:
    number = normal_number(text, attribute.vr)
    if not number:
        raise invalid_key(attribute, text, "not a number")
    return number


def _number(attribute: IndexedAttribute, text: str) -> int:
    number = bounded_number(int(text)) if _NUMBER.fullmatch(text) else None
    if number is None:
        raise invalid_key(attribute, text, "not a whole number of 32 bits")
    return number


def _has_all_of(attribute: IndexedAttribute) -> bool:
    return attribute.multiple and DicomTag(attribute.tag).dictionary_vr in _MULTIPLE_VRS


def _all_of(attribute: IndexedAttribute, values: list[str]) -> Matcher:
    for value in values:
        if _has_wild_card(value):
            raise invalid_key(
                attribute, value, "a wild card among values that all have to be there"
            )
        if len(value) > MAX_TEXT_CHARACTERS:
            raise invalid_key(attribute, value, f"longer than {MAX_TEXT_CHARACTERS} characters")
    return AllOf(tuple(dict.fromkeys(values)))


def _fuzzy(attribute: IndexedAttribute, values: list[str]) -> tuple[Matcher, ...]:
    matchers: list[Matcher] = []
    for value in values:
        if len(value) > MAX_TEXT_CHARACTERS:
            raise invalid_key(attribute, value, f"longer than {MAX_TEXT_CHARACTERS} characters")
        if not value.strip("*"):
            return ()
        folded = folded_pattern(value).translate(_WILD_CARDS)
        words = [_STARS.sub("*", word).rstrip("*") for word in name_words(folded)]
        wanted = tuple(dict.fromkeys(word for word in words if word))
        if not wanted:
            raise invalid_key(attribute, value, "a name without a letter")
        if len(wanted) > MAX_FUZZY_WORDS:
            raise invalid_key(attribute, value, f"more than {MAX_FUZZY_WORDS} words")
        matchers.append(FuzzyName(wanted))
    return tuple(matchers)


def _texts(
    attribute: IndexedAttribute, values: list[str], options: MatchingOptions
) -> tuple[Matcher, ...]:
    if options.multiple_values and len(values) > 1 and _has_all_of(attribute):
        return (_all_of(attribute, values),)
    if options.fuzzy and attribute.kind is AttributeKind.NAME:
        return _fuzzy(attribute, values)
    exact: list[str] = []
    wildcards: list[Matcher] = []
    for value in values:
        if len(value) > MAX_TEXT_CHARACTERS:
            raise invalid_key(attribute, value, f"longer than {MAX_TEXT_CHARACTERS} characters")
        if not value.strip("*"):
            return ()
        if attribute.kind is AttributeKind.NAME and not folded_name(value.replace("=", "")):
            raise invalid_key(attribute, value, "a name without a letter")
        if _has_wild_card(value):
            wildcards.append(Wildcard(_STARS.sub("*", value)))
        else:
            exact.append(value)
    return (*((Exact(tuple(exact)),) if exact else ()), *wildcards)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which no database takes
        return False
    return True

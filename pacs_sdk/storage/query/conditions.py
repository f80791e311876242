"""SQL conditions of single columns: what each kind of matcher asks of a value."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, and_, false, literal, or_, true

from pacs_sdk.storage.index.attributes import AttributeKind, IndexedAttribute
from pacs_sdk.storage.index.further_attributes import text_in
from pacs_sdk.storage.index.names import folded_name, sound_of
from pacs_sdk.storage.index.values import VALUE_END
from pacs_sdk.storage.query.matchers import (
    AllOf,
    Empty,
    Exact,
    FuzzyName,
    Matcher,
    MomentRange,
    Range,
    Wildcard,
)

__all__ = ["any_of", "moments_between"]

_ESCAPE: Final = "/"
_LAST_CHARACTER: Final = "\U0010ffff"
_WILDCARDS: Final = re.compile(r"[*?]")
_WORD_BEGINS: Final = (VALUE_END, "^", " ")


def any_of(
    attribute: IndexedAttribute, alternatives: tuple[Matcher, ...], table: FromClause
) -> ColumnElement[bool]:
    """Ask that one of some matchers matches.

    Args:
        attribute: What is matched.
        alternatives: The matchers.
        table: Where its columns are.
    """
    return or_(false(), *(_one(attribute, matcher, table) for matcher in alternatives))


def moments_between(
    date: ColumnElement[str], time: ColumnElement[str], moments: MomentRange
) -> ColumnElement[bool]:
    """Ask that a date and its time lie in a range; a date without a time counts as a day."""
    conditions: list[ColumnElement[bool]] = []
    if moments.low is None:
        conditions.append(date > "")
    else:
        day, hour = moments.low
        conditions += [date >= day, or_(date > day, time >= hour, time == "")]
    if moments.high is not None:
        day, hour = moments.high
        conditions += [date <= day, or_(date < day, time <= hour)]
    return and_(*conditions)


def _one(attribute: IndexedAttribute, matcher: Matcher, table: FromClause) -> ColumnElement[bool]:
    column = text_in(table, attribute, attribute.column)
    if isinstance(matcher, Empty):
        return column.is_(None) if attribute.kind is AttributeKind.NUMBER else column == ""
    if isinstance(matcher, AllOf):
        return and_(*(_one(attribute, Exact((value,)), table) for value in matcher.values))
    if attribute.kind is AttributeKind.NAME:
        return _name(attribute, matcher, table)
    if attribute.search_columns:
        column = text_in(table, attribute, attribute.normal_column)
    if attribute.multiple:
        return _some_value(column, matcher)
    return _single(column, matcher)


def _single(column: ColumnElement[Any], matcher: Matcher) -> ColumnElement[bool]:
    match matcher:
        case Exact(values):
            return column == values[0] if len(values) == 1 else column.in_(values)
        case Range(low, high):
            lower = column > "" if low is None else column >= low
            return lower if high is None else and_(lower, column <= high)
        case Wildcard(pattern):
            return _like(column, pattern)
    raise ValueError(f"{type(matcher).__name__} is not for a single value")


def _some_value(column: ColumnElement[str], matcher: Matcher) -> ColumnElement[bool]:
    """Match one of several values; a star may reach from one into the next."""
    within = literal(VALUE_END).concat(column).concat(VALUE_END)
    return or_(
        false(),
        *(
            and_(column > "", _contains(within, f"{VALUE_END}{pattern}{VALUE_END}"))
            for pattern in _patterns(matcher)
        ),
    )


def _patterns(matcher: Matcher) -> tuple[str, ...]:
    match matcher:
        case Exact(values):
            return tuple(_like_text(str(value)) for value in values)
        case Wildcard(pattern):
            return (_like_pattern(pattern),)
    raise ValueError(f"{type(matcher).__name__} is not for several values")


def _like(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    like = column.like(_like_pattern(pattern), escape=_ESCAPE)
    prefix = _WILDCARDS.split(pattern, maxsplit=1)[0]
    if not prefix:
        return like
    # Says the same once more, so that any database can look it up in an index.
    return and_(column >= prefix, column <= prefix + _LAST_CHARACTER, like)


def _contains(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    return column.like(f"%{pattern}%", escape=_ESCAPE)


def _like_text(text: str) -> str:
    for special in (_ESCAPE, "%", "_"):
        text = text.replace(special, _ESCAPE + special)
    return text


def _like_pattern(pattern: str) -> str:
    return _like_text(pattern).replace("*", "%").replace("?", "_")


# -- names -----------------------------------------------------------------------------


def _name(attribute: IndexedAttribute, matcher: Matcher, table: FromClause) -> ColumnElement[bool]:
    """Match a person name: a key with ``=`` group by group, another in any group."""
    match matcher:
        case FuzzyName(words):
            return and_(*(_word(attribute, word, table) for word in words))
        case Exact(values):
            return or_(false(), *(_name_text(attribute, str(value), table) for value in values))
        case Wildcard(pattern):
            return _name_text(attribute, pattern, table)
    raise ValueError(f"{attribute.keyword} cannot be matched by {type(matcher).__name__}")


def _name_text(attribute: IndexedAttribute, text: str, table: FromClause) -> ColumnElement[bool]:
    groups = [folded_name(group) for group in text.split("=", 2)]
    if attribute.multiple:
        return _some_name(text_in(table, attribute, attribute.folded_column), groups)
    columns = [text_in(table, attribute, name) for name in attribute.group_columns]
    if len(groups) == 1:
        return or_(*(_name_group(column, groups[0]) for column in columns))
    return and_(
        true(),
        *(
            _name_group(column, group)
            for column, group in zip(columns, groups, strict=False)
            if group.strip("*")
        ),
    )


def _some_name(column: ColumnElement[str], groups: list[str]) -> ColumnElement[bool]:
    """Match one of several names; each group of the key may be any group of any of them."""
    return and_(
        true(),
        *(
            _contains(column, f"{VALUE_END}{_like_pattern(group)}{VALUE_END}")
            for group in groups
            if group.strip("*")
        ),
    )


def _name_group(column: ColumnElement[str], folded: str) -> ColumnElement[bool]:
    if _WILDCARDS.search(folded):
        return _like(column, folded)
    return column == folded


def _word(attribute: IndexedAttribute, word: str, table: FromClause) -> ColumnElement[bool]:
    """Ask that some word begins so, or sounds so."""
    pattern = _like_pattern(word)
    if attribute.multiple:
        column = text_in(table, attribute, attribute.folded_column)
        return or_(*(_contains(column, f"{before}{pattern}") for before in _WORD_BEGINS))
    begins = _contains(text_in(table, attribute, attribute.words_column), f" {pattern}")
    sound = sound_of(word)
    if not sound:
        return begins
    return or_(begins, _contains(text_in(table, attribute, attribute.sounds_column), f" {sound} "))

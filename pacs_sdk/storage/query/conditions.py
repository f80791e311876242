"""SQL conditions of single columns: what each kind of matcher asks of a value."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import ColumnElement, Double, FromClause, and_, cast, func, literal, or_

from pacs_sdk.core.vr import VR
from pacs_sdk.storage.index.attributes import AttributeKind, IndexedAttribute
from pacs_sdk.storage.index.further_attributes import text_in
from pacs_sdk.storage.index.values import MOMENT_DIGITS, VALUE_END
from pacs_sdk.storage.query.like import (
    ESCAPE,
    any_holds,
    begins_with,
    contains,
    like_text,
    some_value_like,
)
from pacs_sdk.storage.query.matchers import (
    AllOf,
    DateTimeRange,
    Empty,
    Exact,
    Matcher,
    MomentRange,
    Range,
    Wildcard,
)
from pacs_sdk.storage.query.name_conditions import name_condition

__all__ = ["any_of", "decimal_in", "moments_between"]

_WILDCARDS: Final = re.compile(r"[*?]")


def any_of(
    attribute: IndexedAttribute, alternatives: tuple[Matcher, ...], table: FromClause
) -> ColumnElement[bool]:
    """Ask that one of some matchers matches.

    Args:
        attribute: What is matched.
        alternatives: The matchers.
        table: Where its columns are.
    """
    return any_holds([_one(attribute, matcher, table) for matcher in alternatives])


def decimal_in(column: ColumnElement[str]) -> ColumnElement[float]:
    """Take the text of a column of DS for a number: all that is there is one, or empty."""
    return cast(func.nullif(column, ""), Double)


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
        return name_condition(attribute, matcher, table)
    if attribute.search_columns:
        column = text_in(table, attribute, attribute.normal_column)
    elif attribute.vr is VR.DS and isinstance(matcher, Exact):
        return decimal_in(column).in_([float(one) for one in matcher.values])
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
        case DateTimeRange():
            return _in_date_time_range(column, matcher)
        case Wildcard(pattern):
            return _like(column, pattern)
    raise ValueError(f"{type(matcher).__name__} is not for a single value")


def _in_date_time_range(column: ColumnElement[str], moments: DateTimeRange) -> ColumnElement[bool]:
    """Compare in UTC where both tell their offset, else as the digits are told."""
    told = func.substr(column, 1, MOMENT_DIGITS)
    universal = func.substr(column, MOMENT_DIGITS + 1)
    conditions: list[ColumnElement[bool]] = [column > ""]
    if (low := moments.low) is not None:
        as_told = told >= low.told
        in_utc = or_(universal >= low.universal, and_(universal == "", as_told))
        conditions.append(in_utc if low.universal else as_told)
    if (high := moments.high) is not None:
        as_told = told <= high.told
        in_utc = or_(
            and_(universal > "", universal <= high.universal), and_(universal == "", as_told)
        )
        conditions.append(in_utc if high.universal else as_told)
    return and_(*conditions)


def _some_value(column: ColumnElement[str], matcher: Matcher) -> ColumnElement[bool]:
    """Match one of several values."""
    within = literal(VALUE_END).concat(column).concat(VALUE_END)
    match matcher:
        case Exact(values):
            patterns = [like_text(str(value)) for value in values]
        case Wildcard(pattern):
            patterns = [_like_pattern(pattern)]
        case _:
            raise ValueError(f"{type(matcher).__name__} is not for several values")
    found = [contains(within, f"{VALUE_END}{one}{VALUE_END}") for one in patterns]
    condition = and_(column > "", any_holds(found))
    if isinstance(matcher, Wildcard):  # which may have reached from one value into the next
        return and_(condition, some_value_like(column, literal(patterns[0])))
    return condition


def _like(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    prefix = _WILDCARDS.split(pattern, maxsplit=1)[0]
    begins = begins_with(column, prefix)
    if prefix and pattern == prefix + "*":
        return and_(*begins)
    return and_(*begins, column.like(_like_pattern(pattern), escape=ESCAPE))


def _like_pattern(pattern: str) -> str:
    return like_text(pattern).replace("*", "%").replace("?", "_")

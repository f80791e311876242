"""Patterns in SQL: LIKE on a text, and on each of several values in one column; alternatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, false, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType

from pacs_sdk.storage.index.values import VALUE_END

__all__ = ["ESCAPE", "any_holds", "begins_with", "contains", "like_text", "some_value_like"]

ESCAPE: Final = "/"
_IN_A_ROW: Final = 8
_LAST_CHARACTER: Final = "\U0010ffff"
_BEFORE_SURROGATES: Final = "\ud7ff"
_AFTER_SURROGATES: Final = "\ue000"


class _AnyHolds(FunctionElement[Any]):
    """Alternatives, nested in halves. It has no type, as ``is_among`` has none."""

    name = "any_holds"
    type = NullType()
    inherit_cache = True


@compiles(_AnyHolds)
def _in_halves(element: _AnyHolds, compiler: SQLCompiler, **options: Any) -> str:
    return _nested([f"({compiler.process(one, **options)})" for one in element.clauses])


def _nested(alternatives: Sequence[str]) -> str:
    if len(alternatives) == 1:
        return alternatives[0]
    middle = len(alternatives) // 2
    return f"({_nested(alternatives[:middle])} OR {_nested(alternatives[middle:])})"


def any_holds(conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Ask that one of some conditions holds.

    SQLite takes alternatives in a row for as deep as there are, and refuses more than 1,000; so
    many are nested in halves, which both databases take for the same.
    """
    if len(conditions) <= _IN_A_ROW:
        return or_(false(), *conditions)
    return _AnyHolds(*conditions)


def like_text(text: str) -> str:
    """Write a text as a pattern that only the text itself matches."""
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return text


def contains(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """Ask that a pattern matches some part of a text."""
    return column.like(f"%{pattern}%", escape=ESCAPE)


def begins_with(column: ColumnElement[Any], prefix: str) -> list[ColumnElement[bool]]:
    """Ask what a text begins with, so that any database looks it up in an index.

    Args:
        column: The text, which is compared code point by code point.
        prefix: What it begins with. Of an empty one nothing is asked.

    Returns:
        The conditions, which have to be met all.
    """
    end = _first_after(prefix)
    return [column >= prefix] * bool(prefix) + ([] if end is None else [column < end])


def _first_after(prefix: str) -> str | None:
    """Return the least text that is more than any that begins so; ``None`` where there is none."""
    prefix = prefix.rstrip(_LAST_CHARACTER)
    if not prefix:
        return None
    last = prefix[-1]
    return prefix[:-1] + (_AFTER_SURROGATES if last == _BEFORE_SURROGATES else chr(ord(last) + 1))


class _SomeValueLike(FunctionElement[Any]):
    """Whether one of the values in the first of two clauses matches the pattern in the second.

    It has no type, as ``is_among`` has none.
    """

    name = "some_value_like"
    type = NullType()
    inherit_cache = True


def some_value_like(column: ColumnElement[str], pattern: ColumnElement[str]) -> ColumnElement[bool]:
    """Ask that a pattern matches one of several values by itself.

    The values are taken apart for it: ask for something simpler first, that few rows have.

    Args:
        column: The values, joined by backslashes.
        pattern: The pattern.
    """
    return _SomeValueLike(column, pattern)


_CODE_OF_VALUE_END: Final = ord(VALUE_END)


@compiles(_SomeValueLike)
def _in_json(element: _SomeValueLike, compiler: SQLCompiler, **options: Any) -> str:
    # A backslash is two in JSON, in front of whatever else is escaped.
    column, pattern = (compiler.process(one, **options) for one in element.clauses)
    end = f"char({_CODE_OF_VALUE_END}, {_CODE_OF_VALUE_END})"
    values = f"""'[' || replace(json_quote({column}), {end}, '","') || ']'"""
    return (
        f"EXISTS (SELECT 1 FROM json_each({values}) AS one_value "  # noqa: S608  # made by the compiler
        f"WHERE one_value.value LIKE {pattern} ESCAPE '{ESCAPE}')"
    )


@compiles(_SomeValueLike, "postgresql")
def _in_array(element: _SomeValueLike, compiler: SQLCompiler, **options: Any) -> str:
    column, pattern = (compiler.process(one, **options) for one in element.clauses)
    values = f"string_to_array({column}, chr({_CODE_OF_VALUE_END}))"
    return (
        f"EXISTS (SELECT 1 FROM unnest({values}) AS one_value(value) "  # noqa: S608  # made by the compiler
        f"WHERE one_value.value LIKE {pattern} ESCAPE '{ESCAPE}')"
    )

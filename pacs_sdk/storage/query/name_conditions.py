"""SQL conditions of person names: group by group, letter by letter, word by word."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, String, and_, literal, or_, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from pacs_sdk.storage.index.attributes import IndexedAttribute
from pacs_sdk.storage.index.further_attributes import text_in
from pacs_sdk.storage.index.names import (
    ANY_CHARACTER,
    ANY_CHARACTERS,
    DOUBLE_LETTERS,
    folded_pattern,
    sound_of,
)
from pacs_sdk.storage.index.values import VALUE_END
from pacs_sdk.storage.query.like import (
    ESCAPE,
    any_holds,
    begins_with,
    contains,
    like_text,
    some_value_like,
)
from pacs_sdk.storage.query.matchers import Exact, FuzzyName, Matcher, Wildcard

__all__ = ["name_condition"]

_WILD_CARDS: Final = re.compile(f"[{ANY_CHARACTERS}{ANY_CHARACTER}]")
_WORD_BEGINS: Final = (VALUE_END, "^", " ")
_OPEN_END: Final = re.compile(rf"(?:\^{ANY_CHARACTERS})+\Z")
"""Last components of which nothing is asked; a name may leave them out (PS3.5 6.2.1.1)."""
_OPEN: Final = "^" + ANY_CHARACTERS
_ANY_NAME: Final = ANY_CHARACTER + ANY_CHARACTERS
_COMPONENTS: Final = 5


def name_condition(
    attribute: IndexedAttribute, matcher: Matcher, table: FromClause
) -> ColumnElement[bool]:
    """Match a person name: a key with ``=`` group by group, another in any group.

    Args:
        attribute: Whose name.
        matcher: What is asked of it.
        table: Where its columns are.
    """
    match matcher:
        case FuzzyName(words):
            return and_(*(_word(attribute, word, table) for word in words))
        case Exact(values):
            return any_holds([_name_text(attribute, str(value), table) for value in values])
        case Wildcard(pattern):
            return _name_text(attribute, pattern, table)
    raise ValueError(f"{attribute.keyword} cannot be matched by {type(matcher).__name__}")


def _name_text(attribute: IndexedAttribute, text: str, table: FromClause) -> ColumnElement[bool]:
    groups = [folded_pattern(group) for group in text.split("=", 2)]
    told = text_in(table, attribute, attribute.column)
    if attribute.multiple:
        return _some_name(text_in(table, attribute, attribute.folded_column), groups, told)
    columns = [text_in(table, attribute, name) for name in attribute.group_columns]
    if len(groups) == 1:
        return any_holds(
            [
                _name_group(column, one, told)
                for column in columns
                for one in _with_shorter(groups[0])
            ]
        )
    return and_(
        true(),
        *(
            or_(*(_name_group(column, one, told) for one in _with_shorter(group)))
            for column, group in zip(columns, groups, strict=False)
            if group.strip(ANY_CHARACTERS)
        ),
    )


def _some_name(
    column: ColumnElement[str], groups: list[str], told: ColumnElement[str]
) -> ColumnElement[bool]:
    """Match one of several names; each group of the key may be any group of any of them.

    Which groups belong to one name is not told by the column.
    """
    return and_(
        true(),
        *(
            or_(*(_some_group(column, one, told) for one in _with_shorter(group)))
            for group in groups
            if group.strip(ANY_CHARACTERS)
        ),
    )


def _with_shorter(group: str) -> tuple[str, ...]:
    """Return a pattern and, where its last components are open, those without them."""
    patterns = [_OPEN_END.sub(_OPEN, group)]
    while len(patterns) < _COMPONENTS and patterns[-1].endswith(_OPEN):
        shorter = patterns[-1].removesuffix(_OPEN).rstrip("^")
        patterns.append(_OPEN_END.sub(_OPEN, shorter))
    if patterns[-1] == ANY_CHARACTERS:
        return (_ANY_NAME,)
    return tuple(one for one in patterns if one)


def _some_group(
    column: ColumnElement[str], group: str, told: ColumnElement[str]
) -> ColumnElement[bool]:
    pattern = _like_pattern(group)
    if not _WILD_CARDS.search(group):
        return contains(column, f"{VALUE_END}{pattern}{VALUE_END}")
    loosely = contains(column, f"{VALUE_END}{_loose_pattern(group)}{VALUE_END}")
    condition = some_value_like(column, literal(pattern))
    if ANY_CHARACTER in group:
        letters = (_LetterByLetter(one, told) for one in (column, literal(pattern)))
        condition = or_(condition, some_value_like(*letters))
    return and_(loosely, condition)


def _name_group(
    column: ColumnElement[str], group: str, told: ColumnElement[str]
) -> ColumnElement[bool]:
    if not _WILD_CARDS.search(group):
        return column == group
    prefix = _WILD_CARDS.split(group, maxsplit=1)[0]
    begins = begins_with(column, prefix)
    if prefix and group == prefix + ANY_CHARACTERS:
        return and_(*begins)
    pattern = _like_pattern(group)
    condition: ColumnElement[bool] = column.like(pattern, escape=ESCAPE)
    if ANY_CHARACTER in group:
        key = _LetterByLetter(literal(pattern), told)
        condition = or_(
            condition,
            and_(
                column.like(_loose_pattern(group), escape=ESCAPE),  # few names have that, too
                _LetterByLetter(column, told).like(key, escape=ESCAPE),
            ),
        )
    return and_(*begins, condition)


def _like_pattern(group: str) -> str:
    return like_text(group).replace(ANY_CHARACTERS, "%").replace(ANY_CHARACTER, "_")


def _loose_pattern(group: str) -> str:
    """Return a pattern in which ``?`` is any characters, but one at least."""
    return like_text(group).replace(ANY_CHARACTERS, "%").replace(ANY_CHARACTER, "_%")


class _LetterByLetter(FunctionElement[str]):
    """A folded name, or a pattern that is compared with it, in which ``?`` is one letter.

    Letters that folding made two of are put back, so far as the name has them: the second
    clause is the name as it was told.
    """

    name = "letter_by_letter"
    type = String()
    inherit_cache = True


@compiles(_LetterByLetter)
def _in_sqlite(element: _LetterByLetter, compiler: SQLCompiler, **options: Any) -> str:
    folded, told = (compiler.process(one, **options) for one in element.clauses)
    return _put_back(folded, lambda letters: f"{told} GLOB '*[{letters}]*'")


@compiles(_LetterByLetter, "postgresql")
def _in_postgres(element: _LetterByLetter, compiler: SQLCompiler, **options: Any) -> str:
    folded, told = (compiler.process(one, **options) for one in element.clauses)
    return _put_back(folded, lambda letters: f"{told} ~ '[{letters}]'")


def _put_back(folded: str, has_one_of: Callable[[str], str]) -> str:
    for pair, letters in DOUBLE_LETTERS.items():
        found = f"CASE WHEN {has_one_of(letters)} THEN '{pair}' ELSE '' END"
        folded = f"replace({folded}, {found}, '{letters[0]}')"
    return folded


def _word(attribute: IndexedAttribute, word: str, table: FromClause) -> ColumnElement[bool]:
    """Ask that some word begins so, or sounds so."""
    pattern = like_text(word).replace("*", "%").replace("?", "_")
    if attribute.multiple:
        column = text_in(table, attribute, attribute.folded_column)
        return or_(*(contains(column, f"{before}{pattern}") for before in _WORD_BEGINS))
    begins = contains(text_in(table, attribute, attribute.words_column), f" {pattern}")
    sound = sound_of(word)
    if not sound:
        return begins
    return or_(begins, contains(text_in(table, attribute, attribute.sounds_column), f" {sound} "))

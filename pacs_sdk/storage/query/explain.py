"""How a query is understood, and how the database goes about it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final

import attrs
from sqlalchemy import Connection

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage.index.attributes import TIMES_OF_DATES
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.query.matchers import (
    AllOf,
    DateTimeRange,
    Empty,
    Exact,
    FuzzyName,
    Matcher,
    MomentRange,
    Range,
    Wildcard,
)
from pacs_sdk.storage.query.ordering import numbers_statement
from pacs_sdk.storage.query.query import Query

__all__ = ["Explanation", "explain_query"]

_WORDS: Final[dict[type[Matcher], str]] = {
    Exact: "single value matching",
    Wildcard: "wild card matching",
    Range: "range matching",
    MomentRange: "range matching of date and time together",
    DateTimeRange: "range matching",
    Empty: "empty value matching",
    AllOf: "multiple value matching: all of them",
    FuzzyName: "fuzzy matching: words that begin or sound so",
}

_NO_INDEX: Final = ", in the JSON of each row: no index helps to find it"
"""What is said of attributes that a site added."""

_FULL_SCAN: Final = re.compile(
    r"^SCAN (?!SUBQUERY|CONSTANT|.* VIRTUAL TABLE)(?!.* USING (COVERING )?INDEX)|\bSeq Scan on "
)

_LITERAL: Final = re.compile(r"'(?:[^']|'')*'")
"""PostgreSQL writes the values that it looks for into its plans."""


@attrs.frozen
class Explanation:
    """How a query is understood and carried out; there is no value of any key in it."""

    words: tuple[str, ...]
    """How each key, the order and the page are understood."""
    sql: str
    """The statement that finds the rows, with a sign where each value goes."""
    plan: tuple[str, ...]
    """The steps that the database plans, in its own words."""

    @property
    def scans(self) -> tuple[str, ...]:
        """The steps that look at every row of a table."""
        return tuple(step for step in self.plan if _FULL_SCAN.search(step))

    def __str__(self) -> str:
        return "\n".join((*self.words, "", self.sql, "", *self.plan))

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        words = "".join(f"<li>{html.escape(one)}</li>" for one in self.words)
        plan = html.escape("\n".join(self.plan))
        return f"<ul>{words}</ul><pre>{html.escape(self.sql)}</pre><pre>{plan}</pre>"


def explain_query(
    connect: Callable[[], AbstractContextManager[Connection]], query: Query
) -> Explanation:
    """Tell how a query is understood and carried out, without carrying it out.

    Args:
        connect: Gives a connection for reading.
        query: The query.

    Raises:
        PacsException: ``INDEX_FAILED``.
    """
    with index_errors("the query could not be explained"), connect() as connection:
        compiled = numbers_statement(query).compile(
            dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
        )
        sql = str(compiled)
        ask = "EXPLAIN (COSTS OFF)" if connection.dialect.name == "postgresql" else _SQLITE_ASKS
        parameters = compiled.params
        if compiled.positiontup is not None:
            values: object = tuple(parameters[name] for name in compiled.positiontup)
        else:
            values = parameters
        rows = connection.exec_driver_sql(f"{ask} {sql}", values).all()  # type: ignore[arg-type]
    steps = tuple(_LITERAL.sub("'…'", str(row[-1])) for row in rows)
    return Explanation(tuple(_words(query)), sql, steps)


_SQLITE_ASKS: Final = "EXPLAIN QUERY PLAN"


def _words(query: Query) -> Iterator[str]:
    yield f"looks for entities of the {query.level} level"
    for tag in query.matching:
        if tag in query.unsupported_keys:
            yield f"{_name(tag)}: not in the index, matches everything"
        elif _is_time_of_moments(query, tag):
            yield f"{_name(tag)}: together with the date"
        elif tag in query.matchers:
            place = _NO_INDEX if tag in query.further.by_tag else ""
            yield f"{_name(tag)}: {_meaning(query.matchers[tag])}{place}"
    for sequence, keys in query.items.items():
        matchers = query.item_matchers.get(sequence, {})
        for tag in keys.matching:
            path = f"{_name(sequence)}.{_name(tag)}"
            if tag in matchers:
                yield f"{path}: {_meaning(matchers[tag])}, in one item with the others"
            else:
                yield f"{path}: matches everything"
    for key in query.sort:
        yield f"ordered by {_name(key.tag)}, {'descending' if key.descending else 'ascending'}"
    if query.place is not None:
        yield "continues after a match"
    if query.offset:
        yield f"leaves out the first {query.offset}"
    if query.limit is not None:
        yield f"gives {query.limit} at most"


def _is_time_of_moments(query: Query, tag: int) -> bool:
    return any(
        time.tag == tag
        and any(isinstance(one, MomentRange) for one in query.matchers.get(date, ()))
        for date, time in TIMES_OF_DATES.items()
    )


def _meaning(alternatives: Sequence[Matcher]) -> str:
    if not alternatives:
        return "universal matching"
    kinds = dict.fromkeys(_kind(matcher) for matcher in alternatives)
    return " or ".join(kinds)


def _kind(matcher: Matcher) -> str:
    if isinstance(matcher, Exact) and len(matcher.values) > 1:
        return f"any of {len(matcher.values)} values"
    return _WORDS[type(matcher)]


def _name(tag: int) -> str:
    return DicomTag(tag).keyword or str(DicomTag(tag))

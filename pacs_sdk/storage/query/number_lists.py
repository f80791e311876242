"""Rows by their numbers, in statements that don't change with how many there are.

``IN`` with a parameter for each number makes another statement for each length of a list, to be
written, parsed and planned anew. Here the list is one parameter: for SQLite a text in JSON,
for PostgreSQL an array.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Dialect, Text, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

__all__ = ["is_among"]


class _NumberList(TypeDecorator[Collection[int]]):
    """A list of row numbers, as one value."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose how the database takes it."""
        kind: TypeEngine[Any] = ARRAY(BigInteger) if dialect.name == "postgresql" else Text()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Collection[int] | None, dialect: Dialect) -> Any:
        """Give it to the database."""
        numbers = list(value or ())
        return numbers if dialect.name == "postgresql" else json.dumps(numbers)


class _IsAmong(FunctionElement[Any]):
    """Whether the first of two clauses is in the list that the second is.

    It has no type: of a Boolean SQLAlchemy would ask ``= 1`` in SQLite, which hides it from
    the planner.
    """

    name = "is_among"
    type = NullType()
    inherit_cache = True


def is_among(column: ColumnElement[int], parameter: str) -> ColumnElement[bool]:
    """Ask that a number is among those of a list.

    Args:
        column: The number.
        parameter: The name of the parameter that the list comes as.
    """
    return _IsAmong(column, bindparam(parameter, type_=_NumberList()))


@compiles(_IsAmong)
def _in_json(element: _IsAmong, compiler: SQLCompiler, **options: Any) -> str:
    column, numbers = (compiler.process(one, **options) for one in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({numbers}))"  # noqa: S608  # made by the compiler


@compiles(_IsAmong, "postgresql")
def _in_array(element: _IsAmong, compiler: SQLCompiler, **options: Any) -> str:
    column, numbers = (compiler.process(one, **options) for one in element.clauses)
    return f"{column} = ANY ({numbers})"

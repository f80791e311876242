"""Making matches of rows: the columns that return keys need, and what is worked out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, Select, select

from pacs_sdk.storage.index.attributes import (
    ATTRIBUTES,
    COMPUTED_ATTRIBUTES,
    REQUEST_ATTRIBUTES,
    REQUEST_ATTRIBUTES_SEQUENCE,
    ComputedKind,
    QueryLevel,
)
from pacs_sdk.storage.index.further_attributes import text_in
from pacs_sdk.storage.index.tables import TABLES, request_attributes
from pacs_sdk.storage.query.match import Match
from pacs_sdk.storage.query.matching import item_conditions, join_up
from pacs_sdk.storage.query.number_lists import is_among
from pacs_sdk.storage.query.ordering import levels_of_order, order_terms, place_of
from pacs_sdk.storage.query.query import ItemKeys, Query
from pacs_sdk.storage.query.working_out import Texts, work_out

__all__ = ["RowReader"]

_Items: TypeAlias = Mapping[int, Sequence[Mapping[int, str]]]


class RowReader:
    """Reads rows of a query's level as matches.

    Args:
        query: Whose return keys a match has.
    """

    def __init__(self, query: Query) -> None:
        self._query = query
        self._columns: list[Any] = [TABLES[query.level].c.pk]
        self._owners: dict[QueryLevel, int] = {}
        self._with_items = (
            REQUEST_ATTRIBUTES_SEQUENCE in query.return_keys
            and query.level.depth >= QueryLevel.SERIES.depth
        )
        if self._with_items:
            self._owner(QueryLevel.SERIES)
        self._computed: dict[int, int] = {}
        self._constants: dict[int, str] = {}
        self._places: list[tuple[int, int]] = []
        self._told: set[QueryLevel] = set()
        for tag in query.return_keys:
            self._add_key(tag)
        terms = order_terms(query)
        self._order = slice(len(self._columns), len(self._columns) + len(terms))
        self._columns.extend(term.value.label(f"o{one}") for one, term in enumerate(terms))
        self._statement = self._rows_statement()

    def read(self, connection: Connection, numbers: Sequence[int]) -> dict[int, Match]:
        """Read rows by their numbers; those that are not there any more are left out.

        Args:
            connection: Where they are.
            numbers: Some hundred at most.
        """
        rows = connection.execute(self._statement, {"rows": list(numbers)}).all()
        owners = {place: {row[place] for row in rows} for place in set(self._computed.values())}
        computed = work_out(
            connection, {tag: owners[place] for tag, place in self._computed.items()}
        )
        items = self._items(connection, rows) if self._with_items else {}
        return {row[0]: self._match(row, computed, items) for row in rows}

    def _add_key(self, tag: int) -> None:
        """Arrange for the value of a return key; what the level doesn't have comes empty."""
        self._constants[tag] = ""
        depth = self._query.level.depth
        attribute = ATTRIBUTES.get(tag) or self._query.further.by_tag.get(tag)
        if attribute is not None and attribute.level.depth <= depth:
            self._places.append((tag, len(self._columns)))
            self._told.add(attribute.level)
            column = text_in(TABLES[attribute.level], attribute, attribute.column)
            self._columns.append(column.label(f"t{tag:08x}"))
        elif (computed := COMPUTED_ATTRIBUTES.get(tag)) is None:
            return
        elif computed.kind is ComputedKind.CONSTANT:
            self._constants[tag] = computed.column
        elif computed.level.depth <= depth:
            self._computed[tag] = self._owner(computed.level)

    def _owner(self, level: QueryLevel) -> int:
        """Return the place of the number of a row's entity at a level."""
        if level is self._query.level:
            return 0
        if level not in self._owners:
            self._owners[level] = len(self._columns)
            self._columns.append(TABLES[level].c.pk.label(f"pk_of_{level.value}"))
        return self._owners[level]

    def _rows_statement(self) -> Select[Any]:
        level = self._query.level
        wanted = [level, *self._owners, *levels_of_order(self._query)]
        highest = min((*wanted, *self._told), key=lambda one: one.depth)
        statement = select(*self._columns).select_from(join_up(level, highest))
        return statement.where(is_among(TABLES[level].c.pk, "rows"))

    def _match(self, row: Row[Any], computed: Mapping[int, Texts], items: _Items) -> Match:
        values = self._constants.copy()  # in the order of the return keys
        for tag, place in self._places:
            value = row[place]
            if value is not None:
                values[tag] = value if type(value) is str else str(value)
        for tag, owner in self._computed.items():
            values[tag] = computed[tag].get(row[owner], "")
        of_row: Mapping[int, Sequence[Mapping[int, str]]] = {}
        if self._with_items:
            owner = self._owner(QueryLevel.SERIES)
            of_row = {REQUEST_ATTRIBUTES_SEQUENCE: items.get(row[owner], ())}
        return Match(self._query.level, values, of_row, place_of(self._query, row[self._order]))

    def _items(self, connection: Connection, rows: Sequence[Row[Any]]) -> _Items:
        """Fetch the items that match, by the number of their series (PS3.4 C.2.2.2.6)."""
        keys = self._query.items.get(REQUEST_ATTRIBUTES_SEQUENCE, ItemKeys())
        matchers = self._query.item_matchers.get(REQUEST_ATTRIBUTES_SEQUENCE, {})
        owner = self._owner(QueryLevel.SERIES)
        statement = (
            select(request_attributes)
            .where(is_among(request_attributes.c.series_fk, "owners"))
            .where(*item_conditions(matchers))
            .order_by(request_attributes.c.pk)
        )
        wanted = keys.return_keys or tuple(REQUEST_ATTRIBUTES)
        found: dict[int, list[dict[int, str]]] = {}
        owners = {"owners": {row[owner] for row in rows}}
        for row in connection.execute(statement, owners).mappings():
            item = {
                tag: str(row[REQUEST_ATTRIBUTES[tag].column]) if tag in REQUEST_ATTRIBUTES else ""
                for tag in wanted
            }
            found.setdefault(row["series_fk"], []).append(item)
        return found

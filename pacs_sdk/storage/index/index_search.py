"""What an index can be asked: where instances lie, what matches, and how much there is."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from contextlib import AbstractContextManager

import attrs
from sqlalchemy import Connection

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.storage.index.further_attributes import FurtherAttributes
from pacs_sdk.storage.query.explain import Explanation, explain_query
from pacs_sdk.storage.query.query import Match, Query
from pacs_sdk.storage.query.search import (
    count_everything,
    count_matches,
    find_location,
    find_locations,
    find_matches,
)
from pacs_sdk.storage.records import ArchiveStatistics, InstanceLocation

__all__ = ["IndexSearch", "not_indexed"]


class IndexSearch(abc.ABC):
    """The questions that an index answers; how it is read is for a subclass to say.

    Args:
        further: What is kept besides the attributes that have a column.
    """

    def __init__(self, further: FurtherAttributes) -> None:
        self.further = further
        """The attributes that a site adds."""

    @abc.abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """Give a connection for reading, which sees all that was added before."""

    @edge()
    def locate(self, sop_instance_uid: str) -> InstanceLocation:
        """Tell where an instance lies.

        Returns:
            ``Success``, or ``Failure`` with ``OBJECT_NOT_FOUND`` or ``INDEX_FAILED``.
        """
        known = is_valid_uid(sop_instance_uid)
        found = find_location(self.reading, sop_instance_uid) if known else None
        if found is None:
            raise not_indexed(sop_instance_uid)
        return found

    @edge()
    def find(self, query: Query) -> Iterator[Match]:
        """Search at the query's level.

        The search is made at once and is of one moment; the matches are read in batches
        as they are asked for. The order is the query's; without one it is that of arrival
        for patients and studies, and by number for series and instances. It is always the
        same, and so pages of it have no gaps.

        Returns:
            ``Success`` with the matches, or ``Failure`` with ``INDEX_FAILED``. Iterating
            may raise ``PacsException`` (``INDEX_FAILED``).
        """
        return find_matches(self.reading, self.understood(query))

    @edge()
    def count(self, query: Query) -> int:
        """Count what a query finds, whatever its limit, offset and token.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        return count_matches(self.reading, self.understood(query))

    @edge()
    def explain(self, query: Query) -> Explanation:
        """Tell how a query is understood and how the database would go about it.

        Returns:
            ``Success`` with words, SQL and plan, which hold no value of any key; or
            ``Failure`` with ``INDEX_FAILED``.
        """
        return explain_query(self.reading, self.understood(query))

    @edge()
    def locations(self, query: Query) -> Iterator[InstanceLocation]:
        """Find the instances below what matches, ordered by series and instance number.

        Returns:
            As :meth:`find`.
        """
        return find_locations(self.reading, self.understood(query))

    def understood(self, query: Query) -> Query:
        """Return a query whose keys are understood with the further attributes of this index.

        Raises:
            PacsException: ``FIND_INVALID_IDENTIFIER`` for a key that cannot be understood;
                ``INVALID_ARGUMENT`` where it was made for an index that keeps more.
        """
        if query.further is self.further or query.further == self.further:
            return query
        for tag in query.further.by_tag:
            if tag not in self.further.by_tag and query.matchers.get(tag):
                raise PacsException(
                    ErrorCode.INVALID_ARGUMENT,
                    f"{DicomTag(tag).keyword} is none of the further attributes of this index, "
                    "so it cannot be searched by",
                    tag=str(DicomTag(tag)),
                )
        return attrs.evolve(query, further=self.further)

    @edge()
    def statistics(self) -> ArchiveStatistics:
        """Count what there is.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        return count_everything(self.reading)


def not_indexed(sop_instance_uid: str) -> PacsException:
    """Return the error ``OBJECT_NOT_FOUND`` for an instance that has no row."""
    return PacsException(
        ErrorCode.OBJECT_NOT_FOUND,
        f"no instance {sop_instance_uid[:80]} is stored",
        sop_instance_uid=sop_instance_uid[:80],
    )

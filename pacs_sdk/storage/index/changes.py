"""The change feed: what happened to instances and studies.

A change stands after all that were committed before it was written. So what happened to one
instance stands in the order in which it happened, for who changes an instance waits for who is
changing it. Of what several nodes did at the same moment either may come first, the same for
every reader.
"""

from __future__ import annotations

import enum
import re
from datetime import UTC, datetime
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock

__all__ = ["FEED_START", "Change", "ChangeKind", "FeedPosition", "milliseconds", "moment"]

_POSITION: Final = re.compile(r"(\d{1,19})\.(\d{1,19})", re.ASCII)


class ChangeKind(enum.IntEnum):
    """What happened; the numbers are those in the database."""

    STORED = 1
    """An instance is new."""
    REPLACED = 2
    """An instance took the place of another with its SOP Instance UID."""
    DELETED = 3
    """An instance is gone."""
    SETTLED = 4
    """Nothing has happened to a study for a while."""


@attrs.frozen(order=True)
class FeedPosition:
    """A place in the change feed; all that comes later is greater.

    Transactions of several nodes may end in another order than they began. A place is
    therefore told by transaction first; no place is given away before all transactions
    below it have ended. It is good until the database is restored into another server.
    """

    transaction: int = 0
    """The latest transaction that was known when the change was written: its own, or the highest
    that had ended. 0 in databases that run one at a time."""
    number: int = 0
    """The number of the change."""

    @classmethod
    def of(cls, text: str) -> FeedPosition:
        """Read what ``str`` of a position gave.

        Raises:
            PacsException: ``INVALID_ARGUMENT``.
        """
        found = _POSITION.fullmatch(text)
        if found is None:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT, f"{text[:48]!r} is no position in the change feed"
            )
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.transaction}.{self.number}"


FEED_START: Final = FeedPosition()
"""Before the first change."""


@attrs.frozen
class Change:
    """Something that happened."""

    position: FeedPosition
    """Where in the feed it stands."""
    kind: ChangeKind
    """What happened."""
    at: datetime
    """When, UTC, to the millisecond."""
    study_instance_uid: str
    """To which study."""
    series_instance_uid: str = ""
    """To which series; empty for what happens to a study."""
    sop_instance_uid: str = ""
    """To which instance; empty for what happens to a study."""


def milliseconds(clock: Clock) -> int:
    """Return the time of day in milliseconds since 1970, UTC."""
    return round(clock.now().timestamp() * 1000)


def moment(at_ms: int) -> datetime:
    """Return the time of day that :func:`milliseconds` told."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)

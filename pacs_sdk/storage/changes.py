"""The change feed: what happened to instances and studies, in the order of its commits."""

from __future__ import annotations

import enum

from pacs_sdk.core.ports import Clock

__all__ = ["ChangeKind", "milliseconds"]


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


def milliseconds(clock: Clock) -> int:
    """Return the time of day in milliseconds since 1970, UTC."""
    return round(clock.now().timestamp() * 1000)

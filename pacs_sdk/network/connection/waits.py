"""Waiting for the peer, said without doing it: until when, and for what."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, TypeAlias, TypeVar

__all__ = ["LONGEST_S", "Waits", "after", "earlier"]

_T = TypeVar("_T")

LONGEST_S: Final = 2_000_000.0
"""The longest that anything may be waited for, 23 days: the operating system counts the
milliseconds of a wait in 31 bits."""

Waits: TypeAlias = Generator[float | None, None, _T]
"""Something that waits for the peer: it yields until when, or ``None`` for as long as the
engine's own deadline lets it, and is resumed after every read and every deadline."""


def after(start: float | None, duration_s: float | None) -> float | None:
    """Return when a duration is over that began at a time; never if one is not known."""
    return None if start is None or duration_s is None else start + duration_s


def earlier(one: float | None, other: float | None) -> float | None:
    """Return the earlier of two times, of which ``None`` is never."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)

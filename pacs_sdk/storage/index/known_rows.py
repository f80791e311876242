"""The numbers of rows that are remembered once the transaction that made sure of them is over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, TypeVar

__all__ = ["KnownRows", "is_worth_knowing"]

_LONGEST_SAID_BYTES: Final = 16 << 10
"""What a row may be known by. What instances say of their series takes a kilobyte or so; one that
says megabytes is looked up each time, and not kept."""

_Key = TypeVar("_Key")


class KnownRows(Generic[_Key]):
    """Numbers of rows, by what they are known by; for one thread at a time.

    Args:
        at_most: How many are remembered; then all are forgotten.
    """

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._known: dict[_Key, int] = {}
        self._uncommitted: dict[_Key, int] = {}

    def get(self, key: _Key) -> int | None:
        """Return a row's number, also where the transaction that runs made it."""
        pk = self._known.get(key)
        return self._uncommitted.get(key) if pk is None else pk

    def note(self, key: _Key, pk: int) -> None:
        """Note a row that the transaction that runs has made sure of."""
        self._uncommitted[key] = pk

    def committed(self) -> None:
        """Remember what the last transaction made sure of."""
        if self._uncommitted:
            if len(self._known) + len(self._uncommitted) > self._at_most:
                self._known.clear()
            self._known |= self._uncommitted
            self._uncommitted.clear()

    def rolled_back(self) -> None:
        """Take note that the last transaction came to nothing."""
        self._uncommitted.clear()

    def forget(self) -> None:
        """Forget all: some rows may be gone."""
        self._known.clear()
        self._uncommitted.clear()


def is_worth_knowing(said: Iterable[bytes | None]) -> bool:
    """Tell whether encoded values are short enough to be remembered."""
    return sum(map(len, filter(None, said))) <= _LONGEST_SAID_BYTES

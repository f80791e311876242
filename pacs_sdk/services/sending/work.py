"""What is still to be sent, divided so that each part fits one association."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

import attrs

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.network import ProposedContext
from pacs_sdk.services.sending.sources import Item

__all__ = ["MAX_CONTEXTS", "Batch", "Propose", "Work"]

Propose: TypeAlias = Callable[[str, Iterable[str]], Sequence[ProposedContext]]
"""Lists the contexts to propose for a SOP class and transfer syntaxes."""

MAX_CONTEXTS: Final = 128
"""Presentation context IDs are the odd numbers 1 to 255 (PS3.8 9.3.2.2)."""

_MOST_BYTES_AHEAD: Final = 64 << 20
"""Instances in memory are not collected beyond this before some are sent."""


@attrs.define
class Batch:
    """Items that one association can take."""

    contexts: tuple[ProposedContext, ...]
    """What it has to propose."""
    items: deque[Item]
    """What is left of them."""

    def take(self) -> Item | None:
        """Take the next one; ``None`` when there is none left. Any thread may call this."""
        try:
            return self.items.popleft()
        except IndexError:
            return None


class Work:
    """Hands out batches to any number of threads, reading ahead as far as is needed.

    Args:
        items: What is to be sent; one thread at a time advances it.
        propose: Lists the contexts for a SOP class and the transfer syntaxes of its instances.
        look_ahead: How many items are looked at to see which contexts they need.
    """

    def __init__(self, items: Iterable[Item], propose: Propose, look_ahead: int) -> None:
        self._items = iter(items)
        self._propose = propose
        self._look_ahead = look_ahead
        self._ahead: list[Item] = []
        self._ahead_in_memory = 0
        self._failure: Exception | None = None
        self._batches: deque[Batch] = deque()
        self._given_back: list[Item] = []
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._held = 0
        self._is_closed = False

    @property
    def ready(self) -> int:
        """How many items have been read and not taken."""
        with self._lock:
            return self._waiting()

    def batch(self, *, wait: bool = False) -> Batch | None:
        """Return a batch with items; ``None`` when everything was taken, or after a close.

        A source that raises has come to its end: :meth:`check_source` tells.

        Args:
            wait: Whether to wait while others hold items that they may give back.
        """
        with self._lock:
            while not self._is_closed:
                while self._batches and not self._batches[0].items:
                    self._batches.popleft()
                if self._batches:
                    return self._batches[0]
                while self._has_room() and self._read_one():
                    pass
                if not self._ahead:
                    if not wait or not self._held:
                        return None
                    self._changed.wait()
                    continue
                self._batches.extend(divided(self._ahead, self._propose))
                self._ahead, self._ahead_in_memory = [], 0
        return None

    def read_on(self, taken: int) -> None:
        """Read one item, unless as many wait as may be looked at, or another thread reads.

        Who waits for a peer has time for that.

        Args:
            taken: How many items were taken and are not answered yet.
        """
        if self._lock.acquire(blocking=False):
            try:
                if not self._is_closed and self._has_room(taken + self._waiting()):
                    self._read_one()
            finally:
                self._lock.release()

    def hold(self) -> None:
        """Note that an item was taken for a sender that has no association yet."""
        with self._lock:
            self._held += 1

    def let_go(self) -> None:
        """Note that such a sender has an association, or has given the item back."""
        with self._lock:
            self._held -= 1
            self._changed.notify_all()

    def give_back(self, batch: Batch, item: Item) -> None:
        """Return what was taken from a batch and not sent, for another sender to take."""
        with self._lock:
            if self._is_closed:
                self._given_back.append(item)
                return
            batch.items.appendleft(item)
            if all(one is not batch for one in self._batches):
                self._batches.appendleft(batch)

    def close(self) -> None:
        """Hand out nothing any more: not even of the batches that are out."""
        with self._lock:
            self._is_closed = True
            for batch in self._batches:
                self._given_back.extend(batch.items)
                batch.items.clear()
            self._given_back.extend(self._ahead)
            self._ahead.clear()
            self._changed.notify_all()

    def returned(self) -> list[Item]:
        """Take what was given back."""
        with self._lock:
            returned, self._given_back = self._given_back, []
        return returned

    def unread(self) -> Iterator[Item]:
        """Read on to the end, for what will not be sent."""
        return self._items

    def check_source(self) -> None:
        """Raise what the source has raised, if it has."""
        if self._failure is not None:
            raise self._failure

    # -- with the lock held ----------------------------------------------------------------

    def _waiting(self) -> int:
        return sum(len(batch.items) for batch in self._batches)

    def _has_room(self, waiting: int = 0) -> bool:
        """Whether another item may be looked at beside those of batches that wait."""
        is_light = self._ahead_in_memory < _MOST_BYTES_AHEAD
        return is_light and waiting + len(self._ahead) < self._look_ahead

    def _read_one(self) -> bool:
        """Take an item from the source; ``False`` where it has come to its end, or raises."""
        try:
            item = next(self._items, None)
        except Exception as exc:  # noqa: BLE001  # raised by check_source
            self._failure = exc
            return False
        if item is None:
            return False
        self._ahead.append(item)
        if isinstance(item.instance.encoded, MemoryBytes):
            self._ahead_in_memory += item.instance.size
        return True


def divided(items: Sequence[Item], propose: Propose) -> list[Batch]:
    """Divide items so that each part needs at most 128 contexts; each keeps the order."""
    by_class: dict[str, list[Item]] = {}
    for item in items:
        by_class.setdefault(item.instance.sop_class_uid, []).append(item)
    parts: list[tuple[list[ProposedContext], list[Item]]] = [([], [])]
    for sop_class_uid, members in by_class.items():
        syntaxes = dict.fromkeys(item.instance.transfer_syntax_uid for item in members)
        wanted = propose(sop_class_uid, syntaxes)
        if len(parts[-1][0]) + len(wanted) > MAX_CONTEXTS:
            parts.append(([], []))
        parts[-1][0].extend(wanted)
        parts[-1][1].extend(members)
    return [
        Batch(tuple(contexts), deque(sorted(members, key=lambda item: item.number)))
        for contexts, members in parts
    ]

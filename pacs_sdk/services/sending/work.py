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
        self._batches: deque[Batch] = deque()
        self._given_back: list[Item] = []
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def ready(self) -> int:
        """How many items have been read and not taken."""
        with self._lock:
            return sum(len(batch.items) for batch in self._batches)

    def batch(self) -> Batch | None:
        """Return a batch with items; ``None`` when everything was taken, or after a close."""
        with self._lock:
            while not self._is_closed:
                while self._batches and not self._batches[0].items:
                    self._batches.popleft()
                if self._batches:
                    return self._batches[0]
                ahead = self._read_ahead()
                if not ahead:
                    return None
                self._batches.extend(divided(ahead, self._propose))
        return None

    def give_back(self, items: Iterable[Item]) -> None:
        """Return what was taken and not sent."""
        with self._lock:
            self._given_back.extend(items)

    def close(self) -> None:
        """Hand out nothing any more: not even of the batches that are out."""
        with self._lock:
            self._is_closed = True
            for batch in self._batches:
                self._given_back.extend(batch.items)
                batch.items.clear()

    def returned(self) -> list[Item]:
        """Take what was given back."""
        with self._lock:
            returned, self._given_back = self._given_back, []
        return returned

    def unread(self) -> Iterator[Item]:
        """Read on to the end, for what will not be sent."""
        return self._items

    def _read_ahead(self) -> list[Item]:
        items: list[Item] = []
        in_memory = 0
        for item in self._items:
            items.append(item)
            if isinstance(item.instance.encoded, MemoryBytes):
                in_memory += item.instance.size
            if len(items) >= self._look_ahead or in_memory >= _MOST_BYTES_AHEAD:
                break
        return items


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

"""The account of a pool: what a user who goes away at the last moment gives back."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pacs_sdk.network import Peer, ProposedContext
from pacs_sdk.network.pool import PoolConfig
from pacs_sdk.network.pool.book import PoolBook, Pooled, Waiter
from pacs_sdk.network.pool.values import PoolKey, pool_key
from tests.network.helpers import CT_IMAGE, IMPLICIT, STUDY_ROOT_FIND
from tests.network.pool_fakes import FakeAssociation, FakeNetwork

Book = PoolBook[FakeAssociation]


def key_for(host: str, abstract_syntax: str = CT_IMAGE) -> PoolKey:
    """Make a key."""
    context = ProposedContext(abstract_syntax, (IMPLICIT,))
    return pool_key(Peer(host, 104), "US", (context,))


def arrive(book: Book, key: PoolKey) -> Waiter[FakeAssociation]:
    """Let a user ask, and serve the queue."""
    waiter: Waiter[FakeAssociation] = Waiter(key, "thread", threading.Condition())
    with waiter.ready:
        book.arrive(waiter)
        book.serve(0.0)
    return waiter


def put_idle(book: Book, key: PoolKey) -> None:
    """Make an idle association."""
    grant = arrive(book, key).grant
    assert grant is not None
    association = FakeAssociation(FakeNetwork(), key.peer, "US", key.contexts)
    book.put_idle(grant.place, Pooled(association, key, 0.0, 0.0), 0.0)


@pytest.mark.parametrize(
    ("config", "idle", "granted"),
    [
        ({}, [], (False, False)),
        ({}, [key_for("archive")], (True, False)),
        ({"max_per_peer": 1}, [key_for("archive", STUDY_ROOT_FIND)], (False, True)),
        ({"max_total": 1}, [key_for("backup")], (False, True)),
    ],
    ids=["a new place", "an idle one", "room with the peer", "room in all"],
)
def test_what_was_granted_is_taken_back(
    config: dict[str, Any], idle: list[PoolKey], granted: tuple[bool, bool]
) -> None:
    """As a user does whose wait was interrupted in the moment of the grant."""
    book: Book = PoolBook(PoolConfig(**config))
    for key in idle:
        put_idle(book, key)
    before = (book.total, book.counts(), book.per_peer(), dict(book._per_peer))
    waiter = arrive(book, key_for("archive"))
    assert waiter.grant is not None
    assert (waiter.grant.idle is not None, waiter.grant.departure is not None) == granted
    assert book.counts()[1] == 1
    book.leave(waiter)
    assert (book.total, book.counts(), book.per_peer(), dict(book._per_peer)) == before


def test_who_leaves_the_queue_is_not_served() -> None:
    """The next one is."""
    book: Book = PoolBook(PoolConfig(max_per_peer=1))
    first = arrive(book, key_for("archive"))
    second, third = arrive(book, key_for("archive")), arrive(book, key_for("archive"))
    book.leave(second)
    assert first.grant is not None
    book.vacate(first.grant.place)
    with third.ready:
        book.serve(0.0)
    assert (second.grant, third.grant is not None) == (None, True)

"""How many associations a pool has open, who has to go, and how it counts them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.network import Peer, ProposedContext
from pacs_sdk.network.pool import PeerStatistics, PoolConfig, PoolStatistics
from tests.network.pool_setup import ARCHIVE, BACKUP, CT, ECHO, FIND, setup


def test_no_more_than_allowed_are_open_with_a_peer() -> None:
    """The error says how many there are and who has them; other peers are not concerned."""
    with setup(max_per_peer=2) as made:
        first, second = made.acquire(), made.acquire(ARCHIVE, FIND)
        made.clock.advance(12)
        error = made.refusal()
        assert error.code is ErrorCode.NETWORK_TIMEOUT
        me = f"US in thread {threading.current_thread().name} for 12 s"
        assert error.message == (
            "no association with ARCHIVE at archive port 104 became free within 0 s: "
            f"at most 2 are open with it, and 2 are in use: {me}; {me}"
        )
        assert error.details == {"in_use": 2, "waiting": 1}
        made.idle(BACKUP)
        made.counts(timeouts=1, waiting=0)
        first.give_back()
        second.give_back()


def test_no_more_than_allowed_are_open_in_all() -> None:
    """Only the first few users are named."""
    with setup(max_per_peer=7, max_total=7) as made:
        held = [made.acquire() for _ in range(6)]
        held.append(made.acquire(BACKUP))
        error = made.refusal()
        assert "at most 7 are open in all, and 7 are in use: US in thread" in error.message
        assert error.message.endswith("for 0 s; and 2 more")
        for pooled in held:
            pooled.give_back()


@pytest.mark.parametrize(
    ("config", "idle", "evicted"),
    [
        ({"max_total": 2}, [(BACKUP, CT), (BACKUP, FIND)], 0),
        ({"max_per_peer": 2}, [(BACKUP, CT), (ARCHIVE, FIND), (ARCHIVE, ECHO)], 1),
        ({"max_per_peer": 1, "max_total": 2}, [(BACKUP, CT), (ARCHIVE, FIND)], 1),
    ],
    ids=["in all", "with the peer", "both"],
)
def test_an_idle_association_makes_room_for_another(
    config: dict[str, int], idle: list[tuple[Peer, ProposedContext]], evicted: int
) -> None:
    """The one that was idle longest goes, and before the new one is opened."""
    with setup(**config) as made:
        held = [made.acquire(peer, context) for peer, context in idle]
        for pooled in held:
            pooled.give_back()
        associations = list(made.network.opened)
        with made.acquire():
            ends = [association.ended for association in associations]
            assert ends == ["released" if index == evicted else None for index in range(len(idle))]
        made.counts(made_room=1, expired=0, in_use=0, idle=len(idle))


def test_a_place_that_was_taken_over_counts_with_its_new_peer() -> None:
    """Making room in all gives nobody more than the limit of a peer."""
    with setup(max_per_peer=1, max_total=2) as made:
        made.idle(BACKUP)
        made.idle(Peer("third", 104))
        pooled = made.acquire()
        assert "at most 1 are open with it" in made.refusal().message
        pooled.give_back()


def test_a_place_is_counted_until_its_association_is_closed() -> None:
    """A peer that allows one association must not be called while the last is being released."""
    with setup(max_per_peer=1, max_total=2) as made:
        made.idle()
        meanwhile: list[PacsError] = []

        def try_to_acquire(name: str) -> None:
            if name == "release" and not meanwhile:
                meanwhile.append(made.refusal())

        made.network.on_call = try_to_acquire
        made.pool.release_idle()
        assert [error.code for error in meanwhile] == [ErrorCode.NETWORK_TIMEOUT]
        made.idle()


def test_statistics_tell_of_each_peer() -> None:
    """In the order of host, port and title; nothing is left of peers without associations."""
    with setup() as made:
        held = [made.acquire(BACKUP), made.acquire(), made.acquire()]
        held.pop().give_back()
        assert made.pool.statistics().per_peer == (
            PeerStatistics(ARCHIVE, in_use=1, idle=1, waiting=0),
            PeerStatistics(BACKUP, in_use=1, idle=0, waiting=0),
        )
        for pooled in held:
            pooled.give_back()
        made.pool.release_idle()
        assert made.pool.statistics() == PoolStatistics(
            3, 0, 0, 0, 0, 0, 0, 0, 0, waiting=0, in_use=0, idle=0, per_peer=()
        )


@pytest.mark.parametrize(
    "setting",
    [
        {"max_per_peer": 0},
        {"max_total": 0},
        {"max_idle_s": 0.0},
        {"max_age_s": -1.0},
        {"check_after_s": -0.1},
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_refused(setting: dict[str, Any]) -> None:
    """When the configuration is made, naming the setting."""
    with pytest.raises(PacsException, match=next(iter(setting))) as raising:
        PoolConfig(**setting)
    assert raising.value.error.code is ErrorCode.INVALID_CONFIGURATION

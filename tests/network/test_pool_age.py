"""When idle associations of a pool are released: by age, by request, by its upkeep."""

from __future__ import annotations

import threading

import pytest

from pacs_sdk.core.errors import PacsException
from tests.network.pool_setup import ARCHIVE, BACKUP, setup


@pytest.mark.parametrize(
    ("idle_s", "config"),
    [(60.0, {"max_idle_s": 60.0}), (30.0, {"max_age_s": 30.0})],
    ids=["idle for too long", "too old"],
)
@pytest.mark.parametrize("by_tick", [True, False])
def test_what_is_too_old_is_released(
    idle_s: float, config: dict[str, float], by_tick: bool
) -> None:
    """By the upkeep, or by the next user, who gets a new one."""
    with setup(**config) as made:
        association = made.idle()
        made.clock.advance(idle_s - 0.1)
        assert made.pool.tick() == 0
        made.clock.advance(0.1)
        if by_tick:
            assert made.pool.tick() == 1
            assert association.ended == "released"
        with made.acquire() as other:
            assert other is not association
        assert association.ended == "released"
        made.counts(created=2, expired=1, checked=0, failed_checks=0)


def test_what_is_too_old_when_it_is_given_back_is_not_kept() -> None:
    """It is never taken from its user."""
    with setup(max_age_s=30.0) as made:
        with made.acquire() as association:
            made.clock.advance(30)
            assert made.pool.tick() == 0
            assert association.ended is None
        assert association.ended == "released"
        made.counts(expired=1, failed=0, idle=0)


def test_using_an_association_makes_it_idle_anew_but_not_young() -> None:
    """Two limits, two beginnings."""
    with setup(max_idle_s=60.0, max_age_s=100.0) as made:
        association = made.idle()
        made.clock.advance(59)
        assert made.idle() is association
        made.clock.advance(40)
        assert made.pool.tick() == 0
        made.clock.advance(1)
        assert made.pool.tick() == 1


def test_idle_associations_of_one_peer_can_be_released() -> None:
    """Those of others stay, and so does what is in use."""
    with setup() as made:
        used = made.acquire()
        with made.acquire():
            pass
        other = made.idle(BACKUP)
        assert made.pool.release_idle(ARCHIVE) == 1
        assert made.network.open_now == [used.association, other]
        assert made.pool.release_idle() == 1
        used.give_back()


def test_the_upkeep_releases_what_expires_and_ends_with_the_pool() -> None:
    """Its thread sleeps until there is something to do, and is gone after the close."""
    with setup(max_idle_s=60.0) as made:
        released = threading.Event()
        made.network.on_call = lambda name: released.set() if name == "release" else None
        made.pool.start_upkeep()
        with pytest.raises(PacsException, match="has its upkeep already"):
            made.pool.start_upkeep()
        with made.acquire() as association:
            made.clock.advance(60)
        made.clock.advance(60)  # unseen, because a fake clock wakes nobody
        made.idle(BACKUP)  # its return does
        assert released.wait(10)
        made.pool.close(10.0)
        assert association.ended == "released"
        names = [thread.name for thread in threading.enumerate()]
        assert "association-pool-upkeep" not in names
        with pytest.raises(PacsException, match="is closed"):
            made.pool.start_upkeep()

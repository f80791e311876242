"""Who waits for an association of a pool, and in which order they are served."""

from __future__ import annotations

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from tests.network.pool_fakes import BROKEN
from tests.network.pool_setup import ARCHIVE, BACKUP, CT, ECHO, FIND, setup, waiting


def test_users_are_served_in_order_of_arrival() -> None:
    """Each return serves the first of those who wait, with the same association."""
    with setup(max_per_peer=1) as made:
        pooled = made.acquire()
        association = pooled.association
        with waiting(made, *[(ARCHIVE, CT)] * 3) as futures:
            made.counts(waiting=3)
            for index, future in enumerate(futures):
                pooled.give_back()
                pooled = raised(future.result(10))
                assert pooled.association is association
                assert [later.done() for later in futures[index + 1 :]] == [False] * (2 - index)
            pooled.give_back()
        made.counts(created=1, reused=3, waiting=0, idle=1)


def test_a_user_with_another_key_is_served_in_its_turn() -> None:
    """What is returned makes room for the first in line, even if the second could use it."""
    with setup(max_per_peer=1) as made:
        pooled = made.acquire()
        with waiting(made, (ARCHIVE, FIND), (ARCHIVE, CT)) as (other, same):
            pooled.give_back()
            pooled = raised(other.result(10))
            assert pooled.association.proposed == (FIND, ECHO)
            assert not same.done()
            pooled.give_back()
            raised(same.result(10)).give_back()
        made.counts(created=3, made_room=2)


def test_a_user_who_waits_for_one_peer_does_not_stop_those_of_another() -> None:
    """Only the same limit makes both wait."""
    with setup(max_per_peer=1) as made:
        pooled = made.acquire()
        with waiting(made, (ARCHIVE, CT)) as (future,):
            made.idle(BACKUP)
            pooled.give_back()
            raised(future.result(10)).give_back()


@pytest.mark.parametrize("how", ["failed", "bad connect"])
def test_a_place_without_association_goes_to_the_next(how: str) -> None:
    """Whoever waits opens a new one."""
    with setup(max_per_peer=1) as made:
        pooled = made.acquire()
        with waiting(made, (ARCHIVE, CT), (ARCHIVE, CT)) as futures:
            if how == "bad connect":
                made.network.refuses = BROKEN
            pooled.give_back(failed=True)
            if how == "bad connect":
                assert [future.result(10).failure() for future in futures] == [BROKEN] * 2
            else:
                for future in futures:
                    raised(future.result(10)).give_back()


def test_waiting_ends_in_time() -> None:
    """With an error for the user whose time is up; the others go on waiting."""
    with setup(max_per_peer=1) as made:
        pooled = made.acquire()
        with (
            waiting(made, (ARCHIVE, CT), timeout_s=5.0) as (hasty,),
            waiting(made, (ARCHIVE, CT), timeout_s=50.0) as (patient,),
        ):
            made.clock.advance(4.9)
            made.pool.tick()
            made.counts(waiting=2)
            made.clock.advance(0.1)
            made.pool.tick()
            error = hasty.result(10).failure()
            assert error.code is ErrorCode.NETWORK_TIMEOUT
            assert "within 5 s" in error.message
            assert error.details == {"in_use": 1, "waiting": 2}
            pooled.give_back()
            raised(patient.result(10)).give_back()
        made.counts(timeouts=1, waiting=0)

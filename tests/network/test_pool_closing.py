"""How a pool is closed: what is idle, who waits, and what is in use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pacs_sdk.core.errors import ErrorCode
from tests.network.pool_setup import ARCHIVE, CT, setup, waiting


def test_a_closed_pool_releases_what_is_idle_and_refuses_users() -> None:
    """Closing again does no harm."""
    with setup() as made:
        association = made.idle()
        assert made.pool.close() == 0
        assert association.ended == "released"
        assert made.refusal().code is ErrorCode.PROTOCOL_MISUSE
        assert made.pool.close() == 0


def test_closing_turns_away_those_who_wait() -> None:
    """They have not begun anything; what is in use is released when it comes back."""
    with setup(max_per_peer=1) as made:
        pooled = made.acquire()
        association = pooled.association
        with waiting(made, (ARCHIVE, CT)) as (future,):
            assert made.pool.close(0.0) == 1
            assert future.result(10).failure().code is ErrorCode.PROTOCOL_MISUSE
        assert association.ended is None
        assert made.logger.named("pool-closed-in-use", in_use=1)
        pooled.give_back()
        assert association.ended == "released"
        made.counts(failed=0, idle=0, in_use=0)


def test_closing_waits_for_those_in_use() -> None:
    """It returns when the last one has come back."""
    with setup() as made, ThreadPoolExecutor(1) as thread:
        pooled = made.acquire()
        closing = thread.submit(made.pool.close, 30.0)
        made.logger.wait_for("pool-closing", in_use=1)
        assert not closing.done()
        pooled.give_back()
        assert closing.result(10) == 0


def test_what_takes_too_long_to_release_is_aborted() -> None:
    """A peer that does not answer costs the time of the close once, not for each association."""
    with setup() as made:
        held = [made.acquire() for _ in range(3)]
        for pooled in held:
            pooled.give_back()

        def take_long(name: str) -> None:
            if name == "release":
                made.clock.advance(10)

        made.network.on_call = take_long
        assert made.pool.close(10.0) == 0
        assert [one.ended for one in made.network.opened] == ["released", "aborted", "aborted"]

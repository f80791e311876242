"""What becomes of pooled associations that fail, and of their places."""

from __future__ import annotations

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.network.pool.desk import PoolDesk
from tests.network.pool_fakes import BROKEN
from tests.network.pool_setup import ARCHIVE, BACKUP, setup


def test_an_association_is_aborted_when_an_exception_passes() -> None:
    """Nobody knows what the peer still sends."""
    with setup() as made:
        with pytest.raises(ZeroDivisionError), made.acquire() as association:
            raise ZeroDivisionError
        assert association.ended == "aborted"
        made.counts(failed=1, in_use=0, idle=0)
        with made.acquire() as other:
            assert other is not association


def test_an_association_may_be_declared_failed() -> None:
    """By a user who has a reason of its own."""
    with setup() as made:
        pooled = made.acquire()
        association = pooled.association
        pooled.give_back(failed=True)
        assert association.ended == "aborted"
        made.counts(failed=1, in_use=0, idle=0)


@pytest.mark.parametrize(("is_open", "how"), [(False, "released"), (True, "aborted")])
def test_an_association_that_does_not_look_well_is_not_kept(is_open: bool, how: str) -> None:
    """One that ended is closed; one whose answers were not taken to the end is aborted."""
    with setup() as made:
        with made.acquire() as association:
            association.is_open = is_open
            association.is_busy = is_open
        assert association.ended == how
        made.counts(failed=1, in_use=0, idle=0)


def test_a_failure_to_connect_is_passed_on_and_leaves_the_place_free() -> None:
    """The error is the one of the network."""
    with setup(max_per_peer=1) as made:
        refused = PacsError(ErrorCode.ASSOCIATION_REJECTED, "called AE title not recognized")
        made.network.refuses = refused
        assert made.refusal() == refused
        made.counts(created=0, failed_connects=1, in_use=0)
        made.network.refuses = None
        made.idle()


def test_a_bug_while_connecting_leaves_the_place_free() -> None:
    """It stays an exception; the pool goes on."""
    with setup(max_per_peer=1) as made:

        def crash(_: str) -> None:
            raise ZeroDivisionError

        made.network.on_call = crash
        with pytest.raises(ZeroDivisionError):
            made.acquire()
        made.network.on_call = None
        made.idle()


@pytest.mark.parametrize("method", ["count", "report"])
@pytest.mark.parametrize("is_reused", [False, True], ids=["opened", "idle"])
def test_metrics_that_fail_leave_no_place_taken(
    monkeypatch: pytest.MonkeyPatch, method: str, is_reused: bool
) -> None:
    """Whoever gets nothing holds nothing, and what was meant for him is closed."""

    def fail(*_: object) -> None:
        raise RuntimeError("the metrics are gone")

    with setup(max_per_peer=1) as made:
        if is_reused:
            made.idle()
        with monkeypatch.context() as broken:
            broken.setattr(PoolDesk, method, fail)
            with pytest.raises(RuntimeError, match="the metrics are gone"):
                made.acquire()
        assert made.network.opened[-1].ended == "aborted"
        made.idle()


def test_metrics_that_fail_keep_nothing_open_that_has_expired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All are released before any is counted."""

    def fail(*_: object) -> None:
        raise RuntimeError("the metrics are gone")

    with setup() as made:
        made.idle(ARCHIVE)
        made.idle(BACKUP)
        made.clock.advance(60.0)
        with monkeypatch.context() as broken:
            broken.setattr(PoolDesk, "count", fail)
            with pytest.raises(RuntimeError, match="the metrics are gone"):
                made.pool.tick()
        assert made.network.open_now == []


@pytest.mark.parametrize("exception", [OSError("broken pipe"), PacsException.of(BROKEN)])
def test_a_connection_that_breaks_at_its_end_has_ended(exception: Exception) -> None:
    """Its place is free all the same, and the reason is recorded."""
    with setup(max_per_peer=1) as made:
        association = made.idle()

        def break_off(name: str) -> None:
            if name == "release":
                association.network.end(association, "broken")
                raise exception

        made.network.on_call = break_off
        assert made.pool.release_idle() == 1
        made.network.on_call = None
        assert made.logger.named("pool-association-lost", reason=str(exception))
        made.idle()

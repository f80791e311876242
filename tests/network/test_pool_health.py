"""How a pool finds out that an idle association is still good."""

from __future__ import annotations

from typing import Any

import pytest

from pacs_sdk.core.results import Failure, Success
from pacs_sdk.network.dimse import CEchoRSP, Status
from tests.network.pool_fakes import BROKEN
from tests.network.pool_setup import setup


@pytest.mark.parametrize(("idle_s", "echoes"), [(0.0, 0), (9.9, 0), (10.0, 1), (50.0, 1)])
def test_an_association_that_was_idle_for_long_is_asked(idle_s: float, echoes: int) -> None:
    """By C-ECHO; one that has just been used is not, because that costs a round trip."""
    with setup(check_after_s=10.0) as made:
        association = made.idle()
        made.clock.advance(idle_s)
        with made.acquire() as same:
            assert same is association
            assert association.echoes == echoes
        made.counts(created=1, reused=1, checked=echoes, failed_checks=0)


@pytest.mark.parametrize(
    "answer",
    [Failure(BROKEN), Success(CEchoRSP(7, Status.PROCESSING_FAILURE))],
    ids=["no answer", "another status"],
)
def test_an_association_that_does_not_answer_is_replaced(answer: Any) -> None:
    """The user gets a new one and notices nothing."""
    with setup(check_after_s=10.0, max_per_peer=1) as made:
        dead = made.idle()
        dead.answer = answer
        made.clock.advance(10)
        pooled = made.acquire()
        assert not pooled.is_reused
        assert pooled.association is not dead
        assert dead.ended == "aborted"
        made.counts(created=2, reused=0, checked=1, failed_checks=1)
        pooled.give_back()


def test_an_association_that_the_peer_closed_is_replaced_without_a_question() -> None:
    """A look at the socket shows it, however short it was idle."""
    with setup(max_per_peer=1) as made:
        dead = made.idle()
        dead.is_quiet = False
        with made.acquire() as association:
            assert association is not dead
        assert (dead.ended, dead.echoes) == ("released", 0)
        made.counts(created=2, reused=0, checked=0, failed_checks=1)
        assert made.logger.named("pool-association-dead", peer_host="archive")


def test_without_a_verification_context_the_look_must_do() -> None:
    """A peer that refused it cannot be asked."""
    with setup(check_after_s=10.0) as made:
        made.network.refuses_verification = True
        association = made.idle()
        made.clock.advance(50)
        with made.acquire() as same:
            assert same is association
        made.counts(checked=0, reused=1)


def test_a_bug_in_a_check_closes_the_association_and_frees_its_place() -> None:
    """It stays an exception, but nothing leaks."""
    with setup(max_per_peer=1) as made:
        association = made.idle()

        def crash(name: str) -> None:
            if name == "is_alive":
                raise ZeroDivisionError

        made.network.on_call = crash
        with pytest.raises(ZeroDivisionError):
            made.acquire()
        assert association.ended == "aborted"
        made.counts(in_use=0, idle=0)
        made.network.on_call = None
        made.idle()

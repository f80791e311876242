"""What may pass is tried again, with longer and longer waits; nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success
from pacs_sdk.network import Peer, RetryPolicy, ServerConfig, connect, retried
from pacs_sdk.network.retries import may_pass
from tests.network.servers import CONTEXTS, EchoService, serving

UNREACHABLE = PacsError(ErrorCode.CONNECTION_FAILED, "nobody listens there")


def after(failures: int, error: PacsError = UNREACHABLE) -> Callable[[], PacsResult[int]]:
    """Make something that fails so often before it succeeds with the number of calls."""
    calls = 0

    def attempt() -> PacsResult[int]:
        nonlocal calls
        calls += 1
        return Failure(error) if calls <= failures else Success(calls)

    return attempt


@pytest.mark.parametrize("failures", [0, 1, 4])
def test_it_is_tried_until_it_succeeds(failures: int) -> None:
    """Each wait is twice the one before, up to the longest."""
    waits: list[float] = []
    policy = RetryPolicy(attempts=5, first_delay_s=1, max_delay_s=3)
    assert retried(after(failures), policy, pause=waits.append) == Success(failures + 1)
    assert waits == [1, 2, 3, 3][:failures]


def test_the_last_failure_is_given_back() -> None:
    """Once there are no attempts left."""
    waits: list[float] = []
    result = retried(after(99), RetryPolicy(attempts=3), pause=waits.append)
    assert result == Failure(UNREACHABLE)
    assert len(waits) == 2


def test_a_program_that_ends_does_not_wait_on() -> None:
    """A pause that returns something true gives up."""
    assert retried(after(1), pause=lambda _: True) == Failure(UNREACHABLE)


def test_one_attempt_never_waits() -> None:
    """The policy that does not try again."""
    result = retried(after(1), RetryPolicy(attempts=1), pause=lambda _: pytest.fail("waited"))
    assert result == Failure(UNREACHABLE)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (ErrorCode.CONNECTION_FAILED, True),
        (ErrorCode.NETWORK_TIMEOUT, True),
        (ErrorCode.ASSOCIATION_ABORTED, False),
        (ErrorCode.TLS_HANDSHAKE_FAILED, False),
        (ErrorCode.INVALID_ARGUMENT, False),
    ],
)
def test_what_may_pass(code: ErrorCode, expected: bool) -> None:
    """What is wrong on our side is wrong the next time, too."""
    assert may_pass(PacsError(code, "words")) is expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [(ServerConfig(max_associations=0), True), (ServerConfig(calling_ae_titles=["X"]), False)],
)
def test_a_rejection_may_pass_if_the_peer_says_so(config: ServerConfig, expected: bool) -> None:
    """Rejected-transient: there are too many associations just now (PS3.8 Table 9-21)."""
    with serving(EchoService(), config=config) as server:
        failure = connect(Peer("127.0.0.1", server.port), "TESTER", CONTEXTS).failure()
    assert failure.code is ErrorCode.ASSOCIATION_REJECTED
    assert may_pass(failure) is expected


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first_delay_s": -1}, {"max_delay_s": -1}])
def test_a_policy_that_cannot_be(wrong: dict[str, int]) -> None:
    """It is refused where it is made."""
    with pytest.raises(PacsException, match="at least one attempt"):
        RetryPolicy(**wrong)

"""Trying again, when what went wrong may pass by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, PacsResult
from pacs_sdk.network.pdu import RejectResult

__all__ = ["RetryPolicy", "may_pass", "retried"]

_T = TypeVar("_T")

_MAY_PASS: Final = frozenset((ErrorCode.CONNECTION_FAILED, ErrorCode.NETWORK_TIMEOUT))


@attrs.frozen
class RetryPolicy:
    """How often something is tried, and how long is waited in between."""

    attempts: int = 4
    """How often in all; 1 does not try again."""
    first_delay_s: float = 0.5
    """The first wait; each further one is twice as long."""
    max_delay_s: float = 30.0
    """No wait is longer."""

    def __attrs_post_init__(self) -> None:
        if self.attempts < 1 or self.first_delay_s < 0 or self.max_delay_s < 0:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                "a retry policy has at least one attempt, and waits that are not negative",
            )

    def delays(self) -> Iterator[float]:
        """Yield the waits between the attempts, in seconds."""
        delay_s = min(self.first_delay_s, self.max_delay_s)
        for _ in range(self.attempts - 1):
            yield delay_s
            delay_s = min(2 * delay_s, self.max_delay_s)


def may_pass(error: PacsError) -> bool:
    """Whether the same call may succeed a little later.

    So it is with a peer that cannot be reached or does not answer, and with one that rejects
    an association for now (PS3.8 9.3.4, rejected-transient). What it rejects for good, and
    what is wrong on our side, is wrong the next time, too.
    """
    if error.code is ErrorCode.ASSOCIATION_REJECTED:
        return error.details.get("result") == RejectResult.REJECTED_TRANSIENT
    return error.code in _MAY_PASS


def retried(
    attempt: Callable[[], PacsResult[_T]],
    policy: RetryPolicy | None = None,
    *,
    pause: Callable[[float], object] | None = None,
) -> PacsResult[_T]:
    """Call something until it succeeds, or there is no sense in trying again.

    ``retried(lambda: connect(peer, "US", contexts), RetryPolicy(attempts=5))``

    Args:
        attempt: What to call, such as :func:`pacs_sdk.network.connect` with its arguments.
        policy: How often, and with which waits.
        pause: Waits so many seconds, and returns something true to give up: the ``wait`` of a
            ``threading.Event`` that a program sets when it ends.

    Returns:
        ``Success``, or the last ``Failure``.
    """
    wait = threading.Event().wait if pause is None else pause
    result = attempt()
    for delay_s in (policy or RetryPolicy()).delays():
        if not (isinstance(result, Failure) and may_pass(result.failure())) or wait(delay_s):
            break
        result = attempt()
    return result

"""What is worth another attempt, and how long to wait for it."""

from __future__ import annotations

import threading
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.network import RetryPolicy
from pacs_sdk.network.dimse import Status
from pacs_sdk.network.retries import may_pass

__all__ = ["CANCELLED", "Attempts", "is_worth_another", "status_may_pass"]

CANCELLED: Final = PacsError(ErrorCode.CANCELLED, "sending was stopped before it was its turn")
"""What becomes of an instance that was not sent because the program wanted to end."""

_OUT_OF_RESOURCES: Final = range(0xA700, 0xA800)
_MAY_PASS: Final = frozenset((Status.RESOURCE_LIMITATION, Status.PROCESSING_FAILURE))


def status_may_pass(status: int) -> bool:
    """Tell whether the peer may take an instance a little later that it refuses now."""
    return status in _OUT_OF_RESOURCES or status in _MAY_PASS


def is_worth_another(error: PacsError) -> bool:
    """Tell whether sending again may help: as everywhere, and after a lost association, too.

    To send an instance a second time is harmless.
    """
    return may_pass(error) or error.code is ErrorCode.ASSOCIATION_ABORTED


class Attempts:
    """Counts associations that came to nothing, one after the other.

    Args:
        policy: How many there may be.
        stop: Set to end the waiting.
    """

    def __init__(self, policy: RetryPolicy, stop: threading.Event) -> None:
        self._delays = tuple(policy.delays())
        self._stop = stop
        self._failed = 0

    def succeeded(self) -> None:
        """Note that the peer has answered something."""
        self._failed = 0

    def failed(self, error: PacsError) -> None:
        """Wait before another association, unless there is no sense in one.

        Raises:
            PacsException: The error, or ``CANCELLED``.
        """
        self._failed += 1
        if not is_worth_another(error) or self._failed > len(self._delays):
            raise PacsException.of(error)
        if self._stop.wait(self._delays[self._failed - 1]):
            raise PacsException.of(CANCELLED)

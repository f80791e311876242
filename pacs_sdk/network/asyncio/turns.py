"""What a worker thread does with one association before it turns to the next."""

from __future__ import annotations

import enum
from typing import Final

from pacs_sdk.core.ports import Clock
from pacs_sdk.network.asyncio.work_pool import WorkPool
from pacs_sdk.network.connection.session import ServerSession

__all__ = ["Outcome", "Turns"]

MESSAGE_LINGER_S: Final = 0.02
"""How long a worker waits itself for the rest of a message before it gives the connection back
to the loop: a hand-over costs more than most peers take."""
LINGER_S: Final = 0.002
"""The same for the request that follows an answer, and for all while others wait for a worker."""
READS_A_TURN: Final = 256
"""How often a worker reads from one peer before it looks at deadlines, some 30 MB of images."""
TURN_S: Final = 0.05
"""How long a worker serves one peer while others wait: much longer than a hand-over takes."""


class Outcome(enum.Enum):
    """How a turn has ended."""

    WAIT = enum.auto()
    """The peer has nothing to say: the loop waits for it."""
    AGAIN = enum.auto()
    """It was others' turn. The peer may have more to say, or have ended: what is read already,
    above all a close_notify of TLS, is nothing that a wait for the socket would show."""
    OVER = enum.auto()
    """The connection is closed."""


class Turns:
    """Serves one association by turns.

    Args:
        session: What serves it.
        pool: Whose threads do, and where others may wait for one.
        clock: The time.
    """

    def __init__(self, session: ServerSession, pool: WorkPool, clock: Clock) -> None:
        self._session, self._pool, self._clock = session, pool, clock

    def go_on(self) -> Outcome:
        """Read and act until the peer has nothing to say, or others' turn has come."""
        session, pool = self._session, self._pool
        ends = self._clock.monotonic() + TURN_S
        linger_s, left = 0.0, READS_A_TURN
        while session.read(linger_s):
            if not session.proceed():
                return Outcome.OVER
            left -= 1
            is_wanted = pool.is_wanted
            if not left or (is_wanted and self._clock.monotonic() >= ends):
                return Outcome.AGAIN
            has_time = session.message_has_begun and not is_wanted
            linger_s = MESSAGE_LINGER_S if has_time else LINGER_S
        return Outcome.WAIT

    def time_up(self) -> Outcome:
        """Act on the deadline, which has passed."""
        self._session.time_up()
        return self._proceed()

    def stop(self) -> Outcome:
        """End the association because the server stops.

        What came before the stop is read first, and a message that has begun is finished: the
        session asks again after it.
        """
        outcome = self.go_on()
        if outcome is Outcome.OVER or self._session.message_has_begun:
            return outcome
        self._session.stop()
        return self._proceed()

    def _proceed(self) -> Outcome:
        return Outcome.WAIT if self._session.proceed() else Outcome.OVER

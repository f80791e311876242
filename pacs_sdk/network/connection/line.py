"""The line under an association: read once, act on what came, send what is to be said.

It feeds the engine with what the socket brings, sends what the engine wants sent, puts
fragments together into whole messages, and keeps the engine's deadline and the reason why it
all ended. What is done with that is up to
:class:`~pacs_sdk.network.connection.association.SocketAssociation`.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Final, TypeVar

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import Clock, Logger
from pacs_sdk.network.connection.inbox import Inbox
from pacs_sdk.network.connection.options import AssociationOptions
from pacs_sdk.network.connection.tls_transport import TlsRefusal
from pacs_sdk.network.connection.transport import Transport, WokenUp
from pacs_sdk.network.connection.waits import Waits, after, earlier
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.indications import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    CommandReceived,
    DataReceived,
    EngineEvent,
    ReleaseConfirmed,
    ReleaseRequested,
    TransportClosed,
)
from pacs_sdk.network.pdu import AAssociateRQ
from pacs_sdk.network.state_table import State

__all__ = ["LINGER_S", "AssociationLine"]

_T = TypeVar("_T")

_READS_OF_A_DATA_SET: Final = 40
"""How often is read at once what is there of one data set, first to fill a buffer, then to fill
it again; then deadlines are looked at. So many records of TLS, of 16 KiB, fill one."""

LINGER_S: Final = 0.25
"""How long the local side waits for the peer to close after an abort of its own."""


class AssociationLine:
    """Drives one engine over one connection, a step at a time.

    Args:
        transport: The connection; it is owned from now on.
        engine: The upper layer of this side.
        clock: The time.
        logger: Where events are recorded.
        options: Limits, and where bytes go.
    """

    def __init__(
        self,
        transport: Transport,
        engine: AssociationEngine,
        clock: Clock,
        logger: Logger,
        options: AssociationOptions,
    ) -> None:
        self.engine = engine
        self.logger = logger
        self.is_busy = False
        """Whether a request is being carried out, which a stop lets finish."""
        self._transport = transport
        self._clock = clock
        self._send_timeout_s = options.send_timeout_s
        self._buffers = options.buffers
        self._message_timeout_s = options.message_timeout_s
        self._command_timeout_s = options.command_timeout_s
        self._is_alone = options.is_alone
        self._patience_s: float | None = None
        self._reads = 0
        self._read_failure: OSError | None = None
        self._unfinished_since: float | None = None
        self._inbox = Inbox(options.open_sink, options.max_dataset_bytes)
        self._request_received: AAssociateRQ | None = None
        self._release_requested = False
        self._end: PacsError | None = None
        self._drain_deadline: float | None = None
        self._is_draining = False
        self._is_drained = False

    @property
    def artim_deadline(self) -> float | None:
        """When the engine wants to be told the time; never while the end is waited for."""
        return None if self._is_draining else self.engine.deadline

    @property
    def end_reason(self) -> PacsError | None:
        """Why the association ended; ``None`` while it lasts."""
        return self._end

    def _check_alive(self) -> None:
        if self._end is not None:
            raise PacsException.of(self._end)

    def _lost(self, exc: OSError) -> PacsException:
        """Note that the connection broke, unless a better reason is known already."""
        if self._end is None:
            if isinstance(exc, TlsRefusal) and self.engine.answer is None:
                self._end = PacsError(
                    ErrorCode.TLS_HANDSHAKE_FAILED, str(exc), {"cause": exc.cause.value}
                )
            else:
                self._end = self._ended(f"the connection to the peer was lost: {exc}")
        return PacsException.of(self._end)

    def _ended(self, words: str) -> PacsError:
        """Make the reason of an end of the connection, unless it was broken off here."""
        return PacsError(ErrorCode.ASSOCIATION_ABORTED, self._transport.broken_off or words)

    def flush(self) -> None:
        """Send what the engine has to say."""
        output = self.engine.take_output()
        if output:
            self._put(output)

    def _put(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Send; where that fails, the association has ended.

        Raises:
            PacsException: Why it has ended.
        """
        try:
            self._transport.send(buffers, self._send_timeout_s)
        except TimeoutError as exc:
            late = PacsError(ErrorCode.NETWORK_TIMEOUT, f"{exc}; connection closed")
            raise PacsException.of(self._closed_within_pdu(late)) from exc
        except OSError as exc:
            if exc.errno == errno.EFAULT:  # what is sent from a mapped file is no longer there
                words = "the data set has become shorter while it was sent; connection closed"
                gone = PacsError(ErrorCode.ASSOCIATION_ABORTED, words)
                raise PacsException.of(self._closed_within_pdu(gone)) from exc
            self._hear_last_words()
            raise self._lost(exc) from exc
        except BaseException:  # Ctrl-C above all
            words = "sending was interrupted; connection closed"
            self._closed_within_pdu(PacsError(ErrorCode.ASSOCIATION_ABORTED, words))
            raise

    def _closed_within_pdu(self, reason: PacsError) -> PacsError:
        """Just close: an A-ABORT behind a half-sent PDU would be taken for its data."""
        self._end = self._end or reason
        self.close()
        return self._end

    def _hear_last_words(self) -> None:
        """Read what the peer sent before the connection broke: it may say why."""
        try:
            while self._end is None:
                count = self._transport.receive_available(self._buffers.view)
                if count is None:
                    return
                self._took(count)
        except ConnectionAbortedError as exc:  # what TLS has to say, which is words
            self._lost(exc)
        except (PacsException, OSError) as exc:
            self.logger.debug("no-last-words", reason=str(exc))

    def _driven(self, waits: Waits[_T]) -> _T:
        """Wait in this thread for what a generator waits for."""
        while True:
            try:
                deadline = next(waits)
            except StopIteration as done:
                result: _T = done.value
                return result
            self.step(deadline)

    def step(self, deadline: float | None) -> None:
        """Wait for bytes once and act on them.

        Args:
            deadline: When waiting is a ``NETWORK_TIMEOUT``; the engine's own deadline
                (ARTIM) is kept besides.
        """
        limit = earlier(deadline, self.artim_deadline)
        timeout_s = None if limit is None else limit - self._clock.monotonic()
        try:
            self.step_within(timeout_s)
        except WokenUp:
            if self._is_draining:
                soon = self._clock.monotonic() + LINGER_S
                self._drain_deadline = earlier(self._drain_deadline, soon)
            elif not self.message_has_begun:
                raise
            self._transport.ignore_wake()  # finish what has begun; the server asks again after it
        except TimeoutError:
            self.time_up(deadline)

    def step_within(self, timeout_s: float | None) -> None:
        """Read once and act on what came.

        Raises:
            TimeoutError: Nothing came within the time.
            WokenUp: The owner stops.
            PacsException: The connection is broken.
        """
        buffer = self._buffers.view
        try:
            if self._read_failure is not None:
                raise self._read_failure
            count = self._transport.receive_soon(buffer) if self._is_alone() else None
            if count is None:
                count = self._transport.receive(buffer, timeout_s)
            left = _READS_OF_A_DATA_SET
            while not self._is_draining:
                is_dry = False
                if count and self._inbox.is_receiving:
                    count, is_dry = self._gathered(buffer, count)
                self._took(count)
                left -= 1
                if is_dry or not (left and count and self._inbox.is_receiving):
                    return
                more = self._transport.receive_available(buffer)
                if more is None:
                    return
                count = more
        except OSError as exc:
            if isinstance(exc, TimeoutError) and exc.errno is None:
                raise  # nothing came; where the system gave the connection up it has a number
            if not self._is_draining:
                raise self._lost(exc) from exc
            count = 0  # a reset ends the wait just as a close does
        self._is_drained = not count

    def _gathered(self, buffer: memoryview, count: int) -> tuple[int, bool]:
        """Read on, behind what was read of a data set: to act on it costs more than to read it.

        Returns:
            How many bytes the buffer holds now, and whether nothing more is there. What broke
            the connection behind them is kept for the next read: they may end a message.
        """
        for _ in range(_READS_OF_A_DATA_SET):
            if count == buffer.nbytes:
                break
            try:
                more = self._transport.receive_available(buffer[count:])
            except OSError as exc:
                self._read_failure = exc
                return count, True
            if not more:  # nothing yet, or the end, which the next read meets again
                return count, more is None
            count += more
        return count, False

    def _took(self, count: int) -> None:
        """Give the engine what was read: ``count`` bytes of the buffer, 0 for the end."""
        self._reads += 1
        if count:
            now = self._clock.monotonic()
            if self._unfinished_since is None:
                self._unfinished_since = now
            events = self.engine.receive(self._buffers.view[:count], now)
        else:
            events = self.engine.transport_closed()
        for event in events:
            self._on_event(event)
        self.flush()
        if not count and self._end is None:
            self._end = self._ended("the peer closed the connection without a word")

    def time_up(self, deadline: float | None) -> None:
        """Act on a time that has passed: the engine's own, or the one that was waited for.

        Raises:
            PacsException: ``NETWORK_TIMEOUT`` where the latter is over; the association has
                been aborted then.
        """
        now = self._clock.monotonic()
        if self._is_draining:
            self._is_drained = deadline is None or now >= deadline
            return
        for event in self.engine.expire(now):
            self._on_event(event)
        if self.engine.closing and self._end is None:
            self._end = PacsError(
                ErrorCode.NETWORK_TIMEOUT,
                "the peer connected but sent no association request in time "
                f"({self.engine.artim_timeout_s:g} s)",
            )
        if deadline is not None and now >= deadline and self._end is None:
            raise PacsException(ErrorCode.NETWORK_TIMEOUT, self._overdue(now))

    def _overdue(self, now: float) -> str:
        if self.engine.state is State.STA5:
            return (
                "it took the connection but did not answer the association request in time; "
                "check that a DICOM application listens there"
            )
        whole_by = self._whole_by
        if whole_by is not None and now >= whole_by:
            return f"the peer took longer than {self._most_for_a_message_s:g} s for a message"
        how_long = "" if self._patience_s is None else f" ({self._patience_s:g} s)"
        return f"the peer sent nothing in time{how_long}; association aborted"

    @property
    def _whole_by(self) -> float | None:
        """Until when the message under way, or its command set, must be there; if there is one."""
        if self._unfinished_since is None:  # at nearly every wait
            return None
        return after(self._unfinished_since, self._most_for_a_message_s)

    @property
    def _most_for_a_message_s(self) -> float | None:
        if self._command_timeout_s is None or self._inbox.is_receiving:
            return self._message_timeout_s
        return self._command_timeout_s

    def _on_event(self, event: EngineEvent) -> None:
        match event:
            case DataReceived():
                self._inbox.add_data(event)
                if event.is_last:
                    self._unfinished_since = None
            case CommandReceived():
                self._inbox.add_command(event)
                if not event.has_dataset:
                    self._unfinished_since = None
            case AssociationRequested():
                self._request_received = event.request
                self._unfinished_since = None
            case ReleaseRequested():
                self._release_requested = True
            case AssociationRejected():
                answer = event.answer
                codes = {"result": int(answer.result), "source": int(answer.source)}
                self._end = PacsError(ErrorCode.ASSOCIATION_REJECTED, answer.explain(), codes)
            case Aborted():
                who = "the peer aborted" if event.by_peer else "aborted here"
                self._end = PacsError(ErrorCode.ASSOCIATION_ABORTED, f"{who}: {event.reason}")
            case TransportClosed():
                self._end = self._ended("the peer closed the connection unannounced")
            case AssociationAccepted():
                self._unfinished_since = None
            case ReleaseConfirmed():
                pass

    @property
    def message_has_begun(self) -> bool:
        """Whether a message is under way, waits to be taken, or is being acted on.

        A stop lets it finish, and all of a command set is needed to know what it is.
        """
        return self.is_busy or self._inbox.is_active or self.engine.is_within_message

    def close(self, reason: PacsError | None = None) -> None:
        """Close the connection and free what was received and not taken.

        Args:
            reason: What an operation after that is told, unless it ended already.
        """
        if self._end is None:
            self._end = reason or PacsError(
                ErrorCode.ASSOCIATION_ABORTED, "the association has ended"
            )
        self._transport.close()
        self._inbox.discard()

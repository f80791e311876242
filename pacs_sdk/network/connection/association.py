"""One association over one socket: the same for both sides and for both drivers.

It feeds the engine with what the socket brings, sends what the engine wants sent,
collects fragments into whole messages, and keeps the engine's deadline. It belongs to
one thread at a time; a second one that uses it gets an error, not a mess.

Whatever waits for the peer is a generator that yields the time until which to wait. A
driver reads once, or learns that time is up, and resumes it: the threaded one in
:meth:`SocketAssociation.step`, which blocks, the asyncio one when its loop says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import Clock, Logger
from pacs_sdk.network.agreement import OperationsWindow, agreed_window
from pacs_sdk.network.connection.line import LINGER_S, AssociationLine
from pacs_sdk.network.connection.options import AssociationOptions
from pacs_sdk.network.connection.tls_transport import TlsTransport
from pacs_sdk.network.connection.transport import Transport
from pacs_sdk.network.connection.waits import Waits, after, earlier
from pacs_sdk.network.dimse import Message, is_request
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.messages import IncomingMessage
from pacs_sdk.network.negotiation import AcceptedContext
from pacs_sdk.network.pdu import AAssociateRQ
from pacs_sdk.network.state_table import State
from pacs_sdk.network.tls import TlsFacts

__all__ = ["SocketAssociation"]

_MAX_WAITING_MESSAGES: Final = 16
"""Messages that may wait while an operation runs. A peer that negotiated no window must
not send any (PS3.7 D.3.3.3); one that floods us is not read until we are done."""

_MOST_PERFORMED: Final = 64
"""Requests that a peer may have outstanding where any number was agreed (0), counted while
responses are waited for: what has come of them lies in memory or on the disk."""


class SocketAssociation(AssociationLine):
    """Drives one engine over one connection.

    Its methods raise inside the layer: ``PacsException`` with ``ASSOCIATION_ABORTED``,
    ``NETWORK_TIMEOUT`` or ``PROTOCOL_MISUSE``. The public edges are the client's
    :class:`~pacs_sdk.network.threaded.DicomAssociation` and the server.
    """

    def __init__(
        self,
        transport: Transport,
        engine: AssociationEngine,
        clock: Clock,
        logger: Logger,
        options: AssociationOptions,
    ) -> None:
        super().__init__(transport, engine, clock, logger, options)
        self._message_id = 0
        self._in_use = threading.Lock()

    # -- establishing ------------------------------------------------------------------

    def requested(self) -> Waits[AAssociateRQ | None]:
        """Wait for the peer's request; ``None`` if it went away or broke the protocol."""
        while self._request_received is None and self._end is None:
            yield None
        return self._request_received if self._end is None else None

    def wait_for_answer(self, timeout_s: float) -> None:
        """Wait until the request is accepted; raise if it is rejected or aborted."""
        deadline = self._clock.monotonic() + timeout_s
        while self.engine.answer is None:
            self._check_alive()
            self.step(deadline)
        self._check_alive()  # an abort may have come right behind the acceptance

    # -- messages ----------------------------------------------------------------------

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the association for one thread while an operation runs."""
        if not self._in_use.acquire(blocking=False):
            raise PacsException(
                ErrorCode.PROTOCOL_MISUSE,
                "an association serves one thread at a time; open another one",
            )
        try:
            yield
        finally:
            self._in_use.release()

    def accepted_contexts(self) -> Sequence[AcceptedContext]:
        """List the presentation contexts that were agreed."""
        return tuple(self.engine.contexts.values())

    @property
    def window(self) -> OperationsWindow:
        """How many operations may be outstanding at a time, in each direction."""
        engine = self.engine
        if engine.request is None or engine.answer is None:
            return OperationsWindow(1, 1)
        return agreed_window(engine.request, engine.answer, is_requestor=engine.is_requestor)

    @property
    def tls_facts(self) -> TlsFacts | None:
        """What was agreed on for TLS; ``None`` in clear."""
        return self._transport.facts if isinstance(self._transport, TlsTransport) else None

    def next_message_id(self) -> int:
        """Return a Message ID that no outstanding request has (PS3.7 9.1)."""
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def send(self, context_id: int, message: Message, data: ByteSource | None = None) -> None:
        """Send a message; the data set goes out from where it lies, uncopied.

        Raises:
            PacsException: What ended the association; or, while it lasts, why the message cannot
                be written: nothing of it has been sent then.
            OSError: The data set cannot be read; nothing has been sent.
        """
        self._check_alive()
        view = None if data is None else data.view()
        batches = self.engine.send_message(context_id, message, view)
        for batch in batches:
            self._put(batch)

    def receive(
        self, timeout_s: float | None, moved_at: Callable[[], float | None] | None = None
    ) -> IncomingMessage | None:
        """Return the next message, or ``None`` once the peer asked for release.

        Args:
            timeout_s: How long the peer may send nothing.
            moved_at: Tells when it last gave another sign of life, if it has any.

        Raises:
            PacsException: ``NETWORK_TIMEOUT`` (the association is aborted then) or
                ``ASSOCIATION_ABORTED``.
            WokenUp: The owner stops, and no message has begun.
        """
        left_s = self._patience_s = timeout_s
        while True:
            try:
                return self._driven(self._awaited(left_s))
            except PacsException as exc:
                if exc.error.code is not ErrorCode.NETWORK_TIMEOUT:
                    raise
                left_s = self._left_s(timeout_s, moved_at)
                if left_s <= 0:
                    self._give_up(exc.error)
                    raise

    def _give_up(self, reason: PacsError) -> None:
        """Abort a peer that takes too long; an operation after that is told why."""
        self._end = self._end or reason
        self.abort()

    def _left_s(
        self, timeout_s: float | None, moved_at: Callable[[], float | None] | None
    ) -> float:
        """Return how much longer to wait for a peer that was silent, but moved elsewhere."""
        now, whole_by = self._clock.monotonic(), self._whole_by
        until = None if moved_at is None else after(moved_at(), timeout_s)
        if until is None or (whole_by is not None and now >= whole_by):
            return 0.0
        return until - now

    def receive_response(self, timeout_s: float | None) -> IncomingMessage | None:
        """Return the next response as :meth:`receive` does, past requests.

        Requests wait for their turn, as many as the peer may send beside the one that is being
        carried out (asynchronous operations window, PS3.7 D.3.3.3). One more is returned.
        """
        try:
            return self._driven(self._awaited_response(timeout_s))
        except PacsException as exc:
            if exc.error.code is ErrorCode.NETWORK_TIMEOUT:
                self._give_up(exc.error)
            raise

    def awaited(self, timeout_s: float | None) -> Waits[IncomingMessage | None]:
        """Wait as :meth:`receive` does.

        Args:
            timeout_s: How long the peer may send nothing.
        """
        self._patience_s = timeout_s
        return self._awaited(timeout_s)

    def _awaited(self, timeout_s: float | None, behind: int = 0) -> Waits[IncomingMessage | None]:
        """Wait for a message.

        Bytes that come begin the time anew, but a message that has begun must be complete
        within ``message_timeout_s``, and its command set within ``command_timeout_s``: a peer that
        sends one byte a minute holds nothing up.

        Args:
            timeout_s: How long the peer may send nothing.
            behind: How many messages to leave waiting, and take the one behind them.
        """
        quiet_since = self._clock.monotonic()
        waiting = self._inbox.waiting
        while len(waiting) <= behind:
            self._check_alive()  # the peer may have hung up right behind its request
            if self._release_requested:
                return None
            reads = self._reads
            yield earlier(after(quiet_since, timeout_s), self._whole_by)
            if self._reads != reads:
                quiet_since = self._clock.monotonic()
                whole_by = self._whole_by
                if len(waiting) <= behind and whole_by is not None and quiet_since >= whole_by:
                    raise PacsException(ErrorCode.NETWORK_TIMEOUT, self._overdue(quiet_since))
        incoming = waiting[behind]
        del waiting[behind]
        return incoming

    def _awaited_response(self, timeout_s: float | None) -> Waits[IncomingMessage | None]:
        self._patience_s = timeout_s
        most = (self.window.performed or _MOST_PERFORMED) - 1
        behind = 0
        while True:
            incoming = yield from self._awaited(timeout_s, behind)
            if incoming is None or behind == most or not is_request(incoming.message):
                return incoming
            self._inbox.waiting.insert(behind, incoming)
            behind += 1

    def is_alive(self) -> bool:
        """Look at the socket without waiting: whether another operation can begin."""
        if not self._in_use.acquire(blocking=False):
            return False  # an operation was not taken to its end
        try:
            if self._end is None:
                try:
                    count = self._transport.receive_available(self._buffers.view)
                    if count is not None:
                        self._took(count)
                except OSError as exc:
                    self._lost(exc)
                except PacsException as exc:
                    self.logger.debug("connection-lost-at-look", reason=exc.error.message)
            return self._end is None and self.engine.is_established and not self._inbox.is_active
        finally:
            self._in_use.release()

    def is_cancelled(self, message_id: int) -> bool:
        """Tell whether the peer has cancelled this operation, without waiting."""
        if (
            message_id not in self._inbox.cancelled
            and self._end is None
            and len(self._inbox.waiting) < _MAX_WAITING_MESSAGES
        ):
            try:
                count = self._transport.receive_available(self._buffers.view)
            except OSError:
                count = 0
            if count is not None:
                self._took(count)
        if self._end is not None:
            return True
        return message_id in self._inbox.cancelled

    # -- ending ------------------------------------------------------------------------

    def release(self, timeout_s: float, reason: PacsError | None = None) -> None:
        """Release the association and close the connection (PS3.8 7.2).

        Args:
            timeout_s: How long the peer may take to agree; it is aborted then.
            reason: What an operation after that is told.
        """
        if self.engine.state is State.STA8:  # the peer was faster
            self.engine.release_response(self._clock.monotonic())
            self.finish()
        elif self.engine.is_established:
            self.engine.release()
            deadline = self._clock.monotonic() + timeout_s
            try:
                self.flush()
                while not self.engine.closing and self._end is None:
                    self.step(deadline)
                    self._inbox.discard()  # nobody takes any more what still comes (PS3.8 AR-6)
                    if self._release_requested and not self.engine.closing:
                        self.engine.release_response(self._clock.monotonic())
                        self._release_requested = False
                        self.flush()
                    self._check_time(deadline)
            except PacsException as exc:
                self.logger.debug("release-not-confirmed", reason=exc.error.message)
                if self._end is None:
                    self._end = reason
                    self.abort()
        self.close(reason)

    def release_answered(self) -> Waits[None]:
        """Agree to the peer's release, then wait for it to close (ARTIM)."""
        self.engine.release_response(self._clock.monotonic())
        self.flush()
        yield from self._drained(None)
        self.close()

    def abort(self) -> None:
        """Abort the association and close the connection."""
        self._driven(self.aborted())

    def break_off(self) -> None:
        """Close the connection from another thread; whoever waits on it fails at once."""
        self._transport.break_off()

    def aborted(self) -> Waits[None]:
        """Abort the association, as :meth:`abort` does."""
        self.engine.abort(self._clock.monotonic())
        yield from self.finished()

    def finish(self) -> None:
        """Send what is left to say, give the peer a moment to read it, and close."""
        self._driven(self.finished())

    def finished(self) -> Waits[None]:
        """End as :meth:`finish` does.

        Closing while bytes of the peer lie unread would make the kernel reset the
        connection, and the peer could lose our A-ABORT or A-ASSOCIATE-RJ.
        """
        try:
            self.flush()
            self._transport.finish_sending()
            yield from self._drained(LINGER_S)
        except (PacsException, OSError) as exc:
            self.logger.debug("connection-lost-at-end", reason=str(exc))
        self.close()

    # -- inside ------------------------------------------------------------------------

    def _check_time(self, deadline: float) -> None:
        """Abandon a release whose time is over, which a peer that goes on sending prolongs."""
        is_over = self.engine.closing or self._end is not None
        if not is_over and self._clock.monotonic() >= deadline:
            raise PacsException(ErrorCode.NETWORK_TIMEOUT, "the peer went on sending instead")

    def _drained(self, limit_s: float | None) -> Waits[None]:
        """Read and ignore until the peer closes or time is up; a stop shortens the wait.

        Args:
            limit_s: How long at most; ``None`` for as long as ARTIM runs.
        """
        self._drain_deadline = (
            self.engine.deadline if limit_s is None else self._clock.monotonic() + limit_s
        )
        self._is_draining = True
        while not (self._is_drained or self.engine.closing):
            yield self._drain_deadline
            if self._drain_deadline is not None and self._clock.monotonic() >= self._drain_deadline:
                return  # a peer that never stops sending doesn't prolong it

"""One association over a blocking driver: the same for both sides.

It feeds the engine with what the socket brings, sends what the engine wants sent,
collects fragments into whole messages, and keeps the engine's deadline. It belongs to
one thread; a second one that uses it at the same time gets an error, not a mess.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import Clock, Logger
from pacs_sdk.network.connection.transport import Transport, WokenUp
from pacs_sdk.network.dimse import CCancelRQ, Message, Request
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
from pacs_sdk.network.messages import IncomingMessage
from pacs_sdk.network.negotiation import AcceptedContext
from pacs_sdk.network.pdu import AAssociateRQ
from pacs_sdk.network.sink import DataSink, SpoolingSink
from pacs_sdk.network.state_table import State

__all__ = ["SinkFactory", "SocketAssociation"]

RECEIVE_BUFFER_BYTES: Final = 1 << 18
"""One read takes up to this much: two P-DATA-TF of the length we ask for."""

_LINGER_S: Final = 0.25
"""How long the local side waits for the peer to close after an abort of its own."""

_MAX_WAITING_MESSAGES: Final = 16
"""Messages that may wait while an operation runs. A peer that negotiated no window must
not send any (PS3.7 D.3.3.3); one that floods us is not read until we are done."""


SinkFactory = Callable[[AcceptedContext, Message], DataSink]
"""Opens the sink for the data set of a message whose command has arrived."""


def _default_sink(context: AcceptedContext, message: Message) -> DataSink:
    return SpoolingSink()


class SocketAssociation:
    """Drives one engine over one connection.

    Its methods raise inside the layer: ``PacsException`` with ``ASSOCIATION_ABORTED``,
    ``NETWORK_TIMEOUT`` or ``PROTOCOL_MISUSE``. The public edges are the client's
    :class:`~pacs_sdk.network.threaded.client.DicomAssociation` and the server.
    """

    def __init__(
        self,
        transport: Transport,
        engine: AssociationEngine,
        clock: Clock,
        logger: Logger,
        *,
        send_timeout_s: float,
        open_sink: SinkFactory = _default_sink,
    ) -> None:
        self.engine = engine
        self.logger = logger
        self.is_busy = False
        """Whether a request is being carried out, which a stop lets finish."""
        self._transport = transport
        self._clock = clock
        self._send_timeout_s = send_timeout_s
        self._open_sink = open_sink
        self._buffer = memoryview(bytearray(RECEIVE_BUFFER_BYTES))
        self._inbox: deque[IncomingMessage] = deque()
        self._begun: CommandReceived | None = None
        self._sink: DataSink | None = None
        self._sink_failure: PacsError | None = None
        self._cancelled: set[int] = set()
        self._request_received: AAssociateRQ | None = None
        self._release_requested = False
        self._end: PacsError | None = None
        self._message_id = 0
        self._in_use = threading.Lock()

    # -- establishing ------------------------------------------------------------------

    def wait_for_request(self) -> AAssociateRQ | None:
        """Wait for the peer's request; ``None`` if it went away or broke the protocol."""
        while self._request_received is None and self._end is None:
            self._step(None)
        return self._request_received if self._end is None else None

    def wait_for_answer(self, timeout_s: float) -> None:
        """Wait until the request is accepted; raise if it is rejected or aborted."""
        deadline = self._clock.monotonic() + timeout_s
        while self.engine.answer is None:
            self._check_alive()
            self._step(deadline)
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

    def next_message_id(self) -> int:
        """Return a Message ID that no outstanding request has (PS3.7 9.1)."""
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def send(self, context_id: int, message: Message, data: ByteSource | None = None) -> None:
        """Send a message; the data set goes out from where it lies, uncopied."""
        self._check_alive()
        view = None if data is None else data.view()
        try:
            for batch in self.engine.send_message(context_id, message, view):
                self._transport.send(batch, self._send_timeout_s)
        except TimeoutError as exc:
            # An A-ABORT behind a half-sent PDU would be taken for its data: just close.
            self._end = PacsError(ErrorCode.NETWORK_TIMEOUT, f"{exc}; connection closed")
            self.close()
            raise PacsException.of(self._end) from exc
        except OSError as exc:
            self._hear_last_words()
            raise self._lost(exc) from exc

    def receive(self, timeout_s: float | None) -> IncomingMessage | None:
        """Return the next message, or ``None`` once the peer asked for release.

        Raises:
            PacsException: ``NETWORK_TIMEOUT`` (the association is aborted then) or
                ``ASSOCIATION_ABORTED``.
            WokenUp: The owner stops, and no message has begun.
        """
        deadline = None if timeout_s is None else self._clock.monotonic() + timeout_s
        while not self._inbox:
            if self._release_requested:
                return None
            self._check_alive()
            received_any = self._step(deadline)
            if received_any and timeout_s is not None:
                deadline = self._clock.monotonic() + timeout_s
        return self._inbox.popleft()

    def is_cancelled(self, message_id: int) -> bool:
        """Tell whether the peer has cancelled this operation, without waiting."""
        if (
            message_id not in self._cancelled
            and self._end is None
            and len(self._inbox) < _MAX_WAITING_MESSAGES
        ):
            try:
                count = self._transport.receive_available(self._buffer)
            except OSError:
                count = 0
            if count is not None:
                self._took(count)
        if self._end is not None:
            return True
        return message_id in self._cancelled

    # -- ending ------------------------------------------------------------------------

    def release(self, timeout_s: float) -> None:
        """Release the association and close the connection (PS3.8 7.2)."""
        if self.engine.state is State.STA8:  # the peer was faster
            self.engine.release_response(self._clock.monotonic())
            self.finish()
        elif self.engine.is_established:
            self.engine.release()
            deadline = self._clock.monotonic() + timeout_s
            try:
                self.flush()
                while not self.engine.closing and self._end is None:
                    self._step(deadline)
                    if self._release_requested and not self.engine.closing:
                        self.engine.release_response(self._clock.monotonic())
                        self._release_requested = False
                        self.flush()
            except PacsException as exc:
                self.logger.debug("release-not-confirmed", reason=exc.error.message)
        self.close()

    def respond_to_release(self) -> None:
        """Agree to the peer's release, then wait for it to close (ARTIM)."""
        self.engine.release_response(self._clock.monotonic())
        self.flush()
        self._drain(None)
        self.close()

    def abort(self) -> None:
        """Abort the association and close the connection."""
        self.engine.abort(self._clock.monotonic())
        self.finish()

    def finish(self) -> None:
        """Send what is left to say, give the peer a moment to read it, and close.

        Closing while bytes of the peer lie unread would make the kernel reset the
        connection, and the peer could lose our A-ABORT or A-ASSOCIATE-RJ.
        """
        try:
            self.flush()
            self._transport.finish_sending()
            self._drain(_LINGER_S)
        except (PacsException, OSError) as exc:
            self.logger.debug("connection-lost-at-end", reason=str(exc))
        self.close()

    def close(self) -> None:
        """Close the connection and free what was received and not taken."""
        if self._end is None:
            self._end = PacsError(ErrorCode.ASSOCIATION_ABORTED, "the association has ended")
        self._transport.close()
        self._drop_data()
        while self._inbox:
            self._inbox.popleft().discard()

    # -- inside ------------------------------------------------------------------------

    @property
    def message_has_begun(self) -> bool:
        """Whether a message is under way, waits to be taken, or is being acted on."""
        return self.is_busy or self._begun is not None or bool(self._inbox)

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
            self._end = PacsError(
                ErrorCode.ASSOCIATION_ABORTED, f"the connection to the peer was lost: {exc}"
            )
        return PacsException.of(self._end)

    def _hear_last_words(self) -> None:
        """Read what the peer sent before the connection broke: it may say why."""
        try:
            while self._end is None:
                count = self._transport.receive_available(self._buffer)
                if count is None:
                    return
                self._took(count)
        except (PacsException, OSError) as exc:
            self.logger.debug("no-last-words", reason=str(exc))

    def flush(self) -> None:
        """Send what the engine has to say."""
        output = self.engine.take_output()
        if output:
            try:
                self._transport.send(output, self._send_timeout_s)
            except OSError as exc:
                raise self._lost(exc) from exc

    def _step(self, deadline: float | None) -> bool:
        """Wait for bytes once and act on them; tell whether any came.

        Args:
            deadline: When waiting is a ``NETWORK_TIMEOUT``; the engine's own deadline
                (ARTIM) is kept besides.
        """
        limits = [limit for limit in (deadline, self.engine.deadline) if limit is not None]
        timeout_s = min(limits) - self._clock.monotonic() if limits else None
        try:
            count = self._transport.receive(self._buffer, timeout_s)
        except WokenUp:
            if not self.message_has_begun:
                raise
            self._transport.ignore_wake()  # finish what has begun; the server asks again after it
            return True
        except TimeoutError:
            return self._timed_out(deadline)
        except OSError as exc:
            raise self._lost(exc) from exc
        self._took(count)
        return count > 0

    def _took(self, count: int) -> None:
        """Give the engine what was read: ``count`` bytes of the buffer, 0 for the end."""
        if count:
            events = self.engine.receive(self._buffer[:count], self._clock.monotonic())
        else:
            events = self.engine.transport_closed()
        for event in events:
            self._on_event(event)
        self.flush()
        if not count and self._end is None:
            self._end = PacsError(
                ErrorCode.ASSOCIATION_ABORTED, "the peer closed the connection without a word"
            )

    def _timed_out(self, deadline: float | None) -> bool:
        now = self._clock.monotonic()
        for event in self.engine.expire(now):
            self._on_event(event)
        if self.engine.closing and self._end is None:
            self._end = PacsError(
                ErrorCode.NETWORK_TIMEOUT, "the peer connected but sent no association request"
            )
        if deadline is not None and now >= deadline and self._end is None:
            words = (
                "it took the connection but did not answer the association request in time; "
                "check that a DICOM application listens there"
                if self.engine.state is State.STA5
                else "the peer sent nothing in time; association aborted"
            )
            self.abort()
            raise PacsException(ErrorCode.NETWORK_TIMEOUT, words)
        return False

    def _drain(self, limit_s: float | None) -> None:
        """Read and ignore until the peer closes or time is up; a stop shortens the wait.

        Args:
            limit_s: How long at most; ``None`` for as long as ARTIM runs.
        """
        now = self._clock.monotonic()
        deadline = self.engine.deadline if limit_s is None else now + limit_s
        while not self.engine.closing and (deadline is None or now < deadline):
            left_s = None if deadline is None else deadline - now
            try:
                if not self._transport.receive(self._buffer, left_s):
                    return
            except WokenUp:
                self._transport.ignore_wake()
                soon = now + _LINGER_S
                deadline = soon if deadline is None else min(deadline, soon)
            except OSError:
                return  # a reset or a timeout ends the wait just as a close does
            now = self._clock.monotonic()

    def _on_event(self, event: EngineEvent) -> None:
        match event:
            case DataReceived():
                self._on_data(event)
            case CommandReceived():
                self._on_command(event)
            case AssociationRequested():
                self._request_received = event.request
            case ReleaseRequested():
                self._release_requested = True
            case AssociationRejected():
                self._end = PacsError(ErrorCode.ASSOCIATION_REJECTED, event.answer.explain())
            case Aborted():
                who = "the peer aborted" if event.by_peer else "aborted here"
                self._end = PacsError(ErrorCode.ASSOCIATION_ABORTED, f"{who}: {event.reason}")
            case TransportClosed():
                self._end = PacsError(
                    ErrorCode.ASSOCIATION_ABORTED, "the peer closed the connection unannounced"
                )
            case AssociationAccepted() | ReleaseConfirmed():
                pass

    def _on_command(self, event: CommandReceived) -> None:
        message = event.message
        if isinstance(message, Request):
            # A cancel that crossed the final response of an earlier operation must not
            # end this one: many peers use the same Message ID again and again.
            self._cancelled.discard(message.message_id)
        if event.has_dataset:
            self._begun = event
            self._open_message(event)
        elif isinstance(message, CCancelRQ):
            self._cancelled.add(message.message_id_being_responded_to)
        else:
            self._inbox.append(IncomingMessage(event.context, message, None, None, None))

    def _open_message(self, command: CommandReceived) -> None:
        self._sink_failure = None
        try:
            self._sink = self._open_sink(command.context, command.message)
        except (PacsException, OSError) as exc:
            self._keep_failure(exc)

    def _on_data(self, event: DataReceived) -> None:
        if self._sink is not None:
            try:
                self._sink.write(event.data)
            except (PacsException, OSError) as exc:
                self._keep_failure(exc)
        if event.is_last:
            self._end_message()

    def _keep_failure(self, exc: PacsException | OSError) -> None:
        """Remember why the data set is lost; the rest of it is read and dropped."""
        self._drop_data()
        self._sink_failure = (
            exc.error
            if isinstance(exc, PacsException)
            else PacsError(ErrorCode.STORE_OUT_OF_RESOURCES, f"the data set cannot be kept: {exc}")
        )

    def _end_message(self) -> None:
        begun, self._begun = self._begun, None
        sink, self._sink = self._sink, None
        if begun is None:
            raise PacsException(ErrorCode.INTERNAL, "a data set ended that never began")
        data = None
        if sink is not None:
            self._sink = sink  # so that a failure frees it
            try:
                data = sink.finish()
            except (PacsException, OSError) as exc:
                self._keep_failure(exc)
                sink = None
            self._sink = None
        self._inbox.append(
            IncomingMessage(begun.context, begun.message, data, self._sink_failure, sink)
        )

    def _drop_data(self) -> None:
        if self._sink is not None:
            self._sink.discard()
            self._sink = None

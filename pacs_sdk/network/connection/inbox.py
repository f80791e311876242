"""Messages from the peer, put together from what the engine reports."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.network.dimse import (
    RESPONSE_BIT,
    CCancelRQ,
    CommandField,
    CStoreRQ,
    Message,
    is_request,
)
from pacs_sdk.network.indications import CommandReceived, DataReceived
from pacs_sdk.network.messages import IncomingMessage
from pacs_sdk.network.negotiation import AcceptedContext
from pacs_sdk.network.sink import DEFAULT_MAX_DATASET_BYTES, DataSink, SpoolingSink

__all__ = ["LONGEST_IDENTIFIER_BYTES", "Inbox", "SinkFactory"]

LONGEST_IDENTIFIER_BYTES: Final = 64 << 20
"""What is kept of the data set of a C- message that brings no instance: four times the longest
that is decoded. A peer that was asked a question could otherwise fill the disk of who asked it."""

SinkFactory = Callable[[AcceptedContext, Message], DataSink]
"""Opens the sink for the data set of a message whose command has arrived."""


def default_sink(context: AcceptedContext, message: Message) -> DataSink:
    """Keep a data set in memory, or in the system's temporary folder if it is long."""
    return SpoolingSink()


class Inbox:
    """Collects messages; what a C-CANCEL asks for is noted apart, nothing answers it.

    Args:
        open_sink: Opens what takes a data set piece by piece.
        max_dataset_bytes: Longer data sets are not kept.
    """

    def __init__(
        self,
        open_sink: SinkFactory = default_sink,
        max_dataset_bytes: int = DEFAULT_MAX_DATASET_BYTES,
    ) -> None:
        self.waiting: deque[IncomingMessage] = deque()
        """Whole messages that nobody has taken yet."""
        self.cancelled: set[int] = set()
        """Message IDs of operations that the peer cancelled."""
        self._open_sink = open_sink
        self._max_dataset_bytes = max_dataset_bytes
        self._size = self._most = 0
        self._begun: CommandReceived | None = None
        self._sink: DataSink | None = None
        self._write_pieces: Callable[[Sequence[memoryview]], None] | None = None
        self._sink_failure: PacsError | None = None

    @property
    def is_active(self) -> bool:
        """Whether a message waits, or its data set is still to come."""
        return self._begun is not None or bool(self.waiting)

    @property
    def is_receiving(self) -> bool:
        """Whether the rest of a data set is still to come."""
        return self._begun is not None

    def discard(self) -> None:
        """Free what was received and not taken."""
        self._drop_data()
        while self.waiting:
            self.waiting.popleft().discard()

    def add_command(self, event: CommandReceived) -> None:
        """Take a command set; unless a data set follows, the message is whole."""
        message = event.message
        if is_request(message):
            # A cancel that crossed the final response of an earlier operation must not
            # end this one: many peers use the same Message ID again and again.
            self.cancelled.discard(message.message_id)
        if event.has_dataset:
            self._begun = event
            self._open_message(event)
        elif isinstance(message, CCancelRQ):
            self.cancelled.add(message.message_id_being_responded_to)
        else:
            self.waiting.append(IncomingMessage(event.context, message, None, None, None))

    def _open_message(self, command: CommandReceived) -> None:
        self._sink_failure, self._size, self._most = None, 0, self._max_dataset_bytes
        if _brings_identifier(command.message):
            self._most = min(self._most, LONGEST_IDENTIFIER_BYTES)
        try:
            sink = self._sink = self._open_sink(command.context, command.message)
            self._write_pieces = getattr(sink, "write_pieces", None)
        except (PacsException, OSError) as exc:
            self._keep_failure(exc)

    def add_data(self, event: DataReceived) -> None:
        """Take pieces of the data set."""
        sink = self._sink
        if sink is not None:
            try:
                self._size += sum(map(len, event.pieces))
                if self._size > self._most:
                    raise PacsException(
                        ErrorCode.LIMIT_EXCEEDED,
                        f"the data set is longer than the {self._most} bytes allowed",
                    )
                if self._write_pieces is not None:
                    self._write_pieces(event.pieces)
                else:
                    for piece in event.pieces:
                        sink.write(piece)
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
        self.waiting.append(
            IncomingMessage(begun.context, begun.message, data, self._sink_failure, sink)
        )

    def _drop_data(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.discard()


def _brings_identifier(message: Message) -> bool:
    """Tell whether the data set of a message describes instances, and is none (PS3.7 9.3)."""
    if isinstance(message, CStoreRQ):
        return False
    return message.command_field & ~RESPONSE_BIT < CommandField.N_EVENT_REPORT_RQ

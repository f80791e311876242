"""The upper layer as a machine without I/O (PS3.8).

:class:`AssociationEngine` takes the bytes that arrived, the local user's primitives
and the current time; it gives back events, the bytes to send, whether to close the
transport connection, and the next deadline. It imports no socket, thread, loop or
clock, so two of them can be joined in memory, and every driver behaves the same.

What happens when is decided by PS3.8 Table 9-10 alone (``state_table``): each input
becomes one of its events, the table names the action, and :class:`StateMachine`
carries it out. This module turns inputs into events.

Data of a P-DATA-TF is handed on as it arrives, in views of the caller's buffer: an
event is valid until the next call of :meth:`AssociationEngine.receive`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.agreement import Acceptance
from pacs_sdk.network.dimse import Message
from pacs_sdk.network.indications import EngineEvent
from pacs_sdk.network.pdata import MessageAssembler, fragment_length, fragments
from pacs_sdk.network.pdu import AAssociateRJ, AAssociateRQ, AbortReason, Pdu, PduType
from pacs_sdk.network.pdu_codec import decode_pdu, encode_pdu
from pacs_sdk.network.pdu_stream import PduStream
from pacs_sdk.network.state_machine import StateMachine
from pacs_sdk.network.state_table import TABLE, Action, Event, State

__all__ = ["ARTIM_TIMEOUT_S", "AssociationEngine"]

ARTIM_TIMEOUT_S: Final = 30.0
"""How long ARTIM waits for a request, or for the peer to close (PS3.8 9.1.5)."""

_EVENT_OF_PDU: Final = {
    PduType.A_ASSOCIATE_AC: Event.EVT3,
    PduType.A_ASSOCIATE_RJ: Event.EVT4,
    PduType.A_ASSOCIATE_RQ: Event.EVT6,
    PduType.A_RELEASE_RQ: Event.EVT12,
    PduType.A_RELEASE_RP: Event.EVT13,
    PduType.A_ABORT: Event.EVT16,
}


class AssociationEngine(StateMachine):
    """One association, either side of it.

    Args:
        is_requestor: Whether this side opens the association.
        now: The current time in seconds, any origin, never running backwards.
        artim_timeout_s: How long ARTIM runs.
        maximum_length: The P-DATA-TF length this side advertises, in bytes; longer
            ones from the peer are a protocol error. 0 is no limit.
        decode: Reads what is no P-DATA-TF; raises what :func:`decode_pdu` does.
    """

    def __init__(
        self,
        *,
        is_requestor: bool,
        now: float,
        artim_timeout_s: float = ARTIM_TIMEOUT_S,
        maximum_length: int = 0,
        decode: Callable[[bytes | memoryview], Pdu] = decode_pdu,
    ) -> None:
        super().__init__(is_requestor=is_requestor, now=now, artim_timeout_s=artim_timeout_s)
        self._stream = PduStream(self, maximum_length, decode)
        self._assembler = MessageAssembler()
        if not is_requestor:
            self._trigger(Event.EVT5)

    # -- what the driver takes -----------------------------------------------------

    def take_output(self) -> list[bytes]:
        """Return the bytes to send, in order, and forget them."""
        output, self._output = self._output, []
        return output

    @property
    def is_established(self) -> bool:
        """Whether messages can be exchanged."""
        return self.state is State.STA6

    @property
    def is_within_message(self) -> bool:
        """Whether some of a message, or of another PDU, has come, and the rest has not."""
        return self.is_established and (self._stream.is_within_pdu or self._assembler.has_begun)

    @property
    def is_finished(self) -> bool:
        """Whether nothing more can happen on this association."""
        return self.state is State.STA1

    # -- what the local user asks for ----------------------------------------------

    def associate(self, request: AAssociateRQ) -> None:
        """Request an association; call :meth:`transport_connected` when TCP is up.

        Raises:
            PacsException: ``INVALID_PDU`` for a request that the standard forbids to send;
                better now than when a connection has been opened for it.
        """
        encoded = encode_pdu(request)
        self._trigger(Event.EVT1)
        self.request, self._encoded_request = request, encoded

    def transport_connected(self) -> None:
        """Report that the connection this side opened is established."""
        self._trigger(Event.EVT2)

    def accept(self, acceptance: Acceptance) -> None:
        """Accept the requested association."""
        self._trigger(Event.EVT7)
        self._output.append(acceptance.encoded)
        self.answer, self.contexts = acceptance.answer, acceptance.contexts

    def reject(self, answer: AAssociateRJ, now: float) -> None:
        """Reject the requested association."""
        self._now = now
        self._pdu = answer
        self._trigger(Event.EVT8)

    def release(self) -> None:
        """Ask for the association to end in good order."""
        self._trigger(Event.EVT11)

    def release_response(self, now: float) -> None:
        """Agree to the peer's release."""
        self._now = now
        self._trigger(Event.EVT14)

    def abort(self, now: float) -> None:
        """End the association at once (A-ABORT, source service-user)."""
        self._now = now
        if self.state not in (State.STA1, State.STA2, State.STA13):
            self._trigger(Event.EVT15)
            self._stream.ignore_rest_of_pdu()

    def send_message(
        self, context_id: int, message: Message, dataset: memoryview | None = None
    ) -> Iterable[list[bytes | memoryview]]:
        """Send a command set and its data set, cut to the peer's maximum length.

        Args:
            context_id: The presentation context to use.
            message: The command set.
            dataset: The encoded data set, which is neither copied nor joined.

        Returns:
            Buffers to send in this order, a bounded number at a time. The engine must
            not be asked to send anything else until they are exhausted.

        Raises:
            PacsException: ``PROTOCOL_MISUSE`` outside an established association or
                for a context that was not accepted.
        """
        if context_id not in self.contexts:
            raise PacsException(
                ErrorCode.PROTOCOL_MISUSE, f"presentation context {context_id} was not accepted"
            )
        self._trigger(Event.EVT9)
        peer = self.answer if self.is_requestor else self.request
        maximum = 0 if peer is None else peer.user_information.maximum_length
        return fragments(context_id, message, dataset, fragment_length(maximum))

    # -- what the network and the clock report ---------------------------------------

    def transport_closed(self) -> list[EngineEvent]:
        """Report that the connection is gone; the engine is finished afterwards."""
        if self.state is not State.STA1:
            self._trigger(Event.EVT17)
        return self._take_events()

    def expire(self, now: float) -> list[EngineEvent]:
        """Report that time has passed; acts when the deadline has."""
        self._now = now
        if self.deadline is not None and now >= self.deadline:
            self._trigger(Event.EVT18)
        return self._take_events()

    def receive(self, data: bytes | memoryview, now: float) -> list[EngineEvent]:
        """Take bytes from the peer, cut anywhere.

        Args:
            data: What arrived; views into it are handed on in the events.
            now: The current time in seconds.

        Returns:
            What the bytes mean, in order. Anything malformed ends in :class:`Aborted`
            (PS3.8 AA-8), never in an exception.

        Raises:
            PacsException: ``PROTOCOL_MISUSE`` while there is no connection (Sta1, Sta4).
        """
        self._now = now
        view = memoryview(data)
        if self._protocol_error:
            view = view[:0]  # where a PDU begins is no longer known: AA-6 for all of it
        while view.nbytes and not self.closing:
            try:
                view = self._stream.take(view)
            except PacsException as exc:
                if exc.error.code is ErrorCode.PROTOCOL_MISUSE:
                    raise  # the driver's mistake, not the peer's
                self._protocol_error = exc.error.message
                self._protocol_error_reason = _reason_of(exc)
                self._pdu = None
                self._trigger(Event.EVT19)
                break
        return self._take_events()

    def _take_events(self) -> list[EngineEvent]:
        events, self._events = self._events, []
        return events

    # -- what the stream of PDUs reports (:class:`PduReceiver`) ------------------------

    def pdu_received(self, pdu_type: PduType, pdu: Pdu) -> None:
        """Act on a whole PDU."""
        self._pdu = pdu
        self._trigger(_EVENT_OF_PDU[pdu_type])

    def data_begins(self) -> bool:
        """Act on the beginning of a P-DATA-TF; after an abort its content is ignored."""
        if self.state in _TAKING_DATA:
            return True
        self._trigger(Event.EVT10)
        return False

    def item_begins(self, context_id: int, length: int, *, is_command: bool) -> None:
        """Check that a fragment has its place."""
        context = self.contexts.get(context_id)
        if context is None:
            raise PacsException(
                ErrorCode.INVALID_PDU, f"presentation context {context_id} was not accepted"
            )
        self._assembler.begin(context, length, is_command=is_command)

    def more_items(self, count: int) -> None:
        """Count fragments that have their place behind one that has."""
        self._assembler.count(count)

    def data_received(self, pieces: Sequence[memoryview], *, is_last: bool) -> None:
        """Hand pieces on, or the command set that they complete."""
        event = self._assembler.add(pieces, is_last=is_last)
        if event is not None:
            self._events.append(event)


def _reason_of(exc: PacsException) -> AbortReason:
    """Tell the A-ABORT reason of a decoding error."""
    reason = exc.error.details.get("abort_reason")
    if isinstance(reason, int) and reason:
        return AbortReason(reason)
    return AbortReason.INVALID_PDU_PARAMETER_VALUE


_TAKING_DATA: Final = frozenset(
    state
    for (state, event), transition in TABLE.items()
    if event is Event.EVT10
    and transition.action in (Action.DT_2, Action.AR_6)
    and transition.leads_to == {state}
)
"""Where a P-DATA-TF is indicated and changes nothing: nobody needs to be asked for each."""

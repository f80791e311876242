"""The upper layer's state machine at work: what each action of PS3.8 Tables 9-6 to 9-9 does.

:class:`StateMachine` knows where an association stands and, told of an event, carries out
the action that Table 9-10 (``state_table``) names for it. Who may tell it of events is no
matter of its own: the local user, the network and the clock do so through
:class:`~pacs_sdk.network.engine.AssociationEngine`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.indications import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    EngineEvent,
    ReleaseConfirmed,
    ReleaseRequested,
    TransportClosed,
)
from pacs_sdk.network.negotiation import AcceptedContext, accepted_by_requestor
from pacs_sdk.network.pdu import (
    AAbort,
    AAssociateAC,
    AAssociateRJ,
    AAssociateRQ,
    AbortReason,
    AbortSource,
    AReleaseRP,
    AReleaseRQ,
    Pdu,
)
from pacs_sdk.network.pdu_codec import encode_pdu
from pacs_sdk.network.state_table import Action, Event, State, lookup

__all__ = ["StateMachine"]

_PduT = TypeVar("_PduT", bound=Pdu)


class StateMachine:
    """Carries out the actions of one association, either side of it.

    An action takes what it needs from the attributes (the time, the PDU that came or is to
    go, the error in what came) and leaves there what has to be done: bytes to send, events
    to report, a deadline, a connection to close.

    Args:
        is_requestor: Whether this side opens the association.
        now: The current time in seconds, any origin, never running backwards.
        artim_timeout_s: How long ARTIM runs.
    """

    def __init__(self, *, is_requestor: bool, now: float, artim_timeout_s: float) -> None:
        self.state = State.STA1
        """Where the association stands (PS3.8 Table 9-10)."""
        self.deadline: float | None = None
        """When ARTIM runs out, or ``None`` while it does not run."""
        self.closing = False
        """Whether the transport connection is to be closed once the output is sent."""
        self.contexts: Mapping[int, AcceptedContext] = {}
        """What was agreed, by presentation context ID."""
        self.request: AAssociateRQ | None = None
        """The association request, sent or received."""
        self.answer: AAssociateAC | None = None
        """Its acceptance, received or sent."""
        self.is_requestor = is_requestor
        """Whether this side opened the association."""
        self.artim_timeout_s = artim_timeout_s
        """How long ARTIM runs."""
        self._now = now
        self._encoded_request = b""
        self._output: list[bytes] = []
        self._events: list[EngineEvent] = []
        self._protocol_error = ""
        self._protocol_error_reason = AbortReason.INVALID_PDU_PARAMETER_VALUE
        self._event = Event.EVT1
        self._pdu: Pdu | None = None

    def _trigger(self, event: Event) -> None:
        """Look the event up in Table 9-10 and carry out its action."""
        transition = lookup(self.state, event)
        self._event = event
        chosen = _ACTIONS[transition.action](self)
        if chosen is None:
            (chosen,) = transition.leads_to
        self.state = chosen

    def _put(self, pdu: Pdu) -> None:
        self._output.append(encode_pdu(pdu))

    def _start_artim(self) -> None:
        self.deadline = self._now + self.artim_timeout_s

    def _stop_artim(self) -> None:
        self.deadline = None

    def _close(self) -> None:
        self.closing = True
        self._stop_artim()

    # Association establishment (PS3.8 Table 9-6)

    def _ae_1(self) -> None:
        """Issue TRANSPORT CONNECT request: the driver connects."""

    def _ae_2(self) -> None:
        """Send A-ASSOCIATE-RQ."""
        self._output.append(self._encoded_request)

    def _ae_3(self) -> None:
        """Issue the positive A-ASSOCIATE confirmation."""
        answer = self._received(AAssociateAC)
        if self.request is not None:
            self.contexts = accepted_by_requestor(self.request, answer)
        self.answer = answer
        self._events.append(AssociationAccepted(answer))

    def _ae_4(self) -> None:
        """Issue the negative confirmation and close."""
        self._events.append(AssociationRejected(self._received(AAssociateRJ)))
        self._close()

    def _ae_5(self) -> None:
        """Answer the transport indication; start ARTIM."""
        self._start_artim()

    def _ae_6(self) -> State:
        """Stop ARTIM and indicate the request.

        The standard's other branch, rejecting what the provider cannot accept (to
        Sta13), is taken by the acceptor's policy through :meth:`reject`.
        """
        self._stop_artim()
        self.request = self._received(AAssociateRQ)
        self._events.append(AssociationRequested(self.request))
        return State.STA3

    def _ae_7(self) -> None:
        """Send A-ASSOCIATE-AC: :meth:`accept` has its bytes."""

    def _ae_8(self) -> None:
        """Send A-ASSOCIATE-RJ and start ARTIM."""
        self._put(self._to_send(AAssociateRJ))
        self._start_artim()

    # Data transfer (Table 9-7)

    def _dt_1(self) -> None:
        """Send P-DATA-TF: :meth:`send_message` yields its bytes."""

    def _dt_2(self) -> None:
        """Indicate P-DATA: the fragments follow as events."""

    # Release (Table 9-8)

    def _ar_1(self) -> None:
        """Send A-RELEASE-RQ."""
        self._put(AReleaseRQ())

    def _ar_2(self) -> None:
        """Indicate the release."""
        self._events.append(ReleaseRequested())

    def _ar_3(self) -> None:
        """Confirm the release and close."""
        self._events.append(ReleaseConfirmed())
        self._close()

    def _ar_4(self) -> None:
        """Send A-RELEASE-RP and start ARTIM."""
        self._put(AReleaseRP())
        self._start_artim()

    def _ar_5(self) -> None:
        """Stop ARTIM: the connection has closed."""
        self._stop_artim()

    def _ar_6(self) -> None:
        """Indicate P-DATA that arrived while the release is awaited."""

    def _ar_7(self) -> None:
        """Send P-DATA-TF after the peer asked for release."""

    def _ar_8(self) -> State:
        """Indicate a release collision; the requestor's side answers first."""
        self._events.append(ReleaseRequested())
        return State.STA9 if self.is_requestor else State.STA10

    def _ar_9(self) -> None:
        """Send A-RELEASE-RP."""
        self._put(AReleaseRP())

    def _ar_10(self) -> None:
        """Confirm the release."""
        self._events.append(ReleaseConfirmed())

    # Abort and errors (Table 9-9)

    def _aa_1(self) -> None:
        """Send A-ABORT as service-user and (re)start ARTIM."""
        abort = AAbort(AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)
        self._put(abort)
        self._start_artim()
        if self._event is not Event.EVT15:  # the peer's doing, not the local user's
            self._indicate_own_abort(abort)

    def _aa_2(self) -> None:
        """Stop ARTIM and close."""
        if self.state is State.STA2 and self._event is Event.EVT16:
            self._indicate_abort_of_peer()  # as in AA-1: the driver waits for a request
        self._close()

    def _aa_3(self) -> None:
        """Indicate the peer's abort and close."""
        self._indicate_abort_of_peer()
        self._close()

    def _aa_4(self) -> None:
        """Indicate that the connection was lost."""
        self._events.append(TransportClosed())

    def _aa_5(self) -> None:
        """Stop ARTIM: the connection closed before a request came."""
        self._stop_artim()

    def _aa_6(self) -> None:
        """Ignore the PDU."""

    def _aa_7(self) -> None:
        """Send A-ABORT again."""
        self._put(AAbort(AbortSource.SERVICE_PROVIDER, self._abort_reason()))

    def _aa_8(self) -> None:
        """Send A-ABORT as service-provider, indicate it, start ARTIM."""
        abort = AAbort(AbortSource.SERVICE_PROVIDER, self._abort_reason())
        self._put(abort)
        self._indicate_own_abort(abort)
        self._start_artim()

    def _abort_reason(self) -> AbortReason:
        if self._protocol_error:
            return self._protocol_error_reason
        return AbortReason.UNEXPECTED_PDU

    def _indicate_own_abort(self, abort: AAbort) -> None:
        words = self._protocol_error or "the peer sent a PDU that does not fit the state"
        self._events.append(Aborted(abort, by_peer=False, reason=words))

    def _indicate_abort_of_peer(self) -> None:
        abort = self._received(AAbort)
        self._events.append(Aborted(abort, by_peer=True, reason=abort.explain()))

    def _received(self, kind: type[_PduT]) -> _PduT:
        """Return the PDU that was just decoded."""
        return self._to_send(kind)

    def _to_send(self, kind: type[_PduT]) -> _PduT:
        pdu = self._pdu
        if not isinstance(pdu, kind):
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, f"expected {kind.__name__}, got {pdu!r}")
        return pdu


_ACTIONS: Final[dict[Action, Callable[[StateMachine], State | None]]] = {
    action: getattr(StateMachine, f"_{action.name.lower()}") for action in Action
}

"""An association of the client: exchange messages, and release it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, Self, TypeVar

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.network.agreement import OperationsWindow, agreed_extended
from pacs_sdk.network.connection.association import SocketAssociation
from pacs_sdk.network.dimse import (
    CCancelRQ,
    CStoreRQ,
    CStoreRSP,
    Message,
    Request,
    Response,
    StatusCategory,
    answers,
    status_category,
)
from pacs_sdk.network.messages import IncomingMessage
from pacs_sdk.network.negotiation import (
    AcceptedContext,
    explain_refusal,
)
from pacs_sdk.network.peer import ClientTimeouts, Peer
from pacs_sdk.network.pipeline import Operation, Performed, mistake_of, pipelined
from pacs_sdk.network.tls import TlsFacts

__all__ = ["DicomAssociation", "Reply", "StoreHandler"]

_KeyT = TypeVar("_KeyT")

_IDLE_RELEASE_S: Final = 1.0
"""How long a peer may take to agree to the end of an idle association, before it is aborted:
others wait for their end meanwhile."""


@attrs.frozen
class Reply:
    """One response of the peer."""

    response: Response
    """Its command set."""
    data: ByteSource | None
    """Its data set, valid until the next reply is taken."""


StoreHandler = Callable[[IncomingMessage, CStoreRQ], CStoreRSP]
"""Takes a C-STORE that the peer sends as a sub-operation, and says how it went."""


class DicomAssociation:
    """An established association, for one thread at a time.

    Leaving its context releases it, or aborts it when an exception is passing.
    """

    def __init__(
        self, peer: Peer, association: SocketAssociation, timeouts: ClientTimeouts
    ) -> None:
        self.peer = peer
        """Whom it is with."""
        self._association = association
        self._timeouts = timeouts
        self._idle = None if timeouts.idle is None else timeouts.idle.watch(self._end_unused)

    @property
    def contexts(self) -> tuple[AcceptedContext, ...]:
        """The presentation contexts that were accepted."""
        return tuple(self._association.engine.contexts.values())

    @property
    def is_open(self) -> bool:
        """Whether messages can still be exchanged."""
        return self._association.end_reason is None and self._association.engine.is_established

    def is_alive(self) -> bool:
        """Look at the connection without waiting: whether another operation can begin."""
        with self._kept():
            return self._association.is_alive()

    @property
    def window(self) -> OperationsWindow:
        """How many operations may be outstanding at a time, in each direction."""
        return self._association.window

    @property
    def extended(self) -> Mapping[str, bytes]:
        """What the peer answered to extended negotiation, by SOP class (PS3.7 D.3.3.5).

        A SOP class is missing for which it gave no answer: the defaults hold.
        """
        engine = self._association.engine
        if engine.request is None or engine.answer is None:
            return {}
        return agreed_extended(engine.request, engine.answer)

    @property
    def tls(self) -> TlsFacts | None:
        """The TLS version and cipher suite, and the peer's subject; ``None`` in clear."""
        return self._association.tls_facts

    @property
    def identity_response(self) -> bytes | None:
        """What the peer answered to our user identity (PS3.7 D.3.3.7.2).

        The Kerberos server ticket, SAML response or JSON web token; empty where a user name was
        accepted. ``None`` without an answer: if one was requested, the identity was ignored.
        """
        answer = self._association.engine.answer
        response = None if answer is None else answer.user_information.user_identity_response
        return None if response is None else response.server_response

    def next_message_id(self) -> int:
        """Return a Message ID for the next request."""
        return self._association.next_message_id()

    @edge()
    def context_for(
        self, abstract_syntax: str, transfer_syntax: str | None = None, name: str = ""
    ) -> AcceptedContext:
        """Find the accepted context to send a SOP class in.

        Args:
            abstract_syntax: The SOP class.
            transfer_syntax: The encoding it must have; any if ``None``.
            name: What to call the SOP class in an error.

        Returns:
            ``Success``, or ``Failure`` with ``PRESENTATION_CONTEXT_REFUSED`` and the
            peer's reason in words.
        """
        for context in self.contexts:
            if context.abstract_syntax == abstract_syntax and transfer_syntax in (
                None,
                context.transfer_syntax,
            ):
                return context
        engine = self._association.engine
        if engine.request is None or engine.answer is None:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the association is not established")
        raise PacsException(
            ErrorCode.PRESENTATION_CONTEXT_REFUSED,
            explain_refusal(
                engine.request, engine.answer, abstract_syntax, name or abstract_syntax
            ),
            abstract_syntax=abstract_syntax,
        )

    @edge()
    def call(
        self, context: AcceptedContext, request: Request, data: ByteSource | None = None
    ) -> Response:
        """Send a request that has one response, and wait for it.

        Returns:
            ``Success`` with the response whatever its status, or ``Failure`` with
            ``NETWORK_TIMEOUT``, ``ASSOCIATION_ABORTED``, ``INVALID_DIMSE_MESSAGE`` or
            ``PROTOCOL_MISUSE``.
        """
        replies = self.replies(context, request, data)
        response = next(replies).response
        if status_category(response.status) is StatusCategory.PENDING:  # perhaps for ever
            replies.close()
            raise PacsException(
                ErrorCode.INVALID_DIMSE_MESSAGE,
                f"the peer answered message {request.message_id} with status "
                f"{response.status:04X}H, but has to give one final response",
            )
        next(replies, None)  # nothing follows a final one: this leaves the association
        mistake = mistake_of(response, request)
        if mistake:
            raise PacsException(ErrorCode.INVALID_DIMSE_MESSAGE, mistake)
        return response

    def replies(
        self,
        context: AcceptedContext,
        request: Request,
        data: ByteSource | None = None,
        on_store: StoreHandler | None = None,
        moved_at: Callable[[], float | None] | None = None,
    ) -> Generator[Reply, None, None]:
        """Send a request and yield its responses up to the final one.

        Leaving the iterator early aborts the association, because the answers that are
        still to come would be taken for those of the next request; to end an operation
        in good order, :meth:`cancel` it and take the rest.

        Args:
            context: The presentation context.
            request: The command set.
            data: Its data set.
            on_store: Performs the C-STORE sub-operations of a C-GET.
            moved_at: Tells when something last moved elsewhere in this operation, by the
                association's clock: of a C-MOVE that comes here the instances, which are a sign
                of life where a peer sends no Pending responses.

        Raises:
            PacsException: As the failures of :meth:`call`. This is the inner, lazy
                form; the services give their results at the edge.
        """
        association = self._association
        with self._in_use():
            association.send(context.context_id, request, data)
            is_outstanding = True
            try:
                while is_outstanding:
                    incoming = association.receive(self._timeouts.dimse_s, moved_at)
                    if incoming is None:
                        raise PacsException(
                            ErrorCode.ASSOCIATION_ABORTED, "the peer released the association early"
                        )
                    try:
                        is_outstanding = not _is_final(incoming.message, request)
                        reply = self._reply(incoming, context, request, on_store)
                        if reply is not None:
                            yield reply
                    finally:
                        incoming.discard()
            except BaseException:
                if is_outstanding:
                    self._give_up()
                raise

    def pipelined(
        self,
        operations: Iterable[Operation[_KeyT]],
        *,
        meanwhile: Callable[[], None] | None = None,
    ) -> Generator[Performed[_KeyT], None, None]:
        """Send requests that have one response each, as many ahead as the peer granted.

        Responses may come in any order. Leaving the iterator before its end aborts the
        association, as with :meth:`replies`. Where ``operations`` fails, or one of them cannot be
        sent, those before it are answered first, and the association can be used again.

        Args:
            operations: What to ask, taken one by one as there is room in the window.
            meanwhile: Called each time before an answer is waited for.

        Raises:
            PacsException: As the failures of :meth:`call`.
        """
        with self._in_use():
            try:
                yield from pipelined(
                    self._association,
                    operations,
                    self.window.invoked,
                    self._timeouts.dimse_s,
                    meanwhile=meanwhile,
                    give_up=self._give_up,
                )
            except GeneratorExit:
                self.abort()
                raise

    def _give_up(self) -> None:
        """Abort: what is still to come would be taken for the answer to the next request."""
        if self.is_open:
            self.abort()

    def cancel(self, context: AcceptedContext, message_id: int) -> None:
        """Ask the peer to end an operation early (C-CANCEL); responses still follow."""
        with self._kept():
            self._association.send(context.context_id, CCancelRQ(message_id))

    def _reply(
        self,
        incoming: IncomingMessage,
        context: AcceptedContext,
        request: Request,
        on_store: StoreHandler | None,
    ) -> Reply | None:
        message = incoming.message
        if isinstance(message, CStoreRQ) and on_store is not None:
            self._association.send(incoming.context.context_id, on_store(incoming, message))
            return None
        if not answers(message, request):
            raise PacsException(
                ErrorCode.INVALID_DIMSE_MESSAGE,
                f"the peer sent {type(message).__name__} where an answer to message "
                f"{request.message_id} was expected; association aborted",
            )
        if incoming.failure is not None:
            raise PacsException.of(incoming.failure)
        if incoming.data is not None and (
            incoming.context.transfer_syntax != context.transfer_syntax
        ):
            raise PacsException(
                ErrorCode.INVALID_DIMSE_MESSAGE,
                f"the peer answered in presentation context {incoming.context.context_id}, which has "
                f"another transfer syntax than {context.context_id}, in which it was asked",
            )
        return Reply(message, incoming.data)

    def release(self) -> None:
        """End the association in good order; harmless when it has ended."""
        self._leave_idle()
        self._association.release(self._timeouts.association_s)

    def abort(self) -> None:
        """End the association at once."""
        self._leave_idle()
        self._association.abort()

    def break_off(self) -> None:
        """Close the connection from another thread; whoever uses the association fails at once."""
        self._association.break_off()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._kept(), self._association.exclusive():
            yield

    def _kept(self) -> AbstractContextManager[None]:
        """Keep the association from being ended as an idle one."""
        return nullcontext() if self._idle is None else self._idle.in_use()

    def _leave_idle(self) -> None:
        if self._idle is not None:
            self._idle.leave()

    def _end_unused(self) -> None:
        """Release the association because nobody has used it, in the thread that noticed."""
        idle = self._timeouts.idle
        after_s = 0.0 if idle is None else idle.after_s
        reason = PacsError(
            ErrorCode.ASSOCIATION_ABORTED,
            f"the association was not used for {after_s:g} s and was released; open another one",
        )
        self._association.logger.info("association-released-idle", after_s=after_s)
        self._association.release(min(self._timeouts.association_s, _IDLE_RELEASE_S), reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if exc_type is None:
            self.release()
        else:
            self.abort()


def _is_final(message: Message, request: Request) -> bool:
    """Whether nothing follows in answer to a request."""
    return answers(message, request) and (
        status_category(message.status) is not StatusCategory.PENDING
    )

"""One association of a server, from its request to its end, for either driver."""

from __future__ import annotations

from collections.abc import Callable

from pacs_sdk.core.errors import PacsException
from pacs_sdk.network.connection.tls_transport import TlsTransport
from pacs_sdk.network.connection.transport import Transport, WokenUp
from pacs_sdk.network.connection.waits import Waits
from pacs_sdk.network.messages import AssociationInfo
from pacs_sdk.network.pdu import AAssociateRJ, AAssociateRQ
from pacs_sdk.network.server_core import ServerCore
from pacs_sdk.network.tls.facts import TlsFacts
from pacs_sdk.network.tls.failures import HandshakeFailure

__all__ = ["ServerSession", "is_secured"]


class ServerSession:
    """Serves one connection.

    A driver calls :meth:`proceed`, then reads once or lets the time run out
    (:meth:`read`, :meth:`time_up`), and so on until ``proceed`` says that it is over.
    Nothing that happens in a session is raised to the driver.

    Args:
        core: What decides and dispatches.
        transport: The connection; the session owns it from now on.
        host: The peer's address.
        port: The peer's port.
    """

    def __init__(self, core: ServerCore, transport: Transport, host: str, port: int) -> None:
        self._core = core
        self._host, self._port = host, port
        self._transport = transport
        self._number = core.next_number()
        self._association = core.association(transport, host, port, self._number)
        self._waits = self._served()
        self._deadline: float | None = None
        self._left: Callable[[], None] | None = None
        self._stopping = core.stopping
        self._has_failed = False
        self._is_over = False
        self._is_closed = False

    @property
    def deadline(self) -> float | None:
        """Until when to wait for the peer, by the clock of the server."""
        own, engine = self._deadline, self._association.artim_deadline
        return own if engine is None else engine if own is None else min(own, engine)

    @property
    def message_has_begun(self) -> bool:
        """Whether a message is under way, which a stop lets finish."""
        return self._association.message_has_begun

    def run(self) -> None:
        """Serve to the end, waiting in this thread."""
        try:
            while not self._guarded(self._wait_to_the_end):
                pass
        finally:  # foreign code may end the thread
            self._close()

    def proceed(self) -> bool:
        """Do what can be done without waiting; ``False`` once the session is over."""
        while not self._guarded(self._resume):
            pass
        if self._is_over:
            self._close()
        return not self._is_over

    def read(self, timeout_s: float) -> bool:
        """Read once; ``False`` if nothing came within the time, or the session is over."""
        came = not self._is_closed

        def read() -> None:
            nonlocal came
            try:
                self._association.step_within(timeout_s)
            except TimeoutError:
                came = False
            else:
                if self._stopping.is_set():
                    self._check_under_way()

        if came:
            self._guarded(read)
        return came

    def time_up(self) -> None:
        """Act on the deadline, which has passed."""
        self._guarded(lambda: self._association.time_up(self._deadline))

    def stop(self) -> None:
        """End the association at the next :meth:`proceed`, unless it is being ended already."""
        if not self._has_failed:
            self._end("association-ended-by-stop")

    def give_up(self, reason: str) -> None:
        """Close the connection at once."""
        self._association.logger.warning("connection-not-served", reason=reason)
        self._waits, self._has_failed = self._nothing(), True
        self._close()

    # -- inside --------------------------------------------------------------------------

    def _wait_to_the_end(self) -> None:
        step, is_stopping = self._association.step, self._stopping.is_set
        for deadline in self._waits:
            step(deadline)
            if is_stopping():
                self._check_under_way()

    def _check_under_way(self) -> None:
        """End what a stop let go on, once nothing of a message is left to be finished."""
        if self._association.engine.is_established and not self.message_has_begun:
            raise WokenUp

    def _resume(self) -> None:
        try:
            self._deadline = next(self._waits)
        except StopIteration:
            self._is_over = True

    def _guarded(self, action: Callable[[], None]) -> bool:
        """Do something; what goes wrong ends the session, and nothing else."""
        try:
            action()
        except WokenUp:
            self._end("association-ended-by-stop")
        except PacsException as exc:
            self._end("association-failed", exc.error.message)
        except Exception as exc:  # noqa: BLE001  # a bug must end one association, not the server
            self._end("association-crashed", repr(exc))
        else:
            return True
        return False

    def _end(self, event: str, reason: str = "") -> None:
        logger = self._association.logger
        if event == "association-ended-by-stop":
            logger.info(event)
        elif event == "association-failed":
            logger.warning(event, reason=reason)
        else:
            logger.error(event, reason=reason)
        self._waits = self._nothing() if self._has_failed else self._association.aborted()
        self._has_failed = True
        self._leave()

    def _nothing(self) -> Waits[None]:
        yield from ()

    def _close(self) -> None:
        self._is_closed = True
        try:
            self._association.close()
        except Exception as exc:  # noqa: BLE001  # what took a data set is foreign code
            self._association.logger.error("association-crashed", reason=repr(exc))
        self._leave()
        self._association.logger.debug("connection-closed")

    def _leave(self) -> None:
        """Count the association no more: the peer may open another one as soon as it knows."""
        left, self._left = self._left, None
        if left is not None:
            self._core.waiting.enter(self._transport)
            left()

    def _served(self) -> Waits[None]:
        association = self._association
        request = yield from association.requested()
        if request is None:
            reason = association.end_reason
            association.logger.warning(
                "no-association", reason="closed by the peer" if reason is None else reason.message
            )
            yield from association.finished()
            return
        tls = self._transport.facts if isinstance(self._transport, TlsTransport) else None
        info = _info(request, self._host, self._port, tls, self._number)
        association.logger = association.logger.bind(
            calling_ae_title=info.calling_ae_title, called_ae_title=info.called_ae_title
        )
        answer, info = self._core.gate.admit(request, info, association.logger)
        if isinstance(answer, AAssociateRJ):
            association.engine.reject(answer, self._core.clock.monotonic())
            yield from association.finished()
            return
        self._left = lambda: self._core.gate.left(request, info)
        self._core.waiting.leave(self._transport)
        association.engine.accept(answer)
        association.logger.info("association-accepted", contexts=len(association.engine.contexts))
        association.flush()
        yield from self._messages(info)
        self._leave()
        yield from association.release_answered()
        association.logger.info("association-released")

    def _messages(self, info: AssociationInfo) -> Waits[None]:
        association = self._association
        while incoming := (yield from association.awaited(self._core.config.idle_timeout_s)):
            association.is_busy = True
            try:
                self._core.dispatch(association, info, incoming)
            finally:
                association.is_busy = False
                incoming.discard()
            if self._stopping.is_set():  # a busy sender never lets the wait be woken
                raise WokenUp


def is_secured(core: ServerCore, transport: Transport, host: str, port: int) -> bool:
    """Agree with a peer on TLS, if the server speaks it, in the thread that serves it.

    Returns:
        Whether the connection can be served; otherwise it is closed, and the reason logged.
    """
    tls = core.config.tls
    if tls is None or not isinstance(transport, TlsTransport):
        return True
    logger = core.logger.bind(peer_host=host, peer_port=port)
    try:
        facts = transport.handshake(tls.handshake_timeout_s)
    except WokenUp:
        logger.info("association-ended-by-stop")
    except PacsException as exc:
        cause = exc.error.details.get("cause")
        # Who connects and closes at once looks whether the port is open: nothing to warn of.
        is_look = cause == HandshakeFailure.CLOSED and not transport.broken_off
        log = logger.debug if is_look else logger.warning
        reason = transport.broken_off or exc.error.message
        log("tls-refused", reason=reason, cause=str(cause or ""))
    except Exception as exc:  # noqa: BLE001  # a bug must end one connection, not the server
        logger.error("tls-crashed", reason=repr(exc))
    else:
        logger.debug("tls-agreed", version=facts.version, cipher=facts.cipher)
        return True
    transport.close()
    logger.debug("connection-closed")
    return False


def _info(
    request: AAssociateRQ, host: str, port: int, tls: TlsFacts | None, number: int
) -> AssociationInfo:
    return AssociationInfo(
        peer_host=host,
        peer_port=port,
        calling_ae_title=request.calling_ae_title,
        called_ae_title=request.called_ae_title,
        peer_implementation_class_uid=request.user_information.implementation_class_uid,
        peer_implementation_version_name=request.user_information.implementation_version_name,
        tls=tls,
        number=number,
    )

"""The client side: open an association."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, NullLogger, SystemClock
from pacs_sdk.core.results import edge
from pacs_sdk.network.connection.association import SocketAssociation
from pacs_sdk.network.connection.options import AssociationOptions
from pacs_sdk.network.connection.tls_connect import connect_tls
from pacs_sdk.network.connection.transport import Transport
from pacs_sdk.network.contexts import RequestorOptions
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.negotiation import (
    DEFAULT_MAXIMUM_LENGTH,
    ProposedContext,
    association_request,
)
from pacs_sdk.network.peer import ClientTimeouts, ConnectFailure, ConnectStep, Peer
from pacs_sdk.network.threaded.association import DicomAssociation

__all__ = ["connect"]

_LAST_PORT: Final = 0xFFFF

_LEAST_S: Final = 0.001
"""What the last address of a name is given in any case; no time would mean not to wait."""


@edge({OSError: ErrorCode.CONNECTION_FAILED})
def connect(  # noqa: PLR0913  # all but three are keywords with defaults
    peer: Peer,
    calling_ae_title: str,
    contexts: Sequence[ProposedContext],
    *,
    timeouts: ClientTimeouts | None = None,
    options: RequestorOptions | None = None,
    logger: Logger | None = None,
    clock: Clock | None = None,
    on_step: Callable[[ConnectStep], object] | None = None,
) -> DicomAssociation:
    """Open an association.

    Args:
        peer: Whom to call.
        calling_ae_title: Our own AE title.
        contexts: The SOP classes, transfer syntaxes and roles to propose, 1 to 128.
        timeouts: How long to wait for what.
        options: What else is negotiated: an operations window, a user identity, and more.
        logger: Where events are recorded.
        clock: The time, for timeouts.
        on_step: Told what has been reached, to see how long each step takes and which fails.

    Returns:
        ``Success`` with the association, a context manager that releases it; or
        ``Failure`` with ``CONNECTION_FAILED`` (its detail ``cause`` is a
        :class:`ConnectFailure`), ``TLS_HANDSHAKE_FAILED`` (and for the files
        of TLS ``FILE_NOT_FOUND``, ``FILE_READ_FAILED``), ``ASSOCIATION_REJECTED``,
        ``ASSOCIATION_ABORTED``, ``NETWORK_TIMEOUT`` or ``INVALID_ARGUMENT``.
    """
    timeouts = timeouts or ClientTimeouts()
    clock = clock or SystemClock()
    engine = AssociationEngine(
        is_requestor=True, now=clock.monotonic(), maximum_length=DEFAULT_MAXIMUM_LENGTH
    )
    try:
        engine.associate(
            association_request(calling_ae_title, peer.ae_title, contexts, options=options)
        )
    except PacsException as exc:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT, exc.error.message, **exc.error.details
        ) from exc
    reached = on_step or _nobody_asks
    connected = _open_connection(peer, timeouts.connect_s, clock)
    reached(ConnectStep.CONNECTED)
    transport = _transport(peer, connected, timeouts.connect_s, clock)
    if peer.tls is not None:
        reached(ConnectStep.SECURED)
    association = SocketAssociation(
        transport,
        engine,
        clock,
        (logger or NullLogger()).bind(peer_host=peer.host, peer_port=peer.port),
        AssociationOptions(
            timeouts.dimse_s, timeouts.message_s, command_timeout_s=timeouts.dimse_s
        ),
    )
    try:
        engine.transport_connected()
        association.flush()
        association.wait_for_answer(timeouts.association_s)
    except PacsException as exc:
        association.abort()
        error = exc.error
        raise PacsException(
            error.code,
            f"{peer.ae_title} at {peer.host} port {peer.port}: {error.message}",
            **error.details,
        ) from exc
    reached(ConnectStep.ASSOCIATED)
    return DicomAssociation(peer, association, timeouts)


def _nobody_asks(_: ConnectStep) -> None:
    """Keep it to ourselves."""


def _transport(peer: Peer, connected: socket.socket, timeout_s: float, clock: Clock) -> Transport:
    if peer.tls is None:
        return Transport(connected)
    try:
        return connect_tls(connected, peer.tls, peer.host, timeout_s, clock=clock)
    except PacsException as exc:
        error = exc.error
        raise PacsException(
            error.code,
            f"{peer.ae_title} at {peer.host} port {peer.port}: {error.message}",
            **error.details,
        ) from exc


def _open_connection(peer: Peer, timeout_s: float, clock: Clock) -> socket.socket:
    where = f"{peer.host} port {peer.port}"
    try:
        return _first_that_answers(peer, timeout_s, clock)
    except TimeoutError as exc:
        raise PacsException(
            ErrorCode.CONNECTION_FAILED,
            f"{where} did not answer within {timeout_s:g} s; check the host, the port and firewalls",
            cause=ConnectFailure.TIMED_OUT.value,
        ) from exc
    except (OSError, OverflowError, ValueError) as exc:  # a port or name that cannot be one
        reason = getattr(exc, "strerror", None) or str(exc)
        raise PacsException(
            ErrorCode.CONNECTION_FAILED,
            f"cannot connect to {where}: {reason}; check the host, the port and that the "
            "peer is running",
            cause=_cause_of(exc).value,
        ) from exc


def _first_that_answers(peer: Peer, timeout_s: float, clock: Clock) -> socket.socket:
    """Call the addresses that a name has, one after the other, within one time for all."""
    if not 0 < peer.port <= _LAST_PORT:  # the system would take 70000 for 4464
        raise OverflowError(f"a port is a number from 1 to {_LAST_PORT}")
    found = socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)
    *others, last = dict.fromkeys((str(one[0]), int(one[1])) for *_, one in found)
    deadline = clock.monotonic() + timeout_s
    for number, address in enumerate(others):
        left_s = max(deadline - clock.monotonic(), _LEAST_S)
        with contextlib.suppress(OSError):
            return socket.create_connection(address, left_s / (len(others) + 1 - number))
    return socket.create_connection(last, max(deadline - clock.monotonic(), _LEAST_S))


def _cause_of(exc: Exception) -> ConnectFailure:
    if isinstance(exc, ConnectionRefusedError):
        return ConnectFailure.REFUSED
    if isinstance(exc, (socket.gaierror, UnicodeError)):
        return ConnectFailure.NAME_UNKNOWN
    return ConnectFailure.UNREACHABLE

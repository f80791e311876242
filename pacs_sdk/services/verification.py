"""Verification: is the peer there, and does it speak DICOM? (PS3.4 Annex A)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.network import ConnectStep, Exchange, Peer, ProposedContext, SupportedContext
from pacs_sdk.network.dimse import CEchoRQ, Status
from pacs_sdk.services.health import PeerHealth, PeerState, state_of
from pacs_sdk.services.scu import Proposal, ServiceUser, check_status
from pacs_sdk.services.sop_classes import VERIFICATION

__all__ = ["EchoReport", "VerificationScp", "VerificationScu"]

_SYNTAXES: Final = (IMPLICIT_VR_LITTLE_ENDIAN.uid, EXPLICIT_VR_LITTLE_ENDIAN.uid)
_PROPOSAL: Final = Proposal("C-ECHO", (ProposedContext(VERIFICATION, _SYNTAXES),))


class VerificationScp:
    """Answers every C-ECHO with Success."""

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """List the Verification SOP class."""
        return (SupportedContext(VERIFICATION, _SYNTAXES),)

    def handle(self, exchange: Exchange) -> None:
        """Answer a C-ECHO (PS3.7 9.1.5)."""
        if not isinstance(exchange.request, CEchoRQ):
            exchange.respond_status(Status.UNRECOGNIZED_OPERATION)
            return
        exchange.respond_status(Status.SUCCESS)


@attrs.frozen
class EchoReport:
    """A confirmed C-ECHO."""

    association_s: float
    """Seconds it took to establish the association."""
    echo_s: float
    """Seconds from the C-ECHO request to its response."""


@attrs.frozen
class VerificationScu(ServiceUser):
    """Asks a peer to confirm that it is there."""

    def proposals(self) -> Sequence[Proposal]:
        """List what it proposes (PS3.2 N.7), for a conformance statement."""
        return (_PROPOSAL,)

    @edge()
    def echo(self, peer: Peer) -> EchoReport:
        """Associate, send one C-ECHO, release.

        Returns:
            ``Success`` with how long it took, or ``Failure`` with
            ``VERIFICATION_FAILED`` or a network error (``CONNECTION_FAILED``,
            ``ASSOCIATION_REJECTED``, ``PRESENTATION_CONTEXT_REFUSED``, …).
        """
        steps = _Steps(self.clock)
        self._echoed(peer, steps)
        return EchoReport(
            sum(filter(None, (steps.connect_s, steps.tls_s, steps.association_s))), steps.echo_s
        )

    @edge()
    def check(self, peer: Peer) -> PeerHealth:
        """Ask a peer how it is: as :meth:`echo`, but what hinders it is a finding.

        It takes no longer than the time limits of ``timeouts`` together.

        Returns:
            ``Success`` with what was found and the time of each step, however the peer is; or
            ``Failure`` for what is no matter of the peer: ``INVALID_ARGUMENT``,
            ``INVALID_CONFIGURATION``, ``FILE_NOT_FOUND`` or ``FILE_READ_FAILED`` (TLS).
        """
        where = f"{peer.ae_title} at {peer.host} port {peer.port}"
        checked_at = self.clock.now()
        steps = _Steps(self.clock)
        try:
            self._echoed(peer, steps)
        except PacsException as exc:
            state = state_of(exc.error)
            if state is None:
                raise
            reason = exc.error.message
            if f"port {peer.port}" not in reason:
                reason = f"{where}: {reason}"
        else:
            state, reason = PeerState.HEALTHY, f"{where} answered"
        return PeerHealth(
            peer,
            state,
            reason,
            checked_at,
            steps.connect_s,
            steps.tls_s,
            steps.association_s,
            steps.echo_s if state in (PeerState.HEALTHY, PeerState.UNHEALTHY) else None,
        )

    def _echoed(self, peer: Peer, steps: _Steps) -> None:
        with self._connect(peer, _PROPOSAL, steps.reached) as association:
            context = raised(association.context_for(VERIFICATION, name="Verification"))
            response = raised(association.call(context, CEchoRQ(association.next_message_id())))
            steps.answered()
        check_status(response, ErrorCode.VERIFICATION_FAILED, "C-ECHO")


class _Steps:
    """Measures how long each step takes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock.monotonic()
        self.connect_s: float | None = None
        self.tls_s: float | None = None
        self.association_s: float | None = None
        self.echo_s = 0.0

    def reached(self, step: ConnectStep) -> None:
        match step:
            case ConnectStep.CONNECTED:
                self.connect_s = self._lap()
            case ConnectStep.SECURED:
                self.tls_s = self._lap()
            case ConnectStep.ASSOCIATED:
                self.association_s = self._lap()

    def answered(self) -> None:
        self.echo_s = self._lap()

    def _lap(self) -> float:
        before, self._last = self._last, self._clock.monotonic()
        return self._last - before

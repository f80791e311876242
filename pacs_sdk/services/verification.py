"""Verification: is the peer there, and does it speak DICOM? (PS3.4 Annex A)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.network import Exchange, Peer, ProposedContext, SupportedContext
from pacs_sdk.network.dimse import CEchoRQ, Status
from pacs_sdk.services.scu import ServiceUser, check_status
from pacs_sdk.services.sop_classes import VERIFICATION

__all__ = ["EchoReport", "VerificationScp", "VerificationScu"]

_SYNTAXES: Final = (IMPLICIT_VR_LITTLE_ENDIAN.uid, EXPLICIT_VR_LITTLE_ENDIAN.uid)


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

    @edge()
    def echo(self, peer: Peer) -> EchoReport:
        """Associate, send one C-ECHO, release.

        Returns:
            ``Success`` with how long it took, or ``Failure`` with
            ``VERIFICATION_FAILED`` or a network error (``CONNECTION_FAILED``,
            ``ASSOCIATION_REJECTED``, ``PRESENTATION_CONTEXT_REFUSED``, …).
        """
        begin = self.clock.monotonic()
        with self._connect(peer, [ProposedContext(VERIFICATION, _SYNTAXES)]) as association:
            connected = self.clock.monotonic()
            context = raised(association.context_for(VERIFICATION, name="Verification"))
            response = raised(association.call(context, CEchoRQ(association.next_message_id())))
            answered = self.clock.monotonic()
        check_status(response, ErrorCode.VERIFICATION_FAILED, "C-ECHO")
        return EchoReport(connected - begin, answered - connected)

"""What every service class user has in common."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from pacs_sdk.core.errors import Detail, ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, NullLogger, SystemClock
from pacs_sdk.core.results import raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.network import (
    ClientTimeouts,
    ConnectStep,
    DicomAssociation,
    Peer,
    ProposedContext,
    RequestorOptions,
    connect,
)
from pacs_sdk.network.dimse import Response, Status, StatusCategory, status_category

__all__ = ["Proposal", "ServiceUser", "check_status"]


@attrs.frozen
class Proposal:
    """What a service class user proposes for an operation (PS3.8 7.1.1)."""

    operation: str
    """The operation: "C-FIND"."""
    contexts: tuple[ProposedContext, ...]
    """The presentation contexts, in the order in which they are proposed."""
    options: RequestorOptions = attrs.field(factory=RequestorOptions)
    """What is negotiated beside them: an operations window, extended negotiation."""


@attrs.frozen
class ServiceUser:
    """Base of the service class users: who we are and how long we wait."""

    ae_title: str = "PACS_SCU"
    """Our own AE title."""
    timeouts: ClientTimeouts = attrs.field(
        default=attrs.Factory(lambda self: self.usual_timeouts(), takes_self=True)
    )
    """How long to wait for what; :meth:`usual_timeouts` by default."""
    logger: Logger = attrs.field(factory=NullLogger)
    """Where events are recorded."""
    clock: Clock = attrs.field(factory=SystemClock)
    """The time."""

    @staticmethod
    def usual_timeouts() -> ClientTimeouts:
        """Return how long it waits unless it is told otherwise."""
        return ClientTimeouts()

    def _connect(
        self,
        peer: Peer,
        proposal: Proposal,
        on_step: Callable[[ConnectStep], object] | None = None,
    ) -> DicomAssociation:
        """Open an association, or raise what hindered it."""
        return raised(
            connect(
                peer,
                self.ae_title,
                proposal.contexts,
                timeouts=self.timeouts,
                options=proposal.options,
                logger=self.logger,
                clock=self.clock,
                on_step=on_step,
            )
        )


def check_status(response: Response, code: ErrorCode, operation: str) -> None:
    """Raise ``code`` unless a final response says success or warning.

    Args:
        response: The final response.
        code: The error to report.
        operation: What was asked for, for the message ("C-FIND").
    """
    if status_category(response.status) in (StatusCategory.SUCCESS, StatusCategory.WARNING):
        return
    if response.status == Status.CANCEL:
        raise PacsException(ErrorCode.CANCELLED, f"the {operation} was cancelled")
    comment = f": {response.error_comment}" if response.error_comment else ""
    details: dict[str, Detail] = {"status": response.status}
    offending = getattr(response, "offending_element", ())
    if offending:
        details["offending_elements"] = tuple(str(DicomTag(tag)) for tag in offending)
        names = ", ".join(DicomTag(tag).keyword or str(DicomTag(tag)) for tag in offending)
        comment += f" ({names})"
    raise PacsException(
        code,
        f"the peer answered the {operation} with status {response.status:04X}H{comment}",
        **details,
    )

"""How instances are sent: what a :class:`~pacs_sdk.services.StorageScu` is set to."""

from __future__ import annotations

import attrs

from pacs_sdk.core.ports import Clock, Logger
from pacs_sdk.encoding import EncodeOptions
from pacs_sdk.network import ClientTimeouts, Peer, RetryPolicy
from pacs_sdk.services.reencode import TranscodePolicy

__all__ = ["SendSettings"]


@attrs.frozen
class SendSettings:
    """Whom to send to, and how."""

    peer: Peer
    """Where to."""
    ae_title: str
    """Our own AE title."""
    timeouts: ClientTimeouts
    """How long to wait for what."""
    logger: Logger
    """Where events are recorded."""
    clock: Clock
    """The time."""
    transcode: TranscodePolicy
    """What may be done to what the peer does not take as it is."""
    preferred: tuple[str, ...]
    """The UIDs of the transfer syntaxes to send in, if the peer takes them."""
    options: EncodeOptions
    """How it is compressed where that loses something."""
    parallel: int
    """The most associations at a time."""
    window: int
    """How many operations ahead of their answers are asked for."""
    retry: RetryPolicy
    """How often an instance, and an association, is tried."""
    look_ahead: int
    """How many instances are opened before they are sent."""

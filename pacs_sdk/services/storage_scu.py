"""Storage, sending side (PS3.4 Annex B)."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding import EncodeOptions
from pacs_sdk.network import Peer, RetryPolicy
from pacs_sdk.services.reencode import TranscodePolicy, checked_preference
from pacs_sdk.services.scu import ServiceUser
from pacs_sdk.services.sending.delivery import deliver
from pacs_sdk.services.sending.ledger import Ledger
from pacs_sdk.services.sending.outcomes import StoreOutcome, StoreReport
from pacs_sdk.services.sending.resume_list import ResumeList
from pacs_sdk.services.sending.settings import SendSettings
from pacs_sdk.services.sending.sources import StoreSource, found_in

__all__ = ["StorageScu"]

_MOST_PARALLEL: Final = 256
"""More associations than this are a mistake: a server allows some 20."""

_ONCE: Final = RetryPolicy(attempts=1)


def _between(least: int, most: int) -> Callable[[object, attrs.Attribute[Any], int], None]:
    def check(_: object, attribute: attrs.Attribute[Any], value: int) -> None:
        if not least <= value <= most:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{attribute.name} is {value}, it has to be from {least} to {most}",
                field=attribute.name,
            )

    return check


def _tuple(names: Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


@attrs.frozen
class StorageScu(ServiceUser):
    """Sends instances to a peer.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for a number out of its range, or for a transfer
            syntax to send in that the policy ``transcode`` doesn't allow;
            ``UNSUPPORTED_TRANSFER_SYNTAX`` for what is none.
    """

    transcode: TranscodePolicy = attrs.field(
        default=TranscodePolicy.AUTO, converter=TranscodePolicy
    )
    """What may be done to an instance whose transfer syntax the peer refuses."""
    encode_options: EncodeOptions = attrs.field(factory=EncodeOptions, kw_only=True)
    """How it is compressed, where that is allowed to lose something."""
    transfer_syntaxes: tuple[str, ...] = attrs.field(default=(), kw_only=True, converter=_tuple)
    """The transfer syntaxes to send in where the peer takes one of them, preferred first, as
    UIDs or keywords: images are then re-encoded before they go over a slow line. As they are
    stored by default."""
    parallel: int = attrs.field(default=1, kw_only=True, validator=_between(1, _MOST_PARALLEL))
    """How many associations send at the same time, at most."""
    window: int = attrs.field(default=1, kw_only=True, validator=_between(1, 0xFFFF))
    """How many instances may be under way on one association before the first is answered, if
    the peer agrees to that (PS3.7 D.3.3.3). What pays off where the way to it is long."""
    retry: RetryPolicy = attrs.field(default=_ONCE, kw_only=True)
    """How often an association is tried, and an instance that was not taken for a reason that
    may pass: a lost connection, or the statuses A7xxH, 0110H and 0213H. Instances are tried
    again when all others have had their turn."""
    look_ahead: int = attrs.field(default=256, kw_only=True, validator=_between(1, 1 << 20))
    """How many instances are opened before they are sent, to see which presentation contexts
    they need. With 1, each goes out as soon as it is there."""

    def __attrs_post_init__(self) -> None:
        checked_preference(self.transfer_syntaxes, self.transcode)

    @edge()
    def store(
        self,
        peer: Peer,
        sources: StoreSource | Iterable[StoreSource],
        on_outcome: Callable[[StoreOutcome], object] | None = None,
        *,
        resume: str | os.PathLike[str] | None = None,
        stop: threading.Event | None = None,
    ) -> StoreReport:
        """Send instances (PS3.4 B.2), over as many associations as they need.

        Presentation contexts are those of the instances, each SOP class with the transfer
        syntaxes that they are stored in and, by the policy ``transcode``, others that they
        may be re-encoded in. Where an association has no room for all (PS3.8 9.3.2.2: 128),
        more are opened one after another. Stored bytes are sent from where they lie.

        What cannot be sent, is refused, or was under way when the connection was lost has an
        outcome like all others; after a lost connection the rest goes over a new association.

        Args:
            peer: Where to.
            sources: What to send: instances, data sets, files, folders with all files in
                them, or an iterable of these, such as what ``Archive.instances`` finds. It is
                read while others are sent, with ``parallel`` in several threads, one at a
                time; only references are held, not the bytes.
            on_outcome: Called after each instance, for progress; by one thread at a time, in
                the order in which they end.
            resume: A file that records what the peer has acknowledged; made if need be. What
                it has already (the same SOP Instance UID, as many bytes) is not sent again.
            stop: Set, by another thread or ``on_outcome``, it ends the sending after the
                instances under way.

        Returns:
            ``Success`` with what became of each instance, failures included. Where ``stop``
            was set, what was not looked at yet has no outcome. Or ``Failure`` when nothing
            could be sent: ``STORE_NOTHING_TO_SEND``; without any association what
            :func:`pacs_sdk.network.connect` gives; ``INVALID_ARGUMENT`` for a
            resume list of another peer, or for what is no source, where only what was given
            before it has been sent; ``FILE_READ_FAILED``, ``FILE_WRITE_FAILED`` for the
            resume list.
        """
        with contextlib.ExitStack() as stack:
            acknowledged = None
            if resume is not None:
                acknowledged = stack.enter_context(ResumeList(resume, peer))
            ledger = Ledger(on_outcome, acknowledged, self.logger)
            items = ledger.to_send(found_in(sources))
            deliver(items, self._settings(peer), ledger, stop or threading.Event())
        if ledger.is_empty:
            raise PacsException(ErrorCode.STORE_NOTHING_TO_SEND, "there is nothing to send")
        return ledger.report()

    def _settings(self, peer: Peer) -> SendSettings:
        return SendSettings(
            peer=peer,
            ae_title=self.ae_title,
            timeouts=self.timeouts,
            logger=self.logger,
            clock=self.clock,
            transcode=self.transcode,
            preferred=checked_preference(self.transfer_syntaxes, self.transcode),
            options=self.encode_options,
            parallel=self.parallel,
            window=self.window,
            retry=self.retry,
            look_ahead=self.look_ahead,
        )

"""A whole delivery: senders side by side, and further rounds for what failed."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Iterable, Sequence

from pacs_sdk.core.errors import PacsError, PacsException
from pacs_sdk.services.reencode import proposed_contexts
from pacs_sdk.services.sending.attempts import CANCELLED
from pacs_sdk.services.sending.ledger import Ledger, not_sent
from pacs_sdk.services.sending.outcomes import StoreOutcome
from pacs_sdk.services.sending.sender import Sender
from pacs_sdk.services.sending.settings import SendSettings
from pacs_sdk.services.sending.sources import Item
from pacs_sdk.services.sending.work import Batch, Work

__all__ = ["deliver"]


def deliver(
    items: Iterable[Item], settings: SendSettings, ledger: Ledger, stop: threading.Event
) -> None:
    """Send every item and see to it that each has an outcome.

    Args:
        items: What to send.
        settings: Whom to, and how.
        ledger: Who is told of each outcome.
        stop: Set to end after what is under way.

    Raises:
        PacsException: No association could be established at all.
        Exception: What the items raised; what they had given before has been sent.
    """
    propose = functools.partial(
        proposed_contexts, policy=settings.transcode, preferred=settings.preferred
    )
    delays = settings.retry.delays()
    aside: list[tuple[Item, StoreOutcome]] = []
    while True:
        work = Work(items, propose, settings.look_ahead)
        refused = _round(work, settings, ledger, stop)
        work.close()
        work.check_source()
        unsent = work.returned()
        aside.extend(ledger.aside())
        if stop.is_set():
            _give_up(unsent, CANCELLED, ledger)
            break
        if refused is not None:
            if not ledger.has_connected:
                raise PacsException.of(refused)
            _give_up(itertools.chain(unsent, work.unread()), refused, ledger)
            break
        if unsent:  # of a sender that gave up when the others had ended already
            items = unsent
            continue
        delay_s = next(delays, None)
        if not aside or delay_s is None or stop.wait(delay_s):
            break
        items, aside = [item for item, _ in aside], []
    for item, outcome in aside:
        ledger.settle(item.number, outcome)


def _give_up(items: Iterable[Item], error: PacsError, ledger: Ledger) -> None:
    for item in items:
        ledger.settle(item.number, not_sent(item, error))


def _round(
    work: Work, settings: SendSettings, ledger: Ledger, stop: threading.Event
) -> PacsError | None:
    """Send all that can be sent.

    Returns:
        Why every sender gave up; ``None`` if one of them came to the end.
    """
    if work.batch() is None:
        return None
    senders = [Sender(settings, ledger, stop) for _ in range(settings.parallel)]
    if len(senders) == 1:
        senders[0].run(work)
    else:
        senders = _run_side_by_side(senders, work)
    errors = [sender.error for sender in senders if sender.error is not None]
    return errors[0] if len(errors) == len(senders) else None


def _run_side_by_side(senders: Sequence[Sender], work: Work) -> list[Sender]:
    """Run senders in threads of their own, as many as have something to send; wait for them."""
    crashes: list[BaseException] = []
    threads: list[threading.Thread] = []

    def run(sender: Sender, first: tuple[Batch, Item]) -> None:
        try:
            sender.run(work, first)
        except BaseException as exc:  # noqa: BLE001  # raised again in the thread that waits
            crashes.append(exc)
            work.close()

    def start(first: tuple[Batch, Item]) -> None:
        # Daemons, so that Ctrl-C need not wait for a peer.
        sender = senders[len(threads)]
        threads.append(threading.Thread(target=run, args=(sender, first), daemon=True))
        threads[-1].start()

    try:
        # Each has its first item from the beginning, so that none opens an association for
        # nothing. What has been read is shared out before the first can take it all.
        ready = [_first(work) for _ in range(min(len(senders), work.ready))]
        for first in filter(None, ready):
            start(first)
        while len(threads) < len(senders) and (further := _first(work)) is not None:
            start(further)
        for thread in threads:
            thread.join()
    finally:
        work.close()
    if crashes:
        raise crashes[0]
    return list(senders[: len(threads)])


def _first(work: Work) -> tuple[Batch, Item] | None:
    """Take an item for a sender that has none yet; it is waited for if the source is slow.

    If the peer refuses the sender, those that were accepted send the item; they wait for it.
    """
    while (batch := work.batch()) is not None:
        item = batch.take()
        if item is not None:  # else another sender was faster
            work.hold()
            return batch, item
    return None

"""One sender: an association after another, as long as there is work and the peer is there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Final, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success, raised
from pacs_sdk.encoding import Instance
from pacs_sdk.network import (
    DicomAssociation,
    Operation,
    Performed,
    ProposedContext,
    RequestorOptions,
    connect,
)
from pacs_sdk.network.dimse import CStoreRQ
from pacs_sdk.services.sending.attempts import Attempts, is_worth_another, status_may_pass
from pacs_sdk.services.sending.ledger import Ledger, not_sent
from pacs_sdk.services.sending.outcomes import StoreOutcome
from pacs_sdk.services.sending.preparation import Preparation, Ready
from pacs_sdk.services.sending.settings import SendSettings
from pacs_sdk.services.sending.sources import Item
from pacs_sdk.services.sending.work import MAX_CONTEXTS, Batch, Work

__all__ = ["Sender"]

_PAUSE_S: Final = 0.2
"""Where there was nothing to send for so long, the association is looked at before it is used."""


@attrs.define
class _Next:
    """An item that was taken and is not sent yet."""

    item: Item
    """What is to be sent."""
    batch: Batch
    """What it was taken from."""
    ready: PacsResult[Ready] | None = None
    """How it is sent, or why it can't be; ``None`` until this association has been asked."""


@attrs.frozen
class _UnderWay:
    """An item that was sent and is not answered."""

    item: Item
    """What was to be sent."""
    sent: Instance
    """What is sent in its place: itself, unless it had to be re-encoded."""
    since: float
    """When it began, by the clock's monotonic time."""


_Sent: TypeAlias = Performed[_UnderWay]


class Sender:
    """Sends what it takes from the work, in the thread that runs it.

    Args:
        settings: Whom to, and how.
        ledger: Who is told of each outcome.
        stop: Set to end after what is under way.
    """

    def __init__(self, settings: SendSettings, ledger: Ledger, stop: threading.Event) -> None:
        self.error: PacsError | None = None
        """Why it gave up; ``None`` unless it did."""
        self._settings = settings
        self._ledger = ledger
        self._stop = stop
        self._batch: Batch | None = None
        self._next: _Next | None = None
        self._preparing_s = 0.0
        self._association: DicomAssociation | None = None
        self._offered: frozenset[ProposedContext] = frozenset()
        self._under_way: dict[int, _UnderWay] = {}
        self._attempts = Attempts(settings.retry, stop)
        self._is_fruitful = False
        self._holds = False

    def run(self, work: Work, first: tuple[Batch, Item] | None = None) -> None:
        """Send until there is nothing left, or the peer cannot be reached any more.

        Args:
            work: What there is to send.
            first: What was taken for this sender already, and is held by it.
        """
        batch: Batch | None = None
        if first is not None:
            batch, item = first
            self._next, self._holds = _Next(item, batch), True
        try:
            while not self._stop.is_set() and (batch := batch or work.batch(wait=True)) is not None:
                batch = self._send(batch, work)
            self._leave()
        except PacsException as exc:
            self.error = exc.error
        finally:
            if self._next is not None:
                work.give_back(self._next.batch, self._next.item)
            self._let_go(work)
            self._drop()

    # -- a batch ---------------------------------------------------------------------------

    def _send(self, batch: Batch, work: Work) -> Batch | None:
        """Send a batch, and what comes after it as long as the association has contexts for it.

        Returns:
            The batch to go on with, if that was not to the end.
        """
        association = self._association_for(batch.contexts)
        self._let_go(work)
        preparation = Preparation(association, self._settings)
        operations = self._operations(batch, work, association, preparation)
        performed = association.pipelined(
            operations, meanwhile=lambda: self._use_the_wait(work, preparation)
        )
        try:
            with contextlib.closing(performed):
                for one in performed:
                    self._answered(one)
        except PacsException as exc:
            self._lost(exc.error)
        return None if self._next is None else self._next.batch

    def _operations(
        self,
        batch: Batch | None,
        work: Work,
        association: DicomAssociation,
        preparation: Preparation,
    ) -> Iterator[Operation[_UnderWay]]:
        now = self._settings.clock.monotonic
        waited_since, self._preparing_s = now(), 0.0
        while batch is not None and self._is_offered(batch.contexts):
            self._batch = batch
            while (following := self._following()) is not None:
                if now() - waited_since + self._preparing_s > _PAUSE_S and not self._under_way:
                    # The peer may have given up waiting; who looks must not be in the middle.
                    return
                self._next, item = None, following.item
                match following.ready or preparation.of(item.instance):
                    case Failure(error):
                        self._ledger.settle(item.number, not_sent(item, error))
                    case Success(ready):
                        message_id = association.next_message_id()
                        item.attempts += 1
                        under_way = _UnderWay(item, ready.sent, now())
                        self._under_way[message_id] = under_way
                        request = CStoreRQ(
                            message_id, ready.sent.sop_class_uid, ready.sent.sop_instance_uid
                        )
                        yield Operation(under_way, ready.context.context_id, request, ready.data)
                        waited_since = now()
            batch = None if self._stop.is_set() else work.batch()

    def _is_offered(self, contexts: tuple[ProposedContext, ...]) -> bool:
        return self._offered.issuperset(contexts)

    def _following(self) -> _Next | None:
        """Return what is sent next, if there is something, and sending goes on."""
        if self._stop.is_set():
            return None
        if self._next is None and self._batch is not None:
            item = self._batch.take()
            self._next = None if item is None else _Next(item, self._batch)
        return self._next

    def _use_the_wait(self, work: Work, preparation: Preparation) -> None:
        """Prepare what is sent next, and read on, while the peer works at what it has."""
        now = self._settings.clock.monotonic
        began = now()
        following = self._following()
        if following is not None and following.ready is None:
            # A bug shows when its turn has come: what is under way is to be answered first.
            with contextlib.suppress(Exception):
                following.ready = preparation.of(following.item.instance)
        if not self._stop.is_set():
            work.read_on(self._settings.parallel * (len(self._under_way) + 1))
        self._preparing_s = now() - began

    def _let_go(self, work: Work) -> None:
        """Tell the others that they need not wait any more for what this one may give back."""
        if self._holds:
            self._holds = False
            work.let_go()

    # -- an instance -----------------------------------------------------------------------

    def _answered(self, performed: _Sent) -> None:
        if not self._is_fruitful:
            self._is_fruitful = True
            self._attempts.succeeded()
        response, under_way = performed.response, performed.operation.key
        del self._under_way[performed.operation.request.message_id]
        item, sent = under_way.item, under_way.sent
        outcome = StoreOutcome(
            item.instance.sop_instance_uid,
            item.instance.size,
            response.status,
            response.error_comment,
            source=item.source,
            transfer_syntax_uid=sent.transfer_syntax_uid,
            was_reencoded=sent is not item.instance,
            sent_sop_instance_uid=sent.sop_instance_uid,
            offending_elements=response.offending_element,
            duration_s=self._settings.clock.monotonic() - under_way.since,
            attempts=item.attempts,
        )
        mistake = performed.mistake
        if outcome.is_stored and mistake:
            outcome = attrs.evolve(
                outcome, status=None, comment=mistake, error=ErrorCode.INVALID_DIMSE_MESSAGE
            )
        if outcome.is_stored or not status_may_pass(response.status):
            self._ledger.settle(item.number, outcome)
        else:
            self._settle_or_set_aside(item, outcome)

    def _settle_or_set_aside(self, item: Item, outcome: StoreOutcome) -> None:
        if item.attempts < self._settings.retry.attempts:
            self._ledger.set_aside(item, outcome)
        else:
            self._ledger.settle(item.number, outcome)

    # -- the association -------------------------------------------------------------------

    def _association_for(self, contexts: tuple[ProposedContext, ...]) -> DicomAssociation:
        """Return one that offers these contexts: that which is open, or a new one.

        Raises:
            PacsException: Why there is none, after as many attempts as there may be.
        """
        open_one = self._association
        if open_one is not None and self._is_offered(contexts) and open_one.is_alive():
            return open_one
        self._leave()
        together = tuple(dict.fromkeys((*contexts, *self._offered)))
        wanted = together if len(together) <= MAX_CONTEXTS else contexts
        settings = self._settings
        while True:
            opened = connect(
                settings.peer,
                settings.ae_title,
                wanted,
                timeouts=settings.timeouts,
                options=RequestorOptions(max_operations_invoked=settings.window),
                logger=settings.logger,
                clock=settings.clock,
            )
            if not isinstance(opened, Failure):
                break
            self._attempts.failed(opened.failure())
        self._association, self._is_fruitful = raised(opened), False
        self._offered = frozenset(wanted)
        if self._next is not None:
            self._next.ready = None
        self._ledger.has_connected = True
        return self._association

    def _lost(self, error: PacsError) -> None:
        """Go on after the end of an association, or give up where it is the last of too many."""
        self._drop()
        lost, self._under_way = list(self._under_way.values()), {}
        for under_way in lost:
            outcome = not_sent(under_way.item, error)
            if is_worth_another(error):
                self._settle_or_set_aside(under_way.item, outcome)
            else:
                self._ledger.settle(under_way.item.number, outcome)
        self._settings.logger.warning(
            "association-lost", reason=error.message, unanswered=len(lost)
        )
        if not self._is_fruitful:
            self._attempts.failed(error)

    def _leave(self) -> None:
        if self._association is not None:
            self._association.release()
            self._association = None

    def _drop(self) -> None:
        if self._association is not None:
            self._association.abort()
            self._association = None

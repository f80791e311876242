"""One sender: an association after another, as long as there is work and the peer is there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Final, TypeAlias

import attrs

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, raised
from pacs_sdk.encoding import Instance
from pacs_sdk.network import (
    AcceptedContext,
    DicomAssociation,
    Operation,
    Performed,
    ProposedContext,
    RequestorOptions,
    connect,
)
from pacs_sdk.network.dimse import CStoreRQ
from pacs_sdk.services.reencode import reencoded, usable_contexts
from pacs_sdk.services.sending.attempts import Attempts, is_worth_another, status_may_pass
from pacs_sdk.services.sending.ledger import Ledger, not_sent
from pacs_sdk.services.sending.outcomes import StoreOutcome
from pacs_sdk.services.sending.settings import SendSettings
from pacs_sdk.services.sending.sources import Item
from pacs_sdk.services.sending.work import MAX_CONTEXTS, Batch, Work
from pacs_sdk.services.sop_classes import sop_class_name

__all__ = ["Sender"]

_PAUSE_S: Final = 0.2
"""Where there was nothing to send for so long, the association is looked at before it is used."""


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
        self._held: Item | None = None
        self._batch_of_held: Batch | None = None
        self._association: DicomAssociation | None = None
        self._offered: frozenset[ProposedContext] = frozenset()
        self._contexts: dict[tuple[str, str], tuple[AcceptedContext, ...]] = {}
        self._under_way: dict[int, _UnderWay] = {}
        self._attempts = Attempts(settings.retry, stop)
        self._is_fruitful = False

    def run(self, work: Work, first: tuple[Batch, Item] | None = None) -> None:
        """Send until there is nothing left, or the peer cannot be reached any more.

        Args:
            work: What there is to send.
            first: What was taken for this sender already.
        """
        batch: Batch | None = None
        if first is not None:
            batch, self._held = first
            self._batch_of_held = batch
        try:
            while not self._stop.is_set() and (batch := batch or work.batch()) is not None:
                batch = self._send(batch, work)
            self._leave()
        except PacsException as exc:
            self.error = exc.error
        finally:
            if self._held is not None:
                work.give_back([self._held])
            self._drop()

    # -- a batch ---------------------------------------------------------------------------

    def _send(self, batch: Batch, work: Work) -> Batch | None:
        """Send a batch, and what comes after it as long as the association has contexts for it.

        Returns:
            The batch to go on with, if that was not to the end.
        """
        association = self._association_for(batch.contexts)
        operations = self._operations(batch, work, association)
        try:
            with contextlib.closing(association.pipelined(operations)) as performed:
                for one in performed:
                    self._answered(one)
        except PacsException as exc:
            self._lost(exc.error)
        return self._batch_of_held if self._held is not None else None

    def _operations(
        self, batch: Batch | None, work: Work, association: DicomAssociation
    ) -> Iterator[Operation[_UnderWay]]:
        now = self._settings.clock.monotonic
        waited_since = now()
        while batch is not None and self._is_offered(batch.contexts):
            while (item := self._taken(batch)) is not None:
                if now() - waited_since > _PAUSE_S and not self._under_way:
                    # The peer may have given up waiting; who looks must not be in the middle.
                    self._held, self._batch_of_held = item, batch
                    return
                try:
                    context, sent, data = self._prepared(item, association)
                except PacsException as exc:
                    self._ledger.settle(item.number, not_sent(item, exc.error))
                    continue
                message_id = association.next_message_id()
                item.attempts += 1
                under_way = _UnderWay(item, sent, now())
                self._under_way[message_id] = under_way
                request = CStoreRQ(message_id, sent.sop_class_uid, sent.sop_instance_uid)
                yield Operation(under_way, context.context_id, request, data)
                waited_since = now()
            batch = None if self._stop.is_set() else work.batch()

    def _is_offered(self, contexts: tuple[ProposedContext, ...]) -> bool:
        return self._offered.issuperset(contexts)

    def _taken(self, batch: Batch) -> Item | None:
        if self._stop.is_set():
            return None
        if self._held is None:
            return batch.take()
        item, self._held = self._held, None
        return item

    # -- an instance -----------------------------------------------------------------------

    def _prepared(
        self, item: Item, association: DicomAssociation
    ) -> tuple[AcceptedContext, Instance, ByteSource]:
        """Choose the context to send an instance in, re-encoded if it must be."""
        instance = item.instance
        failed = ""
        for context in self._usable(instance, association):
            if context.transfer_syntax == instance.transfer_syntax_uid:
                return context, instance, _read(instance)
            try:
                sent = reencoded(instance, context.transfer_syntax, self._settings.options)
            except PacsException as exc:
                failed = failed or f"; it cannot be re-encoded: {exc.error.message}"
                continue
            return context, sent, _read(sent)
        refusal = association.context_for(
            instance.sop_class_uid,
            instance.transfer_syntax_uid,
            sop_class_name(instance.sop_class_uid),
        )
        error = refusal.failure()
        raise PacsException(error.code, error.message + failed, **error.details)

    def _usable(
        self, instance: Instance, association: DicomAssociation
    ) -> tuple[AcceptedContext, ...]:
        kind = (instance.sop_class_uid, instance.transfer_syntax_uid)
        contexts = self._contexts.get(kind)
        if contexts is None:
            policy, preferred = self._settings.transcode, self._settings.preferred
            contexts = usable_contexts(association.contexts, *kind, policy, preferred)
            self._contexts[kind] = contexts
        return contexts

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
        self._contexts.clear()
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


def _read(instance: Instance) -> ByteSource:
    """Read or map the bytes before anything of the message is sent.

    Raises:
        PacsException: They cannot be read.
    """
    try:
        return MemoryBytes(instance.encoded.view())
    except OSError as exc:
        raise PacsException(
            ErrorCode.FILE_READ_FAILED, f"the instance cannot be read: {exc.strerror or exc}"
        ) from exc

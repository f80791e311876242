"""Sending instances to a destination, over one association or several at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import attrs

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.encoding import Instance
from pacs_sdk.network import AssociationPool, DicomAssociation, Operation
from pacs_sdk.network.dimse import CStoreRQ
from pacs_sdk.services.retrieve.destinations import Destination, is_ae_title
from pacs_sdk.services.retrieve.outgoing import ContextChoice, ReadAhead
from pacs_sdk.services.retrieve.proposals import Batch, batches

__all__ = ["Delivery", "MoveOriginator", "Sent"]

_ACQUIRE_TIMEOUT_S: Final = 300.0
"""How long to wait while other C-MOVEs use all associations with a destination."""

_ATTEMPTS: Final = 2
"""How often an instance is sent over associations that break before it is answered: one that
lay idle in the pool may have gone without a word."""

_GIVEN_UP_IN_A_ROW: Final = 2
"""How often that may happen before nothing more is sent: one instance may be what a destination
cannot digest, but one that breaks off at the next, too, takes none."""

_BUG: Final = "the sub-operations ended unexpectedly; the server's log says why"


def _title_to_tell(title: str) -> str:
    """Leave out a title that no C-STORE can have, as is allowed (PS3.7 9.1.1.1).

    A server takes peers by whatever name they give.
    """
    return title if is_ae_title(title) else ""


@attrs.frozen
class MoveOriginator:
    """Who asked for a C-MOVE, as its sub-operations tell it (PS3.7 9.1.1.1)."""

    calling_ae_title: str
    """Who we say we are to the destination."""
    ae_title: str = attrs.field(converter=_title_to_tell)
    """Move Originator Application Entity Title: who asked; empty where that is no AE title."""
    message_id: int
    """Move Originator Message ID: that of the C-MOVE."""
    priority: int
    """The priority of the C-MOVE."""


@attrs.frozen
class Sent:
    """What became of one instance."""

    sop_instance_uid: str
    """The instance."""
    status: int | None
    """The destination's answer; ``None`` where it was not sent, or not answered for."""
    reason: str = ""
    """Why it failed, in words."""


class Delivery:
    """Sends instances in threads of its own, and tells what became of each.

    It is used by one thread: :meth:`begin`, then :meth:`wait` until :attr:`is_over`, and at
    last :meth:`stop` or :meth:`break_off` in any case.

    Args:
        instances: What to send.
        destination: Where to.
        originator: What each C-STORE says of its C-MOVE.
        pool: Where the associations come from.
        logger: Where events are recorded.
    """

    def __init__(
        self,
        instances: Sequence[Instance],
        destination: Destination,
        originator: MoveOriginator,
        pool: AssociationPool[DicomAssociation],
        logger: Logger,
    ) -> None:
        self._destination = destination
        self._originator = originator
        self._pool = pool
        self._logger = logger.bind(destination=destination.ae_title)
        self._batches = [
            (batch, deque(batch.instances))
            for batch in batches(instances, destination.transfer_syntaxes)
        ]
        self._count = len(instances)
        self._changed = threading.Condition()
        self._news: list[Sent] = []
        self._running = 0
        self._stopped = False
        self._in_use: set[DicomAssociation] = set()

    def begin(self) -> None:
        """Start to send."""
        count = self._running = min(self._destination.parallel, self._count)
        for number in range(count):
            name = f"move-to-{self._destination.ae_title}-{number}"
            threading.Thread(target=self._run, name=name, daemon=True).start()

    def wait(self, timeout_s: float) -> list[Sent]:
        """Return what was sent in that time, or in less if it is over before."""
        with self._changed:
            if self._running:
                self._changed.wait(timeout_s)
            news, self._news = self._news, []
            return news

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come than what :meth:`wait` gives now."""
        with self._changed:
            # Who still waits for an association once all is stopped will send nothing over it.
            is_idle = not self._running or (self._stopped and not self._in_use)
            return is_idle and not self._news

    def stop(self) -> None:
        """Begin with no further instance; what is under way is still finished."""
        with self._changed:
            self._stopped = True

    def break_off(self) -> None:
        """End what is under way: nobody is left who wants to know of it."""
        self.stop()
        with self._changed:
            for association in self._in_use:
                association.break_off()

    # -- in the threads ----------------------------------------------------------------

    def _run(self) -> None:
        reason = _BUG
        try:
            for batch, waiting in self._batches:
                self._send_batch(batch, waiting)
        except PacsException as exc:
            reason = exc.error.message
            self._logger.warning("destination-failed", reason=reason)
        except Exception as exc:  # noqa: BLE001  # a bug must not leave the C-MOVE without an end
            self._logger.error("delivery-crashed", reason=repr(exc))
        finally:
            with self._changed:
                self._running -= 1
                if not self._running and not self._stopped:  # nobody is left to send the rest
                    for _, waiting in self._batches:
                        self._news.extend(
                            Sent(one.sop_instance_uid, None, reason) for one in waiting
                        )
                        waiting.clear()
                self._changed.notify_all()

    def _send_batch(self, batch: Batch, waiting: deque[Instance]) -> None:
        """Send instances until there are none, over a new association where one breaks.

        Raises:
            PacsException: No association can be had, or they break whatever is sent.
        """
        attempts = 0
        while waiting and not self._stopped:
            under_way: dict[str, Instance] = {}
            pooled = raised(
                self._pool.acquire(
                    self._destination.peer,
                    self._originator.calling_ae_title,
                    batch.contexts,
                    window=self._destination.window,
                    timeout_s=_ACQUIRE_TIMEOUT_S,
                )
            )
            try:
                with pooled as association, self._used(association):
                    for one in self._sent(association, waiting, under_way):
                        attempts = 0
                        self._report(one)
            except PacsException as exc:
                attempts += 1
                self._logger.warning("association-broke", reason=exc.error.message)
                if attempts % _ATTEMPTS:
                    waiting.extendleft(reversed(under_way.values()))
                    continue
                self._give_up(under_way, exc.error.message)
                if attempts == _ATTEMPTS * _GIVEN_UP_IN_A_ROW:
                    raise
            except Exception:
                self._give_up(under_way, _BUG)
                raise

    @contextmanager
    def _used(self, association: DicomAssociation) -> Iterator[None]:
        """Know of an association while something goes over it."""
        with self._changed:
            self._in_use.add(association)
        try:
            yield
        finally:
            with self._changed:
                self._in_use.discard(association)
                self._changed.notify_all()

    def _give_up(self, under_way: dict[str, Instance], reason: str) -> None:
        for uid in under_way:
            self._report(Sent(uid, None, reason))

    def _sent(
        self,
        association: DicomAssociation,
        waiting: deque[Instance],
        under_way: dict[str, Instance],
    ) -> Iterator[Sent]:
        contexts = ContextChoice(association.contexts, self._destination.transfer_syntaxes)
        ahead = ReadAhead(_taken(waiting), contexts)
        try:
            for performed in association.pipelined(
                self._operations(association, ahead, under_way), meanwhile=ahead.read
            ):
                uid, response = performed.operation.key, performed.response
                mistake = performed.mistake
                del under_way[uid]
                yield Sent(
                    uid, None if mistake else response.status, mistake or response.error_comment
                )
        finally:
            unread = ahead.put_back()
            if unread is not None:
                waiting.appendleft(unread)

    def _operations(
        self, association: DicomAssociation, ahead: ReadAhead, under_way: dict[str, Instance]
    ) -> Iterator[Operation[str]]:
        originator = self._originator
        while not self._stopped and ahead.has_more:
            instance, outcome = ahead.take()
            uid = instance.sop_instance_uid
            match outcome:
                case Success(ready):
                    under_way[uid] = instance
                    store = CStoreRQ(
                        association.next_message_id(),
                        instance.sop_class_uid,
                        uid,
                        originator.priority,
                        originator.ae_title,
                        originator.message_id,
                    )
                    yield Operation(uid, ready.context.context_id, store, ready.data)
                case Failure(error):
                    self._logger.warning(
                        "instance-not-sent", sop_instance_uid=uid, reason=error.message
                    )
                    self._report(Sent(uid, None, error.message))

    def _report(self, sent: Sent) -> None:
        with self._changed:
            self._news.append(sent)  # taken now and then: to wake somebody each time costs more


def _taken(waiting: deque[Instance]) -> Iterator[Instance]:
    """Take instances one by one, as long as there are some; several threads may do so."""
    while True:
        try:
            instance = waiting.popleft()
        except IndexError:
            return
        yield instance

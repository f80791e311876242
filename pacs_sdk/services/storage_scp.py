"""Storage, receiving side (PS3.4 Annex B)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import MetricSink, NullMetricSink
from pacs_sdk.core.results import PacsResult, raised
from pacs_sdk.core.uids import checked_uid
from pacs_sdk.encoding import Instance
from pacs_sdk.network import AcceptedContext, DataSink, Exchange, SupportedContext
from pacs_sdk.network.dimse import CStoreRQ, Message, Status, response_to
from pacs_sdk.services.receiving.checks import (
    HookFailed,
    asked,
    called,
    offending_elements,
    warned_of,
)
from pacs_sdk.services.receiving.syntaxes import TransferSyntaxPolicy
from pacs_sdk.services.receiving.verdicts import VERDICTS, AfterStore, BeforeStore, IncomingInstance
from pacs_sdk.services.sop_classes import storage_sop_classes

__all__ = ["ReceiveInstance", "StorageScp", "StoreInstance"]

_INSTANCE_UID: Final = "Affected SOP Instance UID"
_AS_SENT: Final = TransferSyntaxPolicy()

StoreInstance = Callable[[Instance], PacsResult[object]]
"""Keeps an instance: ``Archive.store``, or a vendor's own function.

A ``Success`` means that the instance is safe: only then is the sender told Success. A
``Failure`` gives the status by its code. The instance's bytes are valid during the
call only.
"""


ReceiveInstance = Callable[[str, str, str], DataSink | None]
"""Opens what an instance is written to while it arrives, given SOP Class UID, SOP Instance
UID and Transfer Syntax UID: ``Archive.receive``."""


def _nothing() -> None:
    """Do nothing after an answer."""


class StorageScp:
    """Receives instances and hands each to a function that keeps it.

    Hooks may look at an instance before it is stored, and refuse it, warn of it, or have
    something else stored; others are called when it is safe. One that raises a
    :class:`PacsException` gives its status; any other exception is logged, and the sender is told
    0110H. Then nothing is stored if it was a hook before storing; after storing, the sender is
    expected to send again, which an archive takes as a success.

    Args:
        store: What keeps an instance.
        receive: What takes an instance's bytes as they come; in memory, or in a spool file
            if it is long, by default.
        sop_classes: The SOP class UIDs to accept; every storage SOP class by default.
        metrics: Where counts go.
        transfer_syntaxes: In which transfer syntaxes they are taken; as sent by default.
        answered: Called after each answer, while the sender prepares what comes next.
        before_store: Hooks that are asked one after the other; the first that refuses ends it.
        after_store: Hooks that are called one after the other.
    """

    def __init__(  # noqa: PLR0913  # all but one are keywords with defaults
        self,
        store: StoreInstance,
        *,
        receive: ReceiveInstance | None = None,
        sop_classes: Sequence[str] | None = None,
        metrics: MetricSink | None = None,
        transfer_syntaxes: TransferSyntaxPolicy = _AS_SENT,
        answered: Callable[[], None] = _nothing,
        before_store: Sequence[BeforeStore] | BeforeStore = (),
        after_store: Sequence[AfterStore] | AfterStore = (),
    ) -> None:
        self._store = store
        self._receive = receive
        self._answered = answered
        self._sop_classes = (
            [sop_class.uid for sop_class in storage_sop_classes()]
            if sop_classes is None
            else list(sop_classes)
        )
        self._metrics = metrics or NullMetricSink()
        self._transfer_syntaxes = transfer_syntaxes
        self._before = (before_store,) if callable(before_store) else tuple(before_store)
        self._after = (after_store,) if callable(after_store) else tuple(after_store)

    @property
    def statuses(self) -> frozenset[int]:
        """What hooks before storing may have senders told, for a conformance statement."""
        return frozenset().union(*(getattr(hook, "statuses", VERDICTS) for hook in self._before))

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """List the storage SOP classes, each in every transfer syntax that is taken."""
        policy = self._transfer_syntaxes
        accepted = policy.accepted()
        return [
            SupportedContext(uid, accepted, preferred=policy.preferred) for uid in self._sop_classes
        ]

    def open_sink(self, context: AcceptedContext, message: Message) -> DataSink | None:
        """Open what takes the data set of a C-STORE request."""
        if self._receive is None or not isinstance(message, CStoreRQ):
            return None
        return self._receive(
            message.affected_sop_class_uid,
            checked_uid(message.affected_sop_instance_uid, _INSTANCE_UID),
            context.transfer_syntax,
        )

    def handle(self, exchange: Exchange) -> None:
        """Store one instance and answer when it is safe (PS3.4 B.2.3)."""
        request = exchange.request
        if not isinstance(request, CStoreRQ):
            exchange.respond_status(Status.UNRECOGNIZED_OPERATION)
            return
        try:
            self._received(exchange, request)
        except HookFailed as exc:
            exchange.logger.error("store-hook-failed", reason=str(exc))
            if not exchange.is_answered:
                exchange.respond_status(Status.PROCESSING_FAILURE, "a check of the receiver failed")
        except PacsException as exc:
            elements = offending_elements(exc.error)
            if exchange.is_answered or not elements:
                raise
            status, message = exc.error.code.dimse_status, exc.error.message
            exchange.logger.warning("request-failed", code=exc.error.code.name, reason=message)
            self._respond(exchange, request, status, message, elements)
        self._answered()

    def _received(self, exchange: Exchange, request: CStoreRQ) -> None:
        if exchange.data is None:
            raise PacsException(ErrorCode.STORE_FAILED, "the C-STORE request announced no data set")
        instance = Instance(
            sop_class_uid=request.affected_sop_class_uid,
            sop_instance_uid=checked_uid(request.affected_sop_instance_uid, _INSTANCE_UID),
            transfer_syntax_uid=exchange.context.transfer_syntax,
            encoded=exchange.data,
        )
        if self._before or self._after:
            self._checked(exchange, request, instance)
            return
        raised(self._store(instance))
        exchange.respond_status(Status.SUCCESS)
        self._count(instance)

    def _checked(self, exchange: Exchange, request: CStoreRQ, instance: Instance) -> None:
        """Store an instance as the hooks want it."""
        incoming = IncomingInstance(instance, exchange.association, request, exchange.logger)
        checked = asked(self._before, incoming)
        refusal, warning = checked.refusal, checked.warning
        if refusal is not None:
            exchange.logger.warning(
                "instance-refused", status=f"{refusal.status:04X}", reason=refusal.comment
            )
            self._metrics.increment("pacs_images_refused_total")
            self._respond(
                exchange, request, refusal.status, refusal.comment, refusal.offending_elements
            )
            return
        stored = raised(self._store(checked.instance))
        incoming = attrs.evolve(incoming, instance=checked.instance)
        for hook in self._after:
            called(hook, functools.partial(hook, incoming, stored))
        if warning is None:
            exchange.respond_status(Status.SUCCESS)
        else:
            self._respond(exchange, request, warning.status, warning.comment, warned_of(warning))
        self._count(checked.instance)

    def _respond(
        self,
        exchange: Exchange,
        request: CStoreRQ,
        status: int,
        comment: str,
        elements: tuple[int, ...],
    ) -> None:
        response = response_to(request, status, comment)
        exchange.respond(attrs.evolve(response, offending_element=elements))

    def _count(self, instance: Instance) -> None:
        self._metrics.increment("pacs_images_stored_total")
        self._metrics.increment("pacs_storage_bytes_total", instance.size)

"""Storage, receiving side (PS3.4 Annex B)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import MetricSink, NullMetricSink
from pacs_sdk.core.results import PacsResult, raised
from pacs_sdk.core.uids import checked_uid
from pacs_sdk.encoding import Instance, all_transfer_syntaxes
from pacs_sdk.network import AcceptedContext, DataSink, Exchange, SupportedContext
from pacs_sdk.network.dimse import CStoreRQ, Message, Status
from pacs_sdk.services.sop_classes import storage_sop_classes

__all__ = ["ReceiveInstance", "StorageScp", "StoreInstance"]

StoreInstance = Callable[[Instance], PacsResult[object]]
"""Keeps an instance: ``Archive.store``, or a vendor's own function.

A ``Success`` means that the instance is safe: only then is the sender told Success. A
``Failure`` gives the status by its code. The instance's bytes are valid during the
call only.
"""


ReceiveInstance = Callable[[str, str, str], DataSink | None]
"""Opens what an instance is written to while it arrives, given SOP Class UID, SOP Instance
UID and Transfer Syntax UID: ``Archive.receive``."""


class StorageScp:
    """Receives instances and hands each to a function that keeps it.

    Args:
        store: What keeps an instance.
        receive: What takes an instance's bytes as they come; in memory, or in a spool file
            if it is long, by default.
        sop_classes: The SOP class UIDs to accept; every storage SOP class by default.
        metrics: Where counts go.
    """

    def __init__(
        self,
        store: StoreInstance,
        *,
        receive: ReceiveInstance | None = None,
        sop_classes: Sequence[str] | None = None,
        metrics: MetricSink | None = None,
    ) -> None:
        self._store = store
        self._receive = receive
        self._sop_classes = (
            [sop_class.uid for sop_class in storage_sop_classes()]
            if sop_classes is None
            else list(sop_classes)
        )
        self._metrics = metrics or NullMetricSink()

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """List the storage SOP classes, each in every transfer syntax: nothing is decoded."""
        syntaxes = frozenset(syntax.uid for syntax in all_transfer_syntaxes())
        return [SupportedContext(uid, syntaxes) for uid in self._sop_classes]

    def open_sink(self, context: AcceptedContext, message: Message) -> DataSink | None:
        """Open what takes the data set of a C-STORE request."""
        if self._receive is None or not isinstance(message, CStoreRQ):
            return None
        return self._receive(
            message.affected_sop_class_uid,
            checked_uid(message.affected_sop_instance_uid, "Affected SOP Instance UID"),
            context.transfer_syntax,
        )

    def handle(self, exchange: Exchange) -> None:
        """Store one instance and answer when it is safe (PS3.4 B.2.3)."""
        request = exchange.request
        if not isinstance(request, CStoreRQ):
            exchange.respond_status(Status.UNRECOGNIZED_OPERATION)
            return
        if exchange.data is None:
            raise PacsException(ErrorCode.STORE_FAILED, "the C-STORE request announced no data set")
        instance = Instance(
            sop_class_uid=request.affected_sop_class_uid,
            sop_instance_uid=checked_uid(
                request.affected_sop_instance_uid, "Affected SOP Instance UID"
            ),
            transfer_syntax_uid=exchange.context.transfer_syntax,
            encoded=exchange.data,
        )
        raised(self._store(instance))
        exchange.respond_status(Status.SUCCESS)
        self._metrics.increment("pacs_images_stored_total")
        self._metrics.increment("pacs_storage_bytes_total", instance.size)

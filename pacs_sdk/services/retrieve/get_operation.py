"""Performing a C-GET: the instances go back on the association that asks (PS3.4 C.4.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacs_sdk.core.ports import Clock
from pacs_sdk.core.results import Failure, Success
from pacs_sdk.encoding import Instance
from pacs_sdk.network import Exchange, Operation
from pacs_sdk.network.dimse import CGetRQ, CStoreRQ
from pacs_sdk.services.retrieve.outgoing import ContextChoice, ReadAhead
from pacs_sdk.services.retrieve.tally import Tally

__all__ = ["perform_get"]


def perform_get(
    exchange: Exchange,
    request: CGetRQ,
    instances: Sequence[Instance],
    clock: Clock,
    *,
    bulk_data: bool = True,
) -> None:
    """Send instances as C-STORE sub-operations, and tell the counts meanwhile (PS3.7 9.1.3).

    Args:
        exchange: The request, and the means to answer it.
        request: Its command set.
        instances: What to send.
        clock: The time.
        bulk_data: Whether pixels and the like go with them.

    Raises:
        PacsException: What ended the association.
    """
    tally = Tally(exchange, request, clock, len(instances))
    contexts = ContextChoice(exchange.contexts_as_scu())
    cancelled = False

    ahead = ReadAhead(instances, contexts, bulk_data=bulk_data)

    def operations() -> Iterator[Operation[str]]:
        nonlocal cancelled
        while ahead.has_more:
            cancelled = exchange.is_cancelled()
            if cancelled:
                exchange.logger.info("retrieval-cancelled", remaining=tally.remaining)
                return
            instance, outcome = ahead.take()
            uid = instance.sop_instance_uid
            match outcome:
                case Success(ready):
                    store = CStoreRQ(
                        exchange.next_message_id(), instance.sop_class_uid, uid, request.priority
                    )
                    yield Operation(uid, ready.context.context_id, store, ready.data)
                case Failure(error):
                    exchange.logger.warning(
                        "instance-not-sent", sop_instance_uid=uid, reason=error.message
                    )
                    tally.count(uid, None, error.message)

    for performed in exchange.sub_operations(operations(), meanwhile=ahead.read):
        response, mistake = performed.response, performed.mistake
        tally.count(
            performed.operation.key,
            None if mistake else response.status,
            mistake or response.error_comment,
        )
        if tally.remaining:
            tally.tell()
    tally.finish(cancelled=cancelled)

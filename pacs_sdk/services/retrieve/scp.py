"""Retrieval, answering side: C-GET and C-MOVE (PS3.4 C.4.2, C.4.3, Annexes Y and Z)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.ports import Clock, Logger, MetricSink, SystemClock
from pacs_sdk.core.results import PacsResult, raised
from pacs_sdk.encoding import Instance, all_transfer_syntaxes
from pacs_sdk.network import (
    AssociationPool,
    ClientTimeouts,
    DicomAssociation,
    Exchange,
    Peer,
    PoolConfig,
    ProposedContext,
    RequestorOptions,
    SupportedContext,
    common_flags,
    connect,
)
from pacs_sdk.network.dimse import CGetRQ, CMoveRQ, Status
from pacs_sdk.services.query import IDENTIFIER_SYNTAXES, read_identifier
from pacs_sdk.services.retrieve.classes import RETRIEVE_CLASSES
from pacs_sdk.services.retrieve.delivery import Delivery, MoveOriginator
from pacs_sdk.services.retrieve.destinations import DestinationResolver
from pacs_sdk.services.retrieve.failures import ending_with
from pacs_sdk.services.retrieve.get_operation import perform_get
from pacs_sdk.services.retrieve.identifier import RELATIONAL, is_relational, retrieve_query
from pacs_sdk.services.retrieve.move_operation import perform_move
from pacs_sdk.services.sop_classes import storage_sop_classes
from pacs_sdk.storage import Archive, Query

__all__ = ["Moves", "RetrieveScp", "sub_operation_pool"]

_IDLE_S: Final = 2.0
"""How long an association with a destination is kept for the next C-MOVE. Some serve one peer
at a time, and let nobody else in meanwhile."""


def sub_operation_pool(
    timeouts: ClientTimeouts | None = None,
    config: PoolConfig | None = None,
    *,
    logger: Logger | None = None,
    clock: Clock | None = None,
    metrics: MetricSink | None = None,
) -> AssociationPool[DicomAssociation]:
    """Make a pool for the C-STORE sub-operations of C-MOVE.

    Args:
        timeouts: How long to wait for a destination.
        config: How many associations there may be, and for how long they are kept.
        logger: Where events are recorded.
        clock: The time.
        metrics: Where counts go.

    Returns:
        The pool. Who makes it has it looked after (``start_upkeep``) and closes it.
    """

    def opened(
        peer: Peer, calling_ae_title: str, contexts: Sequence[ProposedContext], window: int
    ) -> PacsResult[DicomAssociation]:
        return connect(
            peer,
            calling_ae_title,
            contexts,
            timeouts=timeouts,
            options=RequestorOptions(max_operations_invoked=window),
            logger=logger,
            clock=clock,
        )

    limits = config or PoolConfig(max_per_peer=8, max_idle_s=_IDLE_S)
    return AssociationPool(opened, limits, clock, logger, metrics)


@attrs.frozen
class Moves:
    """What a C-MOVE needs besides the instances."""

    destinations: DestinationResolver
    """Who may be sent to."""
    ae_title: str
    """What we call ourselves, unless a destination has another name for us."""
    pool: AssociationPool[DicomAssociation] | None = None
    """Where associations come from; if ``None`` each C-MOVE opens and releases its own."""


class RetrieveScp:
    """Sends what a C-GET asks for to who asks, and what a C-MOVE asks for to where it says.

    It performs the Patient Root, Study Root and Patient/Study Only models, Composite Instance
    Root Retrieve (whole instances) and Composite Instance Retrieve Without Bulk Data.

    Args:
        archive: Where the instances are.
        moves: How C-MOVE is performed; if ``None`` it is not, and its SOP classes are refused.
        always_relational: Whether the unique keys of the levels above may be missing though
            relational retrieval was not negotiated, as many clients have it; the standard
            would refuse that (A900H).
        clock: The time.
    """

    def __init__(
        self,
        archive: Archive,
        moves: Moves | None = None,
        *,
        always_relational: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._archive = archive
        self._moves = moves
        self._always_relational = always_relational
        self._clock = clock or SystemClock()

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """List the models, and every storage SOP class in the role of its user."""
        syntaxes = frozenset(syntax.uid for syntax in all_transfer_syntaxes())
        return [
            *(
                SupportedContext(
                    one.uid,
                    IDENTIFIER_SYNTAXES,
                    extended=common_flags(RELATIONAL) if one.has_hierarchy else None,
                )
                for one in RETRIEVE_CLASSES.values()
                if self._moves is not None or not one.is_move
            ),
            *(
                SupportedContext(sop_class.uid, syntaxes, as_scp=False, as_scu=True)
                for sop_class in storage_sop_classes()
            ),
        ]

    def handle(self, exchange: Exchange) -> None:
        """Carry out a C-GET or C-MOVE.

        Raises:
            PacsException: ``RETRIEVE_INVALID_IDENTIFIER`` (A900H), ``RETRIEVE_MATCHES_UNKNOWN``
                (A701H) where the index cannot be read, ``MOVE_DESTINATION_UNKNOWN`` (A801H),
                ``RETRIEVE_SUBOPERATIONS_FAILED`` (A702H) where a destination cannot be looked
                up; or what ended the association. What cannot be read or sent of the instances
                is counted, and the answer's status follows from the counts.
        """
        request = exchange.request
        if not isinstance(request, CGetRQ | CMoveRQ):
            exchange.respond_status(Status.UNRECOGNIZED_OPERATION)
            return
        sop_class = RETRIEVE_CLASSES[request.affected_sop_class_uid]
        if sop_class.is_move != isinstance(request, CMoveRQ):
            exchange.respond_status(Status.UNRECOGNIZED_OPERATION)
            return
        identifier = read_identifier(exchange, ErrorCode.RETRIEVE_INVALID_IDENTIFIER)
        agreed = exchange.association.extended.get(sop_class.uid)
        relational = self._always_relational or is_relational(agreed)
        query = retrieve_query(identifier, sop_class, relational=relational)
        if isinstance(request, CMoveRQ):
            self._move(exchange, request, query)
        else:
            instances = self._found(query)
            with ending_with(ErrorCode.RETRIEVE_SUBOPERATIONS_FAILED):
                perform_get(
                    exchange,
                    request,
                    instances,
                    self._clock,
                    bulk_data=not sop_class.without_bulk_data,
                )

    def _found(self, query: Query) -> tuple[Instance, ...]:
        with ending_with(ErrorCode.RETRIEVE_MATCHES_UNKNOWN):
            return tuple(raised(self._archive.instances(query)))

    def _move(self, exchange: Exchange, request: CMoveRQ, query: Query) -> None:
        moves = self._moves
        if moves is None:  # its contexts are refused
            exchange.respond_status(Status.SOP_CLASS_NOT_SUPPORTED)
            return
        with ending_with(ErrorCode.RETRIEVE_SUBOPERATIONS_FAILED):
            destination = raised(moves.destinations(request.move_destination))
        instances = self._found(query)
        originator = MoveOriginator(
            destination.calling_ae_title or moves.ae_title,
            exchange.association.calling_ae_title,
            request.message_id,
            request.priority,
        )
        pool = moves.pool or sub_operation_pool(logger=exchange.logger)
        delivery = Delivery(instances, destination, originator, pool, exchange.logger)
        try:
            with ending_with(ErrorCode.RETRIEVE_SUBOPERATIONS_FAILED):
                perform_move(exchange, request, len(instances), delivery, self._clock)
        finally:
            if moves.pool is None:
                pool.close()

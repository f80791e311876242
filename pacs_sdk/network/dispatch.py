"""Which service performs which SOP class, and what becomes of a request whatever it does."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs
from pydicom._uid_dict import UID_dictionary

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import Logger, NullMetricSink
from pacs_sdk.network.dimse import (
    CommandField,
    NEventReportRQ,
    Request,
    Status,
    UnsupportedRQ,
    is_request,
    operation_name,
)
from pacs_sdk.network.messages import AssociationInfo, IncomingMessage
from pacs_sdk.network.negotiation import SupportedContext
from pacs_sdk.network.service import (
    Conversation,
    DicomService,
    Exchange,
    ExchangePorts,
    ReceivingService,
)

__all__ = ["REQUESTS", "REQUEST_SECONDS", "Dispatcher", "ServiceTable"]

REQUESTS: Final = "pacs_dimse_requests_total"
"""Counts requests, by ``operation``, ``sop_class`` and final ``status``."""

REQUEST_SECONDS: Final = "pacs_dimse_request_seconds"
"""How long requests took from their last byte to their final response, by the same labels."""

_FIRST_OF_SERVICES: Final = 0xA000
"""From here on a code is what a service class makes of it. Those of our errors are those of
Storage, Query and Retrieval, and mean nothing in an N- service, or something else."""

_OUT_OF_RESOURCES: Final = range(0xA700, 0xA800)

_FOREIGN: Final = "other"
"""What metrics call a SOP class that PS3.6 does not have: peers may make up any number."""


class ServiceTable:
    """Who performs which SOP class, and what a server supports altogether.

    Args:
        services: In the order of precedence, the last first: what a later service performs, an
            earlier one does not any more.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` if one of them is no service.
    """

    def __init__(self, services: Iterable[DicomService]) -> None:
        self._performing: dict[str, DicomService] = {}
        self._invoking: dict[str, DicomService] = {}
        self._replaced: list[tuple[str, DicomService, DicomService]] = []
        performed: dict[str, SupportedContext] = {}
        invoked: dict[str, SupportedContext] = {}
        for service in services:
            for context in _contexts_of(service):
                uid = context.abstract_syntax
                if context.as_scp:
                    known = self._performing.get(uid)
                    if known is not None and known is not service:
                        self._replaced.append((uid, known, service))
                    self._performing[uid] = service
                    performed[uid] = context
                if context.as_scu:
                    self._invoking[uid] = service
                    invoked[uid] = _joined(invoked.get(uid), context)
        contexts = {uid: attrs.evolve(context, as_scp=False) for uid, context in invoked.items()}
        for uid, context in performed.items():
            contexts[uid] = _both(context, invoked.get(uid))
        self.contexts: tuple[SupportedContext, ...] = tuple(contexts.values())
        """What is negotiated: each SOP class once, with its roles and transfer syntaxes."""

    @property
    def services(self) -> Mapping[str, DicomService]:
        """Who performs each SOP class, by its UID."""
        return dict(self._performing)

    def performing(self, sop_class_uid: str) -> DicomService | None:
        """Tell who performs a SOP class."""
        return self._performing.get(sop_class_uid)

    def notified(self, sop_class_uid: str) -> DicomService | None:
        """Tell who hears of events: the SCU of a SOP class, or who performs it if there is none."""
        return self._invoking.get(sop_class_uid) or self._performing.get(sop_class_uid)

    def receiving(self, sop_class_uid: str) -> ReceivingService | None:
        """Tell who takes the data sets of a SOP class while they arrive, if anybody does."""
        return self._receiving.get(sop_class_uid)

    @functools.cached_property
    def _receiving(self) -> dict[str, ReceivingService]:
        return {
            uid: service
            for uid, service in self._performing.items()
            if isinstance(service, ReceivingService)
        }

    def log_replacements(self, logger: Logger) -> None:
        """Record which services have taken SOP classes from others."""
        counts: dict[tuple[str, str], int] = {}
        for _, earlier, later in self._replaced:
            pair = type(earlier).__name__, type(later).__name__
            counts[pair] = counts.get(pair, 0) + 1
        for (earlier_name, later_name), count in counts.items():
            logger.info(
                "service-replaced", earlier=earlier_name, later=later_name, sop_classes=count
            )


def _contexts_of(service: object) -> Sequence[SupportedContext]:
    if not isinstance(service, DicomService) or isinstance(service, type):
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{service!r} is no service: it needs the methods supported_contexts and handle",
        )
    return service.supported_contexts()


def _joined(known: SupportedContext | None, context: SupportedContext) -> SupportedContext:
    """Join what two services want to invoke."""
    if known is None:
        return context
    return attrs.evolve(
        known, transfer_syntaxes=_as_scu(known) | _as_scu(context), transfer_syntaxes_as_scu=None
    )


def _both(performed: SupportedContext, invoked: SupportedContext | None) -> SupportedContext:
    """Make one context of what is performed and what is invoked of one SOP class."""
    if invoked is None or performed is invoked:
        return performed
    return attrs.evolve(
        performed,
        as_scu=True,
        extended=invoked.extended if performed.extended is None else performed.extended,
        transfer_syntaxes_as_scu=_as_scu(invoked),
    )


def _as_scu(context: SupportedContext) -> frozenset[str]:
    return context.syntaxes_in(as_scp=False, as_scu=True)


class Dispatcher:
    """Has requests carried out and answered.

    Args:
        table: Who performs what.
        ports: What exchanges are given.
    """

    def __init__(self, table: ServiceTable, ports: ExchangePorts) -> None:
        self._table = table
        self._ports = ports
        self._is_counting = not isinstance(ports.metrics, NullMetricSink)

    def dispatch(
        self, association: Conversation, info: AssociationInfo, incoming: IncomingMessage
    ) -> None:
        """Have a request carried out and answered, whatever its handler does."""
        request = incoming.message
        if not is_request(request):
            association.logger.warning("unexpected-message", kind=type(request).__name__)
            return
        exchange = Exchange(association, info, incoming, request, self._ports)
        if not self._is_counting:
            self._perform(exchange, incoming)
            return
        begin = self._ports.clock.monotonic()
        try:
            self._perform(exchange, incoming)
        finally:
            self._count(exchange, self._ports.clock.monotonic() - begin)

    def _perform(self, exchange: Exchange, incoming: IncomingMessage) -> None:
        request = exchange.request
        if incoming.failure is not None:
            exchange.logger.error("data-set-not-kept", reason=incoming.failure.message)
            _refused(exchange, incoming.failure)
            return
        context = incoming.context
        if isinstance(request, NEventReportRQ):  # it goes from the SCP to the SCU (PS3.7 10.1.1)
            service, has_role = self._table.notified(context.performed_as), True
        else:
            service, has_role = self._table.performing(context.performed_as), context.as_scp
        if isinstance(request, UnsupportedRQ):
            exchange.respond_status(Status.UNRECOGNIZED_OPERATION)
        elif service is None or not has_role:
            exchange.respond_status(Status.SOP_CLASS_NOT_SUPPORTED)
        # Of an N- service a context may stand for several SOP classes: Meta SOP Classes, UPS.
        elif _is_composite(request) and request.sop_class_uid != context.abstract_syntax:
            exchange.respond_status(
                Status.SOP_CLASS_NOT_SUPPORTED, "the SOP class is not the context's abstract syntax"
            )
        else:
            _handled(service, exchange, request)

    def _count(self, exchange: Exchange, duration_s: float) -> None:
        operation = operation_name(exchange.request)
        sop_class = _label_of(exchange.context.abstract_syntax)
        status = "none" if exchange.status is None else f"{exchange.status:04X}"
        metrics = self._ports.metrics
        metrics.increment(REQUESTS, operation=operation, sop_class=sop_class, status=status)
        metrics.observe(
            REQUEST_SECONDS, duration_s, operation=operation, sop_class=sop_class, status=status
        )


def _handled(service: DicomService, exchange: Exchange, request: Request) -> None:
    try:
        service.handle(exchange)
    except PacsException as exc:
        error = exc.error
        exchange.logger.warning("request-failed", code=error.code.name, reason=error.for_log)
        if not exchange.is_answered:
            _refused(exchange, error)
    except BaseException as exc:  # noqa: BLE001  # foreign code, even sys.exit(); the peer gets a status
        exchange.logger.error("handler-crashed", reason=repr(exc))
        if not exchange.is_answered:
            exchange.respond_status(Status.PROCESSING_FAILURE, "the handler failed")
    if not exchange.is_answered:
        exchange.logger.error("handler-gave-no-answer", request=type(request).__name__)
        exchange.respond_status(Status.PROCESSING_FAILURE, "the handler gave no answer")


def _refused(exchange: Exchange, error: PacsError) -> None:
    """Answer with an error, by a status that the operation can have (PS3.7 Annex C)."""
    status = error.code.dimse_status
    if not _is_composite(exchange.request) and status >= _FIRST_OF_SERVICES:
        is_room = status in _OUT_OF_RESOURCES
        status = Status.RESOURCE_LIMITATION if is_room else Status.PROCESSING_FAILURE
    exchange.respond_status(status, error.message)


def _is_composite(request: Request) -> bool:
    return request.command_field < CommandField.N_EVENT_REPORT_RQ


def _label_of(sop_class_uid: str) -> str:
    row = UID_dictionary.get(sop_class_uid)
    return row[4] if row and row[4] else _FOREIGN

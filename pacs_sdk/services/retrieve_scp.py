"""Retrieve by C-GET, answering side (PS3.4 C.4.3)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import Instance, all_transfer_syntaxes, encode_dataset, transfer_syntax
from pacs_sdk.network import AcceptedContext, Exchange, SupportedContext
from pacs_sdk.network.dimse import CGetRQ, CGetRSP, Status, StatusCategory, status_category
from pacs_sdk.services.query import IDENTIFIER_SYNTAXES, read_identifier
from pacs_sdk.services.reencode import NATIVE_SYNTAXES, encoded_as
from pacs_sdk.services.sop_classes import STUDY_ROOT_GET, InformationModel, storage_sop_classes
from pacs_sdk.storage import Archive, Query, QueryLevel

__all__ = ["RetrieveScp"]


@attrs.define
class _Progress:
    """The sub-operation counts of one C-GET (PS3.7 9.3.3.2)."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_uids: list[str] = attrs.field(factory=list)

    def count(self, sop_instance_uid: str, status: int | None) -> None:
        """Count one finished sub-operation; ``None`` where it could not be sent."""
        self.remaining -= 1
        category = StatusCategory.FAILURE if status is None else status_category(status)
        if category is StatusCategory.SUCCESS:
            self.completed += 1
        elif category is StatusCategory.WARNING:
            self.warning += 1
        else:
            self.failed += 1
            self.failed_uids.append(sop_instance_uid)

    def response(self, request: CGetRQ, status: int) -> CGetRSP:
        """Build a response with the counts; the remaining ones only where they may be told."""
        tell_remaining = status in (Status.PENDING, Status.CANCEL)
        return CGetRSP(
            request.message_id,
            status,
            request.affected_sop_class_uid,
            number_of_remaining_suboperations=self.remaining if tell_remaining else None,
            number_of_completed_suboperations=self.completed,
            number_of_failed_suboperations=self.failed,
            number_of_warning_suboperations=self.warning,
        )

    def final_status(self) -> int:
        """Success, warning (some failed) or failure (none came through)."""
        if not self.failed and not self.warning:
            return Status.SUCCESS
        if self.failed and not self.completed and not self.warning:
            return Status.OUT_OF_RESOURCES_SUBOPERATIONS
        return Status.SUBOPERATIONS_WITH_FAILURES


class RetrieveScp:
    """Sends what a C-GET asks for back on the same association.

    Args:
        archive: Where the instances are.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """List the GET models, and every storage SOP class in the role of its user."""
        syntaxes = frozenset(syntax.uid for syntax in all_transfer_syntaxes())
        return [
            *(SupportedContext(model.get, IDENTIFIER_SYNTAXES) for model in InformationModel),
            *(
                SupportedContext(sop_class.uid, syntaxes, as_scp=False, as_scu=True)
                for sop_class in storage_sop_classes()
            ),
        ]

    def handle(self, exchange: Exchange) -> None:
        """Send every matching instance as a sub-operation (PS3.4 C.4.3.3)."""
        request = exchange.request
        if not isinstance(request, CGetRQ):
            exchange.respond_status(Status.UNRECOGNIZED_OPERATION)
            return
        query = _query(read_identifier(exchange, ErrorCode.RETRIEVE_INVALID_IDENTIFIER), request)
        instances = tuple(raised(self._archive.instances(query)))
        progress = _Progress(remaining=len(instances))
        contexts = exchange.contexts_as_scu()
        for instance in instances:
            if exchange.is_cancelled():
                self._finish(exchange, request, progress, Status.CANCEL)
                return
            progress.count(instance.sop_instance_uid, _send(exchange, contexts, instance))
            if progress.remaining:
                exchange.respond(progress.response(request, Status.PENDING))
        self._finish(exchange, request, progress, progress.final_status())

    def _finish(
        self, exchange: Exchange, request: CGetRQ, progress: _Progress, status: int
    ) -> None:
        failed: ByteSource | None = None
        if progress.failed_uids:
            identifier = DicomDataset(FailedSOPInstanceUIDList=progress.failed_uids)
            syntax = raised(transfer_syntax(exchange.context.transfer_syntax))
            failed = MemoryBytes(raised(encode_dataset(identifier, syntax)))
        exchange.respond(progress.response(request, status), failed)


def _query(identifier: DicomDataset, request: CGetRQ) -> Query:
    """Check that the identifier names what it wants by unique keys (PS3.4 C.4.3.2.1)."""
    query = raised(Query.from_identifier(identifier))
    unique = {
        QueryLevel.PATIENT: "PatientID",
        QueryLevel.STUDY: "StudyInstanceUID",
        QueryLevel.SERIES: "SeriesInstanceUID",
        QueryLevel.IMAGE: "SOPInstanceUID",
    }[query.level]
    if request.affected_sop_class_uid == STUDY_ROOT_GET and query.level is QueryLevel.PATIENT:
        raise PacsException(
            ErrorCode.RETRIEVE_INVALID_IDENTIFIER, "the Study Root model has no PATIENT level"
        )
    if not identifier.get(unique):
        raise PacsException(
            ErrorCode.RETRIEVE_INVALID_IDENTIFIER,
            f"a C-GET at {query.level.value} level must name {unique}",
        )
    return query


def _send(
    exchange: Exchange, contexts: Sequence[AcceptedContext], instance: Instance
) -> int | None:
    """Send one instance; return the peer's status, or ``None`` if it cannot be sent."""
    context = _context_for(contexts, instance)
    if context is None:
        exchange.logger.warning(
            "no-context-for-instance",
            sop_class_uid=instance.sop_class_uid,
            transfer_syntax_uid=instance.transfer_syntax_uid,
        )
        return None
    try:
        data = encoded_as(instance, context.transfer_syntax)
    except PacsException as exc:
        exchange.logger.error("instance-not-readable", reason=exc.error.message)
        return None
    return exchange.store(context, instance.sop_class_uid, instance.sop_instance_uid, data).status


def _context_for(contexts: Sequence[AcceptedContext], instance: Instance) -> AcceptedContext | None:
    """Prefer the context with the stored encoding; else one it can be re-encoded to."""
    fitting = [c for c in contexts if c.abstract_syntax == instance.sop_class_uid]
    for context in fitting:
        if context.transfer_syntax == instance.transfer_syntax_uid:
            return context
    if instance.transfer_syntax_uid in NATIVE_SYNTAXES:
        return next((c for c in fitting if c.transfer_syntax in NATIVE_SYNTAXES), None)
    return None

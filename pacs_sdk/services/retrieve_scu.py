"""Retrieve by C-GET, asking side (PS3.4 C.4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult, Success, edge, raised
from pacs_sdk.core.uids import checked_uid
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    encode_dataset,
    transfer_syntax,
)
from pacs_sdk.network import IncomingMessage, Peer, ProposedContext
from pacs_sdk.network.dimse import CGetRQ, CGetRSP, CStoreRQ, CStoreRSP, Status, response_to
from pacs_sdk.services.query import IDENTIFIER_SYNTAXES, QueryScu
from pacs_sdk.services.reencode import NATIVE_SYNTAXES
from pacs_sdk.services.scu import ServiceUser, check_status
from pacs_sdk.services.sop_classes import InformationModel, sop_classes_by_use

__all__ = ["RetrieveReport", "RetrieveScu"]

_MAX_STORAGE_CONTEXTS: Final = 127
"""128 contexts less the one for the C-GET itself."""

_NATIVE: Final = (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid)


@attrs.frozen
class RetrieveReport:
    """How a C-GET ended."""

    received: int
    """Instances that came and were kept."""
    size_bytes: int
    """The bytes of their data sets."""
    failed: int
    """Sub-operations that failed, on either side."""
    warnings: int
    """Sub-operations that ended with a warning."""
    status: int
    """The peer's final status."""


@attrs.define
class _Receiver:
    """Keeps what comes, and counts it."""

    keep: Callable[[Instance], PacsResult[object]]
    received: int = 0
    size_bytes: int = 0

    def on_store(self, incoming: IncomingMessage, request: CStoreRQ) -> CStoreRSP:
        """Perform one C-STORE sub-operation."""
        status, comment = self._kept(incoming, request)
        # Built as any answer is: a UID that is none must not end the retrieval.
        response = response_to(request, status, comment)
        return (
            response if isinstance(response, CStoreRSP) else CStoreRSP(request.message_id, status)
        )

    def _kept(self, incoming: IncomingMessage, request: CStoreRQ) -> tuple[int, str]:
        if incoming.data is None:
            failure = incoming.failure
            if failure is None:
                return Status.CANNOT_UNDERSTAND, "no data set was announced"
            return failure.code.dimse_status, failure.message
        try:
            uid = checked_uid(request.affected_sop_instance_uid, "Affected SOP Instance UID")
            instance = Instance(
                sop_class_uid=request.affected_sop_class_uid,
                sop_instance_uid=uid,
                transfer_syntax_uid=incoming.context.transfer_syntax,
                encoded=incoming.data,
            )
            raised(self.keep(instance))
        except PacsException as exc:
            return exc.error.code.dimse_status, exc.error.message
        self.received += 1
        self.size_bytes += instance.size
        return Status.SUCCESS, ""


@attrs.frozen
class RetrieveScu(ServiceUser):
    """Fetches instances from a peer over one association."""

    @edge()
    def get(
        self,
        peer: Peer,
        identifier: DatasetLike,
        keep: Callable[[Instance], PacsResult[object]],
        *,
        contexts: Sequence[ProposedContext] | None = None,
        model: InformationModel = InformationModel.STUDY_ROOT,
        on_progress: Callable[[CGetRSP], None] | None = None,
    ) -> RetrieveReport:
        """Send one C-GET and keep what comes.

        Args:
            peer: Whom to ask.
            identifier: Query/Retrieve Level and the unique keys of what is wanted.
            keep: Called with each instance, whose bytes are valid during the call only;
                a ``Failure`` is told to the peer by its code's status.
            contexts: The storage contexts to propose, at most 127. By default the peer
                is asked first, by C-FIND, which SOP classes and transfer syntaxes the
                instances have; where it doesn't say, the storage SOP classes in most
                common use are proposed, in the uncompressed transfer syntaxes.
            model: The information model.
            on_progress: Called with each Pending response.

        Returns:
            ``Success`` with the counts, partial failures included; or ``Failure`` with
            ``RETRIEVE_FAILED``, ``RETRIEVE_INVALID_IDENTIFIER``, ``CANCELLED`` or a
            network error.
        """
        wanted = as_dataset(identifier)
        storage = self._storage_contexts(peer, wanted, model) if contexts is None else contexts
        receiver = _Receiver(keep)
        get = ProposedContext(model.get, IDENTIFIER_SYNTAXES)
        final: CGetRSP | None = None
        with self._connect(peer, [get, *storage]) as association:
            context = raised(association.context_for(model.get, name=f"{model.name} GET"))
            syntax = raised(transfer_syntax(context.transfer_syntax))
            request = CGetRQ(association.next_message_id(), model.get)
            data = MemoryBytes(raised(encode_dataset(wanted, syntax)))
            for reply in association.replies(context, request, data, receiver.on_store):
                if isinstance(reply.response, CGetRSP):
                    final = reply.response
                    if on_progress is not None and final.status == Status.PENDING:
                        on_progress(final)
        return _report(receiver, final)

    def _storage_contexts(
        self, peer: Peer, identifier: DicomDataset, model: InformationModel
    ) -> list[ProposedContext]:
        kinds = sorted(self._kinds(peer, identifier, model)) or [
            (sop_class.uid, "") for sop_class in sop_classes_by_use()
        ]
        return [
            ProposedContext(sop_class, _offered(syntax), as_scu=False, as_scp=True)
            for sop_class, syntax in kinds[:_MAX_STORAGE_CONTEXTS]
        ]

    def _kinds(
        self, peer: Peer, identifier: DicomDataset, model: InformationModel
    ) -> set[tuple[str, str]]:
        """Ask which (SOP class, transfer syntax) pairs the wanted instances have.

        An empty set where the peer does not answer such a query; the retrieval then
        goes on without the knowledge.
        """
        question = DicomDataset(
            QueryRetrieveLevel="IMAGE",
            SOPClassUID="",
            SOPInstanceUID="",
            AvailableTransferSyntaxUID="",
        )
        for tag in identifier:
            if tag.keyword != "QueryRetrieveLevel":
                question[tag] = identifier[tag]
        scu = QueryScu(self.ae_title, self.timeouts, self.logger, self.clock)
        match scu.find(peer, question, model):
            case Success(matches):
                return {
                    (checked_uid(str(found.get("SOPClassUID")), "SOP Class UID"), syntax)
                    for found in matches
                    if found.get("SOPClassUID")
                    for syntax in found.get_strings("AvailableTransferSyntaxUID").value_or(())
                    or ("",)
                }
        return set()


def _offered(stored_syntax: str) -> tuple[str, ...]:
    """The stored encoding first; another uncompressed one will do for an uncompressed one."""
    if stored_syntax and stored_syntax not in NATIVE_SYNTAXES:
        return (stored_syntax,)
    return tuple(dict.fromkeys((stored_syntax or _NATIVE[0], *_NATIVE)))


def _report(receiver: _Receiver, final: CGetRSP | None) -> RetrieveReport:
    if final is None:
        raise PacsException(ErrorCode.RETRIEVE_FAILED, "the peer gave no final response")
    failed = final.number_of_failed_suboperations or 0
    partly = receiver.received > 0 or failed > 0
    if not partly:
        check_status(final, ErrorCode.RETRIEVE_FAILED, "C-GET")
    return RetrieveReport(
        received=receiver.received,
        size_bytes=receiver.size_bytes,
        failed=failed,
        warnings=final.number_of_warning_suboperations or 0,
        status=final.status,
    )

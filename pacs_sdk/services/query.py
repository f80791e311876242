"""Query: C-FIND in the Patient Root and Study Root models, both sides (PS3.4 C.4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    decode_dataset,
    encode_dataset,
    transfer_syntax,
)
from pacs_sdk.network import Exchange, Peer, ProposedContext, Reply, SupportedContext
from pacs_sdk.network.dimse import CFindRQ, CFindRSP, Status, StatusCategory, status_category
from pacs_sdk.services.scu import ServiceUser, check_status
from pacs_sdk.services.sop_classes import InformationModel
from pacs_sdk.storage import Archive, Query, QueryLevel

__all__ = ["QueryScp", "QueryScu", "read_identifier"]

IDENTIFIER_SYNTAXES: Final = (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid)

MAX_IDENTIFIER_BYTES: Final = 1 << 20
"""The longest identifier that is decoded: thousands of UIDs in a list still fit."""


def read_identifier(exchange: Exchange, code: ErrorCode) -> DicomDataset:
    """Decode the identifier of a C-FIND or C-GET request.

    Raises:
        PacsException: ``code`` when there is none or it is too long, or a decoding error.
    """
    data = exchange.data
    if data is None:
        raise PacsException(code, "the request announced no identifier")
    if data.size > MAX_IDENTIFIER_BYTES:
        raise PacsException(code, f"an identifier of {data.size} bytes is too long")
    syntax = raised(transfer_syntax(exchange.context.transfer_syntax))
    return raised(decode_dataset(data.view(), syntax))


class QueryScp:
    """Answers C-FIND from an archive.

    Args:
        archive: What is searched.
        ae_title: What Retrieve AE Title says: where the instances can be got from.
    """

    def __init__(self, archive: Archive, ae_title: str) -> None:
        self._archive = archive
        self._ae_title = ae_title

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """List the FIND SOP classes of both models."""
        return [SupportedContext(model.find, IDENTIFIER_SYNTAXES) for model in InformationModel]

    def handle(self, exchange: Exchange) -> None:
        """Send one Pending response a match, then the final one (PS3.4 C.4.1.3)."""
        request = exchange.request
        if not isinstance(request, CFindRQ):
            exchange.respond_status(Status.UNRECOGNIZED_OPERATION)
            return
        identifier = read_identifier(exchange, ErrorCode.FIND_INVALID_IDENTIFIER)
        query = raised(Query.from_identifier(identifier))
        model = next(one for one in InformationModel if one.find == request.affected_sop_class_uid)
        if query.level not in model.levels:
            raise PacsException(
                ErrorCode.FIND_INVALID_IDENTIFIER,
                f"the {model.title} model has no {query.level.value} level",
            )
        syntax = raised(transfer_syntax(exchange.context.transfer_syntax))
        # FF01H says that some keys could not be matched (PS3.4 C.4.1.1.4).
        status = Status.PENDING_WITH_WARNING if query.unsupported_keys else Status.PENDING
        pending = CFindRSP(request.message_id, status, request.affected_sop_class_uid)
        for match in raised(self._archive.find(query)):
            if exchange.is_cancelled():
                exchange.respond_status(Status.CANCEL)
                return
            exchange.respond(pending, self._encoded(match.dataset(), query.level, syntax))
        exchange.respond_status(Status.SUCCESS)

    def _encoded(
        self, found: DicomDataset, level: QueryLevel, syntax: TransferSyntax
    ) -> ByteSource:
        found["QueryRetrieveLevel"] = level.value
        found["RetrieveAETitle"] = self._ae_title
        return MemoryBytes(raised(encode_dataset(found, syntax)))


@attrs.frozen
class QueryScu(ServiceUser):
    """Asks a peer what it has."""

    @edge()
    def find(
        self,
        peer: Peer,
        identifier: DatasetLike,
        model: InformationModel | None = None,
        limit: int | None = None,
    ) -> tuple[DicomDataset, ...]:
        """Send one C-FIND and collect the matches.

        Args:
            peer: Whom to ask.
            identifier: Query/Retrieve Level, the matching keys, and empty elements for
                what shall come back.
            model: The information model; Patient Root for the PATIENT level and Study
                Root otherwise, by default.
            limit: Cancel after this many matches.

        Returns:
            ``Success`` with the matches, or ``Failure`` with ``FIND_FAILED``,
            ``FIND_INVALID_IDENTIFIER`` or a network error.
        """
        wanted = as_dataset(identifier)
        level = str(wanted.get("QueryRetrieveLevel", ""))
        if level not in QueryLevel.__members__:
            raise PacsException(
                ErrorCode.FIND_INVALID_IDENTIFIER,
                f"Query/Retrieve Level is {level!r}; give PATIENT, STUDY, SERIES or IMAGE",
            )
        if model is None:
            by_patient = level == QueryLevel.PATIENT
            model = InformationModel.PATIENT_ROOT if by_patient else InformationModel.STUDY_ROOT
        matches: list[DicomDataset] = []
        with self._connect(peer, [ProposedContext(model.find, IDENTIFIER_SYNTAXES)]) as association:
            context = raised(association.context_for(model.find, name=f"{model.name} FIND"))
            syntax = raised(transfer_syntax(context.transfer_syntax))
            request = CFindRQ(association.next_message_id(), model.find)
            data = MemoryBytes(raised(encode_dataset(wanted, syntax)))
            for reply in association.replies(context, request, data):
                if status_category(reply.response.status) is StatusCategory.PENDING:
                    if limit is None or len(matches) < limit:
                        matches.append(_match(reply, syntax))
                        if len(matches) == limit:
                            association.cancel(context, request.message_id)
                elif not (reply.response.status == Status.CANCEL and limit is not None):
                    check_status(reply.response, ErrorCode.FIND_FAILED, "C-FIND")
        return tuple(matches)


def _match(reply: Reply, syntax: TransferSyntax) -> DicomDataset:
    if reply.data is None:
        raise PacsException(
            ErrorCode.FIND_FAILED, "the peer announced a match but sent no identifier"
        )
    return raised(decode_dataset(bytes(reply.data.view()), syntax))

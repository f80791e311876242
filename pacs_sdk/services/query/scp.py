"""C-FIND, the answering side (PS3.4 C.4.1.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCategory, ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import PacsResult, raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.value_rules import FindingKind, ValueContext
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import ValidationMode, transfer_syntax, validate_dataset
from pacs_sdk.network import Exchange, SupportedContext, common_flags
from pacs_sdk.network.dimse import CFindRQ, CFindRSP, Status
from pacs_sdk.services.query.answers import AnswerEncoder
from pacs_sdk.services.query.identifiers import IDENTIFIER_SYNTAXES, read_identifier
from pacs_sdk.services.query.models import check_hierarchy, check_level, model_of
from pacs_sdk.services.query.negotiation import FindNegotiation
from pacs_sdk.services.query.rules import QueryRules
from pacs_sdk.services.query.timezones import (
    TIMEZONE_OFFSET,
    TimezoneAdjustment,
    offset_minutes,
)
from pacs_sdk.services.sop_classes import InformationModel
from pacs_sdk.storage import NO_FURTHER_ATTRIBUTES, FurtherAttributes, Match, Query

__all__ = ["QueryScp", "QuerySource"]

_FAILURES: Final = frozenset(
    (
        Status.OUT_OF_RESOURCES,
        Status.DATA_SET_MISMATCH,
        Status.SOP_CLASS_NOT_SUPPORTED,
        Status.NOT_AUTHORISED,
    )
)
"""What a C-FIND may fail with besides C000H to CFFFH (PS3.4 Table C.4-1, PS3.7 C.4.1.1.4)."""

_UNABLE_TO_PROCESS: Final = range(0xC000, 0xD000)

_HARMLESS: Final = (FindingKind.ODD_LENGTH, FindingKind.MULTIPLICITY)
"""What may be wrong with a key without any doubt about its meaning."""

_PARSED_VRS: Final = (VR.DA, VR.TM, VR.IS)
"""The VRs whose keys a query refuses unless it has understood them."""

_MOST_OFFENDING: Final = 8
"""Offending elements that a response names: of very many the first say enough."""


class QuerySource(Protocol):
    """What a C-FIND provider searches: an archive, or whatever else can answer a query."""

    def find(self, query: Query) -> PacsResult[Iterator[Match]]:
        """Search; the matches may come one by one, and may raise ``PacsException``."""


class QueryScp:
    """Answers C-FIND from an archive, in the three information models.

    Args:
        source: What is searched: an ``Archive``, or what else finds matches.
        ae_title: What Retrieve AE Title says: where the instances can be got from.
        rules: What peers are allowed.
        further: What the source can match besides the attributes of the index; for an
            archive, ``Archive.further_attributes``.
    """

    def __init__(
        self,
        source: QuerySource,
        ae_title: str,
        rules: QueryRules | None = None,
        further: FurtherAttributes = NO_FURTHER_ATTRIBUTES,
    ) -> None:
        self._source = source
        self._further = further
        self._ae_title = ae_title
        self._rules = rules or QueryRules()

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """List the FIND SOP classes of all models, with what may be negotiated about them."""
        answer = common_flags(self._rules.agreeable.encode())
        return [
            SupportedContext(model.find, IDENTIFIER_SYNTAXES, extended=answer)
            for model in InformationModel
        ]

    def handle(self, exchange: Exchange) -> None:
        """Send one Pending response a match, then the final one (PS3.4 C.4.1.3)."""
        request = exchange.request
        if not isinstance(request, CFindRQ):
            exchange.respond_status(Status.UNRECOGNIZED_OPERATION)
            return
        try:
            self._answer(exchange, request)
        except PacsException as exc:
            error = exc.error
            if exchange.is_answered or error.code.category is ErrorCategory.NETWORK:
                raise
            exchange.logger.warning("query-failed", code=error.code.name, reason=error.for_log)
            exchange.respond(_failure(request, error))

    def _answer(self, exchange: Exchange, request: CFindRQ) -> None:
        identifier = read_identifier(exchange, ErrorCode.FIND_INVALID_IDENTIFIER)
        agreed = _agreed(exchange)
        query = self._understood(exchange, identifier, agreed)
        syntax = raised(transfer_syntax(exchange.context.transfer_syntax))
        encoder = AnswerEncoder(query, syntax, self._ae_title, _declared(identifier))
        # FF01H: some keys are not supported for existence or matching (PS3.4 Table C.4-1).
        is_lacking = bool(query.unsupported_keys or query.untold_keys)
        status = Status.PENDING_WITH_WARNING if is_lacking else Status.PENDING
        pending = CFindRSP(request.message_id, status, request.affected_sop_class_uid)
        for match in self._found(query, agreed):
            if exchange.is_cancelled():
                exchange.respond_status(Status.CANCEL)
                return
            exchange.respond(pending, MemoryBytes(encoder.encode(match)))
        exchange.respond_status(Status.SUCCESS)

    def _found(self, query: Query, agreed: FindNegotiation) -> Iterator[Match]:
        if not (agreed.timezone_adjustment and query.matching.get(TIMEZONE_OFFSET)):
            return raised(self._source.find(query))
        offset = offset_minutes(self._rules.utc_offset) or 0

        def search(wanted: Query) -> Iterator[Match]:
            return raised(self._source.find(wanted))

        return TimezoneAdjustment(query, offset, search).matches()

    def _understood(
        self, exchange: Exchange, identifier: DicomDataset, agreed: FindNegotiation
    ) -> Query:
        """Read an identifier as what was negotiated makes it mean."""
        model = model_of(exchange.context.abstract_syntax)
        policy = self._rules.character_sets
        query = raised(Query.from_identifier(identifier, agreed.options(), policy, self._further))
        check_level(model, query.level)
        if not (agreed.relational or self._rules.always_relational):
            check_hierarchy(model, query)
        if self._rules.check_values:
            self._check_values(identifier, query)
        return query

    def _check_values(self, identifier: DicomDataset, query: Query) -> None:
        """Check the keys against their VRs, as keys of a query (PS3.4 C.2.2.2).

        Dates, times and numbers that have been understood are good enough, and so are several
        values where the standard has one: any of them may match.
        """
        policy = self._rules.character_sets
        findings = [
            one
            for one in raised(
                validate_dataset(
                    identifier,
                    ValidationMode.LENIENT,
                    context=ValueContext.QUERY,
                    policy=policy,
                )
            )
            if one.kind not in _HARMLESS
            and not (one.vr in _PARSED_VRS and int(one.tag) in query.matchers)
        ]
        if findings:
            first = findings[0]
            raise PacsException(
                ErrorCode.FIND_INVALID_IDENTIFIER,
                f"{first.path}: {first.reason}",
                tag=str(first.tag),
                tags=tuple(str(one.tag) for one in findings),
            )


def _agreed(exchange: Exchange) -> FindNegotiation:
    information = exchange.association.extended.get(exchange.context.abstract_syntax, b"")
    return FindNegotiation.decode(information)


def _declared(identifier: DicomDataset) -> bytes:
    """Return Specific Character Set of a request, as far as it is one."""
    terms = identifier.get_strings("SpecificCharacterSet").value_or(())
    return "\\".join(terms).encode("ascii", "replace")


def _failure(request: CFindRQ, error: PacsError) -> CFindRSP:
    """Say what is wrong, with the elements that are to blame (PS3.4 Table C.4-1)."""
    status = error.code.dimse_status
    if status not in _FAILURES and status not in _UNABLE_TO_PROCESS:
        status = _UNABLE_TO_PROCESS.start
    return CFindRSP(
        request.message_id,
        status,
        request.affected_sop_class_uid,
        error_comment=error.message,
        offending_element=_offending(error),
    )


def _offending(error: PacsError) -> tuple[int, ...]:
    tags = error.details.get("tags") or error.details.get("tag") or ()
    several = (tags,) if isinstance(tags, str) else tags
    if not isinstance(several, tuple):
        return ()
    return tuple(int(DicomTag.of(tag)) for tag in dict.fromkeys(several[:_MOST_OFFENDING]))

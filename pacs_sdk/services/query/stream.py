"""Matches that come from a peer while one looks at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Self

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock
from pacs_sdk.core.results import edge, raised
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET, DicomTag
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import decode_dataset, encode_dataset, transfer_syntax
from pacs_sdk.network import DicomAssociation, Reply
from pacs_sdk.network.dimse import CFindRQ, Response, Status, StatusCategory, status_category
from pacs_sdk.services.query.identifiers import MAX_ANSWER_BYTES
from pacs_sdk.services.query.negotiation import FindNegotiation
from pacs_sdk.services.query.question import Question
from pacs_sdk.services.scu import check_status
from pacs_sdk.storage import EntityRecord, Match, MatchTable, QueryLevel

__all__ = ["FoundMatches", "check_end"]

_SAID_OF_ITSELF: Final = frozenset((SPECIFIC_CHARACTER_SET, 0x00080052))
"""Specific Character Set and Query/Retrieve Level, which say nothing of the match."""


class FoundMatches(Iterator[DicomDataset]):
    """The matches of one C-FIND, each read from the peer when it is asked for.

    Leaving its context, or :meth:`close`, before the last match sends a C-CANCEL, takes
    what is still to come, and releases the association. It is for one thread.

    Iterating raises ``PacsException``: ``FIND_FAILED`` with the peer's status and comment, or
    where it says that there are more matches than it gives (B001H), ``CANCELLED`` where it ends
    the query by itself, a decoding error, or a network error. The association is over then.
    """

    def __init__(
        self, association: DicomAssociation, question: Question, clock: Clock, patience_s: float
    ) -> None:
        self.level: QueryLevel = question.level
        """What kind of entity is looked for."""
        information = association.extended.get(question.model.find, b"")
        self.negotiated = FindNegotiation.decode(information)
        """What the peer has agreed to."""
        self.has_unmatched_keys = False
        """Whether the peer said, with a match, that it does not know or match some keys (FF01H)."""
        self._association = association
        self._clock = clock
        self._patience_s = patience_s
        self._left = question.limit
        self._count = 0
        self._order = question.order
        self._is_cancelled = False
        self._is_over = False
        name = f"{question.model.name} FIND"
        self._context = raised(association.context_for(question.model.find, name=name))
        self._syntax = raised(transfer_syntax(self._context.transfer_syntax))
        _check_granted(question.required, self.negotiated, association)
        self._request = CFindRQ(association.next_message_id(), question.model.find)
        data = MemoryBytes(raised(encode_dataset(question.identifier, self._syntax)))
        self._replies = association.replies(self._context, self._request, data)
        self._first = self._next()  # so that a refusal is known at once

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> DicomDataset:
        match, self._first = self._first, None
        if match is None and self._left == 0:
            self.close()
        if match is None and not self._is_over:
            match = self._next()
        if match is None:
            raise StopIteration
        return match

    def matches(self) -> Iterator[Match]:
        """Yield what is still to come as matches, as a search in an archive gives them."""
        return (_match_of(one, self.level, self._order) for one in self)

    def records(self) -> Iterator[EntityRecord]:
        """Yield what is still to come as records of the level, with Python's types."""
        return (one.record() for one in self.matches())

    @edge()
    def table(self) -> MatchTable:
        """Take all that is still to come as a table: for notebooks, pandas and Arrow.

        Returns:
            ``Success``, or ``Failure`` with what iterating raises.
        """
        return MatchTable(self.matches())

    def close(self) -> None:
        """Cancel what is still to come, and release the association; harmless at the end.

        A peer that goes on for longer than an answer may take is left by an abort.
        """
        self._first = None
        if self._is_over:
            return
        self._is_over = True
        deadline = self._clock.monotonic() + self._patience_s
        try:
            self._cancel()
            for _ in self._replies:
                if self._clock.monotonic() > deadline:
                    self._replies.close()  # which aborts
        except PacsException:  # nobody waits for what is left
            self._association.abort()
        self._association.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _next(self) -> DicomDataset | None:
        """Take one answer; ``None`` for the final one, after which the association is over."""
        try:
            reply = next(self._replies)
            if status_category(reply.response.status) is StatusCategory.PENDING:
                return self._taken(reply)
        except BaseException:
            self._is_over = True
            self._association.abort()
            raise
        self._is_over = True
        self._association.release()
        check_end(reply.response, self._count)
        return None

    def _taken(self, reply: Reply) -> DicomDataset:
        if reply.response.status == Status.PENDING_WITH_WARNING:
            self.has_unmatched_keys = True
        if reply.data is None:
            raise PacsException(
                ErrorCode.FIND_FAILED, "the peer announced a match but sent no identifier"
            )
        if reply.data.size > MAX_ANSWER_BYTES:
            raise PacsException(
                ErrorCode.FIND_FAILED,
                f"the peer sent a match of {reply.data.size} bytes; {MAX_ANSWER_BYTES} are the most",
            )
        match = raised(decode_dataset(bytes(reply.data.view()), self._syntax))
        self._count += 1
        if self._left is not None:
            self._left -= 1
            if not self._left:
                self._cancel()  # at once: the peer need not look for more
        return match

    def _cancel(self) -> None:
        if not self._is_cancelled:
            self._is_cancelled = True
            self._association.cancel(self._context, self._request.message_id)


def check_end(final: Response, count: int) -> None:
    """Raise unless a final response says that all matches were told.

    Args:
        final: The final response, of a query that we did not cancel.
        count: How many matches came before it.

    Raises:
        PacsException: ``FIND_FAILED``, or ``CANCELLED``.
    """
    # Orthanc cancels where it has more matches than it is configured to give.
    is_cancelled = final.status == Status.CANCEL
    if is_cancelled or final.status == Status.MATCHING_LIMIT_REACHED:
        at_most = f", or for {count} as the limit" if count else ""
        raise PacsException(
            ErrorCode.CANCELLED if is_cancelled else ErrorCode.FIND_FAILED,
            f"the peer ended the C-FIND by itself after {count} matches, with status "
            f"{final.status:04X}H; it may have more: ask for less{at_most}",
            status=final.status,
        )
    check_status(final, ErrorCode.FIND_FAILED, "C-FIND")


def _check_granted(
    required: FindNegotiation, granted: FindNegotiation, association: DicomAssociation
) -> None:
    lacking = required.lacking(granted)
    if lacking:
        raise PacsException(
            ErrorCode.OPERATION_NOT_SUPPORTED,
            f"{association.peer.ae_title} does not agree to {', '.join(lacking)}; "
            "ask without, and look through what comes",
            lacking=lacking,
        )


def _match_of(found: DicomDataset, level: QueryLevel, order: Sequence[int]) -> Match:
    """Read an answer as text by tag: what was asked for first, then what came besides."""
    values: dict[int, str] = {}
    items: dict[int, tuple[Mapping[int, str], ...]] = {}
    for tag in found:
        number = int(tag)
        if number in _SAID_OF_ITSELF or not number & 0xFFFF:
            continue
        if found.pydicom[number].VR == VR.SQ:
            nested = found.pydicom[number].value or ()
            items[number] = tuple(_texts_of(DicomDataset(one)) for one in nested)
            values[number] = ""
        else:
            values[number] = _text_of(found, tag)
    asked = {tag: values[tag] for tag in order if tag in values}
    return Match(level, asked | values, items)


def _texts_of(item: DicomDataset) -> Mapping[int, str]:
    return {int(tag): _text_of(item, tag) for tag in item}


def _text_of(dataset: DicomDataset, tag: DicomTag) -> str:
    return "\\".join(dataset.get_strings(tag).value_or(()))

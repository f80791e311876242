"""DIMSE messages to and from the fragments that P-DATA-TF carries (PS3.8 Annex E)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.dimse import Message, decode_command, encode_command
from pacs_sdk.network.indications import CommandReceived, DataReceived
from pacs_sdk.network.negotiation import AcceptedContext
from pacs_sdk.network.pdu import AbortReason
from pacs_sdk.network.pdu_codec import pdata_header

__all__ = [
    "MAX_COMMAND_SET_LENGTH",
    "MAX_FRAGMENTS",
    "MAX_SENT_LENGTH",
    "MessageAssembler",
    "fragment_length",
    "fragments",
]

MAX_COMMAND_SET_LENGTH: Final = 1 << 16
"""Bytes a command set may take. The longest legal one (UIDs, a comment, an attribute
list) stays under 2 KiB; a peer that sends more is broken or hostile."""

MAX_SENT_LENGTH: Final = 1 << 17
"""The longest P-DATA-TF we send to a peer that allows more or any length: larger ones
gain nothing on the wire and make the peer buffer more."""

MAX_FRAGMENTS: Final = 1 << 22
"""Fragments (PDV items) a message may come in: 16 GiB in pieces of 4 KiB. Nobody needs more,
and pieces of nothing would otherwise be counted for ever."""

_BATCH_FRAGMENTS: Final = 128
"""P-DATA-TF PDUs handed to the driver at once; two buffers each stay well under the
1,024 that ``sendmsg`` takes."""

_MIN_PEER_LENGTH: Final = 64
"""A peer's maximum length below this cannot be served: 6 bytes go to the item header."""

_ITEM_HEADER_LENGTH: Final = 6


def fragment_length(peer_maximum_length: int) -> int:
    """Return the data bytes of one P-DATA-TF: the peer's limit less the item header.

    An even number, as PS3.8 E.1 demands of each fragment.

    Args:
        peer_maximum_length: What the peer allows, in bytes; 0 is no limit.
    """
    length = min(peer_maximum_length or MAX_SENT_LENGTH, MAX_SENT_LENGTH)
    return (max(length, _MIN_PEER_LENGTH) - _ITEM_HEADER_LENGTH) & ~1


def fragments(
    context_id: int, message: Message, dataset: memoryview | None, length: int
) -> Iterable[list[bytes | memoryview]]:
    """Cut a message into P-DATA-TF PDUs of one item each.

    Args:
        context_id: The presentation context.
        message: The command set.
        dataset: The encoded data set, which is neither copied nor joined.
        length: The data bytes of a fragment, from :func:`fragment_length`.

    Returns:
        Buffers to send in this order, a bounded number at a time.
    """
    command = encode_command(message, has_dataset=dataset is not None)
    if len(command) <= length:
        first = pdata_header(context_id, True, True, len(command))
        if dataset is None:  # nearly every response
            return [[first, command]]
        if dataset.nbytes <= length:  # a small object, or what is asked for
            rest = pdata_header(context_id, False, True, dataset.nbytes)
            return [[first, command, rest, dataset]]
    return _fragments(context_id, memoryview(command), dataset, length)


def _fragments(
    context_id: int, command: memoryview, dataset: memoryview | None, length: int
) -> Iterator[list[bytes | memoryview]]:
    batch: list[bytes | memoryview] = []
    parts = [(command, True)] if dataset is None else [(command, True), (dataset, False)]
    for data, is_command in parts:
        end = data.nbytes
        for start in range(0, end or 1, length):
            piece = data[start : start + length]
            is_last = start + length >= end
            batch.append(pdata_header(context_id, is_command, is_last, piece.nbytes))
            batch.append(piece)
            if len(batch) >= 2 * _BATCH_FRAGMENTS:
                yield batch
                batch = []
    if batch:
        yield batch


class MessageAssembler:
    """Checks that fragments come in the order of messages, and puts command sets together.

    Data sets are not put together: their pieces are handed on.
    """

    def __init__(self) -> None:
        self._command = bytearray()
        self._command_context = 0
        self._dataset_context: int | None = None
        self._context: AcceptedContext | None = None
        self._is_command = False
        self._fragments = 0

    @property
    def has_begun(self) -> bool:
        """Whether some of a message has come, and the rest has not."""
        return bool(self._command) or self._dataset_context is not None

    def begin(self, context: AcceptedContext, length: int, *, is_command: bool) -> None:
        """Begin a fragment (PS3.8 E.1).

        Raises:
            PacsException: ``INVALID_PDU`` when it does not belong to the message under way,
                the command set grows too long, or the message has too many fragments.
        """
        self._fragments += 1
        if self._fragments > MAX_FRAGMENTS:
            raise _too_many_fragments()
        context_id = context.context_id
        self._context, self._is_command = context, is_command
        if not is_command:
            if self._dataset_context != context_id:
                raise _unexpected(
                    f"data came in presentation context {context_id} where none was announced"
                )
            return
        if self._dataset_context is not None:
            raise _unexpected("a command began before the announced data set had ended")
        if self._command and self._command_context != context_id:
            raise _unexpected(
                f"a command begun in presentation context {self._command_context} "
                f"went on in {context_id}"
            )
        if len(self._command) + length > MAX_COMMAND_SET_LENGTH:
            raise PacsException(
                ErrorCode.INVALID_PDU,
                f"a command set is longer than {MAX_COMMAND_SET_LENGTH} bytes",
            )
        self._command_context = context_id

    def count(self, fragments: int) -> None:
        """Count fragments of the message under way.

        Raises:
            PacsException: ``INVALID_PDU`` when there are too many.
        """
        self._fragments += fragments
        if self._fragments > MAX_FRAGMENTS:
            raise _too_many_fragments()

    def add(
        self, pieces: Sequence[memoryview], *, is_last: bool
    ) -> CommandReceived | DataReceived | None:
        """Take pieces of what began; return what they complete or are.

        Raises:
            PacsException: ``INVALID_DIMSE_MESSAGE`` for a command set that is none.
        """
        if not self._is_command:
            if is_last:
                self._dataset_context, self._fragments = None, 0
            return DataReceived(pieces, is_last)
        for piece in pieces:
            self._command += piece
        if not is_last or self._context is None:
            return None
        decoded = decode_command(self._command)
        self._command.clear()
        if decoded.has_dataset:
            self._dataset_context = self._context.context_id
        else:
            self._fragments = 0
        return CommandReceived(self._context, decoded.message, decoded.has_dataset)


def _too_many_fragments() -> PacsException:
    return PacsException(
        ErrorCode.INVALID_PDU, f"a message came in more than {MAX_FRAGMENTS} fragments"
    )


def _unexpected(message: str) -> PacsException:
    """Make the error for a well-formed fragment in the wrong place."""
    return PacsException(
        ErrorCode.INVALID_PDU, message, abort_reason=int(AbortReason.UNEXPECTED_PDU_PARAMETER)
    )

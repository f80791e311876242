"""What is kept of the messages of a peer, and how much."""

from __future__ import annotations

import pytest

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.network.connection.inbox import LONGEST_IDENTIFIER_BYTES, Inbox
from pacs_sdk.network.dimse import (
    CFindRQ,
    CFindRSP,
    CGetRSP,
    CMoveRQ,
    CStoreRQ,
    Message,
    NSetRQ,
    Status,
)
from pacs_sdk.network.indications import CommandReceived, DataReceived
from pacs_sdk.network.messages import IncomingMessage
from pacs_sdk.network.negotiation import AcceptedContext
from tests.network.helpers import CT_IMAGE, EXPLICIT

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MEBIBYTE = memoryview(bytes(1 << 20))


class _Counting:
    """Counts what it is given."""

    def __init__(self) -> None:
        self.size = 0
        self.is_discarded = False

    def write(self, data: memoryview) -> None:
        """Take a piece."""
        self.size += data.nbytes

    def finish(self) -> ByteSource:
        """Say that there was something."""
        return MemoryBytes(b"whole")

    def discard(self) -> None:
        """Free it."""
        self.is_discarded = True


def received(message: Message, size: int) -> tuple[IncomingMessage, _Counting]:
    """Take a message with a data set of so many bytes."""
    sink = _Counting()
    inbox = Inbox(lambda context, message: sink)
    context = AcceptedContext(1, CT_IMAGE, EXPLICIT, as_scu=True, as_scp=True)
    inbox.add_command(CommandReceived(context, message, True))
    for _ in range(size >> 20):
        inbox.add_data(DataReceived([MEBIBYTE], False))
    inbox.add_data(DataReceived([MEBIBYTE[: size % (1 << 20)]], True))
    return inbox.waiting.popleft(), sink


DESCRIBING = [
    CFindRQ(1, FIND),
    CFindRSP(1, Status.PENDING),
    CGetRSP(1, Status.SUCCESS),
    CMoveRQ(1, FIND, "ARCHIVE"),
]


@pytest.mark.parametrize("message", DESCRIBING, ids=lambda one: type(one).__name__)
def test_an_identifier_without_end_fills_nothing(message: Message) -> None:
    """What brings no instance is kept up to a limit, and the rest is read and dropped."""
    incoming, sink = received(message, LONGEST_IDENTIFIER_BYTES + 1)
    assert incoming.failure is not None
    assert incoming.failure.code is ErrorCode.LIMIT_EXCEEDED
    assert str(LONGEST_IDENTIFIER_BYTES) in incoming.failure.message
    assert sink.is_discarded
    assert sink.size <= LONGEST_IDENTIFIER_BYTES
    incoming, _ = received(message, LONGEST_IDENTIFIER_BYTES)
    assert incoming.failure is None


@pytest.mark.parametrize(
    "message",
    [CStoreRQ(1, CT_IMAGE, "1.2.3"), NSetRQ(1, "1.2.840.10008.5.1.1.4", "1.2.3")],
    ids=lambda one: type(one).__name__,
)
def test_an_object_may_be_long(message: Message) -> None:
    """An instance, and the image of a film box, are longer than any identifier."""
    incoming, sink = received(message, 2 * LONGEST_IDENTIFIER_BYTES)
    assert incoming.failure is None
    assert sink.size == 2 * LONGEST_IDENTIFIER_BYTES

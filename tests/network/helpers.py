"""What the tests of the network share: SOP classes, joined engines, and raw peers."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from pacs_sdk.network.agreement import Acceptance
from pacs_sdk.network.dimse import CStoreRQ, Message, decode_command, encode_command
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.indications import CommandReceived, DataReceived, EngineEvent
from pacs_sdk.network.negotiation import (
    AcceptorPolicy,
    ProposedContext,
    SupportedContext,
    association_request,
    negotiate,
)
from pacs_sdk.network.pdu import AAssociateAC, AAssociateRJ, AAssociateRQ, PDataTF, Pdu, PduType
from pacs_sdk.network.pdu_codec import decode_pdu, encode_pdu, pdata_header
from pacs_sdk.network.state_table import State

__all__ = [
    "CT_CONTEXT",
    "CT_IMAGE",
    "ECHO_CONTEXT",
    "EXPLICIT",
    "IMPLICIT",
    "REFUSED_CONTEXT",
    "REQUEST",
    "STORE",
    "STUDY_ROOT_FIND",
    "STUDY_ROOT_GET",
    "VERIFICATION",
    "EnginePair",
    "RawPeer",
    "Received",
    "Side",
    "accept_for",
    "acceptance_of",
    "assert_finished",
    "assert_state",
    "kinds",
    "message_bytes",
    "open_descriptors",
    "pdata",
    "pdu_types",
    "split_pdus",
]

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

ECHO_CONTEXT, CT_CONTEXT, REFUSED_CONTEXT = 1, 3, 5
"""The numbers of the contexts in :data:`REQUEST`."""

REQUEST = association_request(
    "MODALITY",
    "ARCHIVE",
    [
        ProposedContext(VERIFICATION, (IMPLICIT,)),
        ProposedContext(CT_IMAGE, (EXPLICIT,), as_scp=True),
        ProposedContext("1.2.3", (IMPLICIT,)),
    ],
)
"""Proposes Verification (1), CT (3, both roles) and something nobody has (5)."""

_POLICY = AcceptorPolicy(
    "ARCHIVE",
    [
        SupportedContext(VERIFICATION, [IMPLICIT]),
        SupportedContext(CT_IMAGE, [EXPLICIT], as_scp=True, as_scu=True),
    ],
)


def accept_for(request: AAssociateRQ, maximum_length: int | None = None) -> AAssociateAC:
    """Accept what our policy accepts, perhaps with another maximum length."""
    answer = negotiate(request, _POLICY)
    assert isinstance(answer, AAssociateAC)
    if maximum_length is None:
        return answer
    information = attrs.evolve(answer.user_information, maximum_length=maximum_length)
    return attrs.evolve(answer, user_information=information)


def acceptance_of(request: AAssociateRQ, maximum_length: int | None = None) -> Acceptance:
    """Accept as :func:`accept_for`, for an engine."""
    return Acceptance.of(request, accept_for(request, maximum_length))


STORE = CStoreRQ(1, CT_IMAGE, "1.2.3")
"""A request that announces a data set, for :data:`CT_CONTEXT`."""


# -- bytes -------------------------------------------------------------------------------------


def pdata(
    data: bytes, context_id: int = CT_CONTEXT, *, command: bool = False, last: bool = True
) -> bytes:
    """Make a P-DATA-TF with one fragment."""
    return pdata_header(context_id, command, last, len(data)) + data


def message_bytes(context_id: int, message: Message, dataset: bytes | None = None) -> bytes:
    """Make the P-DATA-TFs of a short message."""
    command = encode_command(message, has_dataset=dataset is not None)
    whole = pdata(command, context_id, command=True)
    return whole if dataset is None else whole + pdata(dataset, context_id)


def split_pdus(data: bytes) -> list[Pdu]:
    """Decode a stream that holds whole PDUs."""
    pdus, offset = [], 0
    while offset < len(data):
        end = offset + 6 + int.from_bytes(data[offset + 2 : offset + 6], "big")
        pdus.append(decode_pdu(data[offset:end]))
        offset = end
    return pdus


def pdu_types(output: Sequence[bytes]) -> list[PduType]:
    """Tell the types of PDUs that an engine put out, one an item."""
    return [PduType(pdu[0]) for pdu in output]


def open_descriptors() -> int:
    """Count the process's open sockets, files and pipes; what threads wait with is not counted."""
    kinds = []
    for entry in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that reads the folder
            kinds.append(os.readlink(entry))  # noqa: PTH115  # not a path: "socket:[1]"
    return sum("eventpoll" not in kind for kind in kinds)


# -- two engines -------------------------------------------------------------------------------


@attrs.define
class Received:
    """A message put together from an engine's events."""

    context_id: int
    """The presentation context."""
    message: Message
    """The command set."""
    data: bytes | None
    """The data set."""
    is_complete: bool
    """Whether all of it has come."""


@attrs.define(eq=False)
class Side:
    """One engine with a driver of the simplest kind around it."""

    engine: AssociationEngine
    """The engine."""
    wire: bytearray = attrs.field(factory=bytearray)
    """Bytes on their way to this side."""
    peer_closed: bool = False
    """Whether the connection ends behind them."""
    closed: bool = False
    """Whether this side has closed the connection."""
    events: list[EngineEvent] = attrs.field(factory=list)
    """What happened, in order; data sets are in ``messages``."""
    messages: list[Received] = attrs.field(factory=list)
    """What was received, in order."""

    def take(self, events: Sequence[EngineEvent]) -> None:
        """Keep events; copy data, because its view is soon invalid."""
        for event in events:
            if isinstance(event, DataReceived):
                message = self.messages[-1]
                assert message.data is not None
                assert not message.is_complete
                message.data += b"".join(event.pieces)
                message.is_complete = event.is_last
                continue
            self.events.append(event)
            if isinstance(event, CommandReceived):
                data = b"" if event.has_dataset else None
                self.messages.append(
                    Received(event.context.context_id, event.message, data, data is None)
                )

    def of_type(self, kind: type[EngineEvent]) -> list[EngineEvent]:
        """List the events of a kind."""
        return [event for event in self.events if type(event) is kind]


class EnginePair:
    """Two engines joined in memory; nothing moves until :meth:`pump` or :meth:`deliver`.

    Args:
        chunk: At most how many bytes arrive at once; all that are there by default.
        maximum_length: What both sides advertise, in bytes.
    """

    def __init__(self, *, chunk: int | None = None, maximum_length: int = 0) -> None:
        self.now = 100.0
        self.chunk = chunk
        self.requestor = Side(
            AssociationEngine(is_requestor=True, now=self.now, maximum_length=maximum_length)
        )
        self.acceptor = Side(
            AssociationEngine(is_requestor=False, now=self.now, maximum_length=maximum_length)
        )

    @classmethod
    def established(cls, *, chunk: int | None = None, maximum_length: int = 0) -> Self:
        """Make a pair with an association."""
        pair = cls(chunk=chunk, maximum_length=maximum_length)
        information = attrs.evolve(REQUEST.user_information, maximum_length=maximum_length)
        request = attrs.evolve(REQUEST, user_information=information)
        pair.requestor.engine.associate(request)
        pair.requestor.engine.transport_connected()
        pair.pump()
        pair.acceptor.engine.accept(acceptance_of(request, maximum_length))
        pair.pump()
        assert pair.requestor.engine.is_established
        assert pair.acceptor.engine.is_established
        return pair

    @property
    def sides(self) -> tuple[Side, Side]:
        """Requestor and acceptor."""
        return self.requestor, self.acceptor

    def other(self, side: Side) -> Side:
        """Return the peer of a side."""
        return self.acceptor if side is self.requestor else self.requestor

    def flush(self, side: Side) -> None:
        """Put a side's output on the wire, and close if its engine says so."""
        output = b"".join(side.engine.take_output())
        if not side.closed:
            self.other(side).wire += output
            if side.engine.closing:
                self.close(side)

    def close(self, side: Side) -> None:
        """Close the connection on one side; what is on its way to it is lost."""
        side.closed = True
        side.wire.clear()
        self.other(side).peer_closed = True

    def send(
        self, side: Side, context_id: int, message: Message, dataset: bytes | None = None
    ) -> list[bytes]:
        """Send a message; return what was put on the wire, a PDU an item."""
        view = None if dataset is None else memoryview(dataset)
        pdus: list[bytes] = []
        for batch in side.engine.send_message(context_id, message, view):
            headers, pieces = batch[::2], batch[1::2]
            assert all(len(header) == 12 for header in headers)
            pdus += [bytes(h) + bytes(p) for h, p in zip(headers, pieces, strict=True)]
        if not side.closed:
            self.other(side).wire += b"".join(pdus)
        return pdus

    def deliver(self, side: Side, count: int | None = None) -> bool:
        """Let some of the bytes on the wire arrive; tell whether anything did."""
        if side.closed:
            return False
        if side.wire:
            size = len(side.wire) if count is None else count
            piece = bytes(side.wire[:size])
            del side.wire[:size]
            side.take(side.engine.receive(piece, self.now))
        elif side.peer_closed:
            self.close(side)
            side.take(side.engine.transport_closed())
        else:
            return False
        self.flush(side)
        return True

    def pump(self) -> None:
        """Let everything arrive until both sides are quiet."""
        for side in self.sides:
            self.flush(side)
        moved = True
        while moved:
            moved = any(self.deliver(side, self.chunk) for side in self.sides)

    def advance(self, seconds: float) -> None:
        """Let time pass for both sides."""
        self.now += seconds
        for side in self.sides:
            side.take(side.engine.expire(self.now))
            self.flush(side)


def kinds(side: Side) -> list[type]:
    """List the types of a side's events."""
    return [type(event) for event in side.events]


def assert_state(side: Side, state: State) -> None:
    """Check where a side stands."""
    assert side.engine.state is state


def assert_finished(pair: EnginePair) -> None:
    """Check that both sides are done: nothing left to send, no timer, connection closed."""
    for side in pair.sides:
        assert_state(side, State.STA1)
        assert side.engine.deadline is None
        assert side.engine.take_output() == []
        assert side.closed


# -- raw peers ---------------------------------------------------------------------------------


class RawPeer:
    """A TCP connection that says what the test wants, right or wrong.

    Args:
        connected: The connection; it is closed when the context is left.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        connected.settimeout(10)
        self._buffer = b""

    @classmethod
    def to(cls, port: int) -> Self:
        """Connect to a port of this machine."""
        return cls(socket.create_connection(("127.0.0.1", port), 10))

    def send(self, *data: bytes | Pdu) -> None:
        """Send bytes and PDUs."""
        for item in data:
            self.socket.sendall(item if isinstance(item, bytes) else encode_pdu(item))

    def receive(self) -> Pdu | None:
        """Return the next PDU, or ``None`` at the end of the stream."""
        while len(self._buffer) < 6 or len(self._buffer) < self._length():
            data = self._read()
            if not data:
                assert not self._buffer, "the stream ends within a PDU"
                return None
            self._buffer += data
        length = self._length()
        whole, self._buffer = self._buffer[:length], self._buffer[length:]
        return decode_pdu(whole)

    def receive_message(self) -> Message:
        """Return the next message, which must be short and without a data set."""
        pdu = self.receive()
        assert isinstance(pdu, PDataTF), pdu
        (fragment,) = pdu.pdvs
        assert fragment.is_command
        return decode_command(bytes(fragment.data)).message

    def associate(self, request: AAssociateRQ = REQUEST) -> AAssociateAC:
        """Open an association that must be accepted."""
        self.send(request)
        answer = self.receive()
        assert isinstance(answer, AAssociateAC), answer
        return answer

    def rejection(self, request: AAssociateRQ = REQUEST) -> AAssociateRJ:
        """Ask for an association that must be rejected."""
        self.send(request)
        answer = self.receive()
        assert isinstance(answer, AAssociateRJ), answer
        return answer

    def rest(self) -> list[Pdu]:
        """Read all PDUs up to the end of the stream."""
        pdus = []
        while (pdu := self.receive()) is not None:
            pdus.append(pdu)
        return pdus

    def finish_sending(self) -> None:
        """Say that nothing more will come."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break the connection without a word (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _length(self) -> int:
        return 6 + int.from_bytes(self._buffer[2:6], "big")

    def _read(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

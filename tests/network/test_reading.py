"""How an association reads: as much at once as is there, and nothing that came is lost."""

from __future__ import annotations

import errno
import itertools
import socket
from collections.abc import Iterable, Iterator

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import NullLogger, SystemClock
from pacs_sdk.network.agreement import Acceptance
from pacs_sdk.network.connection.association import SocketAssociation
from pacs_sdk.network.connection.options import RECEIVE_BUFFER_BYTES, AssociationOptions
from pacs_sdk.network.connection.transport import Transport
from pacs_sdk.network.dimse import CStoreRQ
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.indications import EngineEvent
from pacs_sdk.network.known_requests import KnownRequests
from pacs_sdk.network.negotiation import AcceptorPolicy, SupportedContext
from pacs_sdk.network.pdu_codec import encode_pdu
from tests.network.helpers import CT_IMAGE, EXPLICIT, REQUEST, message_bytes

_Answer = bytes | None | OSError
"""What a read finds: bytes, the end (no bytes), nothing yet, or a failure."""


_POLICY = AcceptorPolicy("ARCHIVE", [SupportedContext(CT_IMAGE, [EXPLICIT])])


class _Played(Transport):
    """Finds what the test says, and then nothing for ever."""

    def __init__(self, connected: socket.socket, answers: Iterable[_Answer] = ()) -> None:
        super().__init__(connected)
        self.answers = iter(answers)
        self.asked = 0

    def receive_available(self, buffer: memoryview) -> int | None:
        """Give the next answer."""
        self.asked += 1
        answer = next(self.answers, None)
        if isinstance(answer, OSError):
            raise answer
        if answer is None:
            return None
        assert len(answer) <= buffer.nbytes
        buffer[: len(answer)] = answer
        return len(answer)


@pytest.fixture(name="near")
def _near() -> Iterator[socket.socket]:
    """A connected socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    with near, far:
        yield near


class _Counting(AssociationEngine):
    """Counts how often it is given bytes."""

    given = 0

    def receive(self, data: bytes | memoryview, now: float) -> list[EngineEvent]:
        """Count."""
        self.given += 1
        return super().receive(data, now)


def accepting(transport: Transport) -> tuple[SocketAssociation, _Counting]:
    """Make an association that the peer has opened, whose next bytes are the transport's."""
    engine = _Counting(is_requestor=False, now=0)
    association = SocketAssociation(
        transport, engine, SystemClock(), NullLogger(), AssociationOptions(1.0)
    )
    engine.receive(encode_pdu(REQUEST), 0)
    answer = KnownRequests(_POLICY).answer(REQUEST)
    assert isinstance(answer, Acceptance)
    engine.accept(answer)
    association.flush()
    engine.given = 0
    return association, engine


CONTEXT_ID = 3
"""That of CT images."""

DATA = bytes(range(256)) * 400
MESSAGE = message_bytes(CONTEXT_ID, CStoreRQ(1, CT_IMAGE, "1.2"), DATA)


def pieces(message: bytes, size: int) -> list[bytes]:
    """Cut a message."""
    return [message[start : start + size] for start in range(0, len(message), size)]


def received(association: SocketAssociation) -> bytes:
    """Take the message; return its data set."""
    incoming = association.receive(10.0)
    assert incoming is not None
    assert incoming.data is not None
    data = bytes(incoming.data.view())
    incoming.discard()
    return data


@pytest.mark.parametrize("size", [1000, 12_345, len(MESSAGE)])
def test_small_reads_of_a_data_set_are_acted_on_together(near: socket.socket, size: int) -> None:
    """The first tells that a data set comes; then the buffer is filled before anyone looks."""
    cut = pieces(MESSAGE, size)
    association, engine = accepting(_Played(near, cut))
    assert received(association) == DATA
    assert engine.given <= 1 + 1 + len(cut) // 40


def test_what_came_before_the_connection_broke_is_not_lost(near: socket.socket) -> None:
    """A message that was whole is handed on; then comes the reason, in its own words."""
    failure = ConnectionResetError(104, "Connection reset by peer")
    association, _ = accepting(_Played(near, [*pieces(MESSAGE, 20_000), failure]))
    assert received(association) == DATA
    with pytest.raises(PacsException, match="Connection reset by peer") as caught:
        association.receive(10.0)
    assert caught.value.error.code is ErrorCode.ASSOCIATION_ABORTED


@pytest.mark.parametrize("size", [20_000, len(MESSAGE)], ids=["behind", "apart"])
def test_a_connection_that_the_system_gave_up_is_broken(near: socket.socket, size: int) -> None:
    """ETIMEDOUT is no sign that nothing came yet, though Python calls both ``TimeoutError``."""
    failure = TimeoutError(errno.ETIMEDOUT, "Connection timed out")
    association, _ = accepting(_Played(near, [*pieces(MESSAGE, size), failure]))
    assert received(association) == DATA
    with pytest.raises(PacsException, match=r"lost: .* Connection timed out") as caught:
        association.receive(10.0)
    assert caught.value.error.code is ErrorCode.ASSOCIATION_ABORTED


def test_a_connection_that_breaks_in_a_data_set_says_why(near: socket.socket) -> None:
    """What came of it is dropped."""
    failure = ConnectionResetError(104, "Connection reset by peer")
    association, _ = accepting(_Played(near, [*pieces(MESSAGE, 20_000)[:-1], failure]))
    with pytest.raises(PacsException, match="Connection reset by peer"):
        association.receive(10.0)


def test_the_end_behind_a_message_is_met_after_it(near: socket.socket) -> None:
    """A peer that closes at once after its last bytes has said them."""
    association, _ = accepting(_Played(near, [*pieces(MESSAGE, 20_000), b"", b"", b""]))
    assert received(association) == DATA
    with pytest.raises(PacsException, match="closed the connection"):
        association.receive(10.0)


def test_a_long_data_set_is_read_buffer_by_buffer(near: socket.socket) -> None:
    """No read asks for more than is left of the buffer."""
    data = bytes(RECEIVE_BUFFER_BYTES * 3)
    message = message_bytes(CONTEXT_ID, CStoreRQ(1, CT_IMAGE, "1.2"), data)
    transport = _Whole(near, message)
    association, _ = accepting(transport)
    assert received(association) == data


class _Whole(Transport):
    """Has all of a message at once, and gives what fits."""

    def __init__(self, connected: socket.socket, message: bytes) -> None:
        super().__init__(connected)
        self._rest = memoryview(message)

    def receive_available(self, buffer: memoryview) -> int | None:
        """Fill the buffer."""
        count = min(buffer.nbytes, len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count or None


@pytest.fixture(name="_steps")
def _time_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ten microseconds pass at each look at the clock, however busy the machine is."""
    steps = itertools.count()
    monkeypatch.setattr(
        "pacs_sdk.network.connection.transport.time.perf_counter", lambda: next(steps) * 1e-5
    )


@pytest.mark.usefixtures("_steps")
def test_a_slow_peer_is_not_waited_for_actively(near: socket.socket) -> None:
    """Whoever doesn't answer within microseconds is asked again and again ever more seldom."""
    transport, buffer = _Played(near), memoryview(bytearray(10))
    active = []
    for number in range(100):
        before = transport.asked
        assert transport.receive_soon(buffer) is None
        if transport.asked > before + 1:
            active.append(number)
    assert active == [0, 2, 6, 14, 30, 62, 94]


@pytest.mark.usefixtures("_steps")
def test_a_peer_that_becomes_fast_is_noticed(near: socket.socket) -> None:
    """One answer to an active wait, and the next one is active, too."""
    transport, buffer = _Played(near), memoryview(bytearray(10))
    for _ in range(20):
        assert transport.receive_soon(buffer) is None
    taken = 0
    while taken == 0:
        transport.answers = iter([None, b"x"])
        taken = transport.receive_soon(buffer) or 0
    for _ in range(3):
        transport.answers = iter([None, None, b"x"])
        assert transport.receive_soon(buffer) == 1

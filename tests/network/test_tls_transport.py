"""The transport over TLS: what :mod:`test_transport` says of the plain one, and what is special."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from pacs_sdk.network.connection.tls_transport import TlsTransport
from pacs_sdk.network.connection.transport import WokenUp
from pacs_sdk.network.tls import TlsProfile
from pacs_sdk.network.tls.settings import client_context
from tests.network.tls_peers import HOST, TIMEOUT_S, Line, Pki, open_line

RECORD = 1 << 14
"""What a TLS record holds (RFC 8446 5.1)."""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Issue certificates for this module."""
    return Pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def line() -> Iterator[Line]:
    """Connect two sockets."""
    with open_line() as line:
        yield line


@pytest.fixture
def ends(line: Line, pki: Pki) -> tuple[TlsTransport, TlsTransport]:
    """Agree on TLS: the server's end and the client's."""
    return line.secure(pki.server_tls, pki.client_tls)


def _received(transport: TlsTransport, size: int | None = None) -> bytes:
    """Receive so many bytes, or all until the end."""
    buffer, received = memoryview(bytearray(1 << 18)), bytearray()
    while size is None or len(received) < size:
        count = transport.receive(buffer, TIMEOUT_S)
        if not count:
            break
        received += buffer[:count]
    return bytes(received)


# -- what every transport does ---------------------------------------------------------------------


def test_small_packets_are_not_held_back(ends: tuple[TlsTransport, TlsTransport]) -> None:
    """Nagle's algorithm is off and keep-alive on, on either side."""
    for end in ends:
        assert end._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert end._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_what_is_there_is_read_without_waiting(ends: tuple[TlsTransport, TlsTransport]) -> None:
    """Nothing yet, then bytes, then the end, again and again."""
    near, far = ends
    buffer = memoryview(bytearray(10))
    assert near.receive_available(buffer) is None
    far.send([b"abc"], TIMEOUT_S)
    assert near.receive(buffer, TIMEOUT_S) == 3
    assert bytes(buffer[:3]) == b"abc"
    far.close()
    assert near.receive(buffer, TIMEOUT_S) == 0
    assert near.receive_available(buffer) == 0


def test_a_wait_has_its_time(ends: tuple[TlsTransport, TlsTransport]) -> None:
    """Nothing in time is a TimeoutError, even with no time at all or less; it may go on then."""
    near, far = ends
    buffer = memoryview(bytearray(10))
    for timeout_s in (0.01, 0, -1):
        with pytest.raises(TimeoutError):
            near.receive(buffer, timeout_s)
    far.send([b"abc"], TIMEOUT_S)
    assert near.receive(buffer, None) == 3


def test_a_wait_can_be_ended_from_outside(
    line: Line, ends: tuple[TlsTransport, TlsTransport]
) -> None:
    """Once woken every further wait ends at once, until the wake is ignored."""
    near, far = ends
    buffer = memoryview(bytearray(10))
    waker = threading.Thread(target=line.wake)
    waker.start()
    for _ in range(2):
        with pytest.raises(WokenUp):
            near.receive(buffer, TIMEOUT_S)
    waker.join(TIMEOUT_S)
    far.send([b"abc"], TIMEOUT_S)
    near.ignore_wake()
    assert near.receive(buffer, TIMEOUT_S) == 3
    with pytest.raises(TimeoutError):
        near.receive(buffer, 0.01)


def test_many_buffers_arrive_in_order(line: Line, ends: tuple[TlsTransport, TlsTransport]) -> None:
    """Empty ones, single bytes, and those around the length of a record, of bytes and views."""
    near, far = ends
    sizes = [12, 131060, 0, RECORD - 1, 1, RECORD, RECORD + 1, 3 * RECORD, 5, 1 << 19, 7, 0]
    buffers = [bytes([n + 1]) * size for n, size in enumerate(sizes * 3)]
    reading = line.pool.submit(_received, near)
    far.send([memoryview(b) if n % 2 else b for n, b in enumerate(buffers)], TIMEOUT_S)
    far.finish_sending()
    assert reading.result(TIMEOUT_S) == b"".join(buffers)


def test_views_of_other_items_are_sent_as_bytes(ends: tuple[TlsTransport, TlsTransport]) -> None:
    """Pixels of 16 bits are counted in bytes."""
    near, far = ends
    far.send([memoryview(bytes(range(200))).cast("H")], TIMEOUT_S)
    assert _received(near, 200) == bytes(range(200))


@pytest.mark.parametrize("profile", [TlsProfile.BCP_195, TlsProfile.EXTENDED])
def test_much_goes_through_small_buffers_both_ways(pki: Pki, profile: TlsProfile) -> None:
    """20 MB each way, through sockets that take a few kilobytes at a time, with TLS 1.3 and 1.2."""
    import attrs

    data = memoryview(bytes(range(251)) * (20_000_000 // 251))
    with open_line(buffer_bytes=4096) as line:
        near, far = line.secure(pki.server_tls, attrs.evolve(pki.client_tls, profile=profile))
        for sender, receiver in ((far, near), (near, far)):
            reading = line.pool.submit(_received, receiver, data.nbytes)
            sender.send([data[:100], data[100:]], TIMEOUT_S)
            assert reading.result(60) == data


def test_a_peer_that_takes_nothing_has_its_time(ends: tuple[TlsTransport, TlsTransport]) -> None:
    """A full line is a TimeoutError, and nothing can be sent behind half a record."""
    near, _ = ends
    with pytest.raises(TimeoutError, match="took no data in time"):
        near.send([bytes(64 << 20)], 0.01)
    with pytest.raises(TimeoutError, match="took no data in time"):
        near.send([b"more"], TIMEOUT_S)
    near.close()


def test_a_connection_can_be_broken_off_from_another_thread(
    line: Line, ends: tuple[TlsTransport, TlsTransport]
) -> None:
    """Whoever waits learns of it at once; doing it again, or after closing, is harmless."""
    near, _ = ends
    line.pool.submit(near.break_off)
    assert near.receive(memoryview(bytearray(10)), TIMEOUT_S) == 0
    near.break_off()
    assert near._tls.cipher() is not None  # TLS is never taken off: nothing is read in clear
    near.close()
    near.break_off()
    near.finish_sending()
    near.close()


def test_a_handshake_can_be_broken_off_from_another_thread(line: Line, pki: Pki) -> None:
    """The transport is there before the handshake, so that a stop can end it."""
    calling = TlsTransport(line.far, client_context(pki.client_tls), server_hostname=HOST)
    line.opened.append(calling)
    assert calling.facts is None
    line.pool.submit(calling.break_off)
    with pytest.raises(Exception, match="the peer closed the connection"):
        calling.handshake(TIMEOUT_S)


# -- what is special about TLS ---------------------------------------------------------------------


def test_one_read_takes_all_records_that_are_there(
    line: Line, ends: tuple[TlsTransport, TlsTransport]
) -> None:
    """Small records are gathered; nothing is left where a wait for the socket would miss it."""
    near, far = ends
    for n in range(10):
        far.send([bytes([n]) * 100], TIMEOUT_S)
    far.finish_sending()
    buffer = memoryview(bytearray(1 << 18))
    assert near.receive(buffer, TIMEOUT_S) == 1000
    assert near.receive(buffer, TIMEOUT_S) == 0


def test_what_did_not_fit_is_counted_and_read_next(
    ends: tuple[TlsTransport, TlsTransport],
) -> None:
    """A record that is longer than the buffer: the socket is empty, the rest is not lost."""
    near, far = ends
    far.send([b"0123456789"], TIMEOUT_S)
    buffer = memoryview(bytearray(4))
    assert near.receive(buffer, TIMEOUT_S) == 4
    assert near.pending() == 6
    assert near.receive_available(buffer) == 4
    assert near.receive(buffer, 0) == 2
    assert bytes(buffer[:2]) == b"89"
    assert near.pending() == 0
    assert near.receive_available(buffer) is None


def test_a_record_that_comes_byte_by_byte_does_not_prolong_the_wait(line: Line, pki: Pki) -> None:
    """The time is for the whole, however often the socket becomes readable."""
    near, far = line.secure(pki.server_tls, pki.client_tls)
    stop = threading.Event()

    def trickle() -> None:
        # The header of an application data record of 16 kB, and a little of it now and then.
        raw = socket.socket.send
        raw(far._tls, b"\x17\x03\x03\x40\x00")
        while not stop.wait(0.005):
            raw(far._tls, b"x")

    trickling = line.pool.submit(trickle)
    with pytest.raises(TimeoutError):
        near.receive(memoryview(bytearray(10)), 0.1)
    stop.set()
    trickling.result(TIMEOUT_S)


def test_a_close_is_announced(line: Line, ends: tuple[TlsTransport, TlsTransport]) -> None:
    """The peer gets a close_notify (RFC 8446 6.1): an end that nobody on the way can forge."""
    near, far = ends
    vars(far._tls)["suppress_ragged_eofs"] = False  # a bare end would be an error now
    near.close()
    assert far.receive(memoryview(bytearray(10)), TIMEOUT_S) == 0


def test_an_end_without_an_announcement_is_an_end(
    ends: tuple[TlsTransport, TlsTransport],
) -> None:
    """Many DICOM peers just close; the upper layer knows whether it was time (PS3.8 9.2)."""
    near, far = ends
    far.break_off()
    assert near.receive(memoryview(bytearray(10)), TIMEOUT_S) == 0


def test_after_our_end_only_that_of_the_peer_is_received(
    ends: tuple[TlsTransport, TlsTransport],
) -> None:
    """What it had sent before it knew is thrown away, so that the close resets nothing."""
    near, far = ends
    far.send([bytes(100_000)], TIMEOUT_S)
    near.finish_sending()
    buffer = memoryview(bytearray(1000))
    with pytest.raises(TimeoutError):
        near.receive(buffer, 0.01)
    assert _received(far) == b""
    far.close()
    assert near.receive(buffer, TIMEOUT_S) == 0
    assert near.pending() == 0


def test_an_end_never_waits(line: Line, ends: tuple[TlsTransport, TlsTransport]) -> None:
    """Neither for room for the close_notify nor for the peer's."""
    near, _ = ends
    with pytest.raises(TimeoutError):
        near.send([bytes(64 << 20)], 0.01)
    near.finish_sending()
    near.close()
    assert line.near.fileno() == -1


def test_a_forged_record_breaks_the_connection(
    ends: tuple[TlsTransport, TlsTransport],
) -> None:
    """It fails the integrity check (PS3.15 B.12); what came before it is received, once."""
    near, far = ends
    far.send([b"abc"], TIMEOUT_S)
    socket.socket.send(far._tls, b"\x17\x03\x03\x00\x20" + bytes(32))
    socket.socket.shutdown(far._tls, socket.SHUT_WR)
    buffer = memoryview(bytearray(10))
    assert near.receive(buffer, TIMEOUT_S) == 3
    for _ in range(2):
        with pytest.raises(OSError, match="TLS failed: ") as raised:
            near.receive(buffer, TIMEOUT_S)
        assert not isinstance(raised.value, ssl.SSLError)


def test_last_words_are_heard_after_sending_failed(
    ends: tuple[TlsTransport, TlsTransport],
) -> None:
    """A peer that aborts and closes while we send: its A-ABORT is read all the same."""
    near, far = ends
    far.send([b"abort"], TIMEOUT_S)
    far.close()
    with pytest.raises(ConnectionError):  # reset or broken pipe, as it comes
        near.send([bytes(64 << 20)], TIMEOUT_S)
    assert near.receive(memoryview(bytearray(10)), TIMEOUT_S) == 5


def test_keys_can_be_updated_while_bytes_come(
    line: Line, ends: tuple[TlsTransport, TlsTransport]
) -> None:
    """A wait of the reading side that is for room to write becomes one for bytes again."""
    near, far = ends
    near._await(4)  # POLLOUT: as after a key update (RFC 8446 4.6.3) that found the line full
    far.send([b"abc"], TIMEOUT_S)
    assert near.receive(memoryview(bytearray(10)), TIMEOUT_S) == 3
    assert near.receive_available(memoryview(bytearray(10))) is None
    with pytest.raises(TimeoutError):
        near.receive(memoryview(bytearray(10)), 0.01)

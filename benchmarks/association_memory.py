"""What associations and large objects cost our server in memory, and how fast it stops."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.harness import Figure, scaled
from benchmarks.loopback_client import CT_IMAGE_STORAGE, Client, store_message
from benchmarks.made_files import element
from benchmarks.peers import our_server
from pacs_sdk.network import DicomServer, Driver, ServerConfig
from pacs_sdk.services import VerificationScp

__all__ = ["figures"]

_IDLE = 500
_BARE_CONNECTS = 10_000
_AT_ONCE = 16
_LARGE_MIB = 2000
_STOPPED = 100
_SETTLE_S = 10.0
_SETTLE_EVERY_S = 0.05
_SETTLED_AFTER = 10

_MIB = 1 << 20
_QUIET = ("--durability", "relaxed", "--log-level", "error")


def figures() -> Iterator[Figure]:
    """Measure one thing after another, each with a server of its own."""
    yield from _idle_associations(scaled(_IDLE))
    yield from _large_object(scaled(_LARGE_MIB))
    yield from _bare_connects(scaled(_BARE_CONNECTS))
    yield _stop(scaled(_STOPPED), peers_close=True)
    yield _stop(scaled(_STOPPED), peers_close=False)


def _idle_associations(count: int) -> Iterator[Figure]:
    for driver in Driver:
        yield _idle_association(count, driver)


def _idle_association(count: int, driver: Driver) -> Figure:
    limit = str(count + 10)
    server = our_server("pacs_sdk", *_QUIET, max_associations=limit, driver=driver.value)
    with server.running() as running:
        _warm_up(running.port)
        before = _memory_kib(running.process_id, "VmRSS")
        with Client.associations(running.port, count):
            during = _memory_kib(running.process_id, "VmRSS")
    return Figure(
        f"an idle association, of {count}, {driver.value}",
        f"{(during - before) / count:.1f} KiB",
    )


def _large_object(mebibytes: int) -> Iterator[Figure]:
    with our_server("pacs_sdk", *_QUIET).running() as running:
        _warm_up(running.port)
        _forget_peak(running.process_id)
        before = _memory_kib(running.process_id, "VmRSS")
        own_before = _memory_kib(running.process_id, "RssAnon")
        client = Client(running.port, CT_IMAGE_STORAGE)
        uid = "1.2.826.0.1.3680043.10.9999.60.1"
        start = time.perf_counter()
        client.store(store_message(uid, _data_set(uid, mebibytes)))
        taken = time.perf_counter() - start
        client.release()
        peak = _memory_kib(running.process_id, "VmHWM")
        own = _memory_kib(running.process_id, "RssAnon")
    yield Figure(
        f"an object of {mebibytes} MiB: rise of the resident peak, pages of its file included",
        f"{(peak - before) / 1024:.1f} MiB",
    )
    yield Figure("the same: rise of the memory of its own", f"{(own - own_before) / 1024:.1f} MiB")
    yield Figure("the same: how fast", f"{mebibytes / taken:,.0f} MiB/s")


def _bare_connects(count: int) -> Iterator[Figure]:
    with our_server("pacs_sdk", *_QUIET).running() as running:
        _warm_up(running.port)
        with Client.associations(running.port, _AT_ONCE):
            pass  # now as many threads wait as ever will, each with a descriptor
        descriptors = _settled_descriptors(running.process_id)
        before = _memory_kib(running.process_id, "VmRSS")
        start = time.perf_counter()
        for _ in range(count):
            socket.create_connection(("127.0.0.1", running.port)).close()
        taken = time.perf_counter() - start
        left = _settled_descriptors(running.process_id)
        after = _memory_kib(running.process_id, "VmRSS")
    yield Figure(
        f"{count:,} connections without a word ({count / taken:,.0f} a second)",
        f"{after - before:+,} KiB, {left - descriptors:+} descriptors",
    )


def _stop(count: int, *, peers_close: bool) -> Figure:
    config = ServerConfig(port=0, max_associations=count)
    with (
        DicomServer(config, [VerificationScp()]) as server,
        Client.associations(server.port, count) as clients,
    ):
        closing = threading.Thread(target=_close_when_aborted, args=(clients,))
        if peers_close:
            closing.start()
        start = time.perf_counter()
        server.stop()
        taken = time.perf_counter() - start
        if peers_close:
            closing.join()
    who = "whose peers close when they are aborted" if peers_close else "whose peers don't react"
    return Figure(f"stop() with {count} idle associations {who}", f"{taken * 1000:.1f} ms")


def _close_when_aborted(clients: Sequence[Client]) -> None:
    """Do what a peer does with an A-ABORT: close the connection."""
    waiting = {client.fileno(): client for client in clients}
    readable = select.poll()
    for number in waiting:
        readable.register(number, select.POLLIN)
    while waiting:
        for number, _ in readable.poll():
            readable.unregister(number)
            waiting.pop(number).close()


def _warm_up(port: int) -> None:
    """Have the server load the code that its first association needs."""
    for _ in range(20):
        client = Client(port)
        client.echo()
        client.release()


def _data_set(uid: str, mebibytes: int) -> Iterator[bytes]:
    """Give the data set of a CT image with that many bytes of pixels, piece by piece."""
    yield b"".join(
        (
            element(0x00080016, b"UI", CT_IMAGE_STORAGE.encode()),
            element(0x00080018, b"UI", uid.encode()),
            element(0x00080060, b"CS", b"CT"),
            element(0x00100010, b"PN", b"Doe^Jane"),
            element(0x00100020, b"LO", b"P-1"),
            element(0x0020000D, b"UI", b"1.2.826.0.1.3680043.10.9999.60.2"),
            element(0x0020000E, b"UI", b"1.2.826.0.1.3680043.10.9999.60.3"),
            element(0x7FE00010, b"OW", b"", mebibytes * _MIB),
        )
    )
    zeros = bytes(_MIB)
    for _ in range(mebibytes):
        yield zeros


def _memory_kib(process_id: int, name: str) -> int:
    """Read a figure of ``/proc/PID/status``."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise RuntimeError(f"/proc does not tell {name}")


def _forget_peak(process_id: int) -> None:
    """Make the resident peak what is resident now (proc(5), ``clear_refs``)."""
    Path(f"/proc/{process_id}/clear_refs").write_text("5")


def _descriptors(process_id: int) -> int:
    """Count what a connection could leave open.

    Not the index's files: housekeeping opens a connection to it some seconds after the start.
    """
    count = 0
    for link in Path(f"/proc/{process_id}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            count += not link.readlink().name.startswith("index.sqlite")
    return count


def _settled_descriptors(process_id: int) -> int:
    """Count descriptors once their number stays: connections are closed on both sides then."""
    count, same = _descriptors(process_id), 0
    deadline = time.monotonic() + _SETTLE_S
    while same < _SETTLED_AFTER and time.monotonic() < deadline:
        time.sleep(_SETTLE_EVERY_S)
        before, count = count, _descriptors(process_id)
        same = same + 1 if count == before else 0
    return count

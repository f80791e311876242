"""A peer for tests of the Storage SCU: it does with each image what a script says."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, Instance, TransferSyntax
from pacs_sdk.network import DicomServer, Exchange, Peer, ServerConfig, SupportedContext
from pacs_sdk.network.dimse import CStoreRQ, Status
from tests.services.conftest import CT

__all__ = [
    "abort",
    "hang_up",
    "take",
    "Received",
    "Receiver",
    "Script",
    "Waits",
    "answer",
    "line_to",
    "receiving",
]

Script = Callable[[Exchange], None]
"""What is done with one image."""


def take(exchange: Exchange) -> None:
    """Take it."""
    exchange.respond_status(Status.SUCCESS)


def abort(exchange: Exchange) -> None:
    """Abort the association in place of an answer."""
    exchange._association.abort()  # type: ignore[attr-defined]  # no service does that


def hang_up(exchange: Exchange) -> None:
    """Close the connection without a word, as a process that dies does."""
    exchange._association.close()  # type: ignore[attr-defined]


def answer(status: int, comment: str = "") -> Script:
    """Refuse it, or warn."""
    return lambda exchange: exchange.respond_status(status, comment)


@attrs.define
class Received:
    """An image that has arrived."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    data: bytes
    association: tuple[str, int]

    @property
    def instance(self) -> Instance:
        """What it is."""
        from pacs_sdk.core.byte_source import MemoryBytes

        return Instance(
            self.sop_class_uid,
            self.sop_instance_uid,
            self.transfer_syntax_uid,
            MemoryBytes(self.data),
        )


class Receiver:
    """A storage service: the first images go by the script, all others are taken."""

    def __init__(
        self,
        *script: Script,
        syntaxes: Sequence[TransferSyntax | str] = (EXPLICIT_VR_LITTLE_ENDIAN,),
        sop_classes: Sequence[str] = (CT,),
    ) -> None:
        self.script = list(script)
        self.received: list[Received] = []
        self._syntaxes = [one if isinstance(one, str) else one.uid for one in syntaxes]
        self._sop_classes = sop_classes
        self._lock = threading.Lock()

    @property
    def uids(self) -> list[str]:
        """The SOP Instance UIDs, in the order in which they came."""
        return [one.sop_instance_uid for one in self.received]

    @property
    def associations(self) -> int:
        """Over how many associations something came."""
        return len({one.association for one in self.received})

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """Support what was given."""
        return [SupportedContext(uid, self._syntaxes) for uid in self._sop_classes]

    def handle(self, exchange: Exchange) -> None:
        """Note the image, and do as the script says."""
        request = exchange.request
        assert isinstance(request, CStoreRQ)
        assert exchange.data is not None
        who = exchange.association
        with self._lock:
            self.received.append(
                Received(
                    request.affected_sop_instance_uid,
                    request.affected_sop_class_uid,
                    exchange.context.transfer_syntax,
                    bytes(exchange.data.view()),
                    (who.peer_host, who.peer_port),
                )
            )
            step = self.script.pop(0) if self.script else take
        step(exchange)


class Waits(threading.Event):
    """A ``stop`` that lets no time pass, and notes how long it was to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Return at once."""
        assert timeout is not None
        self.waited.append(timeout)
        return self.is_set()


@contextmanager
def receiving(service: Receiver, **settings: Any) -> Iterator[Peer]:
    """Run a server with this service."""
    config = attrs.evolve(ServerConfig(port=0), **settings)
    with DicomServer(config, [service]) as server:
        yield Peer(server.host, server.port)


class Line:
    """A TCP connection in between, which can be cut for good."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_cut = False
        self.peer = attrs.evolve(peer, port=self._listener.getsockname()[1])
        """Whom to call."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, *_: object) -> None:
        """End all connections, and refuse new ones."""
        with self._lock:
            self._is_cut = True
            for one in (self._listener, *self._ends):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection((self._peer.host, self._peer.port))
                with self._lock:
                    if self._is_cut:  # it was accepted just before
                        here.close()
                        there.close()
                        return
                    self._ends += [here, there]
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(peer: Peer) -> Iterator[Line]:
    """Give a line to a server."""
    line = Line(peer)
    try:
        yield line
    finally:
        line.cut()

"""Servers, services and loggers for the tests of the threaded drivers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import attrs

from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    ClientTimeouts,
    DicomAssociation,
    DicomServer,
    DicomService,
    Exchange,
    Peer,
    ProposedContext,
    ServerConfig,
    SupportedContext,
    connect,
)
from pacs_sdk.network.asyncio import BackgroundServer
from pacs_sdk.network.dimse import CEchoRQ, CEchoRSP, CStoreRQ, Status
from pacs_sdk.network.negotiation import AcceptorPolicy, negotiate
from pacs_sdk.network.pdu import AAssociateAC, AAssociateRQ, Pdu
from pacs_sdk.network.pdu_codec import encode_pdu
from tests.network.helpers import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    VERIFICATION,
    RawPeer,
)

__all__ = [
    "CONTEXTS",
    "DRIVERS",
    "FAKE_CONTEXTS",
    "PATIENT",
    "AnyServer",
    "EchoService",
    "RecordingLogger",
    "Scripted",
    "Shelf",
    "accept",
    "assert_alive",
    "driver_in_use",
    "open_association",
    "open_to",
    "peer_that",
    "server_of_driver",
    "serving",
    "then",
    "wait_until_served",
]

CONTEXTS = (
    ProposedContext(VERIFICATION, (IMPLICIT,)),
    ProposedContext(CT_IMAGE, (EXPLICIT,), as_scp=True),
    ProposedContext(STUDY_ROOT_FIND, (IMPLICIT,)),
    ProposedContext(STUDY_ROOT_GET, (IMPLICIT,)),
)
"""What the client of these tests proposes."""


class EchoService:
    """Answers C-ECHO."""

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """Support Verification."""
        return [SupportedContext(VERIFICATION, [IMPLICIT])]

    def handle(self, exchange: Exchange) -> None:
        """Say that all is well."""
        exchange.respond_status(Status.SUCCESS)


class Scripted:
    """Does what the test says, for one SOP class.

    Args:
        act: What to do with a request.
        abstract_syntax: The SOP class.
        as_scu: Whether it may also be invoked by us, as in a C-GET.
    """

    def __init__(
        self,
        act: Callable[[Exchange], object],
        abstract_syntax: str = CT_IMAGE,
        *,
        as_scu: bool = False,
    ) -> None:
        self._act = act
        self._context = SupportedContext(abstract_syntax, [EXPLICIT, IMPLICIT], True, as_scu)

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """Support the one SOP class."""
        return [self._context]

    def handle(self, exchange: Exchange) -> None:
        """Act."""
        self._act(exchange)


@attrs.define
class Shelf:
    """A storage service that keeps what it gets."""

    kept: dict[str, bytes] = attrs.field(factory=dict)
    kinds: list[type] = attrs.field(factory=list)

    def __call__(self, exchange: Exchange) -> None:
        """Keep the data set."""
        request = exchange.request
        assert isinstance(request, CStoreRQ)
        assert exchange.data is not None
        self.kept[request.affected_sop_instance_uid] = bytes(exchange.data.view())
        self.kinds.append(type(exchange.data))
        exchange.respond_status(Status.SUCCESS)


class RecordingLogger:
    """Keeps every entry, with its level, event name and fields."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, dict[str, object]]] = []
        self._changed = threading.Condition()
        self._fields: dict[str, object] = {}

    def bind(self, **fields: object) -> RecordingLogger:
        """Return a logger that writes to the same list."""
        bound = RecordingLogger()
        bound.entries = self.entries
        bound._changed = self._changed
        bound._fields = {**self._fields, **fields}
        return bound

    def debug(self, event: str, **fields: object) -> None:
        """Record."""
        self._record("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Record."""
        self._record("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Record."""
        self._record("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Record."""
        self._record("error", event, fields)

    def _record(self, level: str, event: str, fields: dict[str, object]) -> None:
        with self._changed:
            self.entries.append((level, event, {**self._fields, **fields}))
            self._changed.notify_all()

    def named(self, event: str) -> list[dict[str, object]]:
        """List the fields of each entry with this name."""
        with self._changed:
            return [fields for _, name, fields in self.entries if name == event]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until the entries fulfil a condition."""
        with self._changed:
            fulfilled = self._changed.wait_for(condition, 10)
            assert fulfilled, f"only {[name for _, name, _ in self.entries]}"

    def wait_for(self, event: str, count: int = 1) -> dict[str, object]:
        """Wait until an event was recorded so many times; return the fields of the last."""
        self.wait_until(lambda: sum(name == event for _, name, _ in self.entries) >= count)
        return self.named(event)[count - 1]


def wait_until_served(logger: RecordingLogger, port: int) -> None:
    """Wait until the server is done with the connection from a port, its thread included."""
    logger.wait_until(
        lambda: any(
            event == "connection-closed" and fields["peer_port"] == port
            for _, event, fields in logger.entries
        )
    )
    for thread in threading.enumerate():
        if thread.name == f"dicom-127.0.0.1:{port}":
            thread.join(10)
            assert not thread.is_alive()


AnyServer: TypeAlias = DicomServer | BackgroundServer
"""A server of either driver."""

DRIVERS: dict[str, type[AnyServer]] = {"threaded": DicomServer, "asyncio": BackgroundServer}
"""The drivers by name."""


@attrs.define
class _DriverInUse:
    name: str = "threaded"


driver_in_use = _DriverInUse()
"""Which driver :func:`serving` uses; the fixture ``driver`` sets it."""


def server_of_driver() -> type[AnyServer]:
    """Return the class of the driver in use."""
    return DRIVERS[driver_in_use.name]


@contextmanager
def serving(
    *services: DicomService,
    config: ServerConfig | None = None,
    logger: RecordingLogger | None = None,
) -> Iterator[AnyServer]:
    """Run a server of the driver in use on a free port; check that none of its threads outlives it."""
    before = set(threading.enumerate())
    server = server_of_driver()(
        attrs.evolve(config or ServerConfig(), port=0), services, logger=logger
    )
    raised(server.start())
    try:
        yield server
    finally:
        server.stop()
    left = [
        thread for thread in set(threading.enumerate()) - before if thread.name.startswith("dicom-")
    ]
    for thread in left:  # a thread may still be in its very last steps
        thread.join(2)
    assert not [thread.name for thread in left if thread.is_alive()]
    assert server.active_associations == 0


def open_to(
    server: AnyServer,
    contexts: Sequence[ProposedContext] = CONTEXTS,
    *,
    dimse_s: float = 10.0,
    **options: Any,
) -> DicomAssociation:
    """Open an association that must be accepted."""
    peer = Peer("127.0.0.1", server.port, server.ae_title)
    timeouts = ClientTimeouts(10.0, 10.0, dimse_s)
    return raised(connect(peer, "TESTER", contexts, timeouts=timeouts, **options))


def assert_alive(association: DicomAssociation) -> None:
    """Check that an association still answers a C-ECHO."""
    context = raised(association.context_for(VERIFICATION))
    number = association.next_message_id()
    response = raised(association.call(context, CEchoRQ(number)))
    assert response == CEchoRSP(number, Status.SUCCESS)


# -- a peer that is no server ---------------------------------------------------------------------

FAKE_CONTEXTS = [
    ProposedContext(VERIFICATION, (IMPLICIT,)),
    ProposedContext(CT_IMAGE, (EXPLICIT,)),
    ProposedContext(STUDY_ROOT_FIND, (IMPLICIT,)),
]
"""What the client proposes to a peer of :func:`peer_that`; :func:`accept` accepts them all."""

PATIENT = ClientTimeouts(10.0, 10.0, 10.0)
_FAKE_POLICY = AcceptorPolicy(
    "FAKE",
    [SupportedContext(c.abstract_syntax, c.transfer_syntaxes) for c in FAKE_CONTEXTS],
)


def open_association(peer: Peer, timeouts: ClientTimeouts = PATIENT) -> DicomAssociation:
    """Open an association that must be accepted."""
    return raised(connect(peer, "TESTER", FAKE_CONTEXTS, timeouts=timeouts))


def accept(peer: RawPeer, *more: Pdu) -> None:
    """Accept the association that the client asks for, and send more in the same breath."""
    request = peer.receive()
    assert isinstance(request, AAssociateRQ)
    answer = negotiate(request, _FAKE_POLICY)
    assert isinstance(answer, AAssociateAC)
    peer.send(b"".join(encode_pdu(pdu) for pdu in (answer, *more)))


def then(*steps: Callable[[RawPeer], object]) -> Callable[[RawPeer], None]:
    """Do one thing after the other."""

    def act(peer: RawPeer) -> None:
        for step in steps:
            step(peer)

    return act


@contextmanager
def peer_that(act: Callable[[RawPeer], object]) -> Iterator[Peer]:
    """Listen for one connection, and let it do what the test says in a thread of its own."""
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            connected, _ = listener.accept()
            with RawPeer(connected) as peer:
                act(peer)
        except BaseException as exc:  # noqa: BLE001  # raised again in the test's thread
            failures.append(exc)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Peer("127.0.0.1", listener.getsockname()[1], "FAKE")
        thread.join(10)
        assert not thread.is_alive()
    if failures:
        raise failures[0]

"""Taking what a peer sends in answer to a C-GET or C-MOVE."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, SystemClock
from pacs_sdk.core.results import Failure, PacsResult, Success, edge, raised
from pacs_sdk.core.uids import checked_uid
from pacs_sdk.encoding import Instance
from pacs_sdk.network import (
    DicomServer,
    DicomService,
    IncomingMessage,
    Peer,
    ServerConfig,
    ServerTls,
)
from pacs_sdk.network.dimse import CStoreRQ, CStoreRSP, Status, response_to
from pacs_sdk.services.retrieve.report import Taken
from pacs_sdk.services.storage_scp import StorageScp
from pacs_sdk.services.verification import VerificationScp

__all__ = ["KeepInstance", "ReceiveHere", "Receiver", "receiving", "receiving_services"]

KeepInstance: TypeAlias = Callable[[Instance], PacsResult[object]]
"""Keeps an instance, whose bytes are valid during the call only. A ``Failure`` is told to the
peer by its code's status."""


@attrs.define
class Receiver:
    """Keeps what comes, one instance at a time, and counts it."""

    keep: KeepInstance
    """What keeps an instance."""
    clock: Clock = attrs.field(factory=SystemClock)
    """The time."""
    offered: int = attrs.field(default=0, init=False)
    """How many instances have come, kept or not."""
    received: int = attrs.field(default=0, init=False)
    """How many were kept."""
    size_bytes: int = attrs.field(default=0, init=False)
    """The bytes of their data sets."""
    moved_at: float | None = attrs.field(default=None, init=False)
    """When an instance last began or ended to come, by the clock's monotonic time."""
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    @property
    def taken(self) -> Taken:
        """What has come."""
        return Taken(self.received, self.offered - self.received, self.size_bytes)

    def begin(self, *_: str) -> None:
        """Note that an instance begins to come; where its bytes go is left to the server."""
        self.moved_at = self.clock.monotonic()

    def take(self, instance: Instance) -> PacsResult[object]:
        """Keep one."""
        with self._lock:
            self.offered += 1
            kept = self.keep(instance)
            match kept:
                case Success():
                    self.received += 1
                    self.size_bytes += instance.size
            self.moved_at = self.clock.monotonic()
        return kept

    def on_store(self, incoming: IncomingMessage, request: CStoreRQ) -> CStoreRSP:
        """Perform one C-STORE sub-operation of a C-GET."""
        kept: PacsResult[object]
        match _instance_of(incoming, request):
            case Success(instance):
                kept = self.take(instance)
            case refusal:
                self.offered += 1
                kept = refusal
        match kept:
            case Failure(error):
                status, comment = error.code.dimse_status, error.message
            case _:
                status, comment = int(Status.SUCCESS), ""
        # Built as any answer is: a UID that is none must not end the retrieval.
        response = response_to(request, status, comment)
        return (
            response if isinstance(response, CStoreRSP) else CStoreRSP(request.message_id, status)
        )


@edge()
def _instance_of(incoming: IncomingMessage, request: CStoreRQ) -> Instance:
    """Return what a C-STORE sub-operation brings, or why it cannot be taken."""
    if incoming.failure is not None:
        raise PacsException.of(incoming.failure)
    if incoming.data is None:
        raise PacsException(ErrorCode.STORE_FAILED, "no data set was announced")
    return Instance(
        sop_class_uid=request.affected_sop_class_uid,
        sop_instance_uid=checked_uid(
            request.affected_sop_instance_uid, "Affected SOP Instance UID"
        ),
        transfer_syntax_uid=incoming.context.transfer_syntax,
        encoded=incoming.data,
    )


@attrs.frozen
class ReceiveHere:
    """A Storage SCP of our own, for as long as a C-MOVE takes."""

    keep: KeepInstance
    """What keeps an instance."""
    port: int = 0
    """The port it listens on, which the peer must know; 0 picks a free one."""
    host: str = ""
    """The address it listens on; if empty, that by which the peer is reached."""
    tls: ServerTls | None = None
    """How it speaks TLS; in clear if ``None``."""
    on_ready: Callable[[int], None] | None = None
    """Told the port before the C-MOVE is sent."""


@contextmanager
def receiving(
    here: ReceiveHere, ae_title: str, peer: Peer, logger: Logger, clock: Clock
) -> Iterator[Receiver]:
    """Run the Storage SCP of a C-MOVE.

    Args:
        here: Where it listens.
        ae_title: What it is called: the Move Destination.
        peer: Who will send.
        logger: Where events are recorded.
        clock: The time.

    Raises:
        PacsException: ``PORT_UNAVAILABLE``, or what the files of TLS give.
    """
    receiver = Receiver(here.keep, clock)
    config = ServerConfig(
        ae_title=ae_title,
        host=here.host or _local_address(peer),
        port=here.port,
        tls=here.tls,
        require_called_ae_title=True,
    )
    server = DicomServer(config, receiving_services(receiver), logger=logger, clock=clock)
    raised(server.start())
    try:
        if here.on_ready is not None:
            here.on_ready(server.port)
        yield receiver
    finally:
        server.stop()


def receiving_services(receiver: Receiver) -> list[DicomService]:
    """List the services of the Storage SCP of a C-MOVE."""
    return [VerificationScp(), StorageScp(receiver.take, receive=receiver.begin)]


def _local_address(peer: Peer) -> str:
    """Find out which address of ours faces a peer; nothing is sent for that."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with (
            contextlib.suppress(OSError, OverflowError, UnicodeError),
            socket.socket(family, socket.SOCK_DGRAM) as probe,
        ):
            probe.connect((peer.host, peer.port))
            return str(probe.getsockname()[0])
    return "0.0.0.0"  # noqa: S104  # the C-MOVE itself will say why the peer is not reached

"""A destination of C-MOVE that notes what arrives, and an archive that moves to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.ports import Logger
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, Instance
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import (
    DicomServer,
    DicomService,
    Exchange,
    Peer,
    ServerConfig,
    SupportedContext,
)
from pacs_sdk.network.dimse import CStoreRQ, Status
from pacs_sdk.services import ConfiguredDestinations, Destination, Moves, RetrieveScp
from pacs_sdk.storage import Archive
from tests.services.conftest import CT

__all__ = [
    "MR",
    "THE_STUDY",
    "Setting",
    "Shelf",
    "moving",
]

MR = "1.2.840.10008.5.1.4.1.1.4"
STUDY = "1.2.3"
THE_STUDY = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDY)


class Shelf(DicomService):
    """Takes C-STOREs as a destination does, and notes what it was told.

    Args:
        syntaxes: The transfer syntaxes it takes.
        sop_classes: The SOP classes it takes.
        answers: The statuses of its answers, one after the other; Success for the rest.
    """

    def __init__(
        self,
        syntaxes: Sequence[str] = (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid),
        sop_classes: Sequence[str] = (CT, MR),
        answers: Sequence[int] = (),
    ) -> None:
        self.requests: list[CStoreRQ] = []
        self.received: dict[str, tuple[str, bytes]] = {}
        self.callers: set[str] = set()
        self.ports: set[int] = set()
        self.hold = threading.Event()
        self.hold.set()
        self.arrived = threading.Semaphore(0)
        self._syntaxes, self._sop_classes = syntaxes, sop_classes
        self._answers = list(answers)

    def supported_contexts(self) -> list[SupportedContext]:
        return [SupportedContext(uid, self._syntaxes) for uid in self._sop_classes]

    def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        assert isinstance(request, CStoreRQ)
        assert exchange.data is not None
        self.arrived.release()
        assert self.hold.wait(10)
        self.callers.add(exchange.association.calling_ae_title)
        self.ports.add(exchange.association.peer_port)
        self.requests.append(request)
        status = self._answers.pop(0) if self._answers else Status.SUCCESS
        if status == Status.SUCCESS:
            self.received[request.affected_sop_instance_uid] = (
                exchange.context.transfer_syntax,
                bytes(exchange.data.view()),
            )
        exchange.respond_status(status, "" if status == Status.SUCCESS else "no room is left")


@attrs.frozen
class Setting:
    """An archive that moves, and where it moves to."""

    peer: Peer
    archive: Archive
    shelf: Shelf

    def store(self, *instances: Instance) -> None:
        """Put instances into the archive."""
        for one in instances:
            self.archive.store(one).unwrap()


@contextmanager
def moving(
    pacs: Pacs,
    shelf: Shelf,
    config: ServerConfig | None = None,
    logger: Logger | None = None,
    **settings: Any,
) -> Iterator[Setting]:
    """Run a destination, and a server that knows it as SHELF."""
    server_config = config or ServerConfig(port=0, ae_title="SHELF")
    with DicomServer(server_config, [shelf]) as server:
        destination = Destination("SHELF", "127.0.0.1", server.port, **settings)
        moves = Moves(ConfiguredDestinations([destination]), "ARCHIVE")
        service = RetrieveScp(pacs.archive, moves)
        with DicomServer(ServerConfig(port=0), [service], logger=logger) as scp:
            yield Setting(Peer("127.0.0.1", scp.port), pacs.archive, shelf)

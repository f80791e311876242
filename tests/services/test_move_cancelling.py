"""What ends a C-MOVE early: a C-CANCEL, a requestor that leaves, a stop of the archive."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import PacsResult
from pacs_sdk.encoding import IMPLICIT_VR_LITTLE_ENDIAN, encode_dataset
from pacs_sdk.integration.config import PacsConfig, StorageConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Driver, ProposedContext, ServerConfig, connect
from pacs_sdk.network.dimse import CMoveRQ
from pacs_sdk.services import Destination, InformationModel, RetrieveReport, RetrieveScu
from pacs_sdk.testing import RecordingLogger
from tests.services.conftest import MakeInstance
from tests.services.move_destinations import THE_STUDY, Shelf, moving


def test_a_cancel_ends_it_with_what_remains(pacs: Pacs, make_instance: MakeInstance) -> None:
    """After a C-CANCEL nothing more is begun; the final response is FE00H with the counts."""
    shelf, logger = Shelf(), RecordingLogger()
    shelf.hold.clear()
    done: list[PacsResult[RetrieveReport]] = []
    with moving(pacs, shelf, logger=logger) as setting:
        setting.store(*(make_instance() for _ in range(5)))
        scu = RetrieveScu()
        asking = threading.Thread(
            target=lambda: done.append(
                scu.move(setting.peer, THE_STUDY, "SHELF", cancel=lambda: True)
            )
        )
        asking.start()
        logger.wait_for("retrieval-cancelled")
        shelf.hold.set()
        asking.join(10)
    report = done[0].unwrap()
    assert report.is_cancelled
    assert (report.completed, report.remaining, report.failed) == (1, 4, 0)
    assert len(shelf.received) == 1


def test_who_asks_and_leaves_ends_it(pacs: Pacs, make_instance: MakeInstance) -> None:
    """When the requestor is gone, what is under way is finished and nothing more begun."""
    shelf, logger = Shelf(), RecordingLogger()
    shelf.hold.clear()
    model = InformationModel.STUDY_ROOT.move
    data = encode_dataset(THE_STUDY, IMPLICIT_VR_LITTLE_ENDIAN).unwrap()
    with moving(pacs, shelf, logger=logger) as setting:
        setting.store(*(make_instance() for _ in range(20)))
        proposed = ProposedContext(model, (IMPLICIT_VR_LITTLE_ENDIAN.uid,))
        association = connect(setting.peer, "ASKER", [proposed]).unwrap()
        context = association.context_for(model).unwrap()
        raw = association._association
        raw.send(context.context_id, CMoveRQ(1, model, "SHELF"), MemoryBytes(data))
        assert shelf.arrived.acquire(timeout=10)
        association.abort()
        logger.wait_for("retrieval-cancelled")
        shelf.hold.set()
    assert len(shelf.received) == 1


@pytest.mark.parametrize("driver", list(Driver))
def test_a_stop_does_not_wait_for_a_destination(
    tmp_path: Path, make_instance: MakeInstance, driver: Driver
) -> None:
    """An archive that is stopped leaves a destination that does not answer."""
    shelf = Shelf()
    shelf.hold.clear()
    with DicomServer(ServerConfig(port=0, ae_title="SHELF"), [shelf]) as server:
        config = PacsConfig(
            server=ServerConfig(port=0, driver=driver),
            storage=StorageConfig(data_dir=tmp_path / "stopped"),
            destinations=(Destination("SHELF", "127.0.0.1", server.port),),
        )
        pacs = Pacs.configured(config).start().unwrap()
        pacs.archive.store(make_instance()).unwrap()
        done: list[PacsResult[RetrieveReport]] = []
        peer = pacs.peer
        asking = threading.Thread(
            target=lambda: done.append(RetrieveScu().move(peer, THE_STUDY, "SHELF"))
        )
        asking.start()
        assert shelf.arrived.acquire(timeout=10)
        pacs.stop(0.0)
        for one in threading.enumerate():
            if one.name.startswith("move-to-"):  # it was broken off, and is in its last steps
                one.join(10)
                assert not one.is_alive()
        shelf.hold.set()
        asking.join(10)
    assert done[0].failure().code is ErrorCode.ASSOCIATION_ABORTED

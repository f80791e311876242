"""What a C-MOVE delivers to its destination, and over how many associations (PS3.4 C.4.2)."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.results import PacsResult
from pacs_sdk.encoding import IMPLICIT_VR_LITTLE_ENDIAN, encode_dataset
from pacs_sdk.integration.config import PacsConfig, StorageConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Driver, Peer, ProposedContext, ServerConfig
from pacs_sdk.network.dimse import CMoveRQ, CMoveRSP, CStoreRQ, CStoreRSP, Status, decode_command
from pacs_sdk.network.negotiation import association_request
from pacs_sdk.network.pdu import AAssociateAC, AAssociateRQ, AReleaseRP, AReleaseRQ, PDataTF
from pacs_sdk.network.pdu_codec import encode_pdu
from pacs_sdk.network.user_information import AsynchronousOperationsWindow
from pacs_sdk.services import (
    ConfiguredDestinations,
    Destination,
    InformationModel,
    Moves,
    RetrieveProgress,
    RetrieveReport,
    RetrieveScp,
    RetrieveScu,
)
from tests.network.helpers import RawPeer, accept_for, message_bytes
from tests.services.conftest import MakeInstance
from tests.services.move_destinations import THE_STUDY, Shelf, moving


def test_a_study_arrives_byte_for_byte(pacs: Pacs, make_instance: MakeInstance) -> None:
    """Each instance goes to the destination as it is stored, and names who asked for it."""
    instances = [make_instance(), make_instance(IMPLICIT_VR_LITTLE_ENDIAN), make_instance()]
    with moving(pacs, Shelf()) as setting:
        setting.store(*instances)
        report = RetrieveScu(ae_title="ASKER").move(setting.peer, THE_STUDY, "SHELF").unwrap()
    shelf = setting.shelf
    assert (report.status, report.completed, report.failed, report.received) == (0, 3, 0, 0)
    assert shelf.received == {
        one.sop_instance_uid: (one.transfer_syntax_uid, bytes(one.encoded.view()))
        for one in instances
    }
    assert shelf.callers == {"ARCHIVE"}
    assert {one.move_originator_ae_title for one in shelf.requests} == {"ASKER"}
    assert {one.move_originator_message_id for one in shelf.requests} == {1}


@pytest.mark.parametrize("title", ["RÖNTGEN", "A\\B", "TAB\t"])
def test_who_has_no_proper_ae_title_can_have_something_moved(
    pacs: Pacs, make_instance: MakeInstance, title: str
) -> None:
    """Move Originator is left out, which it may be (PS3.7 9.1.1.1), where no C-STORE can have it."""
    move = InformationModel.STUDY_ROOT.move
    contexts = [ProposedContext(move, (IMPLICIT_VR_LITTLE_ENDIAN.uid,))]
    request = encode_pdu(association_request("ASKER", "ARCHIVE", contexts))
    data = bytes(encode_dataset(THE_STUDY, IMPLICIT_VR_LITTLE_ENDIAN).unwrap())
    with moving(pacs, Shelf()) as setting:
        setting.store(make_instance())
        with RawPeer.to(setting.peer.port) as peer:
            peer.send(request.replace(b"ASKER".ljust(16), title.encode("latin-1").ljust(16)))
            assert isinstance(peer.receive(), AAssociateAC)
            peer.send(message_bytes(1, CMoveRQ(1, move, "SHELF"), data))
            while (final := peer.receive_message()).status == Status.PENDING:  # type: ignore[union-attr]
                pass
    assert isinstance(final, CMoveRSP)
    assert (final.status, final.number_of_completed_suboperations) == (0, 1)
    (stored,) = setting.shelf.requests
    assert (stored.move_originator_ae_title, stored.move_originator_message_id) == ("", 1)


def test_the_destination_may_know_us_by_another_name(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """The calling AE title of a destination's configuration is used for it."""
    with moving(pacs, Shelf(), calling_ae_title="US") as setting:
        setting.store(make_instance())
        RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert setting.shelf.callers == {"US"}


def test_pending_responses_tell_the_counts(pacs: Pacs, make_instance: MakeInstance) -> None:
    """Remaining falls and completed rises, and together they are always the whole."""
    counts: list[RetrieveProgress] = []
    with moving(pacs, Shelf()) as setting:
        setting.store(*(make_instance() for _ in range(4)))
        RetrieveScu().move(setting.peer, THE_STUDY, "SHELF", on_progress=counts.append).unwrap()
    assert counts
    assert {one.total for one in counts} == {4}
    assert [one.done for one in counts] == sorted(one.done for one in counts)


def test_several_associations_send_at_once(pacs: Pacs, make_instance: MakeInstance) -> None:
    """A destination with ``parallel`` gets instances over as many associations."""
    shelf = Shelf()
    shelf.hold.clear()
    with moving(pacs, shelf, parallel=3) as setting:
        setting.store(*(make_instance() for _ in range(9)))
        done: list[PacsResult[RetrieveReport]] = []
        scu = RetrieveScu()
        asking = threading.Thread(
            target=lambda: done.append(scu.move(setting.peer, THE_STUDY, "SHELF"))
        )
        asking.start()
        for _ in range(3):
            assert shelf.arrived.acquire(timeout=10)  # three are there, and none is answered
        shelf.hold.set()
        asking.join(10)
    assert len(shelf.received) == 9
    assert len(shelf.ports) == 3
    assert done[0].unwrap().completed == 9


@pytest.mark.parametrize("window", [1, 4])
def test_several_instances_are_under_way_where_that_was_granted(
    pacs: Pacs, make_instance: MakeInstance, window: int
) -> None:
    """A destination with ``window`` is asked for it, and gets as many ahead of its answers."""
    for _ in range(6):
        pacs.archive.store(make_instance()).unwrap()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = Destination("FAR", "127.0.0.1", listener.getsockname()[1], window=window)
        service = RetrieveScp(pacs.archive, Moves(ConfiguredDestinations([there]), "ARCHIVE"))
        done: list[PacsResult[RetrieveReport]] = []
        with DicomServer(ServerConfig(port=0), [service]) as scp:
            peer = Peer("127.0.0.1", scp.port)
            asking = threading.Thread(
                target=lambda: done.append(RetrieveScu().move(peer, THE_STUDY, "FAR"))
            )
            asking.start()
            with RawPeer(listener.accept()[0]) as far:
                request = far.receive()
                assert isinstance(request, AAssociateRQ)
                proposed = request.user_information.asynchronous_operations_window
                assert proposed == (AsynchronousOperationsWindow(window, 1) if window > 1 else None)
                answer = accept_for(request)
                information = attrs.evolve(
                    answer.user_information, asynchronous_operations_window=proposed
                )
                far.send(attrs.evolve(answer, user_information=information))
                stores = [next_store(far) for _ in range(window)]
                for number in range(6):
                    context_id, store = stores.pop()  # the last first: any order will do
                    far.send(message_bytes(context_id, CStoreRSP(store.message_id, 0)))
                    if number < 6 - window:
                        stores.append(next_store(far))
                assert isinstance(far.receive(), AReleaseRQ)
                far.send(AReleaseRP())
                asking.join(10)
    report = done[0].unwrap()
    assert (report.status, report.completed) == (0, 6)


def next_store(far: RawPeer) -> tuple[int, CStoreRQ]:
    """Take the next C-STORE request with its data set; return its context, too."""
    pdu = far.receive()
    assert isinstance(pdu, PDataTF)
    message = decode_command(bytes(pdu.pdvs[0].data)).message
    assert isinstance(message, CStoreRQ)
    assert isinstance(far.receive(), PDataTF)
    return pdu.pdvs[0].context_id, message


def test_a_destination_that_takes_fewer_gets_everything_over_those(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """Associations that are rejected beyond a destination's limit cost no instance."""
    config = ServerConfig(port=0, ae_title="SHELF", max_associations=1)
    with moving(pacs, Shelf(), config, parallel=3) as setting:
        setting.store(*(make_instance() for _ in range(9)))
        report = RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert (report.completed, report.status) == (9, 0)


@pytest.mark.parametrize("driver", list(Driver))
def test_both_drivers_move(tmp_path: Path, make_instance: MakeInstance, driver: Driver) -> None:
    """A C-MOVE is performed alike, whichever driver serves who asks."""
    shelf = Shelf()
    with DicomServer(ServerConfig(port=0, ae_title="SHELF"), [shelf]) as server:
        config = PacsConfig(
            server=ServerConfig(port=0, driver=driver),
            storage=StorageConfig(data_dir=tmp_path / "archive"),
            destinations=(Destination("SHELF", "127.0.0.1", server.port, parallel=2),),
        )
        with Pacs.configured(config) as pacs:
            for _ in range(4):
                pacs.archive.store(make_instance()).unwrap()
            report = RetrieveScu().move(pacs.peer, THE_STUDY, "SHELF").unwrap()
    assert (report.completed, report.status) == (4, 0)


def test_destinations_of_the_configuration(tmp_path: Path, make_instance: MakeInstance) -> None:
    """An archive that is configured with a destination moves to it, over its pool."""
    shelf = Shelf()
    with DicomServer(ServerConfig(port=0, ae_title="SHELF"), [shelf]) as server:
        config = PacsConfig(
            server=ServerConfig(port=0, ae_title="ARCHIVE"),
            storage=StorageConfig(data_dir=tmp_path / "archive"),
            destinations=(Destination("SHELF", "127.0.0.1", server.port),),
        )
        with Pacs.configured(config) as pacs:
            pacs.archive.store(make_instance()).unwrap()
            for _ in range(2):
                report = RetrieveScu().move(pacs.peer, THE_STUDY, "SHELF").unwrap()
                assert report.completed == 1
            statistics = pacs.container.services.sub_operation_pool().statistics()
            assert (statistics.created, statistics.reused) == (1, 1)

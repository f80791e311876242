"""C-MOVE, both sides, over sockets (PS3.4 C.4.2)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.ports import Logger, SystemClock
from pacs_sdk.core.results import Failure, PacsResult, Success
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    encode_dataset,
    transcode,
)
from pacs_sdk.integration.config import PacsConfig, StorageConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from pacs_sdk.network import (
    DicomAssociation,
    DicomServer,
    DicomService,
    Driver,
    Exchange,
    Peer,
    ProposedContext,
    ServerConfig,
    SupportedContext,
    connect,
)
from pacs_sdk.network.dimse import (
    CMoveRQ,
    CMoveRSP,
    CStoreRQ,
    CStoreRSP,
    Status,
    decode_command,
)
from pacs_sdk.network.pdu import (
    AAssociateRQ,
    AReleaseRP,
    AReleaseRQ,
    AsynchronousOperationsWindow,
    PDataTF,
)
from pacs_sdk.services import (
    ConfiguredDestinations,
    Destination,
    InformationModel,
    InMemory,
    Moves,
    ReceiveHere,
    RetrieveProgress,
    RetrieveReport,
    RetrieveScp,
    RetrieveScu,
)
from pacs_sdk.storage import Archive
from pacs_sdk.testing import RecordingLogger
from tests.network.helpers import RawPeer, accept_for, message_bytes
from tests.network.tls_peers import Pki
from tests.services.conftest import CT, MakeInstance

MR = "1.2.840.10008.5.1.4.1.1.4"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
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


# -- what goes wrong ----------------------------------------------------------------------


def test_an_unknown_destination_is_named(pacs: Pacs) -> None:
    """A801H (PS3.4 Table C.4-2), before anything is looked for."""
    with moving(pacs, Shelf()) as setting:
        error = RetrieveScu().move(setting.peer, THE_STUDY, "NOBODY").failure()
    assert error.code is ErrorCode.MOVE_DESTINATION_UNKNOWN
    assert error.details["status"] == 0xA801
    assert "NOBODY" in error.message


def test_a_resolver_that_fails_is_an_error_of_its_own(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """A database that does not answer is not an unknown destination: A702H, not A801H."""

    def resolve(ae_title: str) -> PacsResult[Destination]:
        return Failure(PacsError(ErrorCode.INDEX_FAILED, f"cannot look up {ae_title}"))

    pacs.archive.store(make_instance()).unwrap()
    service = RetrieveScp(pacs.archive, Moves(resolve, "ARCHIVE"))
    with DicomServer(ServerConfig(port=0), [service]) as scp:
        peer = Peer("127.0.0.1", scp.port)
        error = RetrieveScu().move(peer, THE_STUDY, "SHELF").failure()
    assert error.details["status"] == 0xA702
    assert "cannot look up SHELF" in error.message


def test_what_is_not_there_is_a_success_with_nothing(pacs: Pacs) -> None:
    """No match, no sub-operation, and no association with the destination."""
    with moving(pacs, Shelf()) as setting:
        report = RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert (report.status, report.completed, report.failed) == (0, 0, 0)


def test_a_destination_that_is_down(pacs: Pacs, make_instance: MakeInstance) -> None:
    """All sub-operations fail: A702H, with the list of instances and the reason in words."""
    instances = [make_instance(), make_instance()]
    for one in instances:
        pacs.archive.store(one).unwrap()
    moves = Moves(ConfiguredDestinations([Destination("DOWN", "127.0.0.1", 1)]), "ARCHIVE")
    with DicomServer(ServerConfig(port=0), [RetrieveScp(pacs.archive, moves)]) as scp:
        peer = Peer("127.0.0.1", scp.port)
        report = RetrieveScu().move(peer, THE_STUDY, "DOWN").unwrap()
    assert (report.status, report.completed, report.failed) == (0xA702, 0, 2)
    assert set(report.failed_sop_instance_uids) == {one.sop_instance_uid for one in instances}
    assert "cannot connect to 127.0.0.1 port 1" in report.comment


def test_a_destination_that_rejects_the_association(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """An A-ASSOCIATE-RJ fails all of it, and is told in words."""
    config = ServerConfig(
        port=0, ae_title="OTHER", require_called_ae_title=True
    )  # it is called SHELF
    with moving(pacs, Shelf(), config) as setting:
        setting.store(make_instance())
        report = RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert (report.status, report.failed) == (0xA702, 1)
    assert report.comment.startswith("SHELF at 127.0.0.1")


def test_a_destination_without_the_sop_class(pacs: Pacs, make_instance: MakeInstance) -> None:
    """What it has no context for fails; the rest arrives: B000H with the list."""
    ct, mr = make_instance(), make_instance(SOPClassUID=MR, SeriesInstanceUID="1.2.3.5")
    with moving(pacs, Shelf(sop_classes=[CT])) as setting:
        setting.store(ct, mr)
        report = RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert (report.status, report.completed, report.failed) == (0xB000, 1, 1)
    assert report.failed_sop_instance_uids == (mr.sop_instance_uid,)
    assert setting.shelf.received.keys() == {ct.sop_instance_uid}
    assert "MR Image Storage" in report.comment


@pytest.mark.parametrize(
    ("answers", "status", "counts"),
    [
        ([0xA700, 0xA700, 0xA700], 0xA702, (0, 3, 0)),
        ([0, 0xA700, 0], 0xB000, (2, 1, 0)),
        ([0xB000, 0, 0xB007], 0xB000, (1, 0, 2)),
        ([0xB000, 0xC123, 0xA900], 0xB000, (0, 2, 1)),
    ],
)
def test_answers_of_the_destination_make_the_final_status(
    pacs: Pacs,
    make_instance: MakeInstance,
    answers: list[int],
    status: int,
    counts: tuple[int, int, int],
) -> None:
    """Success, Warning and Failure are counted apart (PS3.4 C.4.2.3.1, Table C.4-2)."""
    with moving(pacs, Shelf(answers=answers)) as setting:
        setting.store(*(make_instance() for _ in answers))
        report = RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert report.status == status
    assert (report.completed, report.failed, report.warnings) == counts
    assert len(report.failed_sop_instance_uids) == counts[1]
    if counts[1]:
        assert report.comment == "no room is left"


def test_a_list_of_failures_longer_than_a_16_bit_length(pacs: Pacs) -> None:
    """Thousands of failed UIDs are told, too: 2,000 of 60 characters are 120 kB."""
    uids = [f"1.2.{'9' * 50}.{number + 1}" for number in range(2000)]
    context = [ProposedContext(InformationModel.STUDY_ROOT.move, ("1.2.840.10008.1.2.1",))]

    class Listing(DicomService):
        def supported_contexts(self) -> list[SupportedContext]:
            return [SupportedContext(context[0].abstract_syntax, context[0].transfer_syntaxes)]

        def handle(self, exchange: Exchange) -> None:
            from pacs_sdk.services.retrieve.tally import Tally

            assert isinstance(exchange.request, CMoveRQ)
            tally = Tally(exchange, exchange.request, SystemClock(), len(uids))
            for uid in uids:
                tally.count(uid, None)
            tally.finish()

    with DicomServer(ServerConfig(port=0), [Listing()]) as server:
        peer = Peer("127.0.0.1", server.port)
        report = RetrieveScu().move(peer, THE_STUDY, "SHELF").unwrap()
    assert report.failed_sop_instance_uids == tuple(uids)


class Breaking(Shelf):
    """Aborts the association in place of its first answers."""

    def __init__(self, breaks: int) -> None:
        super().__init__()
        self.breaks = breaks

    def handle(self, exchange: Exchange) -> None:
        if self.breaks:
            self.breaks -= 1
            exchange._association.abort()  # type: ignore[attr-defined]
            exchange.is_answered = True
            return
        super().handle(exchange)


def test_a_broken_association_is_opened_anew(pacs: Pacs, make_instance: MakeInstance) -> None:
    """An instance that was not answered is sent again over another association, once."""
    with moving(pacs, Breaking(1)) as setting:
        setting.store(make_instance(), make_instance())
        report = RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert (report.status, report.completed) == (0, 2)


def test_associations_that_break_again_and_again_end_it(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """A destination that aborts whatever it gets is not called for each instance."""
    shelf = Breaking(100)
    with moving(pacs, shelf) as setting:
        setting.store(*(make_instance() for _ in range(5)))
        report = RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert (report.status, report.failed) == (0xA702, 5)
    assert shelf.breaks == 98


def test_an_object_that_is_gone_is_one_failure(pacs: Pacs, make_instance: MakeInstance) -> None:
    """A damaged archive sends what it still has."""
    instances = [make_instance() for _ in range(3)]
    with moving(pacs, Shelf()) as setting:
        setting.store(*instances)
        (lost,) = (pacs.container.config().storage.data_dir).rglob(
            f"*{instances[1].sop_instance_uid}*"
        )
        lost.unlink()
        report = RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert (report.status, report.completed, report.failed) == (0xB000, 2, 1)
    assert report.failed_sop_instance_uids == (instances[1].sop_instance_uid,)


# -- cancelling ---------------------------------------------------------------------------


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
        assert not [one for one in threading.enumerate() if one.name.startswith("move-to-")]
        shelf.hold.set()
        asking.join(10)
    assert done[0].failure().code is ErrorCode.ASSOCIATION_ABORTED


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


def test_a_bug_is_a_failure_of_every_instance(
    pacs: Pacs, make_instance: MakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens in a sending thread, the C-MOVE has an end and tells what was not sent."""

    def crash(self: DicomAssociation) -> int:
        raise RuntimeError("a bug")

    logger = RecordingLogger()
    with moving(pacs, Shelf(), logger=logger) as setting:
        setting.store(make_instance(), make_instance())
        proposed = ProposedContext(InformationModel.STUDY_ROOT.move, ("1.2.840.10008.1.2",))
        with connect(setting.peer, "ASKER", [proposed]).unwrap() as association:
            context = association.context_for(proposed.abstract_syntax).unwrap()
            monkeypatch.setattr(DicomAssociation, "next_message_id", crash)
            data = MemoryBytes(encode_dataset(THE_STUDY, IMPLICIT_VR_LITTLE_ENDIAN).unwrap())
            request = CMoveRQ(1, proposed.abstract_syntax, "SHELF")
            *_, final = association.replies(context, request, data)
    assert isinstance(final.response, CMoveRSP)
    assert final.response.status == 0xA702
    assert final.response.number_of_failed_suboperations == 2
    logger.wait_for("delivery-crashed")


# -- encodings ----------------------------------------------------------------------------


def compressed_ct() -> Instance:
    """Make a CT image in JPEG lossless."""
    phantom = make_phantom(PhantomSpec(slices=1, rows=16, columns=16)).unwrap()
    return transcode(phantom.instances[0], JPEG_LOSSLESS).unwrap()


@pytest.mark.parametrize(
    ("taken", "settings", "expected"),
    [
        ([JPEG_LOSSLESS, "1.2.840.10008.1.2"], {}, JPEG_LOSSLESS),
        (["1.2.840.10008.1.2.1"], {}, "1.2.840.10008.1.2.1"),
        (["1.2.840.10008.1.2"], {}, "1.2.840.10008.1.2"),
        (
            ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80"],
            {"transfer_syntaxes": ["JPEGLSLossless", "ExplicitVRLittleEndian"]},
            "1.2.840.10008.1.2.4.80",
        ),
    ],
    ids=["as stored", "explicit", "implicit", "as configured"],
)
def test_what_the_destination_refuses_is_re_encoded(
    pacs: Pacs, taken: list[str], settings: dict[str, Any], expected: str
) -> None:
    """As it is stored where that is taken; otherwise re-encoded without loss."""
    instance = compressed_ct()
    with moving(pacs, Shelf(syntaxes=taken), **settings) as setting:
        setting.store(instance)
        wanted = DicomDataset(
            QueryRetrieveLevel="STUDY",
            StudyInstanceUID=instance.header().unwrap().text("StudyInstanceUID"),
        )
        report = RetrieveScu().move(setting.peer, wanted, "SHELF").unwrap()
    assert (report.completed, report.failed) == (1, 0)
    syntax, content = setting.shelf.received[instance.sop_instance_uid]
    assert syntax == expected
    came = attrs.evolve(instance, transfer_syntax_uid=syntax, encoded=MemoryBytes(content))
    assert (came.frames().unwrap() == instance.frames().unwrap()).all()


def test_more_kinds_than_one_association_has_room_for(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """129 contexts need two associations."""
    from pacs_sdk.services import storage_sop_classes

    classes = [one.uid for one in storage_sop_classes()][:70]
    instances = [
        make_instance(SOPClassUID=uid, SeriesInstanceUID=f"1.2.3.{number}")
        for number, uid in enumerate(classes)
    ]
    with moving(pacs, Shelf(sop_classes=classes)) as setting:
        setting.store(*instances)
        report = RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert (report.completed, report.failed) == (70, 0)
    assert len(setting.shelf.ports) == 2


# -- receiving what was moved ------------------------------------------------------------


def test_what_was_moved_is_received_here(
    pacs: Pacs, make_instance: MakeInstance, tmp_path: Path
) -> None:
    """The user's own Storage SCP takes it, on a port the archive knows; results as instances."""
    instances = [make_instance() for _ in range(3)]
    here: list[int] = []

    def resolve(ae_title: str) -> PacsResult[Destination]:
        return Success(Destination(ae_title, "127.0.0.1", here[0]))

    for one in instances:
        pacs.archive.store(one).unwrap()
    box = InMemory()
    with DicomServer(
        ServerConfig(port=0), [RetrieveScp(pacs.archive, Moves(resolve, "ARCHIVE"))]
    ) as scp:
        report = (
            RetrieveScu()
            .move(
                Peer("127.0.0.1", scp.port),
                THE_STUDY,
                "ME",
                receive=ReceiveHere(box.keep, on_ready=here.append),
            )
            .unwrap()
        )
    assert (report.received, report.completed, report.status) == (3, 3, 0)
    assert report.size_bytes == sum(one.size for one in instances)
    assert {one.sop_instance_uid for one in box.instances} == {
        one.sop_instance_uid for one in instances
    }


@pytest.mark.parametrize(
    ("sender", "taken"),
    [("client", True), ("stranger", False), ("nobody", False), ("clear", False)],
)
def test_what_was_moved_is_received_over_tls(
    pacs: Pacs, make_instance: MakeInstance, tmp_path: Path, sender: str, taken: bool
) -> None:
    """The user's own Storage SCP may demand TLS and a certificate; who has none sends nothing."""
    pki = Pki.make(tmp_path)
    senders = {
        "client": pki.as_client(pki.client),
        "stranger": pki.as_client(pki.stranger),
        "nobody": pki.client_tls,
        "clear": None,
    }
    instances = [make_instance() for _ in range(3)]
    for one in instances:
        pacs.archive.store(one).unwrap()
    here: list[int] = []

    def resolve(ae_title: str) -> PacsResult[Destination]:
        return Success(Destination(ae_title, "127.0.0.1", here[0], senders[sender]))

    box = InMemory()
    receive = ReceiveHere(box.keep, tls=pki.mutual_tls, on_ready=here.append)
    service = RetrieveScp(pacs.archive, Moves(resolve, "ARCHIVE"))
    with DicomServer(ServerConfig(port=0), [service]) as scp:
        peer = Peer("127.0.0.1", scp.port)
        report = RetrieveScu().move(peer, THE_STUDY, "ME", receive=receive).unwrap()
    if taken:
        assert (report.status, report.received) == (0, 3)
        assert {one.sop_instance_uid for one in box.instances} == {
            one.sop_instance_uid for one in instances
        }
    else:
        assert (report.status, report.received, report.failed) == (0xA702, 0, 3)
        assert not box.instances


def test_the_port_to_receive_on_is_taken(pacs: Pacs) -> None:
    """It is said before the peer is asked for anything."""
    receive = ReceiveHere(InMemory().keep, port=pacs.port, host="127.0.0.1")
    error = RetrieveScu().move(pacs.peer, THE_STUDY, "ME", receive=receive).failure()
    assert error.code is ErrorCode.PORT_UNAVAILABLE


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

"""What goes wrong in a C-MOVE, and how the requestor is told (PS3.4 Table C.4-2)."""

from __future__ import annotations

import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.ports import SystemClock
from pacs_sdk.core.results import Failure, PacsResult
from pacs_sdk.encoding import IMPLICIT_VR_LITTLE_ENDIAN, encode_dataset
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import (
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
from pacs_sdk.network.dimse import CMoveRQ, CMoveRSP, CStoreRQ
from pacs_sdk.services import (
    ConfiguredDestinations,
    Destination,
    InformationModel,
    Moves,
    RetrieveScp,
    RetrieveScu,
)
from pacs_sdk.testing import RecordingLogger
from tests.services.conftest import CT, MakeInstance
from tests.services.move_destinations import MR, THE_STUDY, Shelf, moving


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


class Choking(Shelf):
    """Aborts the association whenever a certain instance comes."""

    def __init__(self, sop_instance_uid: str) -> None:
        super().__init__()
        self.sop_instance_uid = sop_instance_uid

    def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        assert isinstance(request, CStoreRQ)
        if request.affected_sop_instance_uid == self.sop_instance_uid:
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
    assert shelf.breaks == 96


def test_one_instance_that_breaks_the_association_is_one_failure(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """What a destination cannot digest, and aborts at, does not keep the rest from it."""
    instances = [make_instance(InstanceNumber=number) for number in range(5)]
    with moving(pacs, Choking(instances[1].sop_instance_uid)) as setting:
        setting.store(*instances)
        report = RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert (report.status, report.completed, report.failed) == (0xB000, 4, 1)
    assert report.failed_sop_instance_uids == (instances[1].sop_instance_uid,)
    assert len(setting.shelf.received) == 4


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

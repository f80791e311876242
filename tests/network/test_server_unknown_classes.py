"""SOP classes that nobody has told the server of: refused, or kept by its storage service."""

from __future__ import annotations

import attrs
import pytest

from pacs_sdk.core import DicomDataset
from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.results import PacsResult, Success, raised
from pacs_sdk.encoding import Instance, instance_from_dataset
from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import (
    AcceptedContext,
    DataSink,
    Driver,
    Exchange,
    ProposedContext,
    RequestorOptions,
    ServerConfig,
    SpoolingSink,
)
from pacs_sdk.network.dimse import CFindRQ, CStoreRQ, Message, Status
from pacs_sdk.network.negotiation import STORAGE_SERVICE_CLASS
from pacs_sdk.network.user_information import SopClassCommonExtendedNegotiation
from pacs_sdk.services import QueryScu, RetrieveScu, StorageScu
from tests.network.helpers import CT_IMAGE, EXPLICIT, STUDY_ROOT_FIND, VERIFICATION
from tests.network.servers import EchoService, RecordingLogger, Scripted, Shelf, open_to, serving

pytestmark = pytest.mark.usefixtures("driver")

PRIVATE = "1.2.840.113619.4.27"
NEW = "1.2.840.10008.5.1.4.1.1.999.1"
WORKLIST = "1.2.840.10008.5.1.4.31"

OPEN = ServerConfig(unknown_storage_classes=True)


def proposed(*uids: str) -> list[ProposedContext]:
    """Propose SOP classes in one transfer syntax."""
    return [ProposedContext(uid, (EXPLICIT,)) for uid in uids]


class Receiving(Scripted):
    """A storage service that opens the sinks itself, and notes for what."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.opened: list[str] = []

    def open_sink(self, context: AcceptedContext, message: Message) -> DataSink | None:
        """Open one in memory."""
        self.opened.append(context.abstract_syntax)
        return SpoolingSink()


def test_unknown_storage_goes_to_the_storage_service() -> None:
    """Private and new classes are accepted, and their data sets arrive where images do."""
    shelf = Shelf()
    storage = Receiving(shelf)
    contexts = proposed(PRIVATE, NEW, CT_IMAGE, WORKLIST)
    with (
        serving(EchoService(), storage, config=OPEN) as server,
        open_to(server, contexts) as association,
    ):
        for number, uid in enumerate((PRIVATE, NEW, CT_IMAGE)):
            context = raised(association.context_for(uid))
            request = CStoreRQ(association.next_message_id(), uid, f"1.2.{number}")
            response = raised(association.call(context, request, MemoryBytes(b"%02d" % number)))
            assert response.status == Status.SUCCESS
            assert response.affected_sop_class_uid == uid
        assert WORKLIST in str(association.context_for(WORKLIST).failure().message)
    assert shelf.kept == {"1.2.0": b"00", "1.2.1": b"01", "1.2.2": b"02"}
    assert storage.opened == [PRIVATE, NEW, CT_IMAGE]


def test_unknown_classes_are_refused_by_default() -> None:
    """The log says which."""
    logger = RecordingLogger()
    with (
        serving(Scripted(Shelf()), logger=logger) as server,
        open_to(server, proposed(PRIVATE, CT_IMAGE)) as association,
    ):
        assert [context.abstract_syntax for context in association.contexts] == [CT_IMAGE]
    assert PRIVATE in str(logger.wait_for("context-refused")["reason"])


def test_a_server_without_storage_takes_no_unknown_storage() -> None:
    """There is nothing that could keep it."""
    with (
        serving(EchoService(), config=OPEN) as server,
        open_to(server, proposed(PRIVATE, VERIFICATION)) as association,
    ):
        assert not [one for one in association.contexts if one.abstract_syntax == PRIVATE]


def test_a_described_class_goes_to_its_general_one() -> None:
    """PS3.7 D.3.3.6: what is related to a known SOP class is performed by its service."""
    asked: list[str] = []

    def find(exchange: Exchange) -> None:
        asked.append(exchange.context.abstract_syntax)
        exchange.respond_status(Status.SUCCESS)

    shelf = Shelf()
    options = RequestorOptions(
        common_extended=(
            SopClassCommonExtendedNegotiation(PRIVATE, "1.2.3", (STUDY_ROOT_FIND,)),
            SopClassCommonExtendedNegotiation(NEW, STORAGE_SERVICE_CLASS, ()),
            SopClassCommonExtendedNegotiation("1.2.3.4", "1.2.3", ()),
        )
    )
    with (
        serving(Scripted(shelf), Scripted(find, STUDY_ROOT_FIND), config=OPEN) as server,
        open_to(server, proposed(PRIVATE, NEW, "1.2.3.4"), options=options) as association,
    ):
        context = raised(association.context_for(PRIVATE))
        raised(association.call(context, CFindRQ(1, PRIVATE), MemoryBytes(b"ke")))
        context = raised(association.context_for(NEW))
        raised(association.call(context, CStoreRQ(2, NEW, "1.2"), MemoryBytes(b"12")))
        assert not [one for one in association.contexts if one.abstract_syntax == "1.2.3.4"]
    assert asked == [PRIVATE]
    assert shelf.kept == {"1.2": b"12"}


def test_an_archive_keeps_finds_and_gives_back_a_private_object(
    pacs_config: PacsConfig, driver: str
) -> None:
    """End to end with the service users: sent, found, and fetched byte for byte."""
    sent = private_object()
    config = attrs.evolve(
        pacs_config,
        server=attrs.evolve(
            pacs_config.server, unknown_storage_classes=True, driver=Driver(driver)
        ),
    )
    came: list[bytes] = []

    def keep(instance: Instance) -> PacsResult[None]:
        assert instance.sop_class_uid == PRIVATE
        came.append(bytes(instance.encoded.view()))
        return Success(None)

    key = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
    with Pacs.configured(config) as pacs:
        assert StorageScu().store(pacs.peer, [sent]).unwrap().stored == 1
        assert len(QueryScu().find(pacs.peer, key).unwrap()) == 1
        report = RetrieveScu().get(pacs.peer, key, keep).unwrap()
    assert (report.received, report.failed) == (1, 0)
    assert came == [bytes(sent.encoded.view())]


def private_object() -> Instance:
    """An object that no edition of the standard knows."""
    dataset = DicomDataset(
        SOPClassUID=PRIVATE,
        SOPInstanceUID="1.2.3.4.5",
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.4",
        PatientID="P1",
        PatientName="Doe^Jane",
        Modality="OT",
    )
    return instance_from_dataset(dataset).unwrap()

"""Our server and client with pynetdicom at the other end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    AcceptedContext,
    Exchange,
    IncomingMessage,
    Peer,
    ProposedContext,
    ServerConfig,
    connect,
)
from pacs_sdk.network.dimse import (
    CFindRQ,
    CFindRSP,
    CGetRQ,
    CGetRSP,
    CStoreRQ,
    CStoreRSP,
    Status,
)
from tests.network.helpers import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    VERIFICATION,
)
from tests.network.servers import EchoService, Scripted, assert_alive, serving

pynetdicom = pytest.importorskip("pynetdicom")
evt = pynetdicom.evt

pytestmark = pytest.mark.interop

SOP_INSTANCE = "1.2.826.0.1.3680043.8.498.1"


def instance() -> Dataset:
    """Make a CT image of 1 MiB: several P-DATA-TFs in either direction."""
    dataset = Dataset()
    dataset.SOPClassUID = CT_IMAGE
    dataset.SOPInstanceUID = SOP_INSTANCE
    dataset.PatientName = "Doe^John"
    dataset.Rows, dataset.Columns = 1024, 512
    dataset.BitsAllocated = 16
    dataset.PixelData = bytes(range(256)) * 4096
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    return dataset


def encoded(dataset: Dataset, *, implicit: bool = False) -> bytes:
    """Encode a data set, in Explicit VR Little Endian if nothing else is asked for."""
    buffer = BytesIO()
    file: Any = DicomIO(buffer)
    file.is_little_endian, file.is_implicit_VR = True, implicit
    write_dataset(file, dataset)
    return buffer.getvalue()


def identifier() -> Dataset:
    """Make an identifier of a query."""
    dataset = Dataset()
    dataset.QueryRetrieveLevel = "STUDY"
    dataset.PatientName = "*"
    return dataset


# -- pynetdicom calls us -----------------------------------------------------------------------


@contextmanager
def called_by_pynetdicom(
    *contexts: tuple[str, str], port: int, called: str = "PACS_SCP", **options: Any
) -> Iterator[Any]:
    """Open an association from pynetdicom."""
    entity = pynetdicom.AE(ae_title="PYNETDICOM")
    entity.network_timeout = entity.dimse_timeout = entity.acse_timeout = 10
    for abstract_syntax, transfer_syntax in contexts:
        entity.add_requested_context(abstract_syntax, transfer_syntax)
    association = entity.associate("127.0.0.1", port, ae_title=called, **options)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        if association.ident is not None:  # a rejected one is a thread that never started
            association.join(10)


def test_pynetdicom_echoes_stores_and_releases() -> None:
    """C-ECHO and a large C-STORE; the bytes are those that pynetdicom encoded."""
    stored: dict[str, bytes] = {}

    def keep(exchange: Exchange) -> None:
        assert isinstance(exchange.request, CStoreRQ)
        assert exchange.data is not None
        stored[exchange.request.affected_sop_instance_uid] = bytes(exchange.data.view())
        exchange.respond_status(Status.SUCCESS)

    contexts = (VERIFICATION, IMPLICIT), (CT_IMAGE, EXPLICIT)
    with serving(EchoService(), Scripted(keep)) as server:
        with called_by_pynetdicom(*contexts, port=server.port) as association:
            assert association.is_established
            assert association.send_c_echo().Status == 0x0000
            assert association.send_c_store(instance()).Status == 0x0000
            assert association.send_c_echo().Status == 0x0000
        assert association.is_released
    assert stored == {SOP_INSTANCE: encoded(instance())}


def test_pynetdicom_finds_and_cancels() -> None:
    """Pending responses arrive with their identifiers; a C-CANCEL ends them."""

    def find(exchange: Exchange) -> None:
        match = MemoryBytes(encoded(identifier(), implicit=True))
        for _ in range(100_000):
            if exchange.is_cancelled():
                exchange.respond_status(Status.CANCEL)
                return
            exchange.respond(CFindRSP(exchange.request.message_id, Status.PENDING), match)
        exchange.respond_status(Status.PROCESSING_FAILURE)

    with serving(Scripted(find, STUDY_ROOT_FIND)) as server:
        contexts = ((STUDY_ROOT_FIND, IMPLICIT),)
        with called_by_pynetdicom(*contexts, port=server.port) as association:
            statuses: list[int] = []
            for status, match in association.send_c_find(identifier(), STUDY_ROOT_FIND, msg_id=7):
                if not statuses:
                    assert match.PatientName == "*"
                    association.send_c_cancel(7, query_model=STUDY_ROOT_FIND)
                statuses.append(status.Status)
            assert statuses[0] == 0xFF00
            assert statuses[-1] == 0xFE00


def test_pynetdicom_gets() -> None:
    """Sub-operations reach pynetdicom, whose answers we count."""

    def get(exchange: Exchange) -> None:
        (context,) = exchange.contexts_as_scu()
        response = exchange.store(context, CT_IMAGE, SOP_INSTANCE, MemoryBytes(encoded(instance())))
        exchange.respond(
            CGetRSP(
                exchange.request.message_id,
                response.status,
                number_of_completed_suboperations=int(response.status == 0),
            )
        )

    received: list[bytes] = []

    def on_store(event: Any) -> int:
        received.append(event.request.DataSet.getvalue())
        return 0x0000

    roles = [pynetdicom.build_role(CT_IMAGE, scp_role=True)]
    services = Scripted(get, STUDY_ROOT_GET), Scripted(get, as_scu=True)
    contexts = (STUDY_ROOT_GET, IMPLICIT), (CT_IMAGE, EXPLICIT)
    store = [(evt.EVT_C_STORE, on_store)]
    with (
        serving(*services) as server,
        called_by_pynetdicom(
            *contexts, port=server.port, ext_neg=roles, evt_handlers=store
        ) as association,
    ):
        (final,) = association.send_c_get(identifier(), STUDY_ROOT_GET)
        assert final[0].Status == 0x0000
        assert final[0].NumberOfCompletedSuboperations == 1
    assert received == [encoded(instance())]


def test_pynetdicom_is_refused() -> None:
    """It understands our A-ASSOCIATE-RJ, and a context that is refused in an acceptance."""
    config = ServerConfig("ARCHIVE", require_called_ae_title=True)
    contexts = (VERIFICATION, IMPLICIT), (CT_IMAGE, EXPLICIT)
    received: list[Any] = []
    taken = [(evt.EVT_PDU_RECV, lambda event: received.append(event.pdu))]
    with serving(EchoService(), config=config) as server:
        with called_by_pynetdicom(
            *contexts, port=server.port, called="OTHER", evt_handlers=taken
        ) as association:
            # Where we are quick, it may say that it couldn't connect, and abort; so see the PDU.
            assert association.is_rejected or association.is_aborted
            assert not association.is_established
        (rejection,) = received
        assert (rejection.result, rejection.source, rejection.reason_diagnostic) == (1, 1, 7)
        with called_by_pynetdicom(*contexts, port=server.port, called="ARCHIVE") as association:
            assert [c.abstract_syntax for c in association.accepted_contexts] == [VERIFICATION]
            assert [c.result for c in association.rejected_contexts] == [3]


# -- we call pynetdicom --------------------------------------------------------------------------

CONTEXTS = [
    ProposedContext(VERIFICATION, (IMPLICIT,)),
    ProposedContext(CT_IMAGE, (EXPLICIT,), as_scp=True),
    ProposedContext(STUDY_ROOT_FIND, (IMPLICIT,)),
    ProposedContext(STUDY_ROOT_GET, (IMPLICIT,)),
]


@contextmanager
def pynetdicom_serving(*handlers: tuple[Any, Any], **settings: Any) -> Iterator[Peer]:
    """Run a pynetdicom server on a free port."""
    entity = pynetdicom.AE(ae_title="PYNETDICOM")
    for abstract_syntax in (VERIFICATION, STUDY_ROOT_FIND, STUDY_ROOT_GET):
        entity.add_supported_context(abstract_syntax, IMPLICIT)
    entity.add_supported_context(CT_IMAGE, EXPLICIT, scu_role=True, scp_role=True)
    for name, value in settings.items():
        setattr(entity, name, value)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    try:
        yield Peer("127.0.0.1", server.server_address[1], "PYNETDICOM")
    finally:
        server.shutdown()


@pytest.mark.parametrize("maximum_pdu_size", [0, 1024, 16382])
def test_we_echo_and_store_to_pynetdicom(maximum_pdu_size: int) -> None:
    """It gets the bytes we sent, in PDUs no longer than it allows."""
    stored: list[bytes] = []

    def on_store(event: Any) -> int:
        stored.append(event.request.DataSet.getvalue())
        return 0xB007

    handlers = ((evt.EVT_C_STORE, on_store),)
    data = encoded(instance())
    with (
        pynetdicom_serving(*handlers, maximum_pdu_size=maximum_pdu_size) as peer,
        raised(connect(peer, "TESTER", CONTEXTS)) as association,
    ):
        assert_alive(association)
        context = raised(association.context_for(CT_IMAGE))
        request = CStoreRQ(2, CT_IMAGE, SOP_INSTANCE)
        response = raised(association.call(context, request, MemoryBytes(data)))
        assert isinstance(response, CStoreRSP)
        assert response.status == 0xB007
        assert_alive(association)
    assert stored == [data]


def test_we_find_at_pynetdicom() -> None:
    """Its pending responses and identifiers reach us."""

    def on_find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for _ in range(3):
            yield 0xFF00, identifier()

    handlers = ((evt.EVT_C_FIND, on_find),)
    with (
        pynetdicom_serving(*handlers) as peer,
        raised(connect(peer, "TESTER", CONTEXTS)) as association,
    ):
        context = raised(association.context_for(STUDY_ROOT_FIND))
        question = MemoryBytes(encoded(identifier(), implicit=True))
        replies = [
            (reply.response.status, reply.data and bytes(reply.data.view()))
            for reply in association.replies(context, CFindRQ(1, STUDY_ROOT_FIND), question)
        ]
    assert replies == [(0xFF00, bytes(question.view()))] * 3 + [(0x0000, None)]


def test_we_get_from_pynetdicom() -> None:
    """It stores to us on the same association, in the role we asked for."""

    def on_get(event: Any) -> Iterator[Any]:
        yield 1
        yield 0xFF00, instance()

    received: list[tuple[AcceptedContext, str, int]] = []

    def keep(incoming: IncomingMessage, request: CStoreRQ) -> CStoreRSP:
        assert incoming.data is not None
        again = dcmread(BytesIO(bytes(incoming.data.view())), force=True)
        received.append((incoming.context, again.SOPInstanceUID, len(again.PixelData)))
        return CStoreRSP(request.message_id, Status.SUCCESS)

    handlers = ((evt.EVT_C_GET, on_get),)
    with (
        pynetdicom_serving(*handlers) as peer,
        raised(connect(peer, "TESTER", CONTEXTS)) as association,
    ):
        context = raised(association.context_for(STUDY_ROOT_GET))
        question = MemoryBytes(encoded(identifier(), implicit=True))
        replies = list(association.replies(context, CGetRQ(1, STUDY_ROOT_GET), question, keep))
        assert replies[-1].response.status == 0x0000
        (storage,) = [c for c in association.contexts if c.abstract_syntax == CT_IMAGE]
    assert storage.as_scp
    assert received == [(storage, SOP_INSTANCE, 1 << 20)]


def test_pynetdicom_refuses_us_in_words() -> None:
    """Its A-ASSOCIATE-RJ becomes a failure with the reason."""
    with pynetdicom_serving(require_called_aet=True) as peer:
        wrong = Peer(peer.host, peer.port, "WRONG")
        error = connect(wrong, "TESTER", CONTEXTS).failure()
    assert error.code is ErrorCode.ASSOCIATION_REJECTED
    assert "does not recognize the called AE title" in error.message

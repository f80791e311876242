"""C-GET beyond the plain case: models, windows, cancelling, single instances (PS3.4 C.4.3)."""

from __future__ import annotations

import itertools
import struct
import threading
from collections.abc import Sequence

import attrs
import pydicom
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import PacsResult
from pacs_sdk.core.uids import new_uid
from pacs_sdk.encoding import (
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    encode_dataset,
    instance_from_dataset,
    transcode,
)
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from pacs_sdk.network import (
    DicomServer,
    Peer,
    ProposedContext,
    RequestorOptions,
    ServerConfig,
    connect,
)
from pacs_sdk.network.dimse import (
    CCancelRQ,
    CGetRQ,
    CGetRSP,
    CStoreRQ,
    CStoreRSP,
    Message,
    Response,
    Status,
)
from pacs_sdk.network.negotiation import association_request
from pacs_sdk.network.pdu import PDataTF
from pacs_sdk.services import (
    InformationModel,
    InMemory,
    RetrieveProgress,
    RetrieveScp,
    RetrieveScu,
    VerificationScp,
)
from pacs_sdk.services.retrieve import outgoing
from pacs_sdk.services.retrieve.outgoing import ContextChoice, Outgoing
from tests.network.helpers import RawPeer, message_bytes
from tests.services.conftest import CT, MakeInstance

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def phantom(pacs: Pacs) -> Sequence[Instance]:
    """Keep a small CT series."""
    made = make_phantom(PhantomSpec(slices=5, rows=16, columns=16)).unwrap().instances
    for one in made:
        pacs.archive.store(one).unwrap()
    return made


def whole_study(instances: Sequence[Instance]) -> DicomDataset:
    """Ask for the study that instances belong to."""
    study = instances[0].header().unwrap().text("StudyInstanceUID")
    return DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID=study)


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        (InformationModel.PATIENT_STUDY_ONLY, {"QueryRetrieveLevel": "PATIENT", "PatientID": "P1"}),
        (
            InformationModel.PATIENT_STUDY_ONLY,
            {"QueryRetrieveLevel": "STUDY", "PatientID": "P1", "StudyInstanceUID": "1.2.3"},
        ),
        (InformationModel.PATIENT_ROOT, {"QueryRetrieveLevel": "PATIENT", "PatientID": "P1"}),
        (
            InformationModel.STUDY_ROOT,
            {
                "QueryRetrieveLevel": "SERIES",
                "StudyInstanceUID": "1.2.3",
                "SeriesInstanceUID": "1.2.3.4",
            },
        ),
    ],
    ids=["patient/study patient", "patient/study study", "patient root", "study root series"],
)
def test_every_model_gives_what_is_below_its_key(
    pacs: Pacs, make_instance: MakeInstance, model: InformationModel, keys: dict[str, str]
) -> None:
    """All three models find the same instances, each by its own keys."""
    instances = [make_instance(), make_instance()]
    for one in instances:
        pacs.archive.store(one).unwrap()
    box = InMemory()
    report = RetrieveScu().get(pacs.peer, DicomDataset(None, **keys), box.keep, model=model)
    assert report.unwrap().received == 2


def test_relational_retrieval_is_negotiated_where_it_is_needed(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """A series by nothing but its UID: a strict archive agrees on it first (PS3.4 C.5.3)."""
    pacs.archive.store(make_instance()).unwrap()
    wanted = DicomDataset(QueryRetrieveLevel="SERIES", SeriesInstanceUID="1.2.3.4")
    strict = RetrieveScp(pacs.archive, always_relational=False)
    with DicomServer(ServerConfig(port=0), [strict]) as server:
        peer = Peer("127.0.0.1", server.port)
        assert RetrieveScu().get(peer, wanted, InMemory().keep).unwrap().received == 1
        response = _plainly_asked(peer, wanted)
    assert response.status == 0xA900
    assert "must name StudyInstanceUID" in response.error_comment


def test_clients_are_taken_as_they_are(pacs: Pacs, make_instance: MakeInstance) -> None:
    """Many name a series by nothing but its UID, and negotiate nothing."""
    pacs.archive.store(make_instance()).unwrap()
    wanted = DicomDataset(QueryRetrieveLevel="SERIES", SeriesInstanceUID="1.2.3.4")
    response = _plainly_asked(pacs.peer, wanted)
    assert isinstance(response, CGetRSP)
    assert response.number_of_failed_suboperations == 1  # found; there is no context to send it in


def _plainly_asked(peer: Peer, wanted: DicomDataset) -> Response:
    """Ask for a C-GET without any negotiation about it, and return the final response."""
    data = MemoryBytes(encode_dataset(wanted, IMPLICIT_VR_LITTLE_ENDIAN).unwrap())
    model = InformationModel.STUDY_ROOT.get
    proposed = ProposedContext(model, (IMPLICIT_VR_LITTLE_ENDIAN.uid,))
    with connect(peer, "TEST", [proposed]).unwrap() as association:
        context = association.context_for(model).unwrap()
        *_, reply = association.replies(context, CGetRQ(1, model), data)
    return reply.response


# -- the counts ---------------------------------------------------------------------------


def test_the_counts_are_told(pacs: Pacs, phantom: Sequence[Instance]) -> None:
    """The first Pending response follows the first image."""
    counts: list[RetrieveProgress] = []
    wanted = whole_study(phantom)
    RetrieveScu().get(pacs.peer, wanted, InMemory().keep, on_progress=counts.append).unwrap()
    assert counts[0] == RetrieveProgress(remaining=4, completed=1, failed=0, warnings=0)


class Asker(RawPeer):
    """A client of C-GET that answers sub-operations as the test wants."""

    def ask(self, wanted: DicomDataset, window: int) -> None:
        """Associate, and send the request with message ID 7."""
        get = InformationModel.STUDY_ROOT.get
        contexts = [
            ProposedContext(get, (IMPLICIT_VR_LITTLE_ENDIAN.uid,)),
            ProposedContext(CT, (EXPLICIT,), as_scu=False, as_scp=True),
        ]
        options = RequestorOptions(max_operations_performed=window)
        self.associate(association_request("ASKER", "ARCHIVE", contexts, options=options))
        data = bytes(encode_dataset(wanted, IMPLICIT_VR_LITTLE_ENDIAN).unwrap())
        self.send(message_bytes(1, CGetRQ(7, get), data))

    def next_store(self) -> CStoreRQ:
        """Take the next C-STORE request with its data set."""
        message = self.next_message()
        assert isinstance(message, CStoreRQ), message
        assert isinstance(self.receive(), PDataTF)
        return message

    def next_message(self) -> Message:
        """Take the next message that is not a Pending response."""
        while True:
            message = self.receive_message()
            if not (isinstance(message, CGetRSP) and message.status == Status.PENDING):
                return message

    def answer(self, request: CStoreRQ, status: int = Status.SUCCESS) -> None:
        """Answer a C-STORE."""
        self.send(message_bytes(3, CStoreRSP(request.message_id, status)))


def test_a_cancel_ends_it_after_the_image_under_way(
    pacs: Pacs, phantom: Sequence[Instance]
) -> None:
    """A C-CANCEL that comes before the answer to an image is followed by no other image."""
    with Asker.to(pacs.port) as peer:
        peer.ask(whole_study(phantom), window=1)
        store = peer.next_store()
        peer.send(message_bytes(1, CCancelRQ(7)))
        peer.answer(store)
        final = peer.next_message()
    assert isinstance(final, CGetRSP)
    assert final.status == Status.CANCEL
    assert final.number_of_completed_suboperations == 1
    assert final.number_of_remaining_suboperations == 4


def test_images_go_ahead_of_their_answers_where_that_was_granted(
    pacs: Pacs, phantom: Sequence[Instance]
) -> None:
    """With a window of four, four are sent before the first is answered, in any order."""
    with Asker.to(pacs.port) as peer:
        peer.ask(whole_study(phantom), window=4)
        stores = [peer.next_store() for _ in range(4)]
        for store in reversed(stores[1:]):
            peer.answer(store)
        peer.answer(stores[0], 0xA700)
        peer.answer(peer.next_store())
        final = peer.next_message()
    assert isinstance(final, CGetRSP)
    assert final.status == Status.SUBOPERATIONS_WITH_FAILURES
    assert final.number_of_completed_suboperations == 4
    assert final.number_of_failed_suboperations == 1


def test_the_next_image_is_prepared_before_the_last_is_answered(
    pacs: Pacs, phantom: Sequence[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the client works at one image, the next is read."""
    prepared, second = outgoing.prepared, threading.Event()
    count = itertools.count(1)

    def noted(
        contexts: ContextChoice, instance: Instance, *, bulk_data: bool
    ) -> PacsResult[Outgoing]:
        found = prepared(contexts, instance, bulk_data=bulk_data)
        if next(count) == 2:
            second.set()
        return found

    monkeypatch.setattr(outgoing, "prepared", noted)
    with Asker.to(pacs.port) as peer:
        peer.ask(whole_study(phantom), window=1)
        store = peer.next_store()
        assert second.wait(10)
        peer.answer(store)
        for _ in range(4):
            peer.answer(peer.next_store())
        final = peer.next_message()
    assert isinstance(final, CGetRSP)
    assert final.number_of_completed_suboperations == 5


def test_our_own_client_asks_for_a_window(pacs: Pacs, phantom: Sequence[Instance]) -> None:
    """Between two of ours images go ahead of their answers, and all arrive."""
    box = InMemory()
    report = RetrieveScu().get(pacs.peer, whole_study(phantom), box.keep).unwrap()
    assert report.received == len(box.instances) == 5


def test_our_own_cancel_is_a_report(pacs: Pacs, phantom: Sequence[Instance]) -> None:
    """Who cancels is told how far it came, as a success with status FE00H."""
    box = InMemory()
    scu = RetrieveScu()
    report = scu.get(
        pacs.peer, whole_study(phantom), box.keep, cancel=lambda: True
    ).unwrap()  # fmt: skip
    assert report.received == report.completed == len(box.instances)
    assert report.is_cancelled == (report.remaining > 0)


# -- encodings ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        (["1.2.840.10008.1.2.4.70", EXPLICIT], "1.2.840.10008.1.2.4.70"),
        ([EXPLICIT], EXPLICIT),
        (["1.2.840.10008.1.2"], "1.2.840.10008.1.2"),
        (["1.2.840.10008.1.2.4.90"], "1.2.840.10008.1.2.4.90"),
    ],
    ids=["as stored", "explicit", "implicit", "another compression"],
)
def test_a_compressed_image_comes_in_what_the_client_takes(
    pacs: Pacs, phantom: Sequence[Instance], taken: list[str], expected: str
) -> None:
    """The stored compression where it is taken, else another encoding of the same values."""
    instance = transcode(renamed(phantom[0]), "1.2.840.10008.1.2.4.70").unwrap()
    pacs.archive.store(instance).unwrap()
    contexts = [ProposedContext(CT, (one,), as_scu=False, as_scp=True) for one in taken]
    box = InMemory()
    report = RetrieveScu().get_instances(
        pacs.peer, [instance.sop_instance_uid], box.keep, contexts=contexts
    )
    assert report.unwrap().received == 1
    (came,) = box.instances
    assert came.transfer_syntax_uid == expected
    assert (came.frames().unwrap() == instance.frames().unwrap()).all()


def renamed(instance: Instance) -> Instance:
    """Make the same image with a UID of its own."""
    dataset = instance.dataset().unwrap()
    dataset["SOPInstanceUID"] = new_uid()
    return instance_from_dataset(dataset).unwrap()


# -- single instances (Annexes Y and Z) ---------------------------------------------------


def test_instances_by_nothing_but_their_uids(pacs: Pacs, phantom: Sequence[Instance]) -> None:
    """Composite Instance Root Retrieve takes a list of SOP Instance UIDs."""
    box = InMemory()
    uids = [phantom[3].sop_instance_uid, phantom[1].sop_instance_uid]
    report = RetrieveScu().get_instances(pacs.peer, uids, box.keep).unwrap()
    assert (report.received, report.status) == (2, 0)
    assert {one.sop_instance_uid: bytes(one.encoded.view()) for one in box.instances} == {
        one.sop_instance_uid: bytes(one.encoded.view()) for one in (phantom[3], phantom[1])
    }


def test_without_bulk_data_everything_else_comes(pacs: Pacs, phantom: Sequence[Instance]) -> None:
    """Pixel Data is left out, and no other attribute (PS3.4 Z.1.3)."""
    box = InMemory()
    report = RetrieveScu().get_instances(
        pacs.peer, [phantom[0].sop_instance_uid], box.keep, bulk_data=False
    )
    assert report.unwrap().received == 1
    came = box.instances[0].dataset().unwrap().pydicom
    whole = phantom[0].dataset().unwrap().pydicom
    assert "PixelData" in whole
    del whole.PixelData
    assert came == whole


def test_a_compressed_image_without_its_bulk_data(pacs: Pacs, phantom: Sequence[Instance]) -> None:
    """What says how pixels are encoded stays; nothing is decompressed for it."""
    instance = transcode(renamed(phantom[0]), "1.2.840.10008.1.2.4.70").unwrap()
    pacs.archive.store(instance).unwrap()
    box = InMemory()
    RetrieveScu().get_instances(
        pacs.peer, [instance.sop_instance_uid], box.keep, bulk_data=False
    ).unwrap()
    (came,) = box.instances
    dataset = came.dataset().unwrap().pydicom
    assert "PixelData" not in dataset
    assert dataset.Rows == 16


def test_nested_and_repeating_bulk_data(pacs: Pacs, make_instance: MakeInstance) -> None:
    """Overlay Data and the samples of waveforms are bulk data; icons are not (Table Z.1-1)."""
    dataset = make_instance().dataset().unwrap().pydicom
    waveform, icon = pydicom.Dataset(), pydicom.Dataset()
    waveform.NumberOfWaveformSamples = 2
    waveform.add_new(0x54001010, "OW", b"\1\2\3\4")
    dataset.WaveformSequence = [waveform]
    icon.add_new(0x7FE00010, "OW", b"\5\6")
    dataset.IconImageSequence = [icon]
    dataset.add_new(0x60000010, "US", 1)
    dataset.add_new(0x60003000, "OW", b"\7\0")
    dataset.add_new(0x60023000, "OW", b"\7\0")
    instance = instance_from_dataset(dataset).unwrap()
    pacs.archive.store(instance).unwrap()
    box = InMemory()
    RetrieveScu().get_instances(
        pacs.peer, [instance.sop_instance_uid], box.keep, bulk_data=False
    ).unwrap()
    came = box.instances[0].dataset().unwrap().pydicom
    assert (0x6000, 0x3000) not in came
    assert (0x6002, 0x3000) not in came
    assert came[0x6000, 0x0010].value == 1
    assert came.WaveformSequence[0].NumberOfWaveformSamples == 2
    assert (0x5400, 0x1010) not in came.WaveformSequence[0]
    assert came.IconImageSequence[0][0x7FE0, 0x0010].value == b"\5\6"


@pytest.mark.parametrize("vr", [b"UN", b"OB"])
def test_waveforms_that_cannot_be_read_go_with_their_data(
    pacs: Pacs, make_instance: MakeInstance, vr: bytes
) -> None:
    """An instance whose Waveform Sequence is none does not keep the others from the client."""
    sound, odd = make_instance(), make_instance()
    waveforms = struct.pack("<HH2s2xL", 0x5400, 0x0100, vr, 4) + b"abcd"
    odd = attrs.evolve(odd, encoded=MemoryBytes(bytes(odd.encoded.view()) + waveforms))
    for one in (sound, odd):
        pacs.archive.store(one).unwrap()
    box = InMemory()
    uids = [sound.sop_instance_uid, odd.sop_instance_uid]
    report = RetrieveScu().get_instances(pacs.peer, uids, box.keep, bulk_data=False).unwrap()
    assert report.is_complete
    assert sorted(uids) == sorted(one.sop_instance_uid for one in box.instances)
    assert all("WaveformSequence" not in one.dataset().unwrap() for one in box.instances)


def test_a_peer_that_does_not_do_this_says_so() -> None:
    """The SOP class is refused, in words."""
    with DicomServer(ServerConfig(port=0), [VerificationScp()]) as server:
        peer = Peer("127.0.0.1", server.port)
        error = RetrieveScu().get_instances(peer, ["1.2.3"], InMemory().keep).failure()
    assert error.code is ErrorCode.PRESENTATION_CONTEXT_REFUSED
    assert "Composite Instance Root GET" in error.message


def test_a_server_without_destinations_refuses_the_move_classes(pacs: Pacs) -> None:
    """A RetrieveScp that is given no way to move supports C-GET only."""
    with DicomServer(ServerConfig(port=0), [RetrieveScp(pacs.archive)]) as server:
        peer = Peer("127.0.0.1", server.port)
        wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")
        error = RetrieveScu().move(peer, wanted, "ANY").failure()
    assert error.code is ErrorCode.PRESENTATION_CONTEXT_REFUSED
    assert "Study Root MOVE" in error.message

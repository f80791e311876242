"""C-GET beyond the plain case: models, windows, cancelling, single instances (PS3.4 C.4.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as PydicomSequence

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
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
from pacs_sdk.network.dimse import CGetRQ, CGetRSP, CStoreRQ, CStoreRSP, Status
from pacs_sdk.network.pdu import AAssociateAC
from pacs_sdk.services import (
    InformationModel,
    InMemory,
    RetrieveProgress,
    RetrieveScp,
    RetrieveScu,
    VerificationScp,
)
from tests.network.helpers import RawPeer, message_bytes
from tests.services.conftest import CT, MakeInstance

STUDY = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def phantom(pacs: Pacs) -> Sequence[Instance]:
    """Keep a small CT series."""
    made = make_phantom(PhantomSpec(slices=5, rows=16, columns=16)).unwrap().instances
    for one in made:
        pacs.archive.store(one).unwrap()
    return made


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
    """A series by nothing but its UID: both sides agree on it first (PS3.4 C.5.3)."""
    pacs.archive.store(make_instance()).unwrap()
    wanted = DicomDataset(QueryRetrieveLevel="SERIES", SeriesInstanceUID="1.2.3.4")
    assert RetrieveScu().get(pacs.peer, wanted, InMemory().keep).unwrap().received == 1
    data = MemoryBytes(encode_dataset(wanted, IMPLICIT_VR_LITTLE_ENDIAN).unwrap())
    model = InformationModel.STUDY_ROOT.get
    proposed = ProposedContext(model, (IMPLICIT_VR_LITTLE_ENDIAN.uid,))
    with connect(pacs.peer, "TEST", [proposed]).unwrap() as association:
        context = association.context_for(model).unwrap()
        (reply,) = association.replies(context, CGetRQ(1, model), data)
    assert reply.response.status == 0xA900
    assert "must name StudyInstanceUID" in reply.response.error_comment


# -- the counts ---------------------------------------------------------------------------


def test_the_counts_are_told(pacs: Pacs, phantom: Sequence[Instance]) -> None:
    """The first Pending response follows the first image."""
    counts: list[RetrieveProgress] = []
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID=study_of(phantom[0]))
    RetrieveScu().get(pacs.peer, wanted, InMemory().keep, on_progress=counts.append).unwrap()
    assert counts[0] == RetrieveProgress(remaining=4, completed=1, failed=0, warnings=0)


def study_of(instance: Instance) -> str:
    """Return the study that an instance belongs to."""
    return instance.header().unwrap().text("StudyInstanceUID")


def test_a_cancel_ends_it_after_the_image_under_way(
    pacs: Pacs, phantom: Sequence[Instance]
) -> None:
    """Without a window, a C-CANCEL that comes with an image is followed by no other one."""
    box = InMemory()
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID=study_of(phantom[0]))
    with asking(pacs.peer, wanted, window=1) as peer:
        answer_store(peer)
        context = peer.context_of(InformationModel.STUDY_ROOT.get)
        del context, box

"""Query and Retrieve by C-FIND and C-GET (PS3.4 Annex C), both sides, over sockets."""

from __future__ import annotations

import pydicom
import pydicom.config
import pytest
from pydicom.dataelem import DataElement
from returns.result import Failure, Success

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import PacsResult
from pacs_sdk.encoding import IMPLICIT_VR_LITTLE_ENDIAN, Instance, encode_dataset
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Peer, ProposedContext, ServerConfig, connect
from pacs_sdk.network.dimse import CFindRQ
from pacs_sdk.services import InformationModel, QueryScu, RetrieveScp, RetrieveScu
from tests.services.conftest import CT, MakeInstance


@pytest.fixture
def filled(pacs: Pacs, make_instance: MakeInstance) -> Pacs:
    """Hold two patients: Doe with two studies (three instances), Müller with one."""
    for elements in (
        {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1", "SOPInstanceUID": "1.1.1.1"},
        {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1", "SOPInstanceUID": "1.1.1.2"},
        {
            "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.1", "SOPInstanceUID": "1.2.1.1",
            "StudyDate": "20240101", "Modality": "MR",
        },
        {
            "StudyInstanceUID": "2.1", "SeriesInstanceUID": "2.1.1", "SOPInstanceUID": "2.1.1.1",
            "PatientName": "Müller^Jörg", "PatientID": "P2", "SpecificCharacterSet": "ISO_IR 100",
        },
    ):  # fmt: skip
        pacs.archive.store(make_instance(**elements)).unwrap()
    return pacs


def find(pacs: Pacs, level: str, **keys: object) -> tuple[DicomDataset, ...]:
    """Query the server at a level."""
    identifier = DicomDataset(None, QueryRetrieveLevel=level, **keys)
    return QueryScu().find(pacs.peer, identifier).unwrap()


def test_each_level_gives_its_entities(filled: Pacs) -> None:
    """Two patients, three studies, the series of a study, the instances of a series."""
    assert len(find(filled, "PATIENT", PatientID="")) == 2
    assert len(find(filled, "STUDY", StudyInstanceUID="")) == 3
    assert len(find(filled, "SERIES", StudyInstanceUID="1.1", SeriesInstanceUID="")) == 1
    found = find(
        filled, "IMAGE", StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", SOPInstanceUID=""
    )
    assert {match["SOPInstanceUID"] for match in found} == {"1.1.1.1", "1.1.1.2"}


def test_a_match_has_what_was_asked_for_and_where_to_get_it(filled: Pacs) -> None:
    """Return keys come filled, unknown ones empty; Retrieve AE Title is the server's."""
    (match,) = find(
        filled, "STUDY", StudyInstanceUID="1.1", PatientName="", NumberOfStudyRelatedInstances="",
        ModalitiesInStudy="", AdmittingDiagnosesDescription="",
    )  # fmt: skip
    assert match["PatientName"] == "Doe^John"
    assert match["NumberOfStudyRelatedInstances"] == 2
    assert match["ModalitiesInStudy"] == "CT"
    assert match.get("AdmittingDiagnosesDescription") is None
    assert match["RetrieveAETitle"] == "ARCHIVE"
    assert match["QueryRetrieveLevel"] == "STUDY"


def test_text_beyond_ascii_arrives_readable(filled: Pacs) -> None:
    """A Latin-1 name stored in one character set is found and read in another."""
    (match,) = find(filled, "PATIENT", PatientID="P2", PatientName="")
    assert str(match["PatientName"]) == "Müller^Jörg"


def test_a_limit_cancels_the_query(filled: Pacs) -> None:
    """With a limit no more matches are returned, and the association ends in good order."""
    identifier = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    assert len(QueryScu().find(filled.peer, identifier, limit=2).unwrap()) == 2


def with_impossible_date() -> DicomDataset:
    """Ask for a date that is none, as a careless client does."""
    identifier = pydicom.Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    date = DataElement(0x00080020, "DA", "yesterday", validation_mode=pydicom.config.IGNORE)
    identifier[0x00080020] = date
    return DicomDataset(identifier)


@pytest.mark.parametrize(
    ("identifier", "model"),
    [
        (DicomDataset(QueryRetrieveLevel="PATIENT", PatientID=""), InformationModel.STUDY_ROOT),
        (with_impossible_date(), None),
    ],
    ids=["patient-level-in-study-root", "impossible-date"],
)
def test_an_identifier_that_does_not_fit_is_refused_in_words(
    filled: Pacs, identifier: DicomDataset, model: InformationModel | None
) -> None:
    """The server answers A900H, and the failure carries the reason."""
    error = QueryScu().find(filled.peer, identifier, model).failure()
    assert error.code is ErrorCode.FIND_FAILED
    assert error.details["status"] == 0xA900
    assert ": " in error.message


def test_a_level_that_does_not_exist_is_refused_before_anything_is_sent(filled: Pacs) -> None:
    """The user's own mistake needs no peer."""
    error = QueryScu().find(filled.peer, DicomDataset(QueryRetrieveLevel="ROOM")).failure()
    assert error.code is ErrorCode.FIND_INVALID_IDENTIFIER


# -- C-GET ---------------------------------------------------------------------------------


class Box:
    """Keeps copies of what comes: the bytes are valid during the call only."""

    def __init__(self) -> None:
        self.received: dict[str, tuple[str, bytes]] = {}

    def keep(self, instance: Instance) -> PacsResult[object]:
        content = bytes(instance.encoded.view())
        self.received[instance.sop_instance_uid] = (instance.transfer_syntax_uid, content)
        return Success(None)


def test_a_study_comes_back_byte_for_byte(filled: Pacs) -> None:
    """C-GET of a study delivers each instance as it is stored."""
    box = Box()
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.1")
    report = RetrieveScu().get(filled.peer, wanted, box.keep).unwrap()
    assert (report.received, report.failed, report.status) == (2, 0, 0)
    assert box.received.keys() == {"1.1.1.1", "1.1.1.2"}
    for uid, (syntax, content) in box.received.items():
        stored = filled.archive.open(uid).unwrap()
        assert (syntax, content) == (stored.transfer_syntax_uid, bytes(stored.encoded.view()))


def test_mixed_transfer_syntaxes_come_back_as_they_are(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """The client asks first what is there, so each encoding gets its own context."""
    instances = [make_instance(), make_instance(IMPLICIT_VR_LITTLE_ENDIAN)]
    for instance in instances:
        pacs.archive.store(instance).unwrap()
    box = Box()
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
    RetrieveScu().get(pacs.peer, wanted, box.keep).unwrap()
    assert box.received == {
        one.sop_instance_uid: (one.transfer_syntax_uid, bytes(one.encoded.view()))
        for one in instances
    }


def test_several_levels_and_a_list_of_uids(filled: Pacs) -> None:
    """A list of SOP Instance UIDs at IMAGE level brings exactly those."""
    box = Box()
    wanted = DicomDataset(
        QueryRetrieveLevel="IMAGE", StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1",
        SOPInstanceUID=["1.1.1.1", "1.1.1.2"],
    )  # fmt: skip
    assert RetrieveScu().get(filled.peer, wanted, box.keep).unwrap().received == 2
    assert box.received.keys() == {"1.1.1.1", "1.1.1.2"}


def test_nothing_found_is_a_success_with_nothing(filled: Pacs) -> None:
    """A unique key that matches nothing ends with Success and no instance."""
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="9.9")
    report = RetrieveScu().get(filled.peer, wanted, Box().keep).unwrap()
    assert (report.received, report.failed, report.status) == (0, 0, 0)


def test_a_missing_unique_key_is_refused(filled: Pacs) -> None:
    """C-GET of everything is not a thing: A900H (PS3.4 C.4.3.1.3)."""
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    error = RetrieveScu().get(filled.peer, wanted, Box().keep).failure()
    assert error.code is ErrorCode.RETRIEVE_FAILED
    assert error.details["status"] == 0xA900


def test_what_the_receiver_cannot_keep_is_counted_and_listed(filled: Pacs) -> None:
    """A failure to keep is the peer's failed sub-operation: warning B000H at the end."""
    box = Box()

    def keep(instance: Instance) -> PacsResult[object]:
        if instance.sop_instance_uid.endswith(".2"):
            return Failure(PacsError(ErrorCode.FILE_WRITE_FAILED, "no room"))
        return box.keep(instance)

    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.1")
    report = RetrieveScu().get(filled.peer, wanted, keep).unwrap()
    assert (report.received, report.failed, report.status) == (1, 1, 0xB000)


def test_an_instance_without_a_context_is_a_failed_suboperation(filled: Pacs) -> None:
    """Without an accepted context for its SOP class an instance counts as failed."""
    other = ProposedContext("1.2.840.10008.5.1.4.1.1.4", ("1.2.840.10008.1.2",), False, True)
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.1")
    report = RetrieveScu().get(filled.peer, wanted, Box().keep, contexts=[other]).unwrap()
    assert (report.received, report.failed, report.status) == (0, 2, 0xA702)


def test_a_stored_encoding_the_peer_refuses_is_converted(filled: Pacs) -> None:
    """A client that takes only Implicit VR gets it re-encoded, with the same values."""
    implicit = ProposedContext(CT, (IMPLICIT_VR_LITTLE_ENDIAN.uid,), as_scu=False, as_scp=True)
    box = Box()
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.1")
    report = RetrieveScu().get(filled.peer, wanted, box.keep, contexts=[implicit]).unwrap()
    assert report.received == 2
    assert {syntax for syntax, _ in box.received.values()} == {IMPLICIT_VR_LITTLE_ENDIAN.uid}


def test_keys_that_are_not_supported_are_told(filled: Pacs) -> None:
    """Matches come with FF01H where a key is not in the index, to match or to tell, else FF00H."""
    everything = dict.fromkeys(("PatientName", "ModalitiesInStudy", "InstanceAvailability"), "")
    for keys, status in (
        (everything, 0xFF00),
        ({"RequestedContrastAgent": ""}, 0xFF01),
        ({"RequestedContrastAgent": "flu*"}, 0xFF01),
    ):
        identifier = DicomDataset(None, QueryRetrieveLevel="STUDY", StudyInstanceUID="", **keys)
        syntax = IMPLICIT_VR_LITTLE_ENDIAN
        model = InformationModel.STUDY_ROOT.find
        data = MemoryBytes(encode_dataset(identifier, syntax).unwrap())
        proposed = ProposedContext(model, (syntax.uid,))
        with connect(filled.peer, "TEST", [proposed]).unwrap() as association:
            context = association.context_for(model).unwrap()
            replies = list(association.replies(context, CFindRQ(1, model), data))
        assert [reply.response.status for reply in replies] == [status] * 3 + [0]


def test_answers_left_early_are_not_taken_for_later_ones(filled: Pacs) -> None:
    """Leaving the replies before the final one ends the association, not in a mix-up."""
    model = InformationModel.STUDY_ROOT.find
    syntax = IMPLICIT_VR_LITTLE_ENDIAN
    identifier = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    data = MemoryBytes(encode_dataset(identifier, syntax).unwrap())
    proposed = ProposedContext(model, (syntax.uid,))
    with connect(filled.peer, "TEST", [proposed]).unwrap() as association:
        context = association.context_for(model).unwrap()
        replies = association.replies(context, CFindRQ(1, model), data)
        assert next(iter(replies)).response.status == 0xFF00
        replies.close()
        assert not association.is_open


def test_a_peer_that_only_answers_c_get_is_offered_the_common_classes(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """Where the peer does not answer C-FIND, retrieval goes on with what is common."""
    instance = make_instance()
    pacs.archive.store(instance).unwrap()
    box = Box()
    with DicomServer(ServerConfig(port=0), [RetrieveScp(pacs.archive)]) as server:
        wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
        peer = Peer("127.0.0.1", server.port)
        report = RetrieveScu().get(peer, wanted, box.keep).unwrap()
    assert (report.received, report.failed) == (1, 0)
    assert box.received.keys() == {instance.sop_instance_uid}

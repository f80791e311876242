"""Storage (PS3.4 Annex B): from StorageScu over a socket into an archive."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from returns.result import Failure, Success

from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import PacsResult
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    TransferSyntax,
)
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Peer, ServerConfig, SupportedContext
from pacs_sdk.services import (
    StorageScp,
    StorageScu,
    StoreOutcome,
    TranscodePolicy,
    storage_sop_classes,
)
from tests.services.conftest import CT, MakeInstance

SYNTAXES = [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: str(syntax.keyword))
def test_what_is_stored_is_byte_identical(
    pacs: Pacs, make_instance: MakeInstance, syntax: TransferSyntax
) -> None:
    """An instance arrives in the transfer syntax it was sent in, every byte the same."""
    sent = make_instance(syntax)
    report = StorageScu().store(pacs.peer, [sent]).unwrap()
    assert report.stored == 1
    kept = pacs.archive.open(sent.sop_instance_uid).unwrap()
    assert kept.transfer_syntax_uid == syntax.uid
    assert kept.encoded.view() == sent.encoded.view()


def test_each_outcome_is_told_as_it_happens(pacs: Pacs, make_instance: MakeInstance) -> None:
    """The progress callback sees every instance once, in the order given."""
    instances = [make_instance(InstanceNumber=number) for number in range(5)]
    seen: list[StoreOutcome] = []
    report = StorageScu().store(pacs.peer, instances, seen.append).unwrap()
    assert tuple(seen) == report.outcomes
    assert [o.sop_instance_uid for o in seen] == [i.sop_instance_uid for i in instances]


def test_nothing_to_send_is_an_error() -> None:
    """An empty list is STORE_NOTHING_TO_SEND; no connection is made."""
    error = StorageScu().store(Peer("127.0.0.1", 1), []).failure()
    assert error.code is ErrorCode.STORE_NOTHING_TO_SEND


def test_sending_twice_is_harmless(pacs: Pacs, make_instance: MakeInstance) -> None:
    """A resend of the same bytes succeeds and changes nothing."""
    instance = make_instance()
    scu = StorageScu()
    assert scu.store(pacs.peer, [instance]).unwrap().stored == 1
    assert scu.store(pacs.peer, [instance]).unwrap().stored == 1


def test_another_content_under_the_same_uid_is_refused(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """Different bytes under a stored UID get 0111H, and the first ones stay."""
    first = make_instance()
    second = make_instance(SOPInstanceUID=first.sop_instance_uid, PatientComments="changed")
    scu = StorageScu()
    scu.store(pacs.peer, [first]).unwrap()
    (outcome,) = scu.store(pacs.peer, [second]).unwrap().outcomes
    assert outcome.status == 0x0111
    kept = pacs.archive.open(first.sop_instance_uid).unwrap()
    assert kept.encoded.view() == first.encoded.view()


def test_a_data_set_that_contradicts_the_request_is_refused(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """A C-STORE whose data set names another instance gets A900H (PS3.4 B.2.3)."""
    honest = make_instance()
    liar = Instance(CT, "1.2.3.4.5.6", honest.transfer_syntax_uid, honest.encoded)
    (outcome,) = StorageScu().store(pacs.peer, [liar]).unwrap().outcomes
    assert outcome.status == 0xA900
    assert not outcome.is_stored


def test_one_bad_instance_does_not_stop_the_others(pacs: Pacs, make_instance: MakeInstance) -> None:
    """After a refused instance the association goes on."""
    good, bad, also_good = make_instance(), make_instance(StudyInstanceUID=""), make_instance()
    report = StorageScu().store(pacs.peer, [good, bad, also_good]).unwrap()
    assert [outcome.is_stored for outcome in report.outcomes] == [True, False, True]
    assert "Study Instance UID" in report.failures[0].comment


def _server(
    store: Callable[[Instance], PacsResult[object]], *syntaxes: TransferSyntax
) -> DicomServer:
    class Choosy(StorageScp):
        def supported_contexts(self) -> list[SupportedContext]:
            return [SupportedContext(CT, [syntax.uid for syntax in syntaxes])]

    return DicomServer(ServerConfig(port=0), [Choosy(store)])


@pytest.mark.parametrize("own", SYNTAXES, ids=lambda syntax: str(syntax.keyword))
def test_an_uncompressed_instance_is_reencoded_for_a_choosy_peer(
    make_instance: MakeInstance, own: TransferSyntax
) -> None:
    """A peer that takes only Implicit VR gets it, with the same values."""
    sent = make_instance(own)
    received = []

    def keep(instance: Instance) -> PacsResult[object]:
        received.append((instance.transfer_syntax_uid, instance.dataset().unwrap()))
        return Success(None)

    with _server(keep, IMPLICIT_VR_LITTLE_ENDIAN) as server:
        report = StorageScu().store(Peer("127.0.0.1", server.port), [sent]).unwrap()
    assert report.stored == 1
    ((syntax, dataset),) = received
    assert syntax == IMPLICIT_VR_LITTLE_ENDIAN.uid
    assert dataset == sent.dataset().unwrap()


def test_without_transcoding_a_refused_syntax_is_a_failure_in_words(
    make_instance: MakeInstance,
) -> None:
    """With ``TranscodePolicy.NEVER`` the outcome says which transfer syntax the peer refused."""
    with _server(lambda _: Success(None), IMPLICIT_VR_LITTLE_ENDIAN) as server:
        scu = StorageScu(transcode=TranscodePolicy.NEVER)
        report = scu.store(Peer("127.0.0.1", server.port), [make_instance()]).unwrap()
    (outcome,) = report.outcomes
    assert outcome.status is None
    assert EXPLICIT_VR_LITTLE_ENDIAN.name in outcome.comment


def test_a_failure_of_the_handler_is_the_status_of_its_code(make_instance: MakeInstance) -> None:
    """A vendor's function that returns a Failure gives its code's DIMSE status and words."""

    def keep(_: Instance) -> PacsResult[object]:
        return Failure(PacsError(ErrorCode.STORE_OUT_OF_RESOURCES, "the disk is full"))

    with _server(keep, EXPLICIT_VR_LITTLE_ENDIAN) as server:
        report = StorageScu().store(Peer("127.0.0.1", server.port), [make_instance()]).unwrap()
    (outcome,) = report.outcomes
    assert outcome.status == 0xA700
    assert outcome.comment == "the disk is full"


def test_more_kinds_than_one_association_can_have(pacs: Pacs, make_instance: MakeInstance) -> None:
    """Kinds beyond 128 presentation contexts go on a further association."""
    kinds = [sop_class.uid for sop_class in storage_sop_classes()]
    instances = [make_instance(SOPClassUID=uid) for uid in kinds]
    report = StorageScu().store(pacs.peer, instances).unwrap()
    assert report.stored == len(kinds) > 128

"""Services made of functions, over real sockets and both drivers: what they return and raise."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pacs_sdk.core import Failure, PacsError, PacsResult, Success
from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import IMPLICIT_VR_LITTLE_ENDIAN, decode_dataset, encode_dataset
from pacs_sdk.network import (
    Answer,
    DicomAssociation,
    FunctionService,
    HandlerAnswer,
    ProposedContext,
    Reply,
    ServerConfig,
    ServiceRequest,
)
from pacs_sdk.network.dimse import (
    CEchoRQ,
    CFindRQ,
    CStoreRQ,
    CStoreRSP,
    NActionRQ,
    NCreateRQ,
    NCreateRSP,
    NSetRQ,
    Status,
)
from tests.network.helpers import CT_IMAGE, IMPLICIT, STUDY_ROOT_FIND, VERIFICATION
from tests.network.servers import EchoService, RecordingLogger, assert_alive, open_to, serving

pytestmark = pytest.mark.usefixtures("driver")

MPPS = "1.2.840.10008.3.1.2.3.3"

CONTEXTS = [
    ProposedContext(uid, (IMPLICIT,)) for uid in (VERIFICATION, CT_IMAGE, STUDY_ROOT_FIND, MPPS)
]


def encoded(**elements: Any) -> MemoryBytes:
    """Encode a small data set."""
    dataset = DicomDataset(**elements)
    return MemoryBytes(encode_dataset(dataset, IMPLICIT_VR_LITTLE_ENDIAN).unwrap())


def finding(association: DicomAssociation) -> list[Reply]:
    """Send one C-FIND; list the replies with their statuses and data."""
    context = raised(association.context_for(STUDY_ROOT_FIND))
    request = CFindRQ(association.next_message_id(), STUDY_ROOT_FIND)
    return list(association.replies(context, request, encoded(PatientID="P1")))


def storing(association: DicomAssociation) -> tuple[int, str]:
    """Send one C-STORE; return status and comment."""
    context = raised(association.context_for(CT_IMAGE))
    request = CStoreRQ(association.next_message_id(), CT_IMAGE, "1.2.3")
    response = raised(association.call(context, request, encoded(PatientID="P1")))
    return response.status, response.error_comment


# -- what a function returns -----------------------------------------------------------------


def _nothing(request: ServiceRequest[CStoreRQ]) -> None:
    pass


def _status(request: ServiceRequest[CStoreRQ]) -> int:
    return Status.COERCION_OF_DATA_ELEMENTS


def _answer(request: ServiceRequest[CStoreRQ]) -> Answer:
    return Answer(0xB007, "an odd value")


def _success(request: ServiceRequest[CStoreRQ]) -> PacsResult[int]:
    return Success(5)  # a count, not a status


def _success_with_answer(request: ServiceRequest[CStoreRQ]) -> PacsResult[Answer]:
    return Success(Answer(0xB006))


def _failure(request: ServiceRequest[CStoreRQ]) -> PacsResult[None]:
    return Failure(PacsError(ErrorCode.NOT_AUTHORISED, "not from you"))


def _raises(request: ServiceRequest[CStoreRQ]) -> None:
    raise PacsException(ErrorCode.STORE_OUT_OF_RESOURCES, "no room")


def _crashes(request: ServiceRequest[CStoreRQ]) -> None:
    raise ZeroDivisionError


def _exits(request: ServiceRequest[CStoreRQ]) -> None:
    raise SystemExit(3)


def _true(request: ServiceRequest[CStoreRQ]) -> bool:
    return True


def _text(request: ServiceRequest[CStoreRQ]) -> str:
    return "Doe^Jane"


def _pending_only(request: ServiceRequest[CStoreRQ]) -> Answer:
    return Answer(Status.PENDING)


def _by_itself(request: ServiceRequest[CStoreRQ]) -> None:
    request.exchange.respond_status(0xB000, "by itself")


def _twice(request: ServiceRequest[CStoreRQ]) -> int:
    request.exchange.respond_status(0xB000, "first")
    return 0


@pytest.mark.parametrize(
    ("handler", "status", "comment", "event"),
    [
        (_nothing, 0x0000, "", None),
        (_status, 0xB000, "", None),
        (_answer, 0xB007, "an odd value", None),
        (_success, 0x0000, "", None),
        (_success_with_answer, 0xB006, "", None),
        (_failure, 0x0124, "not from you", "request-failed"),
        (_raises, 0xA700, "no room", "request-failed"),
        (_crashes, 0x0110, "the handler failed", "handler-crashed"),
        (_exits, 0x0110, "the handler failed", "handler-crashed"),
        (_true, 0x0110, "the handler returned a value of type bool, which is no answer", ""),
        (_text, 0x0110, "the handler returned a value of type str, which is no answer", ""),
        (_pending_only, 0xFF00, "", "handler-gave-no-answer"),
        (_by_itself, 0xB000, "by itself", None),
        (_twice, 0xB000, "first", "request-failed"),
    ],
)
def test_what_a_function_does_becomes_one_status(
    handler: object, status: int, comment: str, event: str | None
) -> None:
    """The peer gets one final response, the log the reason, and the association goes on."""
    logger = RecordingLogger()
    service = FunctionService([CT_IMAGE])
    service.handles(CStoreRQ)(handler)  # type: ignore[arg-type]  # some are wrong on purpose
    with (
        serving(service, EchoService(), logger=logger) as server,
        open_to(server, CONTEXTS) as association,
    ):
        context = raised(association.context_for(CT_IMAGE))
        request = CStoreRQ(7, CT_IMAGE, "1.2.3")
        replies = list(association.replies(context, request, encoded(PatientID="P1")))
        assert (replies[0].response.status, replies[0].response.error_comment) == (status, comment)
        assert len(replies) == (2 if status == Status.PENDING else 1)
        assert_alive(association)
    failed = [
        (name, fields)
        for level, name, fields in logger.entries
        if level in ("warning", "error") and name.startswith(("request", "handler"))
    ]
    if event is None:
        assert failed == []
    else:
        assert event in ("", failed[0][0])
        fields = failed[0][1]
        assert fields["message_id"] == 7
        assert fields["operation"] == "C-STORE"
        assert fields["association"] == 1
        assert "Doe" not in str(failed)


# -- what a function is given ----------------------------------------------------------------


def test_a_function_is_given_the_request_and_all_about_it() -> None:
    """The typed command set, the data set, who asks, the clock, the metrics and the logger."""
    seen: list[ServiceRequest[CStoreRQ]] = []
    found: dict[str, object] = {}
    service = FunctionService(CT_IMAGE)

    @service.handles(CStoreRQ)
    def store(request: ServiceRequest[CStoreRQ]) -> None:
        seen.append(request)
        found["patient"] = request.dataset().unwrap().get("PatientID")
        instance = request.instance().unwrap()
        found["instance"] = instance.sop_instance_uid, instance.transfer_syntax_uid
        found["size"] = request.data is not None and request.data.size
        found["cancelled"] = request.is_cancelled()

    with serving(service) as server, open_to(server, CONTEXTS) as association:
        assert storing(association) == (0, "")
    (request,) = seen
    assert request.message.affected_sop_instance_uid == "1.2.3"
    assert request.association.calling_ae_title == "TESTER"
    assert request.association.number == 1
    assert request.context.abstract_syntax == CT_IMAGE
    assert request.clock.monotonic() > 0
    request.metrics.increment("mine")
    assert found == {
        "patient": "P1",
        "instance": ("1.2.3", IMPLICIT),
        "size": 10,
        "cancelled": False,
    }


def test_a_request_without_a_data_set_says_so() -> None:
    """What is not there is a failure with a status, not an exception."""
    service = FunctionService([VERIFICATION])

    @service.handles(CEchoRQ)
    def echo(request: ServiceRequest[CEchoRQ]) -> PacsResult[DicomDataset]:
        assert request.instance().failure().code is ErrorCode.MISSING_REQUIRED_VALUE
        return request.dataset()

    with serving(service) as server, open_to(server, CONTEXTS) as association:
        context = raised(association.context_for(VERIFICATION))
        response = raised(association.call(context, CEchoRQ(1)))
        assert response.status == ErrorCode.MISSING_REQUIRED_VALUE.dimse_status


# -- several responses -----------------------------------------------------------------------


def test_a_generator_sends_matches_one_by_one() -> None:
    """Each data set is a Pending response in the context's encoding; Success ends them."""
    service = FunctionService([STUDY_ROOT_FIND])

    @service.handles(CFindRQ)
    def find(request: ServiceRequest[CFindRQ]) -> Iterator[DicomDataset | Answer]:
        wanted = str(request.dataset().unwrap().get("PatientID"))
        yield DicomDataset(PatientID=wanted, StudyInstanceUID="1.1")
        yield Answer(
            Status.PENDING_WITH_WARNING,
            dataset=DicomDataset(PatientID=wanted, StudyInstanceUID="1.2"),
        )

    with serving(service) as server, open_to(server, CONTEXTS) as association:
        replies = finding(association)
    assert [reply.response.status for reply in replies] == [0xFF00, 0xFF01, 0]
    uids = [
        decode_dataset(bytes(reply.data.view()), IMPLICIT_VR_LITTLE_ENDIAN)
        .unwrap()
        .get("StudyInstanceUID")
        for reply in replies
        if reply.data is not None
    ]
    assert uids == ["1.1", "1.2"]


def test_a_generator_may_end_with_an_answer_of_its_own() -> None:
    """A final answer ends the operation; what would come after it is not asked for."""
    service = FunctionService([STUDY_ROOT_FIND])
    closed = threading.Event()

    @service.handles(CFindRQ)
    def find(request: ServiceRequest[CFindRQ]) -> Iterator[DicomDataset | Answer]:
        try:
            yield DicomDataset(PatientID="1")
            yield Answer(0xA700, "too many")
            pytest.fail("nothing more is wanted")
        finally:
            closed.set()

    with serving(service) as server, open_to(server, CONTEXTS) as association:
        replies = finding(association)
    assert [reply.response.status for reply in replies] == [0xFF00, 0xA700]
    assert closed.is_set()


def test_a_generator_that_fails_after_a_match_ends_with_the_failure() -> None:
    """Pending responses that are sent stay; the final one has the status of the error."""
    service = FunctionService([STUDY_ROOT_FIND])

    @service.handles(CFindRQ)
    def find(request: ServiceRequest[CFindRQ]) -> Iterator[DicomDataset]:
        yield DicomDataset(PatientID="1")
        raise PacsException(ErrorCode.INDEX_FAILED, "the index is gone")

    with serving(service, EchoService()) as server, open_to(server, CONTEXTS) as association:
        replies = finding(association)
        assert [reply.response.status for reply in replies] == [0xFF00, 0xA700]
        assert_alive(association)


def test_a_generator_is_stopped_by_a_cancel() -> None:
    """After the peer's cancel no match is made any more, and the status is FE00H."""
    service = FunctionService([STUDY_ROOT_FIND])
    made: list[int] = []
    cancelled = threading.Event()

    @service.handles(CFindRQ)
    def find(request: ServiceRequest[CFindRQ]) -> Iterator[DicomDataset]:
        for number in range(1000):
            made.append(number)
            yield DicomDataset(InstanceNumber=number)
            if number == 1:
                assert cancelled.wait(10)

    with serving(service) as server, open_to(server, CONTEXTS) as association:
        context = raised(association.context_for(STUDY_ROOT_FIND))
        request = CFindRQ(association.next_message_id(), STUDY_ROOT_FIND)
        statuses = []
        for reply in association.replies(context, request, encoded(PatientID="P1")):
            statuses.append(reply.response.status)
            if len(statuses) == 2:
                association.cancel(context, request.message_id)
                cancelled.set()
    assert statuses[-1] == Status.CANCEL
    assert len(made) < 1000


# -- several operations ----------------------------------------------------------------------


def test_each_operation_has_its_function() -> None:
    """N-CREATE and N-SET of one SOP class; N-ACTION, which has none, is 0211H."""
    service = FunctionService([MPPS])
    steps: dict[str, str] = {}

    @service.handles(NCreateRQ)
    def create(request: ServiceRequest[NCreateRQ]) -> Answer:
        uid = request.message.affected_sop_instance_uid or "1.2.99"
        steps[uid] = str(request.dataset().unwrap().get("PerformedProcedureStepStatus"))
        return Answer(fields={"affected_sop_instance_uid": uid})

    @service.handles(NSetRQ)
    def change(request: ServiceRequest[NSetRQ]) -> HandlerAnswer:
        uid = request.message.requested_sop_instance_uid
        if uid not in steps:
            return Status.NO_SUCH_SOP_INSTANCE
        steps[uid] = str(request.dataset().unwrap().get("PerformedProcedureStepStatus"))
        return None

    assert service.operations == (NCreateRQ, NSetRQ)
    started = encoded(PerformedProcedureStepStatus="IN PROGRESS")
    ended = encoded(PerformedProcedureStepStatus="COMPLETED")
    with serving(service) as server, open_to(server, CONTEXTS) as association:
        context = raised(association.context_for(MPPS))
        created = raised(association.call(context, NCreateRQ(1, MPPS), started))
        assert isinstance(created, NCreateRSP)
        assert created.affected_sop_instance_uid == "1.2.99"
        assert raised(association.call(context, NSetRQ(2, MPPS, "1.2.99"), ended)).status == 0
        assert raised(association.call(context, NSetRQ(3, MPPS, "1.2.98"), ended)).status == 0x0112
        unknown = raised(association.call(context, NActionRQ(4, MPPS, "1.2.99", 1), ended))
        assert unknown.status == Status.UNRECOGNIZED_OPERATION
    assert steps == {"1.2.99": "COMPLETED"}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.STORAGE_WRITE_FAILED, Status.RESOURCE_LIMITATION),
        (ErrorCode.DECODE_FAILED, Status.PROCESSING_FAILURE),
        (ErrorCode.CANCELLED, Status.PROCESSING_FAILURE),
        (ErrorCode.OBJECT_NOT_FOUND, Status.NO_SUCH_SOP_INSTANCE),
    ],
)
def test_an_error_in_an_n_service_has_a_status_that_it_can_have(
    code: ErrorCode, status: int
) -> None:
    """What the codes from A000H on mean is up to each service class (PS3.7 Annex C)."""
    service = FunctionService([MPPS])

    @service.handles(NCreateRQ)
    def create(_: ServiceRequest[NCreateRQ]) -> HandlerAnswer:
        return Failure(PacsError(code, "no"))

    with serving(service) as server, open_to(server, CONTEXTS) as association:
        context = raised(association.context_for(MPPS))
        response = raised(association.call(context, NCreateRQ(1, MPPS), encoded(PatientID="P1")))
    assert isinstance(response, NCreateRSP)
    assert (response.status, response.error_comment) == (status, "no")


def test_a_data_set_that_is_too_long_for_an_n_service_is_a_lack_of_resources() -> None:
    """As the standard has it for N- services: 0213H."""
    config = ServerConfig(max_dataset_bytes=10)
    service = FunctionService([MPPS])
    with serving(service, config=config) as server, open_to(server, CONTEXTS) as association:
        context = raised(association.context_for(MPPS))
        response = raised(association.call(context, NCreateRQ(1, MPPS), encoded(PatientID="P1234")))
    assert response.status == Status.RESOURCE_LIMITATION


def _doubled() -> None:
    service = FunctionService([CT_IMAGE])
    service.handles(CStoreRQ)(_nothing)
    service.handles(CStoreRQ)(_nothing)


def _response() -> None:
    FunctionService([CT_IMAGE]).handles(CStoreRSP)  # type: ignore[type-var]  # wrong on purpose


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: FunctionService([]), "at least one SOP class"),
        (lambda: FunctionService([CT_IMAGE], transfer_syntaxes=[]), "one transfer syntax"),
        (_response, "is no class of requests"),
        (_doubled, "CStoreRQ has a handler already"),
    ],
)
def test_a_service_that_cannot_be_is_refused_when_it_is_made(wrong: object, words: str) -> None:
    """A mistake shows where it is made, not at the first request."""
    assert callable(wrong)
    with pytest.raises(PacsException) as raised_:
        wrong()
    assert raised_.value.error.code is ErrorCode.INVALID_ARGUMENT
    assert words in raised_.value.error.message

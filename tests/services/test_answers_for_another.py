"""Answers to C-STOREs that name another SOP instance than was sent (PS3.7 Table 9.1-1)."""

from __future__ import annotations

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import (
    Exchange,
    IncomingMessage,
    ProposedContext,
    connect,
)
from pacs_sdk.network.dimse import CGetRQ, CStoreRQ, CStoreRSP, Status
from pacs_sdk.services import InMemory, RetrieveScu, StorageScu
from pacs_sdk.services.retrieve.receiver import Receiver as Taker
from tests.network.helpers import CT_IMAGE, STUDY_ROOT_GET
from tests.network.servers import EchoService, Scripted, open_to, serving
from tests.services.conftest import CT, MakeInstance
from tests.services.move_destinations import THE_STUDY, Shelf, moving
from tests.services.receivers import Receiver, Script, answer, receiving, take

OTHER = "1.2.3.999"
WORDS = f"the answer is for another SOP instance, {OTHER}"


def naming(uid: str, status: int = Status.SUCCESS) -> Script:
    """Answer for the instance of that UID, whatever came."""

    def script(exchange: Exchange) -> None:
        exchange.respond(CStoreRSP(exchange.request.message_id, status, CT, uid))

    return script


def test_what_was_stored_for_another_instance_is_not_stored(make_instance: MakeInstance) -> None:
    """Nobody knows whether the peer has it; the others go on over the same association."""
    service = Receiver(naming(OTHER))
    instances = [make_instance() for _ in range(3)]
    with receiving(service) as peer:
        report = StorageScu().store(peer, instances).unwrap()
    first, *others = report.outcomes
    assert (first.is_stored, first.status, first.error) == (
        False,
        None,
        ErrorCode.INVALID_DIMSE_MESSAGE,
    )
    assert first.comment == (
        f"{WORDS} instead of {instances[0].sop_instance_uid} (its status is 0000H)"
    )
    assert [one.status for one in others] == [0, 0]
    assert service.associations == 1


def test_an_answer_need_not_name_the_instance(make_instance: MakeInstance) -> None:
    """The UID is optional there."""
    with receiving(Receiver(naming(""))) as peer:
        assert StorageScu().store(peer, make_instance()).unwrap().stored == 1


def test_a_failure_stays_what_it_is_whatever_it_names(make_instance: MakeInstance) -> None:
    """Its status tells more than that it names another instance."""
    with receiving(Receiver(naming(OTHER, 0xA900), answer(0xA900))) as peer:
        report = StorageScu().store(peer, [make_instance(), make_instance()]).unwrap()
    assert [one.status for one in report.outcomes] == [0xA900, 0xA900]


def test_a_single_call_does_not_believe_it_either(make_instance: MakeInstance) -> None:
    """The association is in order all the same."""
    instance = make_instance()
    contexts = [ProposedContext(CT, (EXPLICIT_VR_LITTLE_ENDIAN.uid,))]
    with (
        receiving(Receiver(naming(OTHER))) as peer,
        raised(connect(peer, "TESTER", contexts)) as association,
    ):
        (context,) = association.contexts
        data = MemoryBytes(instance.encoded.view())
        request = CStoreRQ(1, CT, instance.sop_instance_uid)
        error = association.call(context, request, data).failure()
        assert error.code is ErrorCode.INVALID_DIMSE_MESSAGE
        assert error.message.startswith(WORDS)
        assert association.call(context, request, data).unwrap().status == Status.SUCCESS


def test_a_move_counts_it_as_failed(pacs: Pacs, make_instance: MakeInstance) -> None:
    """The destination may not have it."""

    class Confused(Shelf):
        def handle(self, exchange: Exchange) -> None:
            naming(OTHER)(exchange)

    instance = make_instance()
    with moving(pacs, Confused()) as setting:
        setting.store(instance)
        report = RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert (report.completed, report.failed) == (0, 1)
    assert report.failed_sop_instance_uids == (instance.sop_instance_uid,)
    assert report.comment.startswith(WORDS)


def test_a_get_counts_it_as_failed(
    pacs: Pacs, make_instance: MakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked may not have it."""
    taken = Taker.on_store
    instances = [make_instance() for _ in range(2)]
    for one in instances:
        pacs.archive.store(one).unwrap()
    first = instances[0].sop_instance_uid

    def on_store(self: Taker, incoming: IncomingMessage, request: CStoreRQ) -> CStoreRSP:
        response = taken(self, incoming, request)
        if request.affected_sop_instance_uid == first:
            return attrs.evolve(response, affected_sop_instance_uid=OTHER)
        return response

    monkeypatch.setattr(Taker, "on_store", on_store)
    report = RetrieveScu().get(pacs.peer, THE_STUDY, InMemory().keep).unwrap()
    assert report.status == Status.SUBOPERATIONS_WITH_FAILURES
    assert report.failed_sop_instance_uids == (first,)


def test_a_handler_that_stores_is_told() -> None:
    """It gets an error in place of the answer."""
    errors: list[ErrorCode] = []

    def act(exchange: Exchange) -> None:
        (context,) = exchange.contexts_as_scu()
        try:
            exchange.store(context, CT_IMAGE, "1.2.3", MemoryBytes(b"data"))
        except PacsException as exc:
            errors.append(exc.error.code)
        exchange.respond_status(Status.SUCCESS)

    def keep(_: IncomingMessage, request: CStoreRQ) -> CStoreRSP:
        return CStoreRSP(request.message_id, Status.SUCCESS, CT_IMAGE, OTHER)

    services = (Scripted(act, STUDY_ROOT_GET), Scripted(take, as_scu=True), EchoService())
    with serving(*services) as server, open_to(server) as association:
        context = raised(association.context_for(STUDY_ROOT_GET))
        request = CGetRQ(1, STUDY_ROOT_GET)
        (final,) = association.replies(context, request, MemoryBytes(b"identifier"), keep)
        assert final.response.status == Status.SUCCESS
    assert errors == [ErrorCode.INVALID_DIMSE_MESSAGE]

"""An operation of the client that is not taken to its end, over both drivers of the server."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.network import DicomAssociation, Exchange, IncomingMessage, ServerConfig
from pacs_sdk.network.dimse import (
    CFindRQ,
    CFindRSP,
    CGetRQ,
    CGetRSP,
    CStoreRQ,
    CStoreRSP,
    Status,
)
from pacs_sdk.network.threaded.association import Reply, StoreHandler
from tests.network.helpers import CT_IMAGE, STUDY_ROOT_FIND, STUDY_ROOT_GET
from tests.network.servers import EchoService, Scripted, Shelf, assert_alive, open_to, serving

pytestmark = pytest.mark.usefixtures("driver")


def _find(exchange: Exchange) -> None:
    number = exchange.request.message_id
    for status in (Status.PENDING, Status.PENDING, Status.SUCCESS):
        exchange.respond(CFindRSP(number, status))


def _get(exchange: Exchange) -> None:
    (context,) = exchange.contexts_as_scu()
    status = exchange.store(context, CT_IMAGE, "1.2", MemoryBytes(b"data")).status
    exchange.respond(CGetRSP(exchange.request.message_id, status))


SERVICES = (
    Scripted(_find, STUDY_ROOT_FIND),
    Scripted(_get, STUDY_ROOT_GET),
    Scripted(Shelf(), as_scu=True),
    EchoService(),
)


def find(association: DicomAssociation) -> Generator[Reply, None, None]:
    """Ask what there is."""
    context = raised(association.context_for(STUDY_ROOT_FIND))
    request = CFindRQ(association.next_message_id(), STUDY_ROOT_FIND)
    return association.replies(context, request, MemoryBytes(b""))


def test_a_failure_between_two_replies_aborts() -> None:
    """The replies that are still to come would be taken for those of the next request."""
    with serving(*SERVICES) as server, open_to(server) as association:
        replies = find(association)
        next(replies)
        with pytest.raises(ZeroDivisionError):
            replies.throw(ZeroDivisionError)
        assert not association.is_open


def test_a_failure_behind_the_last_reply_does_not() -> None:
    """Nothing is still to come."""
    with serving(*SERVICES) as server, open_to(server) as association:
        replies = find(association)
        for _ in range(3):
            next(replies)
        with pytest.raises(ZeroDivisionError):
            replies.throw(ZeroDivisionError)
        assert_alive(association)


def _keep_nothing(incoming: IncomingMessage, request: CStoreRQ) -> CStoreRSP:
    raise OSError("no room")


def _answer_wrongly(incoming: IncomingMessage, request: CStoreRQ) -> CStoreRSP:
    return CStoreRSP(request.message_id, 70_000)


@pytest.mark.parametrize("on_store", [_keep_nothing, _answer_wrongly], ids=lambda f: f.__name__)
def test_a_sub_operation_that_is_not_answered_aborts(on_store: StoreHandler) -> None:
    """The peer waits for the answer, and the C-GET has not ended."""
    with serving(*SERVICES) as server, open_to(server) as association:
        context = raised(association.context_for(STUDY_ROOT_GET))
        replies = association.replies(
            context, CGetRQ(1, STUDY_ROOT_GET), MemoryBytes(b""), on_store
        )
        with pytest.raises((OSError, PacsException)):
            next(replies)
        assert not association.is_open


def test_a_reply_that_cannot_be_kept_aborts_unless_it_is_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here a Pending one, with a data set too long for memory and no folder to spool it to."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))

    def act(exchange: Exchange) -> None:
        number = exchange.request.message_id
        exchange.respond(CFindRSP(number, Status.PENDING), MemoryBytes(bytes(17 << 20)))
        exchange.respond_status(Status.SUCCESS)

    with (
        serving(
            Scripted(act, STUDY_ROOT_FIND), config=ServerConfig(spool_directory=tmp_path / "spool")
        ) as server,
        open_to(server) as association,
    ):
        with pytest.raises(PacsException, match="the data set cannot be kept"):
            next(find(association))
        assert not association.is_open

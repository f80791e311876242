"""All N- services with pynetdicom at either end, with both drivers (PS3.7 10)."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.tag import Tag

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    Driver,
    Exchange,
    Peer,
    ProposedContext,
    Reply,
    connect,
    connect_async,
)
from pacs_sdk.network.dimse import (
    NActionRQ,
    NCreateRQ,
    NDeleteRQ,
    NEventReportRQ,
    NGetRQ,
    NSetRQ,
    Request,
    Response,
    Status,
    response_to,
)
from tests.network.helpers import IMPLICIT
from tests.network.servers import Scripted, driver_in_use, serving

pynetdicom = pytest.importorskip("pynetdicom")
evt, dsutils = pynetdicom.evt, importlib.import_module("pynetdicom.dsutils")

pytestmark = pytest.mark.interop

FILM_SESSION = "1.2.840.10008.5.1.1.1"  # Basic Film Session, of which pynetdicom takes all six
INSTANCE = "1.2.3"
PATIENT_ID = 0x00100020

REQUESTS: list[tuple[Request, bool]] = [
    (NEventReportRQ(1, FILM_SESSION, INSTANCE, 5), True),
    (NGetRQ(2, FILM_SESSION, INSTANCE, (PATIENT_ID,)), False),
    (NSetRQ(3, FILM_SESSION, INSTANCE), True),
    (NActionRQ(4, FILM_SESSION, INSTANCE, 6), True),
    (NCreateRQ(5, FILM_SESSION, INSTANCE), True),
    (NDeleteRQ(6, FILM_SESSION, INSTANCE), False),
]
"""Each request, and whether a data set goes with it."""


def patient(text: str) -> Dataset:
    """Make a data set of one element."""
    dataset = Dataset()
    dataset.PatientID = text
    return dataset


def encoded(text: str) -> MemoryBytes:
    """Make it as Implicit VR Little Endian."""
    return MemoryBytes(dsutils.encode(patient(text), is_implicit_vr=True, is_little_endian=True))


# -- pynetdicom calls us -----------------------------------------------------------------------


@pytest.mark.parametrize("driver", Driver, ids=lambda driver: driver.value)
def test_pynetdicom_calls_us(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request comes as it was meant, and each response is understood."""
    monkeypatch.setattr(driver_in_use, "name", driver.value)
    taken: list[tuple[Request, bytes | None]] = []

    def act(exchange: Exchange) -> None:
        request = exchange.request
        taken.append((request, None if exchange.data is None else bytes(exchange.data.view())))
        answer = None if isinstance(request, NDeleteRQ) else encoded("THEIRS")
        exchange.respond(response_to(request, Status.SUCCESS), answer)

    with serving(Scripted(act, FILM_SESSION)) as server:
        entity = pynetdicom.AE("PYNETDICOM")
        entity.add_requested_context(FILM_SESSION, IMPLICIT)
        association = entity.associate("127.0.0.1", server.port)
        assert association.is_established
        where = FILM_SESSION, INSTANCE
        answers = [
            association.send_n_event_report(patient("OURS"), 5, *where, msg_id=1),
            association.send_n_get([Tag(PATIENT_ID)], *where, msg_id=2),
            association.send_n_set(patient("OURS"), *where, msg_id=3),
            association.send_n_action(patient("OURS"), 6, *where, msg_id=4),
            association.send_n_create(patient("OURS"), *where, msg_id=5),
        ]
        assert [(status.Status, dataset.PatientID) for status, dataset in answers] == [
            (0x0000, "THEIRS")
        ] * 5
        assert association.send_n_delete(*where, msg_id=6).Status == 0x0000
        association.release()
    ours = bytes(encoded("OURS").view())
    assert taken == [(request, ours if has_data else None) for request, has_data in REQUESTS]


# -- we call pynetdicom ------------------------------------------------------------------------


def _read(reply: Reply) -> tuple[Response, bytes | None]:
    return reply.response, None if reply.data is None else bytes(reply.data.view())


def _answers(driver: Driver, peer: Peer) -> list[tuple[Response, bytes | None]]:
    """Send each request with the client of a driver."""
    contexts = [ProposedContext(FILM_SESSION, (IMPLICIT,))]
    asked = [(request, encoded("OURS") if has_data else None) for request, has_data in REQUESTS]
    if driver is Driver.THREADED:
        with raised(connect(peer, "TESTER", contexts)) as association:
            context = raised(association.context_for(FILM_SESSION))
            return [
                _read(reply)
                for request, data in asked
                for reply in association.replies(context, request, data)
            ]

    async def ask() -> list[tuple[Response, bytes | None]]:
        async with raised(await connect_async(peer, "TESTER", contexts)) as association:
            context = raised(association.context_for(FILM_SESSION))
            return [
                _read(reply)
                for request, data in asked
                async for reply in association.replies(context, request, data)
            ]

    return asyncio.run(ask())


@pytest.mark.parametrize("driver", Driver, ids=lambda driver: driver.value)
def test_we_call_pynetdicom(driver: Driver) -> None:
    """It takes each request for what it is, and we understand its responses."""
    taken: list[tuple[str, str]] = []

    def handler(name: str, attribute: str) -> tuple[Any, Callable[[Any], Any]]:
        def handle(event: Any) -> Any:
            text = str(getattr(event, attribute).PatientID) if attribute else ""
            taken.append((name, text))
            return 0x0000 if name == "DELETE" else (0x0000, patient("THEIRS"))

        return getattr(evt, f"EVT_N_{name}"), handle

    entity = pynetdicom.AE("PYNETDICOM")
    entity.add_supported_context(FILM_SESSION, IMPLICIT)
    handlers = [
        handler("EVENT_REPORT", "event_information"),
        handler("GET", ""),
        handler("SET", "modification_list"),
        handler("ACTION", "action_information"),
        handler("CREATE", "attribute_list"),
        handler("DELETE", ""),
    ]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        answers = _answers(driver, Peer("127.0.0.1", server.server_address[1], "PYNETDICOM"))
    finally:
        server.shutdown()
    assert taken == [
        ("EVENT_REPORT", "OURS"),
        ("GET", ""),
        ("SET", "OURS"),
        ("ACTION", "OURS"),
        ("CREATE", "OURS"),
        ("DELETE", ""),
    ]
    theirs = bytes(encoded("THEIRS").view())
    assert [type(response) for response, _ in answers] == [
        request.response_type for request, _ in REQUESTS
    ]
    assert {response.status for response, _ in answers} == {Status.SUCCESS}
    assert [data for _, data in answers] == [theirs] * 5 + [None]

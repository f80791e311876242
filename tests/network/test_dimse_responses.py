"""Requests as a dispatcher sees them, and the responses that fit them."""

from __future__ import annotations

import typing

import attrs
import pytest

from pacs_sdk.network import service
from pacs_sdk.network.dimse import (
    REQUEST_TYPES,
    RESPONSE_BIT,
    RESPONSE_TYPES,
    CCancelRQ,
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CFindRSP,
    CGetRQ,
    CGetRSP,
    CMoveRQ,
    CMoveRSP,
    CommandField,
    CStoreRQ,
    CStoreRSP,
    Message,
    NActionRQ,
    NActionRSP,
    NCreateRQ,
    NCreateRSP,
    NDeleteRQ,
    NDeleteRSP,
    NEventReportRQ,
    NEventReportRSP,
    NGetRQ,
    NGetRSP,
    NSetRQ,
    NSetRSP,
    Request,
    Response,
    UnsupportedRQ,
    UnsupportedRSP,
    encode_command,
    is_request,
    is_response,
    response_to,
)
from tests.network.dimse_normalized_vectors import NORMALIZED_VECTORS
from tests.network.dimse_vectors import CT_IMAGE, VECTORS, VERIFICATION, Vector

WHY = "why"

PAIRS: list[tuple[Request, Response]] = [
    (CEchoRQ(1), CEchoRSP(1, 0x0110, error_comment=WHY)),
    (CStoreRQ(2, CT_IMAGE, "1.2"), CStoreRSP(2, 0x0110, CT_IMAGE, "1.2", WHY)),
    (CFindRQ(3, "1.5"), CFindRSP(3, 0x0110, "1.5", WHY)),
    (CGetRQ(4, "1.6"), CGetRSP(4, 0x0110, "1.6", error_comment=WHY)),
    (CMoveRQ(5, "1.7", "WEST"), CMoveRSP(5, 0x0110, "1.7", error_comment=WHY)),
    (NEventReportRQ(6, "1.8", "1.2", 9), NEventReportRSP(6, 0x0110, "1.8", "1.2", 9, WHY)),
    (NGetRQ(7, "1.8", "1.2", (1,)), NGetRSP(7, 0x0110, "1.8", "1.2", error_comment=WHY)),
    (NSetRQ(8, "1.8", "1.2"), NSetRSP(8, 0x0110, "1.8", "1.2", error_comment=WHY)),
    (NActionRQ(9, "1.8", "1.2", 3), NActionRSP(9, 0x0110, "1.8", "1.2", 3, WHY)),
    (NCreateRQ(10, "1.8", "1.2"), NCreateRSP(10, 0x0110, "1.8", "1.2", error_comment=WHY)),
    (NCreateRQ(10, "1.8"), NCreateRSP(10, 0x0110, "1.8", error_comment=WHY)),
    (NDeleteRQ(11, "1.8", "1.2"), NDeleteRSP(11, 0x0110, "1.8", "1.2", WHY)),
    (
        UnsupportedRQ(0x0160, 12, requested_sop_class_uid=VERIFICATION),
        UnsupportedRSP(0x8160, 12, 0x0110, VERIFICATION, WHY),
    ),
]


@pytest.mark.parametrize(("request_", "response"), PAIRS)
def test_every_request_has_its_response(request_: Request, response: Response) -> None:
    """What the request calls requested the response calls affected (PS3.7 10.1)."""
    assert response_to(request_, 0x0110, WHY) == response
    assert response.command_field == request_.command_field | RESPONSE_BIT  # PS3.7 E.1
    assert encode_command(response, has_dataset=False)


def test_no_request_is_left_without_a_response() -> None:
    """The pairs above are all there are."""
    assert {type(request) for request, _ in PAIRS} == set(REQUEST_TYPES)
    assert {type(response) for _, response in PAIRS} == set(RESPONSE_TYPES)


def test_every_command_field_has_a_class() -> None:
    """Each Command Field of PS3.7 Table E.1-1 belongs to one class, and no class shares it."""
    kinds = {*typing.get_args(Message)} - {UnsupportedRQ, UnsupportedRSP}
    fields = [kind.command_field for kind in kinds]
    assert sorted(fields) == sorted(CommandField)


@pytest.mark.parametrize("vector", [*VECTORS, *NORMALIZED_VECTORS], ids=lambda one: one.name)
def test_messages_are_told_apart(vector: Vector) -> None:
    """A message is a request or a response by its class, a C-CANCEL-RQ neither."""
    message = vector.message
    assert is_request(message) is isinstance(message, typing.get_args(Request))
    assert is_response(message) is isinstance(message, typing.get_args(Response))
    is_either = is_request(message) or is_response(message)
    assert is_either is not isinstance(message, CCancelRQ)


@pytest.mark.parametrize(
    ("request_", "sop_class_uid", "sop_instance_uid"),
    [
        (CEchoRQ(1), VERIFICATION, ""),
        (CStoreRQ(1, "1.2", "1.3"), "1.2", "1.3"),
        (CFindRQ(1, "1.2"), "1.2", ""),
        (CGetRQ(1, "1.2"), "1.2", ""),
        (CMoveRQ(1, "1.2", "WEST"), "1.2", ""),
        (NEventReportRQ(1, "1.2", "1.3", 1), "1.2", "1.3"),
        (NGetRQ(1, "1.2", "1.3"), "1.2", "1.3"),
        (NSetRQ(1, "1.2", "1.3"), "1.2", "1.3"),
        (NActionRQ(1, "1.2", "1.3", 1), "1.2", "1.3"),
        (NCreateRQ(1, "1.2", "1.3"), "1.2", "1.3"),
        (NDeleteRQ(1, "1.2", "1.3"), "1.2", "1.3"),
        (UnsupportedRQ(0x0160, 1, "1.2", ""), "1.2", ""),
        (UnsupportedRQ(0x0160, 1, "", "1.2"), "1.2", ""),
    ],
)
def test_a_request_says_what_it_is_about(
    request_: Request, sop_class_uid: str, sop_instance_uid: str
) -> None:
    """Affected or requested: the class and the instance have one name for dispatch."""
    assert request_.sop_class_uid == sop_class_uid
    assert request_.sop_instance_uid == sop_instance_uid


def test_a_response_leaves_out_a_uid_that_is_none() -> None:
    """A peer's malformed UID does not keep us from answering it."""
    response = response_to(CStoreRQ(1, CT_IMAGE, 70 * "1"), 0x0106, "not a UID")
    assert response == CStoreRSP(1, 0x0106, CT_IMAGE, error_comment="not a UID")
    assert encode_command(response, has_dataset=False)
    echo = response_to(CEchoRQ(1, "../etc"), 0x0122)
    assert echo == CEchoRSP(1, 0x0122, "")
    assert encode_command(echo, has_dataset=False)


@pytest.mark.parametrize("kind", RESPONSE_TYPES)
def test_every_response_can_say_what_was_wrong(kind: type[Response]) -> None:
    """Error Comment, Offending Element and Error ID go with any status (PS3.7 Annex C)."""
    assert {"status", "error_comment", "offending_element", "error_id"} <= {
        field.name for field in attrs.fields(kind)
    }


def test_services_import_it_from_where_they_did() -> None:
    """The function has moved below the services' protocol; its old name stays."""
    assert service.response_to is response_to

"""What the two sides of a C-FIND agree on beforehand (PS3.4 C.5.1.1)."""

from __future__ import annotations

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.services import FindNegotiation, QueryRules, QueryScp, QueryScu
from pacs_sdk.storage import Query
from tests.services.find_helpers import asked

NEGOTIATED = [
    (FindNegotiation(fuzzy=True), {"PatientName": "Mueler"}, ["2.1"]),
    (FindNegotiation(), {"PatientName": "Mueler"}, []),
    (FindNegotiation(empty_values=True), {"AccessionNumber": '""'}, ["1.1", "1.2", "2.1"]),
    (FindNegotiation(), {"AccessionNumber": '""'}, []),
    (FindNegotiation(multiple_values=True), {"ModalitiesInStudy": ["CT", "MR"]}, []),
    (FindNegotiation(), {"ModalitiesInStudy": ["CT", "MR"]}, ["1.1", "1.2", "2.1"]),
]


@pytest.mark.parametrize(("negotiation", "keys", "found"), NEGOTIATED)
def test_what_is_negotiated_decides_what_matches(
    filled: Pacs, negotiation: FindNegotiation, keys: dict[str, object], found: list[str]
) -> None:
    """Each kind of matching holds where both sides agreed on it, and only there."""
    question = asked("STUDY", StudyInstanceUID="", **keys)
    matches = QueryScu().find(filled.peer, question, negotiation=negotiation).unwrap()
    assert [match["StudyInstanceUID"] for match in matches] == found


def test_what_the_peer_does_not_agree_to_is_an_error(filled: Pacs) -> None:
    """Matches that would mean something else are not fetched: the failure says what is lacking."""
    scp = QueryScp(filled.archive, "PLAIN", QueryRules(offered=FindNegotiation(relational=True)))
    query = Query.of("STUDY", PatientName="Mueler", fuzzy=True).unwrap()
    with DicomServer(ServerConfig(port=0), [scp]) as server:
        error = QueryScu().find(Peer("127.0.0.1", server.port, "PLAIN"), query).failure()
    assert error.code is ErrorCode.OPERATION_NOT_SUPPORTED
    assert error.details["lacking"] == ("fuzzy matching of names",)
    assert "PLAIN does not agree to fuzzy matching of names" in error.message


@pytest.mark.parametrize(
    ("negotiation", "information"),
    [
        (FindNegotiation(), b"\0"),
        (FindNegotiation(relational=True), b"\1"),
        (FindNegotiation(combined_datetime=True), b"\0\1\0"),
        (FindNegotiation(fuzzy=True), b"\0\0\1"),
        (FindNegotiation(timezone_adjustment=True), b"\0\0\0\1"),
        (FindNegotiation(enhanced_conversion=True), b"\0\0\0\0\1"),
        (FindNegotiation(empty_values=True), b"\0\0\0\0\0\1"),
        (FindNegotiation(relational=True, multiple_values=True), b"\1\0\0\0\0\0\1"),
    ],
)
def test_the_bytes_are_those_of_the_standard(
    negotiation: FindNegotiation, information: bytes
) -> None:
    """PS3.4 Table C.5-1: a byte a behaviour, in this order; what is not sent is not wanted."""
    assert negotiation.encode() == information
    assert FindNegotiation.decode(information) == negotiation
    assert FindNegotiation.decode(information + b"\0\0\0\0\0\0\0\1") == negotiation
    assert FindNegotiation.decode(b"\2\xff") == FindNegotiation()

"""Which keys a C-FIND needs, by information model and level (PS3.4 C.4.1.2, C.4.1.3)."""

from __future__ import annotations

import pytest

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.network.dimse import CFindRSP, Status
from pacs_sdk.services import FindNegotiation, InformationModel, QueryRules, QueryScp, QueryScu
from tests.services.find_helpers import (
    PATIENT_ROOT,
    PATIENT_STUDY_ONLY,
    STUDY_ROOT,
    asked,
    responses,
)

HIERARCHY = [
    (PATIENT_ROOT, "PATIENT", {"PatientID": ""}, None),
    (PATIENT_ROOT, "STUDY", {"PatientID": "P1", "StudyInstanceUID": ""}, None),
    (PATIENT_ROOT, "STUDY", {"StudyInstanceUID": "1.1"}, "PatientID"),
    (PATIENT_ROOT, "STUDY", {"PatientID": "P*"}, "PatientID"),
    (PATIENT_ROOT, "SERIES", {"PatientID": "P1"}, "StudyInstanceUID"),
    (PATIENT_ROOT, "SERIES", {"PatientID": "P1", "StudyInstanceUID": "1.1"}, None),
    (STUDY_ROOT, "STUDY", {"PatientName": "doe*"}, None),
    (STUDY_ROOT, "SERIES", {"StudyInstanceUID": "1.1"}, None),
    (STUDY_ROOT, "SERIES", {"StudyInstanceUID": ["1.1", "1.2"]}, "StudyInstanceUID"),
    (STUDY_ROOT, "SERIES", {"SeriesInstanceUID": "1.1.1"}, "StudyInstanceUID"),
    (STUDY_ROOT, "IMAGE", {"StudyInstanceUID": "1.1"}, "SeriesInstanceUID"),
    (STUDY_ROOT, "IMAGE", {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1"}, None),
    (STUDY_ROOT, "PATIENT", {"PatientID": ""}, "QueryRetrieveLevel"),
    (PATIENT_STUDY_ONLY, "PATIENT", {"PatientID": ""}, None),
    (PATIENT_STUDY_ONLY, "STUDY", {"PatientID": "P1"}, None),
    (PATIENT_STUDY_ONLY, "SERIES", {"PatientID": "P1", "StudyInstanceUID": "1.1"},
     "QueryRetrieveLevel"),
    (STUDY_ROOT, "ROOM", {}, "QueryRetrieveLevel"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "level", "keys", "offending"), HIERARCHY)
def test_a_hierarchical_search_names_what_is_above(
    filled: Pacs,
    model: InformationModel,
    level: str,
    keys: dict[str, object],
    offending: str | None,
) -> None:
    """A strict server wants one unique key of each level above, or else answers A900H."""
    scp = QueryScp(filled.archive, "STRICT", QueryRules(always_relational=False))
    with DicomServer(ServerConfig(port=0), [scp]) as server:
        strict = Peer("127.0.0.1", server.port)
        *_, (final, _) = responses(strict, asked(level, **keys), model)
    assert isinstance(final, CFindRSP)
    if offending is None:
        assert final.status == Status.SUCCESS
        return
    assert final.status == Status.DATA_SET_MISMATCH
    assert final.error_comment
    assert [DicomTag(tag).keyword for tag in final.offending_element] == [offending]


def test_relational_queries_are_agreed_on(filled: Pacs) -> None:
    """A strict server finds a series without its study once they are (PS3.4 C.4.1.2.2.2)."""
    relational = FindNegotiation(relational=True)
    question = asked("SERIES", Modality="MR", SeriesInstanceUID="")
    scp = QueryScp(filled.archive, "STRICT", QueryRules(always_relational=False))
    with DicomServer(ServerConfig(port=0), [scp]) as server:
        strict = Peer("127.0.0.1", server.port)
        (_, match), (final, _) = responses(strict, question, STUDY_ROOT, relational)
    assert final.status == Status.SUCCESS
    assert match is not None
    assert match["SeriesInstanceUID"] == "1.2.1"


def test_our_client_asks_for_relational_queries_where_it_needs_them(filled: Pacs) -> None:
    """A user who leaves the unique keys out need not know of negotiation."""
    found = QueryScu().find(filled.peer, asked("IMAGE", StudyInstanceUID="1.1")).unwrap()
    assert len(found) == 2
    with QueryScu().stream(filled.peer, asked("STUDY", StudyInstanceUID="")).unwrap() as studies:
        assert studies.negotiated == FindNegotiation()


def test_nobody_has_to_negotiate_relational_queries(filled: Pacs) -> None:
    """Many clients ask for a series by nothing but what they know of it."""
    answers = responses(filled.peer, asked("SERIES", Modality="MR", SeriesInstanceUID=""))
    assert len(answers) == 2

"""What ``explain`` says of a query: how it is understood, its SQL, the database's plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.storage import Explanation, IndexDatabase, MatchingOptions, Query
from tests.storage.entries import add, open_index


@pytest.fixture(scope="module")
def index(
    shared_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IndexDatabase]:
    """Hold a study."""
    opened = open_index(tmp_path_factory.mktemp("explain"))
    add(opened, PatientName="Secret^Name", StudyDate="20240101", Modality="CT")
    yield opened
    opened.close()


def explained(index: IndexDatabase, query: Query) -> Explanation:
    """Explain."""
    return index.explain(query).unwrap()


def test_each_key_is_told_with_its_kind_of_matching(index: IndexDatabase) -> None:
    """In the words of PS3.4 C.2.2.2, with order and page."""
    first = Query.of("SERIES", sort="-StudyDate", limit=1).unwrap()
    (match,) = index.find(first).unwrap()
    query = Query.of(
        "SERIES",
        PatientName="Secret",
        PatientID="x\\y",
        StudyDescription="",
        AccessionNumber='""',
        StudyDate="20240101-",
        StudyTime="10-",
        Modality="C*",
        ModalitiesInStudy="CT\\MR",
        RequestAttributesSequence={"ScheduledProcedureStepID": "Secret"},
        fuzzy=True,
        options=MatchingOptions(combined_datetime=True, empty_values=True, multiple_values=True),
        sort=("-StudyDate",),
        limit=10,
        offset=20,
        after=match.after,
    ).unwrap()
    assert explained(index, query).words == (
        "looks for entities of the SERIES level",
        "PatientName: fuzzy matching: words that begin or sound so",
        "PatientID: any of 2 values",
        "StudyDescription: universal matching",
        "AccessionNumber: empty value matching",
        "StudyDate: range matching of date and time together",
        "StudyTime: together with the date",
        "Modality: wild card matching",
        "ModalitiesInStudy: multiple value matching: all of them",
        (
            "RequestAttributesSequence.ScheduledProcedureStepID: single value matching, "
            "in one item with the others"
        ),
        "ordered by StudyDate, descending",
        "continues after a match",
        "leaves out the first 20",
        "gives 10 at most",
    )


def test_words_of_what_matches_everything(index: IndexDatabase) -> None:
    """Unknown keys, and alternatives of several kinds."""
    query = Query(Query.of("STUDY").unwrap().level, {0x00321070: "x", 0x00080060: "CT\\M*"})
    assert explained(index, query).words[1:] == (
        "RequestedContrastAgent: not in the index, matches everything",
        "Modality: single value matching or wild card matching",
    )


SECRETS: dict[str, Any] = {
    "PatientName": "Secret^Näme",
    "PatientID": "Secret's ID",
    "StudyDate": "19991231-20011231",
    "StudyDescription": "Secret*",
    "OtherPatientIDs": "Secret%",
    "PatientComments": "it's Secret",
}


@pytest.mark.parametrize("fuzzy", [False, True])
@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_no_value_of_a_key_is_in_an_explanation(
    index: IndexDatabase, level: str, fuzzy: bool
) -> None:
    """It can be shown to anyone, and written into a log."""
    query = Query.of(level, fuzzy=fuzzy, sort="PatientName", **SECRETS).unwrap()
    explanation = explained(index, query)
    for text in (str(explanation), repr(explanation), explanation._repr_html_()):
        folded = text.casefold()
        assert "secret" not in folded
        assert "1999" not in folded
        assert "2001" not in folded


def test_a_plan_that_looks_at_every_row_is_told(index: IndexDatabase, shared_database: str) -> None:
    """On SQLite, which has no statistics, small tables are no excuse."""
    everywhere = explained(index, Query.of("PATIENT", PatientComments="x").unwrap())
    assert everywhere.scans
    assert everywhere.plan
    looked_up = explained(index, Query.of("STUDY", AccessionNumber="x").unwrap())
    assert looked_up.scans == () or shared_database == "postgresql"


def test_an_explanation_shows_in_a_notebook(index: IndexDatabase) -> None:
    """Words, SQL and plan."""
    shown = explained(index, Query.of("STUDY", StudyDate="-20240101").unwrap())._repr_html_()
    assert "<li>StudyDate: range matching</li>" in shown
    assert "study_date &lt;=" in shown


def test_a_closed_index_explains_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nor does it count."""
    index = open_index(tmp_path_factory.mktemp("closed"))
    index.close()
    query = Query.of("STUDY").unwrap()
    assert index.explain(query).failure().code is ErrorCode.INDEX_FAILED
    assert index.count(query).failure().code is ErrorCode.INDEX_FAILED


def test_taking_values_apart_is_no_look_at_a_table(index: IndexDatabase) -> None:
    """Nor is it told as one, where a wild card is looked for in each of several values."""
    explanation = explained(index, Query.of("PATIENT", OtherPatientIDs="A*").unwrap())
    (scan,) = explanation.scans
    assert "patients" in scan

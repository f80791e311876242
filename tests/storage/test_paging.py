"""Order, limit, offset and page tokens, on both databases."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage import IndexDatabase, Match, Query, QueryLevel, SortKey
from pacs_sdk.storage.index.attributes import ATTRIBUTES, COMPUTED_ATTRIBUTES
from pacs_sdk.storage.query.paging import MAX_SORT_KEYS, Place
from tests.storage.entries import add, open_index, uids

MANY = 17
PAGE = 6


@pytest.fixture(scope="module")
def index(
    shared_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IndexDatabase]:
    """Hold studies with much in common: dates, names, numbers, and all of these absent."""
    opened = open_index(tmp_path_factory.mktemp("paging"))
    for number in range(MANY):
        study = f"1.{number}"
        for series in range(number % 3 + 1):
            add(
                opened,
                StudyInstanceUID=study,
                SeriesInstanceUID=f"{study}.{series}",
                SOPInstanceUID=f"{study}.{series}.1",
                PatientID=f"P{number // 2}",
                PatientName=("Ärzte", "aber", "Zorn", "", "bär")[number // 2 % 5],
                StudyDate="" if number % 7 == 0 else f"2024010{number % 5 + 1}",
                StudyTime=f"{number % 4 + 10}",
                PatientWeight=("70", "9.5", "", "+1e2", "100", "-0.5")[number % 6],
                Modality=("CT", "MR", "")[(number + series) % 3],
                SeriesNumber="" if number % 4 == 0 else str(12 - series),
            )
    yield opened
    opened.close()


def search(index: IndexDatabase, level: str, **keys: Any) -> list[Match]:
    """Search; return the matches."""
    return list(index.find(Query.of(level, **keys).unwrap()).unwrap())


def pages(index: IndexDatabase, level: str, **keys: Any) -> list[list[Match]]:
    """Search page by page, each after the one before."""
    found: list[list[Match]] = []
    after = ""
    while True:
        page = search(index, level, limit=PAGE, after=after, **keys)
        found.append(page)
        if len(page) < PAGE:
            return found
        after = page[-1].after


# -- order -----------------------------------------------------------------------------------------


def test_the_first_key_decides_and_then_the_next(index: IndexDatabase) -> None:
    """A minus sign puts the largest first; what has no value is the smallest."""
    found = search(index, "STUDY", sort=("-StudyDate", "StudyTime"))
    keys = [(match.get("StudyDate"), match.get("StudyTime")) for match in found]
    by_time = sorted(keys, key=lambda one: one[1])
    assert keys == sorted(by_time, key=lambda one: one[0], reverse=True)
    assert keys[-1][0] == ""


def test_what_is_equal_comes_in_the_order_of_arrival(index: IndexDatabase) -> None:
    """The order is stable, ascending and descending."""
    for sort in ("Modality", "StudyTime", "-StudyTime", "InstanceAvailability"):
        level = "SERIES" if sort == "Modality" else "STUDY"
        key = sort.removeprefix("-")
        groups: dict[str, list[str]] = {}
        for match in search(index, level, sort=sort):
            groups.setdefault(match.get(key), []).append(match.get("StudyInstanceUID"))
        for group in groups.values():
            assert group == sorted(group, key=lambda uid: int(uid.split(".")[1]))


def test_names_are_ordered_without_case_and_accents(index: IndexDatabase) -> None:
    """As a person looks for them, not by code points."""
    names = [match.get("PatientName") for match in search(index, "PATIENT", sort="PatientName")]
    assert list(dict.fromkeys(names)) == ["", "aber", "Ärzte", "bär", "Zorn"]


def test_numbers_are_ordered_as_numbers(index: IndexDatabase) -> None:
    """9 comes before 10 (as -10 after -9), and no number before all others."""
    numbers = [match.get("SeriesNumber") for match in search(index, "SERIES", sort="SeriesNumber")]
    assert list(dict.fromkeys(numbers)) == ["", "10", "11", "12"]
    turned = [match.get("SeriesNumber") for match in search(index, "SERIES", sort="-SeriesNumber")]
    assert turned == sorted(turned, key=lambda one: int(one or 0), reverse=True)


def test_decimals_are_ordered_as_numbers(index: IndexDatabase) -> None:
    """9.5 kg come before 70 and 100, however these are written, and nothing before all."""
    for sign, expected in (("", ["", "-0.5", "9.5", "70", "+1e2"]), ("-", ["+1e2"])):
        whole = search(index, "STUDY", sort=f"{sign}PatientWeight")
        paged = pages(index, "STUDY", sort=f"{sign}PatientWeight")
        assert [match for page in paged for match in page] == whole
        told = [one.get("PatientWeight") for one in whole]
        assert [one for one in dict.fromkeys(told) if one != "100"][: len(expected)] == expected


def test_a_token_of_a_decimal_has_a_number(index: IndexDatabase) -> None:
    """No text, no whole number and nothing infinite."""
    order = Query.of("STUDY", sort="PatientWeight").unwrap().order
    for value in ("70", 70, math.inf, math.nan):
        failed = Query.of("STUDY", sort="PatientWeight", after=packed(1, order, value, 1))
        assert failed.failure().code is ErrorCode.INVALID_ARGUMENT
    token = packed(1, order, 70.0, MANY * 9)
    found = search(index, "STUDY", sort="PatientWeight", after=token)
    assert {match.get("PatientWeight") for match in found} == {"+1e2", "100"}


def test_matches_are_ordered_by_what_is_worked_out(index: IndexDatabase) -> None:
    """By counts, by the first modality of a study, and by attributes of the levels above."""
    found = search(index, "STUDY", sort=("-NumberOfStudyRelatedSeries", "ModalitiesInStudy"))
    keys = [
        (-int(match.get("NumberOfStudyRelatedSeries")), match.get("ModalitiesInStudy")[:2])
        for match in found
    ]
    assert keys == sorted(keys)
    assert len({count for count, _ in keys}) == 3
    wanted = ["NumberOfStudyRelatedSeries", "NumberOfPatientRelatedStudies", "SeriesInstanceUID"]
    below = search(index, "SERIES", sort=wanted[:2], return_keys=wanted)
    counts = [[int(match.get(one)) for one in wanted[:2]] for match in below]
    assert counts == sorted(counts)


@pytest.mark.parametrize(
    ("level", "sort", "code"),
    [
        ("STUDY", "SeriesNumber", ErrorCode.INVALID_ARGUMENT),  # of a level below
        ("STUDY", "NumberOfSeriesRelatedInstances", ErrorCode.INVALID_ARGUMENT),
        ("STUDY", "RequestedContrastAgent", ErrorCode.INVALID_ARGUMENT),
        ("SERIES", "RequestAttributesSequence", ErrorCode.INVALID_ARGUMENT),
        ("STUDY", "NoSuchKeyword", ErrorCode.INVALID_TAG),
        ("STUDY", "-", ErrorCode.INVALID_TAG),
        ("STUDY", "", ErrorCode.INVALID_TAG),
    ],
)
def test_what_a_match_does_not_tell_orders_nothing(level: str, sort: str, code: ErrorCode) -> None:
    """It is refused in words."""
    assert Query.of(level, sort=sort).failure().code is code


def test_an_order_has_eight_keys_at_most(index: IndexDatabase) -> None:
    """The most are not too many for the database, not even where a page goes on."""
    most = SORTABLE[QueryLevel.IMAGE][: 2 * MAX_SORT_KEYS : 2]
    assert sum(map(len, pages(index, "IMAGE", sort=most))) == len(search(index, "IMAGE"))
    more = Query.of("IMAGE", sort=[*most, "Modality"])
    assert more.failure().code is ErrorCode.INVALID_ARGUMENT


def test_a_query_that_exists_is_a_good_one() -> None:
    """The constructor refuses what the functions refuse, by an exception."""
    unknown = (SortKey(0x00091001),)
    refused: list[dict[str, Any]] = [
        {"sort": unknown}, {"limit": -1}, {"offset": -1}, {"after": "x"},
    ]  # fmt: skip
    for parts in refused:
        with pytest.raises(PacsException) as caught:
            Query(QueryLevel.STUDY, **parts)
        assert caught.value.error.code is ErrorCode.INVALID_ARGUMENT


# -- limit and offset ------------------------------------------------------------------------------


def test_limit_and_offset_cut_a_page_out(index: IndexDatabase) -> None:
    """In any order, with and without the one or the other."""
    everything = uids(index, "STUDY")
    assert len(everything) == MANY
    assert uids(index, "STUDY", limit=PAGE) == everything[:PAGE]
    assert uids(index, "STUDY", limit=PAGE, offset=15) == everything[15:]
    assert uids(index, "STUDY", offset=15) == everything[15:]
    assert uids(index, "STUDY", offset=100, limit=2**63 - 1) == []
    assert uids(index, "STUDY", limit=0) == []
    backwards = uids(index, "STUDY", sort="-StudyDate")
    assert uids(index, "STUDY", sort="-StudyDate", offset=3, limit=5) == backwards[3:8]


@pytest.mark.parametrize(
    "page", [{"limit": -1}, {"offset": -1}, {"limit": 2**63}, {"offset": 2**63}]
)
def test_a_page_that_cannot_be_is_refused(page: dict[str, int]) -> None:
    """Neither a negative number nor one that no database takes."""
    assert Query.of(
        "STUDY", limit=page.get("limit"), offset=page.get("offset", 0)
    ).failure().code is (ErrorCode.INVALID_ARGUMENT)


def test_all_that_matches_is_counted(index: IndexDatabase) -> None:
    """Whatever page is wanted, at each level, with keys of other levels."""
    counted: list[tuple[str, dict[str, Any]]] = [
        ("PATIENT", {"Modality": "MR"}),
        ("STUDY", {"StudyDate": "20240102-", "PatientName": "a*"}),
        ("SERIES", {}),
        ("IMAGE", {"PatientName": "*r*"}),
    ]
    for level, keys in counted:
        matches = search(index, level, **keys)
        assert matches
        query = Query.of(level, limit=1, offset=1, sort="PatientID", **keys).unwrap()
        assert index.count(query).unwrap() == len(matches)
    assert index.count(Query.of("STUDY", PatientID="nobody").unwrap()).unwrap() == 0


# -- page tokens -----------------------------------------------------------------------------------

SORTABLE = {
    level: [
        *(one.keyword for one in ATTRIBUTES.values() if one.level.depth <= level.depth),
        *(one.keyword for one in COMPUTED_ATTRIBUTES.values() if one.level.depth <= level.depth),
    ]
    for level in QueryLevel
}


@pytest.mark.slow
@pytest.mark.parametrize("level", list(QueryLevel))
def test_pages_by_any_attribute_are_the_whole(index: IndexDatabase, level: QueryLevel) -> None:
    """Page after page gives what one search gives, for each attribute, up and down."""
    for place, keyword in enumerate(SORTABLE[level]):
        sort = f"-{keyword}" if place % 2 else keyword
        whole = search(index, level, sort=sort)
        paged = pages(index, level, sort=sort)
        assert [match for page in paged for match in page] == whole, sort


@pytest.mark.slow
@given(data=st.data())
def test_pages_in_any_order_are_the_whole(index: IndexDatabase, data: st.DataObject) -> None:
    """For any keys to order by, and whatever narrows the search."""
    level = data.draw(st.sampled_from(list(QueryLevel)))
    names = st.lists(st.sampled_from(SORTABLE[level]), max_size=3, unique=True)
    sort = [f"-{one}" if data.draw(st.booleans()) else one for one in data.draw(names)]
    keys = data.draw(
        st.sampled_from(
            [{}, {"PatientName": "*r*"}, {"PatientName": "*erz*"}, {"StudyDate": "20240102-20240104"},
             {"Modality": "CT"}, {"PatientID": "P1", "PatientName": "*ber"}]
        )
    )  # fmt: skip
    whole = search(index, level, sort=sort, **keys)
    paged = pages(index, level, sort=sort, **keys)
    assert [match for page in paged for match in page] == whole
    assert {match.get("StudyInstanceUID") for match in whole} == {
        match.get("StudyInstanceUID") for match in search(index, level, **keys)
    }


def test_pages_have_no_gaps_while_things_come_and_go(database: object, tmp_path: Path) -> None:
    """What is removed or added meanwhile shifts nothing, even where a page ended with it."""
    index = open_index(tmp_path)
    entries = [
        add(index, StudyInstanceUID=f"1.{number}", StudyDate=f"202401{number:02}")
        for number in range(10, 20)
    ]
    keys: dict[str, Any] = {"sort": "-StudyDate", "limit": 3}
    first = search(index, "STUDY", **keys)
    assert [match.get("StudyInstanceUID") for match in first] == ["1.19", "1.18", "1.17"]
    index.remove(entries[7].identity.sop_instance_uid).unwrap()  # of 1.17, the last of the page
    add(index, StudyInstanceUID="1.31", StudyDate="20240131")  # before the page
    second = search(index, "STUDY", after=first[-1].after, **keys)
    assert [match.get("StudyInstanceUID") for match in second] == ["1.16", "1.15", "1.14"]
    index.close()


def test_a_token_belongs_to_level_and_order(index: IndexDatabase) -> None:
    """With another it would begin anywhere, and is refused."""
    token = search(index, "STUDY", sort="StudyDate", limit=1)[0].after
    assert search(index, "STUDY", sort="StudyDate", after=token, PatientID="P3")
    for level, sort in (("STUDY", "-StudyDate"), ("STUDY", "StudyTime"), ("SERIES", "StudyDate")):
        assert Query.of(level, sort=sort, after=token).failure().code is ErrorCode.INVALID_ARGUMENT


def test_every_token_that_is_given_is_taken(database: object, tmp_path: Path) -> None:
    """Of the longest texts that the index keeps, and of characters that take most room in it."""
    index = open_index(tmp_path)
    texts = {
        "PatientComments": "\x01" * 10_240,
        "AdditionalPatientHistory": "\x02" * 10_240,
        **dict.fromkeys(
            ("EthnicGroup", "Occupation", "PatientAge", "StudyDescription"), "\x03" * 512
        ),
        **dict.fromkeys(("StudyID", "AccessionNumber"), "😀" * 512),
    }
    for number in range(3):
        add(index, StudyInstanceUID=f"1.{number}", SeriesInstanceUID=f"1.{number}.1", **texts)
    assert len(texts) == MAX_SORT_KEYS
    whole = search(index, "STUDY", sort=tuple(texts))
    paged = [
        match.get("StudyInstanceUID")
        for first in (whole[0], whole[1])
        for match in search(index, "STUDY", sort=tuple(texts), after=first.after, limit=1)
    ]
    assert paged == ["1.1", "1.2"]
    assert len(whole[0].after) > 16_384
    index.close()


def test_a_token_that_was_given_once_is_taken(index: IndexDatabase) -> None:
    """Its text was escaped to ASCII."""
    order = Query.of("STUDY", sort="PatientName").unwrap().order
    place = Place(order, ("bär", 3))
    assert base64.urlsafe_b64decode(place.token + "==") == f'[1,{order},"bär",3]'.encode()
    for token in (place.token, packed(1, order, "bär", 3)):
        assert Query.of("STUDY", sort="PatientName", after=token).unwrap().place == place


def packed(*values: object) -> str:
    """Make a token of other values."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


ORDER = Query.of("STUDY", sort=("StudyDate", "NumberOfStudyRelatedSeries")).unwrap().order


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "né",
        "=",
        "A" * 20_000,
        packed(1, 1, "x" * 200_000),
        packed(),
        packed(1, ORDER),
        packed(2, ORDER, "20240101", 1, 5),
        packed(1, ORDER, "20240101", 1, 5, 5),
        packed(1, ORDER, 20240101, 1, 5),
        packed(1, ORDER, "20240101", "1", 5),
        packed(1, ORDER, "20240101", True, 5),
        packed(1, ORDER, "20240101", 1.5, 5),
        packed(1, ORDER, "20240101", 2**63, 5),
        packed(1, ORDER, "2024\0", 1, 5),
        packed(1, ORDER, "\ud800", 1, 5),
        packed(1, ORDER, None, 1, 5),
        base64.urlsafe_b64encode(b"{}").decode(),
        base64.urlsafe_b64encode(b"[" * 9000).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    """Whatever comes from outside: a typed error, and no value of it in the words."""
    failed = Query.of("STUDY", sort=("StudyDate", "NumberOfStudyRelatedSeries"), after=token)
    assert failed.failure().code is ErrorCode.INVALID_ARGUMENT
    assert "20240101" not in failed.failure().message


def test_a_token_that_could_have_been_given_is_taken(index: IndexDatabase) -> None:
    """The tests above can fail: with values of the right kinds it is one."""
    token = packed(1, ORDER, "20240103", 0, 0)
    sort = ("StudyDate", "NumberOfStudyRelatedSeries")
    found = search(index, "STUDY", sort=sort, after=token)
    assert {match.get("StudyDate") for match in found} == {"20240103", "20240104", "20240105"}


@given(st.text(max_size=60))
def test_no_text_is_too_much(text: str) -> None:
    """Any text is a token or an error."""
    result = Query.of("STUDY", after=text)
    assert text == "" or isinstance(result, Failure)


def test_a_match_that_no_index_gave_has_no_token() -> None:
    """There is nothing to continue after."""
    assert Match(QueryLevel.STUDY, {}).after == ""

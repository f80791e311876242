"""Queries whose dates and times are of another timezone than the archive's (PS3.4 C.5.1.1)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.integration.config import PacsConfig, QueryConfig, StorageConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.services import FindNegotiation, QueryRules, QueryScp, QueryScu
from pacs_sdk.services.query.timezones import offset_minutes, shifted
from tests.services.conftest import made_instance

ADJUSTED = FindNegotiation(timezone_adjustment=True)
COMBINED = FindNegotiation(timezone_adjustment=True, combined_datetime=True)


@pytest.fixture(scope="module")
def paris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    """Run an archive at +0100: two studies of its own, and one that says it is of +0900."""
    config = PacsConfig(
        server=ServerConfig(port=0),
        storage=StorageConfig(data_dir=tmp_path_factory.mktemp("paris")),
        query=QueryConfig(utc_offset="+0100"),
    )
    with Pacs.configured(config) as pacs:
        for uid, date, time, offset in (
            ("1.1", "20250131", "2330", ""),  # 22:30 UTC
            ("1.2", "20250201", "103015.5", ""),  # 09:30:15.5 UTC
            ("1.3", "20250201", "0830", "+0900"),  # 23:30 UTC the day before
            ("1.4", "20250131", "", ""),  # who knows when
        ):
            zone: dict[str, Any] = {"TimezoneOffsetFromUTC": offset} if offset else {}
            pacs.archive.store(
                made_instance(
                    StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", PatientBirthDate="19700101",
                    StudyDate=date, StudyTime=time, SeriesDate=date, SeriesTime=time, **zone,
                )
            ).unwrap()  # fmt: skip
        yield pacs


def found(
    pacs: Pacs, offset: str, negotiation: FindNegotiation = ADJUSTED, **keys: object
) -> dict[str, tuple[str, str]]:
    """Ask for studies; return the date and time of each as the answer has them."""
    question = DicomDataset(
        None, QueryRetrieveLevel="STUDY", StudyInstanceUID="", TimezoneOffsetFromUTC=offset,
        **{"StudyDate": "", "StudyTime": "", **keys},
    )  # fmt: skip
    matches = QueryScu().find(pacs.peer, question, negotiation=negotiation).unwrap()
    return {
        str(one["StudyInstanceUID"]): (str(one["StudyDate"] or ""), str(one["StudyTime"] or ""))
        for one in matches
    }


def test_answers_are_of_the_timezone_that_was_asked_for(paris: Pacs) -> None:
    """What says its own timezone is moved from that, everything else from the archive's."""
    assert found(paris, "+0000") == {
        "1.1": ("20250131", "2230"),
        "1.2": ("20250201", "093015.5"),
        "1.3": ("20250131", "2330"),
        "1.4": ("20250131", ""),
    }
    assert found(paris, "+0530")["1.1"] == ("20250201", "0400")
    question = DicomDataset(
        QueryRetrieveLevel="SERIES", StudyInstanceUID="1.3", TimezoneOffsetFromUTC="-0500",
        SeriesDate="", SeriesTime="", PatientBirthDate="",
    )  # fmt: skip
    (match,) = QueryScu().find(paris.peer, question, negotiation=ADJUSTED).unwrap()
    assert (match["SeriesDate"], match["SeriesTime"]) == ("20250131", "1830")
    assert match["TimezoneOffsetFromUTC"] == "-0500"
    assert match["PatientBirthDate"] == "19700101"


MATCHING = [
    ("+0000", ADJUSTED, {"StudyDate": "20250131"}, ["1.1", "1.3", "1.4"]),
    ("+0100", ADJUSTED, {"StudyDate": "20250131"}, ["1.1", "1.4"]),
    ("+0900", ADJUSTED, {"StudyDate": "20250131"}, ["1.4"]),
    ("+0900", ADJUSTED, {"StudyDate": "20250201-"}, ["1.1", "1.2", "1.3"]),
    ("-1200", ADJUSTED, {"StudyDate": "-20250131"}, ["1.1", "1.2", "1.3", "1.4"]),
    ("+0000", ADJUSTED, {"StudyTime": "22-2330"}, ["1.1", "1.3"]),
    ("+0100", ADJUSTED, {"StudyTime": "22-2330"}, ["1.1"]),
    ("+0000", ADJUSTED, {"StudyDate": "20250201", "StudyTime": "0900-1000"}, ["1.2"]),
    ("+0000", COMBINED, {"StudyDate": "20250131-20250201", "StudyTime": "2300-0900"}, ["1.3", "1.4"]),
    ("+0000", COMBINED, {"StudyDate": "20250131-20250201", "StudyTime": "2200-1000"},
     ["1.1", "1.2", "1.3", "1.4"]),
    ("+0000", COMBINED, {"StudyDate": "20250131-", "StudyTime": "2300-"}, ["1.2", "1.3", "1.4"]),
    ("+0000", ADJUSTED, {"StudyDate": ["20250131", "20250301"]}, ["1.1", "1.3", "1.4"]),
    ("+0900", FindNegotiation(), {"StudyDate": "20250131"}, ["1.1", "1.4"]),
    ("", ADJUSTED, {"StudyDate": "20250131"}, ["1.1", "1.4"]),
]  # fmt: skip


@pytest.mark.parametrize(("offset", "negotiation", "keys", "expected"), MATCHING)
def test_keys_are_of_the_timezone_that_is_named(
    paris: Pacs,
    offset: str,
    negotiation: FindNegotiation,
    keys: dict[str, object],
    expected: list[str],
) -> None:
    """Days and hours are those of the client; without negotiation the attribute means nothing.

    A date that has no time stays where it is, and counts with all of its day.
    """
    assert sorted(found(paris, offset, negotiation, **keys)) == expected


@pytest.mark.parametrize(
    ("level", "keys", "words"),
    [
        ("STUDY", {"TimezoneOffsetFromUTC": "Paris"}, "write for instance +0100"),
        ("STUDY", {"TimezoneOffsetFromUTC": "+1500"}, "write for instance +0100"),
        ("PATIENT", {"TimezoneOffsetFromUTC": "+0100", "StudyDate": "20250131"}, "StudyDate"),
    ],
)
def test_what_cannot_be_adjusted_is_refused(
    paris: Pacs, level: str, keys: dict[str, object], words: str
) -> None:
    """No such timezone, and dates of what is below the level, are A900H."""
    question = DicomDataset(None, QueryRetrieveLevel=level, PatientID="P1", **keys)
    wish = FindNegotiation(timezone_adjustment=True, relational=True)
    error = QueryScu().find(paris.peer, question, negotiation=wish).failure()
    assert error.details["status"] == 0xA900
    assert words in error.message


def test_an_archive_without_a_timezone_does_not_agree(paris: Pacs) -> None:
    """Nobody is promised what cannot be done."""
    with DicomServer(ServerConfig(port=0), [QueryScp(paris.archive, "UTC")]) as server:
        question = DicomDataset(QueryRetrieveLevel="STUDY", TimezoneOffsetFromUTC="+0100")
        peer = Peer("127.0.0.1", server.port)
        error = QueryScu().find(peer, question, negotiation=ADJUSTED).failure()
    assert error.code is ErrorCode.OPERATION_NOT_SUPPORTED
    assert error.details["lacking"] == ("timezone query adjustment",)


def test_a_timezone_that_is_none_is_a_configuration_error() -> None:
    """The setting is named."""
    with pytest.raises(PacsException, match="utc_offset is 'CET'"):
        QueryRules(utc_offset="CET")
    error = PacsConfig.from_dict({"query": {"utc_offset": "1"}}).failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("+0000", 0), ("-0330", -210), ("+1400", 840), ("-1200", -720), (" +0545 ", 345),
     ("+1401", None), ("-1201", None), ("0100", None), ("+01:00", None), ("+0160", None)],
)  # fmt: skip
def test_offsets_are_read(text: str, minutes: int | None) -> None:
    """PS3.3 C.12.1.1.8: a sign, hours and minutes, from -1200 to +1400."""
    assert offset_minutes(text) == minutes


@pytest.mark.parametrize(
    ("date", "time", "minutes", "expected"),
    [
        ("20250101", "00", -60, ("20241231", "23")),
        ("20250101", "00", 90, ("20250101", "0130")),
        ("20250101", "235960.5", 1, ("20250102", "000060.5")),
        ("20250101", "", 60, ("20250101", "")),
        ("", "10", 60, ("", "10")),
        ("20250231", "10", 60, ("20250231", "10")),
        ("00010101", "00", -60, ("00010101", "00")),
        ("99991231", "23", 60, ("99991231", "23")),
    ],
)
def test_what_is_moved_and_what_is_not(
    date: str, time: str, minutes: int, expected: tuple[str, str]
) -> None:
    """Precision is kept; without a time, or where there is no such day, nothing moves."""
    assert shifted(date, time, minutes) == expected


@given(
    moment=st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)),  # noqa: DTZ001
    minutes=st.integers(-1560, 1560),
)
def test_moving_there_and_back_changes_nothing(moment: dt.datetime, minutes: int) -> None:
    """For any moment and any two timezones."""
    date, time = f"{moment:%Y%m%d}", f"{moment:%H%M%S.%f}"
    assert shifted(*shifted(date, time, minutes), -minutes) == (date, time)


def test_a_day_at_the_end_of_time_is_found_all_the_same(paris: Pacs) -> None:
    """Where the days around cannot be told, all are looked through."""
    assert found(paris, "+0000", StudyDate="-99991231") == found(paris, "+0000")

"""Matching as PS3.4 C.2.2.2 has it, from the key to what the database finds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacs_sdk.storage import IndexDatabase
from tests.storage.entries import CT, MR, add, open_index, uids

# Studies 1 to 6, told apart by the last component of their UIDs. Where nothing is said,
# the attribute is absent.
STUDIES: list[dict[str, str | int | bytes]] = [
    {
        "StudyInstanceUID": "1.1",
        "SeriesInstanceUID": "1.1.1",
        "SOPInstanceUID": "1.1.1.1",
        "PatientID": "P1",
        "PatientName": "Doe^John",
        "PatientBirthDate": "19700101",
        "PatientSex": "M",
        "StudyDate": "20240101",
        "StudyTime": "10",
        "AccessionNumber": "A_1",
        "StudyDescription": "Head",
        "ReferringPhysicianName": "House^Gregory",
        "Modality": "CT",
        "SeriesNumber": "1",
        "InstanceNumber": "1",
        "Rows": 512,
    },
    {
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.1",
        "SOPInstanceUID": "1.2.1.1",
        "PatientID": "P1",
        "IssuerOfPatientID": "OTHER",
        "PatientName": "DOE^JANE^^^",
        "StudyDate": "20240115",
        "StudyTime": "100000.000",
        "AccessionNumber": "A%1",
        "StudyDescription": "head 100%",
        "Modality": "CT",
        "SeriesNumber": "002",
        "InstanceNumber": "2",
        "Rows": 256,
    },
    {
        "StudyInstanceUID": "1.3",
        "SeriesInstanceUID": "1.3.1",
        "SOPInstanceUID": "1.3.1.1",
        "PatientID": "P3",
        "PatientName": "Müller^Jörg",
        "StudyDate": "20240131",
        "StudyTime": "103015.5",
        "AccessionNumber": "AX1",
        "StudyDescription": "he?d*[x]/\\",
        "Modality": "MR",
        "SOPClassUID": MR,
        "SeriesNumber": "3",
    },
    {
        "StudyInstanceUID": "1.4",
        "SeriesInstanceUID": "1.4.1",
        "SOPInstanceUID": "1.4.1.1",
        "PatientID": "P4",
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "StudyDate": "20240201",
        "StudyTime": "235959",
        "Modality": "PT",
    },
    {
        "StudyInstanceUID": "1.5",
        "SeriesInstanceUID": "1.5.1",
        "SOPInstanceUID": "1.5.1.1",
        "PatientID": "",
        "StudyDate": "not a date",
        "StudyTime": "noon",
    },
    {
        "StudyInstanceUID": "1.6",
        "SeriesInstanceUID": "1.6.1",
        "SOPInstanceUID": "1.6.1.1",
        "PatientID": "P6",
        "PatientName": "Doe",
        "Modality": "CT",
    },
]

ALL = "123456"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexDatabase]:
    """Hold the studies; study 6 has a second series, an MR, with one instance."""
    opened = open_index(tmp_path_factory.mktemp("index"))
    for study in STUDIES:
        add(opened, **study)
    second = {"SeriesInstanceUID": "1.6.2", "SOPInstanceUID": "1.6.2.1", "SOPClassUID": MR}
    add(opened, **STUDIES[5] | second | {"Modality": "MR"})
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def growing_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexDatabase]:
    """Take the studies that hypothesis makes up."""
    opened = open_index(tmp_path_factory.mktemp("growing"))
    yield opened
    opened.close()


def studies(index: IndexDatabase, **keys: object) -> str:
    """Search for studies; return their numbers."""
    return "".join(uid.rpartition(".")[2] for uid in uids(index, "STUDY", **keys))


RULES = [
    # -- single value matching (C.2.2.2.1)
    ("one value", {"StudyDescription": "Head"}, "1"),
    ("case counts", {"StudyDescription": "head"}, ""),
    ("spaces around don't count", {"AccessionNumber": " AX1 "}, "3"),
    ("a key is no substring", {"StudyDescription": "Hea"}, ""),
    ("an absent attribute has no value", {"StudyDescription": "x"}, ""),
    ("CS", {"PatientSex": "M"}, "1"),
    ("names: case doesn't count", {"PatientName": "doe^john"}, "1"),
    ("names: nor beyond ASCII", {"PatientName": "MÜLLER^JÖRG"}, "3"),
    ("names: nor composition", {"PatientName": "Mu\u0308ller^Jo\u0308rg"}, "3"),
    ("names: nor delimiters at the end of what is stored", {"PatientName": "Doe^Jane"}, "2"),
    ("names: nor at the end of the key", {"PatientName": "Doe^John^^"}, "1"),
    ("names: as a whole", {"PatientName": "Doe"}, "6"),
    ("names: the alphabetic group", {"PatientName": "Yamada^Tarou"}, "4"),
    ("names: the ideographic group", {"PatientName": "山田^太郎"}, "4"),
    ("names: the phonetic group", {"PatientName": "やまだ^たろう"}, "4"),
    ("names: several groups", {"PatientName": "yamada^tarou=山田^太郎"}, "4"),
    ("names: several groups, one wrong", {"PatientName": "yamada^tarou=田中"}, ""),
    ("names: one group by its place", {"PatientName": "=山田^太郎"}, "4"),
    ("names: not in another's place", {"PatientName": "=yamada^tarou"}, ""),
    ("names: the referring physician's too", {"ReferringPhysicianName": "HOUSE^*"}, "1"),
    ("a date", {"StudyDate": "20240101"}, "1"),
    ("a date as ACR-NEMA wrote it", {"StudyDate": "2024.01.01"}, "1"),
    ("a date of the patient", {"PatientBirthDate": "19700101"}, "1"),
    ("a time is a moment: 10", {"StudyTime": "10"}, "12"),
    ("a time is a moment: 1000", {"StudyTime": "1000"}, "12"),
    ("a time is a moment: 10:00:00.0", {"StudyTime": "10:00:00.0"}, "12"),
    ("a time with a fraction", {"StudyTime": "103015.500"}, "3"),
    ("a time that is less precise is another", {"StudyTime": "1030"}, ""),
    # -- list of UID matching (C.2.2.2.2)
    ("one UID", {"StudyInstanceUID": "1.3"}, "3"),
    ("a list of UIDs", {"StudyInstanceUID": "1.3\\1.1\\9.9"}, "13"),
    ("a list in Python", {"StudyInstanceUID": ["1.3", "1.1"]}, "13"),
    ("no wildcard in UIDs: the star is a character", {"StudyInstanceUID": "1.*"}, ""),
    ("a lone star is no universal match for UIDs", {"StudyInstanceUID": "*"}, ""),
    # -- universal matching (C.2.2.2.3)
    ("nothing asked", {}, ALL),
    ("an empty key", {"StudyDescription": ""}, ALL),
    ("a space", {"StudyDescription": " "}, ALL),
    ("an empty UID", {"StudyInstanceUID": ""}, ALL),
    ("an empty date", {"StudyDate": ""}, ALL),
    ("a star alone finds what is empty, too", {"StudyDescription": "*"}, ALL),
    ("a star alone for a name", {"PatientName": "*"}, ALL),
    # -- wild card matching (C.2.2.2.4)
    ("star at the end", {"StudyDescription": "He*"}, "1"),
    ("star at the beginning", {"StudyDescription": "*ad"}, "1"),
    ("star on both sides", {"StudyDescription": "*ea*"}, "12"),
    ("star in the middle", {"StudyDescription": "H*d"}, "1"),
    ("star for nothing", {"StudyDescription": "Head*"}, "1"),
    ("question mark for one", {"StudyDescription": "H?ad"}, "1"),
    ("question mark not for none", {"StudyDescription": "Head?"}, ""),
    ("question mark for one beyond ASCII", {"PatientName": "M?ller^J?rg"}, "3"),
    ("question mark and star", {"StudyDescription": "?ea*"}, "12"),
    ("question mark not for what is empty", {"StudyDescription": "?*"}, "123"),
    ("case counts with wildcards, too", {"StudyDescription": "h*"}, "23"),
    ("an underscore is a character", {"AccessionNumber": "A_*"}, "1"),
    ("a per cent sign is a character", {"AccessionNumber": "A%*"}, "2"),
    ("a per cent sign at the end", {"StudyDescription": "*100%"}, "2"),
    ("brackets and slashes are characters", {"StudyDescription": "*[x]/*"}, "3"),
    ("names: wildcards", {"PatientName": "doe*"}, "126"),
    ("names: wildcards by component", {"PatientName": "doe^j*"}, "12"),
    ("names: in any group", {"PatientName": "山*"}, "4"),
    ("names: group by group", {"PatientName": "Y*=山*=や*"}, "4"),
    ("names: a star leaves a group open", {"PatientName": "*=山*"}, "4"),
    ("CS", {"PatientSex": "?"}, "1"),
    # -- range matching (C.2.2.2.5)
    ("dates: from to, ends included", {"StudyDate": "20240101-20240131"}, "123"),
    ("dates: up to", {"StudyDate": "-20240115"}, "12"),
    ("dates: from", {"StudyDate": "20240131-"}, "34"),
    ("dates: one day", {"StudyDate": "20240115-20240115"}, "2"),
    ("dates: between two", {"StudyDate": "20240102-20240114"}, ""),
    ("dates: a day that doesn't exist is a limit all the same", {"StudyDate": "-20240231"}, "1234"),
    ("dates: what is no date is in no range", {"StudyDate": "00010101-"}, "1234"),
    ("times: from to, ends included", {"StudyTime": "1000-1030"}, "123"),
    ("times: an end covers what it doesn't say", {"StudyTime": "1030-1030"}, "3"),
    ("times: an end says seconds", {"StudyTime": "1000-103014"}, "12"),
    ("times: up to", {"StudyTime": "-10"}, "123"),
    ("times: from", {"StudyTime": "103015.5-"}, "34"),
    ("times: the last second of the day", {"StudyTime": "235959-"}, "4"),
    ("times: what is no time is in no range", {"StudyTime": "00-"}, "1234"),
    # -- several keys, several values
    ("keys are all to be met", {"PatientName": "doe*", "StudyDescription": "*100*"}, "2"),
    ("one of several values", {"AccessionNumber": "AX1\\A_1"}, "13"),
    ("one of several values, with wildcards", {"StudyDescription": "Head\\*100*"}, "12"),
    ("one of several dates", {"StudyDate": "20240101\\20240131-"}, "134"),
    # -- levels
    ("a key of the level above", {"PatientID": "P1"}, "12"),
    ("the issuer tells patients apart", {"PatientID": "P1", "IssuerOfPatientID": "OTHER"}, "2"),
    ("a key of the level below: some series has it", {"Modality": "CT"}, "126"),
    ("two levels below", {"Rows": "256"}, "2"),
    ("what is below has all keys itself", {"Modality": "MR", "SeriesInstanceUID": "1.6.1"}, ""),
    ("numbers, however written", {"SeriesNumber": "0002"}, "2"),
    ("numbers, however stored", {"SeriesNumber": "2"}, "2"),
    # -- attributes of what is in a study
    ("Modalities in Study", {"ModalitiesInStudy": "CT"}, "126"),
    ("Modalities in Study: any of several series", {"ModalitiesInStudy": "MR"}, "36"),
    ("Modalities in Study: one of", {"ModalitiesInStudy": "MR\\PT"}, "346"),
    ("Modalities in Study: wildcards", {"ModalitiesInStudy": "?T"}, "1246"),
    ("Modalities in Study with a key of a series", {"ModalitiesInStudy": "MR", "Modality": "CT"}, "6"),
    ("SOP Classes in Study", {"SOPClassesInStudy": MR}, "36"),
    ("SOP Classes in Study: one of", {"SOPClassesInStudy": f"{MR}\\{CT}"}, ALL),
]  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "found"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES]
)
def test_studies_are_matched_by_rule(
    index: IndexDatabase, keys: dict[str, object], found: str
) -> None:
    """Each rule finds the studies it should, and no others."""
    assert studies(index, **keys) == found


LEVELS = [
    ("PATIENT", {"PatientName": "doe*"}, ["P1", "P1", "P6"]),
    ("PATIENT", {"StudyInstanceUID": "1.3"}, ["P3"]),
    ("PATIENT", {"Modality": "MR"}, ["P3", "P6"]),
    ("PATIENT", {"ModalitiesInStudy": "MR"}, ["P3", "P6"]),
    ("PATIENT", {"StudyDate": "20240131-", "Modality": "MR"}, ["P3"]),
    ("SERIES", {"StudyInstanceUID": "1.6"}, ["1.6.1", "1.6.2"]),
    ("SERIES", {"StudyInstanceUID": "1.6", "Modality": "MR"}, ["1.6.2"]),
    ("SERIES", {"PatientID": "P1"}, ["1.1.1", "1.2.1"]),
    ("SERIES", {"PatientName": "doe^j*", "StudyDate": "20240115-"}, ["1.2.1"]),
    ("SERIES", {"ModalitiesInStudy": "MR", "PatientID": "P6"}, ["1.6.1", "1.6.2"]),
    ("SERIES", {"SOPInstanceUID": "1.6.2.1"}, ["1.6.2"]),
    ("IMAGE", {"SeriesInstanceUID": "1.6.2"}, ["1.6.2.1"]),
    ("IMAGE", {"StudyInstanceUID": "1.6"}, ["1.6.1.1", "1.6.2.1"]),
    ("IMAGE", {"StudyInstanceUID": "1.6", "SOPClassUID": MR}, ["1.6.2.1"]),
    ("IMAGE", {"PatientID": "P1", "InstanceNumber": "02"}, ["1.2.1.1"]),
    ("IMAGE", {"StudyInstanceUID": "1.6", "SeriesInstanceUID": "1.1.1"}, []),
    ("IMAGE", {"SOPInstanceUID": ["1.1.1.1", "1.3.1.1", "9"]}, ["1.1.1.1", "1.3.1.1"]),
    ("IMAGE", {"ModalitiesInStudy": "MR", "Modality": "CT"}, ["1.6.1.1"]),
    ("IMAGE", {"SOPClassesInStudy": MR, "PatientID": "P6"}, ["1.6.1.1", "1.6.2.1"]),
]


@pytest.mark.parametrize(("level", "keys", "found"), LEVELS)
def test_keys_of_all_levels_are_honoured_at_each(
    index: IndexDatabase, level: str, keys: dict[str, object], found: list[str]
) -> None:
    """A key of a level above or below restricts what is found at the level asked for."""
    assert uids(index, level, **keys) == found


def test_a_long_list_of_uids_is_searched(index: IndexDatabase) -> None:
    """Thousands of UIDs, as in a retrieval of selected images, are one query."""
    listed = [f"5.{number}" for number in range(9_999)] + ["1.3.1.1"]
    assert uids(index, "IMAGE", SOPInstanceUID=listed) == ["1.3.1.1"]


def test_many_alternatives_are_searched(index: IndexDatabase) -> None:
    """The most patterns that a key may have are not too many for the database."""
    patterns = "\\".join([*(f"x{number}*" for number in range(99)), "He*"])
    assert (
        studies(index, StudyDescription=patterns, PatientName=patterns.replace("He", "Do")) == "1"
    )


# -- wildcards against a reference -----------------------------------------------------------------

ALPHABET = "aAbB%_/[]^\\-!~é*? .'\""
STORED = st.text(st.sampled_from(ALPHABET.replace("\\", "")), max_size=6)
PATTERN = st.text(st.sampled_from(ALPHABET.replace("\\", "") + "**??"), max_size=6)


def matches_by_reference(pattern: str, text: str) -> bool:
    """Say by PS3.4 C.2.2.2.4, and nothing else, whether a text matches."""
    pattern, text = pattern.strip(" "), text.strip(" ")
    if not pattern:
        return True
    parts = [".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern]
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


_studies = itertools.count(100)


@given(text=STORED, pattern=PATTERN)
@example(text="a%b", pattern="a%*")
@example(text="aaab", pattern="*a%b")
@example(text="a_b", pattern="a_?")
@example(text="aaab", pattern="*a_b")
@example(text="ab", pattern="*a/b")
@example(text="a/%b", pattern="*/%b")
@example(text="[ab]", pattern="[a*")
@example(text="aé", pattern="a?")
@example(text="", pattern="*")
@example(text="ab", pattern="AB*")
def test_wildcards_match_as_the_standard_says(
    growing_index: IndexDatabase, text: str, pattern: str
) -> None:
    """For any text and pattern the database agrees with a reference in Python."""
    number = next(_studies)
    study = f"7.{number}"
    add(
        growing_index,
        StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1",
        StudyDescription=text,
        PatientID=f"H{number}",
    )
    expected = [study] if matches_by_reference(pattern, text) else []
    assert (
        uids(growing_index, "STUDY", StudyInstanceUID=study, StudyDescription=pattern) == expected
    )

"""Matching as PS3.4 C.2.2.2 has it, from the key to what the database finds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacs_sdk.storage import IndexDatabase, MatchingOptions
from tests.storage.entries import add, find, open_index, uids
from tests.storage.matching_rules import LEVELS, OPTIONS, RULES, SECOND_SERIES, STUDIES


@pytest.fixture(scope="module")
def index(
    shared_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IndexDatabase]:
    """Hold the studies."""
    opened = open_index(tmp_path_factory.mktemp("index"))
    for study in STUDIES:
        add(opened, **study)
    add(opened, **SECOND_SERIES)
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


@pytest.mark.parametrize(
    ("keys", "found"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES]
)
def test_studies_are_matched_by_rule(
    index: IndexDatabase, keys: dict[str, object], found: str
) -> None:
    """Each rule finds the studies it should, and no others."""
    assert studies(index, **keys) == found


@pytest.mark.parametrize(
    ("options", "keys", "found"), [rule[1:] for rule in OPTIONS], ids=[rule[0] for rule in OPTIONS]
)
def test_studies_are_matched_by_what_was_negotiated(
    index: IndexDatabase, options: dict[str, bool], keys: dict[str, object], found: str
) -> None:
    """Each kind of matching that has to be asked for finds what it should, and no more."""
    assert studies(index, options=MatchingOptions(**options), **keys) == found


def test_a_match_tells_the_items_that_match(index: IndexDatabase) -> None:
    """A sequence of matching items comes back, with what was asked for (C.2.2.2.6)."""
    (match,) = find(index, "SERIES", **{"RequestAttributesSequence.ScheduledProcedureStepID": "S2"})
    (found,) = match.dataset()["RequestAttributesSequence"]
    assert found["RequestedProcedureID"] == "R2"
    (match,) = find(index, "SERIES", SeriesInstanceUID="1.3.1")
    first, second = match.dataset()["RequestAttributesSequence"]
    assert first["RequestedProcedureDescription"] == "Schädel"
    assert [one["ScheduledProcedureStepID"] for one in (first, second)] == ["S1", "S2"]
    (image,) = find(
        index, "IMAGE", SOPInstanceUID="1.3.1.1",
        **{"RequestAttributesSequence.RequestedProcedureID": "R1"},
    )  # fmt: skip
    assert len(image.items[0x00400275]) == 1
    (study,) = find(index, "STUDY", **{"RequestAttributesSequence.RequestedProcedureID": "R1"})
    assert study.items == {}
    assert study.values[0x00400275] == ""


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


HEAVY: dict[str, dict[str, str]] = {
    "letters": {"PatientName": "*a?b{0}*"},
    "open components": {"PatientName": "*{0}?^*^^*^^*"},
    "of several names": {"OperatorsName": "*{0}?^*^^*^^*"},
}


@pytest.mark.parametrize("keys", HEAVY.values(), ids=HEAVY)
@pytest.mark.slow
def test_the_most_alternatives_of_names_are_searched(
    index: IndexDatabase, keys: dict[str, str]
) -> None:
    """However much each asks, a hundred are not too deep for the database."""
    many = {name: [text.format(one) for one in range(100)] for name, text in keys.items()}
    assert studies(index, **many) == ""


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


def add_study(index: IndexDatabase, **elements: str) -> str:
    """Add a study of another patient; return its UID."""
    number = next(_studies)
    study = f"7.{number}"
    add(
        index,
        StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1",
        PatientID=f"H{number}",
        **elements,
    )
    return study


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
@example(text="a\U0010ffff\U0010ffff", pattern="a\U0010ffff*")
@example(text="b", pattern="a\U0010ffff*")
@example(text="\U0010ffffa", pattern="\U0010ffff*")
@example(text="a\ud7ffb", pattern="a\ud7ff*")
@example(text="a\ue000", pattern="a\ud7ff*")
@example(text="a\x7fb", pattern="a\x7f*")
@example(text="a\x80", pattern="a\x7f*")
def test_wildcards_match_as_the_standard_says(
    growing_index: IndexDatabase, text: str, pattern: str
) -> None:
    """For any text and pattern the database agrees with a reference in Python."""
    study = add_study(growing_index, StudyDescription=text)
    expected = [study] if matches_by_reference(pattern, text) else []
    assert (
        uids(growing_index, "STUDY", StudyInstanceUID=study, StudyDescription=pattern) == expected
    )


@given(texts=st.lists(STORED.filter(str.strip), min_size=1, max_size=4), pattern=PATTERN)
@example(texts=["AX", "YB"], pattern="A*B")
@example(texts=["A", "B"], pattern="A?B")
@example(texts=['a"', '"b', "'"], pattern='?"')
@example(texts=['"', "[", "]"], pattern='"?')
def test_wildcards_match_one_of_several_values(
    growing_index: IndexDatabase, texts: list[str], pattern: str
) -> None:
    """A value by itself has to match, whatever stands in it and in the others."""
    study = add_study(growing_index, AdmittingDiagnosesDescription="\\".join(texts))
    expected = [study] if any(matches_by_reference(pattern, one) for one in texts) else []
    keys = {"StudyInstanceUID": study, "AdmittingDiagnosesDescription": pattern}
    assert uids(growing_index, "STUDY", **keys) == expected

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage.index.attributes import ATTRIBUTES
from pacs_sdk.storage.index.values import MAX_TEXT_CHARACTERS
from pacs_sdk.storage.query.keys import (
    MAX_ALTERNATIVES,
    MAX_FUZZY_WORDS,
    MAX_LISTED_UIDS,
    parse_key,
)
from pacs_sdk.storage.query.matchers import (
    AllOf,
    Empty,
    Exact,
    FuzzyName,
    Matcher,
    MatchingOptions,
    MomentRange,
    Range,
    Wildcard,
)
from pacs_sdk.storage.query.temporal_keys import parse_moments, time_bounds


def parsed(keyword: str, text: str) -> tuple[Matcher, ...]:
    """Parse a key."""
    return parse_key(ATTRIBUTES[int(DicomTag.of(keyword))], text)


@pytest.mark.parametrize(
    ("keyword", "text", "matchers"),
    [
        # universal (C.2.2.2.3)
        ("StudyDescription", "", ()),
        ("StudyDescription", "  ", ()),
        ("StudyDescription", "*", ()),
        ("StudyDescription", "***", ()),
        ("StudyDescription", "head\\*", ()),
        ("PatientComments", "*", ()),
        ("PatientName", "*", ()),
        # single value (C.2.2.2.1)
        ("StudyDescription", " Head ", (Exact(("Head",)),)),
        ("SeriesNumber", "007", (Exact((7,)),)),
        ("SeriesNumber", "-7", (Exact((-7,)),)),
        ("PatientWeight", "70.0\\+80", (Exact(("70", "80")),)),
        ("PatientWeight", "7?", (Wildcard("7?"),)),
        ("PatientComments", " a\\b ", (Exact((" a\\b",)),)),  # a text (PS3.5 6.2, LT)
        ("PatientComments", "a\\*", (Wildcard("a\\*"),)),
        # list of UID (C.2.2.2.2)
        ("StudyInstanceUID", "1.2", (Exact(("1.2",)),)),
        ("StudyInstanceUID", "1.2\\1.3\0", (Exact(("1.2", "1.3")),)),
        ("StudyInstanceUID", "1.2\0\\1.3\0", (Exact(("1.2", "1.3")),)),
        ("StudyInstanceUID", "1.2\\1.2", (Exact(("1.2",)),)),
        ("StudyInstanceUID", "*", (Exact(("*",)),)),
        # wild card (C.2.2.2.4)
        ("StudyDescription", "he?d**", (Wildcard("he?d*"),)),
        ("Modality", "CT\\M*\\PT", (Exact(("CT", "PT")), Wildcard("M*"))),
        # range (C.2.2.2.5)
        ("StudyDate", "20240101", (Exact(("20240101",)),)),
        ("StudyDate", "20240101-20240131", (Range("20240101", "20240131"),)),
        ("StudyDate", " 20240101 - 20240131 ", (Range("20240101", "20240131"),)),
        ("StudyDate", "20240101-", (Range("20240101", None),)),
        ("StudyDate", "-20240131", (Range(None, "20240131"),)),
        ("StudyDate", "2024.01.01-2024.01.31", (Range("20240101", "20240131"),)),
        ("StudyDate", "20240101-20240101", (Range("20240101", "20240101"),)),
        ("StudyTime", "10", (Range("10", "100000.000000"),)),
        ("StudyTime", "1030-", (Range("1030", None),)),
        ("StudyTime", "-1030", (Range(None, "1030~"),)),
        ("StudyTime", "100000.000-1030", (Range("10", "1030~"),)),
    ],
)
def test_what_a_key_means(keyword: str, text: str, matchers: tuple[Matcher, ...]) -> None:
    """The kinds of matching of PS3.4 C.2.2.2, each from its text."""
    assert parsed(keyword, text) == matchers


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("StudyDate", "yesterday"),
        ("StudyDate", "2024"),
        ("StudyDate", "20241301"),
        ("StudyDate", "*"),
        ("StudyDate", "202401*"),
        ("StudyDate", "-"),
        ("StudyDate", "20240101-20240102-20240103"),
        ("StudyDate", "20240101-soon"),
        ("StudyDate", "2024-01-05"),
        ("StudyDate", "20240131-20240101"),
        ("StudyTime", "25"),
        ("StudyTime", "1030-1000"),
        ("StudyTime", "2200-0600"),
        ("StudyTime", "-"),
        ("StudyTime", "noon"),
        ("SeriesNumber", "one"),
        ("SeriesNumber", "*"),
        ("SeriesNumber", "1.5"),
        ("SeriesNumber", "99999999999"),
        ("StudyInstanceUID", "\\"),
        ("StudyInstanceUID", "1.2\\\\1.3"),
        ("StudyInstanceUID", "\\".join(["1.2"] * (MAX_LISTED_UIDS + 1))),
        ("Modality", "\\"),
        ("Modality", "\\".join(["CT"] * (MAX_ALTERNATIVES + 1))),
        ("StudyDescription", "x" * (MAX_TEXT_CHARACTERS + 1)),
        ("StudyDescription", "\ud800"),
        ("StudyDescription", "A\0B"),
        ("StudyDescription", "A\0B*"),
        ("StudyInstanceUID", "1.2\0.3"),
        ("PatientName", "Doe^J\0hn"),
        ("PatientComments", "\0b"),
        ("PatientWeight", "heavy"),
        ("PatientName", "^^"),
        ("PatientName", "="),
    ],
)
def test_what_cannot_be_matched_is_said(keyword: str, text: str) -> None:
    """A key that means nothing is FIND_INVALID_IDENTIFIER, naming the key and the value."""
    with pytest.raises(PacsException) as caught:
        parsed(keyword, text)
    error = caught.value.error
    assert error.code is ErrorCode.FIND_INVALID_IDENTIFIER
    assert error.message.startswith(f"{keyword} cannot be matched with {text[:40]!r}"[:60])
    assert error.details["tag"] == str(DicomTag.of(keyword))


def test_as_many_uids_as_are_allowed_are() -> None:
    """The limit itself is still good."""
    (matcher,) = parsed("SOPInstanceUID", "\\".join(f"1.{n}" for n in range(MAX_LISTED_UIDS)))
    assert isinstance(matcher, Exact)
    assert len(matcher.values) == MAX_LISTED_UIDS


# -- times, against numbers ---------------------------------------------------------------------

_FORMS = ("%H", "%H%M", "%H%M%S", "%H%M%S.%f")


@st.composite
def times(draw: st.DrawFn) -> tuple[str, int, int]:
    """Make a time: its text, and the first and last microsecond that it covers."""
    form = draw(st.sampled_from(_FORMS))
    time = draw(st.times())
    covered = {"%H": 3600, "%H%M": 60, "%H%M%S": 1}.get(form)
    text = time.strftime(form)
    digits = 6
    if covered is None:
        digits = draw(st.integers(1, 6))
        text = text[: 7 + digits]
    whole = dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC)
    midnight = whole.replace(hour=0, minute=0, second=0, microsecond=0)
    first = (whole - midnight) // dt.timedelta(microseconds=1)
    width = covered * 10**6 if covered else 10 ** (6 - digits)
    return text, first, first + width - 1


@given(times(), times())
def test_equal_times_are_equal_however_precise(
    stored: tuple[str, int, int], key: tuple[str, int, int]
) -> None:
    """A single time finds the same moment, whether 10 or 100000.000 (C.2.2.2.1)."""
    (matcher,) = parsed("StudyTime", key[0])
    assert isinstance(matcher, Range)
    assert matcher.low is not None
    assert matcher.high is not None
    assert (matcher.low <= stored[0] <= matcher.high) == (stored[1] == key[1])


@given(times(), times(), times())
def test_a_range_of_times_holds_what_lies_in_it(
    stored: tuple[str, int, int], one: tuple[str, int, int], other: tuple[str, int, int]
) -> None:
    """A range has its first moment and all that its end covers, compared as text."""
    first, last = sorted((one, other), key=lambda time: (time[1], time[2]))
    low, high = time_bounds(first[0], last[0])
    assert (low <= stored[0] <= high) == (first[1] <= stored[1] <= last[2])


# -- options (C.5.1.1; PS3.18 8.3.4) ---------------------------------------------------------------

EVERYTHING = MatchingOptions(
    fuzzy=True, combined_datetime=True, empty_values=True, multiple_values=True
)


@pytest.mark.parametrize(
    ("keyword", "text", "matchers"),
    [
        ("StudyDescription", '""', (Empty(),)),
        ("StudyDescription", ' "" ', (Empty(),)),
        ("StudyDate", '""', (Empty(),)),
        ("SeriesNumber", '""', (Empty(),)),
        ("StudyDescription", '"x"', (Exact(('"x"',)),)),
        ("StudyDescription", 'x\\""', (Exact(("x", '""')),)),  # for one value only
        ("PatientName", '""', (Empty(),)),
        ("PatientName", "Dóe^John", (FuzzyName(("doe", "john")),)),
        ("PatientName", "doe*^*", (FuzzyName(("doe",)),)),
        ("PatientName", "d＊e", (FuzzyName(("d", "e")),)),
        ("PatientName", "d*e john doe", (FuzzyName(("d*e", "john", "doe")),)),
        ("PatientName", "doe\\smith", (FuzzyName(("doe",)), FuzzyName(("smith",)))),
        ("PatientName", "*", ()),
        ("OperatorsName", "Doe\\Smith", (AllOf(("Doe", "Smith")),)),
        ("OtherPatientIDs", "A\\B\\A", (AllOf(("A", "B")),)),
        ("OtherPatientIDs", "A", (Exact(("A",)),)),
        ("AccessionNumber", "A\\B", (Exact(("A", "B")),)),  # it has one value
        ("StudyInstanceUID", "1.2\\1.3", (Exact(("1.2", "1.3")),)),
    ],
)
def test_what_a_key_means_with_every_option(
    keyword: str, text: str, matchers: tuple[Matcher, ...]
) -> None:
    """What was asked for changes what a key means, where it applies."""
    attribute = ATTRIBUTES[int(DicomTag.of(keyword))]
    assert parse_key(attribute, text, EVERYTHING) == matchers


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("OtherPatientIDs", "A\\B*"),  # no wild cards among several (C.2.2.2.8)
        ("OtherPatientIDs", "A\\" + "x" * (MAX_TEXT_CHARACTERS + 1)),
        ("PatientName", "^-"),
        ("PatientName", " ".join(f"w{number}" for number in range(MAX_FUZZY_WORDS + 1))),
        ("PatientName", "x" * (MAX_TEXT_CHARACTERS + 1)),
    ],
)
def test_what_the_options_do_not_allow_is_refused(keyword: str, text: str) -> None:
    """In words, as other keys are."""
    with pytest.raises(PacsException) as caught:
        parse_key(ATTRIBUTES[int(DicomTag.of(keyword))], text, EVERYTHING)
    assert caught.value.error.code is ErrorCode.FIND_INVALID_IDENTIFIER


def moments(date: str, time: str) -> MomentRange | None:
    """Parse a Study Date and a Study Time as one range."""
    attributes = [ATTRIBUTES[int(DicomTag.of(one))] for one in ("StudyDate", "StudyTime")]
    return parse_moments(attributes[0], date, attributes[1], time)


@pytest.mark.parametrize(
    ("date", "time", "parsed"),
    [
        # the note of C.2.2.2.5
        (
            "20060705-20060707", "1000-1800",
            MomentRange(("20060705", "10"), ("20060707", "1800~")),
        ),
        ("20060705-20060707", "22-06", MomentRange(("20060705", "22"), ("20060707", "06~"))),
        ("20060705-", " 1000- ", MomentRange(("20060705", "10"), None)),
        ("-20060707", "-1800", MomentRange(None, ("20060707", "1800~"))),
        ("20060705-20060705", "1000-1000", MomentRange(("20060705", "10"), ("20060705", "1000~"))),
        ("2006.07.05-", "10:30-", MomentRange(("20060705", "1030"), None)),
        ("20060705-20060707", "1000-", None),  # not the same form
        ("20060705-", "-1000", None),
        ("20060705", "1000-1800", None),
        ("20060705-20060707", "1000", None),
        ("20060705-\\20060601-", "1000-", None),
        ("", "1000-", None),
        ("-", "-", None),
    ],
)  # fmt: skip
def test_what_a_date_and_a_time_mean_together(
    date: str, time: str, parsed: MomentRange | None
) -> None:
    """Two ranges of the same form are one range of moments (C.2.2.2.5)."""
    if date == "-":
        with pytest.raises(PacsException):
            moments(date, time)
    else:
        assert moments(date, time) == parsed


@pytest.mark.parametrize(
    ("date", "time"),
    [
        ("20060705-20060705", "1800-1000"),
        ("20060707-20060705", "1000-1800"),
        ("20060705-", "noon-"),
        ("-yesterday", "-10"),
        ("20060705-20060707", "10-1060"),
    ],
)
def test_a_range_of_moments_that_cannot_be_is_refused(date: str, time: str) -> None:
    """Backwards, or with an end that is no date or time."""
    with pytest.raises(PacsException) as caught:
        moments(date, time)
    assert caught.value.error.code is ErrorCode.FIND_INVALID_IDENTIFIER

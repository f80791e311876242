"""Paths to elements: how they are written, and what they find, set and remove."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.path import (
    MAX_ITEM_INDEX,
    MAX_PATH_STEPS,
    DatasetPath,
    PathStep,
    parse_path,
)
from pacs_sdk.core.private_block import PrivateTag
from pacs_sdk.core.results import PacsResult, Result, Success
from pacs_sdk.core.tags import DicomTag

ACME = '(0009,"ACME 1.1",02)'


def code_of(result: PacsResult[object]) -> ErrorCode:
    """Return the code of a failure."""
    return result.failure().code


@pytest.fixture
def study() -> DicomDataset:
    """Two series of two and one instances, the second series with a private element."""
    series = [
        DicomDataset(
            SeriesInstanceUID=f"1.{number}",
            ReferencedSOPSequence=[
                DicomDataset(ReferencedSOPInstanceUID=f"1.{number}.{one}") for one in range(count)
            ],
        )
        for number, count in ((1, 2), (2, 1))
    ]
    series[1].private_block(0x0009, "OTHER", create=True).unwrap().set(2, "no", "LO").unwrap()
    series[1].private_block(0x0009, "ACME 1.1", create=True).unwrap().set(2, "yes", "LO").unwrap()
    return DicomDataset(PatientID="7", ReferencedSeriesSequence=series)


# -- text ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("PatientName", "PatientName"),
        ("patientNAME", "PatientName"),
        ("00100010", "PatientName"),
        ("(0010,0010)", "PatientName"),
        (
            " ReferencedSeriesSequence[0].seriesinstanceuid ",
            "ReferencedSeriesSequence[0].SeriesInstanceUID",
        ),
        ("(0008,1115)[*].0020000e", "ReferencedSeriesSequence[*].SeriesInstanceUID"),
        ("ReferencedSeriesSequence[007]", "ReferencedSeriesSequence[7]"),
        ('( 0009 , "ACME 1.1" , 0a )', '(0009,"ACME 1.1",0A)'),
        ('(0009," a.[0] ""x"" ",02)[1].PatientID', '(0009,"a.[0] ""x""",02)[1].PatientID'),
        ("00091002", "(0009,1002)"),
        ("60020010", "(6002,0010)"),  # OverlayRows, but of the second overlay
    ],
)
def test_text(text: str, canonical: str) -> None:
    """Each way to write an element is read, and written in one way."""
    path = parse_path(text).unwrap()
    assert str(path) == canonical
    assert parse_path(canonical) == Success(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "PatientName.",
        ".PatientName",
        "[0]",
        "PatientName[]",
        "PatientName[-1]",
        "PatientName[+]",
        "PatientName[0",
        "PatientName[0]x",
        "PatientName[0][1]",
        "ReferencedSeriesSequence.SeriesInstanceUID",  # which item?
        "NoSuchKeyword",
        "ReferencedSeriesSequence[0].NoSuchKeyword",
        '(0008,"ACME",02)',  # an even group
        '(0007,"ACME",02)',  # PS3.5 7.8.1: not for private elements
        '(FFFF,"ACME",02)',
        '(0009,"",02)',
        '(0009,"  ",02)',
        '(0009,"A\\B",02)',
        '(0009,"A\nB",02)',
        '(0009,"' + "x" * 65 + '",02)',
        '(0009,"ACME",0102)',
        '(0009,"ACME,02)',
        "PatientName[\u0663]",  # a digit, but not one of ASCII
    ],
)
def test_nonsense(text: str) -> None:
    """What is no path is refused, in words of a bounded length."""
    error = parse_path(text).failure()
    assert error.code is ErrorCode.INVALID_TAG
    assert len(error.message) < 250


@pytest.mark.parametrize(
    "text",
    [
        f"ReferencedSeriesSequence[{MAX_ITEM_INDEX + 1}]",
        "ReferencedSeriesSequence[" + "9" * 8000 + "]",
        ".".join(["00081115[0]"] * (MAX_PATH_STEPS + 1)),
        "00081115[0]." * 100_000,
        '(0009,"' + '""' * 100_000,
    ],
    ids=["item", "digits", "steps", "characters", "quotes"],
)
def test_limits(text: str) -> None:
    """A huge index and a path of any length end at a limit, not in memory."""
    assert code_of(parse_path(text)) is ErrorCode.LIMIT_EXCEEDED


def test_limits_are_reached() -> None:
    """What lies at the limits is still a path."""
    assert parse_path(f"00081115[{MAX_ITEM_INDEX}]").unwrap().last.item == MAX_ITEM_INDEX
    assert len(parse_path(".".join(["00081115[0]"] * MAX_PATH_STEPS)).unwrap().steps) == 64


_TAGS = st.integers(0, 0xFFFFFFFF).map(DicomTag)
_PRIVATE = st.builds(
    PrivateTag,
    group=st.integers(4, 0x7FFE).map(lambda half: 2 * half + 1),
    creator=st.text(
        st.characters(exclude_categories=("C", "Z"), exclude_characters="\\") | st.just(" "),
        min_size=1,
        max_size=64,
    ).filter(str.strip),
    offset=st.integers(0, 0xFF),
)
_ITEMS = st.integers(0, MAX_ITEM_INDEX) | st.just("*")
_ELEMENTS = _TAGS | _PRIVATE
_PATHS = st.builds(
    lambda outer, last: DatasetPath((*outer, last)),
    st.lists(st.builds(PathStep, _ELEMENTS, _ITEMS), max_size=5),
    st.builds(PathStep, _ELEMENTS, _ITEMS | st.none()),
)


@given(_PATHS)
def test_text_and_back(path: DatasetPath) -> None:
    """The text of any path is read as that path."""
    assert parse_path(str(path)) == Success(path)


@given(st.text())
def test_any_text(text: str) -> None:
    """Any text is a path or a failure."""
    assert isinstance(parse_path(text), Result)


def test_building() -> None:
    """Paths grow by items and elements."""
    path = DatasetPath.of("ReferencedSeriesSequence").item("*").child("SeriesInstanceUID")
    assert str(path) == "ReferencedSeriesSequence[*].SeriesInstanceUID"
    assert path.has_wildcard
    assert not DatasetPath.of((0x10, 0x10)).has_wildcard
    private = DatasetPath.of(PrivateTag(9, "ACME 1.1 ", 2))
    assert str(private) == ACME
    assert DatasetPath.of(private) is private


# -- finding -------------------------------------------------------------------------------


def test_get(study: DicomDataset) -> None:
    """A path gives a value, an item as a view, or a sequence as views."""
    uid = "ReferencedSeriesSequence[1].ReferencedSOPSequence[0].ReferencedSOPInstanceUID"
    assert study.get_path(uid) == Success("1.2.0")
    assert study.get_path("patientid") == Success("7")
    assert study.get_path(f"ReferencedSeriesSequence[1].{ACME}") == Success("yes")
    item = study.get_path("ReferencedSeriesSequence[0]").unwrap()
    assert isinstance(item, DicomDataset)
    assert item["SeriesInstanceUID"] == "1.1"
    assert len(study.get_path("ReferencedSeriesSequence").unwrap()) == 2


def test_find(study: DicomDataset) -> None:
    """A wildcard finds each place, with its exact path, in order."""
    path = "ReferencedSeriesSequence[*].ReferencedSOPSequence[*].ReferencedSOPInstanceUID"
    found = [(str(where), value) for where, value in study.find(path).unwrap()]
    assert found == [
        (path.replace("[*]", f"[{series}]", 1).replace("[*]", f"[{one}]"), uid)
        for series, one, uid in ((0, 0, "1.1.0"), (0, 1, "1.1.1"), (1, 0, "1.2.0"))
    ]
    ((where, value),) = study.find(f"ReferencedSeriesSequence[*].{ACME}").unwrap()
    assert (str(where), value) == (f"ReferencedSeriesSequence[1].{ACME}", "yes")
    items = study.find("ReferencedSeriesSequence[*]").unwrap()
    assert [item["SeriesInstanceUID"] for _, item in items] == ["1.1", "1.2"]
    assert study.find("ReferencedSeriesSequence[9].SeriesInstanceUID") == Success(())
    assert study.find("StudyID") == Success(())


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("StudyID", ErrorCode.ELEMENT_NOT_FOUND, "no StudyID"),
        (
            "ReferencedSeriesSequence[2].SeriesInstanceUID",
            ErrorCode.ELEMENT_NOT_FOUND,
            "no ReferencedSeriesSequence[2]",
        ),
        (
            "ReferencedSeriesSequence[0].Modality",
            ErrorCode.ELEMENT_NOT_FOUND,
            "ReferencedSeriesSequence[0].Modality",
        ),
        (ACME, ErrorCode.ELEMENT_NOT_FOUND, ACME),
        ("ReferencedSeriesSequence[*]", ErrorCode.INVALID_ARGUMENT, "find()"),
        ("PatientID[0].PatientID", ErrorCode.VALUE_CONVERSION_FAILED, "PatientID[0]"),
        ("Patient", ErrorCode.INVALID_TAG, "Patient"),
    ],
)
def test_get_nothing(study: DicomDataset, path: str, code: ErrorCode, words: str) -> None:
    """What isn't there is named, as far as the path goes."""
    error = study.get_path(path).failure()
    assert error.code is code
    assert words in error.message
    assert study.element(path).failure() == error


def test_element(study: DicomDataset) -> None:
    """An element says what it is."""
    element = study.element(f"ReferencedSeriesSequence[1].{ACME}").unwrap()
    assert (element.tag, element.vr, element.value) == (0x00091102, "LO", "yes")
    assert (element.private_creator, element.keyword, element.name) == ("ACME 1.1", "", "")
    element = study.element("PatientID").unwrap()
    assert (element.keyword, element.name, element.private_creator) == (
        "PatientID",
        "Patient ID",
        "",
    )
    study["PatientID"] = "8"
    assert element.value == "7"
    (first, _) = study.element("ReferencedSeriesSequence").unwrap().values
    assert isinstance(first, DicomDataset)


@pytest.mark.parametrize(
    ("keyword", "value", "expected", "multiplicity"),
    [
        ("ImageType", ["A", "B"], ("A", "B"), 2),
        ("ImageType", ["A"], "A", 1),
        ("PatientID", "", None, 0),
        ("PatientID", None, None, 0),
        ("Rows", 0, 0, 1),
        ("EncapsulatedDocument", b"", None, 0),
        ("EncapsulatedDocument", b"x", b"x", 1),
        ("ConceptCodeSequence", [], (), 0),
    ],
)
def test_values_of_elements(
    keyword: str, value: object, expected: object, multiplicity: int
) -> None:
    """One value is itself, several are a tuple, none is None; zero is a value."""
    element = DicomDataset().set(keyword, value).unwrap().element(keyword).unwrap()
    assert (element.value, element.multiplicity) == (expected, multiplicity)


def test_search(study: DicomDataset) -> None:
    """Elements are found by keyword, in any case and at any depth."""
    found = study.search("seriesinstanceuid").unwrap()
    assert [(str(path), element.value) for path, element in found] == [
        ("ReferencedSeriesSequence[0].SeriesInstanceUID", "1.1"),
        ("ReferencedSeriesSequence[1].SeriesInstanceUID", "1.2"),
    ]
    assert len(study.search("*UID").unwrap()) == 5
    assert study.search("nosuch") == Success(())


def test_search_is_bounded() -> None:
    """A data set nested without end ends at a limit."""
    innermost = dataset = Dataset()
    for _ in range(MAX_PATH_STEPS + 1):
        innermost.ReferencedSeriesSequence = Sequence([Dataset()])
        innermost = innermost.ReferencedSeriesSequence[0]
    assert code_of(DicomDataset(dataset).search("*")) is ErrorCode.LIMIT_EXCEEDED
    assert code_of(DicomDataset(dataset).diff(dataset)) is ErrorCode.LIMIT_EXCEEDED


# -- setting and removing ---------------------------------------------------------------------


def test_set_makes_what_is_missing() -> None:
    """Sequences, items and private blocks are made on the way."""
    dataset = DicomDataset()
    path = f"ReferencedSeriesSequence[0].ReferencedSOPSequence[0].{ACME}"
    assert dataset.set_path(path, "new", "LO") == Success(dataset)
    assert dataset.get_path(path) == Success("new")
    dataset.set_path("ReferencedSeriesSequence[1].Modality", "CT").unwrap()
    assert dataset.get_path("ReferencedSeriesSequence[1].Modality") == Success("CT")
    dataset.set_path("ReferencedSeriesSequence[2]", DicomDataset(Modality="MR")).unwrap()
    dataset.set_path("ReferencedSeriesSequence[0]", DicomDataset(Modality="US")).unwrap()
    values = [value for _, value in dataset.find("ReferencedSeriesSequence[*].Modality").unwrap()]
    assert values == ["US", "CT", "MR"]
    dataset.set_path("ConceptCodeSequence[0]", DicomDataset(CodeValue="1")).unwrap()
    assert dataset.get_path("ConceptCodeSequence[0].CodeValue") == Success("1")


def test_set_everywhere(study: DicomDataset) -> None:
    """A wildcard sets in each item that is there, none of which share the value."""
    study.set_path("ReferencedSeriesSequence[*].Modality", "CT").unwrap()
    study.set_path(
        "ReferencedSeriesSequence[*].ConceptCodeSequence", [DicomDataset(CodeValue="1")]
    ).unwrap()
    study.set_path("ReferencedSeriesSequence[0].ConceptCodeSequence[0].CodeValue", "2").unwrap()
    values = study.find("ReferencedSeriesSequence[*].ConceptCodeSequence[*].CodeValue").unwrap()
    assert [value for _, value in values] == ["2", "1"]
    study.set_path("ReferencedSeriesSequence[*]", DicomDataset(Modality="MR")).unwrap()
    assert [len(item) for _, item in study.find("ReferencedSeriesSequence[*]").unwrap()] == [1, 1]
    assert DicomDataset().set_path("ReferencedSeriesSequence[*].Modality", "CT").unwrap() == (
        DicomDataset()
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("ConceptCodeSequence[1].CodeValue", "1", ErrorCode.ELEMENT_NOT_FOUND),
        ("ConceptCodeSequence[0].ConceptCodeSequence[1]", Dataset(), ErrorCode.ELEMENT_NOT_FOUND),
        ("ReferencedSeriesSequence[3].Modality", "CT", ErrorCode.ELEMENT_NOT_FOUND),
        ("ReferencedSeriesSequence[3]", Dataset(), ErrorCode.ELEMENT_NOT_FOUND),
        ("ConceptCodeSequence[0]", "1", ErrorCode.VALUE_CONVERSION_FAILED),
        ("PatientID[0].CodeValue", "1", ErrorCode.VALUE_CONVERSION_FAILED),
        ("PatientName[0].CodeValue", "1", ErrorCode.VALUE_CONVERSION_FAILED),
        ("ConceptCodeSequence[0].SliceThickness", "thin", ErrorCode.VALUE_CONVERSION_FAILED),
        (
            "ConceptCodeSequence[0].SmallestImagePixelValue",
            -70000,
            ErrorCode.VALUE_CONVERSION_FAILED,
        ),
    ],
)
def test_set_that_fails_changes_nothing(
    study: DicomDataset, path: str, value: object, code: ErrorCode
) -> None:
    """A value or a path that can't be leaves the data set as it was."""
    before = study.copy()
    assert code_of(study.set_path(path, value)) is code
    assert study == before


def test_delete(study: DicomDataset) -> None:
    """Every place a path stands for is removed, and counted."""
    path = "ReferencedSeriesSequence[*].ReferencedSOPSequence[*].ReferencedSOPInstanceUID"
    assert study.delete_path(path) == Success(3)
    assert study.delete_path(path) == Success(0)
    assert study.delete_path("ReferencedSeriesSequence[0].ReferencedSOPSequence[*]") == Success(2)
    assert study.delete_path("ReferencedSeriesSequence[0]") == Success(1)
    assert study.get_path("ReferencedSeriesSequence[0].SeriesInstanceUID") == Success("1.2")
    assert study.delete_path("ReferencedSeriesSequence") == Success(1)
    assert list(study) == [0x00100020]


def test_paths_in_brackets(study: DicomDataset) -> None:
    """Wherever an element is named it may be by its path, nested or private."""
    path = "ReferencedSeriesSequence[0].SeriesInstanceUID"
    assert path in study
    assert study[path] == study.get(path) == "1.1"
    assert study.get_string(path) == Success("1.1")
    assert study[DatasetPath.of(path)] == "1.1"
    study[path] = "1.9"
    assert study.get_path(path) == Success("1.9")
    assert study.set(path, "1.8").unwrap()[path] == "1.8"
    del study[path]
    assert path not in study
    assert study.get(path, "none") == "none"
    with pytest.raises(KeyError, match="SeriesInstanceUID"):
        study[path]
    with pytest.raises(KeyError, match="SeriesInstanceUID"):
        del study[path]
    owned = '(0009,"ACME 1.1",02)'
    study.set(owned, "fast", "LO").unwrap()
    assert study[owned] == "fast"
    assert len(study["ReferencedSeriesSequence[0].ReferencedSOPSequence"]) == len(
        study.get_items("ReferencedSeriesSequence[0].ReferencedSOPSequence").unwrap()
    )
    with pytest.raises(PacsException, match="several"):
        study["ReferencedSeriesSequence[*].SeriesInstanceUID"]


def test_search_by_tag(study: DicomDataset) -> None:
    """A tag in any form is found at every depth, and each overlay by its shared keyword."""
    expected = study.search("SeriesInstanceUID").unwrap()
    assert len(expected) == 2
    for tag in (0x0020000E, (0x0020, 0x000E), "0020000e", "(0020,000E)"):
        assert study.search(tag).unwrap() == expected
    for group in (0x6000, 0x6002):
        study.set(group << 16 | 0x10, 512).unwrap()
    assert len(study.search("OverlayRows").unwrap()) == 2
    assert len(study.search(0x60020010).unwrap()) == 1
    assert code_of(study.search(-1)) is ErrorCode.INVALID_TAG


def test_shown_as_its_text() -> None:
    """A path shows itself as it is written."""
    path = DatasetPath.of("referencedseriessequence[0].0020000e")
    assert repr(path) == "DatasetPath('ReferencedSeriesSequence[0].SeriesInstanceUID')"

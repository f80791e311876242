"""Validation of files, instances and data sets, and the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.encoding import read_file, write_file
from pacs_sdk.services.iod_validation import (
    MAX_FINDINGS,
    IodRule,
    IodValidator,
    Outcome,
    Severity,
    validate_instance,
)
from tests.encoding.shipped import READABLE, path_of
from tests.services.iod_validation.iod_objects import INSTANCE, OBJECTS, item, make

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd values


def test_any_source_gives_the_same_report(tmp_path: Path) -> None:
    """A path, an instance, a data set and a view of one are validated alike."""
    dataset = make("CT")
    del dataset.Modality
    path = raised(write_file(dataset, tmp_path / "ct.dcm"))
    instance = raised(read_file(path))
    sources = (path, str(path), instance, dataset, DicomDataset(dataset))
    reports = [raised(validate_instance(source)) for source in sources]
    assert all(report == reports[0] for report in reports)
    assert reports[0].iod == "CT Image"
    assert reports[0].sop_instance_uid == dataset.SOPInstanceUID
    assert reports[0].tables.startswith("highdicom ")


def test_what_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    """A file that is absent or no DICOM gives the failure of reading it."""
    (tmp_path / "text.txt").write_text("words " * 50)
    for name, code in (("none.dcm", ErrorCode.FILE_NOT_FOUND), ("text.txt", ErrorCode.NOT_DICOM)):
        match validate_instance(tmp_path / name):
            case Failure(error):
                assert error.code is code
            case Success(_):
                pytest.fail("it was read")


@pytest.mark.parametrize("uid", ["1.2.3.4", "1.2.840.10008.5.1.4.1.1.9.1", ""])
def test_without_a_table_nothing_conforms(uid: str) -> None:
    """An object of a SOP class without table is never reported as conforming."""
    dataset = make("CT")
    dataset.SOPClassUID = uid
    report = raised(validate_instance(dataset))
    assert report.iod is None
    assert report.outcome is Outcome.NOT_CHECKED
    assert [one.rule for one in report.findings] == [IodRule.NO_TABLE]


def test_without_a_table_pixels_and_values_are_checked() -> None:
    """What holds for every object is checked for unknown SOP classes, too."""
    dataset = make("CT")
    dataset.SOPClassUID, dataset.Rows, dataset.StudyDate = "1.2.3.4", 9, "2025-1-2"
    report = raised(validate_instance(dataset))
    assert report.outcome is Outcome.ERRORS
    assert {str(one.path) for one in report.errors} == {"StudyDate", "PixelData"}


def test_values_are_part_of_the_report() -> None:
    """Findings about VR and multiplicity are in the same report, each with its rule."""
    dataset = make("CT")
    dataset.StudyTime = "noon"
    dataset.PixelSpacing = [1, 2, 3]
    found = {str(one.path): one for one in raised(validate_instance(dataset)).errors}
    assert set(found) == {"StudyTime", "PixelSpacing"}
    assert all(one.rule is IodRule.VALUE for one in found.values())
    assert found["PixelSpacing"].reference == "PS3.6"


@pytest.mark.parametrize(
    ("keyword", "announced"),
    [
        ("SOPClassUID", b"1.2.840.10008.5.1.4.1.1.2\0"),
        ("SOPInstanceUID", INSTANCE.encode() + b"\0" * (len(INSTANCE) % 2)),
    ],
)
def test_other_identifiers_than_announced(keyword: str, announced: bytes, tmp_path: Path) -> None:
    """SOP Class and Instance of the file meta, or of the sender, are those of the data set."""
    path = raised(write_file(make("CT"), tmp_path / "ct.dcm"))
    data = path.read_bytes()
    first = data.index(announced)
    last = first + len(announced.rstrip(b"\0")) - 1
    path.write_bytes(data[:last] + b"7" + data[last + 1 :])
    assert keyword in {str(one.path) for one in raised(validate_instance(path)).errors}


def test_notes_tell_of_what_the_iod_does_not_have() -> None:
    """Extensions, retired and private attributes are notes: the object conforms."""
    dataset = make("CT")
    dataset.DoseUnits = "GY"  # of another IOD
    dataset.BeamDoseSpecificationPoint = [0, 0, 0]  # retired
    dataset.private_block(0x0009, "ACME", create=True).add_new(2, "LO", "x")
    report = raised(validate_instance(dataset))
    assert report.outcome is Outcome.CONFORMS
    assert {one.rule: str(one.path) for one in report.findings} == {
        IodRule.PRIVATE: "(0009,0010)",
        IodRule.NOT_IN_IOD: "DoseUnits",
        IodRule.RETIRED: "BeamDoseSpecificationPoint",
    }
    assert report.at_least(Severity.WARNING) == ()


def test_the_same_note_of_many_items_is_one() -> None:
    """An extension that is in every frame is noted once, with how often."""
    dataset = make("SEG")
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        frame.FrameContentSequence[0].Rows = 1
    notes = raised(validate_instance(dataset)).findings
    assert [str(one.path) for one in notes] == [
        "PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0].Rows"
    ]
    assert "in 2 places" in notes[0].words


def test_a_report_is_bounded() -> None:
    """An object of very many broken items has a report of limited length that says so."""
    dataset = make("RTSTRUCT")
    dataset.StructureSetROISequence = [Dataset() for _ in range(MAX_FINDINGS)]
    findings = raised(validate_instance(dataset)).findings
    assert len(findings) == MAX_FINDINGS + 1
    assert any("left out" in one.words for one in findings)


def test_reports_as_plain_values() -> None:
    """A report can be written as JSON; errors come first."""
    dataset = make("CT")
    del dataset.Modality
    dataset.DoseUnits = "GY"
    report = raised(validate_instance(dataset))
    plain = json.loads(json.dumps(report.as_dict()))
    assert plain["outcome"] == "errors"
    assert [one["severity"] for one in plain["findings"]] == ["error", "note"]
    assert plain["findings"][0]["tag"] == "(0008,0060)"
    assert plain["findings"][0]["type"] == "1"
    assert str(report) == "CT Image: errors (1 error, 1 note)"


def test_words_repeat_no_patient_data() -> None:
    """Findings end up in logs: names and identifiers are not in them."""
    dataset = make("CT")
    dataset.PatientID = "SECRET" * 20
    dataset.PatientSex = "SECRET"
    for one in raised(validate_instance(dataset)).findings:
        assert "SECRET" not in str(one)


@pytest.mark.parametrize("name", READABLE)
def test_files_of_pydicom_are_validated(name: str) -> None:
    """Every file that ships with pydicom and can be read is validated, whatever is in it."""
    match validate_instance(path_of(name)):
        case Failure(error):
            assert error.code in (ErrorCode.TRUNCATED, ErrorCode.DECODE_FAILED)
        case Success(report):
            assert report.outcome in Outcome


_KEYWORDS = st.sampled_from(
    (
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "NumberOfFrames",
        "FrameIncrementPointer",
        "ImageType",
        "PixelData",
        "ValueType",
        "ContentSequence",
        "GraphicData",
        "MeasuredValueSequence",
        "SegmentSequence",
        "DimensionIndexSequence",
        "BeamSequence",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
        "GridFrameOffsetVector",
        "ROIContourSequence",
        "StructureSetROISequence",
        "WaveformSequence",
        "SeriesType",
        "ImageIndex",
        "MaskSubtractionSequence",
        "SequenceOfUltrasoundRegions",
        "DoseGridScaling",
        "PatientName",
        "RedPaletteColorLookupTableDescriptor",
        "PixelPaddingValue",
        "SpecificCharacterSet",
        "SOPClassUID",
    )
)
_VALUES = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.integers(-(2**40), 2**40),
    st.floats(),
    st.binary(max_size=8),
    st.lists(st.integers(-9, 99999) | st.text(max_size=3), max_size=4),
    st.builds(lambda: [Dataset(), item(ValueType="NUM", SegmentNumber=1)]),
)
_VRS = st.sampled_from(
    ("CS", "DS", "IS", "US", "SS", "UL", "FD", "PN", "UI", "AT", "OB", "SQ", "UN")
)


def _put(dataset: Dataset, keyword: str, vr: str, value: object) -> None:
    """Put a value under a VR, as far as pydicom lets one."""
    try:
        element = DataElement(keyword, vr, None)
        element._value = value  # not checked
        dataset[keyword] = element
    except (TypeError, ValueError, AttributeError, OverflowError):
        dataset[keyword] = DataElement(keyword, vr, None)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(OBJECTS)),
    st.lists(st.tuples(_KEYWORDS, _VRS, _VALUES), min_size=1, max_size=6),
    st.booleans(),
)
def test_whatever_is_in_a_data_set(
    name: str, changes: list[tuple[str, str, object]], in_items: bool
) -> None:
    """Values of any type under any VR are findings, never an exception."""
    dataset = make(name)
    places = [dataset]
    if in_items:
        places += [one for element in dataset if element.VR == "SQ" for one in element.value]
    for number, (keyword, vr, value) in enumerate(changes):
        _put(places[number % len(places)], keyword, vr, value)
    assert isinstance(validate_instance(dataset), Success | Failure)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(OBJECTS)),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_damaged_files(
    encoded_objects: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory,
    name: str, changes: list[tuple[int, int]],
) -> None:  # fmt: skip
    """Files with damaged bytes give a report or a typed failure, never an exception."""
    data = bytearray(encoded_objects[name])
    for position, byte in changes:
        data[132 + position % (len(data) - 132)] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.dcm"
    path.write_bytes(data)
    assert isinstance(validate_instance(path), Success | Failure)


@pytest.fixture(scope="module")
def encoded_objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the bytes of the file of each object."""
    folder = tmp_path_factory.mktemp("objects")
    return {
        name: raised(write_file(make(name), folder / f"{name}.dcm")).read_bytes()
        for name in OBJECTS
    }


def test_one_validator_for_many_threads() -> None:
    """Validators share the rules, which are made once."""
    assert IodValidator().sop_classes == IodValidator().sop_classes

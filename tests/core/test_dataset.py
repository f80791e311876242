"""The typed view over a pydicom data set."""

from __future__ import annotations

import datetime as dt
import html
import struct

import pydicom
import pytest
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from pacs_sdk.core.dataset import DicomDataset, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR


@pytest.fixture
def patient() -> DicomDataset:
    """A data set with a value of each kind."""
    item = DicomDataset(CodeValue="T-1", CodeMeaning="Liver")
    return DicomDataset(
        ImageType=["ORIGINAL", "PRIMARY"],
        PatientName="Doe^Jon",
        PatientID="",
        SliceThickness="2.5",
        ImagePositionPatient=["1", "2", "3.5"],
        InstanceNumber="7",
        Rows=512,
        ConceptCodeSequence=[item],
        EncapsulatedDocument=b"%PDF",
    )


def code_of(result: PacsResult[object]) -> ErrorCode:
    """Return the code of a failure."""
    return result.failure().code


# -- reading -------------------------------------------------------------------------------


def test_strings(patient: DicomDataset) -> None:
    """Text comes joined by a backslash (PS3.5 6.4) or apart; numbers as they are written."""
    assert patient.get_string("PatientName") == Success("Doe^Jon")
    assert patient.get_string("ImageType") == Success("ORIGINAL\\PRIMARY")
    assert patient.get_strings("ImageType") == Success(("ORIGINAL", "PRIMARY"))
    assert patient.get_string("SliceThickness") == Success("2.5")
    assert patient.get_string("PatientID") == Success("")
    assert patient.get_strings("PatientID") == Success(())


def test_numbers(patient: DicomDataset) -> None:
    """Whole and decimal numbers, one or several."""
    assert patient.get_int("Rows") == Success(512)
    assert patient.get_int("InstanceNumber") == Success(7)
    assert patient.get_float("SliceThickness") == Success(2.5)
    assert patient.get_floats("ImagePositionPatient") == Success((1.0, 2.0, 3.5))
    assert patient.get_floats("PatientID") == Success(())


def test_bytes_and_items(patient: DicomDataset) -> None:
    """Binary values come as bytes, sequences as views of their items."""
    assert patient.get_bytes("EncapsulatedDocument") == Success(b"%PDF")
    patient["EncapsulatedDocument"] = None
    assert patient.get_bytes("EncapsulatedDocument") == Success(b"")
    (item,) = patient.get_items("ConceptCodeSequence").unwrap()
    assert item.get_string("CodeMeaning") == Success("Liver")


@pytest.mark.parametrize(
    ("getter", "tag"),
    [
        ("get_int", "SliceThickness"),  # 2.5
        ("get_int", "ImageType"),  # two values
        ("get_int", "PatientID"),  # none
        ("get_int", "PatientName"),
        ("get_float", "PatientName"),
        ("get_floats", "ImageType"),
        ("get_string", "EncapsulatedDocument"),
        ("get_string", "ConceptCodeSequence"),
        ("get_bytes", "PatientName"),
        ("get_items", "PatientName"),
        ("get_items", "ImageType"),  # several values, none of them an item
    ],
)
def test_wrong_kind_of_value(patient: DicomDataset, getter: str, tag: str) -> None:
    """A value that isn't what was asked for is a failure, not a guess."""
    assert code_of(getattr(patient, getter)(tag)) is ErrorCode.VALUE_CONVERSION_FAILED


@pytest.mark.parametrize(
    "getter",
    ["get_string", "get_strings", "get_int", "get_float", "get_floats", "get_bytes", "get_items"],
)
def test_absent_and_unknown(patient: DicomDataset, getter: str) -> None:
    """An absent element and a keyword that doesn't exist are told apart."""
    assert code_of(getattr(patient, getter)("StudyID")) is ErrorCode.ELEMENT_NOT_FOUND
    assert code_of(getattr(patient, getter)("StudyIdentity")) is ErrorCode.INVALID_TAG
    error = getattr(patient, getter)("StudyID").failure()
    assert "(0020,0010) StudyID" in error.message


@pytest.mark.parametrize(
    ("vr", "value"),
    [("UL", b"\1\2\3"), ("DS", b"twelve"), ("ZZ", b"xx"), ("IS", b"1.5"), ("FD", b"\0" * 9)],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bytes_that_do_not_fit_their_vr(vr: str, value: bytes) -> None:
    """A damaged value is a failure when it is read, and is named in listings."""
    raw = RawDataElement(Tag(0x00091001), vr, len(value), value, 0, False, True)
    dataset = DicomDataset(Dataset({raw.tag: raw}))
    match dataset.get_string(0x00091001):
        case Failure(error):
            assert error.code is ErrorCode.VALUE_CONVERSION_FAILED
            ((tag, shown_vr, name, text),) = dataset.rows()
            assert (tag, shown_vr, name) == ("(0009,1001)", vr, "Private")
            assert text.startswith("unreadable: ")
        case Success(text):
            assert text == value.decode()  # pydicom gives text that is no number as text


# -- Pythonic twins ----------------------------------------------------------------------------


def test_index_and_get(patient: DicomDataset) -> None:
    """Brackets give the value or a KeyError, get gives a default, empty counts as absent."""
    assert patient["PatientName"] == "Doe^Jon"
    assert patient[0x0010, 0x0010] == "Doe^Jon"
    assert patient["ConceptCodeSequence"][0]["CodeValue"] == "T-1"
    with pytest.raises(KeyError, match="StudyID"):
        patient["StudyID"]
    assert patient.get("StudyID") is None
    assert patient.get("StudyID", "none") == "none"
    assert patient.get("PatientID", "none") == "none"
    assert patient.get("Rows", 0) == 512


def test_membership_and_iteration(patient: DicomDataset) -> None:
    """Tags come in ascending order, as DicomTag; absent ones aren't in it."""
    assert "Rows" in patient
    assert "StudyID" not in patient
    tags = list(patient)
    assert tags == sorted(tags)
    assert all(isinstance(tag, DicomTag) for tag in tags)
    assert len(patient) == len(tags) == 9
    with pytest.raises(PacsException):
        "NoKeyword" in patient  # noqa: B015  # it raises


def test_setting_and_deleting(patient: DicomDataset) -> None:
    """Values are set and elements removed in the pydicom data set behind the view."""
    patient["PatientID"] = "42"
    assert patient.pydicom.PatientID == "42"
    del patient["PatientID"]
    assert "PatientID" not in patient.pydicom
    with pytest.raises(KeyError):
        del patient["PatientID"]


# -- setting -----------------------------------------------------------------------------------


def test_set_returns_the_data_set() -> None:
    """Setting can be chained with results."""
    dataset = DicomDataset()
    assert dataset.set("PatientID", "42") == Success(dataset)
    assert dataset.pydicom["PatientID"].VR == "LO"


def test_set_private_needs_a_vr() -> None:
    """A private element has no VR in the dictionary: it is UN unless one is given."""
    dataset = DicomDataset()
    dataset.set(0x00091001, "42", VR.LO).unwrap()
    assert dataset.get_string(0x00091001) == Success("42")
    dataset.set(0x00091002, b"\0\1").unwrap()
    assert dataset.pydicom[0x00091002].VR == "UN"


@pytest.mark.parametrize(
    ("tag", "value", "vr", "code"),
    [
        ("SmallestImagePixelValue", -70000, None, ErrorCode.VALUE_CONVERSION_FAILED),
        ("PatientID", "42", "XX", ErrorCode.INVALID_VR),
        ("NoKeyword", "42", None, ErrorCode.INVALID_TAG),
        ("ConceptCodeSequence", "42", None, ErrorCode.VALUE_CONVERSION_FAILED),
        ("ConceptCodeSequence", ["42"], None, ErrorCode.VALUE_CONVERSION_FAILED),
        ("SliceThickness", "thin", None, ErrorCode.VALUE_CONVERSION_FAILED),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_set_nonsense(tag: str, value: object, vr: str | None, code: ErrorCode) -> None:
    """A tag, VR or value that can't be is a failure and sets nothing."""
    dataset = DicomDataset()
    assert code_of(dataset.set(tag, value, vr)) is code
    assert len(dataset) == 0


def test_set_sequences() -> None:
    """A sequence takes one data set or several, of either kind, or none."""
    ours, theirs = DicomDataset(CodeValue="1"), Dataset()
    theirs.CodeValue = "2"
    dataset = DicomDataset()
    for value, count in ((ours, 1), ([ours, theirs], 2), ((), 0), (Sequence([theirs]), 1)):
        dataset["ConceptCodeSequence"] = value
        assert len(dataset.get_items("ConceptCodeSequence").unwrap()) == count


def test_set_decides_the_vr() -> None:
    """Where the dictionary leaves a choice the data set decides, else the value."""
    dataset = DicomDataset()
    for representation, vr, value in ((1, "SS", -5), (0, "US", 5)):
        dataset["PixelRepresentation"] = representation
        dataset.set("SmallestImagePixelValue", value).unwrap()
        assert vr == dataset.pydicom["SmallestImagePixelValue"].VR
    assert code_of(dataset.set("PixelPaddingValue", -5)) is ErrorCode.VALUE_CONVERSION_FAILED
    del dataset["PixelRepresentation"]
    for number, vr in ((-5, "SS"), (5, "US")):
        assert (
            vr == dataset.set("PixelPaddingValue", number).unwrap().pydicom["PixelPaddingValue"].VR
        )
    for data, vr in (([1, 2], "US"), (b"\1\0\2\0", "OW")):
        assert vr == dataset.set("LUTData", data).unwrap().pydicom["LUTData"].VR
    for bits, vr in ((8, "OB"), (16, "OW")):
        dataset["BitsAllocated"] = bits
        assert vr == dataset.set("PixelData", bytes(4)).unwrap().pydicom["PixelData"].VR


def test_set_in_items() -> None:
    """An item has the Pixel Representation of the data set around it, however it is reached."""
    dataset = DicomDataset(PixelRepresentation=1, ModalityLUTSequence=[DicomDataset()])
    (item,) = dataset.get_items("ModalityLUTSequence").unwrap()
    item["LUTDescriptor"] = [2, -1, 16]
    assert item.pydicom["LUTDescriptor"].VR == "SS"
    (item,) = dataset["ModalityLUTSequence"]
    item["LUTDescriptor"] = [2, 1, 16]
    assert item.pydicom["LUTDescriptor"].VR == "SS"
    for path in ("ModalityLUTSequence[0]", "VOILUTSequence[0]", "VOILUTSequence[*]"):
        dataset.set_path(f"{path}.LUTDescriptor", [2, -2, 16]).unwrap()
        element = dataset.element(f"{path.replace('*', '0')}.LUTDescriptor").unwrap()
        assert element.vr == "SS"
    inner = dataset.get_path("VOILUTSequence[0]").unwrap()
    inner.set("LUTDescriptor", [2, -3, 16]).unwrap()
    assert inner.pydicom["LUTDescriptor"].VR == "SS"


def test_set_private_of_a_known_creator() -> None:
    """A private element has the VR of its creator's dictionary, set by tag or by path."""
    dataset = DicomDataset()
    dataset[0x00290010] = "SIEMENS CSA HEADER"
    assert dataset.set(0x00291008, "IMAGE NUM 4").unwrap().pydicom[0x00291008].VR == "CS"
    other = DicomDataset()
    other.set_path('(0029,"SIEMENS CSA HEADER",08)', "IMAGE NUM 4").unwrap()
    assert other == dataset


# -- dates and times --------------------------------------------------------------------------


def test_dates_and_times() -> None:
    """DA, TM and DT come as Python's; parts that were left out are the first, or zero."""
    dataset = DicomDataset(
        StudyDate="20240229", StudyTime="0709", AcquisitionDateTime="20240229070901.5+0200"
    )
    assert dataset.get_date("StudyDate") == Success(dt.date(2024, 2, 29))
    assert dataset.get_date("AcquisitionDateTime") == Success(dt.date(2024, 2, 29))
    assert dataset.get_time("StudyTime") == Success(dt.time(7, 9))
    zone = dt.timezone(dt.timedelta(hours=2))
    expected = dt.datetime(2024, 2, 29, 7, 9, 1, 500000, zone)
    assert dataset.get_datetime("AcquisitionDateTime") == Success(expected)
    dataset["AcquisitionDateTime"] = "2024"
    assert dataset.get_datetime("AcquisitionDateTime").unwrap().isoformat() == "2024-01-01T00:00:00"
    dataset["StudyTime"] = "235960"  # a leap second
    assert dataset.get_time("StudyTime") == Success(dt.time(23, 59, 59))
    dataset["StudyTime"] = dt.time(7, 9, 1)
    assert dataset.get_time("StudyTime") == Success(dt.time(7, 9, 1))


@pytest.mark.parametrize(
    ("keyword", "value", "getter"),
    [
        ("StudyDate", "20240230", "get_date"),
        ("StudyDate", "", "get_date"),
        ("StudyDate", "20240101-", "get_date"),
        ("StudyTime", "2500", "get_time"),
        ("StudyTime", "noon", "get_time"),
        ("AcquisitionDateTime", "20241301", "get_datetime"),
        ("PatientID", "20240101", "get_date"),
        ("PatientID", "0709", "get_time"),
        ("StudyDate", "20240101", "get_datetime"),
    ],
)
def test_no_date_or_time(keyword: str, value: str, getter: str) -> None:
    """What is none, or of another VR, is a failure."""
    dataset = DicomDataset(None, **{keyword: value})
    assert code_of(getattr(dataset, getter)(keyword)) is ErrorCode.VALUE_CONVERSION_FAILED


def test_whole_numbers() -> None:
    """Several whole numbers; those beyond a float's 53 bits are exact."""
    dataset = DicomDataset(AcquisitionMatrix=[0, 256, 256, 0])
    assert dataset.get_ints("AcquisitionMatrix") == Success((0, 256, 256, 0))
    dataset.set(0x00091001, 2**63 + 1, "UV").unwrap()
    assert dataset.get_int(0x00091001) == Success(2**63 + 1)
    assert code_of(DicomDataset(PixelSpacing=[0.5, 1]).get_ints("PixelSpacing")) is (
        ErrorCode.VALUE_CONVERSION_FAILED
    )


# -- sharing, equality, conversion ----------------------------------------------------------------


def test_view_shares() -> None:
    """A view and the pydicom data set behind it are one."""
    plain = Dataset()
    view = DicomDataset(plain)
    plain.PatientID = "1"
    assert view["PatientID"] == "1"
    view["PatientID"] = "2"
    assert plain.PatientID == "2"
    assert view.pydicom is plain


def test_equality() -> None:
    """Views are equal by content, with pydicom's data sets too; they can't be hashed."""
    one, two = DicomDataset(PatientID="1"), DicomDataset(PatientID="1")
    assert one == two
    assert one == two.pydicom
    assert one != DicomDataset(PatientID="2")
    assert one != "1"
    with pytest.raises(TypeError):
        hash(one)


def test_equality_is_of_what_is_said() -> None:
    """Group lengths and where a private block lies are no part of what a data set says."""
    one, two = DicomDataset(PatientID="1"), DicomDataset(PatientID="1")
    two.pydicom.add(DataElement(0x00100000, "UL", 12))
    assert one == two
    for dataset, block in ((one, 0x10), (two, 0x11)):
        dataset.pydicom.add(DataElement(0x00090000 | block, "LO", "ACME"))
        dataset.pydicom.add(DataElement(0x00090001 | block << 8, "LO", "fast"))
    assert one == two
    assert DicomDataset(ConceptCodeSequence=[one]) == DicomDataset(ConceptCodeSequence=[two])
    two.pydicom.add(DataElement(0x00091101, "SH", "fast"))
    assert one != two


def test_equality_of_damaged_values() -> None:
    """What can't be decoded is compared by its bytes, and no exception."""

    def damaged(data: bytes) -> DicomDataset:
        raw = RawDataElement(Tag(0x00091001), "UL", len(data), data, 0, False, True)
        return DicomDataset(Dataset({raw.tag: raw}))

    assert damaged(b"\1\2\3") == damaged(b"\1\2\3")
    assert damaged(b"\1\2\3") != damaged(b"\1\2\4")
    assert len(damaged(b"\1\2\3").diff(damaged(b"\1\2\4")).unwrap()) == 1


def test_only_a_data_set_can_be_viewed() -> None:
    """Anything else is a mistake, told at once."""
    with pytest.raises(TypeError, match="dict"):
        DicomDataset({"PatientID": "1"})  # type: ignore[arg-type]


def test_as_dataset() -> None:
    """Either kind of data set gives a view; anything else is a mistake."""
    plain, ours = Dataset(), DicomDataset()
    assert as_dataset(plain).pydicom is plain
    assert as_dataset(ours) is ours
    with pytest.raises(TypeError, match="dict"):
        as_dataset({})  # type: ignore[arg-type]


# -- shown ------------------------------------------------------------------------------------------


def test_rows(patient: DicomDataset) -> None:
    """Each element is a row; items follow their sequence, indented; binary gives its length."""
    rows = list(patient.rows())
    assert rows[0] == ("(0008,0008)", "CS", "ImageType", "ORIGINAL\\PRIMARY")
    assert ("(0040,A168)", "SQ", "ConceptCodeSequence", "1 item") in rows
    assert ("  (0008,0100)", "SH", "CodeValue", "T-1") in rows
    assert ("(0042,0011)", "OB", "EncapsulatedDocument", "4 bytes") in rows
    assert str(patient).splitlines()[0] == "(0008,0008)  CS  ImageType  ORIGINAL\\PRIMARY"
    assert repr(patient) == "<DicomDataset of 9 elements>"


def test_long_values_are_cut() -> None:
    """A long value shows its beginning."""
    ((*_, text),) = DicomDataset(DerivationDescription="x" * 200).rows()
    assert text == "x" * 63 + "…"


def test_notebook() -> None:
    """In a notebook it is a table, with what it shows escaped."""
    shown = DicomDataset(PatientName="<script>", StudyID="1")._repr_html_()
    assert shown.count("<tr>") == 3
    assert html.escape("<script>") in shown
    assert "<script>" not in shown


def test_unknown_elements_are_named() -> None:
    """Private and unknown tags are rows as well."""
    plain = Dataset()
    plain.add(DataElement(0x00091001, "LO", "x"))
    plain.add(DataElement(0x00080003, "LO", "y"))
    assert [row[2] for row in DicomDataset(plain).rows()] == ["Unknown", "Private"]


def test_values_of_a_read_file() -> None:
    """A data set that pydicom read from bytes works like one made of values."""
    data = struct.pack("<HH2sH", 0x0028, 0x0010, b"US", 2) + struct.pack("<H", 512)
    dataset = pydicom.dcmread(
        pydicom.filebase.DicomBytesIO(bytes(128) + b"DICM" + data), force=True
    )
    assert DicomDataset(dataset).get_int("Rows") == Success(512)

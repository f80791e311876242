"""Findings in whole data sets, by mode."""

from __future__ import annotations

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.path import DatasetPath
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.value_rules import FindingKind, ValueContext
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding.datasets.elements import MAX_NESTING
from pacs_sdk.encoding.datasets.reader import decode_dataset
from pacs_sdk.encoding.files.part10 import read_file
from pacs_sdk.encoding.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
)
from pacs_sdk.encoding.validation.checks import Finding, ValidationMode, validate_dataset
from pacs_sdk.testing import RecordingLogger
from tests.encoding.shipped import BROKEN_DATA_SETS, READABLE, ROOT


def found(dataset: DicomDataset | Dataset) -> tuple[Finding, ...]:
    """Return all findings."""
    return validate_dataset(dataset, ValidationMode.LENIENT).unwrap()


def made(*elements: tuple[int | str, str, object]) -> Dataset:
    """Make a data set, pydicom's own checks left out."""
    dataset = Dataset()
    for tag, vr, value in elements:
        number = int(DicomTag.of(tag))
        dataset[number] = DataElement(number, vr, value, validation_mode=pydicom.config.IGNORE)
    return dataset


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """Lay out an element of Explicit VR Little Endian with a short header."""
    return (
        group.to_bytes(2, "little")
        + number.to_bytes(2, "little")
        + vr
        + len(value).to_bytes(2, "little")
        + value
    )


def read(*elements: bytes, syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN) -> DicomDataset:
    """Read elements, whose values stay as they are encoded."""
    return decode_dataset(b"".join(elements), syntax).unwrap()


def test_a_good_data_set() -> None:
    """Values that keep to the rules give no finding, in every mode."""
    dataset = DicomDataset(
        PatientName="Yamada^Tarou",
        PatientID="7",
        StudyDate="",
        ImageType=["ORIGINAL", "PRIMARY"],
        PixelSpacing=[0.5, 0.5],
        Rows=512,
        FrameIncrementPointer=0x00181063,
    )
    for mode in ValidationMode:
        assert validate_dataset(dataset, mode).unwrap() == ()


def test_strict_is_a_failure() -> None:
    """Findings fail what is to be written; the failure names the first and counts all."""
    dataset = made(("StudyDate", "DA", "20241301"), ("Modality", "CS", "lower"))
    error = validate_dataset(dataset).failure()
    assert error.code is ErrorCode.INVALID_VALUE
    assert error.details["tag"] == "(0008,0020)"
    assert error.details["path"] == "StudyDate"
    assert error.details["finding_count"] == 2
    assert "20241301" not in str(error)
    assert error.details["findings"] == tuple(str(one) for one in found(dataset))


def test_a_failure_lists_some() -> None:
    """A data set with many findings has a message of bounded size."""
    dataset = made(*((0x00091000 + n, "CS", "lower") for n in range(100)))
    details = validate_dataset(dataset).failure().details
    assert details["finding_count"] == 100
    listed = details["findings"]
    assert isinstance(listed, tuple)
    assert len(listed) == 20


def test_warn_logs() -> None:
    """Each finding is an entry with tag, path and reason; the findings are returned."""
    logger = RecordingLogger()
    dataset = made(("Modality", "CS", "lower"))
    findings = validate_dataset(dataset, ValidationMode.WARN, logger).unwrap()
    assert len(findings) == 1
    [entry] = logger.entries
    assert entry.level == "warning"
    assert entry.fields["tag"] == "(0008,0060)"
    assert entry.fields["path"] == "Modality"
    assert entry.fields["reason"] == findings[0].reason


def test_lenient_is_silent() -> None:
    """Findings are returned and nothing is logged."""
    logger = RecordingLogger()
    dataset = made(("Modality", "CS", "lower"))
    assert validate_dataset(dataset, ValidationMode.LENIENT, logger).unwrap()
    assert not logger.entries


def test_finding() -> None:
    """A finding names tag, path, VR, rule and reason."""
    [finding] = found(made(("AccessionNumber", "SH", "x" * 17)))
    assert finding == Finding(
        DicomTag(0x00080050),
        DatasetPath.of("AccessionNumber"),
        VR.SH,
        FindingKind.LENGTH,
        "value of 17 characters, at most 16",
    )
    assert str(finding) == "AccessionNumber (0008,0050) SH: value of 17 characters, at most 16"


def test_paths_into_sequences() -> None:
    """Items are counted from 0; private elements go by their number."""
    inner = made((0x00091001, "CS", "lower"))
    middle = made(("ReferencedSOPSequence", "SQ", Sequence([inner])))
    top = made(("ReferencedSeriesSequence", "SQ", Sequence([Dataset(), middle])))
    [finding] = found(top)
    assert str(finding.path) == "ReferencedSeriesSequence[1].ReferencedSOPSequence[0].(0009,1001)"
    assert finding.tag == 0x00091001


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "allowed"),
    [
        ("PatientID", "LO", "a\\b", "1"),
        ("PixelSpacing", "DS", ["1"], "2"),
        ("ImageType", "CS", ["ORIGINAL"], "2-n"),
        ("ContourData", "DS", ["1"] * 4, "3-3n"),
        ("ImageOrientationPatient", "DS", ["1"] * 5, "6"),
        ("Rows", "US", [1, 2], "1"),
        ("SpecificCharacterSet", "CS", None, ""),
        ("OtherPatientIDs", "LO", ["a", "b"], ""),
        ("ContourData", "DS", ["1"] * 6, ""),
        ("RedPaletteColorLookupTableDescriptor", "US", [1, 2, 3], ""),
        ("ROIDisplayColor", "IS", ["1", "2", "3"], ""),
        ("AcquisitionMatrix", "US", [1, 2, 3], "4"),
        ("PixelAspectRatio", "IS", ["1", "1"], ""),
        ("DisplayedAreaTopLeftHandCorner", "SL", [1, 2], ""),
        ("PixelCoordinatesSetTrial", "US", [1, 2, 3], "2-2n"),
        ("DateTime", "DT", ["2024"], ""),
        ("SelectorDAValue", "DA", ["20240101"] * 3, ""),
    ],
)
def test_multiplicity(keyword: str, vr: str, value: object, allowed: str) -> None:
    """The number of values is one that PS3.6 has; none is allowed (type 2)."""
    findings = found(made((keyword, vr, value)))
    if not allowed:
        assert findings == ()
        return
    [finding] = findings
    assert finding.kind is FindingKind.MULTIPLICITY
    assert finding.reason.endswith(f"has {allowed}")


def test_odd_length() -> None:
    """A value field as read has an even number of bytes (PS3.5 7.1.1)."""
    [finding] = found(read(element(0x0010, 0x0020, b"LO", b"123")))
    assert finding.kind is FindingKind.ODD_LENGTH
    assert finding.tag == 0x00100020


def test_padding_as_read() -> None:
    """The one byte that makes a field even is no part of the value; the wrong one is."""
    assert found(read(element(0x0008, 0x0020, b"DA", b"20240101"))) == ()
    assert found(read(element(0x0008, 0x0018, b"UI", b"1.2.345\0"))) == ()
    assert found(read(element(0x0010, 0x0010, b"PN", b"Adams^J "))) == ()
    [finding] = found(read(element(0x0008, 0x0018, b"UI", b"1.2.345 ")))
    assert finding.kind is FindingKind.REPERTOIRE
    [finding] = found(read(element(0x0010, 0x0010, b"PN", b"Adams^J\0")))
    assert finding.kind is FindingKind.REPERTOIRE


def test_a_field_that_ends_in_a_number() -> None:
    """A field that has no whole numbers is told, and no exception."""
    [finding] = found(read(element(0x0028, 0x0009, b"AT", b"\1\0")))
    assert finding.kind is FindingKind.LENGTH


def test_character_sets_as_read() -> None:
    """Lengths are counted in characters of the Specific Character Set, items' own first."""
    utf8 = element(0x0008, 0x0005, b"CS", b"ISO_IR 192")
    name = "山" * 16
    assert found(read(utf8, element(0x0008, 0x0050, b"SH", name.encode()))) == ()
    [finding] = found(read(utf8, element(0x0008, 0x0050, b"SH", (name + "山 ").encode())))
    assert finding.kind is FindingKind.LENGTH
    [finding] = found(read(utf8, element(0x0008, 0x0050, b"SH", b"\xff\xff")))
    assert finding.kind is FindingKind.REPERTOIRE


def test_no_character_set() -> None:
    """Text beyond ISO-IR 6 needs a Specific Character Set that has it, read or made."""
    [finding] = found(read(element(0x0008, 0x0050, b"SH", b"\xe4 ")))
    assert finding.kind is FindingKind.REPERTOIRE
    [finding] = found(made(("AccessionNumber", "SH", "ä")))
    assert finding.kind is FindingKind.REPERTOIRE
    latin = ("SpecificCharacterSet", "CS", "ISO_IR 100")
    assert found(made(latin, ("AccessionNumber", "SH", "ä"))) == ()
    [finding] = found(made(latin, ("AccessionNumber", "SH", "山")))
    assert finding.kind is FindingKind.REPERTOIRE
    assert "山" not in finding.reason
    several = ("SpecificCharacterSet", "CS", ["", "ISO 2022 IR 87"])
    assert found(made(several, ("PatientName", "PN", "Yamada^Tarou=山田^太郎"))) == ()


def test_an_empty_character_set() -> None:
    """A Specific Character Set without value is that of the data set around it."""
    item = made(("SpecificCharacterSet", "CS", None), ("AccessionNumber", "SH", "ä"))
    top = made(
        ("SpecificCharacterSet", "CS", "ISO_IR 192"),
        ("ReferencedSeriesSequence", "SQ", Sequence([item])),
    )
    assert found(top) == ()


def test_damaged_sequence() -> None:
    """A sequence whose items can't be read is a finding, and no exception."""
    tag = Tag(0x00081115)
    dataset = Dataset()
    items = b"\1\2\3"  # ends within a tag
    dataset[tag] = RawDataElement(tag, "SQ", len(items), items, 0, False, True)
    [finding] = found(dataset)
    assert finding.kind is FindingKind.FORMAT
    assert str(finding.path) == "ReferencedSeriesSequence"


def test_each_multiplicity_of_the_dictionary() -> None:
    """Every multiplicity that PS3.6 has is understood: its least number fits."""
    for tag, (vr, multiplicity, *_) in DicomDictionary.items():
        if vr not in ("US", "FD"):
            continue
        least = int(multiplicity.split("-")[0])
        assert found(made((tag, vr, [1] * least))) == ()
        assert least < 2 or found(made((tag, vr, [1] * (least - 1))))


def test_a_delimiter_is_no_element() -> None:
    """What has no VR has no rules."""
    dataset = Dataset()
    tag = Tag(0xFFFEE00D)
    dataset._dict[tag] = RawDataElement(tag, None, 0, b"", 0, True, True)
    assert found(dataset) == ()


def test_character_set_of_an_item() -> None:
    """An item without Specific Character Set has that of the data set around it."""
    name = ("山" * 16).encode()
    item = b"\xfe\xff\x00\xe0" + (8 + len(name)).to_bytes(4, "little")
    item += element(0x0008, 0x0050, b"SH", name)
    sequence = b"\x08\x00\x15\x11SQ\0\0" + len(item).to_bytes(4, "little") + item
    assert found(read(element(0x0008, 0x0005, b"CS", b"ISO_IR 192"), sequence)) == ()
    [finding] = found(read(sequence))
    assert str(finding.path) == "ReferencedSeriesSequence[0].AccessionNumber"


def test_implicit_and_big_endian() -> None:
    """VRs that were not encoded are looked up; numbers go by their byte order."""
    # (0008,0060) of 6 bytes; (0028,0106) of 2 bytes, US or SS
    implicit = b"\x08\0\x60\0\6\0\0\0lower " + b"\x28\0\x06\1\2\0\0\0\1\0"
    [finding] = found(read(implicit, syntax=IMPLICIT_VR_LITTLE_ENDIAN))
    assert (str(finding.path), finding.vr) == ("Modality", VR.CS)
    big = b"\0\x28\0\x10US\0\2\2\0"  # Rows is 512
    assert found(read(big, syntax=EXPLICIT_VR_BIG_ENDIAN)) == ()


def test_the_data_set_stays_as_it_is() -> None:
    """Checking decodes nothing in place, so that a writer can copy the bytes."""
    dataset = read(element(0x0008, 0x0060, b"CS", b"lower "))
    before = dataset.pydicom.get_item(0x00080060)
    assert found(dataset)
    assert dataset.pydicom.get_item(0x00080060) is before


def test_nesting_is_bounded() -> None:
    """Sequences in one another are followed only so deep."""
    dataset = Dataset()
    for _ in range(MAX_NESTING + 1):
        dataset = made(("ReferencedSeriesSequence", "SQ", Sequence([dataset])))
    error = validate_dataset(dataset, ValidationMode.LENIENT).failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED


def test_paths_lead_to_what_they_name() -> None:
    """The path of a finding, as it is and as text, finds the element again."""
    inner = made((0x00090010, "LO", "ACME"), (0x00091001, "CS", "lower"))
    inner.add(DataElement(0x60023000, "OW", b"\1", validation_mode=pydicom.config.IGNORE))
    top = DicomDataset(made(("ReferencedSeriesSequence", "SQ", Sequence([Dataset(), inner]))))
    findings = found(top)
    assert [str(one.path) for one in findings] == [
        'ReferencedSeriesSequence[1].(0009,"ACME",01)',
        "ReferencedSeriesSequence[1].(6002,3000)",
    ]
    for finding in findings:
        for path in (finding.path, str(finding.path)):
            assert top.element(path).unwrap().tag == finding.tag


def keys_found(dataset: Dataset | DicomDataset) -> tuple[Finding, ...]:
    """Return the findings in the identifier of a query."""
    return validate_dataset(dataset, ValidationMode.LENIENT, context=ValueContext.QUERY).unwrap()


def test_an_identifier() -> None:
    """The identifier of a C-FIND may match by range, wild card, list and sequence."""
    item = DicomDataset(ScheduledProcedureStepStartDate="20240101-", Modality="C*")
    identifier = made(
        ("SpecificCharacterSet", "CS", "ISO_IR 192"),
        ("StudyDate", "DA", "20240101-20241231"),
        ("StudyTime", "TM", "-1200"),
        ("QueryRetrieveLevel", "CS", "STUDY"),
        ("PatientName", "PN", "Müll*"),
        ("StudyInstanceUID", "UI", ["1.2.3", "1.2.4"]),
        ("ModalitiesInStudy", "CS", ["CT", "PT"]),
        ("ImageType", "CS", "DERIVED"),  # one of the two or more it has
        ("PatientID", "LO", None),
        ("ScheduledProcedureStepSequence", "SQ", Sequence([item.pydicom])),
    )
    assert keys_found(identifier) == ()
    assert {str(one.path) for one in found(identifier)} == {
        "StudyDate",
        "StudyTime",
        "StudyInstanceUID",
        "ImageType",
        "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepSequence[0].Modality",
    }


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("SpecificCharacterSet", "CS", None),  # has a value where it is present
        ("PatientID", "LO", ["7", "8"]),  # has one value, so that there are none to match
        ("StudyDate", "DA", ["20240101", "20240102"]),
        ("StudyInstanceUID", "UI", "1.2.*"),
        ("PatientAge", "AS", "04?Y"),
    ],
)
def test_a_bad_identifier(keyword: str, vr: str, value: object) -> None:
    """What no kind of matching has is a finding."""
    [finding] = keys_found(made((keyword, vr, value)))
    assert str(finding.path) == keyword


def test_what_was_read_may_be_left_out() -> None:
    """Only what was changed since it was read is ours to answer for, looked at or not."""
    item = element(0x0008, 0x0060, b"CS", b"lower ") + element(0x0010, 0x0020, b"LO", b"7 ")
    items = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    sequence = b"\x08\x00\x15\x11SQ\0\0" + len(items).to_bytes(4, "little") + items
    dataset = read(element(0x0008, 0x0060, b"CS", b"lower "), sequence)

    def changed() -> list[str]:
        found = validate_dataset(dataset, ValidationMode.LENIENT, changed_only=True).unwrap()
        return [str(one.path) for one in found]

    assert changed() == []
    assert len(found(dataset)) == 2
    str(dataset)  # looks at every value
    assert changed() == []
    dataset["ReferencedSeriesSequence[0].PatientID"] = "x" * 65
    assert changed() == ["ReferencedSeriesSequence[0].PatientID"]
    dataset["Modality"] = "changed"
    assert changed() == ["Modality", "ReferencedSeriesSequence[0].PatientID"]
    assert len(found(dataset)) == 3


EXPECTED = {
    "badVR.dcm": {"NumberOfFrames"},  # not a number
    "ExplVR_BigEnd.dcm": {"StudyDate", "StudyTime"},  # ACR-NEMA's 1997.01.01 and 12:00:00
}
"""What is wrong in the files that pydicom ships, beside UIDs with leading zeros."""


@pytest.mark.parametrize("name", [one for one in READABLE if one not in BROKEN_DATA_SETS])
def test_shipped_files(name: str) -> None:
    """The files that pydicom ships have these findings and no other."""
    dataset = read_file(ROOT / name).unwrap().dataset().unwrap()
    findings = found(dataset)
    others = [one for one in findings if one.vr is not VR.UI]
    assert {str(one.path) for one in others} == EXPECTED.get(name, set())
    assert all(one.kind is FindingKind.FORMAT for one in findings if one.vr is VR.UI)


@given(st.lists(st.tuples(st.sampled_from(VR), st.binary(max_size=24)), max_size=8))
def test_any_bytes(fields: list[tuple[VR, bytes]]) -> None:
    """Whatever the elements hold, there are findings or none, and no exception."""
    parts = [
        element(0x0009, 0x1000 + number, str(vr).encode(), value)
        for number, (vr, value) in enumerate(fields)
        if not vr.has_long_length
    ]
    for finding in found(read(*parts)):
        assert str(finding.path).startswith("(0009,10")
        assert finding.reason


@pytest.mark.parametrize("looked_at", [False, True])
def test_another_character_set_than_it_was_read_in(looked_at: bool) -> None:
    """Text is decoded as it was read, and only has to fit the character set it will be in."""
    dataset = read(
        element(0x0008, 0x0005, b"CS", b"ISO_IR 100"),
        element(0x0010, 0x0020, b"LO", "Zoë ".encode("latin-1")),
    )
    if looked_at:
        assert dataset["PatientID"] == "Zoë"
    dataset["SpecificCharacterSet"] = "ISO_IR 192"
    assert validate_dataset(dataset).unwrap() == ()
    dataset["SpecificCharacterSet"] = "ISO_IR 144"
    (finding,) = validate_dataset(dataset, ValidationMode.LENIENT).unwrap()
    assert (finding.tag, finding.kind) == (0x00100020, FindingKind.REPERTOIRE)
    assert "U+00EB" in finding.reason

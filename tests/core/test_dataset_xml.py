"""Native DICOM Model XML, both ways (PS3.19 A.1)."""

from __future__ import annotations

import math
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.model_values import MAX_MODEL_NESTING, BulkDataReference
from pacs_sdk.core.results import Success
from pacs_sdk.core.vr import VR

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel '
    'xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">'
)
TAIL = "</NativeDicomModel>"


def read(inner: str) -> DicomDataset:
    """Read a data set that is right, from what stands inside its root."""
    return DicomDataset.from_xml(HEAD + inner + TAIL).unwrap()


# Assembled by hand from the tables of PS3.19 A.1.5 (A.1.5-2 to A.1.5-7).
WHOLE = (
    '<DicomAttribute tag="00080005" vr="CS" keyword="SpecificCharacterSet">'
    '<Value number="1">ISO_IR 192</Value></DicomAttribute>'
    '<DicomAttribute tag="00080061" vr="CS" keyword="ModalitiesInStudy">'
    '<Value number="1">CT</Value><Value number="2">PET</Value></DicomAttribute>'
    '<DicomAttribute tag="00090010" vr="LO"><Value number="1">ACME 1.1</Value></DicomAttribute>'
    '<DicomAttribute tag="00091002" vr="UN" privateCreator="ACME 1.1">'
    "<InlineBinary>z0x9c8v7</InlineBinary></DicomAttribute>"
    '<DicomAttribute tag="00100010" vr="PN" keyword="PatientName"><PersonName number="1">'
    "<Alphabetic><FamilyName>Wang</FamilyName><GivenName>XiaoDong</GivenName></Alphabetic>"
    "<Ideographic><FamilyName>王</FamilyName><GivenName>小東</GivenName></Ideographic>"
    "</PersonName></DicomAttribute>"
    '<DicomAttribute tag="00100020" vr="LO" keyword="PatientID" />'
    '<DicomAttribute tag="00101002" vr="SQ" keyword="OtherPatientIDsSequence">'
    '<Item number="1"><DicomAttribute tag="00100020" vr="LO" keyword="PatientID">'
    '<Value number="1">a&lt;b&amp;c</Value></DicomAttribute></Item>'
    '<Item number="2" /></DicomAttribute>'
    '<DicomAttribute tag="00104000" vr="LT" keyword="PatientComments">'
    '<Value number="1"> two&#13;\nlines\\ </Value></DicomAttribute>'
    '<DicomAttribute tag="00280009" vr="AT" keyword="FrameIncrementPointer">'
    '<Value number="1">00181063</Value></DicomAttribute>'
    '<DicomAttribute tag="00280010" vr="US" keyword="Rows">'
    '<Value number="1">512</Value></DicomAttribute>'
    '<DicomAttribute tag="00280030" vr="DS" keyword="PixelSpacing">'
    '<Value number="1">0.50</Value><Value number="2">1</Value></DicomAttribute>'
)


def test_whole_model() -> None:
    """Each kind of attribute is read, and written as it stands."""
    dataset = read(WHOLE)
    assert dataset.get_strings("ModalitiesInStudy") == Success(("CT", "PET"))
    assert dataset.get_path('(0009,"ACME 1.1",02)') == Success(bytes.fromhex("cf4c7d73cbfb"))
    assert dataset["PatientName"] == "Wang^XiaoDong=王^小東"
    assert dataset.get_path("OtherPatientIDsSequence[0].PatientID") == Success("a<b&c")
    assert dataset.get_string("PatientComments") == Success(" two\r\nlines\\ ")
    assert dataset["FrameIncrementPointer"] == 0x00181063
    assert dataset.get_floats("PixelSpacing") == Success((0.5, 1.0))
    assert dataset.to_xml() == Success(HEAD + WHOLE + TAIL)
    assert DicomDataset.from_xml((HEAD + WHOLE + TAIL).encode()) == Success(dataset)


def test_many_values_cannot_be_left_out() -> None:
    """Numbers may skip 32 values of an attribute and no more: nobody has so many empty ones."""
    skipped = '<DicomAttribute tag="00080060" vr="CS"><Value number="%d"/></DicomAttribute>'
    assert len(read(skipped % 33)["Modality"]) == 33
    error = DicomDataset.from_xml(HEAD + skipped % 34 + TAIL).failure()
    assert error.code is ErrorCode.DECODE_FAILED
    assert "value 34 does not follow value 0" in error.message


def test_character_set_of_another_vr() -> None:
    """Specific Character Set is written as the CS it is, whatever its VR was damaged to."""
    damaged = '<DicomAttribute tag="00080005" vr="IS"><Value number="1">7</Value></DicomAttribute>'
    text = read(damaged).to_xml().unwrap()
    assert DicomDataset.from_xml(text).unwrap()["SpecificCharacterSet"] == "ISO_IR 192"


def test_values_may_be_left_out() -> None:
    """Numbers say which value is which; one that is left out is empty."""
    dataset = read(
        '<DicomAttribute tag="00080008" vr="CS"><Value number="1">A</Value>'
        '<Value number="3">C</Value></DicomAttribute>'
    )
    assert dataset.get_strings("ImageType") == Success(("A", "", "C"))


def test_private_elements_go_to_their_block() -> None:
    """The creator says whose an element is; its block is the creator's, or a free one."""
    dataset = read(
        '<DicomAttribute tag="00090002" vr="LO" privateCreator="ACME"><Value number="1">x</Value>'
        '</DicomAttribute><DicomAttribute tag="00091003" vr="LO" privateCreator="NEW"/>'
        '<DicomAttribute tag="00090010" vr="LO"><Value number="1">OTHER</Value></DicomAttribute>'
        '<DicomAttribute tag="00090012" vr="LO"><Value number="1">ACME</Value></DicomAttribute>'
    )
    assert [str(tag) for tag in dataset] == [
        "(0009,0010)",
        "(0009,0011)",
        "(0009,0012)",
        "(0009,1103)",
        "(0009,1202)",
    ]


def test_numbers_that_are_none() -> None:
    """IEEE numbers without end, and without value, are kept."""
    dataset = DicomDataset()
    dataset.set(0x00091001, [math.inf, -math.inf, math.nan, 0.1], "FD").unwrap()
    again = DicomDataset.from_xml(dataset.to_xml().unwrap()).unwrap()
    assert again.diff(dataset) == Success(())


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<NativeDicomModel>&b;</NativeDicomModel>"
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "<!DOCTYPE NativeDicomModel><NativeDicomModel/>",
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><NativeDicomModel/>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///x">]><NativeDicomModel>&a;</NativeDicomModel>',
        '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1/"> %a;]><NativeDicomModel/>',
        "<NativeDicomModel>&undeclared;</NativeDicomModel>",
    ],
)
def test_document_types_are_refused(text: str) -> None:
    """No entity is expanded and nothing is fetched: a document type is refused at once."""
    assert DicomDataset.from_xml(text).failure().code is ErrorCode.DECODE_FAILED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "<a/>",
        "<NativeDicomModel>",
        '<NativeDicomModel xmlns="urn:other"/>',
        b'<?xml version="1.0" encoding="no-such"?><NativeDicomModel/>',
        b"<NativeDicomModel>\xff</NativeDicomModel>",
        "<NativeDicomModel>\ud800</NativeDicomModel>",
        "<NativeDicomModel><Value/></NativeDicomModel>",
        "<NativeDicomModel><DicomAttribute/></NativeDicomModel>",
        '<NativeDicomModel><DicomAttribute tag="PatientID"/></NativeDicomModel>',
    ],
    ids=range(11),
)
def test_text_that_is_no_model(text: str | bytes) -> None:
    """What isn't a Native DICOM Model is refused."""
    assert DicomDataset.from_xml(text).failure().code is ErrorCode.DECODE_FAILED


@pytest.mark.parametrize(
    ("vr", "inner"),
    [
        ("ZZ", ""),
        ("LO", "<Item/>"),
        ("LO", "<Value/>"),
        ("LO", '<Value number="0">x</Value>'),
        ("LO", '<Value number="-1">x</Value>'),
        ("LO", '<Value number="1">x</Value><Value number="1">x</Value>'),
        ("LO", '<Value number="999999999">x</Value>'),
        ("LO", '<Value number="99999999999999">x</Value>'),
        ("LO", '<Value number="1"><b/></Value>'),
        ("LO", '<Value number="1">x</Value><InlineBinary/>'),
        ("LT", '<Value number="1">x</Value><Value number="2">y</Value>'),
        ("US", '<Value number="1">65536</Value>'),
        ("US", '<Value number="1"></Value>'),
        ("FD", '<Value number="1">x</Value>'),
        ("AT", '<Value number="1">PatientID</Value>'),
        ("OB", '<Value number="1">x</Value>'),
        ("OB", "<InlineBinary>?</InlineBinary>"),
        ("OB", "<InlineBinary/><InlineBinary/>"),
        ("SQ", '<Item number="2"/>'),
        ("SQ", '<BulkData uri="x"/>'),
        ("PN", '<Value number="1">x</Value>'),
        ("PN", '<PersonName number="1"><Other/></PersonName>'),
        ("PN", '<PersonName number="1"><Phonetic><Other/></Phonetic></PersonName>'),
    ],
)
def test_attributes_that_can_not_be(vr: str, inner: str) -> None:
    """An attribute that fits no VR is refused, and its path is named."""
    text = (
        f'{HEAD}<DicomAttribute tag="0040A168" vr="SQ"><Item number="1">'
        f'<DicomAttribute tag="00091001" vr="{vr}">{inner}</DicomAttribute>'
        f"</Item></DicomAttribute>{TAIL}"
    )
    error = DicomDataset.from_xml(text).failure()
    assert error.code is ErrorCode.DECODE_FAILED
    assert "ConceptCodeSequence[0].(0009,1001)" in error.message


@pytest.mark.parametrize("creator", ["", "ACME"])
def test_repeated_elements_are_refused(creator: str) -> None:
    """An element that is given twice could mean either."""
    one = f'<DicomAttribute tag="00091001" vr="LO" privateCreator="{creator}"/>'
    error = DicomDataset.from_xml(HEAD + one + one + TAIL).failure()
    assert error.code is ErrorCode.DECODE_FAILED
    assert "twice" in error.message


@pytest.mark.parametrize("depth", [MAX_MODEL_NESTING, 100_000])
def test_nesting_is_bounded(depth: int) -> None:
    """Sequences nested without end stop at a limit."""
    opened = '<DicomAttribute tag="0040A168" vr="SQ"><Item number="1">' * depth
    text = HEAD + opened + "</Item></DicomAttribute>" * depth + TAIL
    assert DicomDataset.from_xml(text).failure().code is ErrorCode.LIMIT_EXCEEDED


def test_nesting_within_the_bound() -> None:
    """The deepest data set that may be is written and read."""
    dataset = DicomDataset()
    for _ in range(MAX_MODEL_NESTING - 1):
        dataset = DicomDataset(ConceptCodeSequence=[dataset])
    assert DicomDataset.from_xml(dataset.to_xml().unwrap()) == Success(dataset)
    deeper = DicomDataset(ConceptCodeSequence=[dataset])
    assert deeper.to_xml().failure().code is ErrorCode.LIMIT_EXCEEDED


def test_characters_that_xml_has_not() -> None:
    """A form feed may stand in DICOM text and in no XML: its path is named."""
    dataset = DicomDataset(PatientComments="page\fpage")
    error = dataset.to_xml().failure()
    assert (error.code, error.details) == (ErrorCode.ENCODE_FAILED, {"path": "PatientComments"})
    assert "0x000c" in error.message


def test_bulk_data() -> None:
    """Binary values may be kept elsewhere and fetched again."""
    dataset = DicomDataset(EncapsulatedDocument=b"%PDF")
    text = dataset.to_xml(lambda data: f"store:{data.path}").unwrap()
    assert '<BulkData uri="store:EncapsulatedDocument" />' in text
    asked: list[BulkDataReference] = []

    def fetch(reference: BulkDataReference) -> bytes:
        asked.append(reference)
        return b"%PDF"

    assert DicomDataset.from_xml(text, fetch) == Success(dataset)
    assert [(str(one.path), one.vr) for one in asked] == [("EncapsulatedDocument", VR.OB)]
    assert DicomDataset.from_xml(text).failure().code is ErrorCode.MISSING_REQUIRED_VALUE


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "nested_priv_SQ.dcm"])
def test_files_and_back(name: str) -> None:
    """Real files come back the same, but for the character set."""
    dataset = DicomDataset(pydicom.dcmread(Path(str(get_testdata_file(name)))))
    again = DicomDataset.from_xml(dataset.to_xml().unwrap()).unwrap()
    different = [str(one.path) for one in dataset.diff(again).unwrap()]
    assert different in ([], ["SpecificCharacterSet"])


_TEXT = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="\\=^"), min_size=1
) | st.sampled_from(["a\rb", "a\r\nb", "]]>", "<a>&amp;", '"'])


@given(
    st.lists(_TEXT, max_size=3),
    st.lists(_TEXT, max_size=3),
    st.lists(st.floats(), max_size=3),
    st.binary(max_size=20),
)
def test_any_data_set_and_back(
    texts: list[str], names: list[str], numbers: list[float], data: bytes
) -> None:
    """Text, names, numbers and bytes are written and read back the same."""
    item = DicomDataset()
    for tag, value, vr in (
        (0x00111001, texts, "UC"),
        (0x00111002, names, "PN"),
        (0x00111003, numbers, "FD"),
        (0x00111004, data, "OB"),
    ):
        item.set(tag, value, vr).unwrap()
    dataset = DicomDataset(ConceptCodeSequence=[item, DicomDataset()])
    again = DicomDataset.from_xml(dataset.to_xml().unwrap()).unwrap()
    assert again.diff(dataset) == Success(())


@given(st.text() | st.binary())
def test_any_text(text: str | bytes) -> None:
    """Any text is refused, or a data set; never an exception."""
    for whole in (
        text,
        HEAD.encode() + text + TAIL.encode() if isinstance(text, bytes) else HEAD + text + TAIL,
    ):
        result = DicomDataset.from_xml(whole)
        assert result.map(len).value_or(0) == 0


def test_xml_is_text() -> None:
    """What is no text is refused, and no exception."""
    error = DicomDataset.from_xml(None).failure()  # type: ignore[arg-type]
    assert error.code is ErrorCode.DECODE_FAILED

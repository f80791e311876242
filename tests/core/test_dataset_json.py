"""DICOM JSON, both ways (PS3.18 Annex F)."""

from __future__ import annotations

import json
import math
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import config
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.model_values import MAX_MODEL_NESTING, BulkData, BulkDataReference
from pacs_sdk.core.results import Success
from pacs_sdk.core.vr import VR

# PS3.18 F.4, the first study of its example, and its null, PN and bulk data forms.
STUDY = """{
  "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
  "00080020": {"vr": "DA", "Value": ["20130409"]},
  "00080030": {"vr": "TM", "Value": ["131600.0000"]},
  "00080050": {"vr": "SH", "Value": ["11235813"]},
  "00080061": {"vr": "CS", "Value": ["CT", "PET"]},
  "00080090": {"vr": "PN", "Value": [{"Alphabetic": "^Bob^^Dr."}]},
  "00091002": {"vr": "UN", "InlineBinary": "z0x9c8v7"},
  "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Wang^XiaoDong",
                                      "Ideographic": "王^小東"}]},
  "00100020": {"vr": "LO", "Value": ["12345"]},
  "00100021": {"vr": "LO", "Value": ["Hospital A"]},
  "00100030": {"vr": "DA", "Value": ["19670701"]},
  "00100040": {"vr": "CS", "Value": ["M"]},
  "00101002": {"vr": "SQ", "Value": [
      {"00100020": {"vr": "LO", "Value": ["54321"]},
       "00100021": {"vr": "LO", "Value": ["Hospital B"]}},
      {"00100020": {"vr": "LO", "Value": ["24680"]},
       "00100021": {"vr": "LO", "Value": ["Hospital C"]}}]},
  "0020000D": {"vr": "UI", "Value": ["1.2.392.200036.9116.2.2.2.1762893313.1029997326.945873"]},
  "00200010": {"vr": "SH", "Value": ["11235813"]},
  "00201206": {"vr": "IS", "Value": [4]},
  "00201208": {"vr": "IS", "Value": [942]}
}"""


def read(model: dict[str, Any] | str) -> DicomDataset:
    """Read a data set that is right."""
    return DicomDataset.from_json(model).unwrap()


def test_the_example_of_the_standard() -> None:
    """PS3.18 F.4 is read, and written as it stands there."""
    dataset = read(STUDY)
    assert dataset.get_strings("ModalitiesInStudy") == Success(("CT", "PET"))
    assert dataset["PatientName"].ideographic == "王^小東"
    assert dataset.get_path("OtherPatientIDsSequence[1].IssuerOfPatientID") == Success("Hospital C")
    assert dataset.get_int("NumberOfStudyRelatedInstances") == Success(942)
    assert dataset.get_bytes(0x00091002) == Success(bytes.fromhex("cf4c7d73cbfb"))
    assert dataset.to_json_model() == Success(json.loads(STUDY))
    assert json.loads(dataset.to_json().unwrap()) == json.loads(STUDY)
    assert read(json.dumps([json.loads(STUDY)])) == dataset


@pytest.mark.parametrize(
    ("tag", "attribute", "values"),
    [
        ("00100020", {"vr": "LO"}, ()),  # F.2.5: empty, but there
        ("00081030", {"vr": "LO", "Value": ["a"]}, ("a",)),
        ("00080008", {"vr": "CS", "Value": ["A", None, "C"]}, ("A", "", "C")),
        ("00280030", {"vr": "DS", "Value": [0.5, 1]}, (0.5, 1)),
        ("00280009", {"vr": "AT", "Value": ["00181063", "0018106A"]}, (0x00181063, 0x0018106A)),
        ("00091001", {"vr": "UV", "Value": ["18446744073709551615"]}, (2**64 - 1,)),
        ("00091001", {"vr": "SV", "Value": [-5]}, (-5,)),
        ("00091001", {"vr": "FD", "Value": ["inf", "-inf", 0.1]}, (math.inf, -math.inf, 0.1)),
        ("00101001", {"vr": "PN", "Value": [{"Alphabetic": "A"}, None]}, ("A", "")),
        ("00101001", {"vr": "PN", "Value": [{"Phonetic": "P"}]}, ("==P",)),
        ("00104000", {"vr": "LT", "Value": ["C:\\x\r\n"]}, ("C:\\x\r\n",)),
        ("00420011", {"vr": "OB", "InlineBinary": "JVBERg=="}, (b"%PDF",)),
        ("0040A168", {"vr": "SQ", "Value": [{}]}, (DicomDataset(),)),
    ],
)
def test_values(tag: str, attribute: dict[str, Any], values: tuple[object, ...]) -> None:
    """Each kind of value is read, and written the same (PS3.18 F.2.2 to F.2.7)."""
    dataset = read({tag: attribute})
    assert dataset.element(tag).unwrap().values == values
    assert dataset.to_json_model() == Success({tag: attribute})


@pytest.mark.parametrize(
    ("attribute", "values"),
    [
        ({"vr": "LO", "Value": []}, ()),
        ({"vr": "LO", "Value": [None]}, ()),
        ({"vr": "PN", "Value": ["Doe^Jon=x"]}, ("Doe^Jon=x",)),  # before groups existed
        ({"vr": "DS", "Value": ["2.50"]}, (2.5,)),
        ({"vr": "IS", "Value": ["7", 8.0]}, (7, 8)),
        ({"vr": "OB", "InlineBinary": ""}, ()),
        ({"Value": ["x"], "vr": "LO", "Comment": 1}, ("x",)),
    ],
)
def test_tolerance(attribute: dict[str, Any], values: tuple[object, ...]) -> None:
    """What other writers do, and says the same, is read too."""
    assert read({"00091001": attribute}).element(0x00091001).unwrap().values == values


@pytest.mark.parametrize(
    ("text", "written"),
    [("0001", 1), ("+7", 7), ("-03", -3), (" 5 ", 5), ("1.0", 1), ("9" * 17, 99999999999999999.0)],
)
def test_integer_strings_are_whole_numbers(text: str, written: float) -> None:
    """However an IS is padded, its number is 1 and not 1.0, which many readers refuse."""
    dataset = read({"00200013": {"vr": "IS", "Value": [text]}})
    (number,) = dataset.to_json_model().unwrap()["00200013"]["Value"]
    assert (number, type(number)) == (written, type(written))


def test_unknown_vr_of_a_known_attribute_is_kept() -> None:
    """Bytes that another writer gave as UN stay such, and are not taken for text."""
    model = {
        "00080016": {"vr": "UI", "Value": ["1.2"]},
        "00100020": {"vr": "UN", "InlineBinary": "aWQxIA=="},
        "00280009": {"vr": "UN", "InlineBinary": "GABjEA=="},
        "00280010": {"vr": "UN", "InlineBinary": "AAI="},
    }
    dataset = read(model)
    assert dataset.get_bytes("PatientID") == Success(b"id1 ")
    assert dataset.to_json_model() == Success(model)
    merged = read({"00080016": model["00080016"]}).merge(dataset).unwrap()
    assert merged.to_json_model() == Success(model)


def test_vr_from_the_dictionary() -> None:
    """A known element without its VR has the dictionary's."""
    assert read({"00280010": {"Value": [512]}})["Rows"] == 512


NOT_JSON = [
    "",
    "{",
    "[]",
    "[{}, {}]",
    "1",
    '{"00100020": {"vr": "LO"}, "00100020": {"vr": "LO"}}',
    b"\xff\xff\xff",
    '{"00280010": {"vr": "US", "Value": [' + "9" * 5000 + "]}}",
]


@pytest.mark.parametrize("text", NOT_JSON, ids=range(len(NOT_JSON)))
def test_text_that_is_no_data_set(text: str | bytes) -> None:
    """Text that isn't one JSON object is refused."""
    assert DicomDataset.from_json(text).failure().code is ErrorCode.DECODE_FAILED


@pytest.mark.parametrize(
    "attribute",
    [
        None,
        [],
        {"vr": "ZZ"},
        {"vr": 7},
        {"vr": []},
        {"vr": "LO", "Value": "x"},
        {"vr": "LO", "Value": [7]},
        {"vr": "LO", "Value": [["x"]]},
        {"vr": "LO", "InlineBinary": "eA=="},
        {"vr": "LO", "Value": ["x"], "BulkDataURI": "x"},
        {"vr": "LO", "BulkDataURI": 7},
        {"vr": "OB", "Value": ["x"]},
        {"vr": "OB", "InlineBinary": "not base64"},
        {"vr": "OB", "InlineBinary": "é"},
        {"vr": "OB", "InlineBinary": 7},
        {"vr": "US", "Value": [65536]},
        {"vr": "US", "Value": [-1]},
        {"vr": "US", "Value": [1.5]},
        {"vr": "US", "Value": [True]},
        {"vr": "US", "Value": [1, None]},
        {"vr": "SV", "Value": ["9223372036854775808"]},
        {"vr": "FL", "Value": [1e39]},
        {"vr": "FL", "Value": ["x"]},
        {"vr": "FL", "Value": [{}]},
        {"vr": "IS", "Value": [2147483648]},
        {"vr": "IS", "Value": [1e400]},
        {"vr": "AT", "Value": ["PatientID"]},
        {"vr": "AT", "Value": [1]},
        {"vr": "LT", "Value": ["a", "b"]},
        {"vr": "PN", "Value": [7]},
        {"vr": "PN", "Value": [{"Alphabetic": 7}]},
        {"vr": "SQ", "Value": ["x"]},
        {"vr": "SQ", "Value": [{"x": {}}]},
        {"vr": "SQ", "BulkDataURI": "x"},
    ],
    ids=str,
)
def test_attributes_that_can_not_be(attribute: object) -> None:
    """An attribute that fits no VR is refused, and its path is named."""
    model = {"0040A168": {"vr": "SQ", "Value": [{}, {"00091001": attribute}]}}
    error = DicomDataset.from_json(model).failure()
    assert error.code is ErrorCode.DECODE_FAILED
    if "is not a tag of" not in error.message:
        assert "ConceptCodeSequence[1].(0009,1001)" in error.message


@pytest.mark.parametrize("depth", [MAX_MODEL_NESTING, 5000, 200_000])
def test_nesting_is_bounded(depth: int) -> None:
    """Sequences nested without end stop at a limit, not at the end of the stack."""
    text = '{"0040A168":{"vr":"SQ","Value":[' * depth + "{}" + "]}}" * depth
    assert DicomDataset.from_json(text).failure().code is ErrorCode.LIMIT_EXCEEDED


def test_nesting_within_the_bound() -> None:
    """The deepest data set that may be is read and written."""
    depth = MAX_MODEL_NESTING - 1
    text = '{"0040A168":{"vr":"SQ","Value":[' * depth + "{}" + "]}}" * depth
    dataset = read(text)
    assert dataset.to_json() == Success(text)
    deeper = DicomDataset(ConceptCodeSequence=[dataset])
    assert deeper.to_json().failure().code is ErrorCode.LIMIT_EXCEEDED


# -- what is written ---------------------------------------------------------------------------


def test_left_out_and_character_set() -> None:
    """Group lengths are left out, and the character set is the text's own."""
    dataset = DicomDataset(SpecificCharacterSet="ISO_IR 100", PatientID="ü")
    dataset.set(0x00100000, 4, VR.UL).unwrap()
    model = dataset.to_json_model().unwrap()
    assert list(model) == ["00080005", "00100020"]
    assert model["00080005"]["Value"] == ["ISO_IR 192"]
    assert "ü" in dataset.to_json().unwrap()
    assert len(read({"00100000": {"vr": "UL"}, "00020010": {"vr": "UI"}})) == 0


def test_open_vrs_are_decided() -> None:
    """US or SS is decided by Pixel Representation, as PS3.5 A.2 says for encoding."""
    for signed, vr, value in ((0, "US", 65535), (1, "SS", -1)):
        plain = Dataset()
        plain.PixelRepresentation = signed
        plain.add(DataElement(0x00280106, "US or SS", b"\xff\xff"))
        model = DicomDataset(plain).to_json_model().unwrap()
        assert model["00280106"] == {"vr": vr, "Value": [value]}
    undecided = Dataset()
    undecided.add(DataElement(0x00283006, "US or OW", b"\1\2"))  # no LUT Descriptor
    assert DicomDataset(undecided).to_json_model().unwrap()["00283006"]["vr"] == "OW"
    undecided.add(DataElement(0x00283006, "US or OW", [1, 2]))
    model = DicomDataset(undecided).to_json_model().unwrap()
    assert model["00283006"] == {"vr": "US", "Value": [1, 2]}


def test_open_vrs_in_items() -> None:
    """An item has the Pixel Representation of the data set around it, in a view of it too."""
    item = Dataset()
    item.add(DataElement(0x00280106, "US or SS", b"\xff\xff"))
    top = DicomDataset(PixelRepresentation=1, ConceptCodeSequence=[item])
    expected = {"vr": "SS", "Value": [-1]}
    model = top.to_json_model().unwrap()
    assert model["0040A168"]["Value"][0]["00280106"] == expected
    (view,) = top["ConceptCodeSequence"]
    assert view.to_json_model().unwrap()["00280106"] == expected
    assert 'vr="SS"' in view.to_xml().unwrap()


def test_binary_is_little_endian() -> None:
    """Words that were read big endian are turned round (PS3.18 F.2.7)."""
    path = str(get_testdata_file("MR_small_bigendian.dcm"))
    twin = str(get_testdata_file("MR_small.dcm"))
    big, little = (DicomDataset(pydicom.dcmread(one)) for one in (path, twin))
    pixels = [one.to_json_model().unwrap()["7FE00010"]["InlineBinary"] for one in (big, little)]
    assert pixels[0] == pixels[1]


def test_values_that_do_not_fit() -> None:
    """A value outside its VR's range is named, not written."""
    plain = Dataset()
    plain.add(DataElement(0x00280010, "US", 70000, validation_mode=config.IGNORE))
    error = DicomDataset(plain).to_json().failure()
    assert (error.code, error.details) == (ErrorCode.ENCODE_FAILED, {"path": "Rows"})


def test_bulk_data() -> None:
    """Binary values may be kept elsewhere and fetched again, with their paths."""
    kept: dict[str, bytes] = {}

    def keep(data: BulkData) -> str | None:
        if data.vr is VR.OW:
            return None
        kept[str(data.path)] = data.data
        return f"store:{data.path}"

    def fetch(reference: BulkDataReference) -> bytes:
        assert reference.uri == f"store:{reference.path}"
        return kept[str(reference.path)]

    item = DicomDataset(EncapsulatedDocument=b"%PDF")
    item.set("RedPaletteColorLookupTableData", b"\1\2", "OW").unwrap()
    dataset = DicomDataset(ConceptCodeSequence=[item])
    text = dataset.to_json(keep).unwrap()
    assert list(kept) == ["ConceptCodeSequence[0].EncapsulatedDocument"]
    assert "AQI=" in text
    assert DicomDataset.from_json(text, fetch) == Success(dataset)
    error = DicomDataset.from_json(text).failure()
    assert error.code is ErrorCode.MISSING_REQUIRED_VALUE
    assert error.details["path"] == "ConceptCodeSequence[0].EncapsulatedDocument"


def test_bulk_data_of_other_vrs() -> None:
    """Any VR but SQ may be bulk data (F.2.6); a fetch that fails is a failure."""
    model = {
        "00280010": {"vr": "US", "BulkDataURI": "1"},
        "00104000": {"vr": "LT", "BulkDataURI": "2"},
    }
    values = {"1": b"\0\2", "2": "ü ".encode()}
    dataset = DicomDataset.from_json(model, lambda reference: values[reference.uri]).unwrap()
    assert dataset.get_int("Rows") == Success(512)
    assert dataset.get_string("PatientComments") == Success("ü")

    def broken(_reference: BulkDataReference) -> bytes:
        raise OSError("the share is gone")

    error = DicomDataset.from_json(model, broken).failure()
    assert error.code is ErrorCode.FILE_READ_FAILED


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "rtplan.dcm", "nested_priv_SQ.dcm", "reportsi.dcm"]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files_and_back(name: str) -> None:
    """Real files come back the same, but for the character set."""
    dataset = DicomDataset(pydicom.dcmread(str(get_testdata_file(name))))
    again = read(dataset.to_json().unwrap())
    different = [str(one.path) for one in dataset.diff(again).unwrap()]
    assert different in ([], ["SpecificCharacterSet"])


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "rtplan.dcm"])
def test_as_pydicom_writes_it(name: str) -> None:
    """Another implementation writes the same, but for the character set it leaves."""
    plain = pydicom.dcmread(str(get_testdata_file(name)))
    ours, theirs = DicomDataset(plain).to_json_model().unwrap(), plain.to_json_dict()
    for model in (ours, theirs):
        model.pop("00080005", None)
    assert ours == theirs


# -- any data set --------------------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="\\=^"), min_size=1)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "LO": _TEXT,
    "UC": _TEXT,
    "PN": _TEXT,
    "IS": st.integers(-(2**31), 2**31 - 1),
    "DS": st.floats(-1e6, 1e6).map(lambda number: f"{number:.8g}"),
    "FL": st.floats(width=32, allow_nan=False),
    "FD": st.floats(allow_nan=False),
    "US": st.integers(0, 2**16 - 1),
    "SL": st.integers(-(2**31), 2**31 - 1),
    "SV": st.integers(-(2**63), 2**63 - 1),
    "UV": st.integers(0, 2**64 - 1),
    "AT": st.integers(0, 2**32 - 1),
}
_ANY_ELEMENT = st.sampled_from(sorted(_VALUES)).flatmap(
    lambda vr: st.tuples(st.just(vr), st.lists(_VALUES[vr], max_size=4))
) | st.tuples(st.sampled_from(["OB", "UN", "OW"]), st.binary(max_size=9).map(lambda one: one * 2))


def dataset_of(elements: list[tuple[str, Any]]) -> DicomDataset:
    """Return a data set with elements of these VRs and values."""
    dataset = DicomDataset()
    for number, (vr, value) in enumerate(elements):
        dataset.set(0x00111000 + number, value, vr).unwrap()
    return dataset


ANY_DATASET = st.recursive(
    st.lists(_ANY_ELEMENT, max_size=5).map(dataset_of),
    lambda inner: st.tuples(st.lists(_ANY_ELEMENT, max_size=3), st.lists(inner, max_size=3)).map(
        lambda pair: dataset_of([*pair[0], ("SQ", pair[1])])
    ),
    max_leaves=5,
)


@given(ANY_DATASET)
def test_any_data_set_and_back(dataset: DicomDataset) -> None:
    """Any data set is written and read back the same."""
    assert read(dataset.to_json().unwrap()).diff(dataset) == Success(())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["00100010", "0040A168", "00091001", "vr", "Value", "InlineBinary"]),
            inner | st.sampled_from(sorted(VR.__members__)),
            max_size=3,
        )
    ),
)


@given(_JSON)
def test_any_json(model: object) -> None:
    """Any JSON is a data set or a failure, never an exception."""
    match DicomDataset.from_json(json.dumps(model)):
        case Success(dataset):
            assert isinstance(dataset, DicomDataset)
        case failed:
            assert failed.failure().code in (ErrorCode.DECODE_FAILED, ErrorCode.LIMIT_EXCEEDED)


def test_character_set_of_another_vr() -> None:
    """Specific Character Set is written as the CS it is, whatever its VR was damaged to."""
    damaged = DicomDataset.from_json('{"00080005": {"vr": "IS", "Value": [7]}}').unwrap()
    text = damaged.to_json().unwrap()
    assert json.loads(text) == {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}
    assert DicomDataset.from_json(text).unwrap()["SpecificCharacterSet"] == "ISO_IR 192"


@pytest.mark.parametrize(("vr", "text"), [("DS", "thin"), ("DS", "1,5"), ("IS", "1.5 cm")])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_text_that_is_no_number(vr: str, text: str) -> None:
    """What others wrote into DS and IS is kept in both directions; validation tells of it."""
    for values in ([text], ["1", text]):
        model = {"00091001": {"vr": vr, "Value": values}}
        dataset = DicomDataset.from_json(model).unwrap()
        assert dataset.get_strings(0x00091001).unwrap() == tuple(values)
        error = dataset.get_floats(0x00091001).failure()
        assert error.code is ErrorCode.VALUE_CONVERSION_FAILED
        written = dataset.to_json_model().unwrap()
        assert written["00091001"]["Value"][-1] == text
        assert DicomDataset.from_xml(dataset.to_xml().unwrap()).unwrap() == dataset


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
def test_numbers_beyond_53_bits(number: int) -> None:
    """SV and UV are text where a reader's floats would lose bits (PS3.18 Table F.2.3-1)."""
    vr = "SV" if number < 0 else "UV"
    dataset = DicomDataset()
    dataset.set(0x00091001, number, vr).unwrap()
    assert dataset.to_json_model().unwrap()["00091001"]["Value"] == [str(number)]
    for text in (f'["{number}"]', f"[{number}]"):
        back = DicomDataset.from_json(f'{{"00091001":{{"vr":"{vr}","Value":{text}}}}}').unwrap()
        assert back.get_int(0x00091001).unwrap() == number


def test_a_uri_is_text() -> None:
    """A function that keeps bulk data and returns something else is told so."""
    document = DicomDataset(EncapsulatedDocument=b"%PDF")
    error = document.to_json(lambda data: 5).failure()  # type: ignore[arg-type, return-value]
    assert error.code is ErrorCode.ENCODE_FAILED
    assert "EncapsulatedDocument" in error.message

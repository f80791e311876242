"""Data sets whose values and items are made when they are looked at."""

from __future__ import annotations

import copy
import pickle
import struct
from collections.abc import Iterator

import pydicom
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    ValidationMode,
    decode_dataset,
    encode_dataset,
    validate_dataset,
)
from pacs_sdk.encoding.charsets import DEFAULT_CHARACTER_SETS
from pacs_sdk.encoding.datasets import lazy_dataset, raw_values
from pacs_sdk.encoding.datasets.lazy_dataset import Inherited, LazyDataset, items_of
from pacs_sdk.encoding.datasets.raw_values import element_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd values

EXPLICIT = EXPLICIT_VR_LITTLE_ENDIAN


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """Lay out an element with a 16-bit length."""
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def sequence(tag: int, *items: bytes) -> bytes:
    """Lay out a sequence of known length, its items too."""
    content = b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item for item in items)
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, len(content)) + content


CODE = element(0x00080100, b"SH", b"T-1 ")
DATA = (
    element(0x00080005, b"CS", b"ISO_IR 192")
    + element(0x00080060, b"CS", b"CT")
    + sequence(0x00082218, CODE, CODE)
    + element(0x00100010, b"PN", "Bø^Åse".encode())
    + element(0x00180050, b"DS", b"1.500 ")
    + element(0x00200013, b"IS", b"007 ")
    + element(0x00280030, b"DS", b"0.50\\0.5")
)


def decoded(data: bytes = DATA) -> Dataset:
    """Decode into pydicom's data set."""
    return raised(decode_dataset(data, EXPLICIT)).pydicom


def raws_of(dataset: Dataset) -> Iterator[DataElement | RawDataElement]:
    """Look at elements without converting them."""
    return iter(dataset._dict.values())


def test_nothing_is_made_before_it_is_asked_for() -> None:
    """Sequences stay bytes too; asking for one element makes that one."""
    dataset = decoded()
    assert all(isinstance(one, RawDataElement) for one in raws_of(dataset))
    assert [item.CodeValue for item in dataset.AnatomicRegionSequence] == ["T-1", "T-1"]
    made = [one for one in raws_of(dataset) if isinstance(one, DataElement)]
    assert [one.keyword for one in made] == ["AnatomicRegionSequence"]


def test_values_know_the_text_they_had() -> None:
    """Numbers in text keep their digits, as pydicom's do, and so are written as they were."""
    dataset = decoded()
    assert (str(dataset.SliceThickness), str(dataset.InstanceNumber)) == ("1.500", "007")
    assert [str(one) for one in dataset.PixelSpacing] == ["0.50", "0.5"]
    assert dataset.PatientName.family_name == "Bø"


def test_looking_changes_no_byte() -> None:
    """A data set whose every value was looked at is written as it was read."""
    dataset = decoded()
    for one in dataset.iterall():
        assert one.value is not None
    assert raised(encode_dataset(dataset, EXPLICIT)) == DATA


def test_looking_at_what_is_no_number_changes_no_byte() -> None:
    """NaN equals nothing, not even itself, and still has the bytes it was read with."""
    data = element(0x00189087, b"FD", b"\1\0\0\0\0\0\xf4\x7f")  # a signalling NaN
    dataset = decoded(data)
    assert dataset.DiffusionBValue != dataset.DiffusionBValue  # NaN
    assert raised(encode_dataset(dataset, EXPLICIT)) == data


def test_a_changed_value_is_written_anew() -> None:
    """Set to another value, as a whole or in a list of values."""
    dataset = decoded()
    dataset.SliceThickness = 2
    assert b"DS\x04\x002.0 " in raised(encode_dataset(dataset, EXPLICIT))
    dataset = decoded()
    dataset.PixelSpacing[0] = 0.25  # in place
    assert b"0.25\\0.5" in raised(encode_dataset(dataset, EXPLICIT))


def test_a_number_in_other_digits_is_written_anew() -> None:
    """Who mends a number that is written too long gets what was set, though it is equal."""
    dataset = DicomDataset(decoded(element(0x00180050, b"DS", b"1.00000000000000000000")))
    assert dataset["SliceThickness"] == 1.0  # it was looked at before
    dataset["SliceThickness"] = 1.0
    assert raised(encode_dataset(dataset, EXPLICIT)) == element(0x00180050, b"DS", b"1.0 ")
    dataset = DicomDataset(decoded())
    assert dataset["InstanceNumber"] == 7
    dataset["InstanceNumber"] = 7
    assert element(0x00200013, b"IS", b"7 ") in raised(encode_dataset(dataset, EXPLICIT))


def test_another_character_set_rewrites_text() -> None:
    """Text nobody looked at is written in the character set the data set has now."""
    dataset = decoded()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    encoded = raised(encode_dataset(dataset, EXPLICIT))
    assert element(0x00100010, b"PN", "Bø^Åse".encode("latin-1")) in encoded
    assert str(decoded(encoded).PatientName) == "Bø^Åse"


def test_items_inherit_the_character_set() -> None:
    """Text in items is decoded by the Specific Character Set of the data set around them."""
    item = element(0x00080104, b"LO", "é ".encode())
    charset = element(0x00080005, b"CS", b"ISO_IR 192")
    dataset = decoded(charset + sequence(0x00082218, item))
    assert dataset.AnatomicRegionSequence[0].CodeMeaning == "é"


def test_copies_and_pickles_are_equal_and_independent() -> None:
    """A deep copy and an unpickled data set write the same bytes and share nothing."""
    for looked_at in (False, True):
        dataset = decoded()
        if looked_at:
            assert len(list(dataset.iterall())) > len(dataset)
        for other in (copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):  # noqa: S301  # our own bytes
            assert other == dataset
            assert raised(encode_dataset(other, EXPLICIT)) == DATA
            other.AnatomicRegionSequence[0].CodeValue = "T-2"
            assert dataset.AnatomicRegionSequence[0].CodeValue == "T-1"


def test_equality_goes_by_elements() -> None:
    """Pydicom's own data sets with equal elements are equal, from both sides."""
    dataset, plain = decoded(), Dataset()
    for one in dataset:
        plain.add(copy.deepcopy(one))
    assert dataset == plain
    assert plain == dataset
    plain.Modality = "MR"
    assert dataset != plain
    assert dataset != "a data set"


def test_slices_and_unknown_keys_are_pydicoms() -> None:
    """A slice is a data set; what is no tag or not there is a KeyError."""
    dataset = decoded()
    assert [one.keyword for one in dataset[0x00100000:0x00110000]] == ["PatientName"]
    for key in ("Nonsense", 0x00100040, "Rows"):
        with pytest.raises(KeyError):
            dataset[key]


def test_an_unchecked_sequence_is_checked_when_it_is_built() -> None:
    """Where there should be an item and is none, a typed error says so."""
    raw = RawDataElement(BaseTag(0x00082218), "SQ", 8, bytes(8), 100, False, True)
    with pytest.raises(PacsException, match="expected an item of a sequence at byte 100"):
        items_of(raw, Inherited(), checked=False)
    cut = raw._replace(value=b"\xfe\xff\x00\xe0" + struct.pack("<I", 9) + b"\0")
    with pytest.raises(PacsException, match="9 bytes are announced, 1 remain"):
        items_of(cut, Inherited(), checked=True)


@pytest.mark.parametrize("setting", ["use_DS_decimal", "datetime_conversion"])
def test_settings_of_pydicom_are_heeded(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks pydicom for other types gets them from our data sets too."""
    dataset, usual = decoded(), decoded()
    assert type(usual.SliceThickness).__name__ == "DSfloat"
    if setting == "use_DS_decimal":
        pydicom.config.DS_decimal(True)
        try:
            assert type(dataset.SliceThickness).__name__ == "DSdecimal"
        finally:
            pydicom.config.DS_decimal(False)
    else:
        monkeypatch.setattr(pydicom.config, setting, True)
        date = decoded(element(0x00080020, b"DA", b"20250101"))
        assert date.StudyDate.year == 2025


def test_types_of_another_pydicom_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed types are known; if they were not, pydicom would make the values."""
    assert raw_values.KNOWN_TYPES
    usual = decoded()
    monkeypatch.setattr(raw_values, "KNOWN_TYPES", False)
    monkeypatch.setattr(lazy_dataset, "element_of", None)  # not called any more
    assert decoded() == usual


CONVERTED = sorted(str(vr) for vr in VR if vr not in (VR.SQ, VR.UN))


@given(st.sampled_from(CONVERTED), st.binary(max_size=24), st.booleans())
def test_values_are_those_of_pydicom(vr: str, value: bytes, little: bool) -> None:
    """Whatever the bytes: what we convert equals what pydicom converts, type included.

    But for escape sequences, which we read as PS3.5 6.1.2.5 says, and pydicom otherwise.
    """
    assume(b"\x1b" not in value)
    raw = RawDataElement(BaseTag(0x00091001), vr, len(value), value or None, 0, False, little)
    ours = element_of(raw, DEFAULT_CHARACTER_SETS)
    if ours is None:
        return
    theirs = convert_raw_data_element(raw, encoding=["iso8859"], ds=Dataset())
    assert ours == theirs or repr(ours.value) == repr(theirs.value)  # NaN equals nothing
    assert type(ours.value) is type(theirs.value)
    assert ours.VM == theirs.VM


def test_a_lazy_data_set_is_what_reading_gives() -> None:
    """Data sets and items are of our class, an instance of pydicom's."""
    dataset = decoded()
    assert type(dataset) is type(dataset.AnatomicRegionSequence[0]) is LazyDataset


@pytest.mark.parametrize(
    "value",
    [
        b"no items, but ten and more",
        b"\xfe\xff\x00\xe0\x02\0\0\0ab",  # an item with two bytes, no element
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff",  # an item without its end
    ],
)
def test_unknown_vr_of_what_the_dictionary_calls_a_sequence(value: bytes) -> None:
    """UN is read as the sequence it should be; where it is none, that is an error."""
    data = b"\x28\x00\x10\x30UN\0\0" + struct.pack("<I", len(value)) + value  # VOI LUT Sequence
    dataset = raised(decode_dataset(data, EXPLICIT))
    for _ in range(2):  # the second time as well
        assert isinstance(dataset.get_items("VOILUTSequence"), Failure)
    (row,) = raised(decode_dataset(data, EXPLICIT)).rows()
    assert row[:3] == ("(0028,3010)", "UN", "VOILUTSequence")
    assert raised(encode_dataset(raised(decode_dataset(data, EXPLICIT)), EXPLICIT)) == data


def test_nesting_in_a_value_of_unknown_vr() -> None:
    """Items a thousand deep in such a value are an error and not the interpreter's end."""
    value = b""
    for _ in range(1000):
        inner = b"\x28\x00\x10\x30" + struct.pack("<I", len(value)) + value
        value = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner
    data = b"\x28\x00\x10\x30UN\0\0" + struct.pack("<I", len(value)) + value
    error = raised(decode_dataset(data, EXPLICIT)).get_items("VOILUTSequence").failure()
    assert error.code is ErrorCode.VALUE_CONVERSION_FAILED


def test_a_sequence_of_unknown_vr() -> None:
    """Items under UN are those of the sequence that the dictionary knows (PS3.5 6.2.2, Note 2)."""
    table = b"\x28\x00\x02\x30" + struct.pack("<I", 6) + struct.pack("<3H", 4, 0, 16)
    item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(table)) + table
    data = b"\x28\x00\x10\x30UN\0\0" + struct.pack("<I", len(item)) + item
    dataset = raised(decode_dataset(data, EXPLICIT))
    for _ in range(2):
        (found,) = raised(dataset.get_items("VOILUTSequence"))
        assert list(found["LUTDescriptor"]) == [4, 0, 16]
        assert isinstance(found.pydicom, LazyDataset)


def test_a_sequence_of_unknown_vr_with_an_element_that_cannot_be_read() -> None:
    """No half sequence of pydicom's stays behind: each access gives the same."""
    rows = b"\x28\x00\x03\x01QQ\2\0ab"  # Pixel Representation, of a VR that nobody knows
    item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(rows)) + rows
    data = b"\x28\x00\x10\x30UN\0\0" + struct.pack("<I", len(item)) + item
    dataset = raised(decode_dataset(data, EXPLICIT))
    for _ in range(2):
        for found in dataset.get_items("VOILUTSequence").value_or(()):
            assert isinstance(found.pydicom, LazyDataset)
    assert isinstance(validate_dataset(dataset, ValidationMode.LENIENT), Success)


def test_a_damaged_end_of_an_item_whose_length_looks_like_a_vr() -> None:
    """The item ends there for whoever checks the structure and for whoever builds it.

    Length 0x00005344 of the Item Delimitation Item is "DS" where a VR would stand.
    """
    data = (
        struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)
        + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
        + CODE
        + struct.pack("<HH2sH", 0xFFFE, 0xE00D, b"DS", 0)
        + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    )
    dataset = raised(decode_dataset(data, EXPLICIT))
    (item,) = raised(dataset.get_items("ContentSequence"))
    assert [tag.keyword for tag in item] == ["CodeValue"]


def test_the_row_of_an_element_without_a_value_that_cannot_be_converted() -> None:
    """Pydicom takes no value for one that is still in the file; a row shows what is there."""
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"UN", 0, 0)  # OB or OW: nothing says which
    dataset = raised(decode_dataset(pixels, EXPLICIT))
    ((_, vr, _, value),) = dataset.rows()
    assert vr == "UN"
    assert value.startswith("unreadable")


def test_a_private_creator_that_cannot_be_read() -> None:
    """It spoils no other element, nor the reading of a sequence that lies in its block."""
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    data = (
        element(0x00410010, b"FD", b"ACME")  # half a number
        + element(0x00411001, b"LO", b"text")
        + struct.pack("<HH2sHI", 0x0041, 0x1002, b"UN", 0, 0xFFFFFFFF)
        + item
    )
    dataset = raised(decode_dataset(data, EXPLICIT))
    assert dataset.get_string(0x00411001) == Success("text")
    assert len(raised(dataset.get_items(0x00411002))) == 1
    for create in (False, True):
        error = dataset.private_block(0x0041, "OTHER", create=create).failure()
        assert error.code is ErrorCode.VALUE_CONVERSION_FAILED

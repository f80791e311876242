"""Decoding data sets, on bytes laid out by hand."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    decode_dataset,
    encode_dataset,
)
from pacs_sdk.encoding.datasets import reader
from pacs_sdk.encoding.datasets.deflated import deflate
from pacs_sdk.encoding.datasets.elements import MAX_NESTING
from tests.encoding.dataset_vectors import VECTORS, Vector, un_sequence

vectors = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.syntax.name)

IMPLICIT = IMPLICIT_VR_LITTLE_ENDIAN
EXPLICIT = EXPLICIT_VR_LITTLE_ENDIAN

ITEM_BEGIN = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
ITEM_END = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
UNDEFINED = b"\xff\xff\xff\xff"


def implicit(tag: int, value: bytes) -> bytes:
    """Lay out an Implicit VR Little Endian element."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def explicit(tag: int, vr: bytes, value: bytes) -> bytes:
    """Lay out an Explicit VR Little Endian element with a 16-bit length."""
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def decoded(data: bytes, syntax: TransferSyntax = EXPLICIT) -> Dataset:
    """Decode what is known to be right, into pydicom's data set."""
    return raised(decode_dataset(data, syntax)).pydicom


@vectors
def test_values(vector: Vector) -> None:
    """Text, numbers, tags, words and nested sequences come out with value and VR."""
    dataset = decoded(vector.data, vector.syntax)
    assert [(element.keyword, str(element.VR)) for element in dataset] == [
        ("Modality", "CS"),
        ("PatientName", "PN"),
        ("PhysicalDeltaX", "FD"),
        ("DimensionIndexPointer", "AT"),
        ("Rows", "US"),
        ("ContentSequence", "SQ"),
        ("PixelData", "OW"),
    ]
    assert dataset.PatientName.family_name == "Doe"
    assert (dataset.PhysicalDeltaX, dataset.Rows) == (0.5, 0x0201)
    assert dataset.DimensionIndexPointer == 0x00200032
    order = "<" if vector.syntax.little_endian else ">"
    assert np.frombuffer(dataset.PixelData, f"{order}u2").tolist() == [1, 2]
    (item,) = dataset.ContentSequence
    (code,) = item.ConceptCodeSequence
    assert code.CodeValue == "T-1"


@vectors
def test_lengths_are_remembered(vector: Vector) -> None:
    """Which sequences and items had undefined length is kept, for writing them again."""
    dataset = decoded(vector.data, vector.syntax)
    assert dataset["ContentSequence"].is_undefined_length
    item = dataset.ContentSequence[0]
    assert item.is_undefined_length_sequence_item
    assert not item["ConceptCodeSequence"].is_undefined_length
    assert not item.ConceptCodeSequence[0].is_undefined_length_sequence_item
    original = (not vector.syntax.explicit_vr, vector.syntax.little_endian)
    assert dataset.original_encoding == item.original_encoding == original


@vectors
def test_values_stay_undecoded_until_looked_at(vector: Vector) -> None:
    """Elements are pydicom's raw ones, with their offsets, until someone asks."""
    dataset = decoded(vector.data, vector.syntax)
    raw = dataset.get_item("PatientName")

    assert raw.value == b"Doe^Jon "
    assert isinstance(raw, RawDataElement)
    offset = raw.value_tell
    assert vector.data[offset : offset + 8] == raw.value


@vectors
def test_every_cut_is_a_failure_or_honest(vector: Vector) -> None:
    """Cut anywhere, there are whole elements only, or a failure; never a short value."""
    whole = decoded(vector.data, vector.syntax)
    for length in range(len(vector.data)):
        match decode_dataset(vector.data[:length], vector.syntax):
            case Success(cut):
                assert all(cut.pydicom[tag] == whole[int(tag)] for tag in cut)
            case Failure(error):
                assert error.code is ErrorCode.TRUNCATED


@vectors
def test_trailing_bytes_are_left_out(vector: Vector) -> None:
    """What follows Pixel Data and is no element is left out."""
    whole = decoded(vector.data, vector.syntax)
    for rubbish in (b"\1", b"GARBAGE" * 9, b"\xff" * 40):
        dataset = decoded(vector.data + rubbish, vector.syntax)
        assert dataset == whole


@pytest.mark.parametrize(
    "before",
    [
        explicit(0x7FE00000, b"UL", b"\x14\0\0\0"),  # group length
        b"\xe0\x7f\x01\x00" + b"OV\0\0" + struct.pack("<I", 8) + bytes(8),  # offset table
    ],
)
def test_pixels_that_are_cut_off_after_others_of_their_group(before: bytes) -> None:
    """Only what follows Pixel Data itself may be no element; cut inside of it, there is a failure."""
    pixels = b"\xe0\x7f\x10\x00" + b"OB\0\0" + struct.pack("<I", 4) + b"\1\2\3\4"
    assert decoded(before + pixels + b"rubbish").PixelData == b"\1\2\3\4"
    for length in range(len(before) + 1, len(before + pixels)):
        error = decode_dataset((before + pixels)[:length], EXPLICIT).failure()
        assert error.code is ErrorCode.TRUNCATED


def test_elements_after_pixel_data_are_kept() -> None:
    """Padding and signatures after Pixel Data are elements like others."""
    padding = b"\xfc\xff\xfc\xff" + b"OB\x00\x00" + b"\x02\x00\x00\x00" + b"\0\0"
    assert 0xFFFCFFFC in decoded(VECTORS[1].data + padding)


def test_deflated() -> None:
    """A deflated data set is inflated first."""
    data = VECTORS[1].data
    assert decoded(deflate(data), DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN) == decoded(data)


@pytest.mark.parametrize("vr", [b"PN", b"LO", b"UI", b"DS", b"IS", b"US", b"FD", b"AT"])
def test_empty_values(vr: bytes) -> None:
    """A value of no bytes is empty: no text, no number."""
    element = decoded(explicit(0x00091001, vr, b""))[0x00091001]
    assert element.is_empty


def test_fragments_are_kept_whole() -> None:
    """Compressed Pixel Data is one value with its items, without the last delimiter."""
    items = b"\xfe\xff\x00\xe0" + bytes(4) + b"\xfe\xff\x00\xe0" + b"\x02\0\0\0" + b"\xff\xd8"
    header = b"\xe0\x7f\x10\x00" + b"OB" + b"\0\0" + UNDEFINED
    element = decoded(header + items + SEQUENCE_END)["PixelData"]
    assert element.value == items
    assert element.is_undefined_length


# -- character sets ------------------------------------------------------------------------


def test_items_inherit_the_character_set() -> None:
    """Text in an item decodes by the data set's character set, or by its own."""
    own = explicit(0x00080005, b"CS", b"ISO_IR 100") + explicit(0x00080104, b"LO", b"\xfc ")
    inherited = explicit(0x00080104, b"LO", b"\xc4 ")
    items = b"".join(
        b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item for item in (inherited, own)
    )
    sequence = b"\x40\x00\x68\xa1" + b"SQ\0\0" + struct.pack("<I", len(items)) + items
    dataset = decoded(explicit(0x00080005, b"CS", b"ISO_IR 126") + sequence)
    meanings = [item.CodeMeaning for item in dataset.ConceptCodeSequence]
    assert meanings == ["Δ", "ü"]


@pytest.mark.parametrize("value", [b"", b"KLINGON ", b"\xff\xff"])
def test_unknown_character_set(value: bytes) -> None:
    """A wrong Specific Character Set is no reason to fail, nor to warn."""
    data = explicit(0x00080005, b"CS", value) + explicit(0x00100010, b"PN", b"M\xfcller")
    assert decoded(data).PatientName == "Müller"


# -- VRs that have to be found out -------------------------------------------------------------


@pytest.mark.parametrize(("representation", "value"), [(0, 65535), (1, -1)])
def test_us_or_ss_by_pixel_representation(representation: int, value: int) -> None:
    """In Implicit VR such values are signed where pixels are, in earlier sequences too."""
    smallest = implicit(0x00280106, b"\xff\xff")
    item = ITEM_BEGIN + smallest + ITEM_END + SEQUENCE_END
    # (0008,2218) is a sequence that comes before Pixel Representation
    sequence = b"\x08\x00\x18\x22" + UNDEFINED + item
    data = sequence + implicit(0x00280103, struct.pack("<H", representation)) + smallest
    dataset = decoded(data, IMPLICIT)
    assert dataset.SmallestImagePixelValue == value
    assert dataset.AnatomicRegionSequence[0].SmallestImagePixelValue == value


@pytest.mark.parametrize("syntax", [EXPLICIT, EXPLICIT_VR_BIG_ENDIAN], ids=str)
def test_un_of_undefined_length_is_a_sequence(syntax: TransferSyntax) -> None:
    """Items under VR UN are Implicit VR Little Endian, in big endian too (PS3.5 6.2.2)."""
    dataset = decoded(un_sequence(syntax.little_endian), syntax)
    element = dataset[0x00091001]
    assert element.VR == "SQ"
    assert element.value[0].CodeValue == "T-1"


def test_private_sequences_in_implicit_vr() -> None:
    """A private element of undefined length is a sequence if it begins with an item."""
    header = b"\x09\x00\x01\x10" + UNDEFINED
    nested = header + ITEM_BEGIN + implicit(0x00080100, b"T-1 ") + ITEM_END + SEQUENCE_END
    for data in (nested, header + ITEM_BEGIN + nested + ITEM_END + SEQUENCE_END):
        assert decoded(data, IMPLICIT)[0x00091001].VR == "SQ"
    empty = decoded(header + SEQUENCE_END, IMPLICIT)[0x00091001]
    assert (empty.VR, len(empty.value)) == ("SQ", 0)


def test_unknown_vr_is_read_as_un() -> None:
    """A VR that PS3.5 doesn't have means no more than UN; the dictionary knows better."""
    dataset = decoded(explicit(0x00100020, b"ZZ", b"42") + explicit(0x00091001, b"ZZ", b"42"))
    assert (dataset["PatientID"].VR, dataset.PatientID) == ("LO", "42")
    assert dataset[0x00091001].value == b"42"


def test_wrong_syntax_is_seen_through() -> None:
    """A data set in the other of Implicit and Explicit VR than announced is still read."""
    implicit_vector, explicit_vector, _ = VECTORS
    assert decoded(explicit_vector.data, IMPLICIT) == decoded(explicit_vector.data)
    assert decoded(implicit_vector.data, EXPLICIT) == decoded(implicit_vector.data, IMPLICIT)


# -- hostile and damaged -------------------------------------------------------------------------


def sequence_of(items: bytes) -> bytes:
    """Lay out an explicit sequence of known length."""
    return b"\x40\x00\x30\xa7" + b"SQ\0\0" + struct.pack("<I", len(items)) + items


def test_item_longer_than_its_sequence() -> None:
    """An item may not reach beyond the sequence it lies in."""
    items = b"\xfe\xff\x00\xe0" + struct.pack("<I", 100) + bytes(8)
    error = decode_dataset(sequence_of(items) + bytes(200), EXPLICIT).failure()
    assert error.code is ErrorCode.TRUNCATED
    assert error.details == {"tag": "(FFFE,E000)", "offset": 12}


def test_element_longer_than_its_item() -> None:
    """An element may not reach beyond the item it lies in."""
    inner = struct.pack("<HH2sH", 0x0008, 0x0100, b"SH", 99) + b"T-1 "
    items = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner
    error = decode_dataset(sequence_of(items) + bytes(200), EXPLICIT).failure()
    assert error.code is ErrorCode.TRUNCATED
    assert error.details == {"tag": "(0008,0100)", "offset": 20}


def test_something_else_than_an_item() -> None:
    """Bytes that are no item where one is due are named with their offset."""
    error = decode_dataset(sequence_of(explicit(0x00100020, b"LO", b"42")), EXPLICIT).failure()
    assert error.code is ErrorCode.DECODE_FAILED
    assert error.details == {"tag": "(0010,0020)", "offset": 12}


def test_items_that_end_early() -> None:
    """A delimiter inside an item or sequence of known length ends it; the length rules."""
    inner = explicit(0x00080100, b"SH", b"T-1 ") + ITEM_END
    items = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner + SEQUENCE_END
    dataset = decoded(sequence_of(items) + explicit(0x00400244 | 0xA000, b"LO", b"42"))
    assert dataset.ContentSequence[0].CodeValue == "T-1"
    assert dataset[0x0040A244].value == "42"


def test_deepest_nesting() -> None:
    """Sequences nest to the limit and no deeper, whatever the recursion limit is."""

    def nested(depth: int) -> bytes:
        opening = b"\x40\x00\x30\xa7" + b"SQ\0\0" + UNDEFINED + ITEM_BEGIN
        return opening * depth + (ITEM_END + SEQUENCE_END) * depth

    item = decoded(nested(MAX_NESTING))
    for _ in range(MAX_NESTING):
        (item,) = item.ContentSequence
    for depth in (MAX_NESTING + 1, 100_000):
        error = decode_dataset(nested(depth), EXPLICIT).failure()
        assert error.code is ErrorCode.LIMIT_EXCEEDED


def test_number_of_items_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """More items than the limit are refused, before the data set is built."""
    monkeypatch.setattr(reader, "MAX_ITEMS", 100)
    item = b"\xfe\xff\x00\xe0" + bytes(4)
    assert len(decoded(sequence_of(item * 100)).ContentSequence) == 100
    error = decode_dataset(sequence_of(item * 101), EXPLICIT).failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED
    assert error.details["limit"] == 100


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=str)
def test_number_of_elements_is_limited(
    monkeypatch: pytest.MonkeyPatch, syntax: TransferSyntax
) -> None:
    """More elements than the limit are refused."""
    monkeypatch.setattr(reader, "MAX_ELEMENTS", 100)

    def data(count: int) -> bytes:
        tags = range(0x00091000, 0x00091000 + count)
        if syntax is IMPLICIT:
            return b"".join(implicit(tag, b"42") for tag in tags)
        return b"".join(explicit(tag, b"LO", b"42") for tag in tags)

    assert len(decoded(data(100), syntax)) == 100
    assert decode_dataset(data(101), syntax).failure().code is ErrorCode.LIMIT_EXCEEDED


def test_limits_hold_after_pixel_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many elements after Pixel Data aren't taken for harmless rubbish."""
    monkeypatch.setattr(reader, "MAX_ELEMENTS", 10)
    trailing = b"".join(explicit(0xFFFB0000 + number, b"LO", b"42") for number in range(10))
    error = decode_dataset(VECTORS[1].data + trailing, EXPLICIT).failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED


def test_announced_length_is_not_allocated() -> None:
    """A length of 4 GiB in a few bytes is an error that names the element, at once."""
    error = decode_dataset(b"\x09\x00\x01\x10" + b"OB\0\0" + b"\xfe\xff\xff\xff", EXPLICIT)
    assert error.failure().details == {"tag": "(0009,1001)", "offset": 0}


def test_a_value_of_undefined_length_that_is_empty() -> None:
    """OB of undefined length without a single item is no bytes; pydicom doesn't look for a file."""
    header = b"\x41\x00\x01\x10OB\0\0\xff\xff\xff\xff"  # (0041,1001), undefined length
    dataset = raised(decode_dataset(header + SEQUENCE_END, EXPLICIT))
    assert dataset.get_bytes(0x00411001) == Success(b"")
    assert [row[1] for row in dataset.rows()] == ["OB"]


def test_an_ambiguous_vr_that_nothing_decides() -> None:
    """Pixel Data without its VR and without Bits Allocated is unreadable, not a crash."""
    data = b"\xe0\x7f\x10\x00\x02\0\0\0ab"  # implicit, among elements with a VR
    before = b"\x08\x00\x60\x00CS\x02\x00CT"
    dataset = raised(decode_dataset(before + data, EXPLICIT))
    assert dataset.get_bytes("PixelData").failure().code is ErrorCode.VALUE_CONVERSION_FAILED
    again = raised(decode_dataset(before + data, EXPLICIT))
    assert next(again.rows())[3] == "CT"
    assert isinstance(raised(decode_dataset(before + data, EXPLICIT)).to_json(), Success)


def test_an_undefined_length_that_the_vr_cannot_have() -> None:
    """What has an undefined length and a VR that can't (PS3.5 7.1.1) stays bytes, as OB."""
    uid = b"\x28\x00\x99\x11" + UNDEFINED  # (0028,1199) is UI by the dictionary
    items = ITEM_BEGIN + implicit(0x00081150, b"1.2.840\0") + ITEM_END
    data = uid + items + SEQUENCE_END
    dataset = raised(decode_dataset(data, IMPLICIT))
    assert dataset.pydicom[0x00281199].VR == "OB"
    assert dataset.get_bytes(0x00281199) == Success(items)
    assert raised(decode_dataset(raised(encode_dataset(dataset, IMPLICIT)), IMPLICIT)) == dataset


def test_damage_in_a_short_nested_sequence_of_implicit_vr() -> None:
    """It is found when the data set is decoded, and not when the sequence is looked at."""
    damaged = implicit(0x0040A730, b"no items")  # Content Sequence by the dictionary
    inner = implicit(0x00080060, b"CT") + damaged
    item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner
    error = decode_dataset(implicit(0x00081115, item), IMPLICIT).failure()
    assert error.code is ErrorCode.DECODE_FAILED
    assert "expected an item" in error.message


def test_pydicom_writes_a_sequence_under_un_rightly() -> None:
    """Its items are implicit in an explicit data set (PS3.5 6.2.2), so pydicom must not copy them."""
    data = un_sequence(little=True)
    dataset = decoded(data)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, dataset)
    again = decoded(buffer.getvalue())
    assert again == dataset
    assert b"UN\0\0\xff\xff\xff\xff" not in buffer.getvalue()

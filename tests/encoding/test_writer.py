"""Encoding data sets, against bytes laid out by hand and against pydicom's reading."""

from __future__ import annotations

import io
import struct

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    decode_dataset,
    decode_frames,
    encode_dataset,
    part10_header,
    transfer_syntax,
)
from pacs_sdk.encoding.datasets.deflated import inflate
from pacs_sdk.encoding.datasets.writer import syntax_of
from tests.encoding.dataset_vectors import VECTORS, Vector

vectors = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.syntax.name)

IMPLICIT = IMPLICIT_VR_LITTLE_ENDIAN
EXPLICIT = EXPLICIT_VR_LITTLE_ENDIAN
BIG = EXPLICIT_VR_BIG_ENDIAN
NATIVE = (IMPLICIT, EXPLICIT, BIG, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


def example() -> Dataset:
    """Make the data set of the vectors from values."""
    code = Dataset()
    code.CodeValue = "T-1"
    content = Dataset()
    content.ConceptCodeSequence = Sequence([code])
    content.is_undefined_length_sequence_item = True
    dataset = Dataset()
    dataset.PixelRepresentation = 0  # taken out again; pydicom wants it for other elements
    dataset.Modality = "CT"
    dataset.PatientName = "Doe^Jon"
    dataset.PhysicalDeltaX = 0.5
    dataset.DimensionIndexPointer = 0x00200032
    dataset.Rows = 0x0201
    dataset.ContentSequence = Sequence([content])
    dataset["ContentSequence"].is_undefined_length = True
    dataset.BitsAllocated = 16
    dataset.add_new(0x7FE00010, "OW", struct.pack("<HH", 1, 2))
    del dataset.PixelRepresentation, dataset.BitsAllocated
    return dataset


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.syntax.name)
def test_values_become_the_vector(vector: Vector) -> None:
    """A data set made of values is laid out as the standard says."""
    assert raised(encode_dataset(example(), vector.syntax)) == vector.data


@vectors
@pytest.mark.parametrize("target", VECTORS, ids=lambda vector: vector.syntax.name)
def test_vectors_become_one_another(vector: Vector, target: Vector) -> None:
    """Decoded in one syntax and encoded in another, the bytes are that one's vector."""
    dataset = raised(decode_dataset(vector.data, vector.syntax))
    assert raised(encode_dataset(dataset, target.syntax)) == target.data


def test_untouched_elements_keep_their_bytes() -> None:
    """Changing one element leaves the others byte for byte, odd padding included."""
    odd = b"\x08\x00\x60\x00" + b"CS\x04\x00" + b" CT\0"
    name = b"\x10\x00\x10\x00" + b"PN\x04\x00" + b"Doe\0"
    dataset = raised(decode_dataset(odd + name, EXPLICIT))
    dataset["PatientName"] = "Roe"
    expected = odd + b"\x10\x00\x10\x00" + b"PN\x04\x00" + b"Roe "
    assert raised(encode_dataset(dataset, EXPLICIT)) == expected


@pytest.mark.parametrize("syntax", NATIVE, ids=str)
def test_the_callers_data_set_stays_as_it_is(syntax: TransferSyntax) -> None:
    """Encoding resolves ambiguous VRs and byte order in a copy."""
    vector = VECTORS[0]
    dataset = raised(decode_dataset(vector.data, IMPLICIT)).pydicom
    before = {tag: dataset.get_item(tag) for tag in dataset.keys()}  # noqa: SIM118  # raw
    raised(encode_dataset(dataset, syntax))
    after = {tag: dataset.get_item(tag) for tag in dataset.keys()}  # noqa: SIM118
    assert all(after[tag] is element for tag, element in before.items())


@pytest.mark.parametrize(
    ("vr", "width"), [("OW", 2), ("OF", 4), ("OL", 4), ("OD", 8), ("OV", 8), ("OB", 1)]
)
def test_words_change_their_byte_order(vr: str, width: int) -> None:
    """The words of OW and its like are swapped in big endian, bytes aren't (PS3.5 7.3)."""
    numbers = np.arange(1, 9, dtype=f"<u{width}")
    dataset = Dataset()
    dataset.add_new(0x00091001, vr, numbers.tobytes())
    little = raised(encode_dataset(dataset, EXPLICIT))
    big = raised(encode_dataset(raised(decode_dataset(little, EXPLICIT)), BIG))
    assert big[-8 * width :] == numbers.astype(f">u{width}").tobytes()
    assert raised(encode_dataset(raised(decode_dataset(big, BIG)), EXPLICIT)) == little


def test_words_in_items_change_their_byte_order() -> None:
    """So are those in the items of sequences, decoded or not."""
    item = Dataset()
    item.add_new(0x00091001, "OW", b"\1\0\2\0")
    dataset = Dataset()
    dataset.ContentSequence = [item]
    decoded = raised(decode_dataset(raised(encode_dataset(dataset, EXPLICIT)), EXPLICIT))
    assert raised(encode_dataset(decoded, BIG))[-4:] == b"\0\1\0\2"
    assert decoded["ContentSequence"][0][0x00091001] == b"\1\0\2\0"  # now it is decoded
    assert raised(encode_dataset(decoded, BIG))[-4:] == b"\0\1\0\2"


@pytest.mark.parametrize("made_big", [False, True])
def test_words_made_in_memory(made_big: bool) -> None:
    """Words of a new data set count as little endian, unless its file meta says big endian."""
    dataset = Dataset()
    dataset.add_new(0x00091001, "OW", b"\0\1" if made_big else b"\1\0")
    if made_big:
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    assert raised(encode_dataset(dataset, BIG))[-2:] == b"\0\1"
    assert raised(encode_dataset(dataset, EXPLICIT))[-2:] == b"\1\0"


def test_empty_values() -> None:
    """Elements without value are written with length 0, decoded or not."""
    data = b"".join(
        struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, 0)
        for tag, vr in ((0x00080060, b"CS"), (0x0018602C, b"FD"), (0x00201041, b"DS"))
    )
    dataset = raised(decode_dataset(data, EXPLICIT))
    assert raised(encode_dataset(dataset, EXPLICIT)) == data
    assert list(dataset.rows())
    assert raised(encode_dataset(dataset, EXPLICIT)) == data
    assert len(raised(encode_dataset(dataset, BIG))) == len(data)


def test_deflated() -> None:
    """A deflated data set inflates to the Explicit VR Little Endian one."""
    deflated = raised(encode_dataset(example(), DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN))
    assert len(deflated) % 2 == 0
    assert inflate(deflated) == VECTORS[1].data


def test_groups_that_are_no_data_set_are_left_out() -> None:
    """Command elements and file meta don't belong to a data set (PS3.5 7.1)."""
    dataset = example()
    dataset.add_new(0x00000002, "UI", "1.2.840.10008.1.1")
    dataset.add_new(0x00020010, "UI", "1.2.840.10008.1.2")
    assert raised(encode_dataset(dataset, EXPLICIT)) == VECTORS[1].data


def test_takes_both_kinds_of_data_set() -> None:
    """A DicomDataset and the pydicom.Dataset behind it encode the same."""
    dataset = example()
    assert encode_dataset(DicomDataset(dataset), EXPLICIT) == encode_dataset(dataset, EXPLICIT)


# -- Pixel Data and its syntax ------------------------------------------------------------


def compressed() -> Dataset:
    """Make a data set with one fragment of something, as pydicom's users do."""
    dataset = Dataset()
    dataset.PixelData = encapsulate([b"\xff\x4f\xff\x51"])
    dataset["PixelData"].VR = "OB"
    return dataset


JPEG_2000 = transfer_syntax(JPEG2000Lossless).unwrap()


def test_fragments_get_undefined_length() -> None:
    """Fragments that were just assigned are written with undefined length (PS3.5 A.4)."""
    dataset = compressed()
    encoded = raised(encode_dataset(dataset, JPEG_2000))
    assert encoded[:12] == b"\xe0\x7f\x10\x00" + b"OB\0\0" + b"\xff\xff\xff\xff"
    assert encoded[-8:] == b"\xfe\xff\xdd\xe0" + bytes(4)
    again = raised(decode_dataset(encoded, JPEG_2000))
    assert again[0x7FE00010] == dataset.PixelData
    assert not dataset["PixelData"].is_undefined_length


@pytest.mark.parametrize("syntax", NATIVE, ids=str)
def test_compressed_pixels_in_a_native_syntax(syntax: TransferSyntax) -> None:
    """Compressed Pixel Data cannot be written in a native syntax."""
    dataset = raised(decode_dataset(raised(encode_dataset(compressed(), JPEG_2000)), JPEG_2000))
    error = encode_dataset(dataset, syntax).failure()
    assert error.code is ErrorCode.ENCODE_FAILED
    assert syntax.name in error.message


def test_native_pixels_in_a_compressed_syntax() -> None:
    """Native Pixel Data cannot be written in a compressed syntax."""
    error = encode_dataset(example(), JPEG_2000).failure()
    assert error.code is ErrorCode.ENCODE_FAILED
    assert "not compressed" in error.message


# -- what cannot be written -----------------------------------------------------------------


def test_value_that_does_not_fit_its_vr() -> None:
    """A value that has no bytes in its VR is a failure in one line that names the tag."""
    dataset = Dataset()
    element = DataElement("Rows", "US", 70_000, validation_mode=pydicom.config.IGNORE)
    dataset.add(element)
    error = encode_dataset(dataset, EXPLICIT).failure()
    assert error.code is ErrorCode.ENCODE_FAILED
    assert "\n" not in error.message
    assert "(0028,0010)" in error.message


def test_ambiguous_vr_that_cannot_be_resolved() -> None:
    """A VR that depends on an absent attribute is a failure, not a guess."""
    dataset = Dataset()
    dataset.PixelData = b"\0\0"  # OB or OW, by Bits Allocated, which isn't there
    assert encode_dataset(dataset, EXPLICIT).failure().code is ErrorCode.ENCODE_FAILED


# -- which syntax a data set has ---------------------------------------------------------------


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG], ids=str)
def test_syntax_of_what_was_read(syntax: TransferSyntax) -> None:
    """A data set without file meta has the syntax it was read in."""
    vector = next(vector for vector in VECTORS if vector.syntax is syntax)
    assert syntax_of(raised(decode_dataset(vector.data, syntax)).pydicom) is syntax


def test_syntax_by_file_meta() -> None:
    """File meta decides where there is one; a data set made in memory is explicit."""
    dataset = Dataset()
    assert syntax_of(dataset) is EXPLICIT
    dataset.file_meta = FileMetaDataset()
    assert syntax_of(dataset) is EXPLICIT
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    assert syntax_of(dataset) is JPEG_2000


def test_implicit_elements_that_claim_to_be_explicit() -> None:
    """What pydicom read as implicit although the file says explicit is written rightly."""
    dataset = raised(decode_dataset(VECTORS[0].data, IMPLICIT)).pydicom
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    assert raised(encode_dataset(dataset, EXPLICIT)) == VECTORS[1].data


def test_pydicom_reads_what_is_written() -> None:
    """Pydicom's own reader gives back the values, in each native layout."""
    for vector in VECTORS:
        encoded = raised(encode_dataset(example(), vector.syntax))
        header = part10_header("1.2", "1.2.3", vector.syntax.uid)
        dataset = pydicom.dcmread(io.BytesIO(header + encoded))
        assert dataset.PatientName == "Doe^Jon"
        assert dataset.ContentSequence[0].ConceptCodeSequence[0].CodeValue == "T-1"


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("read", [False, True], ids=["made", "read"])
def test_pixels_survive_both_byte_orders(bits: int, read: bool) -> None:
    """Numbers wider than the words of OW are swapped whole, as they are decoded again."""
    pixels = np.arange(24, dtype=f"u{bits // 8}").reshape(1, 4, 6) * 7
    dataset = Dataset()
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = 4, 6
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    dataset.add_new(0x7FE00010, "OB" if bits == 8 else "OW", pixels.tobytes())
    if read:
        dataset = raised(
            decode_dataset(raised(encode_dataset(dataset, EXPLICIT)), EXPLICIT)
        ).pydicom
    big = raised(decode_dataset(raised(encode_dataset(dataset, BIG)), BIG))
    assert np.array_equal(raised(decode_frames(big)), pixels)
    for target in (EXPLICIT, IMPLICIT):
        back = raised(decode_dataset(raised(encode_dataset(big, target)), target))
        assert np.array_equal(raised(decode_frames(back)), pixels)


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.name)
@pytest.mark.slow
def test_values_longer_than_16_bits_can_say(syntax: TransferSyntax) -> None:
    """A contour of many points is written, in Explicit VR as UN (PS3.5 6.2.2), and read again."""
    original = DicomDataset(
        TableOfParameterValues=[0.5, -2.0] * 10_000,
        ContourData=[f"{number / 8:.3f}" for number in range(12_000)],
        PatientComments="x" * 70_000,
        SimpleFrameList=list(range(20_000)),
    )
    encoded = raised(encode_dataset(original, syntax))
    decoded = raised(decode_dataset(encoded, syntax))
    assert decoded == original
    assert decoded.get_floats("ContourData").unwrap()[-1] == 11_999 / 8
    assert raised(encode_dataset(decoded, syntax)) == encoded
    assert DicomDataset.from_json(raised(decoded.to_json())).unwrap() == original


NAME_READ = "Müller^Jörg"
SYNTAXES = (IMPLICIT, EXPLICIT, BIG)


def latin() -> Dataset:
    """Make a data set with text in Latin-1, in a sequence too."""
    item = Dataset()
    item.PatientComments = "ü"
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = NAME_READ
    dataset.ReferencedStudySequence = Sequence([item])
    return dataset


def texts_of(data: bytes, syntax: TransferSyntax) -> tuple[str, str]:
    """Read what :func:`latin` has, as anybody would."""
    found = raised(decode_dataset(data, syntax))
    return (
        raised(found.get_string("PatientName")),
        raised(found.get_string("ReferencedStudySequence[0].PatientComments")),
    )


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("looked_at", [False, True])
def test_another_character_set_for_text_that_was_read(
    syntax: TransferSyntax, looked_at: bool
) -> None:
    """Text is encoded anew where its VR is not written, too, and whether it was looked at or not."""
    dataset = raised(decode_dataset(raised(encode_dataset(latin(), syntax)), syntax))
    if looked_at:
        assert str(dataset["PatientName"]) == NAME_READ
    dataset["SpecificCharacterSet"] = "ISO_IR 192"
    written = raised(encode_dataset(dataset, syntax))
    assert NAME_READ.encode() in written
    assert texts_of(written, syntax) == (NAME_READ, "ü")


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("looked_at", [False, True])
def test_another_character_set_for_text_that_pydicom_read(
    syntax: TransferSyntax, looked_at: bool
) -> None:
    """As pydicom writes it: no bytes are repeated that mean something else now."""
    file = part10_header("1.2", "1.2.3", syntax.uid) + raised(encode_dataset(latin(), syntax))
    dataset = pydicom.dcmread(io.BytesIO(file))
    if looked_at:
        assert dataset.PatientName == NAME_READ
        assert dataset.ReferencedStudySequence
    dataset.SpecificCharacterSet = "ISO_IR 192"
    assert texts_of(raised(encode_dataset(dataset, syntax)), syntax) == (NAME_READ, "ü")


@pytest.mark.parametrize("looked_at", [False, True])
def test_another_character_set_for_text_of_unknown_vr(looked_at: bool) -> None:
    """A patient's name that came as UN is text to every reader with a dictionary."""
    declared = struct.pack("<HH2sH10s", 8, 5, b"CS", 10, b"ISO_IR 100")
    name = struct.pack("<HH2sHI", 0x10, 0x10, b"UN", 0, 4) + "Zoë ".encode("latin-1")
    dataset = raised(decode_dataset(declared + name, EXPLICIT))
    if looked_at:
        assert str(dataset["PatientName"]) == "Zoë"
    dataset["SpecificCharacterSet"] = "ISO_IR 192"
    written = raised(decode_dataset(raised(encode_dataset(dataset, EXPLICIT)), EXPLICIT))
    assert raised(written.get_string("PatientName")) == "Zoë"


def test_an_item_with_an_empty_character_set() -> None:
    """It is that of the data set around it; where text is encoded anew, it is left out."""
    text = struct.pack("<HH2sH2s", 0x10, 0x4000, b"LT", 2, "Ж ".encode("iso8859-5"))
    content = struct.pack("<HH2sH", 8, 5, b"CS", 0) + text
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content
    declared = struct.pack("<HH2sH10s", 8, 5, b"CS", 10, b"ISO_IR 144")
    sequence = struct.pack("<HH2sHI", 8, 0x1110, b"SQ", 0, len(item)) + item
    dataset = raised(decode_dataset(declared + sequence, EXPLICIT))
    assert raised(dataset.get_string("ReferencedStudySequence[0].PatientComments")) == "Ж"
    assert raised(encode_dataset(dataset, EXPLICIT)) == declared + sequence
    dataset["SpecificCharacterSet"] = "ISO_IR 192"
    encoded = raised(encode_dataset(dataset, EXPLICIT))
    file = io.BytesIO(part10_header("1.2", "1.2.3", EXPLICIT.uid) + encoded)
    assert pydicom.dcmread(file).ReferencedStudySequence[0].PatientComments == "Ж"


CREATOR = b"Philips Imaging DD 001"
PRIVATE_SEQUENCE = struct.pack("<HH", 0x2001, 0x105F)
"""A sequence by the private dictionary, of which a reader of Implicit VR knows nothing."""


def private_sequence(value: bytes) -> bytes:
    """Lay out the creator of a private block, and its sequence with a value, in Implicit VR."""
    creator = struct.pack("<HHI", 0x2001, 0x0010, len(CREATOR)) + CREATOR
    return creator + PRIVATE_SEQUENCE + struct.pack("<I", len(value)) + value


def test_what_is_no_private_sequence_stays_bytes() -> None:
    """It is written as UN, whose bytes are in Implicit VR Little Endian (PS3.5 6.2.2)."""
    dataset = raised(decode_dataset(private_sequence(b"no items"), IMPLICIT))
    written = raised(encode_dataset(dataset, EXPLICIT))
    assert written.endswith(PRIVATE_SEQUENCE + struct.pack("<2sHI", b"UN", 0, 8) + b"no items")


@pytest.mark.parametrize("inner", ["private", "standard"])
def test_private_sequences_nested_without_end(inner: str) -> None:
    """They are written as far as they can be read again, and what is deeper as bytes."""
    value = b""
    for _ in range(2000):
        standard = struct.pack("<HHI", 0x0008, 0x1115, len(value)) + value
        content = private_sequence(value) if inner == "private" else standard
        value = struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content
    dataset = raised(decode_dataset(private_sequence(value), IMPLICIT))
    written = raised(encode_dataset(dataset, EXPLICIT))
    assert written.count(b"UN") == 1
    assert written.endswith(value[-64:])
    raised(decode_dataset(written, EXPLICIT))

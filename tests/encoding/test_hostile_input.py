"""A megabyte of hostile input never takes long or much memory: one bomb of each kind."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from pacs_sdk.core import DicomDataset, parse_path
from pacs_sdk.core.automatic_vr import private_vr
from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success
from pacs_sdk.core.tags import parse_tag
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    decode_dataset,
    decode_frames,
    decode_values,
    part10_header,
    read_bytes,
    scan_header,
)
from pacs_sdk.encoding.charsets import (
    CharacterSetPolicy,
    character_sets,
    effective_character_sets,
)
from pacs_sdk.encoding.pixel_data.encapsulated import locate_frames
from tests.encoding.compressed_images import BASE, RLE, dataset_of, encoded_frame, noise, padded

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd values

MEGABYTE = 1 << 20
MOST_CPU_S = 10.0
"""Three times what the slowest of these takes on a busy machine (100,000 items of JSON, each a
data set of pydicom's); what is quadratic in the input takes minutes."""
MOST_MEMORY = 200 << 20

EXPLICIT = EXPLICIT_VR_LITTLE_ENDIAN
IMPLICIT = IMPLICIT_VR_LITTLE_ENDIAN
ITEM = b"\xfe\xff\x00\xe0\0\0\0\0"
ITEM_UNDEFINED = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_UNDEFINED = b"\x40\0\x30\xa7SQ\0\0\xff\xff\xff\xff"


def _memory(field: str) -> int:
    """Read VmRSS, or VmHWM, the most since that was reset, in bytes."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split(f"{field}:")[1].split()[0]) * 1024


@contextmanager
def bounded() -> Iterator[None]:
    """Fail where the body takes too much CPU or, where Linux tells, memory."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5", "ascii")  # proc(5): resets the peak resident set size
    before = _memory("VmRSS") if reset.exists() else 0
    begun = time.process_time()
    yield
    assert time.process_time() - begun < MOST_CPU_S
    if reset.exists():
        assert _memory("VmHWM") - before < MOST_MEMORY


def headers(form: str, *fields: object, every: int) -> bytes:
    """Lay out a megabyte of element headers with tags in ascending order."""
    return b"".join(
        struct.pack(f"<HH{form}", 0x0041 + (number >> 16) * 2, number & 0xFFFF, *fields)
        for number in range(MEGABYTE // every)
    )


def sequence(items: bytes) -> bytes:
    """Lay out a Content Sequence of known length."""
    return b"\x40\0\x30\xa7SQ\0\0" + struct.pack("<I", len(items)) + items


DATA_SETS = {
    "elements": headers("2sH", b"LO", 0, every=8),
    "sequences": headers("2sHI", b"SQ", 0, 0, every=12),
    "unknown VRs": headers("2sHI", b"QQ", 0, 0, every=12),
    "character sets": b"\x08\0\x05\0CS\0\0" * (MEGABYTE // 8),
    "items": sequence(ITEM * (MEGABYTE // 8)),
    "undefined items": SEQUENCE_UNDEFINED + (ITEM_UNDEFINED + ITEM_END) * (MEGABYTE // 16),
    "nesting": (SEQUENCE_UNDEFINED + ITEM_UNDEFINED) * (MEGABYTE // 20),
    "stray delimiters": ITEM_END * (MEGABYTE // 8),
    "zeros": bytes(MEGABYTE),
    "ones": b"\xff" * MEGABYTE,
}


@pytest.mark.parametrize("name", DATA_SETS)
def test_data_sets(name: str) -> None:
    """Reading, scanning and opening end soon, with a value or a PacsError."""
    data = DATA_SETS[name]
    with bounded():
        found = (decode_dataset(data, EXPLICIT), scan_header(data, EXPLICIT), read_bytes(data))
    for result in found:
        assert isinstance(result, Success) or isinstance(result.failure(), PacsError)


@pytest.mark.parametrize("read", [decode_dataset, scan_header])
@pytest.mark.parametrize("vr", [b"SQ", b"UN"])
def test_nesting_ends(read: Callable[..., PacsResult[object]], vr: bytes) -> None:
    """Sequences nested without end are refused at the limit, not at the interpreter's."""
    data = DATA_SETS["nesting"].replace(b"SQ", vr)
    with bounded():
        result = read(data, EXPLICIT)
    assert result.failure().code is ErrorCode.LIMIT_EXCEEDED


@pytest.mark.slow
def test_elements_end_at_the_limit() -> None:
    """Elements beyond the limit are not built before they are counted."""
    tags = range(0x00410000, 0x00410000 + 600_000)
    data = b"".join(struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, b"LO", 0) for tag in tags)
    with bounded():
        error = decode_dataset(data, EXPLICIT).failure()
        repeated = decode_dataset(b"\x08\0\x60\0CS\0\0" * 600_000, EXPLICIT).failure()
    assert {error.code, repeated.code} == {ErrorCode.LIMIT_EXCEEDED}


@pytest.mark.slow
def test_deflate_bomb() -> None:
    """What inflates a thousandfold is opened, its header refused; neither keeps it."""
    stream = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join(stream.compress(bytes(MEGABYTE)) for _ in range(100)) + stream.flush()
    assert len(bomb) < MEGABYTE // 8
    deflated = DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    file = part10_header("1.2.840.10008.5.1.4.1.1.7", "1.2.3", deflated.uid) + bomb
    with bounded():
        instance = read_bytes(file).unwrap()
        error = instance.header().failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED


VALUES = {
    (VR.PN, b"^"): "components of one name",
    (VR.PN, b"="): "component groups",
    (VR.PN, b"\\"): "empty names",
    (VR.PN, b"\x1b$B"): "escape sequences",
    (VR.LO, b"\x1b(B\\"): "escape sequences and values",
    (VR.DS, b"1"): "digits",
    (VR.DS, b"1\\"): "decimal numbers",
    (VR.IS, b"1"): "digits of a whole number",
    (VR.UI, b"1."): "UID components",
    (VR.DA, b"-"): "ranges",
}


@pytest.mark.parametrize(
    ("vr", "piece"), VALUES, ids=[" ".join(words.split()) for words in VALUES.values()]
)
def test_values(vr: VR, piece: bytes) -> None:
    """A value field of a megabyte is decoded or refused in time."""
    field = piece * (MEGABYTE // len(piece))
    with bounded():
        result = decode_values(vr, field, True, character_sets(b"\\ISO 2022 IR 87"))
    assert isinstance(result, Success) or isinstance(result.failure(), PacsError)


def test_a_name_of_a_megabyte_in_a_data_set() -> None:
    """Showing a data set with such a name ends as well."""
    value = b"^" * MEGABYTE
    data = struct.pack("<HHI", 0x0010, 0x0010, len(value)) + value
    with bounded():
        dataset = decode_dataset(data, IMPLICIT).unwrap()
        assert [row[1] for row in dataset.rows()] == ["PN"]


def test_character_sets_of_megabytes() -> None:
    """What is made of a value is remembered, and so it has to be small."""
    name = struct.pack("<HHI", 0x0010, 0x0010, 8) + "Doe^Jö".encode("latin-1") + b"  "
    with bounded():
        for number in range(30):
            value = b"ISO_IR 100\\%06d" % number + b"\\" * (MEGABYTE + 1)
            declared = struct.pack("<HHI", 0x0008, 0x0005, len(value)) + value
            header = scan_header(declared + name, IMPLICIT).unwrap()
            assert header.text("PatientName") == "Doe^Jö"
            dataset = decode_dataset(declared + name, IMPLICIT).unwrap()
            assert dataset.get_string("PatientName").unwrap() == "Doe^Jö"


def test_private_creators_of_a_megabyte() -> None:
    """They are looked up, and not remembered."""
    with bounded():
        for number in range(300):
            assert private_vr(0x00091001, f"{number:04}".ljust(MEGABYTE)) is VR.UN


def test_one_term_of_a_megabyte_is_unknown() -> None:
    """With a strict policy it is a failure that shows its beginning."""
    with pytest.raises(PacsException) as caught:
        effective_character_sets(b"x" * MEGABYTE, CharacterSetPolicy(on_undecodable="error"))
    assert caught.value.error.code is ErrorCode.DECODE_FAILED
    assert len(caught.value.error.message) < 300


XML = '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"00400275":{"vr":"SQ","Value":[' * (MEGABYTE // 33), ErrorCode.LIMIT_EXCEEDED),
        ("[" * MEGABYTE, ErrorCode.LIMIT_EXCEEDED),
        ('{"00280010":{"vr":"US","Value":[' + "1" * MEGABYTE + "]}}", ErrorCode.DECODE_FAILED),
    ],
    ids=["nested sequences", "nested arrays", "a number of a million digits"],
)
def test_json(text: str, code: ErrorCode) -> None:
    """JSON nested a hundred thousand deep, or with numbers of any length, is refused."""
    with bounded():
        result = DicomDataset.from_json(text)
    assert result.failure().code is code


@pytest.mark.slow
def test_items_of_json() -> None:
    """A hundred thousand empty items are read in time."""
    text = '{"0040A730":{"vr":"SQ","Value":[' + "{}," * 99_999 + "{}]}}"
    with bounded():
        assert len(DicomDataset.from_json(text).unwrap()["ContentSequence"]) == 100_000


def skipping(attributes: int) -> str:
    """Make attributes that each skip the most values that one may."""
    return "".join(
        f'<DicomAttribute tag="0009{number:04X}" vr="CS"><Value number="33"/></DicomAttribute>'
        for number in range(0x10, attributes)
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (XML + "<a>" * (MEGABYTE // 3), ErrorCode.LIMIT_EXCEEDED),
        ('<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>' + XML, ErrorCode.DECODE_FAILED),
        (
            XML + '<DicomAttribute tag="00080060" vr="CS">'
            + "".join(f'<Value number="{33 * n}"/>' for n in range(1, MEGABYTE // 25))
            + "</DicomAttribute></NativeDicomModel>",
            ErrorCode.DECODE_FAILED,
        ),
    ],
    ids=["nesting", "entities", "numbers that skip values"],
)  # fmt: skip
def test_xml(text: str, code: ErrorCode) -> None:
    """XML that nests, that declares entities or that claims values it has not is refused."""
    with bounded():
        result = DicomDataset.from_xml(text)
    assert result.failure().code is code


@pytest.mark.slow
def test_xml_with_skipped_values() -> None:
    """Attributes that each skip the most values that one may are read in time."""
    with bounded():
        result = DicomDataset.from_xml(XML + skipping(12_000) + "</NativeDicomModel>")
    assert len(result.unwrap().pydicom) == 12_000 - 0x10


def test_tags() -> None:
    """A text with a megabyte of spaces between its digits is no tag, which is soon found out."""
    with bounded():
        assert isinstance(parse_tag("0008" + " " * MEGABYTE + "0060!"), Failure)


def test_paths() -> None:
    """A path of a megabyte is refused."""
    with bounded():
        assert isinstance(parse_path("PatientName." * (MEGABYTE // 12)), Failure)


# -- pixels -------------------------------------------------------------------------------


def test_offset_table_of_a_megabyte() -> None:
    """A table with an entry for each of 262,144 frames that aren't there is refused."""
    frames = MEGABYTE // 4
    value = b"\xfe\xff\x00\xe0" + struct.pack("<I", MEGABYTE) + bytes(MEGABYTE)
    with bounded():
        dataset = dataset_of(BASE + "50", noise(8), value)
        dataset.NumberOfFrames = frames
        error = decode_frames(dataset, frames=0).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED


def test_fragments_of_nothing() -> None:
    """131,072 empty fragments are walked in time."""
    with bounded():
        located = locate_frames(MemoryBytes(ITEM * (MEGABYTE // 8)), 131_071)
        assert located.frame(5) == b""


@pytest.mark.parametrize(
    ("codec", "uid"),
    [("rle", RLE), ("jpeg", BASE + "70"), ("jpegls", BASE + "80"), ("jpeg2k", BASE + "90")],
)
def test_a_small_frame_that_claims_to_be_large(codec: str, uid: str) -> None:
    """A frame of some bytes whose header and attributes say 32,768² takes no memory for it."""
    size, pixels = 32_768, noise(8, rows=23)
    if codec == "rle":
        frame = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 20
    else:
        wide = ">I" if codec == "jpeg2k" else ">H"
        made = encoded_frame(codec, pixels[0], 8)
        frame = made.replace(struct.pack(wide, 23), struct.pack(wide, size))
        assert frame != made
    dataset = dataset_of(
        uid, pixels, ITEM + b"\xfe\xff\x00\xe0" + struct.pack("<I", len(frame)) + frame
    )
    dataset.Rows = dataset.Columns = size
    with bounded():
        error = decode_frames(dataset).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED


def test_jpeg_that_is_cut_off() -> None:
    """The decoder makes the missing part grey without a word; here it is an error."""
    pixels = noise(8)
    frame = encoded_frame("jpeg", pixels[0], 8)[:300]
    value = ITEM + b"\xfe\xff\x00\xe0" + struct.pack("<I", len(padded(frame))) + padded(frame)
    error = decode_frames(dataset_of(BASE + "70", pixels, value)).failure()
    assert error.message.endswith("its JPEG codestream has no end")


def test_jpeg_that_is_too_short_for_its_size() -> None:
    """An end marker does not make a short codestream complete."""
    pixels = np.zeros((1, 200, 200), dtype=np.uint8)
    frame = padded(
        encoded_frame("jpeg", pixels[0, :4, :4], 8).replace(b"\0\4\0\4", b"\0\xc8\0\xc8")
    )
    value = ITEM + b"\xfe\xff\x00\xe0" + struct.pack("<I", len(frame)) + frame
    error = decode_frames(dataset_of(BASE + "70", pixels, value)).failure()
    assert "too short for 200 rows of 200 columns" in error.message


def refused_frame(uid: str, frame: bytes, pixels: np.ndarray) -> str:
    """Decode a frame that has to be refused soon; return why it is."""
    value = ITEM + b"\xfe\xff\x00\xe0" + struct.pack("<I", len(padded(frame))) + padded(frame)
    with bounded():
        error = decode_frames(dataset_of(uid, pixels, value)).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    return error.message


def test_jpeg_of_a_thousand_scans() -> None:
    """A decoder goes over the whole image for each scan, so that there may be a hundred."""
    pixels = np.zeros((1, 512, 512), dtype=np.uint8)
    whole = bytes(imagecodecs.jpeg8_encode(pixels[0]))
    scan = whole[whole.index(b"\xff\xda") : -2]
    frame = whole[:-2] + scan * 999 + b"\xff\xd9"
    assert "has 1000 scans, and 100 are the most" in refused_frame(BASE + "50", frame, pixels)


def test_markers_of_a_scan_in_other_segments_of_jpeg_are_no_scans() -> None:
    """A comment may hold any bytes."""
    pixels = noise(8)
    whole = encoded_frame("jpeg", pixels[0], 8)
    tables = whole.index(b"\xff\xda")
    second = whole[tables : whole.rindex(b"\xff\xd9")]
    comment = b"\xff\xfe" + struct.pack(">H", 402) + b"\xff\xda" * 200
    frame = padded(whole[:tables] + second + comment + b"\xff\xd9")
    value = ITEM + b"\xfe\xff\x00\xe0" + struct.pack("<I", len(frame)) + frame
    assert np.array_equal(decode_frames(dataset_of(BASE + "70", pixels, value)).unwrap(), pixels)


def test_fill_bytes_of_a_megabyte_in_jpeg() -> None:
    """A run of FF is looked at once, not once from each of its bytes."""
    pixels = noise(8)
    whole = encoded_frame("jpeg", pixels[0], 8).rstrip(b"\0")
    scan = whole[whole.index(b"\xff\xda") : -2]
    frame = whole[:-2] + b"\xff" * MEGABYTE + b"\0" + scan[:-100] + b"\xff\xd9"
    refused_frame(BASE + "70", frame, np.concatenate((pixels, pixels), axis=1))


def test_jpegxl_animation() -> None:
    """Each of its frames would be as large as the image, and take a dozen bytes."""
    pixels = np.zeros((1, 256, 256), dtype=np.uint8)
    frame = bytes(imagecodecs.jpegxl_encode(np.zeros((20, 256, 256), np.uint8), lossless=True))
    assert "is an animation" in refused_frame(BASE + "110", frame, pixels)


def test_jpegxl_with_extra_channels() -> None:
    """A decoder takes memory for each of them, before anybody sees that there are too many."""
    channels = np.zeros((40, 64, 64), np.uint8)
    frame = imagecodecs.jpegxl_encode(channels, lossless=True, planar=True, photometric="gray")
    message = refused_frame(BASE + "110", bytes(frame), channels[:1])
    assert "has 39 extra channels" in message

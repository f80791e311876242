"""Writing files frame by frame."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    EncodeOptions,
    OffsetTable,
    TransferSyntax,
    ValidationMode,
    decode_frames,
    default_codecs,
    read_file,
    transfer_syntax,
    write_frames,
)
from pacs_sdk.encoding.codecs.description import FrameDescription

NATIVE = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
RLE = transfer_syntax("RLELossless").unwrap()
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.2"


def described(pixels: np.ndarray, bits: int, planar: int | None = None) -> Dataset:
    """Make a data set that says what an array of frames is, without its pixels."""
    colour = pixels.ndim == 4
    dataset = Dataset()
    dataset.SOPClassUID = SECONDARY_CAPTURE
    dataset.SOPInstanceUID = "1.2.3"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = planar or 0
    dataset.BitsAllocated = bits
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    # (FFFC,FFFC) Data Set Trailing Padding comes after Pixel Data.
    dataset.add_new(0xFFFCFFFC, "OB", b"\0\0")
    return dataset


IMAGES = {
    "16 bits": (np.arange(3 * 5 * 7, dtype=np.uint16).reshape(3, 5, 7), 16, None),
    "signed": (np.arange(-52, 53, dtype=np.int16).reshape(3, 5, 7), 16, None),
    "odd": (np.arange(3 * 5 * 7, dtype=np.uint8).reshape(3, 5, 7), 8, None),
    "one bit": ((np.arange(3 * 5 * 7) % 3 == 0).astype(np.uint8).reshape(3, 5, 7), 1, None),
    "by pixel": (np.arange(2 * 4 * 3 * 3, dtype=np.uint8).reshape(2, 4, 3, 3), 8, 0),
    "by plane": (np.arange(2 * 4 * 3 * 3, dtype=np.uint8).reshape(2, 4, 3, 3), 8, 1),
}


@pytest.mark.parametrize("syntax", NATIVE, ids=str)
@pytest.mark.parametrize("name", IMAGES)
def test_native_frames(syntax: TransferSyntax, name: str, tmp_path: Path) -> None:
    """Frames written one by one are those that we and pydicom decode."""
    pixels, bits, planar = IMAGES[name]
    dataset = described(pixels, bits, planar)
    path = raised(write_frames(dataset, iter(pixels), tmp_path / "x.dcm", syntax=syntax))
    assert np.array_equal(raised(decode_frames(path)), pixels)
    theirs = pydicom.dcmread(path)
    assert np.array_equal(theirs.pixel_array, pixels)
    assert theirs[0xFFFCFFFC].value == b"\0\0"
    assert raised(read_file(path)).transfer_syntax_uid == syntax.uid


def codestreams(pixels: np.ndarray) -> Iterator[bytes]:
    """Encode frames as RLE."""
    codec = default_codecs().encoder_for(RLE.uid)
    assert codec is not None
    rows, columns = pixels.shape[1:3]
    frame = FrameDescription(rows, columns, 1, 16, 16, 15, False, False, "MONOCHROME2")
    stored = codec.stored_as(frame, RLE.uid, EncodeOptions())
    for one in pixels:
        yield codec.encode(one, stored, RLE.uid, EncodeOptions())


@pytest.mark.parametrize("table", [None, *OffsetTable], ids=str)
def test_compressed_frames(table: OffsetTable | None, tmp_path: Path) -> None:
    """Codestreams get the offset table that is asked for, filled when all are written."""
    pixels, bits, _ = IMAGES["16 bits"]
    path = tmp_path / "x.dcm"
    dataset = described(pixels, bits)
    raised(write_frames(dataset, codestreams(pixels), path, syntax=RLE, offset_table=table))
    assert np.array_equal(raised(decode_frames(path)), pixels)
    assert np.array_equal(raised(decode_frames(path, frames=2)), pixels[2:])
    theirs = pydicom.dcmread(path)
    assert ("ExtendedOffsetTable" in theirs) == (table is OffsetTable.EXTENDED)
    basic = theirs.PixelData[8 : 8 + int.from_bytes(theirs.PixelData[4:8], "little")]
    assert len(basic) == (12 if table in (None, OffsetTable.BASIC) else 0)
    if basic:
        lengths = [len(one) + len(one) % 2 for one in codestreams(pixels)]
        starts = [0, 8 + lengths[0], 16 + lengths[0] + lengths[1]]
        assert np.frombuffer(basic, "<u4").tolist() == starts


@pytest.mark.parametrize("missing", [-1, 1])
def test_the_number_of_frames_has_to_be_right(missing: int, tmp_path: Path) -> None:
    """Fewer or more frames than announced leave no file behind."""
    pixels, bits, _ = IMAGES["16 bits"]
    dataset = described(pixels, bits)
    dataset.NumberOfFrames = 3 + missing
    for syntax, frames in ((EXPLICIT_VR_LITTLE_ENDIAN, iter(pixels)), (RLE, codestreams(pixels))):
        error = write_frames(dataset, frames, tmp_path / "x.dcm", syntax=syntax).failure()
        assert error.code is ErrorCode.INVALID_ARGUMENT
        assert f"Number of Frames is {3 + missing}" in error.message
    assert list(tmp_path.iterdir()) == []


def test_frames_have_to_be_what_the_attributes_say(tmp_path: Path) -> None:
    """Another shape or dtype is refused by the number of the frame."""
    pixels, bits, _ = IMAGES["16 bits"]
    for wrong in (pixels[0, :4], pixels[0].astype(np.uint8), pixels[0].astype(np.int16)):
        frames = [pixels[0], wrong, pixels[2]]
        error = write_frames(described(pixels, bits), frames, tmp_path / "x.dcm").failure()
        assert error.code is ErrorCode.INVALID_ARGUMENT
        assert "frame 1" in error.message
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_so(tmp_path: Path) -> None:
    """A deflated data set cannot be patched; a folder has to be there; values have to be valid."""
    pixels, bits, _ = IMAGES["16 bits"]
    dataset = described(pixels, bits)
    deflated = DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    error = write_frames(dataset, iter(pixels), tmp_path / "x.dcm", syntax=deflated).failure()
    assert error.code is ErrorCode.OPERATION_NOT_SUPPORTED
    error = write_frames(dataset, iter(pixels), tmp_path / "no" / "x.dcm").failure()
    assert error.code is ErrorCode.FILE_WRITE_FAILED
    dataset["PhotometricInterpretation"]._value = "monochrome2"
    assert write_frames(dataset, iter(pixels), tmp_path / "x.dcm").failure().code is (
        ErrorCode.INVALID_VALUE
    )
    lenient = ValidationMode.LENIENT
    raised(write_frames(dataset, iter(pixels), tmp_path / "x.dcm", validation=lenient))


def test_one_frame_is_in_memory_at_a_time(tmp_path: Path) -> None:
    """Sixty frames of 2 MiB take the memory of a few."""
    frame = np.ones((1024, 1024), dtype=np.uint16)
    dataset = described(np.broadcast_to(frame, (60, 1024, 1024)), 16)
    tracemalloc.start()
    raised(write_frames(dataset, (frame.copy() for _ in range(60)), tmp_path / "x.dcm"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20

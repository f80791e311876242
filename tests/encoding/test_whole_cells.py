"""Compressed cells that hold more than a number: old overlays, numbers that begin higher."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset

from pacs_sdk.core.results import raised
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, Instance, decode_frames, transcode
from pacs_sdk.encoding.rendering import Window, modality_values, render_frame
from tests.encoding.compressed_images import (
    BASE,
    DEFLATED_FRAMES,
    DELIMITER,
    RLE,
    UNCOMPRESSED_FRAMES,
    dataset_of,
    encoded_frame,
    item,
    noise,
    padded,
)
from tests.encoding.transcoding import image_of, native_dataset

CELLS = (RLE, DEFLATED_FRAMES, UNCOMPRESSED_FRAMES)
"""Syntaxes that keep every bit of a cell."""
CODECS = {"jpeg": BASE + "70", "jpegls": BASE + "80", "jpeg2k": BASE + "90"}
"""Syntaxes of numbers, which DCMTK and others give whole cells."""


def compressed(cells: np.ndarray, codec: str, *, signed: bool, high_bit: int) -> Dataset:
    """Compress frames of cells, all 16 bits of them, 12 of which are stored."""
    value = item() + b"".join(item(padded(encoded_frame(codec, one, 16))) for one in cells)
    dataset = dataset_of(CODECS[codec], cells, value + DELIMITER, bits_stored=12)
    dataset.PixelRepresentation, dataset.HighBit = int(signed), high_bit
    return dataset


def with_overlay_in(dataset: Dataset, bit: int) -> Dataset:
    """Announce an overlay in a bit of the cells (retired; PS3.3-2004 C.9.2)."""
    dataset.add_new(0x60000010, "US", dataset.Rows)
    dataset.add_new(0x60000011, "US", dataset.Columns)
    dataset.add_new(0x60000100, "US", 16)
    dataset.add_new(0x60000102, "US", bit)
    return dataset


def overlaid(values: np.ndarray) -> np.ndarray:
    """Put an overlay in bit 15 of cells, in every other column."""
    cells: np.ndarray = values.astype("u2") & 0x0FFF
    cells[:, :, 1::2] |= 0x8000
    return cells


def same_picture(one: Instance | Dataset, other: Instance | Dataset) -> bool:
    """Whether both are shown alike, after the same steps."""
    pictures = [raised(render_frame(each, window=Window(0, 4096))) for each in (one, other)]
    assert pictures[0].steps == pictures[1].steps
    return np.array_equal(pictures[0].pixels, pictures[1].pixels)


@pytest.mark.parametrize("uid", CELLS)
@pytest.mark.parametrize("signed", [False, True])
def test_an_overlay_in_kept_cells_is_drawn(uid: str, signed: bool) -> None:
    """An overlay that RLE or deflation keeps is in the picture, as it is of native pixels."""
    cells = overlaid(noise(12)).astype("i2" if signed else "u2")
    native = image_of(with_overlay_in(native_dataset(cells, bits_stored=12), 15))
    assert raised(render_frame(native)).steps[-1] == "overlay 6000"
    assert same_picture(native, raised(transcode(native, uid)))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("signed", [False, True])
def test_whole_cells_in_a_codestream(codec: str, signed: bool) -> None:
    """Whole cells are compressed by some: overlays are drawn, and are no part of a value."""
    values = noise(12, signed=signed, frames=2)
    dataset = with_overlay_in(compressed(overlaid(values), codec, signed=signed, high_bit=11), 15)
    native = with_overlay_in(native_dataset(overlaid(values), bits_stored=12), 15)
    native.PixelRepresentation = int(signed)
    assert np.array_equal(raised(decode_frames(dataset)), values)
    assert np.array_equal(raised(modality_values(dataset)), values)
    assert same_picture(native, dataset)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("signed", [False, True])
def test_no_bit_of_whole_cells_is_lost(codec: str, signed: bool) -> None:
    """Transcoding takes the overlay along where it can, and else is refused."""
    values = noise(12, signed=signed, frames=2)
    uid = CODECS[codec]
    before = image_of(compressed(overlaid(values), codec, signed=signed, high_bit=11), uid)
    native = raised(transcode(before, EXPLICIT_VR_LITTLE_ENDIAN))
    stored = raised(native.dataset()).pydicom.PixelData
    assert np.array_equal(np.frombuffer(stored, "<u2").reshape(values.shape), overlaid(values))
    error = transcode(before, next(other for other in CODECS.values() if other != uid)).failure()
    assert "above its 12 Bits Stored" in error.message


@pytest.mark.parametrize("uid", CELLS)
@pytest.mark.parametrize("signed", [False, True])
def test_numbers_that_begin_higher_in_kept_cells(uid: str, signed: bool) -> None:
    """Where High Bit is above Bits Stored − 1 the values are those of native pixels."""
    values = noise(12, signed=signed)
    dataset = native_dataset(values << 4, bits_stored=12)
    dataset.HighBit = 15
    after = raised(transcode(image_of(dataset), uid))
    assert np.array_equal(raised(modality_values(after)), values)
    assert same_picture(dataset, after)


@pytest.mark.parametrize(
    ("codec", "whole"),
    [*((codec, True) for codec in CODECS), ("jpeg", False), ("jpeg2k", False)],
)
@pytest.mark.parametrize("signed", [False, True])
def test_numbers_that_begin_higher_in_a_codestream(codec: str, signed: bool, whole: bool) -> None:
    """The precision of a codestream tells whether it holds whole cells or the numbers in them."""
    values = noise(12, signed=signed)
    if whole:
        dataset = compressed(values << 4, codec, signed=signed, high_bit=15)
    else:
        value = item() + item(padded(encoded_frame(codec, values[0], 12))) + DELIMITER
        dataset = dataset_of(CODECS[codec], values, value, bits_stored=12)
        dataset.HighBit = 15
    assert np.array_equal(raised(decode_frames(dataset)), values)
    assert np.array_equal(raised(modality_values(dataset)), values)
    native = raised(transcode(image_of(dataset, CODECS[codec]), EXPLICIT_VR_LITTLE_ENDIAN))
    assert raised(native.dataset())["HighBit"] == 15
    assert np.array_equal(raised(decode_frames(native)), values << 4)
    assert np.array_equal(raised(modality_values(native)), values)


@pytest.mark.parametrize("signed", [False, True])
def test_what_lossy_compression_overshoots_stays_white(signed: bool) -> None:
    """With more precision than Bits Stored, white can come out whiter; it doesn't become black."""
    values = np.where(noise(12) > 2048, 4095, 0)[0] - 2048 * signed
    frame = imagecodecs.jpeg2k_encode(
        values.astype("i2" if signed else "u2"),
        level=45.0,  # type: ignore[arg-type]  # decibels: a float, too
        reversible=False,
        codecformat="J2K",
        bitspersample=16,
    )
    value = item() + item(padded(bytes(frame))) + DELIMITER
    cells = values[None].astype("i2" if signed else "u2")
    dataset = dataset_of(BASE + "91", cells, value, bits_stored=12)
    decoded = imagecodecs.jpeg2k_decode(bytes(frame)).astype(int)
    assert decoded.max() > 4095 - 2048 * signed
    expected = np.clip(decoded, -2048 * signed, 4095 - 2048 * signed)
    assert np.array_equal(raised(decode_frames(dataset))[0], expected)
    assert np.array_equal(raised(modality_values(dataset))[0], expected)
    shown = raised(render_frame(dataset, window=Window(2048 - 2048 * signed, 4096))).pixels
    assert shown[decoded > expected].min() == 255


def test_lossy_numbers_begin_at_the_lowest_bit() -> None:
    """Of such a codestream High Bit says nothing, and is corrected where it is decompressed."""
    values = noise(12)
    frame = imagecodecs.jpeg8_encode(values[0], 100, bitspersample=12)
    value = item() + item(padded(bytes(frame))) + DELIMITER
    dataset = dataset_of(BASE + "51", values, value, bits_stored=12)
    expected = raised(decode_frames(dataset))
    dataset.HighBit = 15
    native = raised(transcode(image_of(dataset, BASE + "51"), EXPLICIT_VR_LITTLE_ENDIAN))
    assert raised(native.dataset())["HighBit"] == 11
    for source in (dataset, native):
        assert np.array_equal(raised(modality_values(source)), expected)


def test_a_sign_is_no_overlay() -> None:
    """Where the sign goes on to the bit that an overlay is announced in, there is none."""
    values = noise(12, signed=True)
    image = with_overlay_in(native_dataset(values, bits_stored=12), 15)
    for source in (image, raised(transcode(image_of(image), BASE + "70"))):
        assert not any("overlay" in step for step in raised(render_frame(source)).steps)


@pytest.mark.parametrize("uid", [BASE + end for end in ("70", "80", "90", "201", "110")])
def test_signs_that_do_not_go_on_are_compressed(uid: str) -> None:
    """Zeros above a negative number are nothing that could be lost."""
    values = noise(12, signed=True)
    dataset = native_dataset((values & 0x0FFF).astype("i2"), bits_stored=12)
    after = raised(transcode(image_of(dataset), uid))
    assert np.array_equal(raised(decode_frames(after)), values)

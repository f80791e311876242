"""Palettes: whole and segmented, of 8 and 16 bits, supplemental, and damaged ones."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import ExplicitVRLittleEndian

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    instance_from_dataset,
)
from pacs_sdk.encoding.rendering import Window, render_frame
from pacs_sdk.encoding.rendering.lookup import TableShape
from pacs_sdk.encoding.rendering.palette import expand_segments
from tests.encoding.rendering.images import (
    COLOURS,
    grey_image,
    pixels_of,
    rendered,
    with_palette,
    words,
)
from tests.encoding.shipped import path_of


def test_sixteen_bits() -> None:
    """Entries of 16 bits are scaled to 8, rounded; values outside take the ends."""
    image = with_palette(
        grey_image([[0, 5, 6, 7]], "u1"),
        (2, 5, 16),
        (words(0, 65535), words(0x8000, 0x0101), words(127, 129)),
    )
    # 0x8000 / 257 = 127.5, 0x0101 / 257 = 1, 127 / 257 = 0.49, 129 / 257 = 0.502
    found = rendered(image)
    assert found.pixels.tolist() == [[[0, 128, 0], [0, 128, 0], [255, 1, 1], [255, 1, 1]]]
    assert found.steps == ("palette of 2 colours from 5",)


def test_eight_bits() -> None:
    """Entries of 8 bits, two in a word."""
    image = with_palette(grey_image([[0, 1, 2]], "u1"), (3, 0, 8), (b"\1\2\3\0",) * 3)
    assert pixels_of(image) == [[[1] * 3, [2] * 3, [3] * 3]]


def test_signed_pixels() -> None:
    """The first value mapped is negative where pixels are."""
    image = with_palette(grey_image([[-2, -1, 0]], "<i2"), (3, -2, 8), (b"\1\2\3\0",) * 3)
    assert pixels_of(image) == [[[1] * 3, [2] * 3, [3] * 3]]


def test_as_many_entries_as_there_can_be() -> None:
    """0 entries are 65536."""
    table = np.arange(65536, dtype="<u2").tobytes()
    image = with_palette(grey_image([[0, 257, 65535]]), (0, 0, 16), (table,) * 3)
    assert pixels_of(image) == [[[0] * 3, [1] * 3, [255] * 3]]


@pytest.mark.parametrize(
    "syntax",
    [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN],
    ids=str,
)
@pytest.mark.parametrize(
    ("segmented", "bits", "table"),
    [
        ("", 16, words(0x100, 0x2000, 0xFFFF)),
        ("", 8, b"\1\x20\xff\0"),
        ("Segmented", 16, words(0, 3, 0x100, 0x2000, 0xFFFF)),
        ("Segmented", 8, bytes([0, 3, 1, 0x20, 0xFF, 0])),
    ],
)
def test_every_syntax(syntax: TransferSyntax, segmented: str, bits: int, table: bytes) -> None:
    """The words of a palette are in the byte order of the instance."""
    image = with_palette(grey_image([[0, 1, 2]], "u1"), (3, 0, bits), (table,) * 3, segmented)
    found = raised(render_frame(raised(instance_from_dataset(image, syntax))))
    assert found.pixels.tolist() == [[[1] * 3, [32] * 3, [255] * 3]]


def test_a_palette_as_pydicom_applies_it() -> None:
    """The palette image that ships inside pydicom, against its `apply_color_lut`."""
    dataset = pydicom.dcmread(path_of("examples_palette.dcm"))
    theirs = apply_color_lut(dataset.pixel_array, dataset).astype(float) / 257
    ours = rendered(dataset).pixels
    assert np.abs(ours - theirs).max() <= 0.5


def test_segments_as_pydicom_expands_them() -> None:
    """Discrete, linear, and indirect back to the first, against `apply_color_lut`."""
    segments = words(0, 2, 0, 65535, 1, 252, 0, 2, 1, 0, 0)
    stored = np.arange(256).reshape(16, 16)
    image = with_palette(grey_image(stored, "u1"), (256, 0, 16), (segments,) * 3, "Segmented")
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    theirs = apply_color_lut(stored.astype("u1"), image) / 257
    assert np.abs(rendered(image).pixels - theirs).max() <= 0.5 + 1 / 257  # of another rounding


def test_windows_are_not_for_palettes() -> None:
    """A window for colours is refused."""
    image = with_palette(grey_image([[0, 1, 2]], "u1"), (3, 0, 8), (b"\1\2\3\0",) * 3)
    error = render_frame(image, window=Window(1, 2)).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert pixels_of(image, invert=True) == [[[254] * 3, [253] * 3, [252] * 3]]


# -- segments -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("segments", "bits", "entries"),
    [
        # discrete: opcode, length, entries (PS3.3 C.7.9.2.1)
        ([0, 2, 7, 9], 16, [7, 9]),
        # linear: opcode, length, last entry; from the entry before (C.7.9.2.2)
        ([0, 1, 10, 1, 4, 50], 16, [10, 20, 30, 40, 50]),
        ([0, 1, 10, 1, 3, 0], 16, [10, 7, 3, 0]),  # 6.67, 3.33
        # indirect: opcode, how many segments, offset in bytes, low word first (C.7.9.2.3)
        ([0, 2, 1, 2, 0, 1, 3, 2, 1, 0, 0], 16, [1, 2, 3, 1, 2]),
        ([0, 2, 1, 2, 0, 1, 3, 2, 1, 8, 0], 16, [1, 2, 3, 3]),
        ([0, 1, 4, 1, 2, 8, 2, 2, 0, 0], 16, [4, 6, 8, 4, 6, 8]),
        # in bytes, where the offset has four of them
        ([0, 2, 1, 2, 2, 1, 0, 0, 0, 0], 8, [1, 2, 1, 2]),
        # a byte of padding at the end
        ([0, 1, 9, 0], 8, [9]),
    ],
)
def test_segments(segments: list[int], bits: int, entries: list[int]) -> None:
    """Each type of segment is expanded as the standard says."""
    found = expand_segments(segments, TableShape(len(entries), 0, bits), "X")
    assert found.tolist() == entries


@pytest.mark.parametrize(
    ("segments", "reason"),
    [
        ([0, 3, 1, 2], "is cut off"),
        ([1, 3], "is cut off"),
        ([1, 3, 5], "begins a line and none is before it"),
        ([3, 1, 1], "is 3"),
        ([0, 1, 7, 2, 1, 6, 0], "refers to byte 6"),  # to itself
        ([0, 1, 7, 2, 1, 1, 0], "refers to byte 1"),  # half a word
        ([0, 1, 7, 2, 1, 0, 0, 2, 1, 6, 0], "refers to an indirect one"),
        ([0, 1, 7], "makes 1 entries, its descriptor says 100"),
        ([], "makes 0 entries"),
        ([0, 0] * 70_000, "is one too many"),
    ],
)
def test_damaged_segments(segments: list[int], reason: str) -> None:
    """Segments that lead nowhere, or nowhere in a finite time, are a named failure."""
    with pytest.raises(PacsException, match=reason) as caught:
        expand_segments(segments, TableShape(100, 0, 16), "X")
    assert caught.value.error.code is ErrorCode.PIXEL_DATA_FAILED


@given(segments=st.lists(st.integers(0, 9), max_size=40), bits=st.sampled_from([8, 16]))
def test_any_segments(segments: list[int], bits: int) -> None:
    """There are as many entries as announced, or a failure."""
    result = edge()(expand_segments)(segments, TableShape(20, 0, bits), "X")
    found = result.value_or(None)
    if found is None:
        assert result.failure().code is ErrorCode.PIXEL_DATA_FAILED
    else:
        assert found.size == 20


# -- supplemental palettes (PS3.3 C.7.6.19) ---------------------------------------------


@pytest.mark.parametrize("presentation", ["COLOR", "MIXED"])
def test_some_values_in_colour(presentation: str) -> None:
    """Values from the first one mapped on are in colour, those below it grey."""
    image = with_palette(
        grey_image([[0, 50, 100, 101, 102]]), (2, 100, 8), (b"\xff\1", b"\2\xff", b"\3\4")
    )
    image.PhotometricInterpretation = "MONOCHROME2"
    image.WindowCenter, image.WindowWidth, image.VOILUTFunction = 50, 100, "LINEAR_EXACT"
    grey = [[0, 128, 255, 255, 255]]
    assert pixels_of(image) == grey
    image.PixelPresentation = presentation
    expected = [[[0] * 3, [128] * 3, [255, 2, 3], [1, 255, 4], [1, 255, 4]]]
    assert pixels_of(image) == expected
    image.PixelPresentation = "MONOCHROME"
    assert pixels_of(image) == grey


# -- damaged ------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["Descriptor", "Data"])
@pytest.mark.parametrize("colour", COLOURS)
def test_a_table_is_missing(colour: str, missing: str) -> None:
    """A palette of two colours is none."""
    image = with_palette(grey_image([[0, 1]], "u1"), (2, 0, 8), (b"\1\2",) * 3)
    del image[f"{colour}PaletteColorLookupTable{missing}"]
    error = render_frame(image).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert f"{colour}PaletteColorLookupTable{missing} is missing" in error.message


def test_tables_that_differ() -> None:
    """The three tables have one size (PS3.3 C.7.6.3.1.5)."""
    image = with_palette(grey_image([[0, 1]], "u1"), (2, 0, 8), (b"\1\2",) * 3)
    image.BluePaletteColorLookupTableDescriptor = [1, 0, 8]
    assert "differ in size" in render_frame(image).failure().message

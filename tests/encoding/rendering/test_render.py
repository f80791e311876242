"""Whole pictures: polarity, colour, sources, files, and everything that is damaged."""

from __future__ import annotations

import tracemalloc
import warnings

import attrs
import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    Codec,
    CodecRegistry,
    FrameDescription,
    decode_frames,
    instance_from_dataset,
    read_file,
)
from pacs_sdk.encoding.rendering import (
    RenderedFrame,
    RenderOptions,
    RenderSettings,
    VoiFunction,
    Window,
    modality_values,
    render_frame,
)
from tests.encoding.rendering.images import grey_image, lut_item, pixels_of, rendered
from tests.encoding.shipped import path_of

EXACT = VoiFunction.LINEAR_EXACT


def colour_image(samples: object, dtype: str = "u1", **attributes: object) -> Dataset:
    """Make an RGB image of one row."""
    array = np.array(samples, dtype)
    image = grey_image(array, dtype)
    image.Rows, image.Columns, image.SamplesPerPixel = 1, len(array), 3
    image.PhotometricInterpretation, image.PlanarConfiguration = "RGB", 0
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    return image


# -- polarity and the Presentation LUT (PS3.3 C.11.6, C.7.6.3.1.2) ------------------------


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),  # as DX images have it: once, not twice
        ("MONOCHROME1", "IDENTITY", True),
    ],
)
def test_polarity(photometric: str, shape: str | None, inverted: bool) -> None:
    """The least value is white in MONOCHROME1 or with the shape INVERSE."""
    image = grey_image([[0, 100, 255]], "u1", PhotometricInterpretation=photometric)
    image.PresentationLUTShape = shape
    expected = [[255, 155, 0]] if inverted else [[0, 100, 255]]
    assert pixels_of(image) == expected
    assert ("inverted" in rendered(image).steps) is inverted
    assert pixels_of(image, invert=True) == [[255 - one for one in expected[0]]]


def test_presentation_lut() -> None:
    """Its entries span the output of the VOI LUT, and it overrides MONOCHROME1."""
    image = grey_image([[0, 85, 170, 255]], "u1", PhotometricInterpretation="MONOCHROME1")
    image.PresentationLUTSequence = Sequence([lut_item((4, 0, 10), [1023, 0, 512, 1023], "US")])
    found = rendered(image)
    # 512 / 1023 × 255 = 127.6
    assert found.pixels.tolist() == [[255, 0, 128, 255]]
    assert found.steps[-1] == "presentation LUT of 4 entries from 0, 10 bits"


# -- colour -----------------------------------------------------------------------------


def test_rgb_stays_as_it_is() -> None:
    """Eight bits of red, green and blue are shown as stored."""
    samples = [[255, 0, 1], [2, 3, 4]]
    assert pixels_of(colour_image(samples)) == [samples]
    assert pixels_of(colour_image(samples), invert=True) == [[[0, 255, 254], [253, 252, 251]]]


@pytest.mark.parametrize(
    ("samples", "dtype", "bits"),
    [
        ([0, 0x8000, 65535], "<u2", 16),
        ([0, 2048, 4095], "<u2", 12),
        ([0, 1 << 31, (1 << 32) - 1], "<u4", 32),
        ([0, 2, 3], "u1", 2),
    ],
)
def test_rgb_of_other_depths(samples: list[int], dtype: str, bits: int) -> None:
    """Other depths are scaled so that the greatest value there can be is 255."""
    image = colour_image([samples], dtype, BitsStored=bits, HighBit=bits - 1)
    assert pixels_of(image) == [[[0, 170 if bits == 2 else 128, 255]]]


def test_ybr_is_converted() -> None:
    """YBR comes out as RGB (PS3.3 C.7.6.3.1.2)."""
    image = colour_image([[76, 85, 255]], PhotometricInterpretation="YBR_FULL")
    found = rendered(image)
    assert np.abs(found.pixels.astype(int) - [[[255, 0, 0]]]).max() <= 1
    assert found.steps == ("YBR_FULL to RGB",)


@pytest.mark.parametrize(
    ("samples", "photometric"),
    [(1, "RGB"), (1, ""), (3, "MONOCHROME2"), (3, "HSV"), (3, "PALETTE COLOR")],
)
def test_no_way_to_show_it(samples: int, photometric: str) -> None:
    """Samples that don't fit their Photometric Interpretation are a failure that names both."""
    image = colour_image([[1, 2, 3]], PhotometricInterpretation=photometric)
    image.SamplesPerPixel = samples
    error = render_frame(image).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert f"{samples} samples of Photometric Interpretation {photometric!r}" in error.message


def test_windows_are_for_grey() -> None:
    """A window or a VOI LUT for colour is refused."""
    for settings in ({"window": Window(1, 2)}, {"window": 0}, {"voi_lut": 0}):
        error = render_frame(colour_image([[1, 2, 3]]), **settings).failure()
        assert error.code is ErrorCode.INVALID_ARGUMENT


# -- sources and frames -----------------------------------------------------------------


def test_every_kind_of_source() -> None:
    """A path, an instance and a data set of either kind give one picture."""
    path = path_of("MR_small_RLE.dcm")
    instance = raised(read_file(path))
    dataset = raised(instance.dataset())
    expected = raised(render_frame(path)).pixels
    for source in (str(path), instance, dataset, dataset.pydicom):
        assert np.array_equal(raised(render_frame(source)).pixels, expected)


def test_only_the_frame_that_is_wanted_is_decoded() -> None:
    """Of thirty compressed frames one goes through the codec."""

    class Counting(Codec):
        name = "counting"
        transfer_syntaxes = frozenset(("1.2.840.10008.1.2.4.50",))
        decoded = 0

        def unavailable(self) -> str:
            return ""

        def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
            self.decoded += 1
            return np.full((240, 320, 3), self.decoded, np.uint8)

    codec = Counting()
    registry = CodecRegistry((codec,))
    path = path_of("examples_ybr_color.dcm")
    found = raised(render_frame(path, -1, codecs=registry))
    assert (codec.decoded, found.frame) == (1, 29)
    assert (found.pixels == 1).all()


def test_deflated() -> None:
    """An instance that is deflated as a whole is rendered as well."""
    found = raised(render_frame(path_of("image_dfl.dcm")))
    assert np.array_equal(found.pixels, raised(decode_frames(path_of("image_dfl.dcm")))[0])


@pytest.mark.parametrize("frame", [1, -2, 10**9])
def test_a_frame_that_is_not_there(frame: int) -> None:
    """Asking for one is a failure that says how many there are."""
    error = render_frame(grey_image([[1]]), frame).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "there are 1" in error.message


# -- options ----------------------------------------------------------------------------


def test_options_and_settings() -> None:
    """Options can be kept; settings of a call come before them."""
    image = grey_image([[0, 100]])
    kept = RenderOptions(window=Window(50, 100, EXACT), invert=True)
    assert raised(render_frame(image, 0, kept)).pixels.tolist() == [[255, 0]]
    assert raised(render_frame(image, 0, kept, invert=False)).pixels.tolist() == [[0, 255]]
    assert kept.invert


def test_settings_are_the_options() -> None:
    """The keywords of the function are the fields of the options, with their types."""
    fields = {field.name: field.type for field in attrs.fields(RenderOptions)}
    assert fields == {
        name: getattr(kind, "__forward_arg__", kind)
        for name, kind in RenderSettings.__annotations__.items()
    }


@pytest.mark.parametrize("grey", [-1, 256])
def test_greys_that_are_none(grey: int) -> None:
    """An overlay's grey has 8 bits; options that cannot be are refused when they are made."""
    with pytest.raises(PacsException):
        RenderOptions(overlay_grey=grey)
    error = render_frame(grey_image([[1]]), overlay_grey=grey).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT


# -- the picture --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MR_small.dcm", "examples_rgb_color.dcm"])
def test_png_and_jpeg(name: str) -> None:
    """PNG holds the very pixels; JPEG holds them nearly, and less so with less quality."""
    frame = raised(render_frame(path_of(name)))
    png = raised(frame.png())
    assert np.array_equal(imagecodecs.png_decode(png), frame.pixels)
    assert frame._repr_png_() == png
    best, worst = raised(frame.jpeg(100)), raised(frame.jpeg(1))
    assert len(worst) < len(raised(frame.jpeg())) < len(best)
    off = imagecodecs.jpeg8_decode(best).astype(int) - frame.pixels
    assert np.abs(off).mean() < 2


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_jpeg_quality(quality: int) -> None:
    """It is from 1 to 100."""
    error = rendered(grey_image([[1]])).jpeg(quality).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT


def test_a_side_too_long_for_jpeg() -> None:
    """65,500 is the limit of the encoder; PNG takes it."""
    frame = RenderedFrame(np.zeros((65501, 1), np.uint8), 0, (), None)
    assert "write PNG" in frame.jpeg().failure().message
    assert imagecodecs.png_decode(raised(frame.png())).shape == (65501, 1)


def test_repr_says_what_was_done() -> None:
    """A notebook's text shows size and steps, not an array."""
    frame = rendered(grey_image([[1, 2, 3]], WindowCenter=2, WindowWidth=4))
    assert repr(frame) == "<RenderedFrame 0: 3 × 1, grey; window 2/4 LINEAR>"


def test_the_source_is_not_changed() -> None:
    """Overlays are drawn on a copy of pixels that are shown as stored."""
    image = colour_image([[1, 2, 3], [4, 5, 6]])
    image.add_new(0x60000010, "US", 1)
    image.add_new(0x60000011, "US", 2)
    image.add_new(0x60003000, "OW", b"\3\0")
    before = image.PixelData
    assert pixels_of(image) == [[[255] * 3] * 2]
    assert image.PixelData == before


def test_a_mammogram_takes_no_more_than_its_pixels() -> None:
    """16 bits of 2000 × 1500 are mapped without a temporary array of the whole frame."""
    values = np.random.default_rng(3).integers(0, 1 << 14, (2000, 1500))
    image = grey_image(values, WindowCenter=8000, WindowWidth=9000)
    instance = raised(instance_from_dataset(image))
    tracemalloc.start()
    try:
        found = raised(render_frame(instance))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 2 bytes a pixel decoded, twice while they are put in order; 1 byte shown; 1 MB of tables.
    assert peak < 5 * values.size + (2 << 20)
    assert found.pixels.shape == values.shape


# -- against pydicom ----------------------------------------------------------------------

GREY = (
    "693_J2KI.dcm",
    "CT_small.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "JPEG2000.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "dicomdirtests/77654033/CR1/6154",
    "dicomdirtests/98892001/CT5N/2062",
    "dicomdirtests/98892003/MR1/15820",
    "examples_overlay.dcm",
    "rtdose_expb.dcm",
)


@pytest.mark.parametrize("name", GREY)
def test_as_pydicom(name: str) -> None:
    """Values are those of `apply_modality_lut`, and greys those of `apply_voi_lut`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of attributes that some of the files lack
        dataset = pydicom.dcmread(path_of(name))
        stored = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)[0]
    values = apply_modality_lut(stored, dataset)
    assert np.array_equal(raised(modality_values(path_of(name), 0))[0], values)
    if "WindowCenter" not in dataset or not dataset.WindowCenter:
        return
    # pydicom gives the output range of Bits Stored; ends of it are black and white.
    theirs = apply_voi_lut(values, dataset)
    bits = dataset.BitsStored
    low, high = (0, 2**bits - 1) if dataset.PixelRepresentation == 0 else _signed_range(bits)
    slope, intercept = (float(dataset.get(k, d)) for k, d in _RESCALE)
    black = low * slope + intercept
    grey = (theirs - black) / ((high - low) * slope) * 255
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = 255 - grey
    ours = raised(render_frame(path_of(name), overlays=False)).pixels
    assert np.abs(ours - grey).max() <= 0.5 + 1e-6


_RESCALE = (("RescaleSlope", 1), ("RescaleIntercept", 0))


def _signed_range(bits: int) -> tuple[int, int]:
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def test_a_voi_lut_as_pydicom() -> None:
    """A table of 12 bits gives what `apply_voi_lut` gives."""
    stored = np.arange(4096).reshape(64, 64)
    table = (4095 * (np.arange(3000) / 2999) ** 2).astype(int).tolist()
    image = grey_image(stored, BitsStored=12, HighBit=11)
    image.VOILUTSequence = Sequence([lut_item((3000, 500, 12), table, "US")])
    theirs = apply_voi_lut(stored.astype("u2"), image)
    assert np.array_equal(rendered(image).pixels, (theirs / 4095 * 255 + 0.5).astype(int))


# -- whatever it is -------------------------------------------------------------------------

_VALUES = st.sampled_from([None, 0, 1, 2, 8, 12, 16, 255, 65535])


@given(
    attributes=st.dictionaries(
        st.sampled_from(
            (
                "BitsStored",
                "HighBit",
                "PixelRepresentation",
                "NumberOfFrames",
                "Rows",
            )
        ),
        _VALUES,
    ),
    decimals=st.dictionaries(
        st.sampled_from(("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept")),
        st.sampled_from(["", "0", "-1", "1e300", "-1e300", "1e-300", "0.5", "1\\2", "40"]),
    ),
    photometric=st.sampled_from(["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", ""]),
    dtype=st.sampled_from(["u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8"]),
    data=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=6, max_size=6),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_any_attributes(
    attributes: dict[str, object],
    decimals: dict[str, str],
    photometric: str,
    dtype: str,
    data: list[int],
    function: str,
) -> None:
    """There is a picture of 8 bits, or a failure with a code: nothing else comes out."""
    stored = np.array(data).reshape(2, 3).astype(dtype)
    image = grey_image(stored, dtype, PhotometricInterpretation=photometric, **decimals)
    image.VOILUTFunction = function
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    for result in (render_frame(image), modality_values(image)):
        found = result.value_or(None)
        if found is None:
            assert result.failure().code in (
                ErrorCode.PIXEL_DATA_FAILED,
                ErrorCode.LIMIT_EXCEEDED,
                ErrorCode.VALUE_CONVERSION_FAILED,
            )
        elif isinstance(found, RenderedFrame):
            assert found.pixels.dtype == np.uint8
            assert found.pixels.shape[:2] == (image.Rows, image.Columns)


def test_no_image() -> None:
    """What has no pixels says so, whatever it was read from."""
    path = path_of("rtplan.dcm")
    for source in (path, pydicom.dcmread(path)):
        error = render_frame(source).failure()
        assert error.code is ErrorCode.PIXEL_DATA_FAILED
        assert error.message == "the data set has no Pixel Data"


def test_reading_fails_first() -> None:
    """What cannot be read gives the failure of reading."""
    assert render_frame("nowhere.dcm").failure().code is ErrorCode.FILE_NOT_FOUND
    assert modality_values("nowhere.dcm").failure().code is ErrorCode.FILE_NOT_FOUND
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of Number of Frames 1A
        error = render_frame(pydicom.dcmread(path_of("badVR.dcm"))).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert "cannot be read" in error.message

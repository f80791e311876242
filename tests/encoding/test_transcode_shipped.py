"""The DICOM files that ship inside pydicom, from every syntax into every other."""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.encoding import Instance, decode_frames, default_codecs, read_file, transcode
from tests.encoding.compressed_images import BASE
from tests.encoding.shipped import BROKEN_DATA_SETS, READABLE, path_of
from tests.encoding.transcoding import LOSSLESS, NATIVE

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd values

QUICK: Final = (
    "CT_small.dcm",  # 16 bits, signed
    "ExplVR_BigEnd.dcm",
    "SC_rgb_jpeg_gdcm.dcm",  # lossless JPEG, RGB
    "JPEG-lossy.dcm",  # 12 bits
    "JPEGLSNearLossless_16.dcm",
    "JPEG2000.dcm",
    "MR_small_RLE.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",  # YBR_FULL
    "SC_ybr_full_422_uncompressed.dcm",
    "examples_palette.dcm",
    "image_dfl.dcm",
    "liver_1frame.dcm",  # single bits
    "rtdose_expb.dcm",  # 32 bits, several frames, big endian
    "SC_rgb_small_odd_big_endian.dcm",
)
"""One of each kind."""

IMAGES: Final = tuple(
    name
    for name in READABLE
    if name not in BROKEN_DATA_SETS and not name.startswith("dicomdirtests/")
)
REFUSALS: Final = frozenset((ErrorCode.OPERATION_NOT_SUPPORTED, ErrorCode.ENCODE_FAILED))
"""What a syntax answers that has no form for such pixels: 32 bits, single bits, palettes."""


@functools.cache
def opened(name: str) -> Instance:
    """Open a file once."""
    return raised(read_file(path_of(name)))


@functools.cache
def pixels_of(name: str) -> np.ndarray | None:
    """Decode a file once; ``None`` where it has no pixels that can be decoded."""
    return decode_frames(opened(name)).value_or(None)


def check(name: str, to: str) -> bool:
    """Assert that a file becomes the syntax with the same pixels, or is refused with words."""
    expected = pixels_of(name)
    match transcode(opened(name), to):
        case Success(made):
            if expected is not None:
                assert np.array_equal(raised(decode_frames(made)), expected)
            return True
        case Failure(error):
            if expected is not None:
                assert to not in NATIVE, error
                assert error.code in REFUSALS, error
            assert error.message
    return False


@pytest.mark.parametrize("name", QUICK)
def test_one_of_each_kind(name: str) -> None:
    """Each kind of image becomes every native and lossless syntax that has a form for it."""
    done = [to for to in (*NATIVE, *LOSSLESS) if check(name, to)]
    assert set(NATIVE) <= set(done)
    assert len(done) >= len(NATIVE) + 1


@pytest.mark.slow
@pytest.mark.parametrize("to", [*NATIVE, *LOSSLESS])
def test_every_file(to: str) -> None:
    """Every file, images and others, from its own syntax into every lossless one."""
    done = [name for name in IMAGES if check(name, to)]
    assert len(done) > len(IMAGES) / 3


@pytest.mark.slow
@pytest.mark.parametrize("to", [BASE + end for end in ("50", "81", "91", "203", "112")])
def test_every_file_with_loss(to: str) -> None:
    """Lossy syntaxes give an image of the same size, or say why not."""
    assert default_codecs().encoder_for(to) is not None
    done = 0
    for name in IMAGES:
        expected = pixels_of(name)
        if expected is None:
            continue
        match transcode(opened(name), to):
            case Success(made):
                assert raised(decode_frames(made)).shape == expected.shape
                done += 1
            case Failure(error):
                assert error.code in REFUSALS, (name, error)
    assert done > 10

"""Our decoded pixels against GDCM's, for each image that ships inside pydicom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from pacs_sdk.core.results import Success, raised
from pacs_sdk.encoding import decode_frames
from tests.encoding.shipped import BROKEN_DATA_SETS, READABLE, path_of

DECODER: Final = Path(__file__).with_name("gdcm_frames.py")

GDCM_DIES: Final = (
    "rtdose_1frame.dcm",  # an exception that it doesn't catch ends the process
    "rtdose_expb_1frame.dcm",
    "rtdose_rle_1frame.dcm",
)
OTHERWISE: Final = {
    "J2K_pixelrep_mismatch.dcm": "the codestream says unsigned; pydicom and we take its 13 bits as "
    "Pixel Representation says, so that air is -2000 and not 6192",
    "rtdose_expb.dcm": "GDCM swaps words of 16 bits where numbers have 32",
    "SC_rgb_rle_16bit.dcm": "GDCM puts the byte segments of several samples together wrongly",
    "SC_rgb_rle_16bit_2frame.dcm": "the same",
    "SC_rgb_rle_32bit.dcm": "the same",
    "SC_rgb_rle_32bit_2frame.dcm": "the same",
}
"""Where GDCM gives other values, and why ours are right."""

REFUSED: Final = ("badVR.dcm",)
"""Number of Frames is "1A", which is no IS (PS3.5 6.2): GDCM takes the 1, of 15 frames."""

FILES: Final = [name for name in READABLE if name not in BROKEN_DATA_SETS]


def by_gdcm(name: str, place: Path) -> np.ndarray | None:
    """Decode with GDCM, or ``None`` where it can't."""
    command = [sys.executable, *map(str, (DECODER, path_of(name), place))]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return np.load(place) if done.returncode == 0 else None


@pytest.mark.interop("gdcm")
@pytest.mark.parametrize("name", FILES)
def test_pixels_equal_gdcms(name: str, tmp_path: Path) -> None:
    """Stored values are GDCM's, every one, of lossy images too; what we refuse, so does GDCM.

    GDCM doesn't convert colour, so ours isn't converted either.
    """
    theirs = by_gdcm(name, tmp_path / "frames.npy")
    match decode_frames(path_of(name), raw=True):
        case Success(ours) if name in GDCM_DIES:
            assert theirs is None
        case Success(ours):
            assert theirs is not None
            same = np.array_equal(ours.reshape(theirs.shape), theirs)
            assert same == (name not in OTHERWISE)
        case _:
            assert (theirs is None) == (name not in REFUSED)


def test_where_gdcm_swaps_wrongly() -> None:
    """The doses in big endian are those that the file in little endian has."""
    found, expected = (decode_frames(path_of(f"rtdose{end}.dcm")) for end in ("_expb", ""))
    assert np.array_equal(raised(found), raised(expected))


@pytest.mark.parametrize("name", [name for name in OTHERWISE if "rgb_rle" in name])
def test_where_gdcm_joins_wrongly(name: str) -> None:
    """Each image of 16 or 32 bits is the one of 8 bits, scaled: the same picture (pydicom's)."""
    small = "SC_rgb_rle_2frame.dcm" if "2frame" in name else "SC_rgb_rle.dcm"
    found, expected = (raised(decode_frames(path_of(one))) for one in (name, small))
    factor = np.iinfo(found.dtype).max // 255
    assert np.array_equal(found, expected.astype(found.dtype) * found.dtype.type(factor))

"""Pictures of ours against those of DCMTK's dcm2pnm and dcmj2pnm, grey level by grey level."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs_sdk.core.results import raised
from pacs_sdk.encoding import EXPLICIT_VR_BIG_ENDIAN, instance_from_dataset, write_file
from pacs_sdk.encoding.rendering import VoiFunction, Window, render_frame
from tests.encoding.rendering.images import grey_image, lut_item, with_overlay, with_palette
from tests.encoding.shipped import path_of

DEADLINE_S = 60

pytestmark = pytest.mark.interop("dcm2pnm", "dcmj2pnm")


def picture(program: Path, file: Path, out: Path, *options: str) -> np.ndarray:
    """Run the program and read what it wrote: binary PGM or PPM, 8 bits."""
    command = [str(program), *options, "+op", str(file), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    kind, width, height = out.read_bytes().split(maxsplit=3)[:3]
    shape = (int(height), int(width)) + ((3,) if kind == b"P6" else ())
    size = int(np.prod(shape))
    # A header ends with one white space; the data may begin with another.
    return np.frombuffer(out.read_bytes()[-size:], np.uint8).reshape(shape)


def assert_near(ours: np.ndarray, theirs: np.ndarray, levels: int = 1) -> None:
    """Compare pictures; DCMTK cuts where we round."""
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).max() <= levels


@pytest.mark.parametrize(
    ("name", "options", "window"),
    [
        ("CT_small.dcm", ("+Ww", "40", "400"), Window(40, 400)),
        ("CT_small.dcm", ("+Ww", "-600", "1500"), Window(-600, 1500)),
        ("CT_small.dcm", ("+Ww", "40", "400", "+Wfs"), Window(40, 400, VoiFunction.SIGMOID)),
        ("MR_small.dcm", ("+Wi", "1"), 0),
        ("MR_small_bigendian.dcm", ("+Wi", "1"), 0),
        ("MR_small_RLE.dcm", ("+Wi", "1"), 0),
        ("dicomdirtests/77654033/CR1/6154", ("+Wi", "1"), 0),  # MONOCHROME1, slope 0.684
        ("dicomdirtests/98892001/CT5N/2062", ("+Wi", "1"), 0),
        ("dicomdirtests/98892003/MR1/15820", ("+Ww", "300", "1"), Window(300, 1)),
        ("examples_overlay.dcm", ("+Wi", "1"), 0),  # with its overlay
        ("examples_overlay.dcm", ("+Wi", "2"), 1),
        ("rtdose_1frame.dcm", ("+Wm",), None),
    ],
)
def test_grey(
    dcmtk: dict[str, Path],
    tmp_path: Path,
    name: str,
    options: tuple[str, ...],
    window: Window | int | None,
) -> None:
    """Windows of the image and of the caller, polarity, rescale and overlays agree."""
    theirs = picture(dcmtk["dcm2pnm"], path_of(name), tmp_path / "x.pnm", *options)
    assert_near(raised(render_frame(path_of(name), window=window)).pixels, theirs)


@pytest.mark.parametrize(
    ("name", "program", "levels"),
    [
        ("examples_rgb_color.dcm", "dcm2pnm", 0),
        ("examples_palette.dcm", "dcm2pnm", 1),
        ("ExplVR_BigEnd.dcm", "dcm2pnm", 0),
        ("SC_rgb_rle_16bit.dcm", "dcm2pnm", 1),
        ("SC_rgb_rle_32bit.dcm", "dcm2pnm", 1),
        ("SC_rgb_jpeg_dcmtk.dcm", "dcmj2pnm", 2),  # the two decoders and conversions round
        ("SC_rgb_jpeg_gdcm.dcm", "dcmj2pnm", 0),
    ],
)
def test_colour(
    dcmtk: dict[str, Path], tmp_path: Path, name: str, program: str, levels: int
) -> None:
    """RGB of every depth, palettes, and YBR in JPEG agree."""
    theirs = picture(dcmtk[program], path_of(name), tmp_path / "x.pnm")
    assert_near(raised(render_frame(path_of(name))).pixels, theirs, levels)


def ramp(**attributes: object) -> Dataset:
    """Make an image of every value of 12 bits."""
    return grey_image(np.arange(4096).reshape(64, 64), BitsStored=12, HighBit=11, **attributes)


CURVE = (65535 * (np.arange(3000) / 2999) ** 2).astype(int).tolist()


def modality_lut() -> Dataset:
    """Map by a Modality LUT, then a window."""
    image = ramp(WindowCenter=30000, WindowWidth=40000)
    item = lut_item((3000, 500, 16), CURVE, "US", ModalityLUTType="US")
    image.ModalityLUTSequence = Sequence([item])
    return image


def voi_lut() -> Dataset:
    """Map by a VOI LUT after a rescale that makes values negative."""
    image = ramp(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    item = lut_item((3000, -524, 16), CURVE, "US")
    image.VOILUTSequence = Sequence([item])
    return image


def polarity() -> Dataset:
    """Invert MONOCHROME1."""
    return ramp(WindowCenter=2048, WindowWidth=4096, PhotometricInterpretation="MONOCHROME1")


def padded_overlay() -> Dataset:
    """Draw an overlay that begins above and left of the image."""
    mask = np.random.default_rng(5).integers(0, 2, (20, 30))
    return with_overlay(ramp(WindowCenter=2048, WindowWidth=4096), mask, origin=[-3, -4])


def overlay_in_pixels() -> Dataset:
    """Draw an overlay that is in the bits above those of the pixels."""
    values = np.arange(4096) | np.random.default_rng(5).integers(0, 2, 4096) << 14
    image = grey_image(values.reshape(64, 64), BitsStored=12, HighBit=11)
    image.WindowCenter, image.WindowWidth = 2048, 4096
    for element, vr, value in (
        (0x0010, "US", 64),
        (0x0011, "US", 64),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 16),
        (0x0102, "US", 14),
    ):
        image.add_new((0x6000, element), vr, value)
    return image


def palette_of_sixteen_bits() -> Dataset:
    """Map signed pixels by a palette whose first value is negative."""
    tables = [
        np.linspace(*ends, 256).astype("<u2").tobytes()
        for ends in ((0, 65535), (65535, 0), (9, 40000))
    ]
    image = grey_image(np.arange(-128, 128).reshape(16, 16), "i1")
    return with_palette(image, (256, -128, 16), tuple(tables))


@pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])
@pytest.mark.parametrize(
    ("make", "options"),
    [
        (modality_lut, ("+Wi", "1")),
        (voi_lut, ("+Wl", "1")),
        (polarity, ("+Wi", "1")),
        (padded_overlay, ("+Wi", "1")),
        (overlay_in_pixels, ("+Wi", "1")),
        (palette_of_sixteen_bits, ()),
    ],
)
def test_made(
    dcmtk: dict[str, Path],
    tmp_path: Path,
    make: Callable[[], Dataset],
    options: tuple[str, ...],
    big_endian: bool,
) -> None:
    """Tables, palettes and overlays agree, in both byte orders."""
    instance = raised(
        instance_from_dataset(make(), EXPLICIT_VR_BIG_ENDIAN)
        if big_endian
        else instance_from_dataset(make())
    )
    file = raised(write_file(instance, tmp_path / "x.dcm"))
    theirs = picture(dcmtk["dcm2pnm"], file, tmp_path / "x.pnm", *options)
    assert_near(raised(render_frame(file)).pixels, theirs)

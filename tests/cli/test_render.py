from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from pacs_sdk.encoding import ValidationMode, write_file
from pacs_sdk.encoding.rendering import Window, render_frame
from tests.cli.helpers import TEST_FILES, failed, pacs, refused, succeeded
from tests.encoding.rendering.images import grey_image

CT = TEST_FILES / "CT_small.dcm"
OVERLAY = TEST_FILES / "examples_overlay.dcm"
CINE = TEST_FILES / "examples_ybr_color.dcm"


def test_png(tmp_path: Path) -> None:
    """The file holds the picture; one line says what was applied."""
    out = tmp_path / "ct.PNG"
    line = succeeded(pacs("render", CT, out)).strip()
    assert line.startswith(f"wrote {out}: 128 × 128; rescale × 1 -1024; window ")
    expected = render_frame(CT).unwrap().pixels
    assert np.array_equal(imagecodecs.png_decode(out.read_bytes()), expected)


@pytest.mark.parametrize("name", ["cine.jpg", "cine.JPEG"])
def test_a_frame_as_jpeg(tmp_path: Path, name: str) -> None:
    """Frames count from 0; colour stays colour."""
    out = tmp_path / name
    succeeded(pacs("render", CINE, out, "--frame", "3"))
    found = imagecodecs.jpeg8_decode(out.read_bytes())
    expected = render_frame(CINE, 3).unwrap().pixels
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 4


def test_window_and_size(tmp_path: Path) -> None:
    """A center may be negative; the picture fits into the size."""
    out = tmp_path / "ct.png"
    line = succeeded(pacs("render", CT, out, "--window", "-600,1500", "--size", "100x64"))
    assert "64 × 64" in line
    assert "window -600/1500 LINEAR; resized from 128 × 128" in line
    expected = render_frame(CT, window=Window(-600, 1500), size=(64, 64)).unwrap().pixels
    assert np.array_equal(imagecodecs.png_decode(out.read_bytes()), expected)


def test_overlays(tmp_path: Path) -> None:
    """They are drawn unless they are not wanted."""
    assert "overlay 6000" in succeeded(pacs("render", OVERLAY, tmp_path / "a.png"))
    without = succeeded(pacs("render", OVERLAY, tmp_path / "b.png", "--no-overlays"))
    assert "overlay 6000" not in without
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_words_of_the_file_stay_in_one_line(tmp_path: Path) -> None:
    """An explanation with control characters doesn't reach the terminal as such."""
    image = grey_image([[1, 2]], WindowCenter=1, WindowWidth=2)
    image.WindowCenterWidthExplanation = "two\nlines\x07!"
    path = write_file(image, tmp_path / "x.dcm", validation=ValidationMode.LENIENT).unwrap()
    (line,) = succeeded(pacs("render", path, tmp_path / "x.png")).splitlines()
    assert line.endswith("window 1/2 LINEAR (two lines !)")


@pytest.mark.parametrize(
    ("out", "options", "words"),
    [
        ("a.gif", (), "a.gif has to end with .png, .jpg or .jpeg"),
        ("a.png", ("--window", "40"), "'40' is not a center and a width"),
        ("a.png", ("--window", "40,x"), "not a center and a width"),
        ("a.png", ("--window", "40,400,1"), "not a center and a width"),
        ("a.png", ("--window", "40,0"), "at least 1"),
        ("a.png", ("--size", "800"), "'800' is not a width and a height"),
        ("a.png", ("--size", "-8x6"), "not a width and a height"),
    ],
)
def test_bad_usage(tmp_path: Path, out: str, options: tuple[str, ...], words: str) -> None:
    """What cannot be meant is refused before the file is read, with exit code 2."""
    assert words in refused(pacs("render", CT, tmp_path / out, *options))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("file", "options", "words"),
    [
        (CT, ("--frame", "1"), "frame 1 was asked for; there are 1"),
        (CT, ("--size", "99999x99999"), "would have more than"),
        (CINE, ("--window", "1,2"), "are for grey"),
        (TEST_FILES / "rtplan.dcm", (), "the data set has no Pixel Data"),
        (TEST_FILES / "nothing.dcm", (), "there is no file"),
    ],
    ids=["frame", "size", "colour", "no image", "no file"],
)
def test_what_cannot_be_rendered(
    tmp_path: Path, file: Path, options: tuple[str, ...], words: str
) -> None:
    """One line says why, and nothing is written."""
    assert words in failed(pacs("render", file, tmp_path / "a.png", *options))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """The picture has to have a place."""
    assert "nowhere" in failed(pacs("render", CT, tmp_path / "nowhere" / "a.png"))

"""DCMTK reads what we compress, and we read what DCMTK compresses."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
import pydicom.data
import pytest

from pacs_sdk.core.results import raised
from pacs_sdk.encoding import OffsetTable, decode_frames, read_file, transcode, write_file

FILES: Final = Path(pydicom.data.__file__).parent / "test_files"

SOURCES: Final = (
    "CT_small.dcm",  # 16 bits, signed
    "examples_rgb_color.dcm",
    "examples_overlay.dcm",  # 8 bits, overlay, icon
    "MR_small.dcm",
    "SC_rgb_rle_2frame.dcm",
)

DEADLINE_S: Final = 60


def run(*command: object) -> str:
    """Run a program to its end; a failure shows what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        check=False,
        timeout=DEADLINE_S,
    )
    text = (done.stdout + done.stderr).decode("latin-1")
    assert done.returncode == 0, f"{command} gave {done.returncode}\n{text}"
    return text


def native_pixels(path: Path) -> np.ndarray:
    """Read what DCMTK decompressed with pydicom, colour by pixel."""
    return np.squeeze(pydicom.dcmread(path).pixel_array)


def written(name: str, keyword: str, folder: Path) -> Path:
    """Transcode a file and write it."""
    made = raised(transcode(raised(read_file(FILES / name)), keyword))
    return raised(write_file(made, folder / f"{keyword}-{name}"))


@pytest.mark.interop("dcmdjpeg")
@pytest.mark.parametrize("keyword", ["JPEGLossless", "JPEGLosslessSV1"])
@pytest.mark.parametrize("name", SOURCES)
def test_dcmdjpeg(name: str, keyword: str, tmp_path: Path, dcmtk: dict[str, Path]) -> None:
    """Dcmdjpeg gives the pixels that we compressed as lossless JPEG."""
    path = written(name, keyword, tmp_path)
    run(dcmtk["dcmdjpeg"], "--conv-never", path, tmp_path / "out.dcm")
    expected = np.squeeze(raised(decode_frames(FILES / name)))
    assert np.array_equal(native_pixels(tmp_path / "out.dcm"), expected)


@pytest.mark.interop("dcmdjpls")
@pytest.mark.parametrize("name", SOURCES)
def test_dcmdjpls(name: str, tmp_path: Path, dcmtk: dict[str, Path]) -> None:
    """Dcmdjpls gives the pixels that we compressed as JPEG-LS."""
    path = written(name, "JPEGLSLossless", tmp_path)
    run(dcmtk["dcmdjpls"], path, tmp_path / "out.dcm")
    expected = np.squeeze(raised(decode_frames(FILES / name)))
    assert np.array_equal(native_pixels(tmp_path / "out.dcm"), expected)


@pytest.mark.interop("dcmdrle")
@pytest.mark.parametrize("table", OffsetTable)
@pytest.mark.parametrize("name", SOURCES)
def test_dcmdrle(name: str, table: OffsetTable, tmp_path: Path, dcmtk: dict[str, Path]) -> None:
    """Dcmdrle gives the pixels that we compressed as RLE, whatever the offset table."""
    native = raised(transcode(raised(read_file(FILES / name)), "ImplicitVRLittleEndian"))
    made = raised(transcode(native, "RLELossless", offset_table=table))
    path = raised(write_file(made, tmp_path / "rle.dcm"))
    run(dcmtk["dcmdrle"], path, tmp_path / "out.dcm")
    expected = np.squeeze(raised(decode_frames(FILES / name)))
    assert np.array_equal(native_pixels(tmp_path / "out.dcm"), expected)


@pytest.mark.interop("dcmconv")
@pytest.mark.parametrize(
    "keyword",
    [
        "ImplicitVRLittleEndian",
        "ExplicitVRLittleEndian",
        "ExplicitVRBigEndian",
        "DeflatedExplicitVRLittleEndian",
    ],
)
@pytest.mark.parametrize("name", SOURCES)
def test_dcmconv(name: str, keyword: str, tmp_path: Path, dcmtk: dict[str, Path]) -> None:
    """Dcmconv reads the native syntaxes, and its Explicit VR has our pixels."""
    path = written(name, keyword, tmp_path)
    run(dcmtk["dcmconv"], "+te", path, tmp_path / "out.dcm")
    expected = raised(decode_frames(FILES / name))
    assert np.array_equal(raised(decode_frames(tmp_path / "out.dcm")), expected)


@pytest.mark.interop("dcmdump")
@pytest.mark.parametrize(
    "keyword",
    ["RLELossless", "JPEGLSLossless", "JPEG2000Lossless", "JPEGLosslessSV1", "JPEGBaseline8Bit"],
)
def test_dcmdump(keyword: str, tmp_path: Path, dcmtk: dict[str, Path]) -> None:
    """Dcmdump finds nothing to complain of, and as many items as there are frames and a table."""
    path = written("examples_rgb_color.dcm", keyword, tmp_path)
    text = run(dcmtk["dcmdump"], path)
    assert "E: " not in text
    assert "W: " not in text
    assert text.count("(fffe,e000) pi") == 2


@pytest.mark.interop("dcm2pnm")
@pytest.mark.parametrize("keyword", ["JPEGBaseline8Bit", "JPEGExtended12Bit"])
def test_dcm2pnm(keyword: str, tmp_path: Path, dcmtk: dict[str, Path]) -> None:
    """dcm2pnm renders our lossy JPEG to about the picture that it was made of."""
    name = "examples_rgb_color.dcm" if keyword.endswith("8Bit") else "MR_small.dcm"
    pictures = []
    for path in (FILES / name, written(name, keyword, tmp_path)):
        out = tmp_path / "out.pnm"
        run(dcmtk["dcm2pnm"], "--write-raw-pnm", "--min-max-window", path, out)
        pictures.append(np.frombuffer(out.read_bytes()[-10_000:], np.uint8).astype(int))
    assert np.abs(pictures[0] - pictures[1]).mean() < 6


@pytest.mark.interop("dcmcjpeg", "dcmcjpls", "dcmcrle")
@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("dcmcjpeg", ("+e1",)),
        ("dcmcjpls", ()),
        ("dcmcjpls", ("--fragment-size", "2")),
        ("dcmcrle", ()),
    ],
)
@pytest.mark.parametrize("name", ["CT_small.dcm", "examples_rgb_color.dcm"])
def test_dcmtk_compresses(
    program: str, options: tuple[str, ...], name: str, tmp_path: Path, dcmtk: dict[str, Path]
) -> None:
    """What DCMTK compressed, in fragments too, we make native again with the same pixels."""
    run(dcmtk[program], *options, FILES / name, tmp_path / "x.dcm")
    made = raised(transcode(raised(read_file(tmp_path / "x.dcm")), "ExplicitVRLittleEndian"))
    expected = raised(decode_frames(FILES / name))
    assert np.array_equal(raised(decode_frames(made)), expected)

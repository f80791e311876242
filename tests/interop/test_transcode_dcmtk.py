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
from tests.encoding.transcoding import image_of, native_dataset

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


def picture(program: Path, path: Path, folder: Path) -> np.ndarray:
    """Render an image with DCMTK."""
    out = folder / "out.pnm"
    run(program, "--write-raw-pnm", "--min-max-window", path, out)
    return np.frombuffer(out.read_bytes()[-4096:], np.uint8).astype(int)


@pytest.mark.interop("dcmj2pnm")
@pytest.mark.parametrize(("bits", "samples"), [(8, 1), (8, 3), (12, 1)])
def test_dcmj2pnm(bits: int, samples: int, tmp_path: Path, dcmtk: dict[str, Path]) -> None:
    """dcmj2pnm renders our lossy JPEG to about the picture that it was made of."""
    rows, columns = np.indices((64, 64))
    plane = ((rows + columns) * ((1 << bits) - 1) // 126).astype("u2" if bits > 8 else "u1")
    pixels = plane[None] if samples == 1 else np.stack([plane, plane.T, 255 - plane], -1)[None]
    before = image_of(native_dataset(pixels, bits_stored=bits))
    after = raised(transcode(before, "JPEGBaseline8Bit" if bits == 8 else "JPEGExtended12Bit"))
    paths = [
        raised(write_file(instance, tmp_path / name))
        for name, instance in (("before.dcm", before), ("after.dcm", after))
    ]
    first, second = (picture(dcmtk["dcmj2pnm"], path, tmp_path) for path in paths)
    assert np.abs(first - second).mean() < 3


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

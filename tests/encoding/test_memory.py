"""Memory: of a file of two gigabytes only what is asked for is ever in it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.made_files import write_multi_frame
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/clear_refs").exists(), reason="needs Linux to measure peak memory"
    ),
]

FRAMES = 1_030
ROWS = COLUMNS = 1_024
WANTED = 1_000
MOST_MIB = 20

MEASURE = """
import sys
from pathlib import Path
import numpy as np
from pacs_sdk.encoding import decode_frames, read_file, read_file_header

def peak_kib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

path, small, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
decode_frames(small).unwrap()  # libraries and tables are loaded, threads have run
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
before = peak_kib()
header = read_file_header(path).unwrap()
instance = read_file(path).unwrap()
assert instance.header().unwrap().integer("NumberOfFrames") == header.integer("NumberOfFrames")
assert instance.dataset(until="PixelData").unwrap()["Rows"] == 1024
after_header = peak_kib() - before
frame = decode_frames(path, frames=wanted).unwrap()
assert frame.shape == (1, 1024, 1024) and int(frame[0, 3, 7]) == 777, frame
print(after_header, peak_kib() - before)
"""


def pixels() -> np.ndarray:
    """Make the one frame that is not empty; noise, so that RLE cannot shrink it."""
    noise = np.random.default_rng(3).integers(0, 4096, (ROWS, COLUMNS), dtype=np.uint16)
    noise[3, 7] = 777
    return noise


def rle(values: np.ndarray) -> bytes:
    """Encode a frame as RLE with literal runs only (PS3.5 Annex G)."""
    segments = []
    for plane in (values >> 8, values & 0xFF):
        rows = plane.astype(np.uint8).reshape(-1, 128)
        segments.append(b"".join(b"\x7f" + row.tobytes() for row in rows))
    offsets = [64, 64 + len(segments[0])]
    header = struct.pack("<16I", 2, *offsets, *[0] * 13)
    return header + b"".join(segments)


def native(path: Path, frames: int, frame: bytes, wanted: int) -> None:
    """Write native frames, one of which is not empty."""
    write_multi_frame(path, EXPLICIT_VR_LITTLE_ENDIAN, 0, frame)
    end = _patched(path, frames, frames * len(frame))
    with path.open("r+b") as file:
        file.seek(end + wanted * len(frame))
        file.write(frame)
        file.truncate(end + frames * len(frame))


def encapsulated(path: Path, frames: int, frame: bytes, wanted: int) -> None:
    """Write RLE frames without an offset table, one of which is not empty."""
    rle_lossless = transfer_syntax("RLELossless").unwrap()
    write_multi_frame(path, rle_lossless, 0, frame)
    _patched(path, frames, None)
    with path.open("r+b") as file:
        file.seek(-8, os.SEEK_END)  # before the Sequence Delimitation Item
        for number in range(frames):
            file.write(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(frame)))
            if number == wanted:
                file.write(frame)
            else:
                file.seek(len(frame), os.SEEK_CUR)
        file.write(b"\xfe\xff\xdd\xe0" + bytes(4))


def _patched(path: Path, frames: int, length: int | None) -> int:
    """Set Number of Frames and the length of Pixel Data; returns where its value begins."""
    data = path.read_bytes()
    number = b"\x28\x00\x08\x00IS\x02\x000 "
    assert data.count(number) == 1
    digits = b"%d" % frames
    digits += b" " * (len(digits) % 2)
    data = data.replace(number, number[:6] + struct.pack("<H", len(digits)) + digits)
    if length is not None:
        data = data[:-4] + struct.pack("<I", length)
    path.write_bytes(data)
    return len(data)


@pytest.fixture(params=["native", "encapsulated"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A file of two gigabytes, and one like it of two frames."""
    make, frame = native, pixels().tobytes()
    if request.param == "encapsulated":
        make, frame = encapsulated, rle(pixels())
    large, small = tmp_path / "large.dcm", tmp_path / "small.dcm"
    make(large, FRAMES, frame, WANTED)
    make(small, 1, frame, 0)
    assert large.stat().st_size > 2 << 30
    yield large, small
    large.unlink()


def test_a_frame_of_two_gigabytes(files: tuple[Path, Path]) -> None:
    """Header, data set without pixels and one frame of 2 MiB raise the peak by less than 20 MiB."""
    large, small = files
    command = [sys.executable, "-c", MEASURE, str(large), str(small), str(WANTED)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    sys.stdout.write(f"KiB over the peak before, header and frame: {result.stdout}")
    after_header, after_frame = (int(kib) / 1024 for kib in result.stdout.split())
    assert after_header < MOST_MIB / 4
    assert after_frame < MOST_MIB

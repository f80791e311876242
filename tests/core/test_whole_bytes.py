"""What is going to be used to its end can be read to its end, or that is an error."""

from __future__ import annotations

import errno
import mmap
import os
import platform
import sys
from pathlib import Path
from typing import Final

import pytest

from pacs_sdk.core.byte_source import FileBytes, MemoryBytes
from pacs_sdk.core.whole_bytes import read_whole

CONTENT: Final = bytes(range(256)) * 20_000
"""Five megabytes: a file of that is mapped."""

CAN_TELL: Final = sys.platform == "linux" and tuple(
    int(part) for part in platform.release().split("-")[0].split(".")[:2]
) >= (5, 14)

linux = pytest.mark.skipif(not CAN_TELL, reason="this system reads nothing beforehand")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a large file."""
    place = tmp_path / "large"
    place.write_bytes(CONTENT)
    return place


@pytest.mark.parametrize("offset", [0, 1, 4096, 5000])
def test_a_large_file_is_given_whole(place: Path, offset: int) -> None:
    """Mapped, from wherever in a page its part begins."""
    found = read_whole(FileBytes.of(place).slice(offset))
    assert isinstance(found.obj, mmap.mmap)
    assert found == memoryview(CONTENT)[offset:]


def test_what_is_not_mapped_is_given_as_it_is(tmp_path: Path) -> None:
    """Bytes in memory, a small file, nothing."""
    small = tmp_path / "small"
    small.write_bytes(b"small")
    for source, wanted in (
        (MemoryBytes(b"memory"), b"memory"),
        (FileBytes.of(small), b"small"),
        (MemoryBytes(b""), b""),
    ):
        assert read_whole(source) == wanted


@linux
def test_what_cannot_be_read_of_a_map_is_an_error(place: Path) -> None:
    """Touched, it would end the process: a disk that fails, as here a file that was cut short."""
    mapped = MemoryBytes(FileBytes.of(place).view())
    os.truncate(place, 1 << 20)
    with pytest.raises(OSError, match="has become shorter") as caught:
        read_whole(mapped)
    assert caught.value.errno == errno.EIO
    with pytest.raises(OSError, match="has become shorter"):
        read_whole(mapped.slice(2 << 20, 100))
    assert read_whole(mapped.slice(0, 1 << 20)) == memoryview(CONTENT)[: 1 << 20]

"""Where received data sets go: memory, a spool file, or nowhere."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.sink import SpoolingSink
from tests.network.helpers import open_descriptors


def write(sink: SpoolingSink, *pieces: bytes) -> None:
    """Give the sink pieces in a buffer that is used again, as drivers do."""
    for piece in pieces:
        buffer = bytearray(piece)
        sink.write(memoryview(buffer))
        buffer[:] = bytes(len(buffer))


def files(folder: Path) -> list[Path]:
    """List what lies in a folder."""
    return sorted(folder.iterdir())


def test_a_short_data_set_stays_in_memory(tmp_path: Path) -> None:
    """Up to the threshold nothing touches the disk."""
    sink = SpoolingSink(tmp_path, threshold_bytes=8)
    write(sink, b"abcd", b"efgh")
    source = sink.finish()
    assert isinstance(source, MemoryBytes)
    assert bytes(source.view()) == b"abcdefgh"
    assert files(tmp_path) == []
    sink.discard()


def test_an_empty_data_set_is_a_data_set(tmp_path: Path) -> None:
    """A data set without a byte was announced all the same."""
    source = SpoolingSink(tmp_path).finish()
    assert source.size == 0


def test_a_long_data_set_goes_to_a_spool_file(tmp_path: Path) -> None:
    """The byte past the threshold moves everything to disk, in order, once."""
    sink = SpoolingSink(tmp_path, threshold_bytes=8)
    write(sink, b"abcd", b"efgh", b"i")
    assert len(files(tmp_path)) == 1
    write(sink, b"jkl")
    source = sink.finish()
    assert isinstance(source, FileBytes)
    assert source.size == 12
    assert bytes(source.view()) == b"abcdefghijkl"
    sink.discard()
    assert files(tmp_path) == []


def test_the_spool_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """Patient data on disk is not for other users of the machine."""
    sink = SpoolingSink(tmp_path, threshold_bytes=0)
    write(sink, b"x")
    (path,) = files(tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    sink.discard()


@pytest.mark.parametrize("threshold_bytes", [0, 100])
def test_a_data_set_over_the_limit_is_refused(tmp_path: Path, threshold_bytes: int) -> None:
    """The first byte past the limit is an error, whether in memory or in a file."""
    sink = SpoolingSink(tmp_path, threshold_bytes=threshold_bytes, max_bytes=8)
    write(sink, b"12345678")
    with pytest.raises(PacsException) as raised:
        write(sink, b"9")
    assert raised.value.error.code is ErrorCode.LIMIT_EXCEEDED
    assert raised.value.error.code.dimse_status == 0xA700
    assert "8 bytes" in raised.value.error.message
    sink.discard()
    assert files(tmp_path) == []


@pytest.mark.parametrize("threshold_bytes", [0, 100])
@pytest.mark.parametrize("finished", [True, False])
def test_discarding_leaves_nothing_and_may_be_repeated(
    tmp_path: Path, threshold_bytes: int, finished: bool
) -> None:
    """Whenever the association ends, the file and its descriptor are gone."""
    sink = SpoolingSink(tmp_path, threshold_bytes=threshold_bytes)
    write(sink, b"data")
    before = open_descriptors()
    if finished:
        sink.finish()
    sink.discard()
    sink.discard()
    assert files(tmp_path) == []
    assert open_descriptors() == before - (threshold_bytes == 0)


def test_a_spool_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """Nothing is kept somewhere else in silence."""
    sink = SpoolingSink(tmp_path / "missing", threshold_bytes=0)
    with pytest.raises(FileNotFoundError):
        write(sink, b"x")
    sink.discard()


def test_a_spool_folder_may_vanish(tmp_path: Path) -> None:
    """Discarding what somebody else has already removed is no error."""
    folder = tmp_path / "spool"
    folder.mkdir()
    sink = SpoolingSink(folder, threshold_bytes=0)
    write(sink, b"x")
    for path in files(folder):
        path.unlink()
    folder.rmdir()
    sink.discard()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("pieces", [(b"small",), (b"x" * (1 << 20),)], ids=["buffered", "direct"])
def test_a_full_disk_is_reported_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: tuple[bytes, ...]
) -> None:
    """The error comes from the write or, for the last bytes, from finishing; never not at all."""
    path = tmp_path / "spool"

    def on_full_disk(**_: object) -> tuple[int, str]:
        path.touch()
        return os.open("/dev/full", os.O_WRONLY), str(path)

    monkeypatch.setattr(tempfile, "mkstemp", on_full_disk)
    sink = SpoolingSink(tmp_path, threshold_bytes=0)
    with pytest.raises(OSError, match="No space left"):
        _write_and_finish(sink, *pieces)
    sink.discard()
    assert files(tmp_path) == []


def _write_and_finish(sink: SpoolingSink, *pieces: bytes) -> None:
    write(sink, *pieces)
    sink.finish()

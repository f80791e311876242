"""Bytes made piece by piece, in memory and in a temporary file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.byte_spool import ByteSpool

PIECES: list[Buffer] = [b"first ", bytearray(b"second "), memoryview(b"third")]


@pytest.mark.parametrize("threshold", [0, 7, 1000])
@pytest.mark.parametrize("head", [b"", b"head ", b"as long as room"])
def test_the_head_stands_before_the_pieces(threshold: int, head: bytes) -> None:
    """What is known last comes first, in memory as in a file that leaves room for it."""
    spool = ByteSpool(room=15, threshold=threshold)
    for piece in PIECES:
        spool.write(piece)
    made = spool.finish(head)
    assert bytes(made.view()) == head + b"first second third"
    assert bytes(made.slice(len(head) + 6, 6).view()) == b"second"


@pytest.mark.parametrize("threshold", [0, 1000])
def test_what_is_kept_may_be_written_over(threshold: int) -> None:
    """Pieces are shared until they are kept, again and again."""
    spool = ByteSpool(room=3, threshold=threshold)
    shared = bytearray(5)
    for text in (b"one, ", b"two, ", b"three"):
        shared[:] = text
        spool.write(memoryview(shared))
        spool.keep()
    assert bytes(spool.finish(b"0, ").view()) == b"0, one, two, three"


def test_no_file_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are usable and there is no file of any name."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = ByteSpool(threshold=10)
    spool.write(b"x" * 100_000)
    made = spool.finish()
    assert made.size == 100_000
    assert not list(tmp_path.iterdir())


def test_where_no_file_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be written to is named in the error."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    spool = ByteSpool(threshold=1)
    with pytest.raises(PacsException, match="absent") as caught:
        spool.write(b"abc")
    assert caught.value.error.code is ErrorCode.FILE_WRITE_FAILED

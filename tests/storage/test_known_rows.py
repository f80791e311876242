"""What is remembered of rows: little, whatever instances say."""

from __future__ import annotations

import gc
import struct
import tracemalloc
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.encoding import IMPLICIT_VR_LITTLE_ENDIAN, Instance
from pacs_sdk.storage import Query, open_archive
from pacs_sdk.storage.index.known_rows import is_worth_knowing
from tests.storage.entries import CT

MEBIBYTE = 1 << 20


def talkative(number: int, tag: int) -> Instance:
    """Make an instance of a series of its own, with a value of a megabyte."""
    long = f"{number:04}".encode() + b"a\\" * (MEBIBYTE // 2)
    values = {
        0x00080016: CT.encode(),
        0x00080018: f"1.2.3.{number}".encode(),
        0x0020000D: b"1.2",
        0x0020000E: f"1.2.{number}".encode(),
        tag: long,
    }
    data = b""
    for at, value in sorted(values.items()):
        padded = value + b"\0" * (len(value) % 2)
        data += struct.pack("<HHI", at >> 16, at & 0xFFFF, len(padded)) + padded
    encoded = MemoryBytes(data)
    return Instance(CT, f"1.2.3.{number}", IMPLICIT_VR_LITTLE_ENDIAN.uid, encoded)


@pytest.mark.parametrize("tag", [0x00100010, 0x00081030, 0x0008103E], ids=hex)
@pytest.mark.slow
def test_long_values_are_not_kept_in_memory(tmp_path: Path, tag: int) -> None:
    """Of patient, study or series: each instance is indexed, and nothing of its value stays."""
    with open_archive(tmp_path).unwrap() as archive:
        archive.store(talkative(0, tag)).unwrap()
        query = Query.of("SERIES").unwrap()
        assert len(list(archive.find(query).unwrap())) == 1
        tracemalloc.start()
        try:
            for number in range(1, 21):
                archive.store(talkative(number, tag)).unwrap()
            assert len(list(archive.find(query).unwrap())) == 21
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert kept < 4 * MEBIBYTE


def test_what_is_usual_is_remembered() -> None:
    """A kilobyte or so, some of it absent."""
    assert is_worth_knowing([b"ISO_IR 100", None, b"Doe^John" * 100])
    assert not is_worth_knowing([b"x" * 9000, None, b"y" * 9000])

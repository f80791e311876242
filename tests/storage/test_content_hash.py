"""The hash of an object's content."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage.objects.content_hash import ContentHash, hash_parts, hash_source


def test_the_hash_is_xxh3_of_128_bits() -> None:
    """Known answers of the reference implementation (xxhsum -H128)."""
    assert hash_parts([]) == "99aa06d3014798d86001c324468d497f"
    assert hash_parts([b"abc"]) == "06b05ab6733a618578af5f94892f3950"


def test_pieces_and_sources_make_no_difference(tmp_path: Path) -> None:
    """Whole, in parts, byte by byte, in memory, in a file: the content counts."""
    content = random.Random(3).randbytes((17 << 20) + 5)
    path = tmp_path / "object"
    path.write_bytes(content)
    whole = hash_parts([content])
    pieces = ContentHash()
    for start in range(0, len(content), 1 << 20):
        pieces.update(memoryview(content)[start : start + (1 << 20)])
    assert pieces.hexdigest() == whole
    assert hash_source(MemoryBytes(content)) == whole
    assert hash_source(FileBytes.of(path)) == whole
    assert hash_source(FileBytes.of(path).slice(1)) != whole
    assert hash_parts([bytes([one]) for one in content[:1000]]) == hash_parts([content[:1000]])


def test_a_file_that_became_shorter_has_no_hash(tmp_path: Path) -> None:
    """It is an error, not the hash of what is left."""
    path = tmp_path / "object"
    path.write_bytes(bytes(1000))
    source = FileBytes.of(path)
    path.write_bytes(bytes(999))
    with pytest.raises(PacsException) as caught:
        hash_source(source)
    assert caught.value.error.code is ErrorCode.TRUNCATED


def test_a_large_file_is_read_and_not_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that cannot read what is mapped would end the process that verifies it (SIGBUS)."""
    content = bytes(range(256)) * 20_000
    place = tmp_path / "large"
    place.write_bytes(content)

    def mapped(*_: object, **__: object) -> None:
        raise AssertionError("it was mapped")

    monkeypatch.setattr("mmap.mmap", mapped)
    assert hash_source(FileBytes.of(place)) == hash_parts([content])

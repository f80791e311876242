"""How what is to be sent is cut for TLS: whole records, and as little copied as possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["MAX_RECORD_BYTES", "cut_into_records"]

MAX_RECORD_BYTES: Final = 1 << 14
"""What one TLS record holds at most (RFC 8446 5.1). Smaller buffers are joined into whole
records; a P-DATA-TF header alone would cost a record, a packet and a system call."""

_CHUNK_BYTES: Final = 1 << 18
"""What is handed to OpenSSL in one call, uncopied. It makes records of it one by one."""


def cut_into_records(buffers: Sequence[bytes | memoryview]) -> Iterator[bytearray | memoryview]:
    """Cut buffers into whole records, copying only what a record has to be pieced together of."""
    joined = bytearray()
    for buffer in buffers:
        view = memoryview(buffer)
        if not view.nbytes:
            continue
        rest = view.cast("B")
        if joined:
            room = MAX_RECORD_BYTES - len(joined)
            joined += rest[:room]
            rest = rest[room:]
            if len(joined) == MAX_RECORD_BYTES:
                yield joined
                joined = bytearray()
        whole = rest.nbytes - rest.nbytes % MAX_RECORD_BYTES
        for start in range(0, whole, _CHUNK_BYTES):
            yield rest[start : min(start + _CHUNK_BYTES, whole)]
        joined += rest[whole:]
    if joined:
        yield joined

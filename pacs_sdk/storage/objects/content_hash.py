"""The hash by which an object's content is known again.

It is XXH3 of 128 bits (https://xxhash.com), as 32 hexadecimal digits, over the whole
object: preamble, File Meta Information and data set. It finds what a disk, a cable or a
careless program has changed, as fast as memory is read. It is no signature: whoever wants
to change an object and keep its hash can do so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import xxhash
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource

__all__ = ["ContentHash", "hash_parts", "hash_source"]

_PIECE_BYTES: Final = 1 << 19
"""How much of a source is looked at a time: an object of any length takes no more. So little of a
file is read and not mapped: a disk that cannot read what is mapped ends the process (SIGBUS), and
that is what somebody wants to be told who verifies an archive."""


class ContentHash:
    """The hash of bytes that come one piece after the other."""

    def __init__(self) -> None:
        self._state = xxhash.xxh3_128()

    def update(self, piece: Buffer) -> None:
        """Take the next piece; how the content is cut into pieces does not matter."""
        self._state.update(memoryview(piece))

    def hexdigest(self) -> str:
        """Return the hash of what was taken so far."""
        return self._state.hexdigest()


def hash_parts(parts: Iterable[Buffer]) -> str:
    """Return the hash of parts that are one object together."""
    state = ContentHash()
    for part in parts:
        state.update(part)
    return state.hexdigest()


def hash_source(source: ByteSource) -> str:
    """Return the hash of all that a source has.

    Raises:
        PacsException: As the source does; ``TRUNCATED`` where it has become shorter.
        OSError: A file cannot be read.
    """
    state = ContentHash()
    for offset in range(0, source.size, _PIECE_BYTES):
        state.update(source.slice(offset, _PIECE_BYTES).view())
    return state.hexdigest()

"""Deflated data sets (PS3.5 A.5): the whole data set is one raw deflate stream."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["MAX_INFLATED_BYTES", "deflate", "deflated_pieces", "inflate"]

MAX_INFLATED_BYTES: Final = 1 << 30
"""The largest data set that is inflated. Deflate shrinks zeros a thousandfold, so a small
message could otherwise fill the memory. Deflated images larger than 1 GiB are unknown."""


def inflate(data: Buffer, limit: int = MAX_INFLATED_BYTES) -> bytes:
    """Inflate a data set.

    Args:
        data: The deflate stream, without zlib header; a padding byte may follow.
        limit: The most bytes that may come out.

    Raises:
        PacsException: ``DECODE_FAILED`` where this is no deflate stream, ``TRUNCATED``
            where it has no end, ``LIMIT_EXCEEDED`` where more comes out than allowed.
    """
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(data, limit)
    except zlib.error as exc:
        raise PacsException(
            ErrorCode.DECODE_FAILED, f"the data set is not a deflate stream: {exc}"
        ) from None
    if stream.eof:
        return inflated
    if stream.unconsumed_tail:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"the deflated data set grows beyond the limit of {limit} bytes",
            limit=limit,
        )
    raise PacsException(ErrorCode.TRUNCATED, "the deflated data set ends before its stream does")


def deflate(data: Buffer) -> bytes:
    """Deflate a data set, padded to an even number of bytes (PS3.5 A.5)."""
    return b"".join(deflated_pieces((data,)))


def deflated_pieces(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    """Deflate a data set piece by piece, padded to an even number of bytes (PS3.5 A.5)."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    length = 0
    for piece in pieces:
        deflated = stream.compress(piece)
        length += len(deflated)
        if deflated:
            yield deflated
    last = stream.flush()
    yield last + b"\0" * ((length + len(last)) % 2)

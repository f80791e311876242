"""Deflated data sets (PS3.5 A.5): the whole data set is one raw deflate stream."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = [
    "MAX_INFLATED_BYTES",
    "check_inflates",
    "deflate",
    "deflated_pieces",
    "inflate",
    "inflate_beginning",
]

MAX_INFLATED_BYTES: Final = 1 << 30
"""The largest data set that is inflated. Deflate shrinks zeros a thousandfold, so a small
message could otherwise fill the memory. Deflated images larger than 1 GiB are unknown."""


_PIECE_BYTES: Final = 1 << 18
"""What is inflated at once where it is only counted."""


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
    inflated = _inflated(stream, data, limit)
    # At the limit the end of the stream may have been consumed already, and one more byte not.
    if len(inflated) == limit and _inflated(stream, stream.unconsumed_tail, 1):
        raise _too_large(limit)
    if not stream.eof:
        raise _cut_off()
    return inflated


def inflate_beginning(data: Buffer, most: int) -> tuple[bytes, bool]:
    """Inflate the beginning of a data set.

    Args:
        data: The deflate stream.
        most: The most bytes that are wanted.

    Returns:
        The bytes, and whether they are all there are.

    Raises:
        PacsException: ``DECODE_FAILED``, or ``TRUNCATED`` where the stream ends before
            that many bytes came out.
    """
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    inflated = _inflated(stream, data, most)
    if len(inflated) < most and not stream.eof:
        raise _cut_off()
    return inflated, stream.eof


def check_inflates(data: Buffer, limit: int = MAX_INFLATED_BYTES) -> None:
    """Inflate a data set to its end, keeping nothing.

    Raises:
        PacsException: What :func:`inflate` raises.
    """
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    total, rest = 0, data
    while not stream.eof:
        piece = _inflated(stream, rest, _PIECE_BYTES)
        total += len(piece)
        if total > limit:
            raise _too_large(limit)
        if len(piece) < _PIECE_BYTES and not stream.eof:
            raise _cut_off()
        rest = stream.unconsumed_tail


def _inflated(stream: zlib._Decompress, data: Buffer, most: int) -> bytes:
    try:
        return stream.decompress(data, most)
    except zlib.error as exc:
        raise PacsException(
            ErrorCode.DECODE_FAILED, f"the data set is not a deflate stream: {exc}"
        ) from None


def _too_large(limit: int) -> PacsException:
    return PacsException(
        ErrorCode.LIMIT_EXCEEDED,
        f"the deflated data set grows beyond the limit of {limit} bytes",
        limit=limit,
    )


def _cut_off() -> PacsException:
    return PacsException(ErrorCode.TRUNCATED, "the deflated data set ends before its stream does")


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

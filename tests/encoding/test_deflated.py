"""Inflating and deflating data sets."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.deflated import deflate, inflate


@given(st.binary(max_size=2000))
def test_there_and_back(data: bytes) -> None:
    """What was deflated inflates to the same, and has an even number of bytes."""
    deflated = deflate(data)
    assert len(deflated) % 2 == 0
    assert inflate(deflated) == data


def test_stream_is_raw() -> None:
    """The stream has no zlib header (PS3.5 A.5, RFC 1951); zlib inflates it as such."""
    assert zlib.decompress(deflate(b"abc"), wbits=-15) == b"abc"


@pytest.mark.parametrize("after", [b"\0", b"rubbish"])
def test_bytes_after_the_stream(after: bytes) -> None:
    """Padding and rubbish after the end of the stream are ignored."""
    assert inflate(deflate(b"abc") + after) == b"abc"


def test_bomb() -> None:
    """More than the limit is refused, however small the stream is."""
    bomb = deflate(bytes(1_000_000))
    assert len(bomb) < 2000
    assert len(inflate(bomb, 1_000_000)) == 1_000_000
    with pytest.raises(PacsException) as caught:
        inflate(bomb, 999_999)
    assert caught.value.error.code is ErrorCode.LIMIT_EXCEEDED


def test_every_cut_is_noticed() -> None:
    """A stream without its end is truncated, wherever it was cut."""
    stream = zlib.compress(b"PatientName" * 30, wbits=-15)
    for length in range(len(stream)):
        with pytest.raises(PacsException) as caught:
            inflate(stream[:length])
        assert caught.value.error.code is ErrorCode.TRUNCATED


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Any bytes inflate or are refused with a code."""
    try:
        inflate(data, 100_000)
    except PacsException as exc:
        codes = (ErrorCode.DECODE_FAILED, ErrorCode.TRUNCATED, ErrorCode.LIMIT_EXCEEDED)
        assert exc.error.code in codes  # noqa: PT017  # a value is as good an outcome
